/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta.h - metadata contexts: what NBD_CMD_BLOCK_STATUS can be asked for.
 *
 * A context is one row of the table in meta.c: its name and how it reads the type of an
 * extent as the core reports it.  Its id on the wire is its place in the table.
 */
#ifndef NDM_SERVER_META_H
#define NDM_SERVER_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

unsigned meta_count(void);			/* at most 32 */
const char *meta_name(unsigned id);
/* does a query name it?  listing: "base:" stands for all of base: */
bool meta_matches(unsigned id, const char *query, size_t bytes, bool listing);
uint32_t meta_state(unsigned id, unsigned extent_type);

#endif
