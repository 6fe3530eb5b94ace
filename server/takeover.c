/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * takeover.c - one process goes, the next one comes, and clients notice a pause.
 *
 *	new					old
 *	connects, NDM_CTL_TAKEOVER  ------>
 *						lets nobody in, stops reading, and waits until
 *						no request is below (DRAIN)
 *						packs connections (PACK), removes all devices
 *						from the top down: flushed, files closed
 *		<------  answer, image, descriptors
 *	makes devices, adopts clients
 *	'R'  ------>
 *		<------  'G'			ends; nothing is its own any more
 *	serves
 *
 * Until 'G' the old process can have everything back: it has the image and the descriptors, and
 * makes devices and clients of them just as the new one would.  It does so when the connection
 * ends, and that is after all that the new process had open has been closed.  A new one that
 * takes too long is killed for that end to come.  Should the old one die after 'R', nobody but
 * the new one can serve: it goes on.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <ndm-control.h>
#include <ndm-exchange.h>

#include "image.h"
#include "ndmd.h"
#include "state.h"
#include "takeover.h"

#define REPORT_NS 1000000u			/* between two looks whether reports are done */
#define DRAIN_SECONDS 15			/* requests below, and TLS clients' replies */
#define SUCCESSOR_SECONDS 60
#define FDS_AT_ONCE 200u			/* the kernel takes 253 */
#define FDS_MAX 1000000u
#define IMAGE_MAX (UINT64_C(1) << 36)

enum phase { DRAIN, PACK, LEAVING, PASSED };

struct takeover {
	struct ndmd *ndmd;
	enum phase phase;
	bool incoming;				/* we are the new process */
	int fd;
	pid_t pid;
	unsigned generation, quiet, packed;
	bool opened;				/* no export is being opened any more */
	struct event *timer, *peer;
	struct ndm_msg opened_msg;
	struct image image, memories;		/* memories: until they are in front of it */
	int recall_err;
	struct image_reader reader;
	int *fds;				/* received ones */
	unsigned nfds, next_fd;
	int control_fd;				/* the listening one, or -1 */
	struct ndm_str why;
};

static void unpark_all(struct ndmd *);
static int read_sockets(struct takeover *);

/* ---- descriptors over a socket that blocks, with a time limit ---- */

union fd_space { char bytes[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))]; struct cmsghdr align; };

static int send_fds(int fd, const int *fds, unsigned n)
{
	union fd_space space;
	char byte = 'F';
	struct iovec iov = { &byte, 1 };
	struct msghdr m;
	struct cmsghdr *c;
	unsigned part;

	for (; n; fds += part, n -= part) {
		part = n < FDS_AT_ONCE ? n : FDS_AT_ONCE;
		memset(&space, 0, sizeof space);
		m = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space.bytes,
				     .msg_controllen = CMSG_SPACE(part * sizeof(int)) };
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(part * sizeof(int));
		memcpy(CMSG_DATA(c), fds, part * sizeof(int));
		while (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
			if (errno != EINTR)
				return errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
	return 0;
}

static int recv_fds(int fd, int *fds, unsigned n)
{
	union fd_space space;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m;
	struct cmsghdr *c;
	unsigned part;
	ssize_t got;

	for (; n; fds += part, n -= part) {
		part = n < FDS_AT_ONCE ? n : FDS_AT_ONCE;
		m = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space.bytes,
				     .msg_controllen = sizeof space };
		do {
			got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
		} while (got < 0 && errno == EINTR);
		if (got <= 0)
			return got ? -errno : -ECONNRESET;
		c = CMSG_FIRSTHDR(&m);
		if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(part * sizeof(int)))
			return -EMFILE;		/* the kernel drops what we have no room for */
		memcpy(fds, CMSG_DATA(c), part * sizeof(int));
	}
	return 0;
}

