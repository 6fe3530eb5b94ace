/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-yaml.c - volume definitions: what each form becomes, and what is said of wrong ones
 * (tests/data/yaml-wrong.txt).
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#define CASES_LEAST 150

/* ---- wrong ones ---- */

struct reader {
	FILE *file;
	char *line;
	size_t room;
	bool again; /* the line has been read, but not used */
};

static bool next_line(struct reader *r)
{
	if (r->again) {
		r->again = false;
		return true;
	}
	return getline(&r->line, &r->room, r->file) > 0;
}

/* One case: the sentences expected, and the definition. */
static bool next_case(struct reader *r, struct ndm_str *expected, struct ndm_str *yaml)
{
	while (next_line(r)) {
		if (!strncmp(r->line, "=== ", 4)) {
			if (yaml->len) {
				r->again = true;
				return true;
			}
			ndm_printf(expected, "FILE:%s", r->line + 4);
		} else if (expected->len) {
			ndm_printf(yaml, "%s", r->line);
		}
	}
	return expected->len;
}

static void wrong_files_are_refused(void **state)
{
	const char *top = getenv("top_srcdir");
	struct ndm_str path = { 0 };
	struct reader r = { 0 };
	unsigned cases = 0;

	(void)state;
	ndm_printf(&path, "%s/tests/data/yaml-wrong.txt", top ? top : ".");
	r.file = fopen(path.text, "r");
	assert_non_null(r.file);
	for (;;) {
		struct ndm_str expected = { 0 }, yaml = { 0 }, why = { 0 };
		struct ndm_config *config = NULL;
		int err;

		if (!next_case(&r, &expected, &yaml))
			break;
		cases++;
		err = ndm_config_parse("FILE", yaml.len ? yaml.text : "", yaml.len, &config, &why);
		if (!err)
			fail_msg("accepted:\n%s", yaml.text);
		assert_int_equal(err, -EINVAL);
		if (!why.len || strcmp(why.text, expected.text))
			fail_msg("of\n%s\nis said\n%sinstead of\n%s",
				 yaml.len ? yaml.text : "(nothing)",
				 why.len ? why.text : "(nothing)\n", expected.text);
		ndm_str_free(&expected);
		ndm_str_free(&yaml);
		ndm_str_free(&why);
	}
	assert_true(cases >= CASES_LEAST);
	free(r.line);
	fclose(r.file);
	ndm_str_free(&path);
}

/* ---- right ones ---- */

static struct ndm_config *parse(const char *text)
{
	struct ndm_str why = { 0 };
	struct ndm_config *config = NULL;

	if (ndm_config_parse("FILE", text, strlen(text), &config, &why))
		fail_msg("refused:\n%s\n%s", text, why.text);
	ndm_str_free(&why);
	return config;
}

static void print_config(const struct ndm_config *config, struct ndm_str *out)
{
	for (unsigned i = 0; i < config->nvolumes; i++) {
		const struct ndm_volume *v = &config->volumes[i];

		ndm_printf(out, "%s%s:", i ? "; " : "", v->name);
		for (unsigned j = 0; j < v->nlines; j++)
			ndm_printf(out, "%s %llu %llu %s%s%s", j ? "," : "",
				   (unsigned long long)v->lines[j].start,
				   (unsigned long long)v->lines[j].nr, v->lines[j].type,
				   *v->lines[j].args ? " " : "", v->lines[j].args);
	}
}

/* All volumes of a file, in their order, as "NAME: START LEN TYPE ARGS, ...; NAME: ..." */
static void becomes(const char *yaml, const char *expected)
{
	struct ndm_config *config = parse(yaml);
	struct ndm_str got = { 0 };

	print_config(config, &got);
	assert_string_equal(got.len ? got.text : "", expected);
	ndm_str_free(&got);
	ndm_config_free(config);
}

/* The table of a volume of one line. */
static void line_becomes(const char *target, const char *expected)
{
	struct ndm_str yaml = { 0 }, wanted = { 0 };

	ndm_printf(&yaml, "version: 1\nvolumes:\n  v: {table: [%s]}\n", target);
	ndm_printf(&wanted, "v: %s", expected);
	becomes(yaml.text, wanted.text);
	ndm_str_free(&yaml);
	ndm_str_free(&wanted);
}

