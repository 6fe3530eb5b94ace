/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-luks.c - LUKS headers in memory: made, opened, changed, damaged, hostile.  That others
 * read what we make, and we what others made, is shown by tests/conformance and by
 * tests/interop/cryptsetup.sh.
 */
#include "box.h"

#include <stdlib.h>

#include <ndm-luks.h>

#include "lib/kit/hash.h"
#include "lib/luks/tree.h"

#define DISK_BYTES (4u << 20)

struct memory { struct ndm_luks_io io; uint8_t *bytes; unsigned writes, fail_after; };

static int memory_read(struct ndm_luks_io *io, uint64_t at, void *buf, size_t n)
{
	memcpy(buf, ((struct memory *)io)->bytes + at, n);
	return 0;
}

static int memory_write(struct ndm_luks_io *io, uint64_t at, const void *buf, size_t n)
{
	struct memory *m = (struct memory *)io;

	if (m->fail_after && ++m->writes > m->fail_after)
		return -EIO;
	memcpy(m->bytes + at, buf, n);
	return 0;
}

static int memory_sync(struct ndm_luks_io *io)
{
	(void)io;
	return 0;
}

static void memory_make(struct memory *m)
{
	*m = (struct memory){ .io = { memory_read, memory_write, memory_sync, DISK_BYTES, true } };
	m->bytes = calloc(1, DISK_BYTES);
	assert_non_null(m->bytes);
}

static const struct ndm_luks_kdf cheap = { .type = "pbkdf2", .hash = "sha256", .iterations = 1000,
					   .cipher_key_bytes = 32 };

static struct ndm_luks *make(struct memory *m, int version, uint8_t *key)
{
	struct ndm_luks_format f = { .version = version, .cipher = "aes-xts-plain64", .key_bytes = 32,
				     .hash = "sha256", .sector_bytes = 512, .data_offset = -1,
				     .keyslots_bytes = 1 << 20, .label = "name" };
	struct ndm_luks *l;

	memory_make(m);
	assert_int_equal(ndm_luks_random(key, 32), 0);
	l = ndm_luks_new(&m->io);
	assert_int_equal(ndm_luks_format(l, &f, key), 0);
	assert_int_equal(ndm_luks_add(l, -1, "one", 3, key, 32, &cheap), 0);
	return l;
}

static struct ndm_luks *load(struct memory *m, int expected)
{
	struct ndm_luks *l = ndm_luks_new(&m->io);

	assert_int_equal(ndm_luks_load(l), expected);
	if (expected)
		assert_true(*ndm_luks_why(l));
	return l;
}

static int opens(struct ndm_luks *l, const char *pass, const uint8_t *key)
{
	uint8_t got[NDM_LUKS_KEY_MAX];
	size_t n = 0;
	int slot = ndm_luks_unlock(l, -1, pass, strlen(pass), got, &n);

	if (slot >= 0) {
		assert_int_equal(n, 32);
		assert_memory_equal(got, key, 32);
	}
	return slot;
}

/* ---- slots ---- */

static void slots_come_and_go(void **state)
{
	uint8_t key[32], wrong[32] = { 0 };
	struct ndm_luks *l;
	struct memory m;
	int version;

	(void)state;
	for (version = 1; version <= 2; version++) {
		ndm_luks_free(make(&m, version, key));
		l = load(&m, 0);
		assert_int_equal(ndm_luks_version(l), version);
		assert_int_equal(opens(l, "one", key), 0);
		assert_int_equal(opens(l, "two", key), -EPERM);
		assert_int_equal(ndm_luks_add(l, 3, "two", 3, key, 32, &cheap), 3);
		assert_int_equal(ndm_luks_add(l, 3, "two", 3, key, 32, &cheap), -EBUSY);
		assert_int_equal(ndm_luks_add(l, -1, "two", 3, wrong, 32, &cheap), -EPERM);
		assert_int_equal(ndm_luks_add(l, -1, "", 0, key, 32, &cheap), 1);
		ndm_luks_free(l);
		l = load(&m, 0);
		assert_int_equal(opens(l, "two", key), 3);
		assert_int_equal(opens(l, "", key), 1);
		assert_int_equal(ndm_luks_slot_state(l, 3), NDM_LUKS_ACTIVE);
		assert_int_equal(ndm_luks_kill(l, 3), 0);
		assert_int_equal(ndm_luks_kill(l, 3), -ENOENT);
		assert_int_equal(ndm_luks_kill(l, 0), 0);
		assert_int_equal(ndm_luks_slot_state(l, 1), NDM_LUKS_ACTIVE_LAST);
		assert_int_equal(opens(l, "two", key), -EPERM);
		assert_int_equal(ndm_luks_erase(l), 0);
		assert_int_equal(opens(l, "", key), -EPERM);
		ndm_luks_free(l);
		free(m.bytes);
	}
}

