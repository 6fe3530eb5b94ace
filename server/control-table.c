/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-table.c - tables in and out: DM_TABLE_LOAD, DM_TABLE_CLEAR, DM_TABLE_DEPS,
 * DM_TABLE_STATUS.
 *
 * A struct dm_target_spec begins at a multiple of 8 bytes and is followed by its parameters and
 * their NUL.  `next` counts from this spec when a table is loaded, from the first one when it
 * is shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/control-call.h"

#define DM_MAX_TARGETS 1048576u

struct load {
	struct ndm_table_line *lines;
	char (*types)[DM_MAX_TYPE_NAME + 1]; /* a client need not end its types with a NUL */
};

/* at: the spec's offset in the buffer, *end: behind its parameters */
static int read_spec(struct control_call *call, const struct dm_ioctl *dmi, size_t size, size_t at,
		     unsigned i, struct load *load, size_t *end)
{
	const uint8_t *base = (const uint8_t *)dmi;
	const struct dm_target_spec *spec;
	const uint8_t *args, *nul;

	if (at % 8 || at > size || size - at <= sizeof(*spec)) {
		ndm_printf(&call->why, "target %u is not within the request", i);
		return -EINVAL;
	}
	spec = (const struct dm_target_spec *)(base + at);
	args = base + at + sizeof(*spec);
	nul = memchr(args, '\0', size - at - sizeof(*spec));
	if (!nul) {
		ndm_printf(&call->why, "the parameters of target %u do not end within the request",
			   i);
		return -EINVAL;
	}
	memcpy(load->types[i], spec->target_type, DM_MAX_TYPE_NAME);
	load->lines[i] = (struct ndm_table_line){
		.start = spec->sector_start,
		.nr = spec->length,
		.type = load->types[i],
		.args = (const char *)args,
		.strict = true,
	};
	*end = (size_t)(nul - base) + 1;
	return 0;
}

static int read_table(struct control_call *call, const struct dm_ioctl *dmi, size_t size,
		      struct load *load)
{
	size_t at = dmi->data_start, least = sizeof(*dmi);

	for (unsigned i = 0; i < dmi->target_count; i++) {
		const struct dm_target_spec *spec;
		int err;

		if (at < least) {
			ndm_printf(&call->why, "target %u overlaps what comes before it", i);
			return -EINVAL;
		}
		err = read_spec(call, dmi, size, at, i, load, &least);
		if (err)
			return err;
		spec = (const struct dm_target_spec *)((const uint8_t *)dmi + at);
		at += spec->next;
	}
	return 0;
}

static int load_table(struct control_call *call, struct ndm_device *dev, struct dm_ioctl *dmi,
		      size_t size)
{
	struct load load = { NULL, NULL };
	int err;

	if (!dmi->target_count) {
		ndm_printf(&call->why, "no targets specified");
		return -EINVAL;
	}
	if (dmi->target_count > DM_MAX_TARGETS)
		return -EOVERFLOW;
	/* a spec and its NUL need this much, so a count is never larger than the buffer allows */
	if (dmi->target_count > size / sizeof(struct dm_target_spec)) {
		ndm_printf(&call->why, "%u targets do not fit into the request", dmi->target_count);
		return -EINVAL;
	}
	load.lines = calloc(dmi->target_count, sizeof(*load.lines));
	load.types = calloc(dmi->target_count, sizeof(*load.types));
	err = load.lines && load.types ? read_table(call, dmi, size, &load) : -ENOMEM;
	if (!err)
		err = ndm_device_load(dev, load.lines, dmi->target_count,
				      dmi->flags & DM_READONLY_FLAG, &call->why);
	free(load.lines);
	free(load.types);
	return err;
}

int dm_table_load(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);
	int err;

	if (!dev)
		return -ENXIO;
	err = load_table(call, dev, dmi, size);
	if (!err) {
		dmi->flags |= DM_INACTIVE_PRESENT_FLAG;
		dm_answer_status(dev, dmi);
	}
	ndm_device_put(dev);
	return err;
}

int dm_table_clear(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);
	int err;

	(void)size;
	if (!dev)
		return -ENXIO;
	err = ndm_device_clear(dev);
	if (!err) {
		dmi->flags &= ~(uint32_t)DM_INACTIVE_PRESENT_FLAG;
		dm_answer_status(dev, dmi);
	}
	ndm_device_put(dev);
	return err;
}

