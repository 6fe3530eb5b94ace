/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls.h - NBD over TLS: certificates and keys as qemu, nbdkit and libnbd name them.
 */
#ifndef NDM_SERVER_TLS_H
#define NDM_SERVER_TLS_H

#include <sys/types.h>
#include <sys/uio.h>

#include <ndm.h>

struct tls;			/* of the server: certificates, keys */
struct tls_conn;		/* of one connection */

/* certificates: a folder; psk: a file; either may be NULL, not both */
int tls_new(struct tls **, const char *certificates, const char *psk, bool verify_peer,
	    struct ndm_str *why);
void tls_free(struct tls *);
unsigned tls_connections(const struct tls *);	/* whose handshake is done; any thread */

#define TLS_SHA256_BYTES 32
/* No part of TLS; but the library that has it is used here only.  0 or -ENOMEM. */
int tls_sha256(const void *, size_t bytes, uint8_t digest[TLS_SHA256_BYTES]);

int tls_conn_new(struct tls_conn **, struct tls *, int fd);
/* polite: tells the other side that this is the end */
void tls_conn_free(struct tls_conn *, bool polite);
/* 1: done; 0: wait for the socket (*wants_write: to be writable); -errno: why says it */
int tls_accept(struct tls_conn *, bool *wants_write, struct ndm_str *why);
/* the client's name: of its certificate or of its key; NULL when it has shown none */
const char *tls_conn_peer(const struct tls_conn *);
const char *tls_conn_version(const struct tls_conn *);
/*
 * Is the client who the pattern says?  "psk:USER", "cn:NAME" (the certificate's common name) or
 * "dn:SUBJECT" (its whole subject as RFC 2253 writes it); * and ? as the shell has them.
 */
bool tls_conn_is(const struct tls_conn *, const char *pattern);
/* the kernel encrypts what is sent */
bool tls_conn_in_kernel(const struct tls_conn *);
ssize_t tls_recv(struct tls_conn *, const struct iovec *, int n);
ssize_t tls_send(struct tls_conn *, const struct iovec *, int n);
/* bytes have been taken from the socket that tls_recv() has not yet given out */
bool tls_pending(const struct tls_conn *);

#endif
