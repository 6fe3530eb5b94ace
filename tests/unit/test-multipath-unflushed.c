/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of unflushed writes (targets/multipath/unflushed.c): which of them stay in the memory
 * that the host shares, that they are what was written, and that nobody stays counted in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "targets/multipath/multipath.h"

#define PAGE 4096u
#define MIB ((uint64_t)1 << 20)

struct area {
	struct ndm_share share;			/* first */
	bool freed;
	unsigned char *bytes;
};

static void area_freed(struct ndm_share *s)
{
	struct area *a = (struct area *)s;

	a->freed = true;
	memset(a->bytes, 0xdb, s->bytes);	/* whoever looks now sees it */
}

static void area_init(struct area *a, size_t bytes)
{
	size_t i;

	*a = (struct area){ .bytes = malloc(bytes) };
	a->share = (struct ndm_share){ .at = a->bytes, .bytes = bytes, .refs = 1,
				       .free = area_freed };
	for (i = 0; i < bytes; i++)
		a->bytes[i] = (unsigned char)(i / NDM_SECTOR_BYTES * 7 + i);
}

static bool note(struct unflushed *u, struct ndm_share *s, uint64_t sector, uint64_t nr,
		 const unsigned char *bytes)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, nr * NDM_SECTOR_BYTES };
	struct ndm_bio bio = { .op = NDM_WRITE, .sector = sector, .nr = nr, .share = s,
			       .data = { .iov = &iov, .iovcnt = 1 } };

	return unflushed_note(u, 0, &bio);
}

/* The page of this sector, as it would be written again; its bytes. */
static const unsigned char *kept(struct unflushed *u, uint64_t sector, unsigned mask)
{
	struct unflushed_page page;
	const unsigned char *bytes = NULL;

	unflushed_lose_all(u);
	unflushed_walk(u);
	while (unflushed_next(u, &page))
		if (page.sector == sector / 8 * 8) {
			assert_int_equal(page.mask, mask);
			bytes = page.bytes;
		}
	unflushed_walked(u);
	return bytes;
}

static void not_copied(void **state)
{
	struct unflushed *u = unflushed_new(4 * MIB);
	struct area a;

	(void)state;
	area_init(&a, 4 * PAGE);
	assert_true(note(u, &a.share, 8, 16, a.bytes + 100));	/* of any alignment */
	assert_int_equal(a.share.refs, 3);
	assert_ptr_equal(kept(u, 8, 0xff), a.bytes + 100);
	assert_ptr_equal(kept(u, 16, 0xff), a.bytes + 100 + PAGE);
	ndm_share_put(&a.share);
	assert_false(a.freed);			/* the host has gone on, the copies are there */
	unflushed_free(u);
	assert_true(a.freed);
	free(a.bytes);
}

static void dropped(void **state)
{
	struct unflushed *u = unflushed_new(4 * MIB);
	struct area a, b;
	uint64_t until;

	(void)state;
	area_init(&a, 4 * PAGE);
	area_init(&b, 4 * PAGE);
	assert_true(note(u, &a.share, 0, 8, a.bytes));
	until = unflushed_now(u);
	assert_true(note(u, &b.share, 8, 8, b.bytes));
	ndm_share_put(&a.share);
	unflushed_drop(u, until);
	assert_true(a.freed);
	assert_false(b.freed);
	assert_true(note(u, NULL, 8, 8, b.bytes + PAGE));	/* overwritten: not needed any more */
	assert_int_equal(b.share.refs, 1);
	assert_int_equal(b.share.kept, 0);
	assert_null(b.share.keeper);
	assert_memory_equal(kept(u, 8, 0xff), b.bytes + PAGE, PAGE);
	unflushed_free(u);
	ndm_share_put(&b.share);
	assert_true(b.freed);
	free(a.bytes);
	free(b.bytes);
}

