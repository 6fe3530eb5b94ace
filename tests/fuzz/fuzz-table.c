/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-table.c - the parser of table text, and the way from a line's arguments to named ones.
 *
 * No target is built: constructors open devices.  What is fed goes through ndm_table_parse(),
 * and each line of a known type through ndm_explain() with the target's descriptor.
 */
#include <stdlib.h>
#include <string.h>

#include <ndm.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct ndm_table_line *lines = NULL;
	struct ndm_str why = { 0 }, json = { 0 };
	unsigned n = 0, i;
	char *text = malloc(bytes + 1);

	memcpy(text, data, bytes);
	text[bytes] = '\0';
	if (ndm_table_parse(text, &lines, &n, &why) == 0) {
		for (i = 0; i < n; i++) {
			const struct ndm_target_type *t = ndm_target_type_find(lines[i].type);

			if (t && t->args)
				ndm_explain(t, t->args, lines[i].args, &json);
			if (t && t->status_fields)
				ndm_explain(t, t->status_fields, lines[i].args, &json);
			ndm_str_free(&json);
		}
		free(lines);
	} else if (!why.len) {
		abort();			/* refused without a word */
	}
	ndm_str_free(&why);
	free(text);
	return 0;
}
