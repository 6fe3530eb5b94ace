/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-aead-esp.c - ciphers with authentication as IPsec uses them: a salt is the key's end, the IV
 * has 8 bytes, and stands at the end of the associated data, where it is not counted.
 *
 *	rfc4106(gcm(..))	salt of 4 bytes, then the IV, is the inner IV
 *	rfc4309(ccm(..))	3, salt of 3 bytes, the IV, room for the length
 *	rfc4543(gcm(aes))	only authenticates: the data is associated data, the IV too
 *	rfc7539esp(..,..)	as rfc4106, for chacha20 and poly1305
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define IV 8
#define UNIT_MAX 4096
#define AAD_MAX 64

enum esp_kind { ESP_GCM, ESP_CCM, ESP_GMAC, ESP_CHACHA };

struct esp {
	struct ndm_aead aead;
	struct ndm_aead *inner;
	enum esp_kind kind;
	uint8_t salt[4];
	uint8_t *work;			/* gmac: associated data and the unit in one piece */
};

static unsigned salt_bytes(const struct esp *e)
{
	return e->kind == ESP_CCM ? 3 : 4;
}

static int esp_setkey(struct ndm_aead *a, const uint8_t *key, size_t bytes, size_t mac_bytes)
{
	struct esp *e = (struct esp *)a;
	unsigned salt = salt_bytes(e);

	if (mac_bytes || bytes < salt)
		return -EINVAL;
	memcpy(e->salt, key + bytes - salt, salt);
	e->inner->tag_bytes = a->tag_bytes;
	return e->inner->ops->setkey(e->inner, key, bytes - salt, 0);
}

static int gmac(struct esp *e, bool encrypt, uint8_t *iv, const uint8_t *aad, size_t aad_bytes, const uint8_t *in,
		uint8_t *out, size_t bytes, uint8_t *tag)
{
	if (aad_bytes > AAD_MAX || bytes > UNIT_MAX)
		return -EINVAL;
	memcpy(e->work, aad, aad_bytes);
	memcpy(e->work + aad_bytes, in, bytes);
	if (in != out)
		memcpy(out, in, bytes);
	return e->inner->ops->crypt(e->inner, encrypt, iv, e->work, aad_bytes + bytes, out, out, 0, tag);
}

static int esp_crypt(struct ndm_aead *a, bool encrypt, uint8_t *iv, const uint8_t *aad, size_t aad_bytes, const uint8_t *in,
		     uint8_t *out, size_t bytes, uint8_t *tag)
{
	struct esp *e = (struct esp *)a;
	uint8_t inner[16] = { 0 }, *at = inner;

	if (aad_bytes < IV)
		return -EINVAL;
	if (e->kind == ESP_CCM)
		*at++ = 3;
	memcpy(at, e->salt, salt_bytes(e));
	memcpy(at + salt_bytes(e), iv, IV);
	e->inner->tag_bytes = a->tag_bytes;
	if (e->kind == ESP_GMAC)
		return gmac(e, encrypt, inner, aad, aad_bytes, in, out, bytes, tag);
	return e->inner->ops->crypt(e->inner, encrypt, inner, aad, aad_bytes - IV, in, out, bytes, tag);
}

static void esp_free(struct ndm_aead *a)
{
	struct esp *e = (struct esp *)a;

	ndm_aead_free(e->inner);
	ndm_secret_free(e->work, AAD_MAX + UNIT_MAX);
	ndm_secret_free(e, sizeof *e);
}

static const struct ndm_aead_ops esp_ops = {
	.setkey = esp_setkey,
	.crypt = esp_crypt,
	.free = esp_free,
};

static int esp_inner(struct esp *e, const char *inside)
{
	char name[NDM_CIPHER_NAME_MAX + 12];
	unsigned wanted = e->kind == ESP_CCM ? 16 : 12;
	int err;

	snprintf(name, sizeof name, e->kind == ESP_CHACHA ? "rfc7539(%s)" : "%s", inside);
	err = ndm_aead_new(name, &e->inner);
	if (!err && (e->inner->iv_bytes != wanted || e->inner->block_bytes != 1))
		err = -EINVAL;
	if (!err && e->kind == ESP_GMAC) {
		e->work = ndm_secret_alloc(AAD_MAX + UNIT_MAX);
		err = e->work ? 0 : -ENOMEM;
	}
	return err;
}

int aead_make_esp(const char *name, struct ndm_aead **out)
{
	static const struct { const char *outer; uint32_t tags; } kinds[] = {
		[ESP_GCM] = { "rfc4106", TAGS_ESP }, [ESP_CCM] = { "rfc4309", TAGS_ESP }, [ESP_GMAC] = { "rfc4543", 1u << 16 },
		[ESP_CHACHA] = { "rfc7539esp", 1u << 16 },
	};
	char inside[NDM_CIPHER_NAME_MAX];
	struct esp *e;
	unsigned i;
	int err;

	for (i = 0; i < 4 && !cipher_name_inside(name, kinds[i].outer, inside); i++)
		;
	if (i == 4)
		return -ENOENT;
	e = ndm_secret_alloc(sizeof *e);
	if (!e)
		return -ENOMEM;
	e->kind = i;
	err = esp_inner(e, inside);
	if (err) {
		esp_free(&e->aead);
		return err;
	}
	e->aead = (struct ndm_aead){ .ops = &esp_ops, .block_bytes = 1, .iv_bytes = IV, .tag_min = 8, .tag_max = 16,
				     .tag_bytes = 16, .tag_sizes = kinds[i].tags, .mb_per_s = e->inner->mb_per_s };
	*out = &e->aead;
	return 0;
}
