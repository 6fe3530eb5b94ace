/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nap.c - sleeping before looking.
 *
 * A server behind us answers one request at a time, and to wake up, receive, pass on and fall
 * asleep again costs more than the work in between.  While many requests are out the thread
 * sleeps a little first, so that some answers come together (network cards do so with their
 * interrupts): for as long as three of them took of late, which is no more than an eighth of what
 * each of them takes anyway.
 */
#include <sys/prctl.h>
#include <time.h>

#include "nap.h"
#include "worker.h"

#define NAP_REQUESTS 24u		/* out, at least */
#define NAP_ANSWERS 3u
#define NAP_MIN_NS 5000u
#define NAP_MAX_NS 40000u
#define NAP_SLACK_NS 1000u		/* the usual 50000 would be longer than a nap */

void nap_begin(void)
{
	prctl(PR_SET_TIMERSLACK, NAP_SLACK_NS, 0, 0, 0);
}

uint64_t nap_worth(struct worker *w)
{
	uint64_t ended = w->ended - w->nap.ended, now, ns;

	if (!ended)
		return 0;
	w->nap.ended = w->ended;
	if (w->below < NAP_REQUESTS)
		return 0;
	now = ndm_now(w->loop);
	ns = NAP_ANSWERS * (now - w->nap.ns) / ended;
	w->nap.ns = now;
	return ended < NAP_ANSWERS && ns >= NAP_MIN_NS && ns <= NAP_MAX_NS ? ns : 0;
}

void nap_take(uint64_t ns)
{
	struct timespec t = { .tv_nsec = (long)ns };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}
