/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-kernel-ciphers.c - every cipher specification that Linux' dm-crypt was asked for, in tables: what
 * it took is taken, with the same bytes on the disk, and what it refused is refused, with the same errno
 * and sentence.  tests/data/kernel-ciphers.txt is what tests/interop/kernel/ciphers.py printed under
 * Linux 6.12.
 */
#include <config.h>

#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/kit/hash.h"

#define SECTORS 8
#define BYTES (SECTORS * NDM_SECTOR_BYTES)
#define TUPLE 96
#define TAGS_MAX (SECTORS * TUPLE)
#define META_SECTORS 2048

struct listed {			/* a line of the list */
	char spec[128], words[96], verdict[4], first[72], second[256];
	unsigned key_bytes;
};

struct judge {
	struct box *box;
	struct box_disk *data, *meta;
	struct ndm_store *m;
	unsigned tags_at;		/* in bytes of the metadata; 0: not known */
	unsigned accepted, refused, wrong;
};

static uint8_t plain[BYTES], seen[BYTES];

static void wrong(struct judge *j, const struct listed *l, const char *what, const char *seen_there)
{
	print_message("%s %u %s: kernel: %s %s %s; here: %s %s\n", l->spec, l->key_bytes, l->words, l->verdict,
		      l->first, l->second, what, seen_there);
	j->wrong++;
}

static void table_of(const struct listed *l, const char *below, char *text, size_t room)
{
	char words[sizeof l->words];
	unsigned i, n = 1;
	int at = snprintf(text, room, "0 %d crypt %s ", SECTORS, l->spec);

	for (i = 0; i < l->key_bytes; i++)
		at += snprintf(text + at, room - at, "%02x", (i * 37 + 11 + (i >> 8)) & 255);
	at += snprintf(text + at, room - at, "%s 8 %s 0", l->key_bytes ? "" : "-", below);
	if (!strcmp(l->words, "-"))
		return;
	snprintf(words, sizeof words, "%s", l->words);
	for (i = 0; words[i]; i++)
		if (words[i] == '+') {
			words[i] = ' ';
			n++;
		}
	snprintf(text + at, room - at, " %u %s", n, words);
}

static const char *errno_word(int err)
{
	return err == EINVAL ? "EINVAL" : err == ENOENT ? "ENOENT" : err == ENOKEY ? "ENOKEY" :
	       err == EIO ? "EIO" : err == EILSEQ ? "EILSEQ" : err == ENOSYS ? "ENOSYS" : strerror(err);
}

