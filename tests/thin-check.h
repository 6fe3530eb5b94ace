/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thin-check.h - is the metadata of a pool right?  Written from the description of the format
 * alone: nothing of lib/meta or targets/thin is in it.
 */
#ifndef NDM_TESTS_THIN_CHECK_H
#define NDM_TESTS_THIN_CHECK_H

#include <stdint.h>

/*
 * Reads the metadata through read(), a block of 4096 bytes at a time, and returns NULL, or a
 * sentence about what is wrong (until the next call): checksums, the shape of trees, every count of
 * both space maps against the pointers there are, devices and how much they say they map.
 */
const char *thin_check(void (*read)(void *arg, uint64_t block, uint8_t *data), void *arg);

#endif
