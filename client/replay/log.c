/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - reads a log of dm-log-writes.  On disk, little-endian, in units of the device's
 * logical block: a superblock (magic, version 1, number of entries, bytes of a unit); then for
 * each entry a unit with sector, nr, flags, length of text, text; then nr units of data, unless
 * it is a discard.  Nothing in it is believed unseen.
 */
#include "replay.h"
#include "client/bytes.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC UINT64_C(0x6a736677736872)
#define HEADER_BYTES 32
#define UNIT_MAX 65536u

static bool read_at(const struct log *log, void *buf, size_t bytes, uint64_t at)
{
	ssize_t n = pread(log->fd, buf, bytes, (off_t)at);

	return n >= 0 && (size_t)n == bytes;
}

static bool superblock_read(struct log *log, uint64_t *entries)
{
	unsigned char super[28];
	uint32_t unit;

	if (!read_at(log, super, sizeof(super), 0) || le64_get(super) != LOG_MAGIC) {
		say("%s: no log of dm-log-writes; or the log was full, or never closed.", log->path);
		return false;
	}
	if (le64_get(super + 8) != 1) {
		say("%s: version %" PRIu64 " of the log is not known.", log->path,
		    le64_get(super + 8));
		return false;
	}
	memcpy(&unit, super + 24, sizeof(unit));
	log->unit_bytes = le32toh(unit);
	if (log->unit_bytes < 512 || log->unit_bytes > UNIT_MAX ||
	    log->unit_bytes & (log->unit_bytes - 1)) {
		say("%s: a sector of %u bytes makes no sense.", log->path, log->unit_bytes);
		return false;
	}
	*entries = le64_get(super + 16);
	return true;
}

bool log_has_data(const struct entry *e)
{
	return e->nr && !(e->flags & (LOG_DISCARD | LOG_MARK));
}

static bool entry_decode(struct log *log, const unsigned char *unit, uint64_t room, struct entry *e)
{
	uint64_t text = le64_get(unit + 24), per = log->unit_bytes / 512;

	*e = (struct entry){ .sector = le64_get(unit), .nr = le64_get(unit + 8),
			     .flags = le64_get(unit + 16) };
	if (e->sector > UINT64_MAX / 65536 / per || e->nr > UINT64_MAX / 65536 / per)
		return false;
	e->sector *= per;
	e->nr *= per;
	if (log_has_data(e) && e->nr > room / 512)
		return false;
	if (!(e->flags & LOG_MARK))
		return true;
	if (text > log->unit_bytes - HEADER_BYTES)
		return false;
	e->mark = strndup((const char *)unit + HEADER_BYTES, text);
	return e->mark != NULL;
}

static bool entries_read(struct log *log, uint64_t count, uint64_t size)
{
	unsigned char *unit = malloc(log->unit_bytes);
	uint64_t at = log->unit_bytes, room = 0;
	struct entry *e;

	while (unit && log->nr < count) {
		if (log->nr == room) {
			void *more = realloc(log->entries, (2 * room + 256) * sizeof(*e));

			if (!more)
				break;
			log->entries = more;
			room = 2 * room + 256;
		}
		e = &log->entries[log->nr];
		if (!read_at(log, unit, log->unit_bytes, at) ||
		    !entry_decode(log, unit, size - at - log->unit_bytes, e))
			break;
		at += log->unit_bytes;
		e->at_bytes = at;
		if (log_has_data(e))
			at += e->nr * 512;
		if (e->nr && !(e->flags & LOG_MARK) && e->sector + e->nr > log->end_sector)
			log->end_sector = e->sector + e->nr;
		log->nr++;
	}
	free(unit);
	if (log->nr == count)
		return true;
	say("%s: entry %" PRIu64 " of %" PRIu64 " is damaged or cut off.", log->path, log->nr, count);
	return false;
}

bool log_open(struct log *log, const char *path)
{
	uint64_t count;
	off_t size;

	*log = (struct log){ .path = strdup(path), .fd = open(path, O_RDONLY | O_CLOEXEC) };
	size = log->fd < 0 ? -1 : lseek(log->fd, 0, SEEK_END);
	if (size < 0) {
		say("%s: %s", path, strerror(errno));
		return false;
	}
	return superblock_read(log, &count) && entries_read(log, count, (uint64_t)size);
}

void log_close(struct log *log)
{
	uint64_t i;

	for (i = 0; i < log->nr; i++)
		free(log->entries[i].mark);
	free(log->entries);
	free(log->path);
	if (log->fd >= 0)
		close(log->fd);
}

uint64_t log_find_mark(const struct log *log, uint64_t from, const char *mark)
{
	while (from < log->nr &&
	       (!log->entries[from].mark || strcmp(log->entries[from].mark, mark)))
		from++;
	return from;
}

void log_print(const struct log *log, uint64_t i, FILE *out)
{
	const struct entry *e = &log->entries[i];

	fprintf(out, "%" PRIu64, i);
	if (e->mark)
		fprintf(out, "  mark \"%s\"", e->mark);
	else if (e->nr)
		fprintf(out, "  sector %" PRIu64 " +%" PRIu64, e->sector, e->nr);
	if (e->flags & LOG_FLUSH)
		fputs("  FLUSH", out);
	if (e->flags & LOG_FUA)
		fputs("  FUA", out);
	if (e->flags & LOG_DISCARD)
		fputs("  DISCARD", out);
	if (e->flags & LOG_METADATA)
		fputs("  METADATA", out);
	fputc('\n', out);
}
