/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndmd.h - the process: options, world, workers, listeners, exports, and how it ends.
 *
 * The first worker is the main thread; it accepts, negotiates, takes signals and runs the
 * context's first loop.  What is not marked otherwise is touched by that thread only.
 */
#ifndef NDM_SERVER_NDMD_H
#define NDM_SERVER_NDMD_H

#include <stdatomic.h>
#include <sys/types.h>

#include <ndm.h>

#include "control.h"
#include "log.h"
#include "worker.h"

struct conn;
struct listener;
struct export_rule;
struct metrics;
struct state;
struct takeover;
struct image;
struct image_reader;
struct tls;

enum tls_mode { TLS_OFF, TLS_ON, TLS_REQUIRE };

struct strings { char **list; unsigned n; };

struct options {
	struct strings listen, create;
	const char *config;			/* YAML file */
	const char *control;			/* NULL: the default path, if that can be had */
	const char *state;			/* folder, or NULL */
	const char *metrics, *pidfile, *run;
	const char *tls_mode, *tls_certificates, *tls_psk;
	bool tls_verify_peer, tls_verify_peer_set;
	bool check, explain, daemon, foreground, read_only, stdio, direct, verbose, no_control, takeover;
	bool exit_last;				/* when the last client leaves */
	unsigned threads;
	unsigned handshake_s, idle_s;		/* time-outs in seconds; 0 = none */
	unsigned max_connections;
};

struct ndmd {
	struct options opt;
	struct log log;
	struct ndm_world *world;
	struct ndm_context *context;
	struct worker *workers;
	unsigned nworkers;
	struct listener *listeners;
	struct export_rule *rules;		/* what the YAML file says of exports */
	struct ndm_config *config;		/* as the process was started with */
	struct ndm_mutex apply_lock;
	struct control *control;
	struct control_host control_host;
	struct tls *tls;
	enum tls_mode tls_mode;
	struct metrics *metrics;
	struct state *state;			/* NULL: nothing is kept */

	atomic_uint nconns;			/* of all workers, or between two */
	atomic_uint_fast64_t next_conn;
	struct event *signals[4];
	struct event *stop_timer;		/* how long clients have to take their replies */
	struct event *watchdog;
	bool ready;				/* clients have been let in */
	bool stopping, removing, applying, apply_again;
	struct takeover *takeover;		/* under way */
	bool takeover_incoming;			/* we are the new process */
	unsigned park_generation;
	atomic_uint nopening;			/* exports being opened */
	atomic_bool await_opened;		/* tell takeover.c of the last */
	bool handed_over;			/* another process has sockets and pid file */
	bool stop_wanted;			/* once the takeover is over */
	int status;				/* of exit */
	uint64_t stop_ns;
	struct ndm_str boot_why;
	int boot_err;
	pid_t run_pid;				/* --run */
	char *run_folder;			/* the socket made for it */
	char *run_control;			/* and its control socket */
	int ready_fd;				/* --daemon: the parent waits here */
	struct ndm_msg msg;			/* of tasks to the process: not on a task's stack */
};

/* ndmd.c */
int ndmd_main(struct options *);
void ndmd_stop(struct ndmd *, int status);
void ndmd_leave(struct ndmd *);			/* another process serves */
void ndmd_conn_gone(struct ndmd *);
void ndmd_apply(struct ndmd *);			/* the YAML file again */

/* volumes.c */
bool volumes_create_names(const char *line, const char *name);	/* is it of that device? */
int volumes_create(struct ndmd *, const char *line, struct ndm_str *why) ndm_waits;
int volumes_bring(struct ndmd *, struct ndm_config *, bool dry, struct ndm_str *plan,
		  struct ndm_str *why) ndm_waits;
int volumes_apply(struct ndmd *, const char *yaml, size_t bytes, bool dry, struct ndm_str *plan,
		  struct ndm_str *why) ndm_waits;
void volumes_remove_all(struct ndmd *) ndm_waits;
void volumes_wake_suspended(struct ndmd *) ndm_waits;
void volumes_explain(const struct ndm_config *, struct ndm_str *);

/* exports.c; the first loop */
struct export {
	struct ndm_device *device;
	const char *name, *description;		/* description may be NULL */
	bool read_only;
	char own_name[NDM_NAME_BYTES];
	struct ndm_device_info info;
};
/*
 * For a client, or for nobody in particular (NULL).  -ENOENT; -ENOKEY: TLS has to come first;
 * -EACCES: it is not for this client.
 */
int exports_find(struct ndmd *, const struct conn *, const char *name, size_t bytes,
		 struct export *);
/* those that the client may have, or all (NULL); fn returns false to stop */
void exports_each(struct ndmd *, const struct conn *, bool (*fn)(void *, const struct export *),
		  void *);
unsigned exports_count(struct ndmd *);
unsigned exports_clients(struct ndm_device *);	/* connected ones */
void exports_set_rules(struct ndmd *, const struct ndm_config *);
void exports_free_rules(struct ndmd *);
void exports_pack(struct ndmd *, struct image *);	/* rules */
int exports_unpack(struct ndmd *, struct image_reader *, bool use);
void exports_list(void *ndmd, struct ndm_str *);	/* for the control socket */

/* listen.c */
int listen_on(struct ndmd *, const char *where, struct ndm_str *why);
int listen_activated(struct ndmd *, struct ndm_str *why);	/* LISTEN_FDS; how many */
int listen_stdio(struct ndmd *);
void listen_stop(struct ndmd *);
void listen_pause(struct ndmd *, bool pause);	/* who comes waits in the backlog */
void listen_pack(struct ndmd *, struct image *);
/* takes fd; paused.  where: as it was asked for, or NULL; path: of its socket, or NULL */
int listen_adopt(struct ndmd *, int fd, const char *uri, const char *where, const char *path);
void listen_uris(void *ndmd, struct ndm_str *);

/* system.c: the service manager, the child of --run, the pid file */
void system_notify(const char *state);
int system_daemonize(struct ndmd *);		/* 0 in the child */
void system_ready(struct ndmd *);
int system_pidfile(struct ndmd *, struct ndm_str *why);
int system_run_prepare(struct ndmd *, struct ndm_str *why);
int system_run(struct ndmd *, struct ndm_str *why);
void system_child(struct ndmd *);		/* SIGCHLD */
void system_cleanup(struct ndmd *);
int system_watchdog_start(struct ndmd *);

/* metrics.c.  After stop the loop must be run until idle; then free. */
int metrics_start(struct metrics **, struct ndmd *, const char *where, struct ndm_str *why);
void metrics_stop(struct metrics *);
bool metrics_idle(const struct metrics *);
void metrics_free(struct metrics *);

#endif
