/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-luks-reencrypt.c - a re-encryption that is cut off at any write, that write done in half,
 * goes on and ends with all data under the new key; before that a table with both keys reads it.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include <ndm-luks.h>

#include "lib/kit/crypt.h"

#define DISK_BYTES (2560u << 10)
#define DATA_AT (2u << 20)
#define DATA_BYTES (DISK_BYTES - DATA_AT)
#define ZONE (96u << 10)		/* six zones, the last one shorter */

struct memory { struct ndm_luks_io io; uint8_t *bytes; unsigned writes, cut; };

static int memory_read(struct ndm_luks_io *io, uint64_t at, void *buf, size_t n)
{
	memcpy(buf, ((struct memory *)io)->bytes + at, n);
	return 0;
}

static int memory_write(struct ndm_luks_io *io, uint64_t at, const void *buf, size_t n)
{
	struct memory *m = (struct memory *)io;

	m->writes++;
	if (m->cut && m->writes > m->cut)
		return -EIO;
	if (m->cut && m->writes == m->cut)
		n = n / 2 / 512 * 512;
	memcpy(m->bytes + at, buf, n);
	return m->cut && m->writes == m->cut ? -EIO : 0;
}

static int memory_sync(struct ndm_luks_io *io)
{
	struct memory *m = (struct memory *)io;

	return m->cut && m->writes >= m->cut ? -EIO : 0;
}

static const struct ndm_luks_kdf cheap = { .type = "pbkdf2", .hash = "sha256", .iterations = 1000,
					   .cipher_key_bytes = 32 };
static uint8_t plain[DATA_BYTES], seen[DATA_BYTES];

struct how { const char *resilience, *cipher; unsigned old_sector, sector, key_bytes; };

static void crypt_all(const char *cipher, unsigned sector, const uint8_t *key, size_t key_bytes, bool encrypt,
		      const uint8_t *in, uint8_t *out)
{
	struct ndm_crypt_spec spec = { .cipher = cipher, .key_bytes = key_bytes, .sector_bytes = sector,
				       .lanes = 1 };
	struct ndm_crypt_run run = { .encrypt = encrypt, .in = in, .out = out, .bytes = DATA_BYTES };
	struct ndm_crypt *c;
	const char *why;

	assert_int_equal(ndm_crypt_new(&spec, &c, &why), 0);
	assert_int_equal(ndm_crypt_set_key(c, key), 0);
	assert_int_equal(ndm_crypt_init_iv(c, &why), 0);
	assert_int_equal(ndm_crypt_run(c, 0, &run), 0);
	ndm_crypt_free(c);
}

static void disk_make(struct memory *m, const struct how *h)
{
	struct ndm_luks_format f = { .version = 2, .cipher = "aes-xts-plain64", .key_bytes = 32,
				     .hash = "sha256", .sector_bytes = h->old_sector, .data_offset = DATA_AT,
				     .keyslots_bytes = 1 << 20 };
	struct ndm_luks *l;
	uint8_t key[32];
	unsigned i;

	*m = (struct memory){ .io = { memory_read, memory_write, memory_sync, DISK_BYTES, true } };
	m->bytes = calloc(1, DISK_BYTES);
	assert_non_null(m->bytes);
	assert_int_equal(ndm_luks_random(key, 32), 0);
	for (i = 0; i < DATA_BYTES; i++)
		plain[i] = i * 7 + i / 512 * 13;
	crypt_all(f.cipher, h->old_sector, key, 32, true, plain, m->bytes + DATA_AT);
	l = ndm_luks_new(&m->io);
	assert_int_equal(ndm_luks_format(l, &f, key), 0);
	assert_int_equal(ndm_luks_add(l, -1, "one", 3, key, 32, &cheap), 0);
	assert_int_equal(ndm_luks_add(l, -1, "two", 3, key, 32, &cheap), 1);
	ndm_luks_free(l);
}

static struct ndm_luks *load(struct memory *m)
{
	struct ndm_luks *l = ndm_luks_new(&m->io);

	if (ndm_luks_load(l))
		fail_msg("after %u writes: %s", m->writes, ndm_luks_why(l));
	return l;
}

static int begin(struct memory *m, struct ndm_luks *l, const struct how *h, struct ndm_luks_keys *k)
{
	struct ndm_luks_pass pass[2] = { { "one", 3, cheap }, { "three", 5, cheap } };
	struct ndm_luks_reencrypt want = { .cipher = h->cipher, .sector_bytes = h->sector,
					   .resilience = h->resilience, .hash = "sha256", .passes = pass,
					   .npasses = 2 };

	if (ndm_luks_unlock(l, -1, "one", 3, k->old, &k->old_bytes) < 0)
		fail_msg("%s", ndm_luks_why(l));
	k->fresh_bytes = h->key_bytes;
	assert_int_equal(ndm_luks_random(k->fresh, k->fresh_bytes), 0);
	return ndm_luks_reencrypt_begin(l, &m->io, &want, k);
}

