/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta.h - metadata contexts: what NBD_CMD_BLOCK_STATUS can be asked for.
 *
 * The first few are read off the type of an extent as the core reports it.  The others,
 * "ndm:NAME", are what targets tell by themselves (ndm_meta_query()).  A context's id on the
 * wire is its place among all of them, the same for every export.
 */
#ifndef NDM_SERVER_META_H
#define NDM_SERVER_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndm.h>

#define META_MAX 32				/* ids are bits of a word */
#define META_NAME_BYTES 64
#define META_TYPE_IDS 7u			/* bits of those that need NDM_EXTENTS */

unsigned meta_count(void);
/* returns its bytes */
size_t meta_name(unsigned id, char name[META_NAME_BYTES]);
/* which of them an export has: bit n = id n */
uint32_t meta_offered(const struct ndm_device_info *);
/* does a query name it?  listing: "base:" stands for all of base: */
bool meta_matches(unsigned id, const char *query, size_t bytes, bool listing);
/* the id's number for ndm_meta_query(), or -1: meta_state() says it */
int meta_number(unsigned id);
uint32_t meta_state(unsigned id, unsigned extent_type);

#endif