/* sha256 of what lies below, tags behind the data */
static void digest_below(struct judge *j, bool tagged, unsigned sector_bytes, char hex[65])
{
	uint8_t digest[32];
	struct ndm_hash *h;
	unsigned i;

	assert_int_equal(ndm_hash_new("sha256", &h), 0);
	assert_int_equal(ndm_hash_begin(h), 0);
	ndm_hash_update(h, j->data->bytes, BYTES);
	if (tagged)
		ndm_hash_update(h, j->meta->bytes + j->tags_at, BYTES / sector_bytes * TUPLE);
	assert_int_equal(ndm_hash_end(h, digest), 0);
	ndm_hash_free(h);
	for (i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
}

static void judge_accepted(struct judge *j, const struct listed *l, const char *table, bool tagged)
{
	const char *random = strstr(l->spec, "-random");
	unsigned sector = strstr(l->words, "sector_size:4096") ? 4096 : 512;
	char hex[65], how[32] = "back";
	int err;

	box_reload(j->box, "m", table);
	box_suspend(j->box, "m", 0);
	box_resume(j->box, "m");
	err = ndm_rw(j->m, NDM_WRITE, 0, 0, SECTORS, plain);
	if (err)
		snprintf(how, sizeof how, "write:%s", errno_word(-err));
	if (tagged) {
		box_suspend(j->box, "i", 0);
		box_resume(j->box, "i");
	}
	digest_below(j, tagged, sector, hex);
	if (!err) {
		err = ndm_rw(j->m, NDM_READ, 0, 0, SECTORS, seen);
		if (err)
			snprintf(how, sizeof how, "read:%s", errno_word(-err));
		else if (memcmp(seen, plain, BYTES))
			snprintf(how, sizeof how, "other");
	}
	if ((!random && strcmp(hex, l->first)) || strcmp(how, l->second))
		wrong(j, l, hex, how);
	j->accepted++;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static void judge_one(struct judge *j, const struct listed *l)
{
	bool tagged = strstr(l->words, "integrity:");
	const char *why;
	char table[8192];
	int err;

	table_of(l, tagged ? "dev:i" : "box:a", table, sizeof table);
	err = box_refused(j->box, table, &why);
	if (!strcmp(l->verdict, "yes")) {
		if (err)
			wrong(j, l, errno_word(err), why);
		else
			judge_accepted(j, l, table, tagged);
		return;
	}
	j->refused++;
	if (!err || strcmp(errno_word(err), l->first) || (strcmp(l->second, "Unknown error") && !ends_with(why, l->second)))
		wrong(j, l, err ? errno_word(err) : "taken", why);
}

/* "SPEC KEYBYTES WORDS yes SHA256 HOW" or "... no ERRNO crypt: SENTENCE" */
static bool parse(const char *line, struct listed *l)
{
	int at = 0;

	if (*line == '#' || sscanf(line, "%127s %u %95s %3s %71s %n", l->spec, &l->key_bytes, l->words, l->verdict,
				   l->first, &at) != 5)
		return false;
	if (!strncmp(line + at, "crypt: ", 7))
		at += 7;
	snprintf(l->second, sizeof l->second, "%.250s", line + at);
	l->second[strcspn(l->second, "\n")] = 0;
	return true;
}

static void judge_list(struct box *b, unsigned sector_bytes)
{
	const char *top = getenv("top_srcdir");
	char path[512], line[600], table[256];
	struct judge j = { .box = b };
	struct listed l;
	FILE *list;

	snprintf(path, sizeof path, "%s/tests/data/kernel-ciphers.txt", top ? top : ".");
	list = fopen(path, "r");
	assert_non_null(list);
	for (unsigned i = 0; i < BYTES; i++)
		plain[i] = i * 7 + (i >> 9) * 13 + 1;
	j.data = box_disk(b, "a", SECTORS, 0);
	j.meta = box_disk(b, "b", META_SECTORS, 0);
	memset(j.meta->bytes, 0, META_SECTORS * NDM_SECTOR_BYTES);
	if (sector_bytes) {
		snprintf(table, sizeof table, "0 %d integrity box:a 0 %d D 4 meta_device:box:b journal_sectors:8 "
			 "buffer_sectors:8 block_size:%u", SECTORS, TUPLE, sector_bytes);
		box_up(b, "i", table);
	}
	j.m = box_up(b, "m", "0 8 crypt cipher_null-ecb - 0 box:a 0");
	while (fgets(line, sizeof line, list)) {
		unsigned of = strstr(line, "sector_size:4096") ? 4096 : 512;

		if (sscanf(line, "# tags %u", &j.tags_at) == 1)
			continue;
		if (parse(line, &l) && (strstr(l.words, "integrity:") ? of : 0) == sector_bytes)
			judge_one(&j, &l);
	}
	fclose(list);
	print_message("%u taken, %u refused, %u wrong\n", j.accepted, j.refused, j.wrong);
	assert_int_equal(j.wrong, 0);
	assert_true(sector_bytes || j.accepted > 200);
}

static void ciphers(struct box *b)
{
	judge_list(b, 0);
}
BOX_DEFINE(ciphers)

static void with_tags(struct box *b)
{
	judge_list(b, 512);
}
BOX_DEFINE(with_tags)

static void with_tags_of_large_sectors(struct box *b)
{
	judge_list(b, 4096);
}
BOX_DEFINE(with_tags_of_large_sectors)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(ciphers), BOX_TEST(with_tags), BOX_TEST(with_tags_of_large_sectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
