/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypt.c - dm-crypt's cipher specification and keys; crypt-run.c does the sectors.
 *
 * The key's bytes: one part for each cipher object (keycount of them, the sector's number says
 * which), then what the IV mode wants: elephant the second half, lmk a 65th part, tcw an IV
 * seed and whitening.  With authenc() a part is the cipher's key, then the MAC's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/crypt-inside.h"

#define CIPHER_TEXT_MAX 512

/* ---- the specification, taken apart as the kernel does ---- */

struct parsed {
	char text[CIPHER_TEXT_MAX];
	char api[NDM_CIPHER_NAME_MAX];
	const char *ivmode, *ivopts;
	unsigned keys;
};

static int fail(const char **why, int err, const char *sentence)
{
	*why = sentence;
	return err;
}

static char *cut(char **rest, char at)
{
	char *word = *rest, *end = word ? strchr(word, at) : NULL;

	if (end)
		*end++ = 0;
	*rest = end;
	return word;
}

/* authenc(MAC,...): the kernel looks for the MAC first, to know how long its key is */
static int check_mac(const char *api, const char **why)
{
	char name[NDM_CIPHER_NAME_MAX];
	const char *mac = api + strlen("authenc("), *comma;
	struct ndm_hash *h;
	int err;

	if (strncmp(api, "authenc(", strlen("authenc(")))
		return 0;
	comma = strchr(mac, ',');
	if (!comma || (size_t)(comma - mac) >= sizeof name)
		return fail(why, -EINVAL, "Invalid AEAD cipher spec");
	memcpy(name, mac, comma - mac);
	name[comma - mac] = 0;
	err = ndm_hash_new(name, &h);
	if (err)
		return fail(why, err, "Invalid AEAD cipher spec");
	ndm_hash_free(h);
	return 0;
}

/* capi:API-ivmode:ivopts */
static int parse_new(const struct ndm_crypt_spec *spec, struct parsed *p, const char **why)
{
	char *api = p->text + strlen("capi:"), *opts = strrchr(api, ':'), *mode;
	int n, err;

	if (opts)
		*opts++ = 0;
	mode = strrchr(api, '-');
	if (mode)
		*mode++ = 0;
	p->ivmode = mode;
	p->ivopts = opts;
	p->keys = 1;
	err = spec->aead ? check_mac(api, why) : 0;
	if (err)
		return err;
	if (mode && !strcmp(mode, "lmk")) {
		if (spec->aead)
			return fail(why, -EINVAL, "AEAD transforms not supported for LMK");
		p->keys = 64;
	}
	if (mode && !strcmp(mode, "essiv")) {
		if (!opts)
			return fail(why, -EINVAL, "Digest algorithm missing for ESSIV mode");
		n = snprintf(p->api, sizeof p->api, "essiv(%s,%s)", api, opts);
	} else {
		n = snprintf(p->api, sizeof p->api, "%s", api);
	}
	if (n < 0 || (size_t)n >= sizeof p->api)
		return fail(why, -ENOMEM, "Cannot allocate cipher string");
	return 0;
}

/* A number of keys: a power of 2.  More than 2^16 are refused: nobody could give them. */
static int parse_keycount(const char *text, unsigned *keys)
{
	unsigned n;
	char extra;

	if (sscanf(text, "%u%c", &n, &extra) != 1 || !n || n & (n - 1) || n > 1u << 16)
		return -EINVAL;
	*keys = n;
	return 0;
}

