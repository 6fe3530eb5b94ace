/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which path queue-length and service-time choose, against what a kernel chose for the same
 * requests, answers and failures (tests/golden/multipath-selectors.txt, recorded with paths
 * that were suspended, so that requests stay in flight until one lets them go).  After each
 * step the whole status line has to be the kernel's.
 *
 * historical-service-time looks at the clock, which cannot be recorded: it is compared with
 * its definition, worked out here another way.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#define PATHS_MAX 8
#define REQUESTS_MAX 128

static unsigned char buf[64 * NDM_SECTOR_BYTES];

struct session {
	struct box *b;
	unsigned n, nio;
	char name[16];
	struct box_disk *disk[PATHS_MAX];
	struct ndm_store *m;
	struct box_io io[REQUESTS_MAX];
};

/* P0 -> box:sJpI, J the session */
static void put_names(const char *from, const char *session, char *to, size_t len)
{
	size_t at = 0;

	for (; *from && at + 16 < len; from++) {
		if (*from == 'P' && from[1] >= '0' && from[1] <= '9')
			at += snprintf(to + at, len - at, "box:%sp", session);
		else
			to[at++] = *from;
	}
	to[at] = '\0';
}

static void session_begin(struct session *s, struct box *b, unsigned number, char *line)
{
	char selector[32], table[512], words[256], named[400];
	unsigned nargs, i;
	int at;

	*s = (struct session){ .b = b };
	snprintf(s->name, sizeof s->name, "s%u", number);
	assert_int_equal(sscanf(line, "table %31s %u %u %n", selector, &s->n, &nargs, &at), 3);
	snprintf(words, sizeof words, "%s", line + at);
	put_names(words, s->name, named, sizeof named);
	for (i = 0; i < s->n; i++) {
		char name[32];

		snprintf(name, sizeof name, "%sp%u", s->name, i);
		s->disk[i] = box_disk(b, name, 2048, 0);
		s->disk[i]->hold = true;
	}
	snprintf(table, sizeof table, "0 2048 multipath 2 queue_mode bio 0 1 1 %s 0 %u %u %s", selector,
		 s->n, nargs, named);
	s->m = box_up(b, s->name, table);
}

static void path_message(struct session *s, const char *verb, unsigned path)
{
	char text[64];

	snprintf(text, sizeof text, "%s box:%sp%u", verb, s->name, path);
	assert_string_equal(box_message(s->b, s->name, text), "");
}

static void step(struct session *s, const char *op)
{
	unsigned value;
	unsigned i;

	if (sscanf(op, "read %u", &value) == 1) {
		assert_true(s->nio < REQUESTS_MAX && value <= 64);
		box_start(s->b, &s->io[s->nio++], s->m, NDM_READ, 0, value, buf);
	} else if (sscanf(op, "answer P%u", &value) == 1) {
		box_release(s->disk[value]);
		s->disk[value]->hold = true;
	} else if (sscanf(op, "fail P%u", &value) == 1) {
		path_message(s, "fail_path", value);
	} else if (sscanf(op, "reinstate P%u", &value) == 1) {
		path_message(s, "reinstate_path", value);
	} else {
		assert_string_equal(op, "end");
		for (i = 0; i < s->n; i++)
			box_release(s->disk[i]);
		for (i = 0; i < s->nio; i++)
			assert_int_equal(s->io[i].bio.error, 0);
	}
}

static void as_recorded(struct box *b)
{
	const char *top = getenv("top_srcdir");
	char path[512], line[512], want[512], *colon;
	unsigned sessions = 0, steps = 0;
	struct session *s = calloc(1, sizeof *s);
	FILE *f;

	snprintf(path, sizeof path, "%s/tests/golden/multipath-selectors.txt", top ? top : ".");
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line == '#' || !*line)
			continue;
		if (!strncmp(line, "table ", 6)) {
			session_begin(s, b, sessions++, line);
			continue;
		}
		colon = strchr(line, ':');
		assert_non_null(colon);
		*colon = '\0';
		step(s, line);
		put_names(colon + 2, s->name, want, sizeof want);
		assert_string_equal(box_status(b, s->name), want);
		steps++;
	}
	fclose(f);
	free(s);
	assert_true(sessions >= 6 && steps >= 200);
}

/* ---- historical-service-time ---- */

struct model { uint64_t hst, last, stale, out; bool failed; };

static uint64_t rounded(uint64_t a, uint64_t b)		/* product of two 10-bit fractions */
{
	return (a * b + 512) / 1024;
}

/* base^n with the kernel's roundings: squares from the lowest bit of n up */
static uint64_t weight(uint64_t base, unsigned n)
{
	uint64_t square = base, w = 1024;

	for (; n; n /= 2, square = rounded(square, square))
		if (n % 2)
			w = rounded(w, square);
	return w;
}

