/* SPDX-License-Identifier: BSD-2-Clause */
/* test-core-bio.c - windows on data, slices of bios, the collector of block status. */
#include "box.h"

#include <stdlib.h>

#define BYTES 64

/* A text of 64 characters in pieces of odd lengths, an empty one among them. */
struct sheet {
	char bytes[BYTES + 1];
	struct iovec iov[6];
	struct ndm_data data;
};

static struct sheet *sheet_new(void)
{
	static const size_t cut[] = { 0, 1, 1, 18, 50, 60, 64 };
	struct sheet *s = calloc(1, sizeof *s);
	unsigned i;

	for (i = 0; i < BYTES; i++)
		s->bytes[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"[i];
	for (i = 0; i < 6; i++)
		s->iov[i] = (struct iovec){ s->bytes + cut[i], cut[i + 1] - cut[i] };
	s->data = (struct ndm_data){ .iov = s->iov, .iovcnt = 6 };
	return s;
}

/* Every window of every length agrees with the plain text. */
static void windows(void **state)
{
	struct sheet *s = sheet_new();
	size_t skip, len;
	char got[BYTES];

	for (skip = 0; skip <= BYTES; skip++)
		for (len = 0; len <= BYTES - skip; len++) {
			struct ndm_data d = s->data;

			d.skip = skip;
			memset(got, '#', sizeof got);
			ndm_data_from(&d, len, got);
			assert_memory_equal(got, s->bytes + skip, len);
			assert_true(len == BYTES || got[len] == '#');

			d = ndm_data_skip(s->data, skip);
			ndm_data_from(&d, len, got);
			assert_memory_equal(got, s->bytes + skip, len);
		}
	free(s);
}

static void windows_of_windows(void **state)
{
	struct sheet *s = sheet_new();
	struct ndm_data d = s->data;
	char got[BYTES];
	size_t at = 0, step;

	for (step = 0; at + step <= BYTES; step++) {
		d = ndm_data_skip(d, step);
		at += step;
		ndm_data_from(&d, BYTES - at, got);
		assert_memory_equal(got, s->bytes + at, BYTES - at);
	}
	assert_int_equal(s->data.skip, 0);	/* never changes what it was made from */
	free(s);
}

static void scatter_and_zero(void **state)
{
	struct sheet *s = sheet_new();
	size_t skip, len, i;

	for (skip = 0; skip < BYTES; skip += 3)
		for (len = 0; len <= BYTES - skip; len += 5) {
			struct sheet *t = sheet_new();
			struct ndm_data d = ndm_data_skip(t->data, skip);

			ndm_data_zero(&d, len);
			for (i = 0; i < BYTES; i++)
				assert_int_equal(t->bytes[i], i - skip < len ? 0 : s->bytes[i]);
			ndm_data_to(&d, len, s->bytes + skip);
			assert_memory_equal(t->bytes, s->bytes, BYTES);
			free(t);
		}
	free(s);
}

static void pieces(void **state)
{
	struct sheet *s = sheet_new();
	struct ndm_data d = ndm_data_skip(s->data, 10);
	struct iovec v[6];
	size_t done;

	assert_int_equal(ndm_data_iov(&d, 20, v, 6, &done), 2);
	assert_int_equal(done, 20);
	assert_ptr_equal(v[0].iov_base, s->bytes + 10);
	assert_int_equal(v[0].iov_len, 8);
	assert_int_equal(v[1].iov_len, 12);
	assert_int_equal(ndm_data_iov(&d, 54, v, 2, &done), 2);	/* no room for more */
	assert_int_equal(done, 40);
	assert_int_equal(ndm_data_iov(&s->data, 0, v, 6, &done), 0);
	assert_int_equal(done, 0);
	/* the empty one is no piece */
	assert_int_equal(ndm_data_iov(&s->data, 64, v, 6, NULL), 5);
	free(s);
}

static void flat(void **state)
{
	struct sheet *s = sheet_new();
	struct ndm_data d = ndm_data_skip(s->data, 2);

	assert_ptr_equal(ndm_data_flat(&d, 16), s->bytes + 2);
	assert_null(ndm_data_flat(&d, 17));
	d = ndm_data_skip(s->data, 64);
	assert_null(ndm_data_flat(&d, 1));
	free(s);
}

/* ---- clones ---- */

static void clones_are_slices(struct box *b)
{
	struct iovec iov = { NULL, 100 * 512 };
	struct ndm_bio bio = { .op = NDM_WRITE, .flags = NDM_FUA | NDM_META, .sector = 40, .nr = 90,
			       .data = { &iov, 1, 5 * 512 }, .origin = 7 };
	struct ndm_bio *c = ndm_clone(box_loop(b), &bio, 10, 20), *d;

	assert_int_equal(c->op, NDM_WRITE);
	assert_int_equal(c->flags, NDM_FUA | NDM_META);
	assert_int_equal(c->sector, 50);
	assert_int_equal(c->nr, 20);
	assert_int_equal(c->data.skip, 15 * 512);
	assert_int_equal(c->origin, 17);
	assert_int_equal(c->error, 0);
	d = ndm_clone(box_loop(b), c, 5, 1);
	assert_int_equal(d->sector, 55);
	assert_int_equal(d->data.skip, 20 * 512);
	assert_int_equal((uintptr_t)ndm_per_bio(c) % 16, 0);
	memset(ndm_per_bio(c), 0xff, NDM_PER_BIO_MAX);
	assert_int_equal(d->nr, 1);
	ndm_bio_put(box_loop(b), d);
	ndm_bio_put(box_loop(b), c);
	c = ndm_bio_get(box_loop(b));		/* used ones come back empty */
	assert_int_equal(c->sector | c->nr | c->flags | c->error, 0);
	assert_null(c->done);
	ndm_bio_put(box_loop(b), c);
}
BOX_DEFINE(clones_are_slices)

static void buffers_come_back(struct box *b)
{
	struct ndm_loop *loop = box_loop(b);
	void *p = ndm_buffer_get(loop, 5000), *q = ndm_buffer_get(loop, 5000), *again;

	assert_int_equal((uintptr_t)p % 4096, 0);
	assert_int_equal((uintptr_t)q % 4096, 0);
	assert_ptr_not_equal(p, q);
	memset(p, 1, 8192);
	memset(q, 2, 8192);
	ndm_buffer_put(loop, p, 5000);
	again = ndm_buffer_get(loop, 8192);	/* the same class of size, last in first out */
	assert_ptr_equal(again, p);
	ndm_buffer_put(loop, again, 8192);
	ndm_buffer_put(loop, q, 5000);
	ndm_buffer_put(loop, NULL, 4096);
	p = ndm_buffer_get(loop, 16 << 20);	/* too large to be kept */
	memset(p, 3, 16 << 20);
	ndm_buffer_put(loop, p, 16 << 20);
}
BOX_DEFINE(buffers_come_back)

/* ---- block status ---- */

static void tell(struct ndm_extents *e, uint64_t origin, uint64_t sector, uint64_t nr, uint64_t at,
		 uint64_t len, unsigned type)
{
	struct ndm_bio bio = { .op = NDM_EXTENTS, .sector = sector, .nr = nr, .extents = e,
			       .origin = origin };

	ndm_extent_add(&bio, at, len, type);
}

static void extents_are_sorted_and_merged(void **state)
{
	struct ndm_extents e = { 0 };

	/* three slices of one question for 100 sectors from 1000 on, answered backwards */
	tell(&e, 1060, 560, 40, 560, 40, 3);
	tell(&e, 1030, 230, 30, 240, 20, 3);
	tell(&e, 1030, 230, 30, 230, 10, 0);
	tell(&e, 1000, 0, 30, 0, 30, 0);
	ndm_extents_finish(&e, 1000);
	assert_int_equal(e.n, 2);
	assert_int_equal(e.list[0].sector, 1000);
	assert_int_equal(e.list[0].nr, 40);
	assert_int_equal(e.list[0].type, 0);
	assert_int_equal(e.list[1].sector, 1040);
	assert_int_equal(e.list[1].nr, 60);
	assert_int_equal(e.list[1].type, 3);
	ndm_extents_free(&e);
}

static void extents_end_at_a_gap(void **state)
{
	struct ndm_extents e = { 0 };

	tell(&e, 0, 0, 100, 0, 10, 1);
	tell(&e, 0, 0, 100, 20, 10, 1);
	ndm_extents_finish(&e, 0);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.list[0].nr, 10);
	ndm_extents_free(&e);
	tell(&e, 0, 0, 100, 20, 10, 1);		/* nothing is known from 0 on */
	ndm_extents_finish(&e, 0);
	assert_int_equal(e.n, 0);
	ndm_extents_finish(&e, 0);
	ndm_extents_free(&e);
}

