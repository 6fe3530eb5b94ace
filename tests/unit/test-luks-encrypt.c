/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-luks-encrypt.c - plain data that is encrypted where it is, and made plain again, with the header
 * beside it or in its way; cut off at any write, that write done in half, it goes on and ends with
 * all data there.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include <ndm-luks.h>

#include "lib/kit/crypt.h"

#define SHIFT (512u << 10)
#define DATA_BYTES (SHIFT + 300 * 1024 + 1024)	/* not a multiple of zones */
#define DISK_BYTES (DATA_BYTES + 2 * SHIFT)
#define HEADER_BYTES (1u << 20)
#define ZONE (96u << 10)

/* Checksums are of encryption sectors: those must be written whole, or not at all. */
static unsigned atomic_bytes = 512;

struct memory { struct ndm_luks_io io; uint8_t *bytes; unsigned *writes, *cut; };

static int memory_read(struct ndm_luks_io *io, uint64_t at, void *buf, size_t n)
{
	assert_true(at <= io->bytes && n <= io->bytes - at);
	memcpy(buf, ((struct memory *)io)->bytes + at, n);
	return 0;
}

static int memory_write(struct ndm_luks_io *io, uint64_t at, const void *buf, size_t n)
{
	struct memory *m = (struct memory *)io;

	assert_true(at <= io->bytes && n <= io->bytes - at);
	++*m->writes;
	if (*m->cut && *m->writes > *m->cut)
		return -EIO;
	if (*m->cut && *m->writes == *m->cut)
		n = n / 2 / atomic_bytes * atomic_bytes;
	memcpy(m->bytes + at, buf, n);
	return *m->cut && *m->writes == *m->cut ? -EIO : 0;
}

static int memory_sync(struct ndm_luks_io *io)
{
	struct memory *m = (struct memory *)io;

	return *m->cut && *m->writes >= *m->cut ? -EIO : 0;
}

/* A data disk and a header disk; which one the header is read from changes. */
struct world {
	struct memory data, header;
	unsigned writes, cut;
	uint8_t key[64];
	bool attached;			/* the header is on the data disk */
};

static const struct ndm_luks_kdf cheap = { .type = "pbkdf2", .hash = "sha256", .iterations = 1000,
					   .cipher_key_bytes = 32 };
static uint8_t plain[DISK_BYTES];

static void world_init(struct world *w, uint64_t data, uint64_t header)
{
	*w = (struct world){ .data.io = { memory_read, memory_write, memory_sync, data, true },
			     .header.io = { memory_read, memory_write, memory_sync, header, true } };
	w->data.bytes = calloc(1, data);
	w->header.bytes = calloc(1, header);
	assert_true(w->data.bytes && w->header.bytes);
}

/* Its own counters, for structs are copied. */
static void world_ready(struct world *w)
{
	w->data.writes = w->header.writes = &w->writes;
	w->data.cut = w->header.cut = &w->cut;
	w->writes = w->cut = 0;
}

static struct world world_copy(const struct world *was)
{
	struct world w = *was;

	w.data.bytes = malloc(w.data.io.bytes);
	w.header.bytes = malloc(w.header.io.bytes);
	assert_true(w.data.bytes && w.header.bytes);
	memcpy(w.data.bytes, was->data.bytes, w.data.io.bytes);
	memcpy(w.header.bytes, was->header.bytes, w.header.io.bytes);
	return w;
}

static void world_free(struct world *w)
{
	free(w->data.bytes);
	free(w->header.bytes);
}

static struct ndm_luks *load(struct world *w)
{
	struct ndm_luks *l = ndm_luks_new(w->attached ? &w->data.io : &w->header.io);

	if (ndm_luks_load(l))
		fail_msg("after %u writes: %s", w->writes, ndm_luks_why(l));
	return l;
}

static int begin(struct world *w, struct ndm_luks *l, enum ndm_luks_change how, uint64_t shift,
		 const char *resilience)
{
	struct ndm_luks_reencrypt want = { .how = how, .shift = shift, .cipher = ndm_luks_cipher(l),
					   .sector_bytes = ndm_luks_sector_bytes(l), .resilience = resilience,
					   .hash = "sha256" };
	struct ndm_luks_keys k = { .old = w->key, .fresh = w->key, .old_bytes = 64, .fresh_bytes = 64 };

	return ndm_luks_reencrypt_begin(l, &w->data.io, &want, &k);
}

static void expect_begun(struct ndm_luks *l, int err)
{
	if (err)
		fail_msg("not begun: %s", ndm_luks_why(l));
}

