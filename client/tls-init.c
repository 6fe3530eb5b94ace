/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls-init.c - `ndm tls-init FOLDER`: an authority, a certificate for the server, and one for each
 * client, under the names that ndmd, libnbd, nbdkit and qemu look for.
 *
 *	FOLDER/ca-cert.pem, ca-key.pem, server-cert.pem, server-key.pem	what ndmd --tls-certificates takes
 *	FOLDER/CLIENT/ca-cert.pem, client-cert.pem, client-key.pem	what one client takes
 *	FOLDER/client-cert.pem, client-key.pem				the first client's once more
 *
 * An authority that is in FOLDER already signs what is new.  Nothing is overwritten.
 */
#include "client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define NAMES_MAX 64
#define DAYS 3650			/* unless --days says otherwise */

struct pki {
	const char *folder;
	const char *server[NAMES_MAX], *client[NAMES_MAX];
	unsigned nserver, nclient;
	long days;
	X509 *ca;
	EVP_PKEY *ca_key;
};

static int tls_fail(const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	say("tls-init: %s %s: %s.", what, path, errno ? strerror(errno) : why ? why : "it failed");
	return -1;
}

/* ---- files ---- */

static FILE *file_new(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f && fd >= 0)
		close(fd);
	return f;
}

/* One of the two is NULL. */
static int put(const char *folder, const char *name, X509 *cert, EVP_PKEY *key)
{
	char *path = text_format("%s/%s", folder, name);
	FILE *f;
	int good;

	errno = 0;
	f = path ? file_new(path, key ? 0600 : 0644) : NULL;
	good = f && (key ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) : PEM_write_X509(f, cert)) == 1;
	if (f && fclose(f))
		good = 0;
	if (!good)
		tls_fail("cannot write", path ? path : name);
	free(path);
	return good ? 0 : -1;
}

/* ---- certificates ---- */

static int extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	int good;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	good = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good ? 0 : -1;
}

/* DNS:localhost,IP:127.0.0.1: what the names are */
static char *alternative_names(const char *const *names, unsigned n)
{
	char *all = NULL, *more;
	unsigned char address[16];
	unsigned i;

	for (i = 0; i < n; i++) {
		const char *kind = inet_pton(AF_INET, names[i], address) == 1 ||
				   inet_pton(AF_INET6, names[i], address) == 1 ? "IP" : "DNS";

		more = text_format("%s%s%s:%s", all ? all : "", all ? "," : "", kind, names[i]);
		free(all);
		all = more;
	}
	return all;
}

