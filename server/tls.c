/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls.c - OpenSSL behind the few functions of tls.h.
 *
 * X.509: a folder with server-cert.pem and server-key.pem, ca-cert.pem (needed to verify
 * clients) and, optionally, ca-crl.pem.  PSK: a file of lines "user:hexkey"; TLS 1.3 asks for
 * keys by another callback than TLS 1.2 does, and binds an external key to SHA-256.
 *
 * The kernel does the encryption where it can (kTLS).  Buffers of idle connections are given
 * back (SSL_MODE_RELEASE_BUFFERS).
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls.h"

#define PSK_BYTES_MAX 64u
#define RECORD_BYTES 16384u

struct psk {
	struct psk *next;
	size_t bytes;
	unsigned char key[PSK_BYTES_MAX];
	char user[];
};

struct tls {
	SSL_CTX *ctx;
	struct psk *keys;
	atomic_uint nconns;		/* whose handshake is done */
};

struct tls_conn {
	struct tls *tls;
	SSL *ssl;
	bool counted;
	char *peer;			/* user of the key, or common name */
	char *subject;			/* of the certificate; NULL: there is none */
	bool by_key;			/* the key has been proved to be peer's */
	bool failed;			/* no good-bye after an error */
};

/* ---- reasons ---- */

static void say_error(struct ndm_str *why)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	if (!e)
		ndm_printf(why, "the connection broke");
	else if (text)
		ndm_printf(why, "%s", text);
	else
		ndm_printf(why, "error 0x%lx", e);
	ERR_clear_error();
}

/* ---- pre-shared keys ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *psk_add(struct tls *t, char *line)
{
	char *hex = strchr(line, ':');
	struct psk *k;
	size_t n, i;

	if (!hex || hex == line)
		return "is not USER:HEXKEY";
	*hex++ = '\0';
	n = strlen(hex);
	if (n == 0 || n % 2 || n / 2 > PSK_BYTES_MAX)
		return "has a key that is not 1 to 64 bytes in hexadecimal";
	k = calloc(1, sizeof *k + strlen(line) + 1);
	if (!k)
		return "does not fit into memory";
	strcpy(k->user, line);
	k->next = t->keys;
	t->keys = k;
	for (i = 0; i < n; i += 2) {
		int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);

		if (high < 0 || low < 0)
			return "has a key that is not hexadecimal";
		k->key[i / 2] = (unsigned char)(high << 4 | low);
	}
	k->bytes = n / 2;
	return NULL;
}

static int psk_read(struct tls *t, const char *path, struct ndm_str *why)
{
	FILE *f = fopen(path, "re");
	unsigned number = 0;
	const char *wrong = NULL;
	char *line = NULL;
	size_t cap = 0;

	if (!f) {
		ndm_printf(why, "%s: %s", path, strerror(errno));
		return -errno;
	}
	while (!wrong && getline(&line, &cap, f) > 0) {
		number++;
		line[strcspn(line, "\r\n")] = '\0';
		if (*line && *line != '#')
			wrong = psk_add(t, line);
	}
	if (line)
		OPENSSL_cleanse(line, cap);
	free(line);
	fclose(f);
	if (!wrong && !t->keys)
		wrong = "is the last one, and there is no key";
	if (wrong)
		ndm_printf(why, "%s: line %u %s", path, number, wrong);
	return wrong ? -EINVAL : 0;
}

static const struct psk *psk_find(SSL *ssl, const char *user, size_t bytes)
{
	const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct tls_conn *c = SSL_get_app_data(ssl);
	const struct psk *k;

	for (k = t->keys; k; k = k->next)
		if (strlen(k->user) == bytes && !memcmp(k->user, user, bytes))
			break;
	if (k) {				/* of several offers the last one found is taken */
		free(c->peer);
		c->peer = strdup(k->user);
	}
	return k;
}