static void patience(int fd, unsigned seconds)
{
	struct timeval t = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

/* ---- the old process: going back ---- */

void takeover_free(struct ndmd *d)
{
	struct takeover *t = d->takeover;

	if (!t)
		return;
	d->takeover = NULL;
	if (t->timer)
		event_free(t->timer);
	if (t->peer)
		event_free(t->peer);
	if (t->fd >= 0)
		close(t->fd);
	if (t->incoming)
		free(t->fds);
	image_free(&t->image);
	image_free(&t->memories);
	ndm_str_free(&t->why);
	free(t);
}

static void answer(struct takeover *t, int err)
{
	struct ndm_ctl_answer head = { (uint32_t)-err, err ? (uint32_t)t->why.len : 0 };

	if (!ndm_send_all(t->fd, &head, sizeof head) && err && t->why.len)
		ndm_send_all(t->fd, t->why.text, t->why.len);
}

/* All is ours again (or still): on with it. */
static void resume_service(struct takeover *t)
{
	struct ndmd *d = t->ndmd;
	int status = d->status;

	log_line(&d->log, NDM_LOG_ERROR, "takeover by process %d failed, serving on: %s",
		 (int)t->pid, t->why.len ? t->why.text : "it has ended");
	unpark_all(d);
	listen_pause(d, false);
	if (d->control)
		control_pause(d->control, false);
	takeover_free(d);
	if (d->stop_wanted)
		ndmd_stop(d, status);
}

static void refuse(struct takeover *t, int err)
{
	answer(t, err);
	resume_service(t);
}

static int make_all(struct takeover *t, struct ndm_str *why)
{
	int err = image_make_devices(t->ndmd, &t->reader, why);

	if (err && !why->len)
		ndm_printf(why, "the devices: %s", strerror(-err));
	return err;
}

static void reader_rewind(struct takeover *t)
{
	t->reader = (struct image_reader){ t->image.bytes.text,
					   t->image.bytes.text + t->image.bytes.len, false };
}

static void back_task(void *arg)
{
	struct takeover *t = arg;
	struct ndmd *d = t->ndmd;
	struct ndm_str why = { 0 };

	reader_rewind(t);
	/* devices that could not be removed are in the way of none of the others */
	if (make_all(t, &why) || read_sockets(t) || takeover_clients(d, &why))
		log_line(&d->log, NDM_LOG_ERROR, "not everything is as it was before: %s",
			 why.len ? why.text : "no reason given");
	ndm_str_free(&why);
	if (d->opt.state && !state_open(d, &why))
		state_follow(d);
	if (d->opt.metrics)
		metrics_start(&d->metrics, d, d->opt.metrics, &why);
	if (why.len)
		log_line(&d->log, NDM_LOG_ERROR, "%s", why.text);
	ndm_str_free(&why);
	resume_service(t);
}

/* ---- the old process: passing on ---- */

static void gone(struct takeover *t)
{
	struct ndmd *d = t->ndmd;
	char text[40];

	snprintf(text, sizeof text, "MAINPID=%d", (int)t->pid);
	system_notify(text);
	d->handed_over = true;
	log_line(&d->log, NDM_LOG_INFO, "process %d has taken over", (int)t->pid);
	ndm_send_all(t->fd, "G", 1);
	takeover_free(d);
	ndmd_leave(d);
}

static void peer_says(evutil_socket_t fd, short what, void *arg)
{
	struct takeover *t = arg;
	char byte = 0;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	event_del(t->peer);
	event_del(t->timer);
	if (n == 1 && byte == 'R')
		gone(t);
	else
		ndm_spawn(t->ndmd->workers[0].loop, "takeover", back_task, t);
}

static void pass_on(struct takeover *t)
{
	struct ndmd *d = t->ndmd;
	struct timeval limit = { .tv_sec = SUCCESSOR_SECONDS };
	uint64_t head[2] = { t->image.bytes.len, t->image.nfds };
	int err = t->image.no_memory ? -ENOMEM : 0;

	t->phase = PASSED;
	answer(t, err);
	if (!err)
		err = ndm_send_all(t->fd, head, sizeof head);
	if (!err)
		err = ndm_send_all(t->fd, t->image.bytes.text, t->image.bytes.len);
	if (!err)
		err = send_fds(t->fd, t->image.fds, t->image.nfds);
	if (err)
		ndm_printf(&t->why, "cannot hand over: %s", strerror(-err));
	if (err)				/* its end comes through the same door */
		shutdown(t->fd, SHUT_RDWR);
	t->peer = event_new(d->workers[0].base, t->fd, EV_READ | EV_PERSIST, peer_says, t);
	if (!t->peer || event_add(t->peer, NULL))
		_exit(1);			/* no memory for one event: the image is with the other */
	event_add(t->timer, &limit);
}

bool takeover_recall(struct ndmd *d, struct ndm_device *dev)
{
	struct takeover *t = d->takeover;

	if (!t || t->phase != LEAVING)
		return true;
	if (!t->recall_err)
		t->recall_err = image_recall(dev, &t->memories, &t->why);
	return !t->recall_err;
}

static void leave_task(void *arg)
{
	struct takeover *t = arg;
	struct ndmd *d = t->ndmd;

	metrics_stop(d->metrics);
	while (!metrics_idle(d->metrics))	/* a report that nobody will read is still being made */
		ndm_sleep(d->workers[0].loop, REPORT_NS);
	metrics_free(d->metrics);
	d->metrics = NULL;
	state_close(d);
	volumes_remove_all(d);
	image_put_in_front(&t->image, &t->memories);
	if (!ndm_device_first(d->context)) {
		pass_on(t);
		return;
	}
	if (!t->why.len)
		ndm_printf(&t->why, "not every device could be let go");
	answer(t, -EBUSY);
	back_task(t);
}

/* ---- the old process: coming to rest ---- */

static void packed(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, pack_msg));
	struct takeover *t = w->ndmd->takeover;

	image_put(&t->image, w->parcel.bytes.text, w->parcel.bytes.len);
	image_put_number(&t->image, w->parcel.nfds);
	for (unsigned i = 0; i < w->parcel.nfds; i++)
		image_put_fd(&t->image, w->parcel.fds[i]);
	t->image.no_memory |= w->parcel.no_memory;
	image_free(&w->parcel);
	t->packed++;
	takeover_look(w->ndmd);
}

