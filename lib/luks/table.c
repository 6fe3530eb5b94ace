/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - an opened LUKS device as lines of a device-mapper table: nothing else is left of
 * the format then.  Sectors of 4096 bytes count IVs in 512-byte units: LUKS2 never says
 * iv_large_sectors.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/luks/luks.h"

struct capi {				/* a cipher with metadata, as dm-crypt wants it */
	char name[2 * LUKS_NAME_BYTES + 32];
	unsigned tag_bytes;		/* authentication and stored IV */
	bool aead;
};

bool ndm_luks_has_integrity(const struct ndm_luks *l)
{
	return l->segment[0].used && l->segment[0].integrity[0];
}

/* bytes of the MAC */
static int mac_bytes(const char *integrity)
{
	struct ndm_hash *h;
	int bytes;

	if (!strcmp(integrity, "none"))
		return 0;
	if (!strcmp(integrity, "aead") || !strcmp(integrity, "poly1305"))
		return 16;
	if (ndm_hash_new(integrity, &h))
		return -EINVAL;
	bytes = ndm_hash_bytes(h);
	ndm_hash_free(h);
	return bytes;
}

/* "aes-xts-random" and "hmac(sha256)" -> "capi:authenc(hmac(sha256),xts(aes))-random" */
static int capi_name(struct ndm_luks *l, const struct luks_segment *s, struct capi *c)
{
	char cipher[LUKS_NAME_BYTES], *mode, *iv;
	int tag = mac_bytes(s->integrity), iv_bytes = 16;

	snprintf(cipher, sizeof cipher, "%s", s->cipher);
	iv = strrchr(cipher, '-');
	if (tag < 0 || !iv)
		return luks_fail(l, -EINVAL, "cipher %s with integrity %s is not known", s->cipher,
				 s->integrity);
	*iv++ = 0;
	mode = strchr(cipher, '-');
	if (mode)
		*mode++ = 0;
	c->aead = strcmp(s->integrity, "none") != 0;
	if (!strcmp(s->integrity, "poly1305")) {
		snprintf(c->name, sizeof c->name, "capi:rfc7539(%s,poly1305)-%s", cipher, iv);
		iv_bytes = 12;
	} else if (!strcmp(s->integrity, "aead") || !c->aead) {
		if (mode)
			snprintf(c->name, sizeof c->name, "capi:%s(%s)-%s", mode, cipher, iv);
		else
			snprintf(c->name, sizeof c->name, "capi:%s-%s", cipher, iv);
		iv_bytes = mode && !strcmp(mode, "gcm") ? 12 : 16;
	} else {
		snprintf(c->name, sizeof c->name, "capi:authenc(%s,%s(%s))-%s", s->integrity,
			 mode ? mode : "cbc", cipher, iv);
	}
	c->tag_bytes = tag + (!strcmp(iv, "random") ? iv_bytes : 0);
	return 0;
}

/* dm-integrity's superblock: magic, version, ..., 8: tag bytes, 16: sectors of data; little-endian */
static int superblock_read(struct ndm_luks *l, struct ndm_luks_io *data, const struct luks_segment *s,
			   unsigned tag_bytes, uint64_t *nr)
{
	uint8_t sb[512];
	int err;

	if (s->offset + sizeof sb > data->bytes)
		return luks_fail(l, -EINVAL, "the device is too small: nothing is left for data");
	err = data->read(data, s->offset, sb, sizeof sb);
	if (err)
		return luks_fail(l, err, "cannot read the integrity superblock: %s", strerror(-err));
	if (memcmp(sb, "integrt", 8))
		return luks_fail(l, -EINVAL, "there is no integrity superblock at sector %" PRIu64,
				 s->offset >> 9);
	if ((unsigned)(sb[10] | sb[11] << 8) != tag_bytes)
		return luks_fail(l, -EINVAL, "the integrity device keeps %u bytes for each sector, not %u",
				 sb[10] | sb[11] << 8, tag_bytes);
	*nr = le64_get(sb + 16);
	return *nr && *nr <= data->bytes >> 9 ? 0 :
		luks_fail(l, -EINVAL, "the integrity superblock's size makes no sense");
}

static int integrity_line(struct ndm_luks *l, const struct ndm_luks_options *o, const struct capi *c,
			  uint64_t nr, bool fresh, struct ndm_luks_line *line)
{
	const struct luks_segment *s = &l->segment[0];
	struct ndm_str args = { 0 };

	ndm_printf(&args, "%s %" PRIu64 " %u %c %u", o->device, s->offset >> 9, c->tag_bytes,
		   o->no_journal || ndm_luks_flag(l, "no-journal") ? 'D' : 'J',
		   (s->sector_bytes > 512) + fresh);
	if (s->sector_bytes > 512)
		ndm_printf(&args, " block_size:%u", s->sector_bytes);
	if (fresh)
		ndm_printf(&args, " fix_padding");
	*line = (struct ndm_luks_line){ .nr = nr, .type = "integrity", .args = args.text };
	return args.text ? 0 : -ENOMEM;
}

