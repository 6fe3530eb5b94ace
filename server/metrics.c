/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.c - HTTP on a listener of its own: /metrics for Prometheus, /status.json, and at / a
 * page that draws the latter.
 *
 * An answer needs a report (metrics-report.c), and that has to wait for the devices' loops: each
 * request is a job, a task on the first loop.  The client may be gone when the job is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "metrics-report.h"

#define JOBS_MAX 32			/* answers in the making; who asks for more gets 503 */

struct metrics {
	struct ndmd *ndmd;
	struct evhttp *http;
	char *unlink_path;
	struct job *jobs;
	unsigned njobs;
};

struct job {
	struct job *next;
	struct metrics *metrics;
	struct evhttp_request *request;		/* NULL once the client is gone */
	void (*print)(const struct report *, struct ndm_str *);
	const char *type;
	struct ndm_str text;
	int err;
	struct ndm_msg done;
};

static const unsigned char page[] = {
#include "server/page.inc"
};

/* ---- answers ---- */

static void reply(struct evhttp_request *req, const char *type, const void *bytes, size_t len)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *body = evbuffer_new();

	if (!body || evbuffer_add(body, bytes, len)) {
		evhttp_send_error(req, 500, NULL);
	} else {
		evhttp_add_header(headers, "Content-Type", type);
		evhttp_add_header(headers, "Cache-Control", "no-store");
		evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
		evhttp_send_reply(req, 200, "OK", body);
	}
	if (body)
		evbuffer_free(body);
}

static void job_free(struct job *job)
{
	struct job **p;

	for (p = &job->metrics->jobs; *p != job; p = &(*p)->next)
		;
	*p = job->next;
	job->metrics->njobs--;
	ndm_str_free(&job->text);
	free(job);
}

static void client_gone(struct evhttp_connection *conn, void *arg)
{
	struct job *job = arg;

	(void)conn;
	job->request = NULL;
}

/* on the loop again: libevent wants more stack than a task has */
static void job_done(struct ndm_msg *msg)
{
	struct job *job = (struct job *)((char *)msg - offsetof(struct job, done));
	struct evhttp_request *req = job->request;

	if (req) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
		if (job->err)
			evhttp_send_error(req, 500, NULL);
		else
			reply(req, job->type, job->text.text, job->text.len);
	}
	job_free(job);
}

static void job_run(void *arg)
{
	struct job *job = arg;
	struct ndmd *d = job->metrics->ndmd;
	struct report report;

	job->err = report_take(d, &report);
	if (!job->err)
		job->print(&report, &job->text);
	report_free(&report);
	job->done.fn = job_done;
	ndm_loop_post(ndm_context_loop(d->context, 0), &job->done);
}

static void job_start(struct metrics *m, struct evhttp_request *req, const char *type,
		      void (*print)(const struct report *, struct ndm_str *))
{
	struct job *job = m->njobs < JOBS_MAX ? calloc(1, sizeof *job) : NULL;

	if (!job) {
		evhttp_send_error(req, 503, NULL);
		return;
	}
	job->metrics = m;
	job->request = req;
	job->type = type;
	job->print = print;
	job->next = m->jobs;
	m->jobs = job;
	m->njobs++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), client_gone, job);
	ndm_spawn(ndm_context_loop(m->ndmd->context, 0), "metrics", job_run, job);
}

static void serve_text(struct evhttp_request *req, void *m)
{
	job_start(m, req, "text/plain; version=0.0.4; charset=utf-8", metrics_text);
}

static void serve_json(struct evhttp_request *req, void *m)
{
	job_start(m, req, "application/json", metrics_json);
}

static void serve_page(struct evhttp_request *req, void *m)
{
	(void)m;
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Security-Policy",
			  "default-src 'none'; style-src 'unsafe-inline'; "
			  "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'");
	reply(req, "text/html; charset=utf-8", page, sizeof page);
}

/* ---- listening ---- */

static int bind_unix(struct metrics *m, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 16) ||
	    evhttp_accept_socket(m->http, fd)) {
		err = errno ? -errno : -ENOMEM;
		close(fd);
		return err;
	}
	m->unlink_path = strdup(path);
	return 0;
}

static int bind_tcp(struct metrics *m, const char *where)
{
	const char *colon = strrchr(where, ':');
	char *host = colon ? strndup(where, (size_t)(colon - where)) : NULL;
	int port = colon ? atoi(colon + 1) : 0, err = -EINVAL;

	if (host && port > 0 && port < 65536) {
		errno = 0;
		err = evhttp_bind_socket(m->http, *host ? host : "0.0.0.0", (ev_uint16_t)port) ?
		      -(errno ? errno : EADDRNOTAVAIL) : 0;
	}
	free(host);
	return err;
}

int metrics_start(struct metrics **out, struct ndmd *d, const char *where, struct ndm_str *why)
{
	struct metrics *m = calloc(1, sizeof *m);
	int err = -ENOMEM;

	if (!m)
		return -ENOMEM;
	m->ndmd = d;
	m->http = evhttp_new(d->workers[0].base);
	if (!m->http)
		goto fail;
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_timeout(m->http, 10);
	evhttp_set_cb(m->http, "/metrics", serve_text, m);
	evhttp_set_cb(m->http, "/status.json", serve_json, m);
	evhttp_set_cb(m->http, "/", serve_page, m);
	if (!strncmp(where, "unix:", 5))
		err = bind_unix(m, where + 5);
	else
		err = bind_tcp(m, !strncmp(where, "tcp:", 4) ? where + 4 : where);
	if (err) {
		ndm_printf(why, "--metrics %s: %s", where, strerror(-err));
		goto fail;
	}
	ndm_context_timing(d->context, true);
	*out = m;
	return 0;
fail:
	metrics_free(m);
	return err;
}

void metrics_stop(struct metrics *m)
{
	struct job *job;

	if (!m || !m->http)
		return;
	for (job = m->jobs; job; job = job->next) {
		if (!job->request)
			continue;
		evhttp_connection_set_closecb(evhttp_request_get_connection(job->request), NULL, NULL);
		job->request = NULL;
	}
	evhttp_free(m->http);
	m->http = NULL;
	if (m->unlink_path)
		unlink(m->unlink_path);
}

bool metrics_idle(const struct metrics *m)
{
	return !m || !m->njobs;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	metrics_stop(m);
	free(m->unlink_path);
	free(m);
}
