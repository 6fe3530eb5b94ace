/* SPDX-License-Identifier: BSD-2-Clause */
/* status.c - status line, table line, messages. */
#include <strings.h>

#include "targets/vdo/vdo.h"

static void device_print(const struct vdo *v, struct ndm_str *out)
{
	const char *minor = strncmp(v->dev->name, "253:", 4) ? NULL : v->dev->name + 4;

	if (minor)
		ndm_printf(out, "/dev/dm-%s", minor);
	else
		ndm_printf(out, "%s", v->dev->name);
}

void vdo_status(struct ndm_target *ti, enum ndm_status what, unsigned flags, struct ndm_str *out)
{
	const struct vdo *v = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		ndm_printf(out, "%s", v->line.len ? v->line.text + 1 : "");
		return;
	}
	device_print(v, out);
	ndm_printf(out, " %s - %s offline %" PRIu64 " %" PRIu64, v->failed ? "read-only" : "normal",
		   v->index_error ? "error" : "closed", vdo_used(v), v->super.physical);
}

/* ---- messages ---- */

static void config_print(const struct vdo *v, struct ndm_str *out)
{
	static const struct { uint32_t memory; const char *name; } known[] = {
		{ 0xffffff00u, "0.25" }, { 0xfffffe00u, "0.50" }, { 0xfffffd00u, "0.75" },
	};
	unsigned i;

	ndm_printf(out, "{ version : 1, physicalSize : %" PRIu64 ", logicalSize : %" PRIu64 ", slabSize : %" PRIu64
		   ", index :  { memorySize : ", v->super.physical * NDM_VDO_BLOCK, v->super.logical * NDM_VDO_BLOCK,
		   v->super.slab_blocks);
	for (i = 0; i < 3 && known[i].memory != v->geometry.index_memory; i++)
		;
	if (i < 3)
		ndm_printf(out, "%s", known[i].name);
	else
		ndm_printf(out, "%" PRIu32, v->geometry.index_memory);
	ndm_printf(out, ", isSparse : %d, }, }", v->geometry.index_sparse);
}

void vdo_dump(struct vdo *v)
{
	ndm_warn(v->ti, "block map: %u pages, %u to be written; recovery journal: from %" PRIu64 " to %" PRIu64
		 ", %u blocks not committed; %zu blocks to be freed; %" PRIu64 " blocks allocated", v->map.pages,
		 v->map.dirty, v->journal.head, v->journal.first + v->journal.blocks, v->journal.blocks,
		 v->journal.nfreed, v->depot.allocated);
}

static int dump(struct vdo *v, unsigned argc, char **argv)
{
	static const char *const known[] = { "viopool", "vdo", "pools", "queues", "threads", "default", "all" };
	unsigned i, k;

	for (i = 1; i < argc; i++) {
		for (k = 0; k < 7 && strcasecmp(argv[i], known[k]); k++)
			;
		if (k == 7)
			return ndm_error(v->ti, -EINVAL, "dump option name '%s' unknown", argv[i]);
	}
	vdo_dump(v);
	return 0;
}

static int compression(struct vdo *v, const char *word)
{
	if (!strcasecmp(word, "off"))
		return 0;
	if (!strcasecmp(word, "on"))
		return ndm_error(v->ti, -EOPNOTSUPP, "compressed blocks are read; what is written is not compressed");
	return ndm_error(v->ti, -EINVAL, "invalid argument '%s' to dmsetup compression message", word);
}

/* What Linux does whose index cannot be opened: it says so in the status, and goes on without. */
static int index_message(struct vdo *v, const char *word)
{
	v->index_error = strcasecmp(word, "index-close") != 0;
	if (v->index_error)
		ndm_warn(v->ti, "%s: there is no deduplication index here, nothing is deduplicated", word);
	return 0;
}

int vdo_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct vdo *v = ti->private_data;

	if (!argc)
		return ndm_error(ti, -EINVAL, "unspecified dmsetup message");
	if (!strcasecmp(argv[0], "dump"))
		return dump(v, argc, argv);
	if (argc == 2 && !strcasecmp(argv[0], "compression"))
		return compression(v, argv[1]);
	if (argc != 1)
		return ndm_error(ti, -EINVAL, "unrecognized dmsetup message '%s' received", argv[0]);
	if (!strcasecmp(argv[0], "stats")) {
		vdo_stats_print(v, reply);
		return 1;
	}
	if (!strcasecmp(argv[0], "config")) {
		config_print(v, reply);
		return 1;
	}
	if (!strcasecmp(argv[0], "dump-on-shutdown")) {
		v->dump_on_shutdown = true;
		return 0;
	}
	if (!strcasecmp(argv[0], "index-close") || !strcasecmp(argv[0], "index-create") ||
	    !strcasecmp(argv[0], "index-disable") || !strcasecmp(argv[0], "index-enable"))
		return index_message(v, argv[0]);
	return ndm_error(ti, -EINVAL, "unrecognized dmsetup message '%s' received", argv[0]);
}