/* cipher[:keycount]-mode-ivmode[:ivopts] */
static int parse_old(const struct ndm_crypt_spec *spec, struct parsed *p, const char **why)
{
	char *rest = p->text, *keycount, *cipher, *chain;
	int n;

	if (strchr(p->text, '(') || spec->aead)
		return fail(why, -EINVAL, "Bad cipher specification");
	keycount = cut(&rest, '-');
	cipher = cut(&keycount, ':');
	p->keys = 1;
	if (keycount && parse_keycount(keycount, &p->keys))
		return fail(why, -EINVAL, "Bad cipher key count specification");
	chain = cut(&rest, '-');
	p->ivmode = cut(&rest, ':');
	p->ivopts = rest;
	if (!chain || (!strcmp(chain, "plain") && !p->ivmode)) {
		chain = (char *)"cbc";		/* the format of the first dm-crypt */
		p->ivmode = "plain";
	}
	if (strcmp(chain, "ecb") && !p->ivmode)
		return fail(why, -EINVAL, "IV mechanism required");
	if (p->ivmode && !strcmp(p->ivmode, "essiv")) {
		if (!p->ivopts)
			return fail(why, -EINVAL, "Digest algorithm missing for ESSIV mode");
		n = snprintf(p->api, sizeof p->api, "essiv(%s(%s),%s)", chain, cipher, p->ivopts);
	} else {
		n = snprintf(p->api, sizeof p->api, "%s(%s)", chain, cipher);
	}
	if (n < 0 || (size_t)n >= sizeof p->api)
		return fail(why, -ENOMEM, "Cannot allocate cipher strings");
	return 0;
}

static int parse(const struct ndm_crypt_spec *spec, struct parsed *p, const char **why)
{
	if (strlen(spec->cipher) >= sizeof p->text)
		return fail(why, -ENOMEM, "Cannot allocate cipher strings");
	memcpy(p->text, spec->cipher, strlen(spec->cipher) + 1);
	if (!strncmp(p->text, "capi:", 5))
		return parse_new(spec, p, why);
	return parse_old(spec, p, why);
}

/* ---- ciphers ---- */

static int lane_new(struct ndm_crypt *c, struct crypt_lane *lane, const char *api)
{
	unsigned i;
	int err;

	if (c->spec.aead)
		return ndm_aead_new(api, &lane->aead);
	lane->ciphers = ndm_calloc(c->keys, sizeof *lane->ciphers);
	if (!lane->ciphers)
		return -ENOMEM;
	for (i = 0; i < c->keys; i++) {
		err = ndm_cipher_new(api, &lane->ciphers[i]);
		if (err)
			return err;
	}
	return 0;
}

static void lane_free(struct ndm_crypt *c, struct crypt_lane *lane)
{
	unsigned i;

	ndm_aead_free(lane->aead);
	for (i = 0; lane->ciphers && i < c->keys; i++)
		ndm_cipher_free(lane->ciphers[i]);
	ndm_free(lane->ciphers);
	ndm_cipher_free(lane->elephant);
}

/* A sector must be a whole number of the cipher's blocks; all of them have powers of 2 but one. */
static unsigned crypt_block_bytes(const struct ndm_crypt *c)
{
	return c->spec.aead ? c->lane->aead->block_bytes : c->lane->ciphers[0]->block_bytes;
}

static int crypt_choose_iv(struct ndm_crypt *c, const char *name, const char **why)
{
	struct ivgen *g = &c->iv;

	g->sector_bytes = c->spec.sector_bytes;
	g->iv_bytes = c->spec.aead ? c->lane->aead->iv_bytes : c->lane->ciphers[0]->iv_bytes;
	g->mode = IV_NONE;
	if (!g->iv_bytes || !name)		/* a mode given in vain is forgotten */
		return 0;
	if (ivgen_mode_parse(name, &g->mode))
		return fail(why, -EINVAL, "Invalid IV mode");
	c->key_parts = c->keys;
	switch (g->mode) {
	case IV_ELEPHANT:
		c->key_parts = 2;
		c->key_extra = c->spec.key_bytes / 2;
		if (c->key_extra > ELEPHANT_KEY_MAX)
			return fail(why, -EINVAL, "Invalid key size for elephant");
		break;
	case IV_LMK:
		if (c->spec.key_bytes % c->key_parts) {
			c->key_parts++;
			c->key_extra = c->spec.key_bytes / c->key_parts;
		}
		break;
	case IV_TCW:
		c->key_extra = g->iv_bytes + TCW_WHITENING_BYTES;
		break;
	case IV_RANDOM:
		c->iv_stored = g->iv_bytes;
		break;
	default:
		break;
	}
	return 0;
}

