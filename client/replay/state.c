/* SPDX-License-Identifier: BSD-2-Clause */
/* state.c - makes images: of the base, of states over it. */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#define PIECE_BYTES (1u << 20)

bool state_omits(const struct state *state, uint64_t i)
{
	size_t low = 0, high = state->nr_omit;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (state->omit[middle] < i)
			low = middle + 1;
		else
			high = middle;
	}
	return low < state->nr_omit && state->omit[low] == i;
}

static bool complain(const char *name)
{
	say("%s: %s", name, strerror(errno));
	return false;
}

static bool write_all(int fd, const char *buf, size_t bytes, uint64_t at)
{
	while (bytes) {
		ssize_t n = pwrite(fd, buf, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		at += (size_t)n;
		bytes -= (size_t)n;
	}
	return true;
}

/* Copies bytes between files; a source that ends early reads as zeroes. */
static bool copy_range(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t bytes,
		       char *buf)
{
	while (bytes) {
		size_t piece = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
		ssize_t n = from < 0 ? 0 : pread(from, buf, piece, (off_t)from_at);

		if (n < 0)
			return false;
		if ((size_t)n < piece)
			memset(buf + n, 0, piece - (size_t)n);
		if (!write_all(to, buf, piece, to_at))
			return false;
		from_at += piece;
		to_at += piece;
		bytes -= piece;
	}
	return true;
}

static bool entry_apply(const struct image_source *src, const struct entry *e, int fd, char *buf)
{
	if (e->flags & LOG_DISCARD) {
		if (src->no_discard || !e->nr ||
		    !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       (off_t)e->sector * 512, (off_t)e->nr * 512))
			return true;
		return copy_range(-1, 0, fd, e->sector * 512, e->nr * 512, buf);
	}
	if (!log_has_data(e))
		return true;
	return copy_range(src->log->fd, e->at_bytes, fd, e->sector * 512, e->nr * 512, buf);
}

bool entries_apply(const struct image_source *src, uint64_t from, const struct state *state,
		   int fd, const char *name)
{
	char *buf = malloc(PIECE_BYTES);
	bool ok = buf != NULL;

	for (; ok && from < state->end; from++)
		if (!state_omits(state, from))
			ok = entry_apply(src, &src->log->entries[from], fd, buf);
	free(buf);
	return ok ? true : complain(name);
}

/* What is a hole stays one. */
static bool copy_data(int from, int to, uint64_t size)
{
	char *buf = malloc(PIECE_BYTES);
	off_t at = 0, end;
	bool ok = buf != NULL;

	while (ok && (uint64_t)at < size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			break;
		end = at < 0 ? -1 : lseek(from, at, SEEK_HOLE);
		if (at < 0 || end < 0) {		/* a device, say */
			at = 0;
			end = (off_t)size;
		}
		ok = copy_range(from, (uint64_t)at, to, (uint64_t)at, (uint64_t)(end - at), buf);
		at = end;
	}
	free(buf);
	return ok;
}

bool image_copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
	off_t size = in < 0 ? -1 : lseek(in, 0, SEEK_END);
	bool ok = size >= 0;

	if (!ok)
		complain(from);
	else
		out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (ok && (out < 0 || (ioctl(out, FICLONE, in) && (ftruncate(out, size) ||
							   !copy_data(in, out, (uint64_t)size)))))
		ok = complain(to);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return ok;
}

/* The base, or zeroes; as long as the log's last write at least. */
bool image_from_base(const struct image_source *src, const char *path)
{
	off_t most = (off_t)src->log->end_sector * 512;
	struct stat st = { 0 };
	int fd;
	bool ok;

	if (src->base && !image_copy(src->base, path))
		return false;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ok = fd >= 0 && !fstat(fd, &st) && (st.st_size >= most || !ftruncate(fd, most));
	if (!ok)
		complain(path);
	if (fd >= 0)
		close(fd);
	return ok;
}
