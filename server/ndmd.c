/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndmd.c - the process from its first thread to its last: begin, serve, end.
 *
 * Beginning: workers, then a task that makes the volumes, then listeners; only then "ready".
 *
 * End (SIGTERM, SIGINT, the end of --run's command): nobody new is let in; every connection
 * answers what is under way, and new requests with ESHUTDOWN; when the last one is gone the
 * devices are suspended with a flush and removed from the top down; exit 0.  Clients that do
 * not take their replies are cut off after STOP_SECONDS; a second signal ends at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "conn.h"
#include "ndmd.h"
#include "state.h"
#include "takeover.h"
#include "tls.h"

#define STOP_SECONDS 10
#define AGAIN_NS UINT64_C(1000000000)		/* a signal may come to us and to our group */
#define IN_FLIGHT_BYTES (UINT64_C(1) << 30)	/* of all connections; a quarter of memory at most */
#define VERSION "0.1.0"

static void stop_check(struct ndmd *);

/*
 * What the process ends with.  EX_CONFIG of <sysexits.h>, which service managers know: what it was
 * told is wrong, and to start it again is of no use.  Not so where a file, an address or a server
 * is missing: that may be there the next time.
 */
static int status_of(int err)
{
	switch (err) {
	case 0:
		return 0;
	case -EINVAL: case -ERANGE: case -ENAMETOOLONG: case -E2BIG: case -EEXIST: case -EBADMSG:
		return EX_CONFIG;
	default:
		return 1;
	}
}

/* The file of volumes itself: that it is not there is what is wrong. */
static int status_of_file(int err)
{
	return err == -ENOENT || err == -EACCES || err == -EISDIR || err == -ENOTDIR ? EX_CONFIG :
		status_of(err);
}

/* ---- messages to workers ---- */

static void drain_arrived(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, drain_msg));
	struct conn *c, *next;

	w->draining = true;
	for (c = w->conns; c; c = next) {
		next = c->next;
		if (c->hs || !c->in_flight)
			conn_close(c);
		else
			c->draining = true;
	}
}

static void kill_arrived(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, kill_msg));
	struct conn *c, *next;

	for (c = w->conns; c; c = next) {
		next = c->next;
		conn_log(c, NDM_LOG_WARNING, "does not take its replies: cut off");
		conn_kill(c);
	}
}

static void drop_arrived(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, kill_msg));
	struct conn *c, *next;

	for (c = w->conns; c; c = next) {
		next = c->next;
		conn_kill(c);
	}
}

static void stop_arrived(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, stop_msg));

	w->stop = true;
}

/* ---- the end ---- */

static void stop_workers(struct ndmd *d)
{
	unsigned i;

	for (i = 0; i < d->nworkers; i++) {
		if (!d->workers[i].loop)
			continue;
		d->workers[i].stop_msg.fn = stop_arrived;
		ndm_loop_post(d->workers[i].loop, &d->workers[i].stop_msg);
	}
}

static void control_gone(evutil_socket_t fd, short what, void *arg)
{
	struct ndmd *d = arg;
	struct timeval moment = { .tv_usec = 1000 };

	(void)fd;
	(void)what;
	if ((d->control && !control_idle(d->control)) || !metrics_idle(d->metrics)) {
		event_base_once(d->workers[0].base, -1, EV_TIMEOUT, control_gone, d, &moment);
		return;
	}
	if (d->control)
		control_free(d->control);
	d->control = NULL;
	metrics_free(d->metrics);
	d->metrics = NULL;
	stop_workers(d);
}

void ndmd_leave(struct ndmd *d)
{
	d->stopping = d->removing = true;
	listen_stop(d);
	if (d->control) {
		control_keep_socket(d->control);
		control_stop(d->control);
	}
	control_gone(-1, 0, d);
}

static void removed(struct ndm_msg *msg)
{
	struct ndmd *d = (struct ndmd *)((char *)msg - offsetof(struct ndmd, msg));

	control_gone(-1, 0, d);
}

static void remove_task(void *arg)
{
	struct ndmd *d = arg;

	ndm_lock(&d->apply_lock);
	state_close(d);				/* what goes now comes again */
	volumes_remove_all(d);
	ndm_unlock(&d->apply_lock);
	if (ndm_device_first(d->context)) {
		log_line(&d->log, NDM_LOG_ERROR, "not every device could be removed");
		d->status = d->status ? d->status : 1;
	}
	d->msg.fn = removed;
	ndm_loop_post(ndm_context_loop(d->context, 0), &d->msg);
}

