/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * takeover.h - one ndmd takes the place of another, with its sockets and clients.  What goes
 * over the wire, and when who owns what, is in takeover.c.  The first thread, all of it.
 */
#ifndef NDM_SERVER_TAKEOVER_H
#define NDM_SERVER_TAKEOVER_H

#include <stdbool.h>

#include <ndm.h>

struct conn;
struct ndmd;
struct takeover;
struct worker;

/* ---- the process that is there ---- */

/* A process asks on fd, which becomes ours; answered on fd. */
void takeover_asked(struct ndmd *, int fd, int pid);
void takeover_look(struct ndmd *);	/* something has ended: a client, a command */
void takeover_turn(struct worker *);	/* the end of a turn of a parked worker; its thread */
void takeover_opened(struct ndmd *);	/* an export has been opened, or not; any thread */

/*
 * A suspended device is about to be removed: what its targets know is taken along, where it is for
 * a takeover.  false: it may not be removed.
 */
bool takeover_recall(struct ndmd *, struct ndm_device *) ndm_waits;

/* ---- the process that comes ---- */

int takeover_fetch(struct ndmd *, const char *control, struct ndm_str *why);
int takeover_devices(struct ndmd *, struct ndm_str *why) ndm_waits;
int takeover_sockets(struct ndmd *, struct ndm_str *why);
int takeover_control_fd(const struct ndmd *);
int takeover_clients(struct ndmd *, struct ndm_str *why) ndm_waits;
int takeover_commit(struct ndmd *, struct ndm_str *why);	/* from here on it is ours */
void takeover_free(struct ndmd *);

#endif
