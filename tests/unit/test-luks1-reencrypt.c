/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-luks1-reencrypt.c - LUKS1 data that gets another key, its first or none, in place or moved,
 * loses power at any write and at any sync - what was not synced is there, or not, sector by
 * sector - and goes on by its log, until all data is under the new key.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include <ndm-luks.h>

#include "lib/kit/crypt.h"

#define DATA_AT ((1u << 20) + (16u << 10))	/* behind the areas of 32-byte keys */
#define REDUCE (160u << 10)
#define DATA_BYTES (640u << 10)
#define DISK_BYTES (DATA_AT + DATA_BYTES)
#define LOG_BYTES (1u << 20)
#define FILE_BYTES (5u << 18)		/* of a header of such keys */
#define ZONE (96u << 10)
#define UUID "12345678-1234-1234-1234-123456789abc"

struct memory {
	struct ndm_luks_io io;
	uint8_t *bytes, *stable;	/* stable: what a loss of power leaves for sure */
	uint64_t low, high;		/* between them they may differ */
	unsigned *events, *cut;
};

static uint32_t dice_state = 1;

static unsigned dice(unsigned n)
{
	dice_state = dice_state * 1664525u + 1013904223u;
	return (dice_state >> 8) % n;
}

static int memory_read(struct ndm_luks_io *io, uint64_t at, void *buf, size_t n)
{
	struct memory *m = (struct memory *)io;

	assert_true(at <= io->bytes && n <= io->bytes - at);
	memcpy(buf, m->bytes + at, n);
	return 0;
}

static int memory_write(struct ndm_luks_io *io, uint64_t at, const void *buf, size_t n)
{
	struct memory *m = (struct memory *)io;
	bool last;

	assert_true(at <= io->bytes && n <= io->bytes - at);
	if (*m->cut && *m->events >= *m->cut)
		return -EIO;
	last = ++*m->events == *m->cut;
	memcpy(m->bytes + at, buf, n);
	m->low = at < m->low ? at : m->low;
	m->high = at + n > m->high ? at + n : m->high;
	return last ? -EIO : 0;
}

static int memory_sync(struct ndm_luks_io *io)
{
	struct memory *m = (struct memory *)io;

	if (*m->cut && ++*m->events >= *m->cut)
		return -EIO;
	if (m->low < m->high)
		memcpy(m->stable + m->low, m->bytes + m->low, m->high - m->low);
	m->low = UINT64_MAX;
	m->high = 0;
	return 0;
}

/* Power comes back. */
static void memory_lost(struct memory *m)
{
	uint64_t at;

	for (at = m->low == UINT64_MAX ? m->high : m->low / 512 * 512; at < m->high; at += 512)
		if (dice(2))
			memcpy(m->bytes + at, m->stable + at, 512);
	memcpy(m->stable, m->bytes, m->io.bytes);
	m->low = UINT64_MAX;
	m->high = 0;
}

static void memory_new(struct memory *m, uint64_t bytes)
{
	*m = (struct memory){ .io = { memory_read, memory_write, memory_sync, bytes, true }, .low = UINT64_MAX };
	m->bytes = calloc(1, bytes);
	m->stable = calloc(1, bytes);
	assert_true(m->bytes && m->stable);
}

static void memory_free(struct memory *m)
{
	free(m->bytes);
	free(m->stable);
}

/* ---- a device, its log and both headers ---- */

struct world {
	struct memory data, log, org, fresh;
	unsigned events, cut;
	uint8_t key[2][32];
	enum ndm_luks_change how;
	bool keep;
};

struct shape { enum ndm_luks_change how; uint64_t old_at, new_at; const char *cipher; };

static const struct ndm_luks_kdf cheap = { .type = "pbkdf2", .hash = "sha1", .iterations = 1000 };
static uint8_t plain[DISK_BYTES], seen[DISK_BYTES];