static void slots_fill_up(void **state)
{
	struct ndm_luks *l;
	struct memory m;
	uint8_t key[32];
	int i, got = 0;

	(void)state;
	l = make(&m, 2, key);			/* 1 MiB: room for 8 areas of 128 KiB */
	for (i = 0; i < 40 && got >= 0; i++)
		got = ndm_luks_add(l, -1, "x", 1, key, 32, &cheap);
	assert_int_equal(got, -ENOSPC);
	assert_int_equal(i, 8);
	ndm_luks_free(l);
	l = load(&m, 0);			/* and the header is as it was before */
	assert_int_equal(opens(l, "one", key), 0);
	ndm_luks_free(l);
	free(m.bytes);
}

/* ---- tables ---- */

static void table_lines(void **state)
{
	struct ndm_luks_options o = { .device = "/disk", .device_bytes = DISK_BYTES, .discards = true };
	const char *flags[] = { "no-read-workqueue", "of-the-future" };
	struct ndm_luks_line *line;
	struct ndm_luks *l;
	struct memory m;
	uint8_t key[32];
	unsigned n;

	(void)state;
	l = make(&m, 2, key);
	assert_int_equal(ndm_luks_set_flags(l, flags, 2), 0);
	ndm_luks_free(l);
	l = load(&m, 0);
	assert_true(ndm_luks_flag(l, "of-the-future"));
	assert_int_equal(ndm_luks_lines(l, &o, key, 32, &line, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(line->nr, 8192 - 4096);	/* 32 KiB and 1 MiB, up to a whole MiB */
	assert_string_equal(line->type, "crypt");
	assert_memory_equal(line->args, "aes-xts-plain64 ", 16);
	assert_string_equal(line->args + 16 + 64, " 0 /disk 4096 2 allow_discards no_read_workqueue");
	ndm_luks_lines_free(line, n);
	o.device_bytes = 4096 * 512;
	assert_int_equal(ndm_luks_lines(l, &o, key, 32, &line, &n), -EINVAL);
	ndm_luks_free(l);
	free(m.bytes);
}

/* ---- damage ---- */

/* one copy of two is enough, whichever; the other is made anew; with none there is nothing */
static void copies_heal(void **state)
{
	static const unsigned where[] = { 0, 7, 8, 30, 100, 448, 4096, 5000, 16383 };
	struct ndm_luks *l;
	struct memory m;
	uint8_t key[32];
	unsigned i;

	(void)state;
	ndm_luks_free(make(&m, 2, key));
	for (i = 0; i < 2 * sizeof where / sizeof *where; i++) {
		m.bytes[where[i / 2] + (i & 1) * 16384] ^= 0x55;
		l = load(&m, 0);
		assert_true(ndm_luks_repaired(l));
		assert_int_equal(opens(l, "one", key), 0);
		ndm_luks_free(l);
		l = load(&m, 0);
		assert_false(ndm_luks_repaired(l));
		ndm_luks_free(l);
	}
	m.bytes[20] ^= 1;
	m.bytes[16384 + 20] ^= 1;
	ndm_luks_free(load(&m, -ENXIO));
	free(m.bytes);
}

/* the power goes after any write of a change: the old or the new header is there, never none */
static void cut_while_changing(void **state)
{
	struct memory m, was;
	struct ndm_luks *l;
	uint8_t key[32];
	unsigned cut;
	int err = -EIO;

	(void)state;
	ndm_luks_free(make(&m, 2, key));
	memory_make(&was);
	memcpy(was.bytes, m.bytes, DISK_BYTES);
	for (cut = 1; err; cut++) {
		memcpy(m.bytes, was.bytes, DISK_BYTES);
		m.fail_after = 0;
		l = load(&m, 0);
		m.writes = 0;
		m.fail_after = cut;
		err = ndm_luks_add(l, -1, "two", 3, key, 32, &cheap);
		err = err < 0 ? err : 0;
		ndm_luks_free(l);
		m.fail_after = 0;
		l = load(&m, 0);
		assert_int_equal(opens(l, "one", key), 0);
		if (ndm_luks_slot_state(l, 1) == NDM_LUKS_ACTIVE)
			assert_int_equal(opens(l, "two", key), 1);
		else
			assert_int_equal(err, -EIO);
		ndm_luks_free(l);
	}
	assert_true(cut > 5);
	free(m.bytes);
	free(was.bytes);
}

/* ---- hostile headers ---- */

static void json_refusals(void **state)
{
	static const char *const wrong[] = {
		"", "{", "[1,]", "{\"a\":1,\"a\":2}", "{\"a\" 1}", "\"\\x\"", "\"\\ud800\"", "\"\\u0000\"",
		"01x", "-", "tru", "{}}", "\"\n\"", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", "\"abc",
	};
	const char *right = "{\"a\":[1,-2.5e3,true,false,null,\"\\u00e9\\ud83d\\ude00\\n\\\"\"],\"b\":{}}";
	struct ndm_str out = { 0 };
	const char *why;
	struct tree *t;

	(void)state;
	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		why = NULL;
		assert_null(luks_tree_parse(wrong[i], strlen(wrong[i]), &why));
		assert_non_null(why);
	}
	t = luks_tree_parse(right, strlen(right), &why);
	assert_non_null(t);
	luks_tree_print(t, &out, false);
	assert_string_equal(out.text, "{\"a\":[1,-2.5e3,true,false,null,\"\xc3\xa9\xf0\x9f\x98\x80\\u000a\\\"\"],"
			    "\"b\":{}}");
	ndm_str_free(&out);
	luks_tree_free(t);
}

/* sha256 over the copy, its own place counted as zeroes */
static void test_luks2_checksum(uint8_t *copy, size_t bytes)
{
	struct ndm_hash *h;

	memset(copy + 448, 0, 64);
	assert_int_equal(ndm_hash_new("sha256", &h), 0);
	assert_int_equal(ndm_hash_one(h, copy, bytes, copy + 448), 0);
	ndm_hash_free(h);
}

/* JSON that is JSON, but no LUKS2: a member changed, both copies written with good checksums */
static void luks2_refusals(void **state)
{
	static const struct { const char *from, *to; } t[] = {
		{ "\"type\":\"luks1\"", "\"type\":\"luks9\"" },
		{ "\"stripes\":4000", "\"stripes\":9999" },
		{ "\"stripes\":4000", "\"stripes\":   0" },
		{ "\"offset\":\"32768\"", "\"offset\":\"32767\"" },
		{ "\"keyslots_size\":\"1048576\"", "\"keyslots_size\":\"0065536\"" },
		{ "\"size\":\"131072\"", "\"size\":\"4096\"  " },
		{ "\"iterations\":1000", "\"iterations\":   0" },
		{ "\"keyslots\":[\"0\"]", "\"keyslots\":[\"5\"]" },
		{ "\"segments\":[\"0\"]", "\"segments\":[\"1\"]" },
		{ "\"json_size\":\"12288\"", "\"json_size\":\"12289\"" },
		{ "\"segments\":{\"0\"", "\"segments\":{\"1\"" },
		{ "\"iv_tweak\":\"0\"", "\"iv_tweak\": 0 " },
		{ "\"sector_size\":512", "\"sector_size\":500" },
		{ "\"key_size\":32", "\"key_size\":-1" },
		{ "\"tokens\":{}", "\"tokens\":[]" },
	};
	struct ndm_luks *l;
	struct memory m;
	uint8_t key[32];
	char *at;

	(void)state;
	for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
		l = make(&m, 2, key);
		for (unsigned copy = 0; copy < 2; copy++) {
			at = strstr((char *)m.bytes + copy * 16384 + 4096, t[i].from);
			assert_non_null(at);
			memcpy(at, t[i].to, strlen(t[i].to));
			test_luks2_checksum(m.bytes + copy * 16384, 16384);
		}
		ndm_luks_free(l);
		ndm_luks_free(load(&m, -EINVAL));
		free(m.bytes);
	}
}

