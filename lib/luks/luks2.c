/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luks2.c - the binary header of LUKS2 and its two copies, integers big-endian.
 *
 *	0 magic, 6 version, 8 header bytes with JSON, 16 seqid, 24 label, 72 checksum algorithm,
 *	104 salt, 168 UUID, 208 subsystem, 256 own offset, 448 checksum; 4096 JSON to the end.
 *
 * The second copy follows the first.  A change writes the first, syncs, then the second: at any
 * moment one is whole.  Both whole: the greater seqid is the truth.  A copy that is damaged or
 * older is written anew from the other.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/luks.h"

#define BINARY_BYTES 4096
#define CHECKSUM_AT 448
#define CHECKSUM_BYTES 64

struct copy {
	uint8_t *bytes;				/* all of it; NULL: not there, or not whole */
	uint64_t header_bytes, seqid;
};

static bool header_size_known(uint64_t bytes)
{
	return bytes >= LUKS2_HEADER_MIN && bytes <= LUKS2_HEADER_MAX && !(bytes & (bytes - 1));
}

/* of header and JSON, the checksum's own place counted as zeroes */
static int checksum(const char *algorithm, const uint8_t *bytes, uint64_t header_bytes,
		    uint8_t out[CHECKSUM_BYTES])
{
	static const uint8_t zeroes[CHECKSUM_BYTES];
	struct ndm_hash *h;
	int err = ndm_hash_new(algorithm, &h);

	if (err)
		return err;
	memset(out, 0, CHECKSUM_BYTES);
	err = ndm_hash_begin(h);
	err = err ? err : ndm_hash_update(h, bytes, CHECKSUM_AT);
	err = err ? err : ndm_hash_update(h, zeroes, CHECKSUM_BYTES);
	err = err ? err : ndm_hash_update(h, bytes + CHECKSUM_AT + CHECKSUM_BYTES,
					  header_bytes - CHECKSUM_AT - CHECKSUM_BYTES);
	err = err ? err : ndm_hash_end(h, out);
	ndm_hash_free(h);
	return err;
}

static bool binary_sane(const uint8_t *b, uint64_t at)
{
	return !memcmp(b, at ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6) && be16_get(b + 6) == 2 &&
	       header_size_known(be64_get(b + 8)) && be64_get(b + 256) == at &&
	       (!at || at == be64_get(b + 8)) && luks_plain_text((const char *)b + 72, 32) &&
	       luks_plain_text((const char *)b + 168, 40) && memchr(b + 24, 0, 48) &&
	       memchr(b + 208, 0, 48);
}

/* Reads one copy; without a word when there is none, or a damaged one.  -ENOMEM only. */
static int copy_read(struct ndm_luks *l, uint64_t at, struct copy *c)
{
	uint8_t binary[512], sum[CHECKSUM_BYTES];

	*c = (struct copy){ 0 };
	if (at + BINARY_BYTES > l->io->bytes)
		return 0;
	if (luks_read(l, at, binary, sizeof binary))
		return 0;			/* what cannot be read is damaged, too */
	if (!binary_sane(binary, at))
		return 0;
	c->header_bytes = be64_get(binary + 8);
	c->seqid = be64_get(binary + 16);
	if (at + c->header_bytes > l->io->bytes)
		return 0;
	c->bytes = ndm_calloc(1, c->header_bytes);
	if (!c->bytes)
		return luks_fail(l, -ENOMEM, "no memory for the header");
	if (!luks_read(l, at, c->bytes, c->header_bytes) &&
	    !memcmp(c->bytes, binary, sizeof binary) &&
	    !checksum((const char *)c->bytes + 72, c->bytes, c->header_bytes, sum) &&
	    !memcmp(sum, c->bytes + CHECKSUM_AT, CHECKSUM_BYTES))
		return 0;
	ndm_free(c->bytes);
	c->bytes = NULL;
	return 0;
}

/* Where the second copy is, when the first does not say. */
static int second_find(struct ndm_luks *l, struct copy *c)
{
	uint64_t at;
	int err = 0;

	for (at = LUKS2_HEADER_MIN; at <= LUKS2_HEADER_MAX && !err && !c->bytes; at <<= 1)
		err = copy_read(l, at, c);
	return err;
}

