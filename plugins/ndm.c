/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm.c - the nbdkit plugin: nbdkit ndm table=... | yaml=FILE [export=NAME]
 *
 * The devices are built twice: once before nbdkit forks, where a refusal can still be shown to
 * the user, and taken down again; and once after the fork, to stay, because threads, rings and
 * sockets do not survive it.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "host.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define REQUEST_MAX_BYTES (64u << 20)		/* what nbdkit takes at most */

/* nbdkit knows no context argument: this is the process's one instance */
static struct {
	struct ndm_str table;
	struct host_wish wish;
	char *yaml;
	struct host *host;
	int started_in;			/* the folder that relative paths of a table begin at */
} plugin = { .started_in = -1 };

/* ---- configuration ---- */

static void table_add(const char *text)
{
	if (plugin.table.len)
		ndm_printf(&plugin.table, "\n");
	ndm_printf(&plugin.table, "%s", text);
	plugin.wish.table = plugin.table.text;
}

static int ndm_plugin_config(const char *key, const char *value)
{
	int on;

	if (!strcmp(key, "table")) {
		table_add(value);
	} else if (!strcmp(key, "yaml")) {
		free(plugin.yaml);
		plugin.yaml = nbdkit_realpath(value);
		if (!plugin.yaml)
			return -1;
		plugin.wish.yaml = plugin.yaml;
	} else if (!strcmp(key, "export")) {
		plugin.wish.export_name = value;
	} else if (!strcmp(key, "direct")) {
		on = nbdkit_parse_bool(value);
		if (on < 0)
			return -1;
		plugin.wish.direct_io = on;
	} else {
		nbdkit_error("unknown parameter '%s'", key);
		return -1;
	}
	return 0;
}

static int ndm_plugin_config_complete(void)
{
	if (!plugin.wish.table && !plugin.wish.yaml) {
		nbdkit_error("say what to serve: table='0 2048 linear /path 0' or yaml=FILE");
		return -1;
	}
	return 0;
}

#define ndm_plugin_config_help \
	"table=<TABLE>         Lines of a device-mapper table, as for dmsetup create;\n" \
	"                      may be given several times, a line each.\n" \
	"yaml=<FILE>           Volumes declared in YAML (see ndm.yaml(5)).\n" \
	"export=<NAME>         The volume that clients get who name none.\n" \
	"direct=<BOOL>         Open backing files with O_DIRECT (default: false)."

static int name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void dump_targets(void)
{
	const struct ndm_target_type *const *types = ndm_target_types();
	const char **names;
	size_t n = 0, i;

	while (types[n])
		n++;
	names = calloc(n, sizeof *names);
	for (i = 0; names && i < n; i++)
		names[i] = types[i]->name;
	if (names)
		qsort(names, n, sizeof *names, name_order);
	printf("ndm_targets=");
	for (i = 0; names && i < n; i++)
		printf("%s%s", i ? " " : "", names[i]);
	free(names);
}

static void ndm_plugin_dump(void)
{
	dump_targets();
	printf("\nndm_version=%s\nndm_yaml=yes\n", PACKAGE_VERSION);
}

/* ---- life ---- */

static struct host *build(void)
{
	struct ndm_str why = { 0 };
	struct host *h = host_new(&plugin.wish, &why);
	char *line, *save = NULL;