static void luks1_refusals(void **state)
{
	static const struct { unsigned at; uint8_t byte; } t[] = {
		{ 8, 0 }, { 8, 200 }, { 72, 0 }, { 108, 1 }, { 111, 0 }, { 164, 255 }, { 208, 1 },
		{ 208 + 4, 255 }, { 208 + 40, 1 }, { 208 + 44, 1 }, { 208 + 48 + 42, 0 }, { 6, 7 },
	};
	struct memory m, was;
	struct ndm_luks *l;
	uint8_t key[32];

	(void)state;
	ndm_luks_free(make(&was, 1, key));
	memory_make(&m);
	for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
		memcpy(m.bytes, was.bytes, DISK_BYTES);
		m.bytes[t[i].at] = t[i].byte;
		l = ndm_luks_new(&m.io);
		assert_true(ndm_luks_load(l) < 0);
		assert_true(*ndm_luks_why(l));
		ndm_luks_free(l);
	}
	free(m.bytes);
	free(was.bytes);
}

/* ---- other things ---- */

static void tokens_and_labels(void **state)
{
	struct ndm_luks *l;
	struct memory m;
	uint8_t key[32];
	char *json;

	(void)state;
	l = make(&m, 2, key);
	assert_string_equal(ndm_luks_label(l), "name");
	assert_int_equal(ndm_luks_token_set(l, -1, "{\"type\":\"t\",\"keyslots\":[\"0\"],\"x\":[1]}"), 0);
	assert_int_equal(ndm_luks_token_set(l, -1, "{\"type\":\"t\",\"keyslots\":[\"9\"]}"), -EINVAL);
	assert_int_equal(ndm_luks_token_set(l, -1, "[]"), -EINVAL);
	assert_int_equal(ndm_luks_token_set(l, 5, NULL), -ENOENT);
	assert_int_equal(ndm_luks_set_label(l, "other", NULL), 0);
	assert_int_equal(ndm_luks_set_priority(l, 0, 0), 0);
	ndm_luks_free(l);
	l = load(&m, 0);
	assert_string_equal(ndm_luks_label(l), "other");
	json = ndm_luks_token_json(l, 0);
	assert_string_equal(json, "{\"type\":\"t\",\"keyslots\":[\"0\"],\"x\":[1]}");
	ndm_luks_text_free(json);
	assert_int_equal(opens(l, "one", key), -EPERM);		/* ignored, unless named */
	assert_int_equal(ndm_luks_set_priority(l, 0, 1), 0);
	assert_int_equal(ndm_luks_kill(l, 0), 0);
	json = ndm_luks_token_json(l, 0);			/* the slot is gone, the token stays */
	assert_string_equal(json, "{\"type\":\"t\",\"keyslots\":[],\"x\":[1]}");
	ndm_luks_text_free(json);
	ndm_luks_free(l);
	free(m.bytes);
}

