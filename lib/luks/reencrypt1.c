/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt1.c - LUKS1: another key or cipher for data that is there, its first, or none any more, as
 * cryptsetup does it: the headers of before and after lie in files, and a log says how far it is.
 *
 * The log is text, padded to 512 bytes: version (2), UUID, direction (0 forward, 1 backward), mode (0
 * reencrypt, 1 encrypt, 2 decrypt), offset - bytes of data that are done, or backward those that are
 * left -, shift (0); lines that begin with # say nothing.
 *
 * cryptsetup cannot go on after it was killed within a zone that stays in its place: nobody knows
 * which of its sectors are under which key.  So such a zone is copied behind the log first, at 4096,
 * and while it is at work the log says "version = 3" and "hot = BYTES", which cryptsetup refuses to
 * work with; in all other states either may go on where the other was.  A zone that moves by its
 * own length or more is still there to be read again.
 *
 *	1. the zone behind the log; sync		} only in place
 *	2. the log says that it is at work; sync	}
 *	3. it is decrypted, encrypted, written; sync
 *	4. the log says that it is done; sync
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kit/crypt.h"
#include "lib/luks/reencrypt.h"

#define LOG_BYTES 512
#define COPY_AT 4096			/* in the log's file */
#define ZONE_MAX (4u << 20)
#define ALIGN 4096u
#define MOVE_LEAST (64u << 10)		/* moved by less, zones would be too small to be of use */

#define COMPLAIN(c, err, ...) (snprintf((c)->why, sizeof (c)->why, __VA_ARGS__), (err))

/* ---- the log ---- */

static int log_write(struct ndm_luks1_change *c)
{
	char text[LOG_BYTES] = "", hot[48] = "";
	int err, n;

	if (c->hot)
		snprintf(hot, sizeof hot, "hot = %" PRIu64 "\n", c->hot);
	n = snprintf(text, sizeof text, "# LUKS reencryption log, DO NOT EDIT OR DELETE.\n"
		     "version = %d\nUUID = %s\ndirection = %d\nmode = %d\noffset = %" PRIu64 "\nshift = 0\n"
		     "%s# device = %" PRIu64 "\n# EOF\n", c->hot ? 3 : 2, c->uuid, c->backward,
		     c->how == NDM_LUKS_ENCRYPT ? 1 : c->how == NDM_LUKS_DECRYPT ? 2 : 0, c->offset, hot,
		     c->data->bytes);
	if (n >= LOG_BYTES)
		return COMPLAIN(c, -EINVAL, "the log would be too long");
	err = c->log->write(c->log, 0, text, sizeof text);
	err = err ? err : c->log->sync(c->log);
	return err ? COMPLAIN(c, err, "cannot write the log: %s", strerror(-err)) : 0;
}

static int log_line(struct ndm_luks1_change *c, const char *line)
{
	uint64_t value;
	char uuid[41];

	if (sscanf(line, "# device = %" SCNu64, &value) == 1)
		return value == c->data->bytes ? 0 : -EMEDIUMTYPE;
	if (*line == '#' || !*line)
		return 0;
	if (sscanf(line, "UUID = %40s", uuid) == 1)
		return strcmp(uuid, c->uuid) ? -EINVAL : 1;
	if (sscanf(line, "offset = %" SCNu64, &c->offset) == 1 || sscanf(line, "hot = %" SCNu64, &c->hot) == 1)
		return 0;
	if (sscanf(line, "shift = %" SCNu64, &value) == 1)
		return value ? -EINVAL : 0;
	if (sscanf(line, "version = %" SCNu64, &value) == 1)
		return value < 1 || value > 3 ? -EINVAL : 0;
	if (sscanf(line, "direction = %" SCNu64, &value) == 1 && value < 2) {
		c->backward = value;
		return 0;
	}
	if (sscanf(line, "mode = %" SCNu64, &value) == 1 && value < 3) {
		c->how = value == 1 ? NDM_LUKS_ENCRYPT : value == 2 ? NDM_LUKS_DECRYPT : NDM_LUKS_REENCRYPT;
		return 0;
	}
	return -EINVAL;
}

int ndm_luks1_load(struct ndm_luks1_change *c)
{
	char text[LOG_BYTES + 1], *line, *next;
	int err = c->log->read(c->log, 0, text, LOG_BYTES);
	bool known = false;

	if (err)
		return COMPLAIN(c, err, "cannot read the log: %s", strerror(-err));
	text[LOG_BYTES] = 0;
	c->hot = 0;
	c->offset = UINT64_MAX;
	for (line = text; err >= 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		err = log_line(c, line);
		known |= err > 0;
	}
	if (err == -EMEDIUMTYPE)
		return COMPLAIN(c, -EINVAL, "the log is that of a device of another size");
	return err < 0 || !known ? COMPLAIN(c, -EINVAL, "the log makes no sense") : 0;
}

/* ---- where things are ---- */

