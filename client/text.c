/* SPDX-License-Identifier: BSD-2-Clause */
/* text.c - messages for people, and text put together. */
#include "client.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One line on standard error, after what was printed before it. */
void say(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

char *text_format(const char *format, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	return n < 0 ? NULL : text;
}

/* As a word of a table: a backslash before what would end it.  Lines of such are `escaped`. */
char *text_word(const char *text)
{
	char *word = malloc(2 * strlen(text) + 1), *out = word;

	for (; word && *text; text++) {
		if (strchr(" \t\n\v\f\r\\", *text))
			*out++ = '\\';
		*out++ = *text;
	}
	if (word)
		*out = '\0';
	return word;
}

/* All of a stream with a NUL after it; NULL and errno. */
char *text_read_all(FILE *in, size_t *length_bytes)
{
	size_t room = 4096, n = 0;
	char *text = malloc(room), *more;

	while (text) {
		n += fread(text + n, 1, room - n - 1, in);
		if (n < room - 1)
			break;
		room *= 2;
		more = realloc(text, room);
		if (!more) {
			free(text);
			return NULL;
		}
		text = more;
	}
	if (text && ferror(in)) {
		free(text);
		return NULL;
	}
	if (text)
		text[n] = '\0';
	if (length_bytes)
		*length_bytes = n;
	return text;
}