static void pack(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, pack_msg));

	parcel_pack(w, &w->parcel);
	w->pack_msg.fn = packed;
	ndm_loop_post(w->ndmd->workers[0].loop, &w->pack_msg);
}

static void pack_task(void *arg)
{
	struct takeover *t = arg;
	struct ndmd *d = t->ndmd;
	unsigned i;
	int err;

	event_del(t->timer);
	err = image_pack_devices(d, &t->image, &t->why);
	if (err) {
		refuse(t, err);
		return;
	}
	image_put_number(&t->image, d->control != NULL);
	if (d->control)
		image_put_fd(&t->image, control_listener(d->control));
	listen_pack(d, &t->image);
	exports_pack(d, &t->image);
	image_put_number(&t->image, d->nworkers);
	for (i = 0; i < d->nworkers; i++) {
		d->workers[i].pack_msg.fn = pack;
		ndm_loop_post(d->workers[i].loop, &d->workers[i].pack_msg);
	}
}

void takeover_look(struct ndmd *d)
{
	struct takeover *t = d->takeover;

	if (!t || t->incoming)
		return;
	if (t->phase == DRAIN && t->opened && t->quiet == d->nworkers &&
	    (!d->control || control_idle(d->control))) {
		t->phase = PACK;
		ndm_spawn(d->workers[0].loop, "takeover", pack_task, t);
	} else if (t->phase == PACK && t->packed == d->nworkers && !atomic_load(&d->nconns)) {
		t->phase = LEAVING;
		ndm_spawn(d->workers[0].loop, "takeover", leave_task, t);
	}
}

static void quiet_arrived(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, quiet_msg));
	struct takeover *t = w->ndmd->takeover;
	unsigned generation = w->quiet_generation;

	atomic_store(&w->quiet_posted, false);
	if (!t || t->generation != generation)
		return;
	t->quiet++;
	takeover_look(w->ndmd);
}

void takeover_turn(struct worker *w)
{
	if (w->quiet_generation == w->park_generation || !parcel_quiet(w) ||
	    atomic_exchange(&w->quiet_posted, true))
		return;
	w->quiet_generation = w->park_generation;
	w->quiet_msg.fn = quiet_arrived;
	ndm_loop_post(w->ndmd->workers[0].loop, &w->quiet_msg);
}

static void park(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, park_msg));

	w->park_generation = w->ndmd->park_generation;
	parcel_park(w);
}

static void unpark(struct ndm_msg *msg)
{
	struct worker *w = (struct worker *)((char *)msg - offsetof(struct worker, unpark_msg));

	parcel_unpark(w);
}

static void unpark_all(struct ndmd *d)
{
	unsigned i;

	for (i = 0; i < d->nworkers; i++) {
		d->workers[i].unpark_msg.fn = unpark;
		ndm_loop_post(d->workers[i].loop, &d->workers[i].unpark_msg);
	}
}

/* All exports that were asked for are open: no connection changes its thread any more. */
static void all_opened(struct ndmd *d)
{
	unsigned i;

	d->takeover->opened = true;
	for (i = 0; i < d->nworkers; i++) {
		d->workers[i].park_msg.fn = park;
		ndm_loop_post(d->workers[i].loop, &d->workers[i].park_msg);
	}
}

static void opened_arrived(struct ndm_msg *msg)
{
	struct takeover *t = (struct takeover *)((char *)msg - offsetof(struct takeover, opened_msg));

	if (t->ndmd->takeover == t && t->phase == DRAIN)
		all_opened(t->ndmd);
}