static uint64_t place(const struct ndm_luks *l)
{
	return l ? (uint64_t)l->payload_sector << 9 : 0;
}

static uint64_t distance(const struct ndm_luks1_change *c)
{
	uint64_t a = place(c->old), b = place(c->fresh);

	return a > b ? a - b : b - a;
}

static int total_of(struct ndm_luks1_change *c, uint64_t *total)
{
	uint64_t at = place(c->how == NDM_LUKS_DECRYPT ? c->old : c->fresh);

	if (at >= c->data->bytes || place(c->old) >= c->data->bytes)
		return COMPLAIN(c, -EINVAL, "the data would begin past the end of the device");
	*total = (c->data->bytes - at) & ~(uint64_t)511;
	if (c->bytes && (c->bytes > *total || c->bytes % 512))
		return COMPLAIN(c, -EINVAL, "the device does not hold so much data");
	*total = c->bytes ? c->bytes : *total;
	if (c->backward && c->offset == UINT64_MAX)	/* cryptsetup, before it began */
		c->offset = *total;
	if (c->offset > *total || c->hot > (c->backward ? c->offset : *total - c->offset) || c->hot > 1u << 30)
		return COMPLAIN(c, -EINVAL, "the log says more than there is on the device");
	if (c->backward != (place(c->fresh) > place(c->old)))
		return COMPLAIN(c, -EINVAL, "the log's direction is not that of the headers");
	return 0;
}

int ndm_luks1_begin(struct ndm_luks1_change *c)
{
	uint64_t total;
	int err;

	c->backward = place(c->fresh) > place(c->old);
	c->hot = c->offset = 0;
	err = total_of(c, &total);
	if (err)
		return err;
	if (c->keep ? !c->backward : c->backward)
		c->offset = total;
	return log_write(c);
}

/* ---- one zone ---- */

struct zone {
	struct ndm_luks1_change *c;
	struct ndm_crypt *old, *fresh;		/* NULL: plain */
	uint8_t *bytes;
	uint64_t at;				/* of the data */
	size_t n;
};

static int cipher_of(struct ndm_luks1_change *c, struct ndm_luks *l, const uint8_t *key, size_t bytes,
		     struct ndm_crypt **out)
{
	int err = l && !luks_cipher_null(l->segment[0].cipher)
		? luks_crypt_make(l, &l->segment[0], key, bytes, out) : 0;

	return err ? COMPLAIN(c, err, "%s", ndm_luks_why(l)) : 0;
}

static uint64_t zone_size(const struct ndm_luks1_change *c, uint64_t most)
{
	uint64_t n = most && most < ZONE_MAX ? (most + ALIGN - 1) / ALIGN * ALIGN : ZONE_MAX;
	uint64_t far = distance(c);

	return far >= MOVE_LEAST && n > far ? far / ALIGN * ALIGN : n;
}

static int zone_make(struct zone *z, uint64_t most, uint64_t total)
{
	struct ndm_luks1_change *c = z->c;
	uint64_t left = c->backward ? c->offset : total - c->offset, n = zone_size(c, most);
	int err = cipher_of(c, c->old, c->keys.old, c->keys.old_bytes, &z->old);

	n = c->hot ? c->hot : n < left ? n : left;
	z->n = n;
	z->at = c->backward ? c->offset - n : c->offset;
	err = err ? err : cipher_of(c, c->fresh, c->keys.fresh, c->keys.fresh_bytes, &z->fresh);
	z->bytes = err ? NULL : ndm_zalloc(n ? n : 1);
	return err ? err : z->bytes ? 0 : COMPLAIN(c, -ENOMEM, "no memory for a zone");
}

static void zone_end(struct zone *z)
{
	ndm_crypt_free(z->old);
	ndm_crypt_free(z->fresh);
	if (z->bytes)
		ndm_secret_wipe(z->bytes, z->n);
	ndm_free(z->bytes);
}

static int zone_read(struct zone *z)
{
	struct ndm_luks1_change *c = z->c;
	uint64_t from = place(c->old) + z->at;
	int err;

	if (c->hot) {
		err = c->log->read(c->log, COPY_AT, z->bytes, z->n);
		return err ? COMPLAIN(c, err, "cannot read what was at work: %s", strerror(-err)) : 0;
	}
	err = c->data->read(c->data, from, z->bytes, z->n);
	if (err)
		return COMPLAIN(c, err, "cannot read data at byte %" PRIu64 ": %s", from, strerror(-err));
	if (distance(c) >= z->n)
		return 0;
	err = c->log->write(c->log, COPY_AT, z->bytes, z->n);
	err = err ? err : c->log->sync(c->log);
	if (err)
		return COMPLAIN(c, err, "cannot save what is at work: %s", strerror(-err));
	c->hot = z->n;
	return log_write(c);
}