static int crypt_lanes(struct ndm_crypt *c, const char *api)
{
	unsigned i;
	int err = 0;

	c->lane = ndm_calloc(c->spec.lanes, sizeof *c->lane);
	if (!c->lane)
		return -ENOMEM;
	for (i = 0; i < c->spec.lanes && !err; i++)
		err = lane_new(c, &c->lane[i], api);
	return err;
}

int ndm_crypt_new(const struct ndm_crypt_spec *spec, struct ndm_crypt **out, const char **why)
{
	struct ndm_crypt *c = ndm_secret_alloc(sizeof *c);
	struct parsed p;
	int err;

	if (!c)
		return fail(why, -ENOMEM, "Cannot allocate encryption context");
	c->spec = *spec;
	c->spec.cipher = NULL;			/* the caller's; not kept */
	c->shift = spec->sector_bytes == 512 ? 0 : spec->sector_bytes == 1024 ? 1 :
		   spec->sector_bytes == 2048 ? 2 : 3;
	err = parse(spec, &p, why);
	if (err)
		goto bad;
	c->keys = p.keys;
	c->essiv_authenc = !strncmp(spec->cipher, "capi:essiv(authenc(", 19);
	err = crypt_lanes(c, p.api);
	if (err) {
		*why = "Error allocating crypto tfm";
		goto bad;
	}
	if (spec->aead)
		c->mac_bytes = spec->mac_key_bytes ? spec->mac_key_bytes
						   : c->lane->aead->mac_key_bytes;
	err = crypt_choose_iv(c, p.ivmode, why);
	if (err)
		goto bad;
	c->tag_bytes = spec->aead && spec->tag_bytes > c->iv_stored
		? spec->tag_bytes - c->iv_stored : 0;
	*out = c;
	return 0;
bad:
	ndm_crypt_free(c);
	return err;
}

void ndm_crypt_free(struct ndm_crypt *c)
{
	unsigned i;

	if (!c)
		return;
	for (i = 0; c->lane && i < c->spec.lanes; i++)
		lane_free(c, &c->lane[i]);
	ndm_free(c->lane);
	ndm_secret_free(c, sizeof *c);
}

/* ---- keys ---- */

static int lane_set_key(struct ndm_crypt *c, struct crypt_lane *lane, const uint8_t *key, size_t part)
{
	unsigned i;
	int err = 0, one;

	if (lane->aead)
		return lane->aead->ops->setkey(lane->aead, key, part, c->mac_bytes);
	for (i = 0; i < c->keys; i++) {
		one = ndm_cipher_setkey(lane->ciphers[i], key + i * part, part);
		err = one ? one : err;
	}
	return err;
}

/* What the IV mode keeps of the key. */
static void crypt_keep_seeds(struct ndm_crypt *c, const uint8_t *key)
{
	const uint8_t *extra = key + c->spec.key_bytes - c->key_extra;

	ndm_secret_wipe(c->iv.seed, sizeof c->iv.seed);
	ndm_secret_wipe(c->extra, sizeof c->extra);
	if (c->iv.mode == IV_LMK && c->key_extra) {
		extra = key + c->keys * (c->spec.key_bytes / c->key_parts);
		memcpy(c->iv.seed, extra, c->key_extra < 16 ? c->key_extra : 16);
		c->iv.seeded = true;
	} else if (c->iv.mode == IV_TCW) {
		memcpy(c->iv.seed, extra, c->iv.iv_bytes);
		memcpy(c->iv.whitening, extra + c->iv.iv_bytes, TCW_WHITENING_BYTES);
	} else if (c->iv.mode == IV_ELEPHANT) {
		memcpy(c->extra, extra, c->key_extra);
	}
}

