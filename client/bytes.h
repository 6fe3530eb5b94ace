/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bytes.h - little-endian numbers as they lie on disk, at any address, for the programs that read
 * disks themselves.  (lib/kit has its own: clients use nothing of lib/.)
 */
#ifndef NDM_CLIENT_BYTES_H
#define NDM_CLIENT_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t le32_get(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static inline uint64_t le64_get(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

#endif