static void crypt_all(const char *cipher, const uint8_t *key, bool encrypt, const uint8_t *in, uint8_t *out, size_t n)
{
	struct ndm_crypt_spec spec = { .cipher = cipher, .key_bytes = 32, .sector_bytes = 512, .lanes = 1 };
	struct ndm_crypt_run run = { .encrypt = encrypt, .in = in, .out = out, .bytes = n };
	struct ndm_crypt *c;
	const char *why;

	assert_int_equal(ndm_crypt_new(&spec, &c, &why), 0);
	assert_int_equal(ndm_crypt_set_key(c, key), 0);
	assert_int_equal(ndm_crypt_init_iv(c, &why), 0);
	assert_int_equal(ndm_crypt_run(c, 0, &run), 0);
	ndm_crypt_free(c);
}

static void header_make(struct memory *m, const char *cipher, uint64_t at, uint8_t key[32], const char *pass)
{
	struct ndm_luks_format f = { .version = 1, .cipher = cipher, .key_bytes = 32, .hash = "sha1", .uuid = UUID,
				     .detached = true, .data_offset = at };
	struct ndm_luks *l = ndm_luks_new(&m->io);

	assert_int_equal(ndm_luks_random(key, 32), 0);
	if (ndm_luks_format(l, &f, key) || ndm_luks_add(l, 2, pass, strlen(pass), key, 32, &cheap) != 2)
		fail_msg("%s", ndm_luks_why(l));
	ndm_luks_free(l);
}

static struct ndm_luks *load(struct memory *m)
{
	struct ndm_luks *l = ndm_luks_new(&m->io);

	if (ndm_luks_load(l))
		fail_msg("%s", ndm_luks_why(l));
	return l;
}

static uint64_t total_of(const struct shape *s)
{
	return DISK_BYTES - (s->how == NDM_LUKS_DECRYPT ? s->old_at : s->new_at);
}

static void change_open(struct world *w, struct ndm_luks1_change *c)
{
	*c = (struct ndm_luks1_change){ .how = w->how, .data = &w->data.io, .log = &w->log.io, .uuid = UUID,
					.keep = w->keep };
	if (w->how != NDM_LUKS_ENCRYPT)
		c->old = load(&w->org);
	if (w->how != NDM_LUKS_DECRYPT)
		c->fresh = load(&w->fresh);
	c->keys = (struct ndm_luks_keys){ w->key[0], w->key[1], 32, 32 };
}

static void change_close(struct ndm_luks1_change *c)
{
	ndm_luks_free(c->old);
	ndm_luks_free(c->fresh);
}

static void world_make(struct world *w, const struct shape *s)
{
	struct memory *all[] = { &w->data, &w->log, &w->org, &w->fresh };
	struct ndm_luks1_change c;
	unsigned i;

	*w = (struct world){ .how = s->how };
	memory_new(&w->data, DISK_BYTES);
	memory_new(&w->log, LOG_BYTES);
	memory_new(&w->org, FILE_BYTES);
	memory_new(&w->fresh, FILE_BYTES);
	for (i = 0; i < 4; i++) {
		all[i]->events = &w->events;
		all[i]->cut = &w->cut;
	}
	for (i = 0; i < DISK_BYTES; i++)
		plain[i] = i * 7 + i / 512 * 13;
	header_make(&w->org, "aes-xts-plain64", s->old_at, w->key[0], "old");
	header_make(&w->fresh, s->cipher, s->new_at, w->key[1], "new");
	if (s->how == NDM_LUKS_ENCRYPT)
		memcpy(w->data.bytes, plain, DISK_BYTES);
	else
		crypt_all("aes-xts-plain64", w->key[0], true, plain, w->data.bytes + s->old_at, DISK_BYTES - s->old_at);
	memcpy(w->data.stable, w->data.bytes, DISK_BYTES);
	change_open(w, &c);
	if (ndm_luks1_begin(&c))
		fail_msg("%s", c.why);
	change_close(&c);
	w->events = 0;
}

