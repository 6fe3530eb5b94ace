/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-transmit.c - a client of ndmd after a handshake that is as it should be.
 *
 * Byte 0 of an input: size of the pieces.  Byte 1: simple, structured or extended replies,
 * contexts or none, which export.  The rest are requests as they are sent.
 */
#include <stdlib.h>
#include <string.h>

#include "nbd-server.h"
#include "server/nbd-protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t *put_option(uint8_t *p, uint32_t number, const void *data, uint32_t bytes)
{
	p = nbd_put64(p, NBD_IHAVEOPT);
	p = nbd_put32(p, number);
	p = nbd_put32(p, bytes);
	memcpy(p, data, bytes);
	return p + bytes;
}

static uint8_t *put_handshake(uint8_t *p, uint8_t how)
{
	const char *name = how & 8 ? "ro" : "e";
	uint8_t data[100], *q;
	uint32_t n = (uint32_t)strlen(name);

	p = nbd_put32(p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	if (how & 1)
		p = put_option(p, NBD_OPT_STRUCTURED_REPLY, "", 0);
	if (how & 2)
		p = put_option(p, NBD_OPT_EXTENDED_HEADERS, "", 0);
	q = nbd_put32(data, n);
	memcpy(q, name, n);
	q += n;
	if (how & 4) {
		nbd_put32(q, 2);
		memcpy(q + 4, "\0\0\0\017base:allocation\0\0\0\021x-ndm:extent-type", 4 + 15 + 4 + 17);
		p = put_option(p, NBD_OPT_SET_META_CONTEXT, data,
			       (uint32_t)(q - data) + 4 + 4 + 15 + 4 + 17);
	}
	q = nbd_put16(q, 0);
	return put_option(p, NBD_OPT_GO, data, (uint32_t)(q - data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *all, *p;

	if (bytes < 2)
		return 0;
	all = malloc(512 + bytes);
	p = put_handshake(all, data[1]);
	memcpy(p, data + 2, bytes - 2);
	nbd_server_feed(all, (size_t)(p - all) + bytes - 2,
			data[0] ? (size_t)data[0] * data[0] : 1u << 20);
	free(all);
	return 0;
}