/* From whatever state the disk is in; 0 when all is done.  k NULL: by the passphrase */
static int run(struct memory *m, const struct ndm_luks_keys *k)
{
	uint8_t bytes[2][NDM_LUKS_KEY_MAX];
	struct ndm_luks_keys got = { .old = bytes[0], .fresh = bytes[1] };
	struct ndm_luks *l = load(m);
	uint64_t done, total;
	int err;

	if (!ndm_luks_reencrypting(l)) {	/* only wiping was left to do */
		ndm_luks_free(l);
		return 0;
	}
	if (!k && ndm_luks_reencrypt_unlock(l, "one", 3, &got))
		fail_msg("%s", ndm_luks_why(l));
	do {
		err = ndm_luks_reencrypt_step(l, &m->io, k ? k : &got, ZONE, &done, &total);
	} while (err > 0);
	ndm_luks_free(l);
	return err;
}

/* All is under one key, which the right passphrases give. */
static void check_end(struct memory *m, const struct how *h, const struct ndm_luks_keys *k)
{
	struct ndm_luks *l = load(m);
	uint8_t key[NDM_LUKS_KEY_MAX];
	size_t n = k->fresh_bytes;

	assert_false(ndm_luks_reencrypting(l));
	assert_int_equal(ndm_luks_check_key(l, k->old, k->old_bytes), -EPERM);
	assert_int_equal(ndm_luks_check_key(l, k->fresh, k->fresh_bytes), 0);
	assert_string_equal(ndm_luks_cipher(l), h->cipher);
	crypt_all(h->cipher, h->sector, k->fresh, n, false, m->bytes + DATA_AT, seen);
	assert_memory_equal(seen, plain, DATA_BYTES);
	if (!m->writes) {			/* key derivation is slow: not each time */
		assert_int_equal(ndm_luks_unlock(l, -1, "two", 3, key, &n), -EPERM);
		assert_true(ndm_luks_unlock(l, -1, "one", 3, key, &n) >= 0);
		assert_true(ndm_luks_unlock(l, -1, "three", 5, key, &n) >= 0);
		assert_int_equal(n, h->key_bytes);
		assert_memory_equal(key, k->fresh, n);
	}
	ndm_luks_free(l);
}

static void cut_everywhere(const struct how *h)
{
	uint8_t bytes[2][NDM_LUKS_KEY_MAX];
	struct ndm_luks_keys k = { .old = bytes[0], .fresh = bytes[1] };
	struct memory m, was;
	unsigned cut, again = 0;
	struct ndm_luks *l;

	disk_make(&was, h);
	l = load(&was);
	assert_int_equal(begin(&was, l, h, &k), 0);
	ndm_luks_free(l);
	m = was;
	m.bytes = malloc(DISK_BYTES);
	assert_non_null(m.bytes);
	/* all zones are alike: two of them and the end in each write, the others in some */
	for (cut = 1; ; cut += cut < 30 || cut > 70 ? 1 : 5) {
		memcpy(m.bytes, was.bytes, DISK_BYTES);
		m.writes = 0;
		m.cut = cut;
		if (!run(&m, &k))
			break;
		m.writes = 0;
		m.cut = 1 + cut % 11;		/* cut once more, then to the end */
		again += run(&m, &k) != 0;
		m.cut = 0;
		assert_int_equal(run(&m, cut % 16 ? &k : NULL), 0);
		m.writes = cut % 16;
		check_end(&m, h, &k);
	}
	m.writes = 0;
	check_end(&m, h, &k);
	assert_true(cut > 60);
	assert_true(again > 20);
	free(m.bytes);
	free(was.bytes);
}

/* The header as it was, or all that has to be there. */
static void cut_at_begin(void **state)
{
	static const struct how h = { "checksum", "aes-xts-plain64", 512, 512, 64 };
	uint8_t bytes[2][NDM_LUKS_KEY_MAX];
	struct ndm_luks_keys k = { .old = bytes[0], .fresh = bytes[1] };
	struct memory m, was;
	struct ndm_luks *l;
	unsigned cut, begun = 0;
	int err = -EIO;

	(void)state;
	disk_make(&was, &h);
	m = was;
	m.bytes = malloc(DISK_BYTES);
	assert_non_null(m.bytes);
	for (cut = 1; err; cut++) {
		memcpy(m.bytes, was.bytes, DISK_BYTES);
		m.writes = m.cut = 0;
		l = load(&m);
		m.cut = cut;
		err = begin(&m, l, &h, &k);
		ndm_luks_free(l);
		m.cut = m.writes = 0;
		l = load(&m);
		if (ndm_luks_reencrypting(l)) {
			begun++;
			assert_int_equal(run(&m, NULL), 0);
			check_end(&m, &h, &k);
		} else {
			assert_int_equal(ndm_luks_unlock(l, -1, "two", 3, k.fresh, &k.fresh_bytes), 1);
		}
		ndm_luks_free(l);
	}
	assert_true(cut > 6 && begun > 1);
	free(m.bytes);
	free(was.bytes);
}