/* From whatever state it is in; 0: all is done */
static int run(struct world *w, const struct shape *s)
{
	struct ndm_luks1_change c;
	uint64_t done, total;
	int err;

	change_open(w, &c);
	c.how = NDM_LUKS_REENCRYPT;		/* the log knows better */
	if (ndm_luks1_load(&c))
		fail_msg("after %u events: %s", w->events, c.why);
	assert_int_equal(c.how, w->how);
	do {
		err = ndm_luks1_step(&c, ZONE, &done, &total);
	} while (err > 0);
	if (!err && w->how == NDM_LUKS_DECRYPT)
		err = ndm_luks1_clear(&c);
	else if (!err)
		err = s->new_at ? ndm_luks1_install(&c, c.data) : 0;	/* else it goes elsewhere */
	assert_true(err || ndm_luks1_done(&c));
	if (err && err != -EIO)
		fail_msg("after %u events: %s", w->events, c.why);
	change_close(&c);
	return err;
}

static void check_end(struct world *w, const struct shape *s)
{
	uint64_t total = total_of(s), at;
	struct ndm_luks *l;

	if (s->how == NDM_LUKS_DECRYPT) {
		assert_memory_equal(w->data.bytes, plain, total);
		for (at = total; at < DISK_BYTES; at++)
			assert_int_equal(w->data.bytes[at], 0);
		return;
	}
	crypt_all(s->cipher, w->key[1], false, w->data.bytes + s->new_at, seen, total);
	assert_memory_equal(seen, plain, total);
	if (!s->new_at)
		return;
	l = load(&w->data);			/* it is on the device now */
	assert_string_equal(ndm_luks_cipher(l), s->cipher);
	assert_int_equal(ndm_luks_check_key(l, w->key[1], 32), 0);
	assert_int_equal(ndm_luks_data_offset(l), s->new_at);
	for (at = ndm_luks_header_bytes(l); at < s->new_at && s->new_at > s->old_at; at++)
		assert_int_equal(w->data.bytes[at], 0);
	ndm_luks_free(l);
}

static void world_lost(struct world *w)
{
	memory_lost(&w->data);
	memory_lost(&w->log);
}

static void cut_everywhere(const struct shape *s)
{
	uint8_t *data = malloc(DISK_BYTES), *log = malloc(LOG_BYTES);
	unsigned cut, again = 0;
	struct world w;

	world_make(&w, s);
	assert_true(data && log);
	memcpy(data, w.data.bytes, DISK_BYTES);
	memcpy(log, w.log.bytes, LOG_BYTES);
	for (cut = 1; ; cut++) {
		memcpy(w.data.bytes, data, DISK_BYTES);
		memcpy(w.log.bytes, log, LOG_BYTES);
		w.events = 0;
		w.cut = 0;
		world_lost(&w);
		w.cut = cut;
		if (!run(&w, s))
			break;
		world_lost(&w);
		w.events = 0;
		w.cut = 1 + dice(25);
		again += run(&w, s) != 0;
		world_lost(&w);
		w.cut = 0;
		assert_int_equal(run(&w, s), 0);
		check_end(&w, s);
	}
	check_end(&w, s);
	assert_true(cut > 20);
	assert_true(again > 10);
	memory_free(&w.data);
	memory_free(&w.log);
	memory_free(&w.org);
	memory_free(&w.fresh);
	free(data);
	free(log);
}

#define CASE(name, ...)							\
	static void name(void **state)					\
	{								\
		static const struct shape s = { __VA_ARGS__ };		\
									\
		(void)state;						\
		cut_everywhere(&s);					\
	}

CASE(in_place, NDM_LUKS_REENCRYPT, DATA_AT, DATA_AT, "aes-cbc-essiv:sha256")
CASE(moved_up, NDM_LUKS_REENCRYPT, DATA_AT, DATA_AT + REDUCE, "aes-xts-plain64")
CASE(moved_a_little, NDM_LUKS_REENCRYPT, DATA_AT, DATA_AT + 4096, "serpent-cbc-plain64")
CASE(encrypt_moved, NDM_LUKS_ENCRYPT, 0, DATA_AT, "aes-xts-plain64")
CASE(encrypt_detached, NDM_LUKS_ENCRYPT, 0, 0, "aes-xts-plain64")
CASE(decrypt_moved, NDM_LUKS_DECRYPT, DATA_AT, 0, "aes-xts-plain64")
CASE(decrypt_detached, NDM_LUKS_DECRYPT, 0, 0, "aes-xts-plain64")