static void forms_of_a_table(void **state)
{
	(void)state;
	becomes("version: 1\n", "");
	becomes("version: 1\nvolumes:\n", "");
	becomes("version: 1\nvolumes: {v: {zero: {length: 8}}}", "v: 0 8 zero");
	becomes("version: 1\nvolumes: {v: {table: [zero: {length: 8}, error: {length: 4}]}}",
		"v: 0 8 zero, 8 4 error");
	becomes("version: 1\nvolumes: {v: {table: [zero: {length: 8, start: 0}, error: {length: 4, "
		"start: 8}]}}",
		"v: 0 8 zero, 8 4 error");
	becomes("version: 1\nvolumes: {v: {table: ['8 zero', '8 4 error', '1k linear /a 0']}}",
		"v: 0 8 zero, 8 4 error, 12 2 linear /a 0");
	becomes("version: 1\nvolumes: {v: {table: '0 8 zero'}}", "v: 0 8 zero");
	becomes("version: 1\nvolumes:\n  v:\n    table: |\n      # comment\n      0 8 zero # "
		"more\n\n"
		"      8 8 linear  /a   0  \n",
		"v: 0 8 zero, 8 8 linear /a   0");
	becomes("version: 1\nvolumes: {v: {linear: {length: 8, args: '/a 7'}}}",
		"v: 0 8 linear /a 7");
	becomes("version: 1\nx-disk: &d {device: /a, offset: 4}\nvolumes: {v: {striped: {length: "
		"16, chunk: 8, "
		"devices: [*d, *d]}}}",
		"v: 0 16 striped 2 8 /a 4 /a 4");
}

