/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smq.h - the policy: stochastic multiqueue, as Linux's smq, mq and cleaner.
 *
 * It knows which oblocks are in the cache, in memory, and says what should be done: a list of
 * work, each of which is to be ended with smq_complete().  Nothing waits; times are in ns.
 */
#ifndef NDM_TARGETS_CACHE_SMQ_H
#define NDM_TARGETS_CACHE_SMQ_H

#include <ndm-target.h>

enum smq_op { SMQ_PROMOTE, SMQ_DEMOTE, SMQ_WRITEBACK };

struct smq_work { enum smq_op op; uint64_t oblock; uint32_t cblock; };

struct smq_kind {				/* what it is called, and what differs */
	const char *name;			/* in status lines and on disk */
	bool tunables;				/* mq's, which have no effect any more */
	bool cleaner;				/* no promotions; all is written back */
};

struct smq;

const struct smq_kind *smq_kind(const char *name);	/* NULL: there is none */
extern const uint32_t smq_version[3];
#define SMQ_HINT_BYTES 4u

struct smq *smq_new(struct ndm_loop *, const struct smq_kind *, uint32_t cache_blocks,
		    uint64_t origin_sectors, uint32_t block_sectors);
void smq_free(struct smq *);				/* NULL is fine */
const struct smq_kind *smq_kind_of(const struct smq *);
void smq_no_migrations(struct smq *);			/* passthrough */

/* Is it there?  Counts nothing. */
bool smq_peek(const struct smq *, uint64_t oblock, uint32_t *cblock);
/*
 * A request to that block: true, and where it is.  Else *queued: there is new work; or, when
 * `fast` and a write may promote it by itself, *work has its promotion and *issued is set.
 */
bool smq_lookup(struct smq *, uint64_t oblock, bool write, bool fast, uint32_t *cblock,
		bool *queued, struct smq_work *work, bool *issued);
/* The next thing to be done; idle: the device is, and writeback welcome. */
bool smq_get_work(struct smq *, bool idle, struct smq_work *);
void smq_complete(struct smq *, const struct smq_work *, bool success);
void smq_set_dirty(struct smq *, uint32_t cblock, bool dirty);
/* -EEXIST: that cblock or oblock is in use already */
int smq_load(struct smq *, uint64_t oblock, uint32_t cblock, bool dirty, uint32_t hint,
	     bool hint_valid);
int smq_invalidate(struct smq *, uint32_t cblock);	/* -ENODATA: nothing is there */
void smq_shrink(struct smq *, uint32_t cache_blocks);	/* what lies behind is clean, and goes */
uint32_t smq_hint(const struct smq *, uint32_t cblock);
uint32_t smq_residency(const struct smq *);
void smq_tick(struct smq *);
int smq_set_value(struct smq *, const char *key, const char *value);
void smq_print_values(const struct smq *, struct ndm_str *);

#endif
