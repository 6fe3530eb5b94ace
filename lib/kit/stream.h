/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - copying to where nobody will look for a while: past the processor's caches, where
 * it has stores for that.  It spares reading what is overwritten, and what is in the caches
 * stays there.
 */
#ifndef NDM_KIT_STREAM_H
#define NDM_KIT_STREAM_H

#include <stdint.h>
#include <string.h>

#define STREAM_BYTES 16u		/* `to` and `bytes` are multiples, or it is a plain copy */

static inline void stream_copy(void *to, const void *from, size_t bytes)
{
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	typedef long long lane __attribute__((vector_size(STREAM_BYTES)));
	const unsigned char *in = from;
	lane *out = to, v;
	size_t i;

	if (((uintptr_t)to | bytes) % STREAM_BYTES == 0) {
		for (i = 0; i < bytes / STREAM_BYTES; i++, in += STREAM_BYTES) {
			memcpy(&v, in, sizeof v);
#ifdef __clang__
			__builtin_nontemporal_store(v, out + i);
#else
			__builtin_ia32_movntdq(out + i, v);
#endif
		}
		__builtin_ia32_sfence();
		return;
	}
#endif
	memcpy(to, from, bytes);
}

#endif