/* One with a new key; `names` NULL: an authority, or a client. */
static X509 *certificate(struct pki *p, const char *name, EVP_PKEY *key, const char *usage, const char *names)
{
	X509 *cert = X509_new();
	X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;
	bool is_ca = !usage;
	unsigned char serial[16];
	BIGNUM *number = NULL;
	int bad = !cert || RAND_bytes(serial, sizeof serial) != 1;

	serial[0] &= 0x7f;
	number = bad ? NULL : BN_bin2bn(serial, sizeof serial, NULL);
	bad = bad || !number || X509_set_version(cert, 2) != 1 ||
	      !BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) ||
	      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) != 1 ||
	      X509_set_issuer_name(cert, is_ca ? subject : X509_get_subject_name(p->ca)) != 1 ||
	      !X509_gmtime_adj(X509_getm_notBefore(cert), -3600) ||	/* clocks differ */
	      !X509_time_adj_ex(X509_getm_notAfter(cert), p->days, 0, NULL) || X509_set_pubkey(cert, key) != 1;
	BN_free(number);
	bad = bad || extension(cert, cert, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") ||
	      extension(cert, cert, NID_key_usage, is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") ||
	      extension(cert, cert, NID_subject_key_identifier, "hash") ||
	      extension(cert, is_ca ? cert : p->ca, NID_authority_key_identifier, "keyid") ||
	      (usage && extension(cert, cert, NID_ext_key_usage, usage)) ||
	      (names && extension(cert, cert, NID_subject_alt_name, names)) ||
	      !X509_sign(cert, is_ca ? key : p->ca_key, EVP_sha256());
	if (!bad)
		return cert;
	errno = 0;
	tls_fail("cannot make a certificate for", name);
	X509_free(cert);
	return NULL;
}

static EVP_PKEY *key_new(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	errno = 0;
	if (!key)
		tls_fail("cannot make", "a key");
	return key;
}

/* ---- who gets what ---- */

/* The authority that is there, or a new one. */
static int authority(struct pki *p)
{
	char *cert = text_format("%s/ca-cert.pem", p->folder), *key = text_format("%s/ca-key.pem", p->folder);
	FILE *c = cert ? fopen(cert, "re") : NULL, *k = key ? fopen(key, "re") : NULL;
	int err = -1;

	errno = 0;
	if (c && k) {
		p->ca = PEM_read_X509(c, NULL, NULL, NULL);
		p->ca_key = PEM_read_PrivateKey(k, NULL, NULL, NULL);
		err = p->ca && p->ca_key && X509_check_private_key(p->ca, p->ca_key) == 1 ? 0 :
		      tls_fail("no authority is in", cert);
	} else if (c || k) {
		say("tls-init: %s is there, but not %s.", c ? cert : key, c ? key : cert);
	} else {
		p->ca_key = key_new();
		p->ca = p->ca_key ? certificate(p, "ndm authority", p->ca_key, NULL, NULL) : NULL;
		err = p->ca && !put(p->folder, "ca-key.pem", NULL, p->ca_key) ?
		      put(p->folder, "ca-cert.pem", p->ca, NULL) : -1;
	}
	if (c)
		fclose(c);
	if (k)
		fclose(k);
	free(cert);
	free(key);
	return err;
}

static int server(struct pki *p)
{
	char *names = alternative_names(p->server, p->nserver);
	EVP_PKEY *key = names ? key_new() : NULL;
	X509 *cert = key ? certificate(p, p->server[0], key, "serverAuth", names) : NULL;
	int err = cert && !put(p->folder, "server-key.pem", NULL, key) ?
		  put(p->folder, "server-cert.pem", cert, NULL) : -1;

	X509_free(cert);
	EVP_PKEY_free(key);
	free(names);
	return err;
}

static int client(struct pki *p, const char *name, bool first)
{
	char *folder = text_format("%s/%s", p->folder, name);
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int err = -1;

	errno = 0;
	if (!folder || mkdir(folder, 0700)) {
		tls_fail("cannot make folder", folder ? folder : name);
	} else {
		key = key_new();
		cert = key ? certificate(p, name, key, "clientAuth", NULL) : NULL;
		err = cert && !put(folder, "ca-cert.pem", p->ca, NULL) && !put(folder, "client-key.pem", NULL, key) ?
		      put(folder, "client-cert.pem", cert, NULL) : -1;
	}
	if (!err && first)
		err = put(p->folder, "client-key.pem", NULL, key) ? -1 : put(p->folder, "client-cert.pem", cert, NULL);
	X509_free(cert);
	EVP_PKEY_free(key);
	free(folder);
	return err;
}

static bool has_file(const struct pki *p, const char *name)
{
	char *path = text_format("%s/%s", p->folder, name);
	bool found = path && !access(path, F_OK);

	free(path);
	return found;
}

static int make_all(struct pki *p)
{
	unsigned i;
	int err;

	errno = 0;
	if (mkdir(p->folder, 0700) && errno != EEXIST)
		return tls_fail("cannot make folder", p->folder);
	err = authority(p);
	if (!err && p->nserver)
		err = server(p);
	for (i = 0; i < p->nclient && !err; i++)
		err = client(p, p->client[i], !has_file(p, "client-cert.pem"));
	return err;
}

/* ---- the word ---- */

static int usage(void)
{
	say("usage: ndm tls-init FOLDER [--server NAME|ADDRESS]... [--client NAME]... [--days N]");
	return 1;
}

/* Of a client a folder is named, and it goes into a certificate: nothing odd. */
static bool name_good(const char *s)
{
	return *s && *s != '.' && *s != '-' && strlen(s) <= 64 &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:*")];
}

static bool name_take(const char *s, const char **names, unsigned *n)
{
	if (!name_good(s) || *n == NAMES_MAX) {
		say("tls-init: '%s' cannot be used as a name.", s);
		return false;
	}
	names[(*n)++] = s;
	return true;
}

int tls_init_main(struct client *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "server", 1, NULL, 's' }, { "client", 1, NULL, 'c' }, { "days", 1, NULL, 'd' }, { 0 }
	};
	struct pki p = { .days = DAYS };
	char *end;
	int letter, err;

	(void)c;
	optind = 0;
	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (letter == 's' && !name_take(optarg, p.server, &p.nserver))
			return 1;
		if (letter == 'c' && !name_take(optarg, p.client, &p.nclient))
			return 1;
		if (letter == 'd')
			p.days = strtol(optarg, &end, 10);
		if (letter == '?' || (letter == 'd' && (*end || p.days < 1 || p.days > 36500)))
			return usage();
	}
	if (argc - optind != 1)
		return usage();
	p.folder = argv[optind];
	if (!p.nserver && !p.nclient)
		p.server[p.nserver++] = "localhost";
	err = make_all(&p);
	X509_free(p.ca);
	EVP_PKEY_free(p.ca_key);
	return err ? 1 : 0;
}
