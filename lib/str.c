/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * str.c - growable text.
 *
 * Printing never fails for the caller: where memory ends the text stays as it was, a status
 * line or a reason that is cut short being the least of the troubles then.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core.h"

/* Room for `more` bytes and the NUL. */
bool ndm_str_room(struct ndm_str *s, size_t more)
{
	size_t cap = s->cap ? s->cap : 64;
	char *grown;

	if (more >= SIZE_MAX / 2 - s->len)
		return false;
	while (cap <= s->len + more)
		cap *= 2;
	if (cap == s->cap)
		return true;
	grown = realloc(s->text, cap);
	if (!grown)
		return false;
	s->text = grown;
	s->cap = cap;
	return true;
}

void ndm_str_put(struct ndm_str *s, const void *bytes, size_t len)
{
	if (!ndm_str_room(s, len))
		return;
	if (len)
		memcpy(s->text + s->len, bytes, len);
	s->len += len;
	s->text[s->len] = 0;
}

void ndm_vprintf(struct ndm_str *s, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(s->text ? s->text + s->len : NULL, s->text ? s->cap - s->len : 0, fmt, ap);
	if (len >= 0 && (!s->text || (size_t)len >= s->cap - s->len)) {
		if (ndm_str_room(s, len))
			vsnprintf(s->text + s->len, s->cap - s->len, fmt, again);
		else if (s->text)
			s->text[s->len] = 0;
	}
	if (s->text)
		s->len += strlen(s->text + s->len);
	va_end(again);
}

void ndm_printf(struct ndm_str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ndm_vprintf(s, fmt, ap);
	va_end(ap);
}

void ndm_str_free(struct ndm_str *s)
{
	free(s->text);
	*s = (struct ndm_str){ 0 };
}