static int zone_turn(struct zone *z)
{
	struct ndm_crypt_run run = { .sector = z->at >> 9, .in = z->bytes, .out = z->bytes, .bytes = z->n };
	struct ndm_luks1_change *c = z->c;
	uint64_t to = place(c->fresh) + z->at;
	int err = z->old ? ndm_crypt_run(z->old, 0, &run) : 0;

	run.encrypt = true;
	err = err || !z->fresh ? err : ndm_crypt_run(z->fresh, 0, &run);
	if (err)
		return COMPLAIN(c, err, "encryption failed: %s", strerror(-err));
	err = c->data->write(c->data, to, z->bytes, z->n);
	err = err ? err : c->data->sync(c->data);
	return err ? COMPLAIN(c, err, "cannot write data at byte %" PRIu64 ": %s", to, strerror(-err)) : 0;
}

static int zone_do(struct zone *z)
{
	struct ndm_luks1_change *c = z->c;
	int err = zone_read(z);

	err = err ? err : zone_turn(z);
	if (err)
		return err;
	c->hot = 0;
	c->offset += c->backward ? -(uint64_t)z->n : z->n;
	return log_write(c);
}

int ndm_luks1_step(struct ndm_luks1_change *c, uint64_t most, uint64_t *done, uint64_t *total)
{
	struct zone z = { .c = c };
	int err = total_of(c, total);

	if (err)
		return err;
	if (c->backward ? c->offset : *total - c->offset) {
		err = zone_make(&z, most, *total);
		err = err ? err : zone_do(&z);
		zone_end(&z);
	}
	if (err)
		return err;
	*done = c->backward ? *total - c->offset : c->offset;
	return *done < *total;
}

bool ndm_luks1_done(const struct ndm_luks1_change *c)
{
	uint64_t total = 0;
	struct ndm_luks1_change copy = *c;

	return !total_of(&copy, &total) && copy.offset == (c->backward ? 0 : total);
}

/* ---- the header that was, or shall be, on the device ---- */

static int zeroes_write(struct ndm_luks_io *to, uint64_t at, uint64_t end)
{
	uint8_t *zeroes = ndm_zalloc(1u << 16);
	int err = zeroes ? 0 : -ENOMEM;

	for (; at < end && !err; at += 1u << 16)
		err = to->write(to, at, zeroes, end - at < 1u << 16 ? end - at : 1u << 16);
	ndm_free(zeroes);
	return err;
}

/* What is left of the cipher text behind data that is plain now. */
int ndm_luks1_clear(struct ndm_luks1_change *c)
{
	uint64_t total = 0;
	int err = total_of(c, &total);

	err = err ? err : zeroes_write(c->data, total, c->data->bytes);
	err = err ? err : c->data->sync(c->data);
	return err ? COMPLAIN(c, err, "cannot clear the end of the device: %s", strerror(-err)) : 0;
}

/*
 * The keyslots, then zeroes up to the data - plain text may be there -, then what makes a header of
 * it: until then the device is none of LUKS.
 */
int ndm_luks1_install(struct ndm_luks1_change *c, struct ndm_luks_io *device)
{
	uint64_t bytes = ndm_luks_header_bytes(c->fresh), at;
	struct ndm_luks_io *from = c->fresh->io;
	uint8_t *page = ndm_zalloc(4096);
	int err = page ? 0 : -ENOMEM;

	if (bytes > device->bytes || (place(c->fresh) && device == c->data && bytes > place(c->fresh)))
		err = -ENOSPC;
	for (at = 4096; at < bytes && !err; at += 4096) {
		err = from->read(from, at, page, 4096);
		err = err ? err : device->write(device, at, page, 4096);
	}
	if (!err && device == c->data && place(c->fresh) > place(c->old))
		err = zeroes_write(device, bytes, place(c->fresh));
	err = err ? err : device->sync(device);
	err = err ? err : from->read(from, 0, page, 4096);
	err = err ? err : device->write(device, 0, page, 4096);
	err = err ? err : device->sync(device);
	ndm_free(page);
	return err ? COMPLAIN(c, err, "cannot write the new header: %s", strerror(-err)) : 0;
}

/* Nobody shall open it with one key alone: the magic's last bytes, as cryptsetup has them then. */
int ndm_luks1_mark(struct ndm_luks_io *device)
{
	uint8_t sector[512];
	int err = device->read(device, 0, sector, sizeof sector);

	memcpy(sector + 4, "\xde\xad", 2);
	err = err ? err : device->write(device, 0, sector, sizeof sector);
	return err ? err : device->sync(device);
}

bool ndm_luks1_marked(struct ndm_luks_io *device, char uuid[41])
{
	uint8_t first[592];

	if (device->bytes < sizeof first || device->read(device, 0, first, sizeof first) ||
	    memcmp(first, "LUKS\xde\xad\0\1", 8) || !luks_plain_text((char *)first + 168, 40))
		return false;
	memcpy(uuid, first + 168, 40);
	uuid[40] = 0;
	return true;
}