/* A store may answer for whole extents of its own: only the slice asked for counts. */
static void extents_are_clipped(void **state)
{
	struct ndm_extents e = { 0 };

	tell(&e, 50, 10, 5, 0, 1000, 2);
	tell(&e, 50, 10, 5, 0, 10, 1);		/* wholly before */
	tell(&e, 50, 10, 5, 15, 10, 1);		/* wholly after */
	tell(&e, 50, 10, 5, 12, 0, 1);		/* nothing */
	ndm_extents_finish(&e, 50);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.list[0].sector, 50);
	assert_int_equal(e.list[0].nr, 5);
	ndm_extents_free(&e);
}

static void extents_that_overlap(void **state)
{
	struct ndm_extents e = { 0 };

	tell(&e, 0, 0, 100, 0, 60, 1);
	tell(&e, 0, 0, 100, 40, 60, 0);
	tell(&e, 0, 0, 100, 10, 10, 0);		/* inside: the first answer stands */
	ndm_extents_finish(&e, 5);
	assert_int_equal(e.n, 2);
	assert_int_equal(e.list[0].sector, 5);
	assert_int_equal(e.list[0].nr, 55);
	assert_int_equal(e.list[1].nr, 40);
	ndm_extents_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows),
		cmocka_unit_test(windows_of_windows),
		cmocka_unit_test(scatter_and_zero),
		cmocka_unit_test(pieces),
		cmocka_unit_test(flat),
		BOX_TEST(clones_are_slices),
		BOX_TEST(buffers_come_back),
		cmocka_unit_test(extents_are_sorted_and_merged),
		cmocka_unit_test(extents_end_at_a_gap),
		cmocka_unit_test(extents_are_clipped),
		cmocka_unit_test(extents_that_overlap),
	};

	return cmocka_run_group_tests_name("core: bios", tests, NULL, NULL);
}
