/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal-write.c - sections of the journal on their way to the disk and back: commit ids, MACs,
 * encryption.
 *
 * Every sector of a section ends with a commit id, made of the section's and the sector's number
 * and of a sequence that goes up (0 to 3, round and round) each time the ring has been filled.
 * The MAC of a section covers the sector numbers of its entries, and lies in 8 pieces of 8 bytes
 * before the commit ids of its first 8 sectors.
 *
 * Encryption with a stream cipher (its name has no blocks) is one keystream over the whole
 * journal, in pages of 4096 bytes, and behind it over the four commit ids themselves.  With a
 * block cipher each section is one message, and its IV is its encrypted number.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define PAGE_BYTES 4096u
#define PIECE_BYTES (1u << 20)			/* of the journal, encrypted at once */

static size_t section_size(const struct integrity *ic)
{
	return (size_t)ic->l.section_sectors * NDM_SECTOR_BYTES;
}

static uint8_t *section_at(struct integrity *ic, uint32_t section)
{
	return ic->journal.bytes + section * section_size(ic);
}

/* ---- MAC ---- */

static int section_mac(struct integrity *ic, uint32_t section, uint8_t mac[NDM_INTEGRITY_MAC_BYTES])
{
	uint8_t number[8], digest[NDM_HASH_MAX];
	unsigned i, n = ndm_hash_bytes(ic->mac);
	int err = ndm_hash_begin(ic->mac);

	if (ic->l.super.flags & NDM_INTEGRITY_FIXED_HMAC) {
		le64_put(number, section);
		err = err ? err : ndm_hash_update(ic->mac, ic->l.super.salt, sizeof ic->l.super.salt);
		err = err ? err : ndm_hash_update(ic->mac, number, sizeof number);
	}
	for (i = 0; i < ic->l.section_entries && !err; i++)
		err = ndm_hash_update(ic->mac, integrity_journal_entry(ic, section, i), 8);
	err = err ? err : ndm_hash_end(ic->mac, digest);
	n = n < NDM_INTEGRITY_MAC_BYTES ? n : NDM_INTEGRITY_MAC_BYTES;
	memset(mac, 0, NDM_INTEGRITY_MAC_BYTES);
	memcpy(mac, digest, n);
	return err;
}

static uint8_t *mac_at(struct integrity *ic, uint32_t section, unsigned sector)
{
	return section_at(ic, section) + sector * NDM_SECTOR_BYTES + NDM_SECTOR_BYTES - 16;
}

static int section_sign(struct integrity *ic, uint32_t section)
{
	uint8_t mac[NDM_INTEGRITY_MAC_BYTES];
	unsigned i;
	int err;

	if (!ic->mac)
		return 0;
	err = section_mac(ic, section, mac);
	for (i = 0; i < NDM_INTEGRITY_JOURNAL_HEAD; i++)
		memcpy(mac_at(ic, section, i), mac + 8 * i, 8);
	return err;
}

int integrity_section_check(struct integrity *ic, uint32_t section)
{
	uint8_t mac[NDM_INTEGRITY_MAC_BYTES];
	unsigned i;
	int err;

	if (!ic->mac)
		return 0;
	err = section_mac(ic, section, mac);
	for (i = 0; i < NDM_INTEGRITY_JOURNAL_HEAD && !err; i++)
		if (!ndm_secret_equal(mac_at(ic, section, i), mac + 8 * i, 8))
			err = -EILSEQ;
	return err;
}

/* ---- encryption ---- */

static bool is_encrypted(const struct integrity *ic)
{
	return ic->journal.stream || ic->journal.cipher;
}