int ndm_luks_integrity_line(struct ndm_luks *l, struct ndm_luks_io *data,
			    const struct ndm_luks_options *o, struct ndm_luks_line *line)
{
	uint64_t nr = 0;
	struct capi c;
	int err = capi_name(l, &l->segment[0], &c);

	err = err ? err : superblock_read(l, data, &l->segment[0], c.tag_bytes, &nr);
	return err ? err : integrity_line(l, o, &c, nr, false, line);
}

int ndm_luks_integrity_clear(struct ndm_luks *l, struct ndm_luks_io *data)
{
	static const uint8_t zeroes[4096];
	int err = data->write(data, l->segment[0].offset, zeroes, sizeof zeroes);

	err = err ? err : data->sync(data);
	return err ? luks_fail(l, err, "cannot clear the integrity superblock: %s", strerror(-err)) : 0;
}

/* 8 sectors: a table must have some length before anybody knows which */
int ndm_luks_integrity_format(struct ndm_luks *l, const struct ndm_luks_options *o,
			      struct ndm_luks_line *line)
{
	struct capi c;
	int err = capi_name(l, &l->segment[0], &c);

	return err ? err : integrity_line(l, o, &c, 8, true, line);
}

/* ---- the crypt line ---- */

static bool asked(const struct ndm_luks *l, bool given, const char *flag)
{
	return given || ndm_luks_flag(l, flag);
}

static void crypt_words(const struct ndm_luks *l, const struct luks_segment *s, const struct capi *c,
			const struct ndm_luks_options *o, struct ndm_str *args)
{
	struct ndm_str words = { 0 };
	unsigned n = 0;
	const struct { bool on; const char *word; } flags[] = {
		{ asked(l, o->discards, "allow-discards"), "allow_discards" },
		{ asked(l, o->same_cpu, "same-cpu-crypt"), "same_cpu_crypt" },
		{ asked(l, o->high_priority, "high-priority"), "high_priority" },
		{ asked(l, o->from_cpus, "submit-from-crypt-cpus"), "submit_from_crypt_cpus" },
		{ asked(l, o->no_read_queue, "no-read-workqueue"), "no_read_workqueue" },
		{ asked(l, o->no_write_queue, "no-write-workqueue"), "no_write_workqueue" },
	};

	for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++)
		if (flags[i].on) {
			ndm_printf(&words, " %s", flags[i].word);
			n++;
		}
	if (c) {
		ndm_printf(&words, " integrity:%u:%s", c->tag_bytes, c->aead ? "aead" : "none");
		n++;
	}
	if (s->sector_bytes != 512) {
		ndm_printf(&words, " sector_size:%u", s->sector_bytes);
		n++;
	}
	if (c && s->integrity_key_bytes) {
		ndm_printf(&words, " integrity_key_size:%u", s->integrity_key_bytes);
		n++;
	}
	if (n)
		ndm_printf(args, " %u%s", n, words.text);
	ndm_str_free(&words);
}

static char *crypt_args(struct ndm_luks *l, const struct luks_segment *s,
			const struct ndm_luks_options *o, const uint8_t *key, size_t key_bytes)
{
	struct ndm_str args = { 0 };
	struct capi c;
	size_t i;
	char *grown;

	if (*s->integrity && capi_name(l, s, &c))
		return NULL;
	if (luks_cipher_null(s->cipher))
		key_bytes = 0;
	ndm_printf(&args, "%s ", *s->integrity ? c.name : s->cipher);
	/* room first, so that no copy of the key stays behind in memory that was given back */
	grown = ndm_calloc(1, args.len + 2 * key_bytes + strlen(o->device) + 512);
	if (!grown) {
		ndm_str_free(&args);
		luks_fail(l, -ENOMEM, "no memory for the table");
		return NULL;
	}
	memcpy(grown, args.text, args.len);
	ndm_free(args.text);
	args.text = grown;
	args.cap = args.len + 2 * key_bytes + strlen(o->device) + 512;
	for (i = 0; i < key_bytes; i++)
		ndm_printf(&args, "%02x", key[i]);
	if (!key_bytes)
		ndm_printf(&args, "-");
	ndm_printf(&args, " %" PRIu64, s->iv_tweak + o->skip);
	if (*s->integrity)
		ndm_printf(&args, " %s 0", o->integrity_device);
	else
		ndm_printf(&args, " %s %" PRIu64, o->device, (s->offset >> 9) + o->skip);
	crypt_words(l, s, *s->integrity ? &c : NULL, o, &args);
	return args.text;
}

