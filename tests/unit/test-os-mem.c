/* SPDX-License-Identifier: BSD-2-Clause */
/* Scratch memory: sizes, names, sparseness, and one memory for two loops. */
#include <sys/mman.h>

#include "os-harness.h"

static void do_workout(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);

	workout(s, 300, 3);
	store_put(s);
}

static void test_workout(void **state)
{
	char whole[] = "mem:4M", torn[] = "mem:1100k";	/* its last chunk is not whole */

	run(*state, do_workout, whole);
	run(*state, do_workout, torn);
}

static void test_sizes(void **state)
{
	static const struct { const char *text; int err; uint64_t bytes; } sizes[] = {
		{ "512", 0, 512 }, { "1k", 0, 1024 }, { "3M", 0, 3 << 20 }, { "2G", 0, 2ull << 30 },
		{ "1T", 0, 1ull << 40 }, { "7s", 0, 7 * 512 }, { "0", 0, 0 },
		{ "", -EINVAL, 0 }, { "k", -EINVAL, 0 }, { "1x", -EINVAL, 0 },
		{ "1kk", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 },
		{ "99999999999999999999", -ERANGE, 0 }, { "99999999999999G", -ERANGE, 0 },
	};
	uint64_t bytes;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		bytes = 0;
		assert_int_equal(os_parse_size(sizes[i].text, strlen(sizes[i].text), &bytes),
				 sizes[i].err);
		if (!sizes[i].err)
			assert_int_equal(bytes, sizes[i].bytes);
	}
}

static void do_refused(struct rig *rig, void *arg)
{
	static const char *const wrong[] = {
		"mem:", "mem:0", "mem:1000", "mem:1M,", "mem:1M,name=", "mem:1M,color=red",
		"mem:1M,name=a,b", "mem:16777215T", "mem:99999999999T",
	};
	char said[256];
	unsigned i;

	(void)arg;
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_true(open_error(rig, wrong[i], NDM_OPEN_READ, said, sizeof said) < 0);
		assert_int_not_equal(strlen(said), 0);
	}
	/* more than any address space: an answer, not a crash */
	assert_int_equal(open_error(rig, "mem:1000000T", NDM_OPEN_READ, said, sizeof said),
			 -ENOMEM);
}

static void test_refused(void **state)
{
	run(*state, do_refused, NULL);
}

/* Where the kernel hands out huge pages unasked, small ones cannot be counted. */
static bool huge_pages(void)
{
	char line[128] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");

	if (f && !fgets(line, sizeof line, f))
		line[0] = '\0';
	if (f)
		fclose(f);
	return strstr(line, "[always]");
}

static unsigned pages_used(unsigned char *base, size_t bytes)
{
	unsigned char in[1024];
	unsigned n = 0, i;

	assert_int_equal(mincore(base, bytes, in), 0);
	for (i = 0; i < bytes / 4096; i++)
		n += in[i] & 1;
	return n;
}

static void check_pages(unsigned char *base, size_t bytes, unsigned want)
{
	if (!huge_pages())
		assert_int_equal(pages_used(base, bytes), want);
}

/* the store's mapping: what lib/os/mem.c begins its private struct with is the store itself */
struct mem_peek {
	struct ndm_store base;
	struct {
		void *next;
		char *name;
		unsigned users;
		uint64_t bytes, serial;
		unsigned char *base;
	} *mem;
};

static void do_sparse(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, "mem:16G", NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char *map = ((struct mem_peek *)s)->mem->base;
	unsigned char *buf = malloc(1 << 20), *zero = calloc(1, 1 << 20);
	char text[256];

	(void)arg;
	assert_int_equal(s->nr, 1ull << 25);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 2048, buf), 0);
	assert_memory_equal(buf, zero, 1 << 20);
	check_pages(map, 1 << 20, 0);	/* reading allocates nothing */

	memset(buf, 9, 1 << 20);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 256, 1024, buf), 0);
	check_pages(map, 1 << 20, 128);
	assert_int_equal(extents_text(s, 0, 2048, text, sizeof text), 0);
	assert_string_equal(text, "0+256 hole|zero, 256+1024 data, 1280+768 hole|zero");

	assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 384, 512, NULL), 0);
	check_pages(map, 1 << 20, 64);
	assert_int_equal(extents_text(s, 0, 2048, text, sizeof text), 0);
	assert_string_equal(text, "0+256 hole|zero, 256+128 data, 384+512 hole|zero, "
				  "896+384 data, 1280+768 hole|zero");

	/* a sector within a page: the rest of the page stays */
	assert_int_equal(ndm_rw(s, NDM_ZEROES, 0, 257, 1, NULL), 0);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 256, 8, buf), 0);
	assert_int_equal(buf[0], 9);
	assert_int_equal(buf[512], 0);
	assert_int_equal(buf[1023], 0);
	assert_int_equal(buf[1024], 9);

	assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_NOUNMAP, 0, 128, NULL), 0);
	check_pages(map, 65536, 16);

	/* the far end is as good as the near one */
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, s->nr - 1, 1, buf + 1024), 0);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, s->nr - 1, 1, buf), 0);
	assert_memory_equal(buf, buf + 1024, 512);
	store_put(s);
	free(buf);
	free(zero);
}

static void test_sparse(void **state)
{
	run(*state, do_sparse, NULL);
}

/* ---- names ---- */

static void do_write_named(struct rig *rig, void *arg)
{
	struct ndm_store **s = arg;
	unsigned char buf[512];

	*s = open_store(rig, "mem:1M,name=shared", NDM_OPEN_READ | NDM_OPEN_WRITE);
	memset(buf, 0x77, sizeof buf);
	assert_int_equal(ndm_rw(*s, NDM_WRITE, 0, 5, 1, buf), 0);
}

static void do_read_named(struct rig *rig, void *arg)
{
	struct ndm_store *other = arg;
	struct ndm_store *s = open_store(rig, "mem:1M,name=shared", NDM_OPEN_READ);
	unsigned char buf[512];
	char said[256];

	assert_true(store_same(s, other));
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 5, 1, buf), 0);
	assert_int_equal(buf[511], 0x77);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 5, 1, buf), -EIO);
	assert_int_equal(open_error(rig, "mem:2M,name=shared", NDM_OPEN_READ, said, sizeof said),
			 -EEXIST);
	assert_non_null(strstr(said, "1048576"));
	store_put(s);

	/* without a name each is its own */
	s = open_store(rig, "mem:1M", NDM_OPEN_READ);
	assert_false(store_same(s, other));
	store_put(s);
}

static void do_put(struct rig *rig, void *arg)
{
	struct ndm_store *s;
	unsigned char buf[512];

	store_put(arg);
	/* with its last user it was gone */
	s = open_store(rig, "mem:1M,name=shared", NDM_OPEN_READ);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 5, 1, buf), 0);
	assert_int_equal(buf[0], 0);
	store_put(s);
}

static void test_names(void **state)
{
	struct rig *rig = *state, second = { .world = rig->world };
	struct ndm_store *s = NULL;

	second.loop = ndm_loop_new(rig->world);
	run(rig, do_write_named, &s);
	run(&second, do_read_named, s);
	run(rig, do_put, s);
	ndm_loop_free(second.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test_setup_teardown(test_workout, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_refused, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_sparse, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_names, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