static int sections_crypt(struct integrity *ic, bool encrypt, uint32_t first, uint32_t n,
			  const uint8_t *in, uint8_t *out)
{
	struct integrity_journal *j = &ic->journal;
	size_t size = section_size(ic), i;
	uint8_t iv[NDM_CIPHER_IV_MAX];
	uint32_t s;
	int err = 0;

	if (j->stream) {
		for (i = 0; i < n * size; i++)
			out[i] = in[i] ^ j->stream[first * size + i];
		return 0;
	}
	for (s = 0; s < n && !err; s++) {
		memcpy(iv, j->ivs + (size_t)(first + s) * j->cipher->iv_bytes, j->cipher->iv_bytes);
		err = ndm_cipher_crypt(j->cipher, encrypt, iv, in + s * size, out + s * size, size, 1);
	}
	return err;
}

static int sections_put(struct integrity *ic, uint32_t first, uint32_t n)
{
	uint64_t at = integrity_journal_start(ic) + (uint64_t)first * ic->l.section_sectors;
	uint32_t most = PIECE_BYTES / section_size(ic), now;
	size_t bytes;
	uint8_t *out;
	int err = 0;

	if (!is_encrypted(ic))
		return ndm_rw(ic->meta->store, NDM_WRITE, NDM_FUA | NDM_META, at,
			      (uint64_t)n * ic->l.section_sectors, section_at(ic, first));
	for (; n && !err; n -= now, first += now) {
		now = !most ? 1 : n < most ? n : most;
		bytes = now * section_size(ic);
		out = ndm_buffer_get(ic->ti->loop, bytes);
		err = out ? sections_crypt(ic, true, first, now, section_at(ic, first), out) : -ENOMEM;
		if (!err)
			err = ndm_rw(ic->meta->store, NDM_WRITE, NDM_FUA | NDM_META, at,
				     bytes >> NDM_SECTOR_SHIFT, out);
		ndm_buffer_put(ic->ti->loop, out, bytes);
		at += bytes >> NDM_SECTOR_SHIFT;
	}
	return err;
}

int integrity_sections_read(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	int err = ndm_rw(ic->meta->store, NDM_READ, NDM_META, integrity_journal_start(ic),
			 j->nbytes >> NDM_SECTOR_SHIFT, j->bytes);

	if (!err && is_encrypted(ic))
		err = sections_crypt(ic, false, 0, j->sections, j->bytes, j->bytes);
	return err;
}

/* ---- writing ---- */

static void section_stamp(struct integrity *ic, uint32_t section, unsigned sequence)
{
	uint8_t *at = section_at(ic, section) + NDM_SECTOR_BYTES - 8;
	uint32_t s;

	for (s = 0; s < ic->l.section_sectors; s++)
		le64_put(at + (size_t)s * NDM_SECTOR_BYTES,
			     ndm_integrity_commit_id(ic->journal.ids, sequence, section, s));
}

/* Both parts of what may go round the end; signs them. */
static int sections_send(struct integrity *ic, uint32_t first, uint32_t n)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t i, here = j->sections - first < n ? j->sections - first : n;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = section_sign(ic, (first + i) % j->sections);
	err = err ? err : sections_put(ic, first, here);
	if (!err && here < n)
		err = sections_put(ic, 0, n - here);
	return err;
}

int integrity_sections_write(struct integrity *ic, uint32_t first, uint32_t n)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t i, section;

	for (i = 0; i < n; i++) {
		section = (first + i) % j->sections;
		section_stamp(ic, section, j->sequence);
		if (section + 1 == j->sections)
			j->sequence = (j->sequence + 1) % NDM_INTEGRITY_SEQUENCES;
	}
	return sections_send(ic, first, n);
}

void integrity_sections_clear(struct integrity *ic, uint32_t first, uint32_t n, unsigned sequence)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t i, section;
	unsigned e;
	int err;

	if (!n || ic->failed)
		return;
	for (i = 0; i < n; i++) {
		section = (first + i) % j->sections;
		memset(section_at(ic, section), 0, section_size(ic));
		section_stamp(ic, section, sequence);
		for (e = 0; e < j->section_entries; e++)
			le32_put(integrity_journal_entry(ic, section, e) + 4, 0xffffffff);
	}
	err = sections_send(ic, first, n);
	if (err)
		integrity_fail(ic, "writing journal", err);
}