static void checksum(void **state)
{
	static const struct how h = { "checksum", "aes-xts-plain64", 512, 512, 64 };

	(void)state;
	cut_everywhere(&h);
}

static void journal(void **state)
{
	static const struct how h = { "journal", "aes-cbc-plain64", 4096, 512, 32 };

	(void)state;
	cut_everywhere(&h);
}

static void larger_sectors(void **state)
{
	static const struct how h = { "journal", "aes-cbc-essiv:sha256", 512, 4096, 32 };

	(void)state;
	cut_everywhere(&h);
}

/* In the midst of it both keys make a table that covers all of it. */
static void both_keys(void **state)
{
	static const struct how h = { "checksum", "aes-xts-plain64", 512, 512, 64 };
	uint8_t bytes[2][NDM_LUKS_KEY_MAX];
	struct ndm_luks_keys k = { .old = bytes[0], .fresh = bytes[1] };
	struct ndm_luks_options o = { .device = "/disk", .device_bytes = DISK_BYTES };
	struct ndm_luks_line *line;
	struct ndm_luks *l;
	struct memory m;
	uint64_t done, total;
	unsigned n;

	(void)state;
	disk_make(&m, &h);
	l = load(&m);
	assert_int_equal(begin(&m, l, &h, &k), 0);
	assert_int_equal(ndm_luks_reencrypt_step(l, &m.io, &k, ZONE, &done, &total), 1);
	assert_int_equal(done, ZONE);
	assert_int_equal(total, DATA_BYTES);
	assert_int_equal(ndm_luks_lines(l, &o, k.old, k.old_bytes, &line, &n), -EOPNOTSUPP);
	o.other_key = k.fresh;
	o.other_key_bytes = k.fresh_bytes;
	assert_int_equal(ndm_luks_lines(l, &o, k.old, k.old_bytes, &line, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(line[0].nr, ZONE / 512);
	assert_int_equal(strlen(line[0].args), strlen("aes-xts-plain64  0 /disk 4096") + 128);
	assert_int_equal(line[1].start, ZONE / 512);
	assert_int_equal(line[1].nr, (DATA_BYTES - ZONE) / 512);
	assert_string_equal(line[1].args + strlen("aes-xts-plain64 ") + 64, " 192 /disk 4288");
	ndm_luks_lines_free(line, n);
	ndm_luks_free(l);
	free(m.bytes);
}

static void refusals(void **state)
{
	static const struct how cases[] = {
		{ "none", "aes-xts-plain64", 512, 512, 64 },
		{ "checksum", "aes-nothing-plain64", 512, 512, 64 },
		{ "checksum", "aes-xts-plain64", 512, 512, 63 },
	};
	static const struct how good = { "journal", "aes-xts-plain64", 512, 512, 64 };
	uint8_t bytes[2][NDM_LUKS_KEY_MAX], was[64];
	struct ndm_luks_keys k = { .old = bytes[0], .fresh = bytes[1] };
	uint64_t done, total;
	struct ndm_luks *l;
	struct memory m;
	unsigned i;

	(void)state;
	disk_make(&m, &good);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		l = load(&m);
		assert_true(begin(&m, l, &cases[i], &k) < 0);
		assert_true(*ndm_luks_why(l));
		ndm_luks_free(l);
	}
	l = load(&m);
	assert_int_equal(ndm_luks_reencrypt_step(l, &m.io, &k, 0, &done, &total), -ENOENT);
	assert_int_equal(begin(&m, l, &good, &k), 0);
	memcpy(was, k.fresh, sizeof was);
	assert_int_equal(begin(&m, l, &good, &k), -EBUSY);
	memcpy(k.fresh, was, sizeof was);
	k.fresh[0] ^= 1;				/* another key than the header's */
	assert_int_equal(ndm_luks_reencrypt_step(l, &m.io, &k, 0, &done, &total), -EINVAL);
	k.fresh[0] ^= 1;
	assert_int_equal(ndm_luks_reencrypt_step(l, &m.io, &k, ZONE, &done, &total), 1);
	ndm_luks_free(l);
	free(m.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum), cmocka_unit_test(journal), cmocka_unit_test(larger_sectors),
		cmocka_unit_test(cut_at_begin), cmocka_unit_test(both_keys), cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