/* A part of a page that is shared: nobody changes what is shared. */
static void changed(void **state)
{
	struct unflushed *u = unflushed_new(4 * MIB);
	unsigned char want[PAGE];
	struct area a;

	(void)state;
	area_init(&a, 4 * PAGE);
	memcpy(want, a.bytes, PAGE);
	memcpy(want + 3 * NDM_SECTOR_BYTES, a.bytes + PAGE, 2 * NDM_SECTOR_BYTES);
	assert_true(note(u, &a.share, 0, 8, a.bytes));
	assert_true(note(u, &a.share, 3, 2, a.bytes + PAGE));
	assert_int_equal(a.share.refs, 1);
	assert_memory_equal(kept(u, 0, 0xff), want, PAGE);
	assert_memory_not_equal(a.bytes, want, PAGE);
	/* a part alone is copied, and stays one */
	assert_true(note(u, &a.share, 80, 3, a.bytes));
	assert_int_equal(a.share.refs, 1);
	assert_memory_equal(kept(u, 80, 7), a.bytes, 3 * NDM_SECTOR_BYTES);
	assert_true(note(u, &a.share, 80, 8, a.bytes));
	assert_ptr_equal(kept(u, 80, 0xff), a.bytes);
	unflushed_forget(u, 80, 8, unflushed_now(u));
	assert_int_equal(a.share.refs, 1);
	unflushed_free(u);
	ndm_share_put(&a.share);
	assert_true(a.freed);
	free(a.bytes);
}

/* What does not lie in the share (a target has changed the data), and another's share. */
static void not_kept(void **state)
{
	struct unflushed *u = unflushed_new(4 * MIB), *other = unflushed_new(4 * MIB);
	unsigned char elsewhere[PAGE];
	struct area a;

	(void)state;
	area_init(&a, 4 * PAGE);
	memset(elsewhere, 5, sizeof elsewhere);
	assert_true(note(u, &a.share, 0, 8, elsewhere));
	assert_int_equal(a.share.refs, 1);
	memset(elsewhere, 6, sizeof elsewhere);
	assert_int_equal(*kept(u, 0, 0xff), 5);
	assert_true(note(u, &a.share, 8, 8, a.bytes));
	assert_ptr_equal(a.share.keeper, u);
	assert_true(note(other, &a.share, 8, 8, a.bytes));
	assert_int_equal(a.share.refs, 2);
	assert_memory_equal(kept(other, 8, 0xff), a.bytes, PAGE);
	unflushed_free(other);
	unflushed_free(u);
	assert_int_equal(a.share.refs, 1);
	ndm_share_put(&a.share);
	free(a.bytes);
}

/* Large shares for one page each: not more of them than a little, and never beyond the limit. */
static void sparse(void **state)
{
	enum { N = 64 };
	struct unflushed *u = unflushed_new(8 * MIB), *small = unflushed_new(64 << 10);
	struct area a[N];
	unsigned i, n = 0;

	(void)state;
	for (i = 0; i < N; i++) {
		area_init(&a[i], 256 << 10);
		assert_true(note(u, &a[i].share, i * 8, 8, a[i].bytes + PAGE));
		n += a[i].share.refs - 1;
		assert_true(i < 4 ? n == i + 1 : n < 8);
	}
	for (i = 0; i < N; i++)
		assert_memory_equal(kept(u, i * 8, 0xff), a[i].bytes + PAGE, PAGE);
	assert_true(note(small, &a[N - 1].share, 0, 8, a[N - 1].bytes));
	assert_int_equal(a[N - 1].share.refs, 1);
	for (i = 1; i < 16; i++)
		assert_true(note(small, NULL, i * 8, 8, a[0].bytes));
	assert_true(unflushed_half_full(small));
	assert_false(note(small, NULL, 16 * 8, 8, a[0].bytes));	/* 64 KiB, and no more */
	unflushed_free(u);
	unflushed_free(small);
	for (i = 0; i < N; i++) {
		assert_int_equal(a[i].share.refs, 1);
		free(a[i].bytes);
	}
}

/* While what is lost is written again nothing may be taken away under it. */
static void held(void **state)
{
	struct unflushed *u = unflushed_new(4 * MIB);
	struct unflushed_page page;
	struct area a;

	(void)state;
	area_init(&a, 4 * PAGE);
	assert_true(note(u, &a.share, 0, 8, a.bytes));
	ndm_share_put(&a.share);
	unflushed_lose_all(u);
	unflushed_walk(u);
	assert_true(unflushed_next(u, &page));
	assert_false(note(u, NULL, 0, 8, a.bytes + PAGE));
	unflushed_drop(u, unflushed_now(u));
	assert_false(a.freed);
	unflushed_moved(u, 0, 1);
	unflushed_walked(u);			/* now it is dropped */
	assert_true(a.freed);
	assert_int_equal(unflushed_bytes(u), 0);
	unflushed_free(u);
	free(a.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_copied), cmocka_unit_test(dropped), cmocka_unit_test(changed),
		cmocka_unit_test(not_kept), cmocka_unit_test(sparse), cmocka_unit_test(held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
