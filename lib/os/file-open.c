/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file-open.c - opens a regular file or a block device and finds out what it can do.
 *
 * Spec: a path, or "file:PATH[?direct=0|1]".  A plain path is taken literally, question marks
 * and all.  Opening and asking happen on a worker: a disk may have to spin up, a network file
 * system may not answer.
 *
 * A size that is no multiple of the logical block is rounded down, as the kernel's loop
 * device does.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"

#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42
#endif
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif

struct file_opening {
	struct file_store *f;
	char *path;
	unsigned mode;
	bool direct;
	bool direct_asked;			/* by this spec: then it must work */
	struct ndm_str *why;
};

/* ---- spec ---- */

static int spec_option(struct file_opening *o, const char *option)
{
	if (!strcmp(option, "direct=1") || !strcmp(option, "direct=0")) {
		o->direct = option[7] == '1';
		o->direct_asked = true;
		return 0;
	}
	ndm_printf(o->why, "a file has no option '%s' (there is direct=0 and direct=1)", option);
	return -EINVAL;
}

static int spec_parse(struct file_opening *o, const char *spec)
{
	bool scheme = !strncmp(spec, "file:", 5);
	char *option, *next;
	int err = 0;

	o->path = ndm_strdup(scheme ? spec + 5 : spec);
	if (!o->path)
		return -ENOMEM;
	option = scheme ? strchr(o->path, '?') : NULL;
	if (option)
		*option++ = '\0';
	for (; option && !err; option = next) {
		next = strchr(option, '&');
		if (next)
			*next++ = '\0';
		err = spec_option(o, option);
	}
	if (!err && !*o->path) {
		ndm_printf(o->why, "the name of the file is empty");
		err = -ENOENT;
	}
	return err;
}

/* ---- limits: all on the worker ---- */

/* A number from a block device's queue folder in sysfs; a partition's is its disk's. */
static uint64_t queue_number(uint32_t major, uint32_t minor, const char *name)
{
	static const char *const where[] = { "", "../" };
	unsigned long long value = 0;
	char path[128];
	unsigned i;
	FILE *file;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%squeue/%s", major, minor,
			 where[i], name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &value) != 1)
			value = 0;
		fclose(file);
		break;
	}
	return value;
}

static uint32_t power_of_2_or(uint64_t n, uint32_t otherwise)
{
	return n && n <= UINT32_MAX && !(n & (n - 1)) ? (uint32_t)n : otherwise;
}

static int limits_block(struct file_store *f, uint64_t *bytes, struct ndm_str *why)
{
	struct ndm_limits *l = &f->base.limits;
	uint32_t major = f->base.major, minor = f->base.minor;
	unsigned physical = 0;
	uint64_t discard;
	int logical = 0, read_only = 0;

	if (ioctl(f->fd, BLKGETSIZE64, bytes) || ioctl(f->fd, BLKSSZGET, &logical)) {
		int err = -errno;

		ndm_printf(why, "the block device does not tell its size");
		return err;
	}
	if (!ioctl(f->fd, BLKROGET, &read_only) && read_only)
		l->read_only = true;
	ioctl(f->fd, BLKPBSZGET, &physical);
	l->logical_block_bytes = power_of_2_or((uint64_t)logical, NDM_SECTOR_BYTES);
	l->physical_block_bytes = power_of_2_or(physical, l->logical_block_bytes);
	l->io_min_bytes = (uint32_t)queue_number(major, minor, "minimum_io_size");
	l->io_opt_bytes = (uint32_t)queue_number(major, minor, "optimal_io_size");
	l->rotational = queue_number(major, minor, "rotational");
	discard = queue_number(major, minor, "discard_max_bytes");
	f->can_punch = discard != 0;
	l->max_discard_sectors = discard / NDM_SECTOR_BYTES;
	l->discard_granularity_bytes = (uint32_t)queue_number(major, minor, "discard_granularity");
	l->fast_zeroes = queue_number(major, minor, "write_zeroes_max_bytes") != 0;
	f->can_zero_range = true;
	return 0;
}