void takeover_opened(struct ndmd *d)
{
	if (atomic_fetch_sub(&d->nopening, 1) != 1 || !atomic_exchange(&d->await_opened, false))
		return;
	d->takeover->opened_msg.fn = opened_arrived;
	ndm_loop_post(d->workers[0].loop, &d->takeover->opened_msg);
}

static void begin(struct takeover *t)
{
	struct ndmd *d = t->ndmd;
	struct timeval limit = { .tv_sec = DRAIN_SECONDS };

	event_add(t->timer, &limit);
	listen_pause(d, true);
	if (d->control)
		control_pause(d->control, true);
	parcel_park(&d->workers[0]);		/* who negotiates is here: none begins to open */
	atomic_store(&d->await_opened, true);
	if (!atomic_load(&d->nopening) && atomic_exchange(&d->await_opened, false))
		all_opened(d);
}

static void too_late(evutil_socket_t fd, short what, void *arg)
{
	struct takeover *t = arg;

	(void)fd;
	(void)what;
	if (t->phase == PASSED) {
		ndm_printf(&t->why, "it has not begun to serve in %d seconds", SUCCESSOR_SECONDS);
		if (t->pid > 0)
			kill(t->pid, SIGKILL);
	} else if (t->phase == DRAIN) {
		if (atomic_exchange(&t->ndmd->await_opened, false) || t->opened) {
			ndm_printf(&t->why, "requests have not ended in %d seconds (is a device "
				   "suspended, or a TLS client deaf?)", DRAIN_SECONDS);
			refuse(t, -ETIMEDOUT);
		}
	}
}

static void check_task(void *arg)
{
	struct takeover *t = arg;
	int err = image_check_devices(t->ndmd, &t->why);

	if (!err) {
		begin(t);
		return;
	}
	answer(t, err);
	log_line(&t->ndmd->log, NDM_LOG_INFO, "takeover by process %d refused: %s", (int)t->pid,
		 t->why.len ? t->why.text : strerror(-err));
	takeover_free(t->ndmd);
}

void takeover_asked(struct ndmd *d, int fd, int pid)
{
	struct takeover *t = calloc(1, sizeof *t), none = { .fd = fd };

	if (t)
		t->timer = evtimer_new(d->workers[0].base, too_late, t);
	patience(fd, SUCCESSOR_SECONDS);
	evutil_make_socket_closeonexec(fd);
	if (!t || !t->timer || d->takeover || d->stopping || d->applying || !d->ready ||
	    d->opt.stdio || d->opt.run) {
		ndm_printf(&none.why, d->opt.stdio || d->opt.run ?
			   "it serves one client or one command only" : "it is busy: try again");
		answer(&none, -EBUSY);
		ndm_str_free(&none.why);
		close(fd);
		free(t);
		return;
	}
	t->ndmd = d;
	t->fd = fd;
	t->pid = pid;
	t->generation = ++d->park_generation;
	d->takeover = t;
	ndm_spawn(d->workers[0].loop, "takeover", check_task, t);
}

/* ---- the new process ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&a, sizeof a))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int recv_answer(int fd, struct ndm_str *why)
{
	struct ndm_ctl_answer head;
	char text[512];
	int err = ndm_receive_all(fd, &head, sizeof head, false);

	if (err || !head.error)
		return err;
	if (head.length >= sizeof text)
		head.length = sizeof text - 1;
	if (ndm_receive_all(fd, text, head.length, false))
		head.length = 0;
	ndm_printf(why, "the running ndmd refuses: %.*s", (int)head.length, text);
	return -(int)head.error;
}

static int recv_image(struct takeover *t)
{
	uint64_t head[2];
	int err = ndm_receive_all(t->fd, head, sizeof head, false);

	if (err)
		return err;
	if (head[0] > IMAGE_MAX || head[1] > FDS_MAX)
		return -EBADMSG;
	t->image.bytes.text = malloc(head[0] + 1);
	t->fds = calloc(head[1] + 1, sizeof *t->fds);
	if (!t->image.bytes.text || !t->fds)
		return -ENOMEM;
	t->image.bytes.cap = t->image.bytes.len = head[0];
	t->nfds = (unsigned)head[1];
	err = ndm_receive_all(t->fd, t->image.bytes.text, head[0], false);
	reader_rewind(t);
	return err ? err : recv_fds(t->fd, t->fds, t->nfds);
}

int takeover_fetch(struct ndmd *d, const char *control, struct ndm_str *why)
{
	struct ndm_ctl_request head = { .command = NDM_CTL_TAKEOVER };
	struct takeover *t = calloc(1, sizeof *t);
	int err;

	if (!t)
		return -ENOMEM;
	t->ndmd = d;
	t->incoming = true;
	d->takeover = t;
	d->handed_over = true;			/* until commit nothing is ours to remove */
	t->fd = connect_to(control);
	if (t->fd < 0) {
		ndm_printf(why, "no ndmd to take over at %s: %s", control, strerror(-t->fd));
		return t->fd;
	}
	patience(t->fd, SUCCESSOR_SECONDS + DRAIN_SECONDS);
	err = ndm_send_all(t->fd, &head, sizeof head);
	if (!err)
		err = recv_answer(t->fd, why);
	if (!err)
		err = recv_image(t);
	if (err && !why->len)
		ndm_printf(why, "takeover: %s", strerror(-err));
	return err;
}

