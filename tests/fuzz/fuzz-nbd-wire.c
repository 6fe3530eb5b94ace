/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-nbd-wire.c - what a remote NBD server says to us: its export in the handshake (as libnbd
 * hands it over), and replies to requests that are under way (lib/os/nbd-wire.c).
 *
 * Input: a byte of choices; with one of them what the export is like; requests; then records of
 * what the server says, each sent by itself.  A record is bytes as they are, or the head of a
 * reply with a cookie that was asked with, so that the fuzzer need not find it.
 *
 * Whatever comes, every request ends once, and nothing outside its memory is touched.
 */
#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/os/nbd.h"

#define REQUESTS_MAX 8u
#define SECTORS_MAX 200u			/* of a request: beyond what comes through the buffer */
#define EXPORT_BYTES (4u << 20)

enum { STRUCTURED = 1, EXPORT_GIVEN = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct input { const uint8_t *at; size_t left; };

struct ask {
	struct ndm_bio bio;
	struct ndm_extents extents;
	struct iovec iov[2];
	uint8_t *bytes[2];
	unsigned ended;
};

static struct ndm_loop *loop;

static unsigned in8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static uint64_t in_be(struct input *in, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | in8(in);
	return n;
}

static uint8_t *put_be(uint8_t *p, uint64_t n, unsigned bytes)
{
	while (bytes--)
		*p++ = (uint8_t)(n >> 8 * bytes);
	return p;
}

/* ---- a connection ---- */

static uint8_t *put_reply(uint8_t *p, unsigned option, unsigned type, const void *data, unsigned n)
{
	p = put_be(p, 0x3e889045565a9u, 8);
	p = put_be(p, option, 4);
	p = put_be(p, type, 4);
	p = put_be(p, n, 4);
	if (n)
		memcpy(p, data, n);
	return p + n;
}

/* All that a server says until requests may come, in advance. */
static void greet(int fd, struct input *in, unsigned choices)
{
	bool given = choices & EXPORT_GIVEN;
	uint8_t said[512], info[32], *p = said;

	memcpy(p, "NBDMAGICIHAVEOPT", 16);
	p = put_be(p + 16, 3, 2);
	if (choices & STRUCTURED) {
		p = put_reply(p, 8, 1, NULL, 0);
		memcpy(put_be(info, 1, 4), "base:allocation", 15);
		p = put_reply(p, 10, 4, info, 19);
		p = put_reply(p, 10, 1, NULL, 0);
	}
	put_be(put_be(put_be(info, 0, 2), given ? in_be(in, 8) : EXPORT_BYTES, 8),
	       given ? in_be(in, 2) : 0x56d, 2);
	p = put_reply(p, 7, 3, info, 12);
	if (given) {
		put_be(put_be(put_be(put_be(info, 3, 2), in_be(in, 4), 4), in_be(in, 4), 4),
		       in_be(in, 4), 4);
		p = put_reply(p, 7, 3, info, 14);
	}
	p = put_reply(p, 7, 1, NULL, 0);
	if (send(fd, said, (size_t)(p - said), 0) < 0)
		abort();
}

static struct nbd_store *store_new(struct input *in, int peer, int fd, unsigned choices)
{
	struct nbd_store *st = ndm_zalloc(sizeof *st);
	struct nbd_handle *h = nbd_create();
	unsigned i;

	if (!st || !h)
		abort();
	st->base.loop = loop;
	st->base.ops = &nbd_store_ops;
	st->mode = NDM_OPEN_READ | NDM_OPEN_WRITE;
	st->uri = ndm_strdup("nbd://fuzz");
	st->nconns = 1;
	st->connect_ns = NBD_CONNECT_NS;
	ndm_waitq_init(&st->changed, loop);
	for (i = 0; i <= NBD_CONNECTIONS_MAX; i++)
		nbd_conn_init(st, &st->conns[i]);
	greet(peer, in, choices);
	nbd_set_pread_initialize(h, false);
	nbd_set_request_structured_replies(h, choices & STRUCTURED);
#ifdef LIBNBD_HAVE_NBD_SET_REQUEST_EXTENDED_HEADERS
	nbd_set_request_extended_headers(h, false);
#endif
	nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION);
	if (nbd_connect_socket(h, fd)) {
		nbd_close(h);
		return st;
	}
	st->conns[0].h = h;
	st->conns[0].state = NBD_NEGOTIATE;
	nbd_conn_settle(&st->conns[0]);
	if (st->nready) {
		st->open = true;
		nbd_limits_set(st);
	}
	return st;
}

/* ---- requests ---- */

static void ask_ended(struct ndm_bio *bio)
{
	((struct ask *)bio->owner)->ended++;
}

