/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - a writer of JSON: two blanks an indent, one member a line, or all in one.  Bytes that
 * are not UTF-8 (a name may hold any) are written as U+FFFD, so that the document stays valid.
 */
#include "client.h"

#include <inttypes.h>
#include <string.h>

static void before_value(struct json *json)
{
	if (json->after_name) {
		json->after_name = false;
		return;
	}
	if (json->depth && !json->first)
		fputs(json->one_line ? ", " : ",", json->out);
	if (json->depth && !json->one_line)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	json->first = false;
}

void json_open(struct json *json, char bracket)
{
	before_value(json);
	fputc(bracket, json->out);
	json->depth++;
	json->first = true;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (!json->first && !json->one_line)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	fputc(bracket, json->out);
	json->first = false;
	if (!json->depth)
		fputc('\n', json->out);
}

/* Bytes of the UTF-8 character at s, or 0. */
static unsigned utf8_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	unsigned n = u[0] < 0x80 ? 1 : u[0] >= 0xc2 && u[0] < 0xe0 ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 :
		u[0] >= 0xf0 && u[0] < 0xf5 ? 4 : 0, i;

	for (i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

static void quoted(FILE *out, const char *text)
{
	unsigned n;

	fputc('"', out);
	for (; *text; text += n ? n : 1) {
		n = utf8_length(text);
		if (!n)
			fputs("\\ufffd", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(out, "\\u%04x", (unsigned char)*text);
		else
			fwrite(text, 1, n, out);
	}
	fputc('"', out);
}

void json_name(struct json *json, const char *name)
{
	before_value(json);
	quoted(json->out, name);
	fputs(": ", json->out);
	json->after_name = true;
}

void json_string(struct json *json, const char *text)
{
	before_value(json);
	quoted(json->out, text);
}

void json_number(struct json *json, uint64_t number)
{
	before_value(json);
	fprintf(json->out, "%" PRIu64, number);
}

void json_real(struct json *json, double number)
{
	before_value(json);
	fprintf(json->out, "%.6f", number);
}

void json_bool(struct json *json, bool value)
{
	before_value(json);
	fputs(value ? "true" : "false", json->out);
}

/* A document that somebody else wrote. */
void json_raw(struct json *json, const char *document)
{
	size_t n = strlen(document);

	while (n && document[n - 1] == '\n')
		n--;
	before_value(json);
	fwrite(document, 1, n, json->out);
}