static void sizes_and_times(void **state)
{
	static const char *const sizes[][2] = {
		{ "8", "8" },	  { "8s", "8" },	       { "4096B", "8" },	       { "4096b", "8" },
		{ "4k", "8" },	  { "4K", "8" },	       { "4KiB", "8" },	       { "1.5M", "3072" },
		{ "1MiB", "2048" }, { "2G", "4194304" },   { "1T", "2147483648" },   { "0.5k", "1" },
		{ "64kB", "125" },  { "1MB", "1953.125" }, { "'1 GiB'", "2097152" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ndm_str target = { 0 }, line = { 0 };

		if (strchr(sizes[i][1], '.'))
			continue;
		ndm_printf(&target, "linear: {length: 8, device: /a, offset: %s}", sizes[i][0]);
		ndm_printf(&line, "0 8 linear /a %s", sizes[i][1]);
		line_becomes(target.text, line.text);
		ndm_str_free(&target);
		ndm_str_free(&line);
	}
	line_becomes("delay: {length: 8, device: /a, delay: 1s}", "0 8 delay /a 0 1000");
	line_becomes("delay: {length: 8, device: /a, delay: 50ms}", "0 8 delay /a 0 50");
	line_becomes("flakey: {length: 8, device: /a, up_interval: 2min, down_interval: 3}",
		     "0 8 flakey /a 0 120 3");
}

static void arguments_by_descriptor(void **state)
{
	(void)state;
	line_becomes("linear: {length: 8, device: /a}", "0 8 linear /a 0");
	line_becomes("linear: {offset: 3, device: 'nbd://host:1/x?y=z', length: 8}",
		     "0 8 linear nbd://host:1/x?y=z 3");
	line_becomes("linear: {length: 8, device: \"/with blank\\\\and backslash\"}",
		     "0 8 linear /with\\ blank\\\\and\\ backslash 0");
	line_becomes("error: {length: 8}", "0 8 error");
	line_becomes("error: {length: 8, device: /a}", "0 8 error /a 0");
	line_becomes("error: {length: 8, device: /a, offset: 5}", "0 8 error /a 5");
	line_becomes("delay: {length: 8, device: /a, delay: 1, write: {device: /b, offset: 2, "
		     "delay: 3}}",
		     "0 8 delay /a 0 1 /b 2 3");
	line_becomes("delay: {length: 8, device: /a, delay: 1, write: {device: /b, delay: 3}, "
		     "flush: {device: /c, delay: 5}}",
		     "0 8 delay /a 0 1 /b 0 3 /c 0 5");
	line_becomes("flakey: {length: 8, device: /a, up_interval: 1, down_interval: 2, features: "
		     "[drop_writes]}",
		     "0 8 flakey /a 0 1 2 1 drop_writes");
	line_becomes("flakey: {length: 8, device: /a, up_interval: 1, down_interval: 2, features: "
		     "{error_reads: yes, "
		     "error_writes: false}}",
		     "0 8 flakey /a 0 1 2 1 error_reads");
	line_becomes("flakey: {length: 8, device: /a, up_interval: 1, down_interval: 2, features: "
		     "{corrupt_bio_byte: "
		     "{nth_byte: 32, direction: r, value: 1, flags: 0}}}",
		     "0 8 flakey /a 0 1 2 5 corrupt_bio_byte 32 r 1 0");
	line_becomes("crypt: {length: 8, cipher: aes-xts-plain64, key: 00ff, device: /a}",
		     "0 8 crypt aes-xts-plain64 00ff 0 /a 0");
	line_becomes(
		"crypt: {length: 8, cipher: aes-xts-plain64, key: ':32:logon:x:y', device: /a, "
		"words: "
		"{sector_size: 4096, allow_discards: true, integrity: {bytes: 28, profile: aead}}}",
		"0 8 crypt aes-xts-plain64 :32:logon:x:y 0 /a 0 3 allow_discards integrity:28:aead "
		"sector_size:4096");
	line_becomes("switch: {length: 16, region_size: 8, paths: [{device: /a}, {device: /b, "
		     "offset: 9}]}",
		     "0 16 switch 2 8 0 /a 0 /b 9");
}

static void references_and_order(void **state)
{
	(void)state;
	becomes("version: 1\nvolumes:\n"
		"  top: {linear: {length: 8, device: mid}}\n"
		"  mid: {linear: {length: 8, device: /dev/mapper/low}}\n"
		"  free: {zero: {length: 8}}\n"
		"  low: {table: ['8 linear dev:base 0']}\n"
		"  base: {linear: {length: 8, device: dev:other}}\n",
		"base: 0 8 linear dev:other 0; low: 0 8 linear dev:base 0; "
		"mid: 0 8 linear /dev/mapper/low 0; top: 0 8 linear dev:mid 0; free: 0 8 zero");
	becomes("version: 1\nvolumes:\n"
		"  r: {striped: {length: 16, chunk: 8, devices: [{device: a}, {device: b}]}}\n"
		"  a: {zero: {length: 8}}\n  b: {zero: {length: 8}}\n",
		"a: 0 8 zero; b: 0 8 zero; r: 0 16 striped 2 8 dev:a 0 dev:b 0");
}

static void a_long_chain_of_volumes(void **state)
{
	struct ndm_str yaml = { 0 };
	struct ndm_config *config;

	(void)state;
	ndm_printf(&yaml, "version: 1\nvolumes:\n");
	for (unsigned i = 0; i < 5000; i++)
		ndm_printf(&yaml, "  v%u: {linear: {length: 8, device: v%u}}\n", i, i + 1);
	ndm_printf(&yaml, "  v5000: {zero: {length: 8}}\n");
	config = parse(yaml.text);
	assert_int_equal(config->nvolumes, 5001);
	assert_string_equal(config->volumes[0].name, "v5000");
	assert_string_equal(config->volumes[5000].name, "v0");
	ndm_config_free(config);
	ndm_str_free(&yaml);
}

static void keys_of_a_volume(void **state)
{
	struct ndm_config *config;
	struct ndm_volume *v;

	(void)state;
	config = parse(
		"version: 1\nvolumes:\n  a:\n    uuid: NDM-1\n    read_only: true\n    loop: 3\n"
		"    export: {name: other, description: 'Some words: many'}\n    zero: {length: "
		"8}\n"
		"  b: {export: false, zero: {length: 8}}\n  c: {export: true, zero: {length: 8}}\n"
		"  d: {export: named, allow: psk:bob, zero: {length: 8}}\n"
		"  e: {allow: ['cn:a b*', 'dn:CN=x,O=y'], zero: {length: 8}}\n");
	v = config->volumes;
	assert_string_equal(v[0].uuid, "NDM-1");
	assert_true(v[0].read_only);
	assert_int_equal(v[0].loop, 3);
	assert_string_equal(v[0].export_name, "other");
	assert_string_equal(v[0].description, "Some words: many");
	assert_int_equal(v[0].line, 3);
	assert_int_equal(v[0].column, 3);
	assert_true(v[1].no_export);
	assert_int_equal(v[1].loop, -1);
	assert_false(v[1].read_only);
	assert_null(v[1].uuid);
	assert_false(v[2].no_export);
	assert_null(v[2].export_name);
	assert_string_equal(v[3].export_name, "named");
	assert_int_equal(v[0].nallow, 0);
	assert_int_equal(v[3].nallow, 1);
	assert_string_equal(v[3].allow[0], "psk:bob");
	assert_int_equal(v[4].nallow, 2);
	assert_string_equal(v[4].allow[1], "dn:CN=x,O=y");
	ndm_config_free(config);
}

static void the_server_block(void **state)
{
	struct ndm_config *config;

	(void)state;
	config = parse("version: 1\nserver:\n  listen: [unix:/run/x, 'tcp:[::1]:10809', "
		       "'tcp::0']\n  control: /c\n"
		       "  state: /s\n  metrics: /m\n  threads: 4\n  direct: on\n"
		       "  tls: {mode: require, certificates: /pki, verify_peer: true}\n");
	assert_int_equal(config->server.nlisten, 3);
	assert_string_equal(config->server.listen[1], "tcp:[::1]:10809");
	assert_string_equal(config->server.control, "/c");
	assert_string_equal(config->server.state, "/s");
	assert_string_equal(config->server.metrics, "/m");
	assert_string_equal(config->server.tls_mode, "require");
	assert_string_equal(config->server.tls_certificates, "/pki");
	assert_null(config->server.tls_psk);
	assert_true(config->server.tls_verify_peer);
	assert_true(config->server.direct_io);
	assert_int_equal(config->server.threads, 4);
	ndm_config_free(config);
	config = parse("version: 1\nserver: {listen: unix:/one}\n");
	assert_int_equal(config->server.nlisten, 1);
	assert_int_equal(config->server.threads, 0);
	ndm_config_free(config);
}

static void a_file_too_large(void **state)
{
	struct ndm_config *config;
	struct ndm_str why = { 0 };
	size_t bytes = (16u << 20) + 1;
	char *text = malloc(bytes);

	(void)state;
	memset(text, ' ', bytes);
	assert_int_equal(ndm_config_parse("FILE", text, bytes, &config, &why), -E2BIG);
	assert_string_equal(why.text,
			    "FILE:1:1: the file has 16777217 bytes, more than 16777216\n");
	ndm_str_free(&why);
	free(text);
}

/* ---- plan and apply ---- */

static void apply(struct box *b, const char *yaml, const char *plan_expected,
		  const char *why_expected)
{
	struct ndm_config *config = parse(yaml);
	struct ndm_str plan = { 0 }, done = { 0 }, why = { 0 };
	int err;

	assert_int_equal(ndm_config_plan(box_context(b), config, &plan), 0);
	assert_string_equal(plan.len ? plan.text : "", plan_expected);
	err = ndm_config_apply(box_context(b), config, &done, &why);
	assert_string_equal(done.len ? done.text : "", plan_expected);
	assert_string_equal(why.len ? why.text : "", why_expected);
	assert_int_equal(!err, !*why_expected);
	ndm_str_free(&plan);
	ndm_str_free(&done);
	ndm_str_free(&why);
	ndm_config_free(config);
}

static void nothing_left(struct box *b)
{
	struct ndm_str names = { 0 };

	for (struct ndm_device *d = ndm_device_first(box_context(b)); d; d = ndm_device_next(d)) {
		struct ndm_device_info info;

		ndm_device_info(d, &info);
		ndm_printf(&names, " %s", info.name);
	}
	assert_string_equal(names.len ? names.text : "", "");
	ndm_str_free(&names);
}

#define TWO \
	"version: 1\nvolumes:\n  top: {linear: {length: 8, device: low}}\n  low: {linear: " \
	"{length: 16, device: 'box:d'}}\n"

static void a_file_is_applied(struct box *b)
{
	box_disk(b, "d", 64, 0);
	apply(b, TWO, "create low\ncreate top\n", "");
	assert_string_equal(box_table(b, "low"), "box:d 0");
	assert_string_equal(box_table(b, "top"), "253:0 0");
	apply(b, TWO, "keep low\nkeep top\n", "");
	apply(b,
	      "version: 1\nvolumes:\n  low: {linear: {length: 16, device: 'box:d', offset: 1}}\n"
	      "  new: {zero: {length: 8}}\n",
	      "remove top\nreload low\ncreate new\n", "");
	assert_string_equal(box_table(b, "low"), "box:d 1");
	apply(b, "version: 1\n", "remove low\nremove new\n", "");
	nothing_left(b);
}
BOX_DEFINE(a_file_is_applied)

static void what_others_change_is_changed_back(struct box *b)
{
	box_disk(b, "d", 64, 0);
	apply(b, TWO, "create low\ncreate top\n", "");
	box_reload(b, "low", "0 16 linear box:d 3");
	apply(b, TWO, "reload low\nkeep top\n", "");
	assert_string_equal(box_table(b, "low"), "box:d 0");
	apply(b,
	      "version: 1\nvolumes: {low: {read_only: true, linear: {length: 16, device: "
	      "'box:d'}}}",
	      "remove top\nreload low\n", "");
	apply(b, "version: 1\n", "remove low\n", "");
}
BOX_DEFINE(what_others_change_is_changed_back)

static void devices_of_others_stay(struct box *b)
{
	box_disk(b, "d", 64, 0);
	box_up(b, "mine", "0 8 zero");
	apply(b, "version: 1\nvolumes: {theirs: {zero: {length: 8}}}", "create theirs\n", "");
	apply(b, "version: 1\n", "remove theirs\n", "");
	assert_string_equal(box_table(b, "mine"), "");
}
BOX_DEFINE(devices_of_others_stay)

static void a_device_is_adopted(struct box *b)
{
	struct ndm_device *dev;

	box_disk(b, "d", 64, 0);
	assert_int_equal(ndm_device_create(box_context(b), "v", NULL, -1, &dev), 0);
	box_reload(b, "v", "0 8 linear box:d 2");
	apply(b, "version: 1\nvolumes: {v: {linear: {length: 8, device: 'box:d', offset: 2}}}",
	      "keep v\n", "");
	apply(b,
	      "version: 1\nvolumes: {v: {uuid: U, linear: {length: 8, device: 'box:d', offset: "
	      "3}}}",
	      "reload v\n", "");
	assert_ptr_equal(ndm_device_by_uuid(box_context(b), "U"),
			 ndm_device_by_name(box_context(b), "v"));
	apply(b,
	      "version: 1\nvolumes: {v: {uuid: W, linear: {length: 8, device: 'box:d', offset: "
	      "3}}}",
	      "keep v\n", "FILE:2:11: volume v: its uuid is U, and a uuid cannot be changed\n");
	apply(b, "version: 1\n", "remove v\n", "");
	nothing_left(b);
}
BOX_DEFINE(a_device_is_adopted)

static void a_volume_changes_as_a_whole(struct box *b)
{
	box_disk(b, "d", 64, 0);
	apply(b, TWO, "create low\ncreate top\n", "");
	apply(b,
	      "version: 1\nvolumes:\n  low: {linear: {length: 16, device: 'box:d', offset: 60}}\n"
	      "  good: {zero: {length: 8}}\n  bad: {linear: {length: 8, device: 'box:none'}}\n"
	      "  top: {linear: {length: 8, device: low}}\n",
	      "reload low\ncreate good\ncreate bad\nkeep top\n",
	      "FILE:3:3: volume low: line 1 (linear): box:d too small for target: start=60, "
	      "len=16, dev_size=64\n"
	      "FILE:5:3: volume bad: line 1 (linear): Device lookup failed: no such disk\n");
	assert_string_equal(box_table(b, "low"), "box:d 0");
	assert_string_equal(box_table(b, "good"), "");
	assert_null(ndm_device_by_name(box_context(b), "bad"));
	apply(b, "version: 1\n", "remove good\nremove low\nremove top\n", "");
	nothing_left(b);
}
BOX_DEFINE(a_volume_changes_as_a_whole)

static void what_is_open_stays(struct box *b)
{
	struct ndm_opener *opener;

	apply(b, "version: 1\nvolumes: {v: {zero: {length: 8}}}", "create v\n", "");
	assert_int_equal(ndm_open(ndm_device_by_name(box_context(b), "v"), NDM_OPEN_READ,
				  "a client", &opener),
			 0);
	apply(b, "version: 1\n", "remove v\n",
	      "volume v cannot be removed: Device or resource busy, in use by client a client\n");
	ndm_close(opener);
	apply(b, "version: 1\n", "remove v\n", "");
	nothing_left(b);
}
BOX_DEFINE(what_is_open_stays)

static void check(struct box *b, const char *yaml, const char *why_expected)
{
	struct ndm_config *config = parse(yaml);
	struct ndm_str why = { 0 };
	int err = ndm_config_check(box_context(b), config, &why);

	assert_string_equal(why.len ? why.text : "", why_expected);
	assert_int_equal(!err, !*why_expected);
	ndm_str_free(&why);
	ndm_config_free(config);
}

static void tables_are_tried_and_nothing_stays(struct box *b)
{
	box_disk(b, "d", 64, 0);
	box_up(b, "there", "0 16 zero");
	check(b, TWO, "");
	check(b,
	      "version: 1\nvolumes:\n  a: {linear: {length: 8, device: 'dev:there', offset: 8}}\n"
	      "  b: {linear: {length: 16, device: a}}\n  c: {linear: {length: 8, device: "
	      "'253:0'}}\n"
	      "  d: {linear: {length: 8, device: 'box:d', offset: 57}}\n  e: {linear: {length: 8, "
	      "device: d}}\n"
	      "  f: {table: ['8 linear box:d', '8 zero']}\n  g: {loop: 7, zero: {length: 8}}\n",
	      "FILE:4:3: volume b: line 1 (linear): 253:1 too small for target: start=0, len=16, "
	      "dev_size=8\n"
	      "FILE:6:3: volume d: line 1 (linear): box:d too small for target: start=57, len=8, "
	      "dev_size=64\n"
	      "FILE:8:3: volume f: line 1 (linear): Invalid argument count: 1 instead of 2 "
	      "(<device> <offset>)\n"
	      "FILE:9:3: volume g: there is no loop 7: there are 1, from 0 on\n");
	assert_string_equal(box_log(b), "");
	assert_null(ndm_device_by_name(box_context(b), "low"));
	assert_null(ndm_device_next(ndm_device_first(box_context(b))));
}
BOX_DEFINE(tables_are_tried_and_nothing_stays)

static void the_schema_names_everything(void **state)
{
	static const char *const words[] = {"\"volumes\"", "\"linear\"", "\"striped\"",
					    "\"up_interval\"", "\"tls\""};
	struct ndm_str json = { 0 };
	int depth = 0;

	(void)state;
	ndm_config_schema(&json);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_non_null(strstr(json.text, words[i]));
	for (const char *p = json.text; *p; p++) {
		if (*p == '"')
			for (p++; *p != '"'; p++)
				p += *p == '\\';
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		assert_true(depth >= 0);
	}
	assert_int_equal(depth, 0);
	ndm_str_free(&json);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_files_are_refused),
		cmocka_unit_test(forms_of_a_table),
		cmocka_unit_test(sizes_and_times),
		cmocka_unit_test(arguments_by_descriptor),
		cmocka_unit_test(references_and_order),
		cmocka_unit_test(a_long_chain_of_volumes),
		cmocka_unit_test(keys_of_a_volume),
		cmocka_unit_test(the_server_block),
		cmocka_unit_test(a_file_too_large),
		cmocka_unit_test(the_schema_names_everything),
		BOX_TEST(a_file_is_applied),
		BOX_TEST(what_others_change_is_changed_back),
		BOX_TEST(devices_of_others_stay),
		BOX_TEST(a_device_is_adopted),
		BOX_TEST(a_volume_changes_as_a_whole),
		BOX_TEST(what_is_open_stays),
		BOX_TEST(tables_are_tried_and_nothing_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