int takeover_devices(struct ndmd *d, struct ndm_str *why)
{
	unsigned i;

	for (i = 0; i < d->nworkers; i++)
		d->workers[i].parked = true;	/* the threads wait for their first message */
	return make_all(d->takeover, why);
}

static int next_fd(struct takeover *t)
{
	const int *fds = t->incoming ? t->fds : t->image.fds;
	unsigned n = t->incoming ? t->nfds : t->image.nfds;

	if (t->next_fd < n)
		return fds[t->next_fd++];
	t->reader.bad = true;
	return -1;
}

/* What follows the devices: control socket, listeners, names of exports, then clients. */
static int read_sockets(struct takeover *t)
{
	struct image_reader *r = &t->reader;
	const char *uri, *where, *path;
	uint64_t n;
	int err = 0, fd;

	t->control_fd = image_number(r) ? next_fd(t) : -1;
	for (n = image_number(r); n && !err && !r->bad; n--) {
		uri = image_text(r);
		where = image_text(r);
		path = image_text(r);
		fd = next_fd(t);
		if (t->incoming && fd >= 0)
			err = listen_adopt(t->ndmd, fd, uri ? uri : "", where, path);
	}
	if (!err)
		err = exports_unpack(t->ndmd, r, t->incoming);
	return !err && r->bad ? -EBADMSG : err;
}

int takeover_sockets(struct ndmd *d, struct ndm_str *why)
{
	int err = read_sockets(d->takeover);

	if (err)
		ndm_printf(why, "the sockets: %s", strerror(-err));
	return err;
}

int takeover_control_fd(const struct ndmd *d)
{
	return d->takeover ? d->takeover->control_fd : -1;
}

static int read_parcel(struct takeover *t, struct ndm_str *why)
{
	const int *fds = t->incoming ? t->fds : t->image.fds;
	struct image_reader parcel = { 0 };
	size_t bytes;
	uint64_t n;
	int err;

	parcel.at = image_bytes(&t->reader, &bytes);
	parcel.end = parcel.at + bytes;
	n = image_number(&t->reader);
	if (t->reader.bad || n > (t->incoming ? t->nfds : t->image.nfds) - t->next_fd)
		return -EBADMSG;
	err = parcel_unpack(t->ndmd, &parcel, fds + t->next_fd, (unsigned)n, why);
	t->next_fd += (unsigned)n;
	return err;
}

int takeover_clients(struct ndmd *d, struct ndm_str *why)
{
	struct takeover *t = d->takeover;
	uint64_t n = image_number(&t->reader);
	int err = 0;

	for (; n && !err; n--)
		err = read_parcel(t, why);
	if (!err)
		image_remove_deferred(d);
	if (err && !why->len)
		ndm_printf(why, "the clients: %s", strerror(-err));
	return err;
}

int takeover_commit(struct ndmd *d, struct ndm_str *why)
{
	struct takeover *t = d->takeover;
	char byte = 0;
	int err = ndm_send_all(t->fd, "R", 1);

	if (!err)
		err = ndm_receive_all(t->fd, &byte, 1, false);
	if (!err && byte != 'G')
		err = -EBADMSG;
	if (err == -ECONNRESET)			/* it has died: there is only us */
		err = 0;
	if (err) {
		ndm_printf(why, "takeover: %s", strerror(-err));
		return err;
	}
	d->handed_over = d->takeover_incoming = false;
	listen_pause(d, false);
	if (d->control)
		control_pause(d->control, false);
	unpark_all(d);
	takeover_free(d);
	return 0;
}
