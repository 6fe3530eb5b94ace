/* SPDX-License-Identifier: BSD-2-Clause */
/* load - small NBD load generator for the bench harness.
 *
 * Two engines:
 *   raw     (default) own protocol code, batches requests into one sendmsg()
 *           and parses replies out of one large recv(); cheapest per request.
 *   libnbd  (-L) the libnbd asynchronous API; needed for TLS URIs and to see
 *           what a real libnbd client pays.
 *
 * One line of JSON on stdout.  Build: gcc -O2 -Wall -o load load.c -lnbd
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <libnbd.h>

#define OPT_GO 7u
#define OPT_STRUCTURED 8u
#define REP_ACK 1u
#define REP_INFO 3u

enum mode { RANDREAD, RANDWRITE, RANDRW, SEQREAD, SEQWRITE, CONNECT, HOLD };
static const char *const mode_names[] = {
	"randread", "randwrite", "randrw", "seqread", "seqwrite", "connect", "hold", NULL
};

static struct {
	const char *uri;
	enum mode mode;
	uint32_t bs;
	unsigned qd, conns;
	double secs;
	uint64_t span;
	bool structured, use_libnbd, fua;
	unsigned hold_bytes;
} o = { .mode = RANDREAD, .bs = 4096, .qd = 1, .conns = 1, .secs = 2 };

static char sockpath[108], host[256], port[16] = "10809", export_name[512];
static bool is_unix;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "load: ");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: cheap random offsets */
static uint64_t rng_state = 0x9e3779b97f4a7c15u;
static uint64_t rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 0x2545f4914f6cdd1du;
}

static void parse_uri(const char *u)
{
	const char *p, *s;

	if (strncmp(u, "nbd+unix://", 11) == 0) {
		is_unix = true;
		p = u + 11;
		if (*p == '/')
			p++;
		s = strstr(p, "?socket=");
		if (!s)
			die("no socket= in %s", u);
		snprintf(export_name, sizeof export_name, "%.*s", (int)(s - p), p);
		snprintf(sockpath, sizeof sockpath, "%s", s + 8);
	} else if (strncmp(u, "nbd://", 6) == 0) {
		const char *slash, *colon;
		p = u + 6;
		slash = strchr(p, '/');
		if (!slash)
			slash = p + strlen(p);
		colon = memchr(p, ':', (size_t)(slash - p));
		snprintf(host, sizeof host, "%.*s", (int)((colon ? colon : slash) - p), p);
		if (colon)
			snprintf(port, sizeof port, "%.*s", (int)(slash - colon - 1), colon + 1);
		snprintf(export_name, sizeof export_name, "%s", *slash ? slash + 1 : "");
	} else if (!o.use_libnbd)
		die("raw engine cannot use %s (try -L)", u);
}

static int dial(void)
{
	int fd, one = 1;

	if (is_unix) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		strcpy(a.sun_path, sockpath);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
			die("connect %s: %s", sockpath, strerror(errno));
		return fd;
	}
	struct sockaddr_in a = { .sin_family = AF_INET };
	a.sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &a.sin_addr) != 1)
		die("host must be an IPv4 address");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect %s:%s: %s", host, port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void xread(int fd, void *b, size_t n)
{
	while (n) {
		ssize_t r = recv(fd, b, n, 0);
		if (r == 0)
			die("server closed the connection");
		if (r < 0) {
			if (errno == EINTR)
				continue;
			die("recv: %s", strerror(errno));
		}
		b = (char *)b + r;
		n -= (size_t)r;
	}
}

static void xwrite(int fd, const void *b, size_t n)
{
	while (n) {
		ssize_t r = send(fd, b, n, MSG_NOSIGNAL);
		if (r < 0) {
			if (errno == EINTR)
				continue;
			die("send: %s", strerror(errno));
		}
		b = (const char *)b + r;
		n -= (size_t)r;
	}
}

static void put32(unsigned char *p, uint32_t v) { v = htobe32(v); memcpy(p, &v, 4); }
static void put64(unsigned char *p, uint64_t v) { v = htobe64(v); memcpy(p, &v, 8); }
static uint32_t get32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return be32toh(v); }
static uint64_t get64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return be64toh(v); }