/* ---- all segments ---- */

static int segment_nr(struct ndm_luks *l, const struct luks_segment *s,
		      const struct ndm_luks_options *o, uint64_t *nr)
{
	uint64_t end = o->device_bytes;

	if (*s->integrity) {
		*nr = o->integrity_nr;
		return 0;
	}
	if (s->offset > end || s->bytes > end - s->offset)
		return luks_fail(l, -EINVAL, "the data would reach past the end of the device");
	*nr = (s->bytes ? s->bytes : end - s->offset) >> 9;
	if (o->skip >= *nr)
		return luks_fail(l, -EINVAL, "the device is too small: nothing is left for data");
	*nr -= o->skip;
	if (o->nr && o->nr < *nr)
		*nr = o->nr;
	*nr &= ~(uint64_t)((s->sector_bytes >> 9) - 1);
	return *nr ? 0 : luks_fail(l, -EINVAL, "the device is too small: nothing is left for data");
}

static int segment_line(struct ndm_luks *l, unsigned i, const struct ndm_luks_options *o,
			const uint8_t *key, size_t key_bytes, struct ndm_luks_line *line)
{
	const struct luks_segment *s = &l->segment[i];
	struct ndm_str args = { 0 };
	int err;

	if (s->hot)
		return luks_fail(l, -EBUSY, "a re-encryption was interrupted in segment %u: finish "
				 "it with 'cryptsetup reencrypt' first", i);
	err = segment_nr(l, s, o, &line->nr);
	if (err)
		return err;
	if (!s->crypt) {
		ndm_printf(&args, "%s %" PRIu64, o->device, s->offset >> 9);
		line->type = "linear";
		line->args = args.text;
		return 0;
	}
	line->type = "crypt";
	line->args = crypt_args(l, s, o, key, key_bytes);
	return line->args ? 0 : -ENOMEM;
}

/* The one of the two keys that segment i's digest is of. */
static int segment_key(struct ndm_luks *l, unsigned i, const struct ndm_luks_options *o,
		       const uint8_t **key, size_t *key_bytes)
{
	const struct tree *t, *digests = luks_tree_get(l->json, "digests");
	char name[12];
	unsigned id;

	snprintf(name, sizeof name, "%u", i);
	for (t = digests ? digests->child : NULL; t && l->version == 2 && l->segment[i].crypt; t = t->next) {
		if (sscanf(t->name, "%u", &id) != 1 || id >= LUKS_SEGMENTS || !l->digest[id].used ||
		    !luks_tree_has_text(luks_tree_get(t, "segments"), name))
			continue;
		if (!luks_check_digest(&l->digest[id], *key, *key_bytes))
			return 0;
		if (!o->other_key || luks_check_digest(&l->digest[id], o->other_key, o->other_key_bytes))
			return luks_fail(l, -EOPNOTSUPP, "segment %u has another key: the device is being "
					 "re-encrypted, finish with 'cryptsetup reencrypt'", i);
		*key = o->other_key;
		*key_bytes = o->other_key_bytes;
		return 0;
	}
	return 0;
}

int ndm_luks_lines(struct ndm_luks *l, const struct ndm_luks_options *o, const uint8_t *key,
		   size_t key_bytes, struct ndm_luks_line **out, unsigned *n)
{
	struct ndm_luks_line *lines = ndm_calloc(LUKS_SEGMENTS, sizeof *lines);
	uint64_t at = 0;
	unsigned i;
	int err = lines ? 0 : -ENOMEM;

	*n = 0;
	for (i = 0; i < LUKS_SEGMENTS && !err; i++) {
		const uint8_t *its = key;
		size_t its_bytes = key_bytes;

		if (!l->segment[i].used || l->segment[i].backup)
			continue;
		err = segment_key(l, i, o, &its, &its_bytes);
		if (err)
			break;
		lines[*n].start = at;
		err = segment_line(l, i, o, its, its_bytes, &lines[*n]);
		at += lines[*n].nr;
		*n += !err;
	}
	if (err) {
		ndm_luks_lines_free(lines, *n);
		return err;
	}
	*out = lines;
	return 0;
}

void ndm_luks_lines_free(struct ndm_luks_line *lines, unsigned n)
{
	while (lines && n--)
		ndm_luks_text_free(lines[n].args);
	ndm_free(lines);
}
