/* SPDX-License-Identifier: BSD-2-Clause */
/* lz4.h - LZ4 blocks, without frames; only where liblz4 was there when ndm was built. */
#ifndef NDM_KIT_LZ4_H
#define NDM_KIT_LZ4_H

#include <stdbool.h>
#include <stddef.h>

bool ndm_lz4_present(void);
/* Bytes that came out of it, -EINVAL when it is no such block or there is no room, -EOPNOTSUPP. */
int ndm_lz4_decode(const void *from, size_t from_bytes, void *to, size_t to_bytes);

#endif