static void header_saved_and_restored(void **state)
{
	struct memory m, backup;
	struct ndm_luks *l;
	uint8_t key[32];

	(void)state;
	for (int version = 1; version <= 2; version++) {
		l = make(&m, version, key);
		memory_make(&backup);
		assert_int_equal(ndm_luks_backup(l, &backup.io), 0);
		assert_int_equal(ndm_luks_erase(l), 0);
		assert_int_equal(opens(l, "one", key), -EPERM);
		assert_int_equal(ndm_luks_restore(l, &backup.io), 0);
		assert_int_equal(opens(l, "one", key), 0);
		backup.bytes[version == 1 ? 0 : 6] = 9;
		backup.bytes[16384] = 9;
		assert_true(ndm_luks_restore(l, &backup.io) < 0);
		assert_int_equal(opens(l, "one", key), 0);	/* nothing was overwritten */
		ndm_luks_free(l);
		free(m.bytes);
		free(backup.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_come_and_go),
		cmocka_unit_test(slots_fill_up),
		cmocka_unit_test(table_lines),
		cmocka_unit_test(copies_heal),
		cmocka_unit_test(cut_while_changing),
		cmocka_unit_test(json_refusals),
		cmocka_unit_test(luks2_refusals),
		cmocka_unit_test(luks1_refusals),
		cmocka_unit_test(tokens_and_labels),
		cmocka_unit_test(header_saved_and_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
