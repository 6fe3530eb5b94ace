/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hop.c - a store of another loop, as seen from this one.
 *
 * Each bio crosses twice by mailbox: over to the owner's loop, its end back.  Slower than a
 * direct submission, and right on whatever threads the two loops run.  Block status is
 * collected apart and merged at home, because pieces of one question may be out on several
 * loops at once.
 */
#include <stdlib.h>

#include "core.h"

struct hop {
	struct ndm_store store;
	struct ndm_store *to;
	struct hop_bio *free;
};

struct hop_bio {
	struct hop *hop;
	struct ndm_bio *home;			/* the bio that waits on our loop */
	struct ndm_bio away;			/* its double on the other */
	struct ndm_extents extents;
	struct ndm_msg msg;
	struct hop_bio *next;
};

static void hop_returned(struct ndm_msg *msg)
{
	struct hop_bio *hb = ndm_container_of(msg, struct hop_bio, msg);
	struct ndm_bio *home = hb->home;
	int err = hb->away.error;
	unsigned i;

	if (home->op == NDM_EXTENTS) {
		for (i = 0; i < hb->extents.n; i++) {
			struct ndm_extent *e = &hb->extents.list[i];

			ndm_extent_add(home, e->sector, e->nr, e->type);
		}
		ndm_extents_free(&hb->extents);
	}
	hb->next = hb->hop->free;
	hb->hop->free = hb;
	ndm_end(home, err);
}

static void hop_away_done(struct ndm_bio *away)
{
	struct hop_bio *hb = away->owner;

	hb->msg.fn = hop_returned;
	ndm_loop_post(hb->hop->store.loop, &hb->msg);
}

static void hop_arrived(struct ndm_msg *msg)
{
	struct hop_bio *hb = ndm_container_of(msg, struct hop_bio, msg);

	ndm_submit(&hb->away);
}

static void hop_submit(struct ndm_store *store, struct ndm_bio *bio)
{
	struct hop *hop = ndm_container_of(store, struct hop, store);
	struct hop_bio *hb = hop->free;

	if (hb) {
		hop->free = hb->next;
	} else {
		hb = malloc(sizeof *hb);
		if (!hb) {
			ndm_end(bio, -ENOMEM);
			return;
		}
	}
	memset(hb, 0, sizeof *hb);
	hb->hop = hop;
	hb->home = bio;
	hb->away.op = bio->op;
	hb->away.flags = bio->flags;
	hb->away.store = hop->to;
	hb->away.sector = bio->sector;
	hb->away.nr = bio->nr;
	hb->away.data = bio->data;
	hb->away.tags = bio->tags;
	hb->away.extents = bio->op == NDM_EXTENTS ? &hb->extents : NULL;
	hb->away.origin = bio->sector;
	hb->away.done = hop_away_done;
	hb->away.owner = hb;
	hb->msg.fn = hop_arrived;
	ndm_loop_post(hop->to->loop, &hb->msg);
}

static void hop_close(struct ndm_store *store)
{
	hop_free(store);
}

static const struct ndm_store_ops hop_ops = {
	.scheme = "hop",
	.submit = hop_submit,
	.close = hop_close,
};

/* in a task of the hop's loop: what the store has become since */
void hop_refresh(struct ndm_store *store)
{
	struct hop *hop = ndm_container_of(store, struct hop, store);
	struct ndm_limits limits;
	uint64_t nr;

	ndm_task_hop(hop->store.loop, hop->to->loop);
	limits = hop->to->limits;
	nr = hop->to->nr;
	ndm_task_hop(hop->to->loop, hop->store.loop);
	hop->store.limits = limits;
	hop->store.nr = nr;
}

struct ndm_store *hop_new(struct ndm_loop *from, struct ndm_store *to)
{
	struct hop *hop = ndm_zalloc(sizeof *hop);

	if (!hop)
		return NULL;
	hop->store = *to;
	hop->store.ops = &hop_ops;
	hop->store.loop = from;
	hop->store.name = NULL;
	hop->store.next = NULL;
	hop->to = to;
	return &hop->store;
}

void hop_free(struct ndm_store *store)
{
	struct hop *hop = ndm_container_of(store, struct hop, store);
	struct hop_bio *hb;

	while ((hb = hop->free)) {
		hop->free = hb->next;
		free(hb);
	}
	ndm_free(hop);
}
