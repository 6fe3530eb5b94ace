/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.c - the key of a crypt target: hexadecimal, "-" for none, or ":SIZE:TYPE:DESCRIPTION" of
 * the keyring; and the messages that change it while the device is suspended.
 *
 * Text that held a key is overwritten as soon as it has been read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "targets/crypt/crypt.h"

#define KEY_BYTES_MAX (1 << 20)

int crypt_key_size(char **text)
{
	char *colon, dummy;
	int bytes;

	if (**text != ':')
		return strlen(*text) >> 1;
	colon = strchr(*text + 1, ':');
	if (!colon || sscanf(*text + 1, "%d%c", &bytes, &dummy) != 2 || dummy != ':' || bytes < 0)
		return -EINVAL;
	if (bytes > KEY_BYTES_MAX)
		return -EINVAL;
	*text = colon;
	return bytes;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int key_from_hex(const char *text, uint8_t *key, size_t bytes)
{
	int high, low;

	for (; bytes; bytes--, text += 2) {
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return -EINVAL;
		*key++ = high << 4 | low;
	}
	return 0;
}

/* name: "type:description" */
static int key_from_keyring(struct crypt *c, const char *name)
{
	static const char *const types[] = { "logon", "user", "encrypted", "trusted", NULL };
	const char *colon = strchr(name, ':'), *p;
	char *type;
	int i, n;

	for (p = name; *p; p++)
		if (isspace((unsigned char)*p))
			return -EINVAL;
	if (!colon || colon == name || !colon[1])
		return -EINVAL;
	type = ndm_strdup(name);
	if (!type)
		return -ENOMEM;
	type[colon - name] = 0;
	for (i = 0; types[i] && strcmp(types[i], type); i++)
		;
	n = types[i] ? ndm_key_read(c->ti->loop, type, colon + 1, c->key, c->key_bytes) : -EINVAL;
	ndm_free(type);
	if (n < 0)
		return n;
	return (size_t)n == c->key_bytes ? 0 : -EINVAL;
}

static int key_set_keyring(struct crypt *c, const char *name)
{
	char *copy = ndm_strdup(name);
	int err = copy ? key_from_keyring(c, name) : -ENOMEM;

	if (!err) {
		c->key_valid = false;
		err = ndm_crypt_set_key(c->crypt, c->key);
	}
	ndm_secret_wipe(c->key, c->key_bytes);
	if (err) {
		ndm_free(copy);
		return err;
	}
	ndm_free(c->keyring);
	c->keyring = copy;
	c->key_valid = true;
	return 0;
}

static int key_set_hex(struct crypt *c, const char *text)
{
	int err;

	c->key_valid = false;
	ndm_free(c->keyring);
	c->keyring = NULL;
	err = key_from_hex(text, c->key, c->key_bytes);
	err = err ? err : ndm_crypt_set_key(c->crypt, c->key);
	c->key_valid = !err;
	return err;
}

int crypt_key_set(struct crypt *c, char *text)
{
	size_t len = strlen(text);
	int err;

	if (!c->key_bytes && strcmp(text, "-"))
		err = -EINVAL;
	else if (*text == ':')
		err = key_set_keyring(c, text + 1);
	else
		err = key_set_hex(c, text);
	memset(text, '0', len);
	return err;
}

/* ---- messages ---- */

static int message_set(struct crypt *c, char *text)
{
	const char *why;
	int bytes = crypt_key_size(&text), err;

	if (bytes < 0 || (size_t)bytes != c->key_bytes) {
		memset(text, '0', strlen(text));
		return -EINVAL;
	}
	err = crypt_key_set(c, text);
	return err ? err : ndm_crypt_init_iv(c->crypt, &why);
}

static int message_wipe(struct crypt *c)
{
	c->key_valid = false;
	ndm_crypt_wipe(c->crypt);
	ndm_secret_wipe(c->key, c->key_bytes);
	ndm_free(c->keyring);
	c->keyring = NULL;
	return 0;
}

int crypt_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct crypt *c = ti->private_data;

	(void)reply;
	if (argc >= 2 && !strcasecmp(argv[0], "key")) {
		if (!c->suspended) {
			ndm_warn(ti, "not suspended during key manipulation.");
			return -EINVAL;
		}
		if (argc == 3 && !strcasecmp(argv[1], "set"))
			return message_set(c, argv[2]);
		if (argc == 2 && !strcasecmp(argv[1], "wipe"))
			return message_wipe(c);
	}
	ndm_warn(ti, "unrecognised message received.");
	return -EINVAL;
}