	if (!h)
		for (line = strtok_r(why.text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			nbdkit_error("%s", line);
	ndm_str_free(&why);
	return h;
}

static int ndm_plugin_get_ready(void)
{
	struct host *trial = build();

	if (!trial)
		return -1;
	host_free(trial);
	plugin.started_in = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

/* In the background nbdkit is in /: tables go on to mean what they did when they were tried. */
static int ndm_plugin_after_fork(void)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (plugin.started_in >= 0 && fchdir(plugin.started_in))
		nbdkit_debug("ndm: fchdir: %s", strerror(errno));
	plugin.host = build();
	if (here >= 0 && fchdir(here))
		nbdkit_debug("ndm: fchdir: %s", strerror(errno));
	if (here >= 0)
		close(here);
	return plugin.host ? 0 : -1;
}

static void ndm_plugin_cleanup(void)
{
	host_free(plugin.host);
	plugin.host = NULL;
}

static void ndm_plugin_unload(void)
{
	host_free(plugin.host);			/* an nbdkit without .cleanup */
	ndm_str_free(&plugin.table);
	free(plugin.yaml);
	if (plugin.started_in >= 0)
		close(plugin.started_in);
}

/* ---- exports ---- */

struct listing { struct nbdkit_exports *exports; int err; };

static void list_one(void *arg, const char *name, const char *description)
{
	struct listing *l = arg;

	if (!l->err)
		l->err = nbdkit_add_export(l->exports, name, description);
}

static int ndm_plugin_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
	struct listing l = { .exports = exports };

	(void)readonly;
	(void)is_tls;
	host_each(plugin.host, list_one, &l);
	return l.err;
}

static const char *ndm_plugin_default_export(int readonly, int is_tls)
{
	const char *name = host_export(plugin.host, "");

	(void)readonly;
	(void)is_tls;
	return name ? name : "";
}

/* ---- connections ---- */

static void *ndm_plugin_open(int readonly)
{
	const char *asked = nbdkit_export_name();
	const char *name = host_export(plugin.host, asked ? asked : "");
	struct ndm_opener *opener;
	int err;

	if (!name) {
		nbdkit_error(asked && *asked ? "there is no volume '%s'"
					     : "%sthere are several volumes: name one", asked ? asked : "");
		return NULL;
	}
	opener = host_open(plugin.host, name, readonly, "nbdkit", &err);
	if (!opener)
		nbdkit_error("volume '%s': %s", name, strerror(-err));
	return opener;
}

static void ndm_plugin_close(void *handle)
{
	host_close(plugin.host, handle);
}

static const char *ndm_plugin_description(void *handle)
{
	const char *asked = nbdkit_export_name();
	const char *name = host_export(plugin.host, asked ? asked : "");

	(void)handle;
	return name ? host_description(plugin.host, name) : NULL;
}

static const struct ndm_limits *limits(void *handle)
{
	return &ndm_opener_store(handle)->limits;
}

static int64_t ndm_plugin_get_size(void *handle)
{
	return (int64_t)(ndm_opener_store(handle)->nr * NDM_SECTOR_BYTES);
}

static int ndm_plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
				 uint32_t *maximum)
{
	const struct ndm_limits *l = limits(handle);
	uint32_t best = l->io_opt_bytes ? l->io_opt_bytes : 4096;

	if (best < l->physical_block_bytes)
		best = l->physical_block_bytes;
	if (best > 32u << 20 || (best & (best - 1)))
		best = l->physical_block_bytes > 4096 ? l->physical_block_bytes : 4096;
	*minimum = 1;				/* the core cuts what is not aligned */
	*preferred = best;
	*maximum = REQUEST_MAX_BYTES;
	return 0;
}

static int ndm_plugin_can_write(void *handle)
{
	return !limits(handle)->read_only;
}

static int ndm_plugin_yes(void *handle)
{
	(void)handle;
	return 1;
}

static int ndm_plugin_can_trim(void *handle)
{
	return limits(handle)->max_discard_sectors != 0;
}

/* Where a layer cannot, nbdkit writes zeroes. */
static int ndm_plugin_can_zero(void *handle)
{
	return limits(handle)->max_zeroes_sectors != 0;
}

static int ndm_plugin_can_extents(void *handle)
{
	return limits(handle)->extents;
}

static int ndm_plugin_can_fast_zero(void *handle)
{
	return limits(handle)->fast_zeroes;
}

static int ndm_plugin_is_rotational(void *handle)
{
	return limits(handle)->rotational;
}

static int ndm_plugin_can_fua(void *handle)
{
	return limits(handle)->fua ? NBDKIT_FUA_NATIVE : NBDKIT_FUA_EMULATE;
}

static int ndm_plugin_can_cache(void *handle)
{
	return limits(handle)->cache ? NBDKIT_CACHE_NATIVE : NBDKIT_CACHE_NONE;
}

/* ---- data ---- */

/* what NBD cannot say is EIO (nbdkit would make EINVAL of it) */
static int answer(int err)
{
	if (!err)
		return 0;
	switch (-err) {
	case EPERM: case ENOMEM: case ENOSPC: case ESHUTDOWN: case EINVAL:
		nbdkit_set_error(-err);
		break;
	case EOPNOTSUPP:
		nbdkit_set_error(ENOTSUP);
		break;
	default:
		nbdkit_set_error(EIO);
	}
	return -1;
}

static unsigned flags_of(uint32_t nbdkit)
{
	return (nbdkit & NBDKIT_FLAG_FUA ? NDM_FUA : 0) |
	       (nbdkit & NBDKIT_FLAG_FAST_ZERO ? NDM_FAST : 0);
}

