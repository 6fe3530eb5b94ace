/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the management socket of ndmd: the kernel's dm ioctl ABI, framed
 * (include/ndm-control.h).  control.c owns socket and connections; each command runs in a
 * task on the context's first loop, so that the thread of the socket never waits.
 */
#ifndef NDM_SERVER_CONTROL_H
#define NDM_SERVER_CONTROL_H

#include <ndm.h>

struct event_base;
struct control;

/*
 * What only the server can answer.  All run on the first loop, in a task; those that return
 * int give 0 or -errno and say why in words.  `arg` is control_host.arg.
 */
struct control_host {
	void *arg;
	struct ndm_log log;
	const char *version;		/* NDM_CTL_VERSION: "0.1.0" */
	/* one URI a line, as NDM_CTL_LISTENERS says */
	void (*listeners)(void *arg, struct ndm_str *answer);
	/* one export a line, as NDM_CTL_EXPORTS says */
	void (*exports)(void *arg, struct ndm_str *answer);
	/* NDM_CTL_TAKEOVER: fd, which blocks, is the host's from here on; NULL: not known */
	void (*takeover)(void *arg, int fd, int pid);
	void (*idle)(void *arg);	/* paused, and the last command has ended; or NULL */
	int listener;			/* a listening socket to use, paused; 0: make one */
	/* the end of a command that may have changed something, before its answer; or NULL */
	void (*changed)(void *arg) ndm_waits;
	/*
	 * yaml: the text of a definition, bytes long, or NULL for the file that ndmd was started
	 * with.  dry: only say the plan.  NULL: control.c calls ndm_config_parse() and
	 * ndm_config_plan()/ndm_config_apply() itself, and an empty request is refused.
	 */
	int (*apply)(void *arg, const char *yaml, size_t bytes, bool dry, struct ndm_str *plan,
		     struct ndm_str *why) ndm_waits;
};

/*
 * Listens on `path` (NULL: control_default_path()), mode 0600; a stale socket is replaced, a
 * living one is -EADDRINUSE.  `base` must be dispatched by the thread that runs the first
 * loop of the context.  `host` is not copied.
 */
int control_start(struct control **, struct event_base *, struct ndm_context *,
		  const struct control_host *host, const char *path);
/*
 * Removes the socket, drops all connections and cancels what waits.  Commands that still
 * run go on and free themselves; control_idle() says when the last of them has ended, and
 * until then the loop must be run.  control_free() after that.
 */
void control_stop(struct control *);
bool control_idle(const struct control *);
void control_free(struct control *);

/* "/run/ndm/control" for root, "$XDG_RUNTIME_DIR/ndm/control" otherwise; malloc'ed or NULL */
char *control_default_path(void);

/*
 * Paused, nobody new is let in (they wait in the backlog), and connections end with the answer of
 * what they have asked; waiting for an event ends at once.
 */
void control_pause(struct control *, bool pause);
int control_listener(const struct control *);	/* its listening socket */
void control_keep_socket(struct control *);	/* its name stays when we stop */

#endif