static void send_opt(int fd, uint32_t opt, const void *data, uint32_t len)
{
	unsigned char b[16 + 1024];

	memcpy(b, "IHAVEOPT", 8);
	put32(b + 8, opt);
	put32(b + 12, len);
	if (len)
		memcpy(b + 16, data, len);
	xwrite(fd, b, 16 + len);
}

/* Whole handshake; returns export size. */
static uint64_t handshake(int fd, bool *structured)
{
	unsigned char b[4096], go[600];
	uint64_t size = 0;
	uint32_t type, len;
	size_t n = strlen(export_name);

	xread(fd, b, 18);
	if (memcmp(b, "NBDMAGICIHAVEOPT", 16))
		die("not a newstyle NBD server");
	put32(b, b[17] & 3u);
	xwrite(fd, b, 4);
	if (*structured) {
		send_opt(fd, OPT_STRUCTURED, NULL, 0);
		xread(fd, b, 20);
		type = get32(b + 12);
		len = get32(b + 16);
		if (len)
			xread(fd, b, len > sizeof b ? die("reply too long"), 0 : len);
		*structured = type == REP_ACK;
	}
	put32(go, (uint32_t)n);
	memcpy(go + 4, export_name, n);
	go[4 + n] = 0;
	go[5 + n] = 1;		/* one info request: */
	go[6 + n] = 0;
	go[7 + n] = 3;		/* NBD_INFO_BLOCK_SIZE */
	send_opt(fd, OPT_GO, go, (uint32_t)n + 8);
	for (;;) {
		xread(fd, b, 20);
		type = get32(b + 12);
		len = get32(b + 16);
		if (len > sizeof b)
			die("option reply too long");
		if (len)
			xread(fd, b, len);
		if (type == REP_ACK)
			return size;
		if (type != REP_INFO)
			die("NBD_OPT_GO failed, reply 0x%x", type);
		if (len == 12 && b[0] == 0 && b[1] == 0)
			size = get64(b + 2);
	}
}

/* ---- statistics ---- */
#define MAXSAMP (1u << 21)
static uint32_t *samp;
static size_t nsamp;
static uint64_t ops, errors_seen;