/* Plain data, and a header for it that has begun. */
static void encrypt_begin(struct world *w, uint64_t shift, unsigned sector, const char *resilience)
{
	struct ndm_luks_format f = { .version = 2, .cipher = "aes-xts-plain64", .key_bytes = 64,
				     .hash = "sha256", .sector_bytes = sector, .data_offset = shift,
				     .detached = !shift };
	struct ndm_luks *l;
	unsigned i;

	world_init(w, DATA_BYTES + 2 * shift, shift ? shift : HEADER_BYTES);
	world_ready(w);
	for (i = 0; i < DATA_BYTES; i++)
		plain[i] = i * 7 + i / 512 * 13;
	memcpy(w->data.bytes, plain, DATA_BYTES);
	assert_int_equal(ndm_luks_random(w->key, 64), 0);
	l = ndm_luks_new(&w->header.io);
	assert_int_equal(ndm_luks_format(l, &f, w->key), 0);
	assert_int_equal(ndm_luks_add(l, -1, "one", 3, w->key, 64, &cheap), 0);
	expect_begun(l, begin(w, l, NDM_LUKS_ENCRYPT, shift, resilience));
	if (shift) {
		assert_int_equal(ndm_luks_install(l, w->header.bytes, shift, &w->data.io), 0);
		w->attached = true;
	}
	ndm_luks_free(l);
}

/* From whatever state the disks are in; 0 when all is done. */
static int run(struct world *w, bool by_key)
{
	uint8_t bytes[2][NDM_LUKS_KEY_MAX];
	struct ndm_luks_keys got = { .old = bytes[0], .fresh = bytes[1] };
	struct ndm_luks_keys known = { .old = w->key, .fresh = w->key, .old_bytes = 64, .fresh_bytes = 64 };
	struct ndm_luks *l = load(w);
	uint64_t done = 0, before = 0, total;
	int err = 0;

	if (ndm_luks_reencrypting(l)) {
		if (!by_key && ndm_luks_reencrypt_unlock(l, "one", 3, &got))
			fail_msg("%s", ndm_luks_why(l));
		do {
			before = done;
			err = ndm_luks_reencrypt_step(l, &w->data.io, by_key ? &known : &got, ZONE, &done, &total);
			assert_true(err <= 0 || (done >= before && done < total && total == DATA_BYTES));
		} while (err > 0);
		if (err && !w->cut)
			fail_msg("%s", ndm_luks_why(l));
	}
	ndm_luks_free(l);
	return err;
}

static void crypt_all(const struct world *w, unsigned sector, const uint8_t *in, uint8_t *out)
{
	struct ndm_crypt_spec spec = { .cipher = "aes-xts-plain64", .key_bytes = 64, .sector_bytes = sector, .lanes = 1 };
	struct ndm_crypt_run run = { .in = in, .out = out, .bytes = DATA_BYTES };
	struct ndm_crypt *c;
	const char *why;

	assert_int_equal(ndm_crypt_new(&spec, &c, &why), 0);
	assert_int_equal(ndm_crypt_set_key(c, w->key), 0);
	assert_int_equal(ndm_crypt_init_iv(c, &why), 0);
	assert_int_equal(ndm_crypt_run(c, 0, &run), 0);
	ndm_crypt_free(c);
}

static void check_encrypted(struct world *w, uint64_t shift, unsigned sector)
{
	static uint8_t seen[DATA_BYTES];
	struct ndm_luks *l = load(w);
	size_t i;

	assert_false(ndm_luks_reencrypting(l));
	assert_int_equal(ndm_luks_check_key(l, w->key, 64), 0);
	assert_int_equal(ndm_luks_data_offset(l), shift);
	ndm_luks_free(l);
	crypt_all(w, sector, w->data.bytes + shift, seen);
	assert_memory_equal(seen, plain, DATA_BYTES);
	/* nowhere is plain text left: 32 bytes of it, anywhere */
	for (i = 0; i + 512 <= w->data.io.bytes; i += 512)
		assert_memory_not_equal(w->data.bytes + i, plain + 7 * 512, 32);
}

static void check_decrypted(struct world *w)
{
	struct ndm_luks *l = load(w);

	assert_false(ndm_luks_reencrypting(l));
	assert_int_equal(ndm_luks_check_key(l, w->key, 64), -EPERM);
	ndm_luks_free(l);
	assert_memory_equal(w->data.bytes, plain, DATA_BYTES);
}

/* Cut at every write, cut again soon after, then to the end.  sector 0: it is decrypted */
static unsigned cut_everywhere(const struct world *was, uint64_t shift, unsigned sector)
{
	unsigned cut, again = 0;
	int err = -EIO;

	/* all zones are alike, and wiping takes many writes: not each of the later ones */
	for (cut = 1; err; cut += cut < 130 ? 1 : 7) {
		struct world w = world_copy(was);

		world_ready(&w);
		w.cut = cut;
		err = run(&w, true);
		if (err) {
			w.writes = 0;
			w.cut = 1 + cut % 13;
			again += run(&w, true) != 0;
			w.cut = 0;
			assert_int_equal(run(&w, cut % 16 != 0), 0);
		}
		if (sector)
			check_encrypted(&w, shift, sector);
		else
			check_decrypted(&w);
		world_free(&w);
	}
	if (again < 15)			/* the header's areas are wiped in many writes: no zones */
		fail_msg("cut again %u times of %u", again, cut);
	return cut;
}

