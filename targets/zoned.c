/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zoned: a disk with zones that are written from their beginning on, as a disk like any other.
 *
 *	zoned <zoned device>
 *	zoned <regular device> <zoned device>...
 *
 * Nothing that a table can name here has zones: NBD has none, files have none.  So what there is
 * of this target is what Linux says when it is given devices without: each table is refused, with
 * Linux' sentence and in Linux' order.  When a store comes that knows zones, this is its place.
 */
#include <errno.h>

#include <ndm-target.h>

/* A device without zones is a regular one: only the first of several may be that. */
static int regular_device(struct ndm_target *ti, unsigned i, unsigned n)
{
	if (n == 1)
		return ndm_error(ti, -EINVAL, "Invalid regular device");
	if (i)
		return ndm_error(ti, -EINVAL, "First device must be a regular device");
	if (ti->begin)
		return ndm_error(ti, -EINVAL, "Partial mapping is not supported");
	return 0;
}

static int zoned_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct ndm_dev *dev;
	unsigned i;
	int err = 0;

	if (!argc)
		return ndm_error(ti, -EINVAL, "Invalid argument count");
	for (i = 0; i < argc && !err; i++) {
		err = ndm_get_dev(ti, argv[i], 0, 0, &dev);
		if (err)
			return ndm_error(ti, err, "Get target device failed");
		err = regular_device(ti, i, argc);
	}
	return err;
}

static const struct ndm_arg device_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "A regular device first, if there are several." },
	{ 0 }
};

static const struct ndm_arg zoned_args[] = {
	{ .name = "devices", .kind = NDM_ARG_LIST, .sub = device_args, .help = "The disks." },
	{ 0 }
};

static const struct ndm_arg zoned_status_fields[] = { { 0 } };

static void zoned_status(struct ndm_target *ti, enum ndm_status what, unsigned flags, struct ndm_str *out)
{
	const struct ndm_dev *d;

	(void)flags;
	for (d = what == NDM_STATUS_TABLE ? ti->devs : NULL; d; d = d->next)
		ndm_printf(out, "%s%s", d == ti->devs ? "" : " ", d->name);
}

const struct ndm_target_type ndm_target_zoned = {
	.name = "zoned",
	.version = { 2, 0, 0 },
	.features = NDM_TARGET_SINGLETON,
	.args = zoned_args,
	.status_fields = zoned_status_fields,
	.summary = "Disks with zones as one disk without: refused, as nothing here has zones.",
	.ctr = zoned_ctr,
	.status = zoned_status,
};