static void stop_check(struct ndmd *d)
{
	if (!d->stopping || d->removing || d->applying || atomic_load(&d->nconns))
		return;
	d->removing = true;
	if (d->stop_timer)
		event_del(d->stop_timer);
	if (d->control)
		control_stop(d->control);
	metrics_stop(d->metrics);
	ndm_spawn(d->workers[0].loop, "remove", remove_task, d);
}

void ndmd_conn_gone(struct ndmd *d)
{
	if (atomic_fetch_sub(&d->nconns, 1) != 1)
		return;
	if (d->takeover) {			/* none left: its next step */
		takeover_look(d);
		stop_check(d);
		return;
	}
	if (d->opt.exit_last && !d->stopping && d->ready)
		ndmd_stop(d, 0);
	else
		stop_check(d);
}

static void stop_late(evutil_socket_t fd, short what, void *arg)
{
	struct ndmd *d = arg;
	struct timeval patience = { .tv_sec = STOP_SECONDS };
	unsigned i;

	(void)fd;
	(void)what;
	if (d->workers[0].kill_msg.fn) {
		log_line(&d->log, NDM_LOG_ERROR, "requests under way do not end: giving up");
		_exit(1);
	}
	for (i = 0; i < d->nworkers; i++) {
		d->workers[i].kill_msg.fn = kill_arrived;
		ndm_loop_post(d->workers[i].loop, &d->workers[i].kill_msg);
	}
	event_add(d->stop_timer, &patience);
}

static void wake_task(void *arg)
{
	volumes_wake_suspended(arg);
}

void ndmd_stop(struct ndmd *d, int status)
{
	struct timeval patience = { .tv_sec = STOP_SECONDS };
	unsigned i;

	if (d->stopping)
		return;
	if (d->takeover && !d->takeover_incoming) {	/* when it is over, one way or the other */
		d->stop_wanted = true;
		d->status = status;
		return;
	}
	d->stopping = true;
	d->status = status;
	d->stop_ns = ndm_now(d->workers[0].loop);
	if (!d->handed_over)
		system_notify("STOPPING=1");
	listen_stop(d);
	if (d->run_pid)
		kill(d->run_pid, SIGTERM);
	d->stop_timer = evtimer_new(d->workers[0].base, stop_late, d);
	if (d->stop_timer)
		event_add(d->stop_timer, &patience);
	ndm_spawn(d->workers[0].loop, "wake", wake_task, d);
	for (i = 0; i < d->nworkers; i++) {
		if (d->handed_over) {		/* clients are another's: not a word to them */
			d->workers[i].kill_msg.fn = drop_arrived;
			ndm_loop_post(d->workers[i].loop, &d->workers[i].kill_msg);
			continue;
		}
		d->workers[i].drain_msg.fn = drain_arrived;
		ndm_loop_post(d->workers[i].loop, &d->workers[i].drain_msg);
	}
	stop_check(d);
}

/* ---- the YAML file again ---- */

static void log_lines(struct ndmd *d, enum ndm_level level, struct ndm_str *text)
{
	char *line, *rest = text->text;

	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			log_line(&d->log, level, "%s", line);
	ndm_str_free(text);
}

static void apply_task(void *arg)
{
	struct ndmd *d = arg;
	struct ndm_str plan = { 0 }, why = { 0 };

	do {
		d->apply_again = false;
		if (volumes_apply(d, NULL, 0, false, &plan, &why))
			log_line(&d->log, NDM_LOG_ERROR, "not everything in %s could be done",
				 d->opt.config);
		log_lines(d, NDM_LOG_INFO, &plan);
		log_lines(d, NDM_LOG_ERROR, &why);
	} while (d->apply_again && !d->stopping);
	d->applying = false;
	if (!d->stopping)
		system_notify("READY=1");
	stop_check(d);
}

void ndmd_apply(struct ndmd *d)
{
	char state[64];
	struct timespec now;

	if (!d->opt.config || d->stopping || !d->ready || d->takeover)
		return;
	d->apply_again = true;
	if (d->applying)
		return;
	d->applying = true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
	system_notify(state);
	ndm_spawn(d->workers[0].loop, "apply", apply_task, d);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct ndmd *d = arg;

	(void)what;
	switch (number) {
	case SIGHUP:
		if (d->opt.config)
			ndmd_apply(d);
		else
			ndmd_stop(d, 0);
		break;
	case SIGCHLD:
		system_child(d);
		break;
	default:
		if (!d->stopping) {
			ndmd_stop(d, 0);
		} else if (ndm_now(d->workers[0].loop) - d->stop_ns > AGAIN_NS) {
			log_line(&d->log, NDM_LOG_WARNING, "a second signal: ending at once");
			_exit(1);
		}
	}
}