static int retrieve_deps(struct ndm_device *dev, struct dm_ioctl *dmi, size_t size)
{
	bool inactive = dmi->flags & DM_QUERY_INACTIVE_TABLE_FLAG;
	struct dm_target_deps *deps;
	uint32_t(*numbers)[2];
	size_t room, needed;
	unsigned n;
	int err;

	err = ndm_device_deps(dev, inactive, &numbers, &n);
	if (err)
		return err;
	deps = (struct dm_target_deps *)dm_result_buffer(dmi, size, &room);
	needed = sizeof(*deps) + n * sizeof(deps->dev[0]);
	if (room < needed) {
		dmi->flags |= DM_BUFFER_FULL_FLAG;
	} else {
		deps->count = n;
		deps->padding = 0;
		for (unsigned i = 0; i < n; i++)
			deps->dev[i] = dm_encode_dev(numbers[i][0], numbers[i][1]);
		dmi->data_size = dmi->data_start + (uint32_t)needed;
	}
	ndm_free(numbers);
	return 0;
}

static bool has_table(struct ndm_device *dev, const struct dm_ioctl *dmi)
{
	struct ndm_device_info info;

	ndm_device_info(dev, &info);
	return info.flags &
	       (dmi->flags & DM_QUERY_INACTIVE_TABLE_FLAG ? NDM_DEVICE_INACTIVE : NDM_DEVICE_LIVE);
}

int dm_table_deps(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);
	int err = 0;

	if (!dev)
		return -ENXIO;
	dm_answer_status(dev, dmi);
	if (has_table(dev, dmi))
		err = retrieve_deps(dev, dmi, size);
	ndm_device_put(dev);
	return err;
}

/*
 * Places one line; false when it does not fit.  Odd but observed: a text that would fill the
 * buffer to its last byte counts as not fitting.
 */
static bool put_status(uint8_t *base, size_t room, size_t *at, size_t *used,
		       const struct ndm_target_status *line)
{
	const char *text = line->text ? line->text : "";
	size_t length = strlen(text) + 1, type = strlen(line->type), here = *at;
	struct dm_target_spec spec = { .sector_start = line->start, .length = line->nr };

	if (here > room || room - here <= sizeof(spec))
		return false;
	if (type >= sizeof(spec.target_type))
		type = sizeof(spec.target_type) - 1;
	memcpy(spec.target_type, line->type, type);
	if (length >= room - here - sizeof(spec)) {
		memcpy(base + here, &spec, sizeof(spec));
		memset(base + here + sizeof(spec), 0, room - here - sizeof(spec));
		return false;
	}
	memcpy(base + here + sizeof(spec), text, length);
	*used = here + sizeof(spec) + length;
	*at = dm_align(*used);
	if (*at <= room) {
		memset(base + *used, 0, *at - *used);
		spec.next = (uint32_t)*at;
	}
	memcpy(base + here, &spec, sizeof(spec));
	return *at <= room;
}

void dm_retrieve_status(struct ndm_device *dev, struct dm_ioctl *dmi, size_t size)
{
	enum ndm_status kind = NDM_STATUS_INFO;
	/* the kernel's ABI gives keys; it is the client that hides them */
	unsigned flags = NDM_STATUS_SHOWKEYS;
	struct ndm_target_status *lines;
	size_t room, at = 0, used = 0;
	bool read_only;
	uint8_t *base;
	unsigned n;

	if (dmi->flags & DM_NOFLUSH_FLAG)
		flags |= NDM_STATUS_NOFLUSH;
	if (dmi->flags & DM_STATUS_TABLE_FLAG)
		kind = NDM_STATUS_TABLE;
	if (ndm_device_status(dev, kind, flags, dmi->flags & DM_QUERY_INACTIVE_TABLE_FLAG, &lines,
			      &n, &read_only))
		return;
	base = dm_result_buffer(dmi, size, &room);
	for (unsigned i = 0; i < n; i++) {
		/* measurement texts are the kernel's integrity subsystem's: empty without it */
		if ((dmi->flags & DM_IMA_MEASUREMENT_FLAG) && kind == NDM_STATUS_INFO &&
		    lines[i].text)
			lines[i].text[0] = '\0';
		if (!put_status(base, room, &at, &used, &lines[i])) {
			dmi->flags |= DM_BUFFER_FULL_FLAG;
			break;
		}
	}
	if (used)
		dmi->data_size = dmi->data_start + (uint32_t)used;
	dmi->target_count = n;
	ndm_target_status_free(lines, n);
}

int dm_table_status(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);

	if (!dev)
		return -ENXIO;
	dm_answer_status(dev, dmi);
	if (has_table(dev, dmi))
		dm_retrieve_status(dev, dmi, size);
	ndm_device_put(dev);
	return 0;
}
