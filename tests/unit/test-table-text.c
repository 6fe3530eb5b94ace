/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-table-text.c - lines of dmsetup: what is taken, and what is said of wrong ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ndm.h>

/* "START LEN TYPE<ARGS>; ..." of what the text becomes */
static void becomes(const char *text, const char *expected)
{
	struct ndm_table_line *lines = NULL;
	struct ndm_str why = { 0 }, got = { 0 };
	char *copy = ndm_strdup(text);
	unsigned n = 99;

	if (ndm_table_parse(copy, &lines, &n, &why))
		fail_msg("'%s' is refused: %s", text, why.text);
	for (unsigned i = 0; i < n; i++)
		ndm_printf(&got, "%s%llu %llu %s<%s>", i ? "; " : "",
			   (unsigned long long)lines[i].start, (unsigned long long)lines[i].nr,
			   lines[i].type, lines[i].args);
	assert_string_equal(got.len ? got.text : "", expected);
	assert_int_equal(why.len, 0);
	ndm_str_free(&got);
	ndm_free(lines);
	ndm_free(copy);
}

static void refused(const char *text, const char *sentence)
{
	struct ndm_table_line *lines = NULL;
	struct ndm_str why = { 0 };
	char *copy = ndm_strdup(text);
	unsigned n;
	int err = ndm_table_parse(copy, &lines, &n, &why);

	assert_int_equal(err, -EINVAL);
	assert_string_equal(why.text, sentence);
	ndm_str_free(&why);
	ndm_free(copy);
}

static void lines_are_read(void **state)
{
	(void)state;
	becomes("0 8 zero", "0 8 zero<>");
	becomes("0 8 zero\n", "0 8 zero<>");
	becomes("0 8 zero\n8 16 linear /a 0\n", "0 8 zero<>; 8 16 linear</a 0>");
	becomes("  \t0  8\tlinear   /a \t 0  \r\n", "0 8 linear</a \t 0>");
	becomes("+0 +8 zero", "0 8 zero<>");
	becomes("18446744073709551615 1 zero", "18446744073709551615 1 zero<>");
	becomes("0 8 linear /with\\ blank 0", "0 8 linear</with\\ blank 0>");
	becomes("0 8 abcdefghijklmno x", "0 8 abcdefghijklmno<x>");
}

static void nothing_is_no_line(void **state)
{
	(void)state;
	becomes("", "");
	becomes("\n\n \t\n", "");
	becomes("# a comment\n  # another\n", "");
}

static void a_hash_ends_the_arguments(void **state)
{
	(void)state;
	becomes("0 8 linear /a 0 # comment", "0 8 linear</a 0>");
	becomes("0 8 linear /a#b 0", "0 8 linear</a>");
	becomes("0 8 zero #", "0 8 zero<>");
	becomes("0 8 zero#x y", "0 8 zero#x<y>");
	becomes("#\n0 8 zero\n#\n8 8 error", "0 8 zero<>; 8 8 error<>");
}

static void wrong_lines_are_refused(void **state)
{
	(void)state;
	refused("0", "line 1: expected START LENGTH TYPE and the target's arguments\n");
	refused("0 8", "line 1: expected START LENGTH TYPE and the target's arguments\n");
	refused("0 8 zero\n\nzero",
		"line 3: expected START LENGTH TYPE and the target's arguments\n");
	refused("x 8 zero", "line 1: 'x' is not a number of sectors: the start comes there\n");
	refused("0 zero 8", "line 1: 'zero' is not a number of sectors: the length comes there\n");
	refused("-1 8 zero", "line 1: '-1' is not a number of sectors: the start comes there\n");
	refused("0 8k zero", "line 1: '8k' is not a number of sectors that fits into 64 bits\n");
	refused("0 0x10 zero",
		"line 1: '0x10' is not a number of sectors that fits into 64 bits\n");
	refused("0 18446744073709551616 zero", "line 1: '18446744073709551616' is not a number of "
					       "sectors that fits into 64 bits\n");
	refused("0 8 abcdefghijklmnop",
		"line 1: target type 'abcdefghijklmnop' is longer than 15 bytes\n");
}

static void many_lines(void **state)
{
	struct ndm_str text = { 0 }, why = { 0 };
	struct ndm_table_line *lines;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		ndm_printf(&text, "%u 1 zero\n", i);
	assert_int_equal(ndm_table_parse(text.text, &lines, &n, &why), 0);
	assert_int_equal(n, 10000);
	assert_int_equal(lines[9999].start, 9999);
	ndm_free(lines);
	ndm_str_free(&text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(nothing_is_no_line),
		cmocka_unit_test(a_hash_ends_the_arguments),
		cmocka_unit_test(wrong_lines_are_refused),
		cmocka_unit_test(many_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