static int signals_start(struct ndmd *d)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	unsigned i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		d->signals[i] = evsignal_new(d->workers[0].base, numbers[i], on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL))
			return -ENOMEM;
	}
	return 0;
}

/* ---- beginning ---- */

static int host_apply(void *arg, const char *yaml, size_t bytes, bool dry, struct ndm_str *plan,
		      struct ndm_str *why)
{
	return volumes_apply(arg, yaml, bytes, dry, plan, why);
}

static void host_takeover(void *arg, int fd, int pid)
{
	takeover_asked(arg, fd, pid);
}

static void host_idle(void *arg)
{
	takeover_look(arg);
}

static void host_changed(void *arg)
{
	state_sync(arg);
}

/* The default socket is nice to have; one that was asked for must be had. */
static int start_control(struct ndmd *d, struct ndm_str *why)
{
	char *path = NULL;
	int err;

	d->control_host = (struct control_host){
		.arg = d, .log = log_for_world(&d->log), .version = VERSION,
		.listeners = listen_uris, .exports = exports_list, .apply = host_apply, .changed = host_changed,
		.takeover = host_takeover, .idle = host_idle,
	};
	if (!d->opt.control && (d->opt.no_control || d->opt.stdio || d->opt.exit_last))
		return 0;
	if (!d->opt.control && !(path = control_default_path()))
		return 0;
	if (takeover_control_fd(d) > 0)
		d->control_host.listener = takeover_control_fd(d);
	err = control_start(&d->control, d->workers[0].base, d->context, &d->control_host,
			    d->opt.control ? d->opt.control : path);
	if (err && !d->opt.control) {
		log_line(&d->log, NDM_LOG_INFO, "no control socket at %s: %s", path, strerror(-err));
		err = 0;
	} else if (err) {
		ndm_printf(why, "control socket %s: %s", d->opt.control, strerror(-err));
	}
	free(path);
	return err;
}

static int start_listening(struct ndmd *d, struct ndm_str *why)
{
	unsigned i;
	int n, err;

	n = listen_activated(d, why);
	if (n < 0)
		return n;
	if (n && !d->opt.control && !d->opt.config && !getenv("NOTIFY_SOCKET"))
		d->opt.exit_last = true;	/* started for one client: libnbd does so */
	for (i = 0; i < d->opt.listen.n; i++) {
		err = listen_on(d, d->opt.listen.list[i], why);
		if (err)
			return err;
	}
	return 0;
}

static int serve(struct ndmd *d, struct ndm_str *why)
{
	struct ndm_str uris = { 0 };
	int err;

	err = start_listening(d, why);
	if (!err && d->opt.run)
		err = system_run_prepare(d, why);
	if (!err)
		err = start_control(d, why);
	if (!err && d->opt.metrics)
		err = metrics_start(&d->metrics, d, d->opt.metrics, why);
	if (!err)
		err = system_pidfile(d, why);
	if (!err && d->opt.stdio)
		err = listen_stdio(d);
	if (!err && d->opt.run)
		err = system_run(d, why);
	if (!err)
		err = system_watchdog_start(d);
	if (err)
		return err;
	if (d->takeover)
		err = takeover_commit(d, why);
	if (err)
		return err;
	if (!d->listeners && !d->control && !d->opt.stdio)
		log_line(&d->log, NDM_LOG_WARNING, "nobody can connect: there is no --listen");
	listen_uris(d, &uris);
	log_lines(d, NDM_LOG_DEBUG, &uris);
	d->ready = true;
	system_ready(d);
	return 0;
}

static void booted(struct ndm_msg *msg)
{
	struct ndmd *d = (struct ndmd *)((char *)msg - offsetof(struct ndmd, msg));

	if (d->opt.check) {
		ndmd_stop(d, status_of(d->boot_err));
		log_lines(d, NDM_LOG_ERROR, &d->boot_why);
		return;
	}
	if (!d->boot_err && !d->stopping)
		d->boot_err = serve(d, &d->boot_why);
	if (d->boot_err) {
		if (!d->boot_why.len)
			ndm_printf(&d->boot_why, "%s", strerror(-d->boot_err));
		log_lines(d, NDM_LOG_ERROR, &d->boot_why);
		ndmd_stop(d, status_of(d->boot_err));
	}
}

