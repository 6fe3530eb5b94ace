/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alloc.c - memory for control paths; the I/O path uses pools.
 *
 * The hook is the fifth vtable: tests make the nth allocation fail.
 */
#include <stdlib.h>

#include "core.h"

bool (*ndm_alloc_hook)(size_t bytes);

void *ndm_calloc(size_t n, size_t bytes)
{
	if (ndm_alloc_hook && !ndm_alloc_hook(n * bytes))
		return NULL;
	return calloc(n ? n : 1, bytes ? bytes : 1);
}

void *ndm_zalloc(size_t bytes)
{
	return ndm_calloc(1, bytes);
}

char *ndm_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = ndm_calloc(1, len);

	return copy ? memcpy(copy, s, len) : NULL;
}

void ndm_free(void *p)
{
	free(p);
}
