/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memo.h - what a target keeps for its next process, line by line: a word and numbers behind it.
 */
#ifndef NDM_KIT_MEMO_H
#define NDM_KIT_MEMO_H

#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#define MEMO_NUMBERS 8
#define MEMO_WORD_BYTES 24

struct memo { const char *at, *end; };

struct memo_line {
	char word[MEMO_WORD_BYTES];
	uint64_t number[MEMO_NUMBERS];
	unsigned n;
};

static inline int memo_number(const char **at, const char *end, uint64_t *value)
{
	const char *p = *at;

	for (*value = 0; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
			return -EBADMSG;
	if (p == *at)
		return -EBADMSG;
	*at = p;
	return 0;
}

/* 1: a line; 0: there are no more; -EBADMSG */
static inline int memo_next(struct memo *m, struct memo_line *l)
{
	const char *newline = m->at < m->end ? memchr(m->at, '\n', (size_t)(m->end - m->at)) : NULL;
	const char *p = m->at, *blank;

	if (m->at >= m->end)
		return 0;
	if (!newline)
		return -EBADMSG;
	*l = (struct memo_line){ 0 };
	blank = memchr(p, ' ', (size_t)(newline - p));
	if (!blank)
		blank = newline;
	if ((size_t)(blank - p) >= sizeof l->word)
		return -EBADMSG;
	memcpy(l->word, p, (size_t)(blank - p));
	for (p = blank; p < newline; l->n++) {
		if (*p++ != ' ' || l->n == MEMO_NUMBERS || memo_number(&p, newline, &l->number[l->n]))
			return -EBADMSG;
	}
	m->at = newline + 1;
	return 1;
}

static inline bool memo_is(const struct memo_line *l, const char *word, unsigned n)
{
	return !strcmp(l->word, word) && l->n == n;
}

#endif