static inline void sample(uint64_t ns)
{
	if (nsamp < MAXSAMP)
		samp[nsamp++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int cmp32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void report(double secs, uint64_t size)
{
	struct rusage ru;
	double cpu;

	getrusage(RUSAGE_SELF, &ru);
	cpu = (double)ru.ru_utime.tv_sec + (double)ru.ru_stime.tv_sec
	    + 1e-6 * (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
	qsort(samp, nsamp, sizeof *samp, cmp32);
	printf("{\"mode\":\"%s\",\"bs\":%u,\"qd\":%u,\"conns\":%u,\"engine\":\"%s\","
	       "\"size\":%llu,\"secs\":%.4f,\"ops\":%llu,\"errors\":%llu,\"iops\":%.1f,"
	       "\"mib_s\":%.2f,\"lat_p50_us\":%.1f,\"lat_p99_us\":%.1f,\"client_cpu\":%.3f}\n",
	       mode_names[o.mode], o.bs, o.qd, o.conns, o.use_libnbd ? "libnbd" : "raw",
	       (unsigned long long)size, secs, (unsigned long long)ops,
	       (unsigned long long)errors_seen, (double)ops / secs,
	       (double)ops * o.bs / secs / 1048576.0,
	       nsamp ? samp[nsamp / 2] / 1e3 : 0.0,
	       nsamp ? samp[(size_t)((double)nsamp * 0.99)] / 1e3 : 0.0, cpu);
}

static uint64_t size_total, nblocks, seq_next;

static bool draining;

static inline void next_op(uint64_t *off, bool *wr)
{
	switch (o.mode) {
	case SEQREAD:
	case SEQWRITE:
		*off = (seq_next++ % nblocks) * o.bs;
		*wr = o.mode == SEQWRITE;
		break;
	case RANDRW:
		*off = (rng() % nblocks) * o.bs;
		*wr = rng() & 1;
		break;
	default:
		*off = (rng() % nblocks) * o.bs;
		*wr = o.mode == RANDWRITE;
	}
}

/* ---- raw engine ---- */
#define RB (256u << 10)
struct slot { uint64_t t0; bool wr, err; };
struct conn {
	int fd;
	bool structured;
	struct slot *slots;
	unsigned *freelist, nfree;
	unsigned char *hdrs;		/* qd * 28 */
	struct iovec *iov;
	unsigned iov_n, iov_pos;
	unsigned char *rb;
	size_t rlen, rpos;
	uint64_t skip;			/* payload bytes to drop */
	unsigned skip_slot;
	bool skip_done;			/* complete the slot after skip */
	bool want_out;
};

static unsigned char *payload;

static void raw_fill(struct conn *c)
{
	if (draining || c->iov_pos < c->iov_n)
		return;			/* previous batch not out yet */
	c->iov_n = c->iov_pos = 0;
	uint64_t t = now_ns();
	while (c->nfree) {
		unsigned s = c->freelist[--c->nfree];
		unsigned char *h = c->hdrs + 28u * s;
		uint64_t off;
		bool wr;
		next_op(&off, &wr);
		put32(h, 0x25609513u);
		h[4] = 0;
		h[5] = wr && o.fua;
		h[6] = 0;
		h[7] = wr;
		put64(h + 8, s);
		put64(h + 16, off);
		put32(h + 24, o.bs);
		c->slots[s] = (struct slot){ .t0 = t, .wr = wr };
		c->iov[c->iov_n++] = (struct iovec){ h, 28 };
		if (wr)
			c->iov[c->iov_n++] = (struct iovec){ payload, o.bs };
	}
}

/* returns false if the socket is full */
static bool raw_push(struct conn *c)
{
	while (c->iov_pos < c->iov_n) {
		unsigned n = c->iov_n - c->iov_pos;
		struct msghdr m = { .msg_iov = c->iov + c->iov_pos,
				    .msg_iovlen = n > 512 ? 512 : n };
		ssize_t r = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0) {
			if (errno == EAGAIN)
				return false;
			if (errno == EINTR)
				continue;
			die("sendmsg: %s", strerror(errno));
		}
		while (r > 0) {
			struct iovec *v = &c->iov[c->iov_pos];
			if ((size_t)r >= v->iov_len) {
				r -= (ssize_t)v->iov_len;
				c->iov_pos++;
			} else {
				v->iov_base = (char *)v->iov_base + r;
				v->iov_len -= (size_t)r;
				r = 0;
			}
		}
	}
	return true;
}

static void slot_done(struct conn *c, unsigned s, uint64_t t)
{
	sample(t - c->slots[s].t0);
	if (c->slots[s].err)
		errors_seen++;
	ops++;
	c->freelist[c->nfree++] = s;
}

static void raw_recv(struct conn *c)
{
	for (;;) {
		if (c->rpos == c->rlen)
			c->rpos = c->rlen = 0;
		else if (c->rpos && c->rlen - c->rpos < 32) {
			memmove(c->rb, c->rb + c->rpos, c->rlen - c->rpos);
			c->rlen -= c->rpos;
			c->rpos = 0;
		}
		size_t room = RB - c->rlen;
		ssize_t r = recv(c->fd, c->rb + c->rlen, room, MSG_DONTWAIT);
		if (r == 0)
			die("server closed the connection");
		if (r < 0) {
			if (errno == EAGAIN)
				return;
			if (errno == EINTR)
				continue;
			die("recv: %s", strerror(errno));
		}
		c->rlen += (size_t)r;
		bool full = (size_t)r == room;
		uint64_t t = now_ns();
		for (;;) {
			size_t have = c->rlen - c->rpos;
			if (c->skip) {
				size_t k = have < c->skip ? have : (size_t)c->skip;
				c->rpos += k;
				c->skip -= k;
				if (c->skip)
					break;
				if (c->skip_done)
					slot_done(c, c->skip_slot, t);
				continue;
			}
			if (have < 16)
				break;
			unsigned char *p = c->rb + c->rpos;
			uint32_t magic = get32(p);
			if (magic == 0x67446698u) {
				uint32_t err = get32(p + 4);
				uint64_t ck = get64(p + 8);
				if (ck >= o.qd)
					die("bad cookie");
				c->rpos += 16;
				c->slots[ck].err = err != 0;
				if (!err && !c->slots[ck].wr) {
					c->skip = o.bs;
					c->skip_slot = (unsigned)ck;
					c->skip_done = true;
				} else
					slot_done(c, (unsigned)ck, t);
			} else if (magic == 0x668e33efu) {
				if (have < 20)
					break;
				bool done = p[5] & 1;
				uint64_t ck = get64(p + 8);
				uint32_t len = get32(p + 16);
				if (ck >= o.qd)
					die("bad cookie");
				c->rpos += 20;
				if (p[6] & 0x80)
					c->slots[ck].err = true;
				if (len) {
					c->skip = len;
					c->skip_slot = (unsigned)ck;
					c->skip_done = done;
				} else if (done)
					slot_done(c, (unsigned)ck, t);
			} else
				die("bad reply magic 0x%x", magic);
		}
		if (!full)
			return;
	}
}

static struct conn *raw_open(void)
{
	struct conn *cs = calloc(o.conns, sizeof *cs);

	for (unsigned i = 0; i < o.conns; i++) {
		struct conn *c = &cs[i];
		c->fd = dial();
		c->structured = o.structured;
		size_total = handshake(c->fd, &c->structured);
		c->slots = calloc(o.qd, sizeof *c->slots);
		c->freelist = calloc(o.qd, sizeof *c->freelist);
		for (unsigned k = 0; k < o.qd; k++)
			c->freelist[c->nfree++] = k;
		c->hdrs = calloc(o.qd, 28);
		c->iov = calloc(2u * o.qd, sizeof *c->iov);
		c->rb = malloc(RB);
	}
	return cs;
}

static void set_span(void)
{
	uint64_t s = o.span && o.span < size_total ? o.span : size_total;

	nblocks = s / o.bs;
	if (!nblocks)
		die("export is smaller than one block");
}

static void disc(int fd)
{
	unsigned char h[28] = { 0 };

	put32(h, 0x25609513u);
	h[7] = 2;
	send(fd, h, 28, MSG_NOSIGNAL);
}

static void run_raw(void)
{
	struct conn *cs = raw_open();
	struct epoll_event ev[64];
	int ep = epoll_create1(0);

	set_span();
	for (unsigned i = 0; i < o.conns; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
		epoll_ctl(ep, EPOLL_CTL_ADD, cs[i].fd, &e);
	}
	uint64_t t0 = now_ns(), end = t0 + (uint64_t)(o.secs * 1e9), t = t0;
	for (unsigned i = 0; i < o.conns; i++) {
		raw_fill(&cs[i]);
		if (!raw_push(&cs[i])) {
			struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.u32 = i };
			cs[i].want_out = true;
			epoll_ctl(ep, EPOLL_CTL_MOD, cs[i].fd, &e);
		}
	}
	for (;;) {
		int n;
		if (!draining && t >= end) {
			report((double)(t - t0) / 1e9, size_total);
			fflush(stdout);
			draining = true;
		}
		if (draining) {		/* leave politely: no request in flight */
			unsigned idle = 0;
			for (unsigned i = 0; i < o.conns; i++)
				idle += cs[i].nfree == o.qd;
			if (idle == o.conns || t > end + 2000000000u)
				break;
		}
		if (o.conns == 1 && !cs[0].want_out) {	/* save a syscall per turn */
			struct pollfd pf = { .fd = cs[0].fd, .events = POLLIN };
			n = poll(&pf, 1, 2000);
			ev[0] = (struct epoll_event){ .events = EPOLLIN, .data.u32 = 0 };
		} else
			n = epoll_wait(ep, ev, 64, 2000);
		if (n == 0)
			die("no reply for 2 s");
		for (int k = 0; k < n; k++) {
			struct conn *c = &cs[ev[k].data.u32];
			if (ev[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				raw_recv(c);
			raw_fill(c);
			bool full = !raw_push(c);
			if (full != c->want_out) {
				struct epoll_event e = {
					.events = EPOLLIN | (full ? EPOLLOUT : 0),
					.data.u32 = ev[k].data.u32 };
				c->want_out = full;
				epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
			}
		}
		t = now_ns();
	}
	for (unsigned i = 0; i < o.conns; i++) {
		disc(cs[i].fd);
		close(cs[i].fd);
	}
}

static void run_connect(void)
{
	uint64_t t0 = now_ns(), end = t0 + (uint64_t)(o.secs * 1e9), t = t0;
	unsigned char c;

	while (t < end) {
		bool st = o.structured;
		int fd = dial();
		size_total = handshake(fd, &st);
		disc(fd);
		/* Wait for the server's close, so that it cannot fall behind.
		 * The half-close is for servers that do not act on
		 * NBD_CMD_DISC alone (nbdkit 1.33.11). */
		shutdown(fd, SHUT_WR);
		struct pollfd pf = { .fd = fd, .events = POLLIN };
		if (poll(&pf, 1, 2000) == 0)
			errors_seen++;
		else
			while (recv(fd, &c, 1, 0) > 0)
				;
		close(fd);
		uint64_t t2 = now_ns();
		sample(t2 - t);
		t = t2;
		ops++;
	}
	report((double)(t - t0) / 1e9, size_total);
}

/* Open -c connections, read one block of -b bytes on each, say "ready" and
 * wait for end of file on stdin. */
static void run_hold(void)
{
	struct conn *cs = raw_open();
	unsigned char h[28] = { 0 }, *b = malloc(o.bs + 64);
	char c;

	for (unsigned i = 0; i < o.conns; i++) {
		if (cs[i].structured)
			die("hold uses simple replies only");
		put32(h, 0x25609513u);
		put32(h + 24, o.bs);
		xwrite(cs[i].fd, h, 28);
		xread(cs[i].fd, b, 16);
		if (get32(b + 4) == 0)
			xread(cs[i].fd, b, o.bs);
	}
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	for (unsigned i = 0; i < o.conns; i++) {
		disc(cs[i].fd);
		close(cs[i].fd);
	}
}

/* ---- libnbd engine ---- */
struct lslot { uint64_t t0; unsigned conn; bool busy; void *buf; };
static unsigned *lfree;

static int l_done(void *user, int *err)
{
	struct lslot *s = user;

	if (*err)
		errors_seen++;
	sample(now_ns() - s->t0);
	ops++;
	s->busy = false;
	lfree[s->conn]++;
	return 1;
}

static void run_libnbd(void)
{
	struct nbd_handle **h = calloc(o.conns, sizeof *h);
	struct lslot *sl = calloc((size_t)o.conns * o.qd, sizeof *sl);
	struct pollfd *pf = calloc(o.conns, sizeof *pf);

	lfree = calloc(o.conns, sizeof *lfree);
	for (unsigned i = 0; i < o.conns; i++) {
		h[i] = nbd_create();
		nbd_set_uri_allow_local_file(h[i], true);
		if (!o.structured)
			nbd_set_request_structured_replies(h[i], false);
		if (nbd_connect_uri(h[i], o.uri) < 0)
			die("%s", nbd_get_error());
		nbd_set_strict_mode(h[i], 0);
		size_total = (uint64_t)nbd_get_size(h[i]);
		lfree[i] = o.qd;
		for (unsigned k = 0; k < o.qd; k++) {
			sl[i * o.qd + k].conn = i;
			sl[i * o.qd + k].buf = malloc(o.bs);
			memset(sl[i * o.qd + k].buf, 0x5a, o.bs);
		}
	}
	set_span();
	uint64_t t0 = now_ns(), end = t0 + (uint64_t)(o.secs * 1e9), t = t0;
	for (;;) {
		if (!draining && t >= end) {
			report((double)(t - t0) / 1e9, size_total);
			fflush(stdout);
			draining = true;
		}
		if (draining) {
			unsigned idle = 0;
			for (unsigned i = 0; i < o.conns; i++)
				idle += lfree[i] == o.qd;
			if (idle == o.conns || t > end + 2000000000u)
				break;
		}
		for (unsigned i = 0; i < o.conns; i++) {
			for (unsigned k = 0; !draining && lfree[i] && k < o.qd; k++) {
				struct lslot *s = &sl[i * o.qd + k];
				uint64_t off;
				bool wr;
				int64_t r;
				if (s->busy)
					continue;
				next_op(&off, &wr);
				s->busy = true;
				s->t0 = now_ns();
				lfree[i]--;
				nbd_completion_callback cb = { .callback = l_done, .user_data = s };
				if (wr)
					r = nbd_aio_pwrite(h[i], s->buf, o.bs, off, cb, o.fua ? LIBNBD_CMD_FLAG_FUA : 0);
				else
					r = nbd_aio_pread(h[i], s->buf, o.bs, off, cb, 0);
				if (r < 0)
					die("%s", nbd_get_error());
			}
			pf[i].fd = nbd_aio_get_fd(h[i]);
			unsigned d = nbd_aio_get_direction(h[i]);
			pf[i].events = (short)((d & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				       (d & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
		}
		if (poll(pf, o.conns, 2000) <= 0)
			die("no reply for 2 s");
		for (unsigned i = 0; i < o.conns; i++) {
			unsigned d = nbd_aio_get_direction(h[i]);
			if ((pf[i].revents & POLLIN) && (d & LIBNBD_AIO_DIRECTION_READ))
				nbd_aio_notify_read(h[i]);
			else if ((pf[i].revents & POLLOUT) && (d & LIBNBD_AIO_DIRECTION_WRITE))
				nbd_aio_notify_write(h[i]);
			else if (pf[i].revents & (POLLHUP | POLLERR))
				die("connection lost");
		}
		t = now_ns();
	}
	for (unsigned i = 0; i < o.conns; i++) {
		nbd_shutdown(h[i], 0);
		nbd_close(h[i]);
	}
}

static uint64_t parse_size(const char *s)
{
	char *e;
	uint64_t v = strtoull(s, &e, 0);

	switch (*e) {
	case 'k': case 'K': return v << 10;
	case 'm': case 'M': return v << 20;
	case 'g': case 'G': return v << 30;
	default: return v;
	}
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "m:b:q:c:t:s:SLF")) != -1) {
		switch (c) {
		case 'm':
			for (c = 0; mode_names[c] && strcmp(mode_names[c], optarg); c++)
				;
			if (!mode_names[c])
				die("unknown mode %s", optarg);
			o.mode = (enum mode)c;
			break;
		case 'b': o.bs = (uint32_t)parse_size(optarg); break;
		case 'q': o.qd = (unsigned)atoi(optarg); break;
		case 'c': o.conns = (unsigned)atoi(optarg); break;
		case 't': o.secs = atof(optarg); break;
		case 's': o.span = parse_size(optarg); break;
		case 'S': o.structured = true; break;
		case 'L': o.use_libnbd = true; break;
		case 'F': o.fua = true; break;
		default:
			goto usage;
		}
	}
	if (optind + 1 != argc) {
usage:
		fprintf(stderr, "usage: load [-m randread|randwrite|randrw|seqread|seqwrite|connect|hold]\n"
			"            [-b blocksize] [-q depth per connection] [-c connections]\n"
			"            [-t seconds] [-s span] [-S structured replies] [-F FUA writes]\n"
			"            [-L use libnbd] URI\n");
		return 2;
	}
	o.uri = argv[optind];
	if (!o.qd || !o.conns || !o.bs)
		goto usage;
	parse_uri(o.uri);
	samp = malloc(MAXSAMP * sizeof *samp);
	payload = malloc(o.bs);
	for (uint32_t i = 0; i < o.bs; i++)
		payload[i] = (unsigned char)(rng() >> 32);
	if (o.mode == CONNECT)
		run_connect();
	else if (o.mode == HOLD)
		run_hold();
	else if (o.use_libnbd)
		run_libnbd();
	else
		run_raw();
	return 0;
}
