/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-server.h - a whole ndmd without its main(), one thread, two devices ("e" of 1 MiB, "ro"
 * read-only), to which a fuzzer is the client.
 */
#ifndef NDM_FUZZ_NBD_SERVER_H
#define NDM_FUZZ_NBD_SERVER_H

#include <stddef.h>
#include <stdint.h>

/*
 * One connection: the bytes are sent in pieces of `piece` bytes, then the client's side is
 * closed, and all that the server says is taken.  Returns when the connection is gone; aborts
 * when it has left something behind.
 */
void nbd_server_feed(const uint8_t *data, size_t bytes, size_t piece);

#endif
