/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta-reader.h - what a disk says in Linux's persistent-data format, read by none of the code
 * that wrote it.  Only what is reachable is looked at; a block whose checksum or number is wrong
 * fails the trial.
 */
#ifndef NDM_TESTS_SIM_META_READER_H
#define NDM_TESTS_SIM_META_READER_H

#include "sim.h"

struct reader { struct sim *s; const char *disk; };

uint64_t reader_get(const void *p, unsigned bytes);		/* little-endian */
/* block 0 into 4096 bytes; false: all zero, never formatted */
bool reader_super(const struct reader *, uint32_t mask, uint8_t *to);
bool reader_lookup(const struct reader *, uint64_t root, uint64_t key, void *value, unsigned bytes);
/* the key of the tree that is `key` or the next greater one */
bool reader_next(const struct reader *, uint64_t root, uint64_t *key, void *value, unsigned bytes);
uint64_t reader_array(const struct reader *, uint64_t root, uint64_t index, unsigned bytes);
bool reader_bit(const struct reader *, uint64_t root, uint64_t bit);

#endif