static void ask_make(struct ask *a, struct nbd_store *st, struct input *in)
{
	size_t bytes, half;
	unsigned i;

	a->bio = (struct ndm_bio){ .op = in8(in) % NDM_OPS, .flags = in8(in) & (NDM_FUA | NDM_NOUNMAP | NDM_FAST),
				   .store = &st->base, .sector = in8(in), .nr = 1 + in8(in) % SECTORS_MAX,
				   .done = ask_ended, .owner = a, .extents = &a->extents };
	if (a->bio.op == NDM_FLUSH)
		a->bio.sector = a->bio.nr = 0;
	if (a->bio.op == NDM_READ)
		a->bio.flags = 0;
	a->bio.origin = a->bio.sector;
	if (a->bio.op != NDM_READ && a->bio.op != NDM_WRITE)
		return;
	bytes = a->bio.nr * NDM_SECTOR_BYTES;
	half = in8(in) % bytes;
	for (i = 0; i < 2; i++) {
		size_t len = i ? bytes - half : half;

		a->bytes[i] = calloc(1, len ? len : 1);
		a->iov[i] = (struct iovec){ a->bytes[i], len };
	}
	a->bio.data = (struct ndm_data){ .iov = a->iov, .iovcnt = 2 };
}

static unsigned asks_submit(struct ask *asks, struct nbd_store *st, struct input *in)
{
	unsigned n = 1 + in8(in) % REQUESTS_MAX, i;

	ndm_loop_begin(loop);
	for (i = 0; i < n; i++) {
		ask_make(&asks[i], st, in);
		/* as the core does: what goes beyond the end never comes to a store */
		if (asks[i].bio.sector + asks[i].bio.nr > st->base.nr)
			asks[i].ended++;
		else
			ndm_submit(&asks[i].bio);
	}
	ndm_loop_end(loop);
	return n;
}

static void asks_check(struct ask *asks, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		assert(asks[i].ended == 1);
		ndm_extents_finish(&asks[i].extents, asks[i].bio.sector);
		ndm_extents_free(&asks[i].extents);
		free(asks[i].bytes[0]);
		free(asks[i].bytes[1]);
	}
}

/* ---- what the server says ---- */

static uint8_t *put_cookie(uint8_t *p, unsigned slot)
{
	return put_be(put_be(p, 1, 4), slot, 4);	/* the first use of a slot has serial 1 */
}

static size_t say_chunk(struct input *in, uint8_t *said, unsigned slot, const struct ask *a)
{
	static const uint16_t types[] = { 0, 1, 1, 2, 5, 0x8000, 0x8001, 0x8002, 3, 0x8003 };
	unsigned choice = in8(in), type = types[(choice >> 1) % 10];
	uint64_t offset = (a->bio.sector + in8(in)) * NDM_SECTOR_BYTES;
	uint32_t length = (uint32_t)in_be(in, 2);
	uint8_t *p = put_be(put_be(said, 0x668e33ef, 4), choice & 1, 2);

	if (choice & 128)
		length = (uint32_t)(a->bio.nr * NDM_SECTOR_BYTES + 8);
	p = put_be(put_cookie(put_be(p, type, 2), slot), length, 4);
	if (type == 1 || type == 2)
		p = put_be(p, offset, 8);
	if (type == 2)
		p = put_be(p, in_be(in, 2), 4);
	if (type == 5)
		p = put_be(p, 1, 4);
	return (size_t)(p - said);
}

/* One record; how many bytes it is. */
static size_t record(struct input *in, uint8_t *said, size_t room, const struct ask *asks, unsigned n)
{
	unsigned choice = in8(in), slot = (choice >> 3) % (n + 2);
	const struct ask *a = &asks[slot < n ? slot : 0];
	size_t len = 0, more;

	switch (choice & 7) {
	case 0: case 1:
		len = (size_t)(put_cookie(put_be(put_be(said, 0x67446698, 4), in8(in) % 8 ? 0 : 5, 4),
					  slot) - said);
		break;
	case 2: case 3: case 4:
		len = say_chunk(in, said, slot, a);
		break;
	}
	if ((choice & 7) < 5 && in8(in) & 1)		/* and all that a read would get */
		more = a->bio.nr * NDM_SECTOR_BYTES;
	else
		more = in8(in) * (choice & 1 ? 97u : 1u);
	if (more > room - len)
		more = room - len;
	memset(said + len, 0, more);
	memcpy(said + len, in->at, more < in->left ? more : in->left);
	if ((choice & 7) >= 5) {			/* those bytes were the record */
		more = more < in->left ? more : in->left;
		in->at += more;
		in->left -= more;
	}
	return len + more;
}

static void hear(int peer)
{
	uint8_t sink[65536];

	while (recv(peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t said[128 << 10];
	struct ask asks[REQUESTS_MAX] = { 0 };
	struct input in = { data, bytes };
	unsigned choices = in8(&in), n = 0;
	struct nbd_store *st;
	int sv[2];

	if (!loop)
		loop = ndm_loop_new(ndm_world_os());
	if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		abort();
	st = store_new(&in, sv[1], sv[0], choices);
	if (st->nready)
		n = asks_submit(asks, st, &in);
	while (in.left && st->nready) {
		size_t len = record(&in, said, sizeof said, asks, n);

		hear(sv[1]);
		if (len && send(sv[1], said, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		ndm_loop_run(loop);
	}
	close(sv[1]);
	while (st->nready)
		ndm_loop_run(loop);
	asks_check(asks, n);
	nbd_store_drop(st);
	return 0;
}
