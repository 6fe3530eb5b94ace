/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table-text.c - "START LENGTH TYPE ARGUMENTS" lines into struct ndm_table_line.
 *
 * Taken as dmsetup takes them: lines end at a newline; blanks around a line do not count; an
 * empty line, or one that begins with #, is nothing; behind the type a # ends the line wherever
 * it stands.  Two things dmsetup lets pass are refused, because a wrapped number never is what
 * was meant: a minus sign, and a number beyond 64 bits.
 *
 * The lines point into the text, which is cut up and has to outlive them; free the array alone
 * with ndm_free().
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ndm.h>

#define TYPE_BYTES_MAX 15	/* as in struct dm_target_spec, without the NUL */
#define LINES_MAX      1048576u /* as the kernel's limit on targets */

static char *skip_blanks(char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* Cuts a word off at *p; NULL at the end. */
static char *cut_word(char **p)
{
	char *word = skip_blanks(*p);
	char *end = word;

	if (!*word)
		return NULL;
	while (*end && !isspace((unsigned char)*end))
		end++;
	if (*end)
		*end++ = '\0';
	*p = end;
	return word;
}

static void cut_tail(char *p)
{
	size_t n = strlen(p);

	while (n && isspace((unsigned char)p[n - 1]))
		p[--n] = '\0';
}

static int read_number(const char *word, const char *what, unsigned number, uint64_t *value,
		       struct ndm_str *why)
{
	char *end;

	if (*word == '+')
		word++;
	if (*word < '0' || *word > '9') {
		ndm_printf(why, "line %u: '%s' is not a number of sectors: %s comes there\n",
			   number, word, what);
		return -EINVAL;
	}
	errno = 0;
	*value = strtoull(word, &end, 10);
	if (*end || errno) {
		ndm_printf(why, "line %u: '%s' is not a number of sectors that fits into 64 bits\n",
			   number, word);
		return -EINVAL;
	}
	return 0;
}

/* 1: a line, 0: nothing on it */
static int read_line(char *text, unsigned number, struct ndm_table_line *line, struct ndm_str *why)
{
	char *start, *length, *type, *comment;
	int err;

	text = skip_blanks(text);
	if (!*text || *text == '#')
		return 0;
	*line = (struct ndm_table_line){ 0 };
	start = cut_word(&text);
	length = cut_word(&text);
	type = cut_word(&text);
	if (!type) {
		ndm_printf(why, "line %u: expected START LENGTH TYPE and the target's arguments\n",
			   number);
		return -EINVAL;
	}
	err = read_number(start, "the start", number, &line->start, why);
	if (!err)
		err = read_number(length, "the length", number, &line->nr, why);
	if (err)
		return err;
	if (strlen(type) > TYPE_BYTES_MAX) {
		ndm_printf(why, "line %u: target type '%s' is longer than %u bytes\n", number, type,
			   TYPE_BYTES_MAX);
		return -EINVAL;
	}
	comment = strchr(text, '#');
	if (comment)
		*comment = '\0';
	text = skip_blanks(text);
	cut_tail(text);
	line->type = type;
	line->args = text;
	return 1;
}

int ndm_table_parse(char *text, struct ndm_table_line **out, unsigned *n, struct ndm_str *why)
{
	struct ndm_table_line *lines = NULL, *more;
	unsigned count = 0, room = 0, number = 0;
	char *next;
	int got;

	for (; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		number++;
		if (count == room) {
			room = room ? room * 2 : 8;
			more = count < LINES_MAX ? realloc(lines, room * sizeof(*lines)) : NULL;
			if (!more) {
				free(lines);
				return count < LINES_MAX ? -ENOMEM : -EOVERFLOW;
			}
			lines = more;
		}
		got = read_line(text, number, &lines[count], why);
		if (got < 0) {
			free(lines);
			return got;
		}
		count += (unsigned)got;
	}
	*out = lines;
	*n = count;
	return 0;
}

void ndm_table_put_word(struct ndm_str *out, const char *word, size_t bytes)
{
	if (!ndm_str_room(out, 2 * bytes))
		return;				/* all of it, or nothing */
	for (; bytes; word++, bytes--) {
		if (isspace((unsigned char)*word) || *word == '\\')
			ndm_str_put(out, "\\", 1);
		ndm_str_put(out, word, 1);
	}
}
