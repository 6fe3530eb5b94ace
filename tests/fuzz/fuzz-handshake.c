/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-handshake.c - a client of ndmd from its first byte on.
 *
 * The first byte of an input says in how large pieces the rest is sent.
 */
#include "nbd-server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (!bytes)
		return 0;
	nbd_server_feed(data + 1, bytes - 1, data[0] ? (size_t)data[0] * data[0] : 1u << 20);
	return 0;
}