static unsigned psk_for_tls12(SSL *ssl, const char *user, unsigned char *key, unsigned max)
{
	const struct psk *k = psk_find(ssl, user, strlen(user));

	if (!k || k->bytes > max)
		return 0;
	memcpy(key, k->key, k->bytes);
	return (unsigned)k->bytes;
}

static int psk_for_tls13(SSL *ssl, const unsigned char *user, size_t bytes, SSL_SESSION **out)
{
	static const unsigned char aes128_gcm_sha256[] = { 0x13, 0x01 };
	const struct psk *k = psk_find(ssl, (const char *)user, bytes);
	SSL_SESSION *s;

	*out = NULL;
	if (!k)
		return 1;			/* unknown: perhaps another way to agree */
	s = SSL_SESSION_new();
	if (!s || !SSL_SESSION_set1_master_key(s, k->key, k->bytes) ||
	    !SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, aes128_gcm_sha256)) ||
	    !SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION)) {
		SSL_SESSION_free(s);
		return 0;
	}
	*out = s;
	return 1;
}

/* ---- certificates ---- */

static char *file_in(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static int load_pair(struct tls *t, const char *folder, struct ndm_str *why)
{
	char *cert = file_in(folder, "server-cert.pem"), *key = file_in(folder, "server-key.pem");
	int err = -EINVAL;

	if (!cert || !key) {
		err = -ENOMEM;
	} else if (SSL_CTX_use_certificate_chain_file(t->ctx, cert) != 1) {
		ndm_printf(why, "%s: ", cert);
		say_error(why);
	} else if (SSL_CTX_use_PrivateKey_file(t->ctx, key, SSL_FILETYPE_PEM) != 1) {
		ndm_printf(why, "%s: ", key);
		say_error(why);
	} else if (SSL_CTX_check_private_key(t->ctx) != 1) {
		ndm_printf(why, "%s is not the key of %s", key, cert);
		ERR_clear_error();
	} else {
		err = 0;
	}
	free(cert);
	free(key);
	return err;
}

static int load_revoked(struct tls *t, const char *folder, struct ndm_str *why)
{
	char *crl = file_in(folder, "ca-crl.pem");
	X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
	X509_LOOKUP *lookup;
	struct stat st;
	int err = 0;

	if (!crl)
		return -ENOMEM;
	if (stat(crl, &st) == 0) {
		lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
		if (lookup && X509_load_crl_file(lookup, crl, X509_FILETYPE_PEM) > 0) {
			X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
		} else {
			ndm_printf(why, "%s: ", crl);
			say_error(why);
			err = -EINVAL;
		}
	}
	free(crl);
	return err;
}

static int load_authority(struct tls *t, const char *folder, struct ndm_str *why)
{
	char *ca = file_in(folder, "ca-cert.pem");
	int err = -EINVAL;

	if (!ca)
		return -ENOMEM;
	if (SSL_CTX_load_verify_file(t->ctx, ca) != 1) {
		ndm_printf(why, "%s: ", ca);
		say_error(why);
	} else {
		SSL_CTX_set_client_CA_list(t->ctx, SSL_load_client_CA_file(ca));
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		err = load_revoked(t, folder, why);
	}
	free(ca);
	return err;
}

/* ---- the server's part ---- */

static int set_policy(struct tls *t, bool certificates, bool psk, struct ndm_str *why)
{
	const char *ciphers = "DEFAULT:!aNULL";

	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(t->ctx, SSL_OP_ENABLE_KTLS | SSL_OP_NO_RENEGOTIATION |
			    SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
			    SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_num_tickets(t->ctx, 0);	/* connections live long; nobody resumes */
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	/* keys that are asked for beside certificates count as resumed: OpenSSL wants a name then */
	SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"ndmd", 4);
	SSL_CTX_set_dh_auto(t->ctx, 1);
	if (psk)
		ciphers = certificates ? "DEFAULT:!aNULL:kECDHEPSK:kDHEPSK:!eNULL" :
			  "kECDHEPSK:kDHEPSK:kPSK:!eNULL";
	if (SSL_CTX_set_cipher_list(t->ctx, ciphers) != 1) {
		say_error(why);
		return -EINVAL;
	}
	if (psk) {
		/* an external key goes with SHA-256 only: such a suite has to come first */
		SSL_CTX_set_ciphersuites(t->ctx, "TLS_AES_128_GCM_SHA256:"
					 "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
		SSL_CTX_set_psk_server_callback(t->ctx, psk_for_tls12);
		SSL_CTX_set_psk_find_session_callback(t->ctx, psk_for_tls13);
	}
	return 0;
}

int tls_new(struct tls **out, const char *certificates, const char *psk, bool verify_peer,
	    struct ndm_str *why)
{
	struct tls *t = calloc(1, sizeof *t);
	int err = -ENOMEM;

	if (!t)
		return -ENOMEM;
	t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t->ctx)
		goto fail;
	SSL_CTX_set_app_data(t->ctx, t);
	err = set_policy(t, certificates != NULL, psk != NULL, why);
	if (!err && psk)
		err = psk_read(t, psk, why);
	if (!err && certificates)
		err = load_pair(t, certificates, why);
	if (!err && verify_peer && !certificates) {
		ndm_printf(why, "clients cannot be verified without a folder of certificates");
		err = -EINVAL;
	}
	if (!err && verify_peer)
		err = load_authority(t, certificates, why);
	if (err)
		goto fail;
	*out = t;
	return 0;
fail:
	tls_free(t);
	return err;
}

void tls_free(struct tls *t)
{
	struct psk *k;

	if (!t)
		return;
	while ((k = t->keys)) {
		t->keys = k->next;
		OPENSSL_cleanse(k->key, sizeof k->key);
		free(k);
	}
	SSL_CTX_free(t->ctx);
	free(t);
}

unsigned tls_connections(const struct tls *t)
{
	return atomic_load(&t->nconns);
}

int tls_sha256(const void *text, size_t bytes, uint8_t digest[TLS_SHA256_BYTES])
{
	return EVP_Digest(text, bytes, digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

/* ---- a connection ---- */

int tls_conn_new(struct tls_conn **out, struct tls *t, int fd)
{
	struct tls_conn *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->tls = t;
	c->ssl = SSL_new(t->ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1) {
		tls_conn_free(c, false);
		return -ENOMEM;
	}
	SSL_set_app_data(c->ssl, c);
	*out = c;
	return 0;
}

void tls_conn_free(struct tls_conn *c, bool polite)
{
	if (c->ssl && polite && !c->failed && SSL_is_init_finished(c->ssl))
		SSL_shutdown(c->ssl);
	ERR_clear_error();
	if (c->counted)
		atomic_fetch_sub(&c->tls->nconns, 1);
	SSL_free(c->ssl);
	free(c->peer);
	free(c->subject);
	free(c);
}

/* A key that was named is proved only if the handshake was built on it. */
static bool key_was_used(const SSL *ssl)
{
	if (SSL_version(ssl) >= TLS1_3_VERSION)
		return SSL_session_reused(ssl);		/* nothing else is ever resumed */
	return SSL_CIPHER_get_auth_nid(SSL_get_current_cipher(ssl)) == NID_auth_psk;
}

static char *subject_text(X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *data, *text = NULL;
	long n;

	if (b && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) >= 0 &&
	    (n = BIO_get_mem_data(b, &data)) >= 0)
		text = strndup(data, (size_t)n);
	BIO_free(b);
	return text;
}

static void note_peer(struct tls_conn *c)
{
	X509 *cert = SSL_get0_peer_certificate(c->ssl);
	char name[256];
	int n;

	c->by_key = c->peer && key_was_used(c->ssl);
	if (c->by_key)
		return;
	free(c->peer);
	c->peer = NULL;
	if (!cert || SSL_get_verify_result(c->ssl) != X509_V_OK)
		return;
	c->subject = subject_text(X509_get_subject_name(cert));
	n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
				      sizeof name);
	if (n > 0 && strlen(name) == (size_t)n)
		c->peer = strdup(name);
}

int tls_accept(struct tls_conn *c, bool *wants_write, struct ndm_str *why)
{
	long verified;
	int r;

	ERR_clear_error();
	r = SSL_accept(c->ssl);
	if (r == 1) {
		note_peer(c);
		c->counted = true;
		atomic_fetch_add(&c->tls->nconns, 1);
		return 1;
	}
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*wants_write = false;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		*wants_write = true;
		return 0;
	}
	c->failed = true;
	verified = SSL_get_verify_result(c->ssl);
	say_error(why);
	if (verified != X509_V_OK)
		ndm_printf(why, " (%s)", X509_verify_cert_error_string(verified));
	return -EPROTO;
}