static int ndm_plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return answer(host_io(plugin.host, handle, NDM_READ, 0, buf, offset, count, NULL));
}

static int ndm_plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			     uint32_t flags)
{
	return answer(host_io(plugin.host, handle, NDM_WRITE, flags_of(flags), (void *)buf, offset,
			      count, NULL));
}

static int ndm_plugin_flush(void *handle, uint32_t flags)
{
	(void)flags;
	return answer(host_io(plugin.host, handle, NDM_FLUSH, 0, NULL, 0, 0, NULL));
}

static int ndm_plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return answer(host_io(plugin.host, handle, NDM_DISCARD, flags_of(flags), NULL, offset, count,
			      NULL));
}

static int ndm_plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	unsigned keep = flags & NBDKIT_FLAG_MAY_TRIM ? 0 : NDM_NOUNMAP;

	return answer(host_io(plugin.host, handle, NDM_ZEROES, flags_of(flags) | keep, NULL, offset,
			      count, NULL));
}

static int ndm_plugin_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return answer(host_io(plugin.host, handle, NDM_CACHE, 0, NULL, offset, count, NULL));
}

static int extents_add(struct nbdkit_extents *to, const struct ndm_extents *from, uint64_t offset,
		       uint32_t count)
{
	unsigned i;

	for (i = 0; i < from->n; i++) {
		const struct ndm_extent *e = &from->list[i];
		uint32_t type = (e->type & NDM_EXTENT_HOLE ? NBDKIT_EXTENT_HOLE : 0) |
				(e->type & NDM_EXTENT_ZERO ? NBDKIT_EXTENT_ZERO : 0);

		if (nbdkit_add_extent(to, e->sector * NDM_SECTOR_BYTES, e->nr * NDM_SECTOR_BYTES,
				      type) == -1)
			return -1;
	}
	return from->n ? 0 : nbdkit_add_extent(to, offset, count, 0);
}

static int ndm_plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			      struct nbdkit_extents *out)
{
	struct ndm_extents found = { 0 };
	uint64_t first = offset / NDM_SECTOR_BYTES * NDM_SECTOR_BYTES;
	uint64_t block = limits(handle)->logical_block_bytes;
	int err;

	(void)flags;
	err = answer(host_io(plugin.host, handle, NDM_EXTENTS, 0, NULL, offset, count, &found));
	if (!err) {
		ndm_extents_finish(&found, first / block * block / NDM_SECTOR_BYTES);
		err = extents_add(out, &found, offset, count);
	}
	ndm_extents_free(&found);
	return err;
}

static struct nbdkit_plugin plugin_ndm = {
	.name = "ndm",
	.longname = "ndm network device mapper",
	.version = PACKAGE_VERSION,
	.description = "Linux device-mapper targets in user space",
	.unload = ndm_plugin_unload,
	.config = ndm_plugin_config,
	.config_complete = ndm_plugin_config_complete,
	.config_help = ndm_plugin_config_help,
	.magic_config_key = "table",
	.dump_plugin = ndm_plugin_dump,
	.get_ready = ndm_plugin_get_ready,
	.after_fork = ndm_plugin_after_fork,
	.cleanup = ndm_plugin_cleanup,
	.list_exports = ndm_plugin_list_exports,
	.default_export = ndm_plugin_default_export,
	.open = ndm_plugin_open,
	.close = ndm_plugin_close,
	.export_description = ndm_plugin_description,
	.get_size = ndm_plugin_get_size,
	.block_size = ndm_plugin_block_size,
	.can_write = ndm_plugin_can_write,
	.can_flush = ndm_plugin_yes,
	.can_trim = ndm_plugin_can_trim,
	.can_zero = ndm_plugin_can_zero,
	.can_fast_zero = ndm_plugin_can_fast_zero,
	.can_extents = ndm_plugin_can_extents,
	.can_fua = ndm_plugin_can_fua,
	.can_cache = ndm_plugin_can_cache,
	.can_multi_conn = ndm_plugin_yes,
	.is_rotational = ndm_plugin_is_rotational,
	.pread = ndm_plugin_pread,
	.pwrite = ndm_plugin_pwrite,
	.flush = ndm_plugin_flush,
	.trim = ndm_plugin_trim,
	.zero = ndm_plugin_zero,
	.cache = ndm_plugin_cache,
	.extents = ndm_plugin_extents,
	.errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin_ndm)