int ndm_crypt_set_key(struct ndm_crypt *c, const uint8_t *key)
{
	size_t part;
	unsigned i;
	int err = 0;

	c->keyed = false;
	if (c->key_extra > c->spec.key_bytes)
		return -EINVAL;
	part = (c->spec.key_bytes - c->key_extra) / c->keys;
	/* only the key of a name that begins with authenc( is put together as that wants it */
	if (c->essiv_authenc || (c->spec.aead && c->mac_bytes > part))
		return -EINVAL;
	for (i = 0; i < c->spec.lanes && !err; i++)
		err = lane_set_key(c, &c->lane[i], key, part);
	if (err)
		return err;
	crypt_keep_seeds(c, key);
	c->keyed = true;
	return 0;
}

static int crypt_init_elephant(struct ndm_crypt *c)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < c->spec.lanes && !err; i++) {
		struct crypt_lane *lane = &c->lane[i];

		if (!lane->elephant)
			err = ndm_cipher_new("ecb(aes)", &lane->elephant);
		err = err ? err : ndm_cipher_setkey(lane->elephant, c->extra, c->key_extra);
	}
	return err;
}

/* The kernel has finer sentences for some of these, but says this one over them. */
int ndm_crypt_init_iv(struct ndm_crypt *c, const char **why)
{
	unsigned block = crypt_block_bytes(c);
	bool bad = false;

	switch (c->iv.mode) {
	case IV_BENBI:
		bad = !block || block & (block - 1) || block > 512;
		while (!bad && 512u >> c->iv.benbi_shift > block)
			c->iv.benbi_shift++;
		break;
	case IV_LMK:
		bad = c->spec.sector_bytes != 512 || c->iv.iv_bytes > 16;
		break;
	case IV_TCW:
		bad = c->spec.sector_bytes != 512 ||
		      c->spec.key_bytes <= c->iv.iv_bytes + TCW_WHITENING_BYTES;
		break;
	case IV_EBOIV:
	case IV_ELEPHANT:
		bad = c->spec.aead || block != (c->iv.iv_bytes < 8 ? 8 : c->iv.iv_bytes);
		break;
	default:
		break;
	}
	if (bad)
		return fail(why, -EINVAL, "Error creating IV");
	if (c->iv.mode == IV_ELEPHANT && crypt_init_elephant(c))
		return fail(why, -EINVAL, "Error initialising IV");
	return 0;
}

/* Random keys take the place of the old ones, so that nothing of them is left in the library's. */
void ndm_crypt_wipe(struct ndm_crypt *c)
{
	uint8_t *noise = ndm_secret_alloc(c->spec.key_bytes);

	if (noise && !ndm_secret_random(noise, c->spec.key_bytes) && c->spec.key_bytes) {
		ndm_crypt_set_key(c, noise);
		if (c->iv.mode == IV_ELEPHANT)
			crypt_init_elephant(c);
	}
	ndm_secret_free(noise, c->spec.key_bytes);
	c->keyed = false;
}

/* ---- metadata ---- */

bool ndm_crypt_tagged(const struct ndm_crypt *c)
{
	return c->spec.aead || c->iv_stored;
}

int ndm_crypt_set_tuple(struct ndm_crypt *c, unsigned tuple_bytes, const char **why)
{
	unsigned i;

	if (c->spec.tag_bytes > tuple_bytes)
		return fail(why, -EINVAL, "Integrity profile tag size mismatch.");
	if (c->spec.aead) {
		if (c->spec.tag_bytes <= c->iv_stored)
			return fail(why, -EINVAL, "Integrity AEAD auth tag size is not supported.");
		for (i = 0; i < c->spec.lanes; i++)
			if (ndm_aead_set_tag(c->lane[i].aead, c->tag_bytes))
				return fail(why, -EINVAL,
					    "Integrity AEAD auth tag size is not supported.");
	}
	if (c->tag_bytes + c->iv_stored > tuple_bytes)
		return fail(why, -EINVAL, "Not enough space for integrity tag in the profile.");
	c->tuple_bytes = tuple_bytes;
	return 0;
}
