/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-watch.c - what those above an NBD store may know of its connections, and do about them.
 *
 * The store is up while one connection is.  Dirty: a write has ended that no flush has
 * covered; when the last connection goes with such writes they may be lost, and the next FLUSH
 * would say so (nbd.c), unless somebody above has seen to it.
 */
#include "nbd.h"

void nbd_links_tell(struct nbd_store *st, bool up)
{
	struct ndm_link_watch *w, *next;

	for (w = st->watches; w; w = next) {
		next = w->next;
		w->fn(w, &st->base, up);
	}
}

static void nbd_watch(struct ndm_store *s, struct ndm_link_watch *w)
{
	struct nbd_store *st = (struct nbd_store *)s;

	w->next = st->watches;
	st->watches = w;
}

static void nbd_unwatch(struct ndm_store *s, struct ndm_link_watch *w)
{
	struct ndm_link_watch **p = &((struct nbd_store *)s)->watches;

	while (*p && *p != w)
		p = &(*p)->next;
	if (*p)
		*p = w->next;
}

static bool nbd_up(const struct ndm_store *s)
{
	return ((const struct nbd_store *)s)->nready;
}

static const char *nbd_why(const struct ndm_store *s)
{
	return ((const struct nbd_store *)s)->last;
}

static void nbd_reset(struct ndm_store *s, const char *why)
{
	nbd_store_reset((struct nbd_store *)s, why);
}

static bool nbd_dirty(const struct ndm_store *s)
{
	const struct nbd_store *st = (const struct nbd_store *)s;

	return st->writes != st->flushed;
}

static void nbd_settled(struct ndm_store *s)
{
	((struct nbd_store *)s)->lost = false;
}

const struct ndm_link_ops nbd_link_ops = {
	.watch = nbd_watch,
	.unwatch = nbd_unwatch,
	.up = nbd_up,
	.why = nbd_why,
	.reset = nbd_reset,
	.dirty = nbd_dirty,
	.settled = nbd_settled,
};

/* ---- for any store ---- */

bool os_store_up(const struct ndm_store *s)
{
	return !s->ops->link || s->ops->link->up(s);
}

void os_store_watch(struct ndm_store *s, struct ndm_link_watch *w)
{
	if (s->ops->link)
		s->ops->link->watch(s, w);
}

void os_store_unwatch(struct ndm_store *s, struct ndm_link_watch *w)
{
	if (s->ops->link)
		s->ops->link->unwatch(s, w);
}
