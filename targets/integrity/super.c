/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super.c - the superblock of an integrity device: read, made, checked, written.
 *
 * With fix_hmac and journal_mac it ends (at byte 511) with a MAC of what comes before it in its
 * first sector.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define SUPER_BYTES (NDM_INTEGRITY_SUPER_SECTORS * NDM_SECTOR_BYTES)
#define SUPER_USED 64u				/* bytes, before any MAC */

static bool super_has_mac(const struct integrity *ic)
{
	return ic->mac && ic->l.super.flags & NDM_INTEGRITY_FIXED_HMAC;
}

static int super_mac(struct integrity *ic, const uint8_t *bytes, uint8_t *mac)
{
	unsigned n = ndm_hash_bytes(ic->mac);

	if (SUPER_USED + n > NDM_INTEGRITY_SUPER_BYTES)
		return -EINVAL;
	return ndm_hash_one(ic->mac, bytes, NDM_INTEGRITY_SUPER_BYTES - n, mac);
}

static int super_check_mac(struct integrity *ic, const uint8_t *bytes)
{
	unsigned n = ndm_hash_bytes(ic->mac);
	uint8_t mac[NDM_HASH_MAX];
	int err = super_mac(ic, bytes, mac);

	if (err)
		return err;
	if (ndm_secret_equal(bytes + NDM_INTEGRITY_SUPER_BYTES - n, mac, n))
		return 0;
	integrity_fail(ic, "superblock mac", -EILSEQ);
	return -EILSEQ;
}

int integrity_super_verify(struct integrity *ic, const uint8_t *bytes)
{
	return super_has_mac(ic) ? super_check_mac(ic, bytes) : 0;
}

int integrity_super_read(struct integrity *ic, uint8_t *bytes)
{
	return ndm_rw(ic->meta->store, NDM_READ, NDM_META, ic->l.start, NDM_INTEGRITY_SUPER_SECTORS,
		      bytes);
}

int integrity_super_write(struct integrity *ic, unsigned flags)
{
	uint8_t *bytes = ndm_buffer_get(ic->ti->loop, SUPER_BYTES);
	int err = 0;

	if (!bytes)
		return -ENOMEM;
	ic->l.super.version = ndm_integrity_super_version(&ic->l.super, ic->mode == 'B',
							  ic->l.separate);
	ndm_integrity_super_encode(&ic->l.super, bytes);
	if (super_has_mac(ic))
		err = super_mac(ic, bytes, bytes + NDM_INTEGRITY_SUPER_BYTES -
					   ndm_hash_bytes(ic->mac));
	if (!err)
		err = ndm_rw(ic->meta->store, NDM_WRITE, flags | NDM_META, ic->l.start,
			     NDM_INTEGRITY_SUPER_SECTORS, bytes);
	ndm_buffer_put(ic->ti->loop, bytes, SUPER_BYTES);
	return err;
}

/* ---- at the start ---- */

static int super_make(struct ndm_target *ti, struct integrity *ic)
{
	struct ndm_integrity_super *s = &ic->l.super;

	*s = (struct ndm_integrity_super){
		.tag_bytes = ic->tag_bytes, .log2_block = __builtin_ctz(ic->block_sectors),
	};
	if (ic->mac_alg.name)
		s->flags |= NDM_INTEGRITY_JOURNAL_MAC;
	if (ic->fix_hmac && (ic->hash_alg.name || ic->mac_alg.name)) {
		s->flags |= NDM_INTEGRITY_FIXED_HMAC;
		ndm_random_bytes(ti->loop, s->salt, sizeof s->salt);
	}
	if (ic->discard_keyed)
		s->flags |= NDM_INTEGRITY_DISCARD_KEYED;
	if (ic->fix_padding && !ic->l.separate)
		s->flags |= NDM_INTEGRITY_FIXED_PADDING;
	if (ndm_integrity_layout_new(&ic->l, ic->journal_sectors, ic->interleave_sectors))
		return ndm_error(ti, -EINVAL, "Could not initialize superblock: the device is too small");
	s->version = ndm_integrity_super_version(s, ic->mode == 'B', ic->l.separate);
	return 0;
}

static int super_compare(struct ndm_target *ti, struct integrity *ic)
{
	const struct ndm_integrity_super *s = &ic->l.super;
	const char *why;
	int err = ndm_integrity_super_check(s, ic->l.separate, &why);

	if (err)
		return ndm_error(ti, err, "%s", why);
	if (s->flags & NDM_INTEGRITY_INLINE)
		return ndm_error(ti, -EINVAL, "Inline flag mismatch");
	if (s->tag_bytes != ic->tag_bytes)
		return ndm_error(ti, -EINVAL, "Tag size doesn't match the information in superblock: "
				 "it is %u there", s->tag_bytes);
	if (1u << s->log2_block != ic->block_sectors)
		return ndm_error(ti, -EINVAL, "Block size doesn't match the information in superblock: "
				 "it is %u there", 512u << s->log2_block);
	if (s->flags & NDM_INTEGRITY_DISCARD_KEYED && !ic->discard_keyed)
		return ndm_error(ti, -EINVAL, "Keyed discard cannot be disabled once enabled");
	if (!(s->flags & NDM_INTEGRITY_JOURNAL_MAC) != !ic->mac_alg.name)
		return ndm_error(ti, -EINVAL, "Journal mac mismatch");
	return 0;
}

int integrity_super_open(struct ndm_target *ti, struct integrity *ic, bool *made)
{
	uint8_t *bytes = ndm_buffer_get(ti->loop, SUPER_BYTES);
	int err, found = 0;

	if (!bytes)
		return ndm_error(ti, -ENOMEM, "Cannot allocate superblock area");
	err = integrity_super_read(ic, bytes);
	if (!err)
		found = ndm_integrity_super_decode(bytes, &ic->l.super);
	if (!err && !found && ic->mode != 'R')
		err = integrity_super_verify(ic, bytes);
	ndm_buffer_put(ti->loop, bytes, SUPER_BYTES);
	if (err)
		return ndm_error(ti, err, "Error reading superblock");
	if (found == -EINVAL && ic->mode != 'R')
		return ndm_error(ti, found, "The device is not initialized");
	if (found)
		err = super_make(ti, ic);
	*made = found && ic->mode != 'R';
	err = err ? err : super_compare(ti, ic);
	if (err)
		return err;
	if (ndm_integrity_layout_init(&ic->l))
		return ndm_error(ti, -EINVAL, "The device is too small");
	ic->given = ic->l.super;
	return 0;
}
