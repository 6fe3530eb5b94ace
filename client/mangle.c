/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mangle.c - names and UUIDs as libdevmapper gives them to the kernel: a byte that udev would
 * not have in a file name is written \xNN.  In mode `auto` text that has \x already is taken
 * as written so, and must then be so throughout.
 */
#include "client.h"

#include <ctype.h>
#include <string.h>

static bool is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c && strchr("#+-.:=@_", c));
}

/* Text mangled twice would come out as something else than what went in. */
bool mangle_is_single(const char *text, const char *what, enum mangling mode)
{
	if (mode != MANGLE_AUTO || !strstr(text, "\\x5cx"))
		return true;
	say("The %s \"%s\" seems to be mangled more than once. This is not allowed in auto mode.",
	    what, text);
	return false;
}

static int is_mixed(const char *text, const char *what)
{
	say("The %s \"%s\" contains mixed mangled and unmangled characters "
	    "or it's already mangled improperly.", what, text);
	return -1;
}

int mangle_string(const char *text, const char *what, char *out, size_t out_bytes,
		  enum mangling mode)
{
	enum { UNKNOWN, KEPT, CHANGED } so_far = UNKNOWN;
	size_t i, n = 0, step;

	for (i = 0; text[i]; i += step) {
		char piece[5] = { text[i] };

		step = 1;
		if (mode != MANGLE_HEX && text[i] == '\\' && text[i + 1] == 'x') {
			if (so_far == CHANGED || strlen(text + i) < 4)
				return is_mixed(text, what);
			memcpy(piece, text + i, 4);
			step = 4;
			so_far = KEPT;
		} else if (!is_plain((unsigned char)text[i])) {
			if (so_far == KEPT && mode != MANGLE_HEX)
				return is_mixed(text, what);
			snprintf(piece, sizeof(piece), "\\x%02x", (unsigned char)text[i]);
			so_far = CHANGED;
		}
		if (out_bytes - n < strlen(piece))
			goto too_long;
		memcpy(out + n, piece, strlen(piece));
		n += strlen(piece);
	}
	if (n == out_bytes)
		goto too_long;
	out[n] = '\0';
	return so_far == CHANGED;

too_long:
	say("Mangled form of the %s too long for \"%s\".", what, text);
	return -1;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ?
		tolower((unsigned char)c) - 'a' + 10 : -1;
}

int unmangle_string(const char *text, const char *what, char *out, size_t out_bytes,
		    enum mangling mode)
{
	size_t i, n = 0;
	int changed = 0;

	for (i = 0; text[i] && n + 1 < out_bytes; i++) {
		if (mode != MANGLE_NONE && text[i] != '\\' && !is_plain((unsigned char)text[i])) {
			say("The %s \"%s\" should be mangled but "
			    "it contains blacklisted characters.", what, text);
			return -1;
		}
		if (text[i] == '\\' && text[i + 1] == 'x' && hex_digit(text[i + 2]) >= 0 &&
		    hex_digit(text[i + 3]) >= 0) {
			out[n++] = (char)(hex_digit(text[i + 2]) << 4 | hex_digit(text[i + 3]));
			i += 3;
			changed = 1;
		} else {
			out[n++] = text[i];
		}
	}
	out[n] = '\0';
	return changed;
}
