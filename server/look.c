/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * look.c - looking around before sleeping.
 *
 * A client that asks one small thing at a time has its next question ready some 10 to 40 us
 * after the answer.  To fall asleep and be woken costs more than that, for both sides, so the
 * thread looks around for a while first.  Where nobody comes it learns not to: after each miss
 * in a row it sleeps at once twice as often.  Many requests at a time are better off with a
 * nap, because more of them come together.
 *
 * So it is with a large write of which the beginning has come: a unix socket hands it over in
 * pieces of some 36 KiB, and the next one is there before the thread would be asleep.
 *
 * Who asked last is asked directly, which spares the question who is ready; everybody else
 * comes every few times.
 */
#include "conn.h"
#include "look.h"
#include "ndmd.h"

#define LOOK_NS 50000u
#define LOOK_PIECE_NS 15000u
#define LOOK_REQUESTS 2u			/* in the last turn, at most */
#define LOOK_BYTES (64u << 10)
#define LOOK_MISSES_MAX 10u
#define LOOK_DIRECT 4u				/* times in a row that only the last client is asked */
#define LOOK_TURNS 16u				/* turns in a row that it may begin */

void look_heard(struct conn *c)
{
	c->worker->look.seen = true;
	c->worker->look.last = c;
}

void look_forget(struct conn *c)
{
	if (c->worker->look.last == c)
		c->worker->look.last = NULL;
}

static uint64_t count_of(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

/* How long, in ns; 0: not at all. */
static uint64_t worth_a_look(struct worker *w)
{
	uint64_t requests = count_of(&w->count.requests);
	uint64_t bytes = count_of(&w->count.bytes_in) + count_of(&w->count.bytes_out);
	uint64_t asked = requests - w->look.requests, moved = bytes - w->look.bytes;
	uint64_t ns = 0;

	w->look.requests = requests;
	w->look.bytes = bytes;
	if (moved && w->look.last && w->look.last->partial)
		ns = LOOK_PIECE_NS;
	else if (asked && asked <= LOOK_REQUESTS && moved <= LOOK_BYTES)
		ns = LOOK_NS;
	if (!ns || !w->look.skip)
		return ns;
	w->look.skip--;
	return 0;
}

/* Not those whose bytes something else than the socket may hold, or whose reads may block. */
static bool may_ask(const struct conn *c)
{
	return c && c->reading && !c->closing && !c->hs && !c->tls && !c->plain_files;
}

static void ask_last(struct worker *w)
{
	struct conn *c = w->look.last;
	uint64_t before = count_of(&w->count.bytes_in);
	unsigned i;

	for (i = 0; i < LOOK_DIRECT && !w->look.seen && may_ask(c); i++) {
		transmit_readable(c);
		w->look.seen = c->closing || count_of(&w->count.bytes_in) != before;
	}
}

bool look_around(struct worker *w)
{
	uint64_t ns = worth_a_look(w), end;

	if (!ns)
		return false;
	end = ndm_now(w->loop) + ns;
	w->look.seen = false;
	if (++w->look.turns < LOOK_TURNS)
		ask_last(w);
	else
		w->look.turns = 0;
	while (!w->look.seen && ndm_now(w->loop) < end) {
		event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		ask_last(w);
	}
	if (w->look.seen)
		w->look.misses = 0;
	else if (w->look.misses < LOOK_MISSES_MAX)
		w->look.misses++;
	w->look.skip = (1u << w->look.misses) - 1;
	return true;
}