/*
 * Whether holes can be punched, by punching one where there is nothing: past the end of the
 * file, which KEEP_SIZE leaves as it is.
 */
static bool punch_works(const struct file_store *f, const struct stat *st)
{
	off_t past = (st->st_size + 65535) & ~(off_t)65535;

	return !f->base.limits.read_only &&
	       !fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, past, 4096);
}

static void limits_regular(struct file_store *f, const struct stat *st)
{
	struct ndm_limits *l = &f->base.limits;
	uint32_t block = power_of_2_or((uint64_t)st->st_blksize, 4096);

	l->logical_block_bytes = NDM_SECTOR_BYTES;
	l->physical_block_bytes = block > 65536 ? 4096 : block;
	l->io_min_bytes = l->physical_block_bytes;
	f->can_punch = punch_works(f, st);
	f->can_zero_range = !f->memory;
	f->can_seek = true;
	l->extents = l->cache = true;
	if (f->can_punch) {
		l->max_discard_sectors = UINT32_MAX;
		l->discard_granularity_bytes = l->physical_block_bytes;
	}
	l->fast_zeroes = f->can_punch;
}

/* What O_DIRECT wants of buffers and offsets; statx knows since 6.1. */
static void limits_direct(struct file_store *f)
{
	struct ndm_limits *l = &f->base.limits;
	uint32_t offset_align = l->logical_block_bytes;

	f->memory_align = 4096;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
	    sx.stx_mask & STATX_DIOALIGN && sx.stx_dio_offset_align) {
		f->memory_align = power_of_2_or(sx.stx_dio_mem_align, 4096);
		offset_align = power_of_2_or(sx.stx_dio_offset_align, 4096);
	} else
#endif
	if (!f->block_device)
		offset_align = l->physical_block_bytes;	/* the file system's block always will do */
	if (offset_align > l->logical_block_bytes)
		l->logical_block_bytes = offset_align;
	if (l->physical_block_bytes < l->logical_block_bytes)
		l->physical_block_bytes = l->logical_block_bytes;
}

/* ---- opening: on the worker ---- */

static int open_fd(struct file_opening *o, bool direct)
{
	int flags = O_CLOEXEC | O_NOCTTY | (o->mode & NDM_OPEN_WRITE ? O_RDWR : O_RDONLY);
	int fd = open(o->path, flags | (direct ? O_DIRECT : 0));

	return fd < 0 ? -errno : fd;
}

static int open_why(const struct file_opening *o, int err)
{
	if (o->mode & NDM_OPEN_WRITE && (err == -EACCES || err == -EROFS || err == -EPERM))
		ndm_printf(o->why, "%s may not be written", o->path);
	else if (err == -EACCES)
		ndm_printf(o->why, "%s may not be read", o->path);
	return err;
}

/* Before the open, which would wait for ever on a FIFO. */
static int look(const struct file_opening *o)
{
	struct stat st;

	if (stat(o->path, &st))
		return -errno;
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	ndm_printf(o->why, "%s is neither a regular file nor a block device", o->path);
	return -ENOTBLK;
}

static int open_direct(struct file_opening *o)
{
	int fd = open_fd(o, o->direct);

	if (fd != -EINVAL || !o->direct)
		return fd;
	if (o->direct_asked) {
		ndm_printf(o->why, "the file system of %s cannot bypass the page cache", o->path);
		return fd;
	}
	o->direct = false;			/* the world's wish, not this file's */
	return open_fd(o, false);
}

static void kind_of_fs(struct file_store *f)
{
	struct statfs fs;

	f->write_inline = true;
	if (f->block_device || fstatfs(f->fd, &fs))
		return;
	switch ((uint32_t)fs.f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		f->memory = true;
		break;
	case NFS_SUPER_MAGIC:
	case FUSE_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
		f->write_inline = false;
		break;
	}
}

