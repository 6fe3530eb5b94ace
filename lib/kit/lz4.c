/* SPDX-License-Identifier: BSD-2-Clause */
/* lz4.c - the door to liblz4. */
#include <config.h>

#include <errno.h>
#include <limits.h>

#ifdef HAVE_LIBLZ4
#include <lz4.h>
#endif

#include "lib/kit/lz4.h"

#ifdef HAVE_LIBLZ4
bool ndm_lz4_present(void)
{
	return true;
}

int ndm_lz4_decode(const void *from, size_t from_bytes, void *to, size_t to_bytes)
{
	int n;

	if (from_bytes > INT_MAX || to_bytes > INT_MAX)
		return -EINVAL;
	n = LZ4_decompress_safe(from, to, (int)from_bytes, (int)to_bytes);
	return n < 0 ? -EINVAL : n;
}
#else
bool ndm_lz4_present(void)
{
	return false;
}

int ndm_lz4_decode(const void *from, size_t from_bytes, void *to, size_t to_bytes)
{
	(void)from;
	(void)from_bytes;
	(void)to;
	(void)to_bytes;
	return -EOPNOTSUPP;
}
#endif
