/* SPDX-License-Identifier: BSD-2-Clause */
/* hex.h - hexadecimal text to bytes. */
#ifndef NDM_KIT_HEX_H
#define NDM_KIT_HEX_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly 2 * bytes digits are read; -EINVAL where one is none. */
static inline int ndm_unhex(const char *text, uint8_t *to, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		to[i] = high << 4 | low;
	}
	return 0;
}

#endif