static int probe(struct file_opening *o)
{
	struct file_store *f = o->f;
	struct ndm_limits *l = &f->base.limits;
	struct stat st;
	uint64_t bytes;
	int err;

	if (fstat(f->fd, &st))
		return -errno;
	l->read_only = !(o->mode & NDM_OPEN_WRITE);
	l->fua = true;
	l->volatile_cache = true;
	l->max_zeroes_sectors = UINT32_MAX;
	f->block_device = S_ISBLK(st.st_mode);
	kind_of_fs(f);
	if (f->block_device) {
		f->base.major = major(st.st_rdev);
		f->base.minor = minor(st.st_rdev);
		f->base.identity[0] = st.st_rdev;
		f->base.identity[1] = UINT64_MAX;	/* no inode: any node of it is the same */
		err = limits_block(f, &bytes, o->why);
		if (err)
			return err;
	} else {
		f->base.identity[0] = st.st_dev;
		f->base.identity[1] = st.st_ino;
		bytes = (uint64_t)st.st_size;
		limits_regular(f, &st);
	}
	f->direct = o->direct && !f->memory;
	f->can_nowait = !f->direct;
	if (f->direct) {
		f->write_inline = false;
		limits_direct(f);
	}
	f->base.nr = (bytes & ~((uint64_t)l->logical_block_bytes - 1)) / NDM_SECTOR_BYTES;
	return 0;
}

static int opening_run(void *arg)
{
	struct file_opening *o = arg;
	int err = look(o);

	if (err)
		return open_why(o, err);
	o->f->fd = open_direct(o);
	if (o->f->fd < 0)
		return open_why(o, o->f->fd);
	err = probe(o);
	if (err)
		close(o->f->fd);
	else
		file_map(o->f);
	return err;
}

int file_open(struct ndm_loop *loop, const char *spec, unsigned mode, struct ndm_store **store,
	      struct ndm_str *why)
{
	struct file_opening o = {
		.mode = mode, .why = why, .direct = os_world(loop->world)->direct_io,
	};
	int err = spec_parse(&o, spec);

	o.f = ndm_zalloc(sizeof *o.f);
	if (!err && !o.f)
		err = -ENOMEM;
	if (!err) {
		o.f->base.loop = loop;
		err = ndm_offload(loop, opening_run, &o);
	}
	if (err)
		ndm_free(o.f);
	else
		*store = &o.f->base;
	ndm_free(o.path);
	return err;
}

struct growing { struct file_store *f; uint64_t bytes; };

static int grow_run(void *arg)
{
	struct growing *g = arg;
	struct stat st;

	if (g->f->block_device)
		return ioctl(g->f->fd, BLKGETSIZE64, &g->bytes) ? -errno : 0;
	if (fstat(g->f->fd, &st))
		return -errno;
	g->bytes = (uint64_t)st.st_size;
	return 0;
}

/* One that has become smaller is left alone: requests behind its end fail, that is all. */
void file_grow(struct ndm_store *s)
{
	struct growing g = { .f = file_of(s) };
	uint64_t nr;

	if (ndm_offload(s->loop, grow_run, &g))
		return;
	nr = (g.bytes & ~((uint64_t)s->limits.logical_block_bytes - 1)) / NDM_SECTOR_BYTES;
	if (nr > s->nr)
		s->nr = nr;
}

static int close_run(void *arg)
{
	struct file_store *f = arg;

	file_unmap(f);
	return close(f->fd) ? -errno : 0;
}

/* Closing can take long: the last close of a deleted file frees its blocks. */
void file_close(struct ndm_store *s)
{
	struct file_store *f = file_of(s);
	int err = ndm_offload(s->loop, close_run, f);

	if (err)
		ndm_log(s->loop->world, NDM_LOG_ERROR, "%s: closing failed: %s", s->name,
			strerror(-err));
	ndm_free(f);
}