static void boot_task(void *arg)
{
	struct ndmd *d = arg;
	struct ndm_str plan = { 0 };
	unsigned i;

	if (d->opt.state && !d->opt.check)
		d->boot_err = state_open(d, &d->boot_why);
	if (!d->boot_err && d->takeover)
		d->boot_err = takeover_devices(d, &d->boot_why);
	if (!d->boot_err && d->takeover)
		d->boot_err = takeover_sockets(d, &d->boot_why);
	if (!d->boot_err && !d->takeover)
		state_load(d, false);
	for (i = 0; i < d->opt.create.n && !d->boot_err && !d->opt.check; i++)
		if (!d->takeover)		/* else they are there */
			d->boot_err = volumes_create(d, d->opt.create.list[i], &d->boot_why);
	if (!d->boot_err && d->config)
		d->boot_err = volumes_bring(d, d->config, d->opt.check, &plan, &d->boot_why);
	if (!d->boot_err && d->takeover)
		d->boot_err = takeover_clients(d, &d->boot_why);
	if (!d->boot_err) {
		if (!d->takeover)
			state_load(d, true);
		else if (d->config)
			state_file_names(d, d->config);
		state_follow(d);
	}
	if (d->opt.check && plan.len)
		fwrite(plan.text, 1, plan.len, stdout);
	ndm_str_free(&plan);
	d->msg.fn = booted;
	ndm_loop_post(ndm_context_loop(d->context, 0), &d->msg);
}

/*
 * What the file says of the server holds where the command line says nothing; the strings
 * stay the configuration's, which lives as long as the process.
 */
static void take_settings(struct ndmd *d)
{
	struct ndm_config_server *s = &d->config->server;
	struct options *o = &d->opt;

	if (!o->listen.n && !o->stdio)
		o->listen = (struct strings){ s->listen, s->nlisten };
	if (!o->control)
		o->control = s->control;
	if (!o->state)
		o->state = s->state;
	if (!o->metrics)
		o->metrics = s->metrics;
	if (!o->tls_mode)
		o->tls_mode = s->tls_mode;
	if (!o->tls_certificates)
		o->tls_certificates = s->tls_certificates;
	if (!o->tls_psk)
		o->tls_psk = s->tls_psk;
	if (!o->tls_verify_peer_set)
		o->tls_verify_peer = s->tls_verify_peer;
	if (!o->threads)
		o->threads = s->threads;
	o->direct |= s->direct_io;
}

static int start_tls(struct ndmd *d)
{
	static const char *const modes[] = { "off", "on", "require" };
	const char *mode = d->opt.tls_mode;
	struct ndm_str why = { 0 };
	int err = 0;
	unsigned i;

	if (mode && !strcmp(mode, "allow"))
		mode = "on";
	if (!mode)
		mode = d->opt.tls_certificates || d->opt.tls_psk ? "on" : "off";
	for (i = 0; i < 3 && strcmp(mode, modes[i]); i++)
		;
	if (i == 3) {
		ndm_printf(&why, "--tls is off, on or require, not '%s'", mode);
		err = -EINVAL;
	} else if (i && !d->opt.tls_certificates && !d->opt.tls_psk) {
		ndm_printf(&why, "TLS needs --tls-certificates or --tls-psk");
		err = -EINVAL;
	} else if (i) {
		err = tls_new(&d->tls, d->opt.tls_certificates, d->opt.tls_psk,
			      d->opt.tls_verify_peer, &why);
	}
	d->tls_mode = err ? TLS_OFF : (enum tls_mode)i;
	if (err)
		log_line(&d->log, NDM_LOG_ERROR, "TLS: %s", why.text ? why.text : strerror(-err));
	ndm_str_free(&why);
	return err;
}

static size_t in_flight_bytes(void)
{
	uint64_t quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;

	return quarter < IN_FLIGHT_BYTES ? quarter : IN_FLIGHT_BYTES;
}