static int copy_decode(struct ndm_luks *l, const struct copy *c)
{
	const char *why = NULL;

	l->version = 2;
	l->header_bytes = c->header_bytes;
	l->seqid = c->seqid;
	snprintf(l->label, sizeof l->label, "%.48s", (const char *)c->bytes + 24);
	snprintf(l->checksum, sizeof l->checksum, "%.32s", (const char *)c->bytes + 72);
	snprintf(l->uuid, sizeof l->uuid, "%.40s", (const char *)c->bytes + 168);
	snprintf(l->subsystem, sizeof l->subsystem, "%.48s", (const char *)c->bytes + 208);
	luks_tree_free(l->json);
	l->json = luks_tree_parse((const char *)c->bytes + BINARY_BYTES,
				  c->header_bytes - BINARY_BYTES, &why);
	if (!l->json)
		return luks_fail(l, -EINVAL, "LUKS2: the JSON cannot be read: %s", why);
	return luks2_decode(l);
}

/* One copy, into the place of the other: only magic, offset, salt and checksum differ. */
static int copy_write(struct ndm_luks *l, uint8_t *bytes, uint64_t at)
{
	int err;

	memcpy(bytes, at ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6);
	be64_put(bytes + 256, at);
	err = ndm_secret_random(bytes + 104, 64);
	if (err)
		return luks_fail(l, err, "no random numbers to be had");
	memset(bytes + CHECKSUM_AT, 0, CHECKSUM_BYTES);
	/* a header that was cut off in the middle has no checksum */
	err = luks_write(l, at, bytes, BINARY_BYTES);
	err = err ? err : luks_write(l, at + BINARY_BYTES, bytes + BINARY_BYTES,
				     l->header_bytes - BINARY_BYTES);
	if (!err && checksum(l->checksum, bytes, l->header_bytes, bytes + CHECKSUM_AT))
		err = luks_fail(l, -EINVAL, "checksum %s is not known", l->checksum);
	err = err ? err : luks_write(l, at, bytes, BINARY_BYTES);
	return err ? err : luks_sync(l);
}

/* a: the one that counts; b: the other */
static int use_copy(struct ndm_luks *l, struct copy *a, struct copy *b, uint64_t at_b)
{
	int err = copy_decode(l, a);

	if (err || (b->bytes && b->seqid == a->seqid && b->header_bytes == a->header_bytes))
		return err;
	l->repaired = true;
	if (l->io->writable)
		copy_write(l, a->bytes, at_b);	/* if not now, then next time */
	return 0;
}

int luks2_load(struct ndm_luks *l)
{
	struct copy first, second = { 0 };
	int err = copy_read(l, 0, &first);

	if (!err && first.bytes)
		err = copy_read(l, first.header_bytes, &second);
	else if (!err)
		err = second_find(l, &second);
	if (err)
		goto out;
	if (!first.bytes && !second.bytes) {
		err = luks_fail(l, -ENXIO, "this is not a LUKS device, or its headers are damaged");
		goto out;
	}
	if (first.bytes && (!second.bytes || second.seqid <= first.seqid))
		err = use_copy(l, &first, &second, first.header_bytes);
	else
		err = use_copy(l, &second, &first, 0);
	if (err == -EINVAL && first.bytes && second.bytes) {	/* the other may make sense */
		if (second.seqid <= first.seqid)
			err = copy_decode(l, &second);
		else
			err = copy_decode(l, &first);
	}
out:
	ndm_free(first.bytes);
	ndm_free(second.bytes);
	return err;
}

int luks2_write(struct ndm_luks *l)
{
	struct ndm_str json = { 0 };
	uint8_t *bytes = ndm_calloc(1, l->header_bytes);
	int err;

	if (!bytes)
		return luks_fail(l, -ENOMEM, "no memory for the header");
	luks_tree_print(l->json, &json, false);
	if (json.len + 1 > l->header_bytes - BINARY_BYTES) {
		err = luks_fail(l, -ENOSPC, "no room is left in the header's JSON area");
		goto out;
	}
	be16_put(bytes + 6, 2);
	be64_put(bytes + 8, l->header_bytes);
	be64_put(bytes + 16, l->seqid + 1);
	memcpy(bytes + 24, l->label, 48);
	memcpy(bytes + 72, l->checksum, 32);
	memcpy(bytes + 168, l->uuid, 40);
	memcpy(bytes + 208, l->subsystem, 48);
	memcpy(bytes + BINARY_BYTES, json.text, json.len);
	err = copy_write(l, bytes, 0);
	err = err ? err : copy_write(l, bytes, l->header_bytes);
	if (!err) {
		l->seqid++;
		err = luks2_decode(l);
	}
out:
	ndm_str_free(&json);
	ndm_free(bytes);
	return err;
}