static void there_and_back(uint64_t shift, unsigned sector, const char *resilience)
{
	struct world w;
	struct ndm_luks *l;

	atomic_bytes = sector;
	encrypt_begin(&w, shift, sector, resilience);
	world_ready(&w);
	assert_true(cut_everywhere(&w, shift, sector) > 20);
	assert_int_equal(run(&w, false), 0);
	if (shift) {			/* the header goes to its own disk */
		memcpy(w.header.bytes, w.data.bytes, shift);
		w.attached = false;
	}
	/* the device's end, which is data now, too: cut it off */
	w.data.io.bytes = DATA_BYTES + shift;
	l = load(&w);
	expect_begun(l, begin(&w, l, NDM_LUKS_DECRYPT, shift, "checksum"));
	ndm_luks_free(l);
	world_ready(&w);
	assert_true(cut_everywhere(&w, shift, 0) > 20);
	assert_int_equal(run(&w, false), 0);
	check_decrypted(&w);
	world_free(&w);
}

static void moved(void **state)
{
	(void)state;
	there_and_back(SHIFT, 512, "checksum");
}

static void moved_larger_sectors(void **state)
{
	(void)state;
	there_and_back(SHIFT, 1024, "checksum");
}

static void in_place_checksum(void **state)
{
	(void)state;
	there_and_back(0, 512, "checksum");
}

static void in_place_journal(void **state)
{
	(void)state;
	there_and_back(0, 1024, "journal");
}

/* Cut while the header is made to be decrypted: it is as it was, or it goes on. */
static void cut_at_begin(void **state)
{
	struct world was;
	struct ndm_luks *l;
	unsigned cut, begun = 0;
	int err = -EIO;

	(void)state;
	encrypt_begin(&was, SHIFT, 512, "checksum");
	assert_int_equal(run(&was, true), 0);
	memcpy(was.header.bytes, was.data.bytes, SHIFT);
	was.attached = false;
	was.data.io.bytes = DATA_BYTES + SHIFT;
	for (cut = 1; err; cut++) {
		struct world w = world_copy(&was);

		world_ready(&w);
		l = load(&w);
		w.cut = cut;
		err = begin(&w, l, NDM_LUKS_DECRYPT, SHIFT, "checksum");
		ndm_luks_free(l);
		w.cut = 0;
		l = load(&w);
		begun += ndm_luks_reencrypting(l);
		if (!ndm_luks_reencrypting(l))	/* once more, with the header from the other disk */
			expect_begun(l, begin(&w, l, NDM_LUKS_DECRYPT, SHIFT, "checksum"));
		ndm_luks_free(l);
		assert_int_equal(run(&w, true), 0);
		check_decrypted(&w);
		world_free(&w);
	}
	assert_true(cut > 4 && begun);
	world_free(&was);
}

static void refusals(void **state)
{
	struct world w;
	struct ndm_luks *l;

	(void)state;
	encrypt_begin(&w, SHIFT, 512, "checksum");
	l = load(&w);
	assert_int_equal(ndm_luks_reencrypting_how(l), NDM_LUKS_ENCRYPT);
	assert_int_equal(begin(&w, l, NDM_LUKS_DECRYPT, SHIFT, "checksum"), -EBUSY);
	ndm_luks_free(l);
	assert_int_equal(run(&w, true), 0);
	l = load(&w);
	assert_int_equal(begin(&w, l, NDM_LUKS_DECRYPT, SHIFT, "none"), -EOPNOTSUPP);
	ndm_luks_free(l);
	l = load(&w);
	assert_int_equal(begin(&w, l, NDM_LUKS_DECRYPT, SHIFT / 2, "checksum"), -EINVAL);
	ndm_luks_free(l);
	l = load(&w);
	assert_int_equal(begin(&w, l, NDM_LUKS_REENCRYPT, SHIFT, "checksum"), -EINVAL);
	ndm_luks_free(l);
	l = load(&w);			/* the first bytes are more than the area holds */
	assert_int_equal(begin(&w, l, NDM_LUKS_DECRYPT, SHIFT, "journal"), -ENOSPC);
	ndm_luks_free(l);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moved), cmocka_unit_test(moved_larger_sectors),
		cmocka_unit_test(in_place_checksum), cmocka_unit_test(in_place_journal),
		cmocka_unit_test(cut_at_begin), cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