static void model_end(struct model *p, uint64_t start, uint64_t now, unsigned valid, unsigned base)
{
	uint64_t from = p->last > start ? p->last : start, time = now > from ? now - from : 0;
	unsigned bucket = time / 16777216 < 63 ? time / 16777216 : 63;
	uint64_t w = bucket == 63 ? 0 : weight(base, bucket + 1);

	p->last = now;
	p->out--;
	p->hst = (p->hst * w + time * 1024 * (1024 - w) + 512) / 1024;
	p->stale = now + valid * (p->hst / 1024);
}

static void check_model(struct box *b, const struct model *p, unsigned n)
{
	char want[512], *at = want;
	unsigned i;

	for (i = 0; i < n; i++)
		at += sprintf(at, "box:%c %c %u %llu %llu %llu ", 'a' + i, p[i].failed ? 'F' : 'A',
			      p[i].failed, (unsigned long long)p[i].hst,
			      (unsigned long long)p[i].out, (unsigned long long)p[i].stale);
	assert_non_null(strstr(box_status(b, "m"), want));
}

/* One request at a time, each held for a while: who is chosen can be told from the answer. */
static void history(struct box *b)
{
	struct box_disk *disk[3] = { box_disk(b, "a", 64, 0), box_disk(b, "b", 64, 0),
				     box_disk(b, "c", 64, 0) };
	static const unsigned took_ms[] = { 1, 40, 3, 900, 2000, 7, 17, 1, 5, 60, 0, 1, 2, 16 };
	struct model p[3] = { { .hst = 1024 }, { .hst = 1024 }, { .hst = 1024 } };
	struct ndm_store *m = box_up(b, "m", "0 40 multipath 2 queue_mode bio 0 1 1 "
				     "historical-service-time 2 900 0 3 1 box:a 1 box:b 1 box:c 1");
	unsigned i, j, seen = 0;

	for (i = 0; i < sizeof took_ms / sizeof *took_ms; i++) {
		struct box_io io;
		uint64_t start = ndm_now(box_loop(b));

		for (j = 0; j < 3; j++)
			disk[j]->hold = true;
		box_start(b, &io, m, NDM_READ, 0, 8, buf);
		for (j = 0; j < 3 && !disk[j]->held; j++)
			;
		assert_true(j < 3);
		seen |= 1u << j;
		p[j].out++;
		check_model(b, p, 3);
		ndm_sleep(box_loop(b), took_ms[i] * 1000000ull);
		box_release(disk[j]);
		box_wait(&io);
		model_end(&p[j], start, ndm_now(box_loop(b)), 3, 900);
		check_model(b, p, 3);
	}
	assert_int_equal(seen, 7);
	assert_non_null(strstr(box_status(b, "m"), " A 2 900 0 3 3 "));
	assert_non_null(strstr(box_table(b, "m"), "historical-service-time 2 900 0 3 1 box:a 0 "));
}

/* The two that are left: whose regions, and whose turn. */
static void affinity(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 8192, 0);
	box_disk(b, "b", 8192, 0);
	m = box_up(b, "m", "0 8192 multipath 0 0 1 1 io-affinity 0 2 1 box:a f0 box:b 1,0000000F");
	assert_string_equal(box_table(b, "m"), "0 0 1 1 io-affinity 0 2 1 box:a f0 box:b 1,0000000f ");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4 * 2048 - 1, 1, buf), 0);
	assert_string_equal(box_log(b), "b read 0+1, b read 8191+1");
	assert_string_equal(box_status(b, "m"), "2 0 0 0 1 1 A 0 2 1 box:a A 0 0 box:b A 0 0 ");
	assert_string_equal(box_message(b, "m", "fail_path box:b"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "a read 0+1");
	assert_string_equal(box_message(b, "m", "reinstate_path box:b"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "b read 0+1");
}

static void turns(struct box *b)
{
	struct ndm_store *m;
	unsigned i;

	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 0);
	box_disk(b, "c", 64, 0);
	m = box_up(b, "m", "0 40 multipath 0 0 1 1 round-robin 0 3 0 box:a box:b box:c");
	for (i = 0; i < 4; i++)
		assert_int_equal(ndm_rw(m, NDM_READ, 0, i, 1, buf), 0);
	assert_string_equal(box_log(b), "a read 0+1, b read 1+1, c read 2+1, a read 3+1");
	/* a path that is reinstated is the next */
	assert_string_equal(box_message(b, "m", "fail_path box:c"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_message(b, "m", "reinstate_path box:c"), "");
	for (i = 0; i < 3; i++)
		assert_int_equal(ndm_rw(m, NDM_READ, 0, i, 1, buf), 0);
	assert_string_equal(box_log(b), "b read 0+1, c read 0+1, a read 1+1, b read 2+1");
}

BOX_DEFINE(as_recorded)
BOX_DEFINE(history)
BOX_DEFINE(affinity)
BOX_DEFINE(turns)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(as_recorded),
		BOX_TEST(history),
		BOX_TEST(affinity),
		BOX_TEST(turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
