/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake.h - what handshake.c (phases), options.c (one function for each option) and
 * opening.c (the device of an export, in a task) share.
 */
#ifndef NDM_SERVER_HANDSHAKE_H
#define NDM_SERVER_HANDSHAKE_H

#include <event2/event_struct.h>

#include "conn.h"
#include "ndmd.h"

#define OPTION_DATA_MAX (64u << 10)		/* longer data is thrown away, and refused */
#define OPTIONS_MAX 64u				/* haggling ends; LIST allows more, see there */

enum phase {
	PHASE_CLIENT_FLAGS,
	PHASE_OPTION,
	PHASE_SKIP,			/* data of an option that is too long */
	PHASE_TLS_START,		/* when the ACK is out */
	PHASE_TLS,
	PHASE_OPENING,			/* a task has the connection */
	PHASE_TRANSMISSION,		/* when everything is out */
	PHASE_CLOSE,			/* likewise */
};

struct opening {			/* INFO, GO and EXPORT_NAME */
	uint32_t option;
	struct ndm_device *device;
	char *name, *description;
	bool read_only;
	bool want_name, want_description, want_block_size;
	/* results */
	int err;
	struct ndm_opener *opener;
	uint64_t nr;			/* sectors */
	struct ndm_limits limits;
};

struct handshake {
	enum phase phase;
	struct event timer;
	bool fixed, no_zeroes;		/* what the client said */
	bool tls;			/* it is encrypted now */
	unsigned options, options_max;
	uint64_t skip;
	struct ndm_str out;		/* to be sent */
	size_t out_done;
	uint8_t *in;			/* received, not yet understood */
	size_t have, cap;
	uint8_t small[256];		/* where `in` points at first */
	/* negotiated; forgotten by STARTTLS */
	enum reply_mode mode;
	uint32_t contexts;
	char *contexts_export;		/* name they were asked for */
	struct opening opening;
};

/* handshake.c */
void handshake_run(struct conn *);
void handshake_forget(struct handshake *);
void handshake_timer(struct conn *);	/* another span of patience */
void handshake_timer_off(struct handshake *);

/* options.c */
struct option {
	uint32_t number;
	const char *name;
	bool empty;			/* data is an error */
	bool plain;			/* allowed without TLS where that is required */
	/* 1: go on; 0: wait; -1: dropped */
	int (*run)(struct conn *, const uint8_t *data, uint32_t bytes);
};
const struct option *option_find(uint32_t number);
void option_reply(struct handshake *, uint32_t option, uint32_t type, const void *data,
		  size_t bytes);
void option_error(struct handshake *, uint32_t option, uint32_t type, const char *fmt, ...)
	ndm_printf_like(4, 5);

/* opening.c: a task opens the device; then the phase changes, and handshake_run() is called */
void opening_start(struct conn *);
void opening_forget(struct opening *);

#endif
