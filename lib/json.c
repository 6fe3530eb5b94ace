/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - strings in JSON: quotes, escapes, and only valid UTF-8.
 */
#include <ndm.h>

#include "json.h"

/* Length of the UTF-8 sequence that begins here; 0 when it is none. */
static unsigned utf8_length(const unsigned char *p)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n, i;
	uint32_t c;

	if (*p < 0x80)
		return 1;
	if (*p >= 0xc2 && *p < 0xe0)
		n = 2;
	else if (*p >= 0xe0 && *p < 0xf0)
		n = 3;
	else if (*p >= 0xf0 && *p < 0xf5)
		n = 4;
	else
		return 0;
	c = *p & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

void json_string(struct ndm_str *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned n;

	ndm_printf(out, "\"");
	for (; *p; p += n ? n : 1) {
		n = utf8_length(p);
		if (!n)
			ndm_printf(out, "\\ufffd");
		else if (*p == '"' || *p == '\\')
			ndm_printf(out, "\\%c", *p);
		else if (*p == '\n')
			ndm_printf(out, "\\n");
		else if (*p == '\t')
			ndm_printf(out, "\\t");
		else if (*p < 0x20 || *p == 0x7f)
			ndm_printf(out, "\\u%04x", *p);
		else
			ndm_str_put(out, p, n);
	}
	ndm_printf(out, "\"");
}

void ndm_json_string(struct ndm_str *json, const char *text)
{
	json_string(json, text);
}