static int start_workers(struct ndmd *d)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct ndm_loop **loops;
	unsigned i, n = d->opt.threads;
	int err = 0;

	if (!n)
		n = cpus > 3 ? (unsigned)cpus / 2 : 1;
	d->workers = calloc(n, sizeof *d->workers);
	loops = calloc(n, sizeof *loops);
	for (i = 0; d->workers && loops && i < n && !err; i++) {
		d->nworkers = i + 1;
		err = worker_init(&d->workers[i], d, i);
		d->workers[i].bytes_max = in_flight_bytes() / n;
		loops[i] = d->workers[i].loop;
	}
	if (!d->workers || !loops)
		err = -ENOMEM;
	if (!err)
		d->context = ndm_context_new(loops, n);
	if (!err && !d->context)
		err = -ENOMEM;
	free(loops);
	if (!err)
		err = signals_start(d);
	for (i = 1; i < n && !err; i++)
		err = worker_start(&d->workers[i]);
	if (err)
		log_line(&d->log, NDM_LOG_ERROR, "cannot start %u threads: %s", n, strerror(-err));
	return err;
}

static void clean_up(struct ndmd *d)
{
	bool clean = !d->context || !ndm_device_first(d->context);
	unsigned i;

	for (i = 1; i < d->nworkers; i++)
		if (d->workers[i].started)
			pthread_join(d->workers[i].thread, NULL);
	metrics_free(d->metrics);
	for (i = 0; i < sizeof d->signals / sizeof d->signals[0]; i++)
		if (d->signals[i])
			event_free(d->signals[i]);
	if (d->stop_timer)
		event_free(d->stop_timer);
	system_cleanup(d);
	exports_free_rules(d);
	takeover_free(d);
	state_free(d);
	tls_free(d->tls);
	if (d->config)
		ndm_config_free(d->config);
	if (!clean)				/* devices that stay hold on to all the rest */
		return;
	if (d->context)
		ndm_context_free(d->context);
	for (i = 0; i < d->nworkers; i++)
		worker_fini(&d->workers[i]);
	free(d->workers);
	if (d->world)
		ndm_world_os_free(d->world);
}

static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int read_config(struct ndmd *d)
{
	struct ndm_str why = { 0 };
	int err = ndm_config_read(d->opt.config, &d->config, &why);

	log_lines(d, NDM_LOG_ERROR, &why);
	if (!err)
		take_settings(d);
	return err;
}

static int explain(struct ndmd *d)
{
	struct ndm_str text = { 0 };

	if (d->config)
		volumes_explain(d->config, &text);
	if (text.len)
		fwrite(text.text, 1, text.len, stdout);
	ndm_str_free(&text);
	return fflush(stdout) ? 1 : 0;
}

/* From the ndmd that runs; what it listens on for commands becomes ours, too. */
static int fetch(struct ndmd *d)
{
	char *path = d->opt.control ? NULL : control_default_path();
	struct ndm_str why = { 0 };
	int err;

	d->takeover_incoming = true;
	err = takeover_fetch(d, d->opt.control ? d->opt.control : path ? path : "", &why);
	if (err)
		log_line(&d->log, NDM_LOG_ERROR, "%s", why.text);
	ndm_str_free(&why);
	free(path);
	return err;
}

int ndmd_main(struct options *opt)
{
	struct ndmd d = { .opt = *opt, .ready_fd = -1 };
	int err = 0;

	log_init(&d.log, opt->verbose);
	raise_limits();
	if (opt->config)
		err = read_config(&d);
	if (err)
		return status_of_file(err);
	if (opt->explain && !opt->check) {
		d.status = explain(&d);
		clean_up(&d);
		return d.status;
	}
	if (d.opt.daemon && !opt->check)
		err = system_daemonize(&d);
	if (err) {
		log_line(&d.log, NDM_LOG_ERROR, "cannot go to the background: %s", strerror(-err));
		return 1;
	}
	d.world = ndm_world_os();
	if (!d.world)
		return 1;
	d.world->log = log_for_world(&d.log);
	ndm_world_os_direct_io(d.world, d.opt.direct);
	err = start_tls(&d);
	if (!err)
		err = start_workers(&d);
	if (err) {
		stop_workers(&d);
		clean_up(&d);
		return status_of(err);
	}
	if (opt->explain)
		explain(&d);
	if (d.opt.takeover && fetch(&d)) {
		stop_workers(&d);
		clean_up(&d);
		return 1;
	}
	ndm_mutex_init(&d.apply_lock, d.workers[0].loop);
	ndm_loop_begin(d.workers[0].loop);
	ndm_spawn(d.workers[0].loop, "boot", boot_task, &d);
	ndm_loop_end(d.workers[0].loop);
	worker_run(&d.workers[0]);
	clean_up(&d);
	return d.status;
}