const char *tls_conn_peer(const struct tls_conn *c)
{
	return c->peer;
}

const char *tls_conn_version(const struct tls_conn *c)
{
	return SSL_get_version(c->ssl);
}

bool tls_conn_is(const struct tls_conn *c, const char *pattern)
{
	const char *name = NULL, *colon = strchr(pattern, ':');

	if (!strncmp(pattern, "psk:", 4))
		name = c->by_key ? c->peer : NULL;
	else if (!strncmp(pattern, "cn:", 3))
		name = c->by_key ? NULL : c->peer;
	else if (!strncmp(pattern, "dn:", 3))
		name = c->subject;
	return name && !fnmatch(colon + 1, name, FNM_NOESCAPE);
}

bool tls_conn_in_kernel(const struct tls_conn *c)
{
	return BIO_get_ktls_send(SSL_get_wbio(c->ssl));
}

bool tls_pending(const struct tls_conn *c)
{
	return SSL_has_pending(c->ssl);
}

/* ---- data ---- */

/* What a failed read or write means: 0 the end, -EAGAIN, or -EIO. */
static ssize_t io_error(struct tls_conn *c, int r)
{
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	}
	c->failed = true;
	ERR_clear_error();
	return -EIO;
}

ssize_t tls_recv(struct tls_conn *c, const struct iovec *iov, int n)
{
	size_t at = 0, got, total = 0;
	ssize_t err;
	int r;

	while (n) {
		if (at == iov->iov_len) {
			iov++;
			n--;
			at = 0;
			continue;
		}
		ERR_clear_error();
		r = SSL_read_ex(c->ssl, (char *)iov->iov_base + at, iov->iov_len - at, &got);
		if (r != 1) {
			err = io_error(c, r);
			return total ? (ssize_t)total : err;
		}
		at += got;
		total += got;
	}
	return (ssize_t)total;
}