/* ---- making it ---- */

static int stream_init(struct ndm_target *ti, struct integrity *ic, struct ndm_cipher *c)
{
	struct integrity_journal *j = &ic->journal;
	size_t pages = (j->nbytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	uint8_t iv[NDM_CIPHER_IV_MAX] = { 0 };
	unsigned i;
	int err;

	j->stream = ndm_calloc(1, pages + 8 * NDM_INTEGRITY_SEQUENCES);
	if (!j->stream)
		return ndm_error(ti, -ENOMEM, "Could not allocate memory for journal xor");
	for (i = 0; i < NDM_INTEGRITY_SEQUENCES; i++)
		le64_put(j->stream + pages + 8 * i, j->ids[i]);
	err = ndm_cipher_crypt(c, true, iv, j->stream, j->stream, pages + 8 * NDM_INTEGRITY_SEQUENCES,
			       1);
	for (i = 0; i < NDM_INTEGRITY_SEQUENCES; i++)
		j->ids[i] = le64_get(j->stream + pages + 8 * i);
	return err ? ndm_error(ti, err, "Unable to encrypt journal") : 0;
}

static int ivs_init(struct ndm_target *ti, struct integrity *ic, struct ndm_cipher *c)
{
	struct integrity_journal *j = &ic->journal;
	unsigned bytes = (c->iv_bytes + c->block_bytes - 1) / c->block_bytes * c->block_bytes;
	uint8_t iv[NDM_CIPHER_IV_MAX], number[2 * NDM_CIPHER_IV_MAX];
	uint32_t i;
	int err = 0;

	j->ivs = ndm_calloc(j->sections, c->iv_bytes + 1);
	if (!j->ivs)
		return ndm_error(ti, -ENOMEM, "Unable to allocate iv");
	if (bytes > sizeof number || section_size(ic) % c->block_bytes)
		return ndm_error(ti, -EINVAL, "Unable to generate iv");
	for (i = 0; i < j->sections && c->iv_bytes && !err; i++) {
		memset(iv, 0, sizeof iv);
		memset(number, 0, sizeof number);
		le32_put(number, i);
		err = ndm_cipher_crypt(c, true, iv, number, number, bytes, 1);
		memcpy(j->ivs + (size_t)i * c->iv_bytes, number, c->iv_bytes);
	}
	return err ? ndm_error(ti, err, "Unable to generate iv") : 0;
}

/* Equal ones would not tell sequences apart. */
static void ids_make_different(uint64_t ids[NDM_INTEGRITY_SEQUENCES])
{
	unsigned i, k;

	for (i = 0; i < NDM_INTEGRITY_SEQUENCES; i++)
		for (k = 0; k < i; k++)
			if (ids[k] == ids[i]) {
				ids[i]++;
				k = -1;
			}
}

int integrity_journal_crypt_init(struct ndm_target *ti, struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	struct ndm_cipher *c;
	unsigned i;
	int err;

	for (i = 0; i < NDM_INTEGRITY_SEQUENCES; i++)
		j->ids[i] = 0x1111111111111111ull * (i + 1);
	if (!ic->crypt_alg.name)
		return 0;
	err = ndm_cipher_new(ic->crypt_alg.name, &c);
	if (err)
		return ndm_error(ti, err, "Invalid journal cipher: '%s'", ic->crypt_alg.name);
	err = ndm_cipher_setkey(c, ic->crypt_alg.key, ic->crypt_alg.key_bytes);
	if (err) {
		ndm_cipher_free(c);
		return ndm_error(ti, err, "Error setting encryption key");
	}
	if (c->block_bytes == 1) {
		err = stream_init(ti, ic, c);
		ndm_cipher_free(c);
	} else {
		j->cipher = c;
		err = ivs_init(ti, ic, c);
	}
	ids_make_different(j->ids);
	return err;
}

void integrity_journal_crypt_free(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;

	ndm_cipher_free(j->cipher);
	ndm_free(j->stream);
	ndm_free(j->ivs);
}