/* The log is one that cryptsetup reads, but while a zone is at work in its place. */
static void the_log(void **state)
{
	static const struct shape s = { NDM_LUKS_REENCRYPT, DATA_AT, DATA_AT, "aes-xts-plain64" };
	struct ndm_luks1_change c;
	uint64_t done, total;
	struct world w;

	(void)state;
	world_make(&w, &s);
	change_open(&w, &c);
	assert_int_equal(ndm_luks1_step(&c, ZONE, &done, &total), 1);
	assert_int_equal(done, ZONE);
	assert_int_equal(total, DATA_BYTES);
	assert_non_null(strstr((char *)w.log.bytes, "\nversion = 2\nUUID = " UUID "\ndirection = 0\nmode = 0\n"
			       "offset = 98304\nshift = 0\n"));
	w.cut = w.events + 3;			/* copy, sync, log */
	assert_int_equal(ndm_luks1_step(&c, ZONE, &done, &total), -EIO);
	assert_non_null(strstr((char *)w.log.bytes, "\nversion = 3\n"));
	assert_non_null(strstr((char *)w.log.bytes, "\nhot = 98304\n"));
	change_close(&c);
	memory_free(&w.data);
	memory_free(&w.log);
	memory_free(&w.org);
	memory_free(&w.fresh);
}

static void logs_refused(void **state)
{
	static const char *const bad[] = {
		"", "nonsense", "version = 2\n", "version = 4\nUUID = " UUID "\n", "version = 2\nUUID = other\n",
		"version = 2\nUUID = " UUID "\ndirection = 2\n", "version = 2\nUUID = " UUID "\nmode = 3\n",
		"version = 2\nUUID = " UUID "\ndirection = 0\nmode = 0\noffset = 99999999999\nshift = 0\n",
		"version = 2\nUUID = " UUID "\ndirection = 0\nmode = 0\noffset = 0\nshift = 7\n",
		"version = 2\nUUID = " UUID "\ndirection = 1\nmode = 0\noffset = 0\nshift = 0\n",
		"version = 3\nUUID = " UUID "\ndirection = 0\nmode = 0\noffset = 0\nhot = 99999999999\nshift = 0\n",
		"version = 2\nUUID = " UUID "\ndirection = 0\nmode = 0\noffset = 0\nshift = 0\n# device = 17\n",
	};
	static const struct shape s = { NDM_LUKS_REENCRYPT, DATA_AT, DATA_AT, "aes-xts-plain64" };
	struct ndm_luks1_change c;
	uint64_t done, total;
	struct world w;
	unsigned i;

	(void)state;
	world_make(&w, &s);
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		memset(w.log.bytes, 0, 512);
		memcpy(w.log.bytes, bad[i], strlen(bad[i]));
		change_open(&w, &c);
		if (!ndm_luks1_load(&c))
			assert_int_equal(ndm_luks1_step(&c, ZONE, &done, &total), -EINVAL);
		assert_true(*c.why);
		change_close(&c);
	}
	assert_memory_equal(w.data.bytes, w.data.stable, DISK_BYTES);
	memory_free(&w.data);
	memory_free(&w.log);
	memory_free(&w.org);
	memory_free(&w.fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_place), cmocka_unit_test(moved_up), cmocka_unit_test(moved_a_little),
		cmocka_unit_test(encrypt_moved), cmocka_unit_test(encrypt_detached), cmocka_unit_test(decrypt_moved),
		cmocka_unit_test(decrypt_detached), cmocka_unit_test(the_log), cmocka_unit_test(logs_refused),
	};
	const char *seed = getenv("SEED");

	dice_state = seed ? strtoul(seed, NULL, 0) : 1;
	print_message("SEED=%u\n", dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
