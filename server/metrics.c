/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.c - counters as Prometheus reads them, over HTTP at /metrics.
 *
 * Names of devices are labels; there are as many rows as devices, never as many as clients.
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

#include "ndmd.h"

struct metrics {
	struct ndmd *ndmd;
	struct evhttp *http;
	char *unlink_path;
};

/* ---- text ---- */

static const char *const group_names[NDM_STAT_GROUPS] = {
	[NDM_STAT_READ] = "read",
	[NDM_STAT_WRITE] = "write",
	[NDM_STAT_DISCARD] = "discard",
	[NDM_STAT_FLUSH] = "flush",
};

static void put_label(struct ndm_str *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ndm_str_put(out, "\\", 1);
		ndm_str_put(out, text, 1);
	}
}

static void help(struct ndm_str *out, const char *name, const char *type, const char *text)
{
	ndm_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, text, name, type);
}

static void device_rows(struct ndmd *d, struct ndm_str *out, const char *name, const char *what,
			const char *text)
{
	struct ndm_device_stats s;
	struct ndm_device_info info;
	struct ndm_device *dev;
	unsigned g;

	help(out, name, "counter", text);
	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		ndm_device_stats(dev, &s);
		for (g = 0; g < NDM_STAT_GROUPS; g++) {
			uint64_t v = *what == 'i' ? s.group[g].ios : *what == 'e' ? s.group[g].errors :
				     s.group[g].sectors * NDM_SECTOR_BYTES;

			ndm_printf(out, "%s{device=\"", name);
			put_label(out, info.name);
			ndm_printf(out, "\",kind=\"%s\"} %llu\n", group_names[g],
				   (unsigned long long)v);
		}
	}
}

static void gauge_rows(struct ndmd *d, struct ndm_str *out)
{
	struct ndm_device_info info;
	struct ndm_device *dev;

	help(out, "ndm_device_size_bytes", "gauge", "Size of the live table.");
	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		ndm_printf(out, "ndm_device_size_bytes{device=\"");
		put_label(out, info.name);
		ndm_printf(out, "\"} %llu\n", (unsigned long long)info.nr * NDM_SECTOR_BYTES);
	}
	help(out, "ndm_device_openers", "gauge", "Tables and clients that hold the device.");
	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		ndm_printf(out, "ndm_device_openers{device=\"");
		put_label(out, info.name);
		ndm_printf(out, "\"} %u\n", info.open_count);
	}
}

static uint64_t sum(struct ndmd *d, size_t field)
{
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < d->nworkers; i++)
		total += atomic_load_explicit((_Atomic uint64_t *)((char *)&d->workers[i].count + field),
					      memory_order_relaxed);
	return total;
}

static void server_rows(struct ndmd *d, struct ndm_str *out)
{
	static const struct { const char *name, *text; size_t field; } rows[] = {
		{ "ndm_nbd_requests_total", "NBD requests received.",
		  offsetof(struct worker_counters, requests) },
		{ "ndm_nbd_errors_total", "NBD requests answered with an error.",
		  offsetof(struct worker_counters, replies_failed) },
		{ "ndm_nbd_received_bytes_total", "Bytes of requests and their data.",
		  offsetof(struct worker_counters, bytes_in) },
		{ "ndm_nbd_sent_bytes_total", "Bytes of replies and their data.",
		  offsetof(struct worker_counters, bytes_out) },
		{ "ndm_nbd_tls_handshakes_total", "TLS handshakes completed.",
		  offsetof(struct worker_counters, tls) },
		{ "ndm_nbd_ktls_handshakes_total", "Those whose replies the kernel encrypts.",
		  offsetof(struct worker_counters, ktls) },
	};
	unsigned i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		help(out, rows[i].name, "counter", rows[i].text);
		ndm_printf(out, "%s %llu\n", rows[i].name,
			   (unsigned long long)sum(d, rows[i].field));
	}
	help(out, "ndm_nbd_connections", "gauge", "Clients connected now.");
	ndm_printf(out, "ndm_nbd_connections %u\n", atomic_load(&d->nconns));
}

static void print_all(struct ndmd *d, struct ndm_str *out)
{
	server_rows(d, out);
	device_rows(d, out, "ndm_device_ios_total", "ios", "Requests completed by the device.");
	device_rows(d, out, "ndm_device_bytes_total", "bytes", "Bytes of them.");
	device_rows(d, out, "ndm_device_errors_total", "errors", "Requests that failed.");
	gauge_rows(d, out);
}

/* ---- HTTP ---- */

static void serve(struct evhttp_request *req, void *arg)
{
	struct metrics *m = arg;
	struct evbuffer *body = evbuffer_new();
	struct ndm_str text = { 0 };

	if (!body) {
		evhttp_send_error(req, 500, NULL);
		return;
	}
	print_all(m->ndmd, &text);
	evbuffer_add(body, text.text, text.len);
	ndm_str_free(&text);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
			  "text/plain; version=0.0.4; charset=utf-8");
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

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
	evhttp_set_cb(m->http, "/metrics", serve, m);
	if (!strncmp(where, "unix:", 5))
		err = bind_unix(m, where + 5);
	else
		err = bind_tcp(m, !strncmp(where, "tcp:", 4) ? where + 4 : where);
	if (err) {
		ndm_printf(why, "--metrics %s: %s", where, strerror(-err));
		goto fail;
	}
	*out = m;
	return 0;
fail:
	metrics_stop(m);
	return err;
}

void metrics_stop(struct metrics *m)
{
	if (!m)
		return;
	if (m->http)
		evhttp_free(m->http);
	if (m->unlink_path)
		unlink(m->unlink_path);
	free(m->unlink_path);
	free(m);
}
