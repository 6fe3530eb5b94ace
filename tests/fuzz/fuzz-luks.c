/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-luks.c - LUKS headers of whatever origin: loaded, printed, asked for tables, changed.
 *
 * The first byte says what the rest is: a device as it stands, LUKS2's JSON (put into two
 * binary headers with good checksums, so that the fuzzer need not find a hash), or a LUKS1
 * header.  Keys are derived only where that is cheap.
 */
#include <stdlib.h>
#include <string.h>

#include <ndm-luks.h>

#include "lib/kit/hash.h"
#include "lib/luks/luks.h"

#define DISK_BYTES (1u << 20)
#define COPY_BYTES 16384u

struct memory { struct ndm_luks_io io; uint8_t *bytes; };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int memory_read(struct ndm_luks_io *io, uint64_t at, void *buf, size_t n)
{
	memcpy(buf, ((struct memory *)io)->bytes + at, n);
	return 0;
}

static int memory_write(struct ndm_luks_io *io, uint64_t at, const void *buf, size_t n)
{
	memcpy(((struct memory *)io)->bytes + at, buf, n);
	return 0;
}

static int memory_sync(struct ndm_luks_io *io)
{
	(void)io;
	return 0;
}

static void luks2_copy(uint8_t *at, const uint8_t *json, size_t n, bool second)
{
	struct ndm_hash *h;

	memcpy(at, second ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6);
	at[7] = 2;
	at[14] = COPY_BYTES >> 8;		/* of 64 bits, big-endian */
	at[23] = 1;
	memcpy(at + 72, "sha256", 6);
	memcpy(at + 168, "00000000-0000-4000-8000-000000000000", 36);
	at[262] = second ? COPY_BYTES >> 8 : 0;
	memcpy(at + 4096, json, n < COPY_BYTES - 4096 ? n : COPY_BYTES - 4096);
	if (ndm_hash_new("sha256", &h))
		abort();
	if (ndm_hash_one(h, at, COPY_BYTES, at + 448))
		abort();
	ndm_hash_free(h);
}

static bool cheap(struct ndm_luks *l)
{
	unsigned i;

	for (i = 0; i < l->nslots; i++)
		if (l->slot[i].kind == SLOT_KEY && (l->slot[i].iterations > 8 ||
		    l->slot[i].memory_kib > 256 || l->slot[i].lanes > 4 || l->slot[i].stripes > 64))
			return false;
	for (i = 0; i < LUKS_SEGMENTS; i++)
		if (l->digest[i].iterations > 1000)
			return false;
	return true;
}

static void use(struct ndm_luks *l)
{
	struct ndm_luks_options o = { .device = "/d", .device_bytes = DISK_BYTES,
				      .integrity_device = "/i", .integrity_nr = 8 };
	uint8_t key[NDM_LUKS_KEY_MAX] = { 0 };
	struct ndm_luks_line *line, lower;
	struct ndm_luks_kdf kdf;
	unsigned n;
	size_t key_bytes = ndm_luks_key_bytes(l);

	ndm_luks_text_free(ndm_luks_dump(l, "/d"));
	ndm_luks_text_free(ndm_luks_json(l));
	ndm_luks_text_free(ndm_luks_token_json(l, 0));
	ndm_luks_slot_kdf(l, 0, &kdf);
	if (ndm_luks_has_integrity(l) && !ndm_luks_integrity_line(l, l->io, &o, &lower))
		ndm_luks_text_free(lower.args);
	if (!cheap(l))
		return;
	if (!ndm_luks_lines(l, &o, key, key_bytes, &line, &n))
		ndm_luks_lines_free(line, n);
	ndm_luks_unlock(l, -1, "x", 1, key, &key_bytes);
	ndm_luks_reencrypting_how(l);		/* and with it all that is said of a re-encryption */
	ndm_luks_token_set(l, -1, "{\"type\":\"t\",\"keyslots\":[]}");
	ndm_luks_kill(l, 0);
	ndm_luks_erase(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t disk[DISK_BYTES];
	struct memory m = { .io = { memory_read, memory_write, memory_sync, DISK_BYTES, true },
			    .bytes = disk };
	struct ndm_luks *l;

	if (bytes < 2 || bytes > DISK_BYTES)
		return 0;
	memset(disk, 0, sizeof disk);
	data++;
	bytes--;
	if (data[-1] % 3 == 0) {
		memcpy(disk, data, bytes);
	} else if (data[-1] % 3 == 1) {
		luks2_copy(disk, data, bytes, false);
		luks2_copy(disk + COPY_BYTES, data, bytes, true);
	} else {
		memcpy(disk, "LUKS\xba\xbe\0\1", 8);
		memcpy(disk + 8, data, bytes < 584 ? bytes : 584);
	}
	l = ndm_luks_new(&m.io);
	if (l && !ndm_luks_load(l))
		use(l);
	ndm_luks_free(l);
	return 0;
}
