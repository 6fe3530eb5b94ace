/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers, growable text, descriptors and lines as JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndm.h>

static void numbers_64(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(ndm_arg_u64("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(ndm_arg_u64("00018446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	v = 7;
	assert_int_equal(ndm_arg_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(ndm_arg_u64("99999999999999999999999", &v), -ERANGE);
	assert_int_equal(ndm_arg_u64("", &v), -EINVAL);
	assert_int_equal(ndm_arg_u64("-1", &v), -EINVAL);
	assert_int_equal(ndm_arg_u64("+1", &v), -EINVAL);
	assert_int_equal(ndm_arg_u64(" 1", &v), -EINVAL);
	assert_int_equal(ndm_arg_u64("1 ", &v), -EINVAL);
	assert_int_equal(ndm_arg_u64("0x10", &v), -EINVAL);
	assert_int_equal(ndm_arg_u64("1.5", &v), -EINVAL);
	assert_int_equal(v, 7);			/* a refused word changes nothing */
}

static void numbers_32(void **state)
{
	unsigned v = 7;

	(void)state;
	assert_int_equal(ndm_arg_uint("+12", &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(ndm_arg_uint("4294967295", &v), 0);
	assert_true(v == UINT32_MAX);
	v = 7;
	assert_int_equal(ndm_arg_uint("4294967296", &v), -ERANGE);
	assert_int_equal(ndm_arg_uint("++1", &v), -EINVAL);
	assert_int_equal(ndm_arg_uint("+", &v), -EINVAL);
	assert_int_equal(ndm_arg_uint("", &v), -EINVAL);
	assert_int_equal(ndm_arg_uint("-0", &v), -EINVAL);
	assert_int_equal(v, 7);
}

static void arg_groups(void **state)
{
	char word[7][4] = { "3", "a", "b", "c", "9", "x", "256" };
	char *argv[7] = { word[0], word[1], word[2], word[3], word[4], word[5], word[6] };
	struct ndm_args as = { 7, argv };
	struct ndm_str said = { 0 };
	struct ndm_target ti = { .error = &said };
	unsigned v;

	(void)state;
	assert_int_equal(ndm_args_group(&ti, &as, 0, 5, "Bad group", &v), 0);
	assert_int_equal(v, 3);
	assert_string_equal(ndm_args_shift(&as), "a");
	ndm_args_consume(&as, 2);
	assert_int_equal(ndm_args_group(&ti, &as, 0, 10, "Bad group", &v), -EINVAL);
	assert_string_equal(said.text, "Bad group: 9 words announced, 2 left");
	ndm_str_free(&said);
	assert_int_equal(ndm_args_uint(&ti, &as, 0, 10, "Bad x", &v), -EINVAL);
	assert_string_equal(said.text, "Bad x: 'x' is not a number from 0 to 10");
	ndm_str_free(&said);
	assert_int_equal(ndm_args_uint(&ti, &as, 0, 255, "Bad y", &v), -EINVAL);
	assert_string_equal(said.text, "Bad y: '256' is not a number from 0 to 255");
	ndm_str_free(&said);
	assert_null(ndm_args_shift(&as));
	assert_int_equal(ndm_args_uint(&ti, &as, 0, 255, "Bad z", &v), -EINVAL);
	assert_string_equal(said.text, "Bad z: the number is missing");
	ndm_str_free(&said);
}

static void text_grows(void **state)
{
	struct ndm_str s = { 0 };
	size_t i;

	(void)state;
	ndm_printf(&s, "%s", "");
	assert_string_equal(s.text, "");
	for (i = 0; i < 3000; i++) {
		ndm_printf(&s, "%zu,", i % 10);
		assert_int_equal(s.len, 2 * (i + 1));
		assert_int_equal(strlen(s.text), s.len);
	}
	ndm_str_put(&s, "a\0b", 3);
	assert_int_equal(s.len, 6003);
	ndm_printf(&s, "%0100d", 0);
	assert_int_equal(s.len, 6103);
	assert_memory_equal(s.text + 6000, "a\0b00", 5);
	ndm_str_free(&s);
	assert_null(s.text);
	assert_int_equal(s.len, 0);
}

static void explains(const char *target, bool status, const char *line, const char *json)
{
	const struct ndm_target_type *t = ndm_target_type_find(target);
	struct ndm_str out = { 0 };
	int err = ndm_explain(t, status ? t->status_fields : t->args, line, &out);

	if (!json) {
		assert_int_equal(err, -EINVAL);
		assert_int_equal(out.len, 0);
	} else {
		assert_int_equal(err, 0);
		assert_string_equal(out.text, json);
	}
	ndm_str_free(&out);
}

static void lines_as_json(void **state)
{
	(void)state;
	explains("linear", false, "/a 8", "{\"device\":\"/a\",\"offset\":8}");
	explains("linear", false, "/a", NULL);
	explains("linear", false, "/a x", NULL);
	explains("linear", false, "/a 8 9", NULL);
	explains("zero", false, "", "{}");
	explains("error", false, "", "{}");
	explains("error", false, "/a\\ b\\\"c 0", "{\"device\":\"/a b\\\"c\",\"offset\":0}");
	explains("striped", false, "2 8 /a 0 /b 9",
		 "{\"chunk\":8,\"devices\":[{\"device\":\"/a\",\"offset\":0},"
		 "{\"device\":\"/b\",\"offset\":9}]}");
	explains("striped", false, "3 8 /a 0 /b 9", NULL);
	explains("striped", false, "99999999999 8 /a 0 /b 9", NULL);
	explains("striped", true, "2 /a /b 1 AD",
		 "{\"devices\":[{\"device\":\"/a\"},{\"device\":\"/b\"}],\"health\":\"AD\"}");
	explains("striped", true, "2 /a /b 2 AD", NULL);
	explains("delay", false, "/a 0 5", "{\"device\":\"/a\",\"offset\":0,\"delay\":5}");
	explains("delay", false, "/a 0 5 /b 1 6",
		 "{\"device\":\"/a\",\"offset\":0,\"delay\":5,"
		 "\"write\":{\"device\":\"/b\",\"offset\":1,\"delay\":6}}");
	explains("delay", false, "/a 0 5 /b 1", NULL);
	explains("delay", true, "0 1 2", "{\"reads\":0,\"writes\":1,\"flushes\":2}");
	explains("flakey", false, "/a 0 60 5 6 DROP_writes corrupt_bio_byte 3 r 1 0",
		 "{\"device\":\"/a\",\"offset\":0,\"up_interval\":60,\"down_interval\":5,"
		 "\"features\":{\"drop_writes\":true,\"corrupt_bio_byte\":{\"nth_byte\":3,"
		 "\"direction\":\"r\",\"value\":1,\"flags\":0}}}");
	explains("flakey", false, "/a 0 1 1 2 random_read_corrupt 7",
		 "{\"device\":\"/a\",\"offset\":0,\"up_interval\":1,\"down_interval\":1,"
		 "\"features\":{\"random_read_corrupt\":7}}");
	explains("flakey", false, "/a 0 1 1 0",
		 "{\"device\":\"/a\",\"offset\":0,\"up_interval\":1,\"down_interval\":1,"
		 "\"features\":{}}");
	explains("flakey", false, "/a 0 1 1 1 unknown", NULL);
	explains("flakey", false, "/a 0 1 1 2 drop_writes", NULL);
	explains("dust", true, "/a bypass quiet",
		 "{\"device\":\"/a\",\"state\":\"bypass\",\"verbosity\":\"quiet\"}");
	explains("dust", true, "/a maybe quiet", NULL);
	explains("switch", false, "1 8 0 /a 0",
		 "{\"region_size\":8,\"paths\":[{\"device\":\"/a\",\"offset\":0}]}");
	explains("linear", false, "\xff\xc3\xa4\x01 0",
		 "{\"device\":\"\\ufffd\xc3\xa4\\u0001\",\"offset\":0}");
}

static void descriptors(void **state)
{
	struct ndm_str json = { 0 };

	(void)state;
	assert_int_equal(ndm_describe("nosuch", &json), -ENOENT);
	assert_int_equal(json.len, 0);
	assert_int_equal(ndm_describe("linear", &json), 0);
	assert_string_equal(json.text,
		"{\"name\":\"linear\",\"version\":\"1.4.0\",\"summary\":\"A range of sectors laid "
		"onto a range of one device.\",\"args\":[{\"name\":\"device\",\"kind\":\"device\","
		"\"help\":\"The device that holds the data.\"},{\"name\":\"offset\",\"kind\":"
		"\"sectors\",\"default\":\"0\",\"help\":\"Where on the device the target's first "
		"sector lies.\"}],\"status\":[]}");
	ndm_str_free(&json);
	assert_int_equal(ndm_describe(NULL, &json), 0);
	assert_non_null(strstr(json.text, "{\"name\":\"switch\""));
	assert_true(json.text[0] == '[' && json.text[json.len - 1] == ']');
	ndm_str_free(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_64),
		cmocka_unit_test(numbers_32),
		cmocka_unit_test(arg_groups),
		cmocka_unit_test(text_grows),
		cmocka_unit_test(lines_as_json),
		cmocka_unit_test(descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
