/* SPDX-License-Identifier: BSD-2-Clause */
/* server.h - an ndmd of the client's own, for as long as the client runs. */
#ifndef NDM_CLIENT_SERVER_H
#define NDM_CLIENT_SERVER_H

#include "client.h"

#include <signal.h>
#include <sys/types.h>

/* args: "ndmd", options, NULL.  It ends with us.  -1 or its process. */
pid_t server_start(const char *const *args);
/* until it listens at client->control, 10 s at most */
bool server_ready(struct client *, pid_t, const volatile sig_atomic_t *stopped);
/* until *stopped, set by a handler, or its end; SIGCHLD has to have a handler, too */
void server_wait(pid_t, const volatile sig_atomic_t *stopped);

#endif