/* The next record's worth of bytes as one piece: in place, or gathered in `room`. */
static size_t next_piece(const struct iovec *iov, int n, size_t at, char *room, const char **piece)
{
	size_t have = 0, len = iov->iov_len - at;

	*piece = (const char *)iov->iov_base + at;
	if (n == 1 || len >= RECORD_BYTES)
		return len;
	for (; n && have < RECORD_BYTES; n--, iov++, at = 0) {
		len = iov->iov_len - at;
		if (len > RECORD_BYTES - have)
			len = RECORD_BYTES - have;
		memcpy(room + have, (const char *)iov->iov_base + at, len);
		have += len;
	}
	*piece = room;
	return have;
}

ssize_t tls_send(struct tls_conn *c, const struct iovec *iov, int n)
{
	size_t at = 0, put, len, total = 0;
	char room[RECORD_BYTES];
	const char *piece;
	ssize_t err;
	int r;

	while (n) {
		if (at >= iov->iov_len) {
			at -= iov->iov_len;
			iov++;
			n--;
			continue;
		}
		len = next_piece(iov, n, at, room, &piece);
		ERR_clear_error();
		r = SSL_write_ex(c->ssl, piece, len, &put);
		if (r != 1) {
			err = io_error(c, r);
			if (!err)
				err = -EPIPE;
			return total ? (ssize_t)total : err;
		}
		at += put;
		total += put;
	}
	return (ssize_t)total;
}
