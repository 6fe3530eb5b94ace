/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open.c - from a header and a passphrase to a mapped device; closing, resizing, looking at it.
 *
 * With LUKS2 integrity there are two devices: NAME_dif keeps the metadata, NAME stands on it.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- unlocking ---- */

/* kept: the passphrase that worked, for who wants it; NULL: not wanted */
int unlock(struct cs *cs, struct ndm_luks *l, const char *device, uint8_t *key, size_t *key_bytes,
	   struct secret *kept)
{
	struct secret s = { 0 };
	unsigned tries = 0;
	int slot, err;

	do {
		secret_free(&s);
		err = secret_for(cs, device, &s);
		if (err)
			return err;
		slot = ndm_luks_unlock(l, number(cs, CS_KEY_SLOT, -1), s.bytes, s.n, key, key_bytes);
		if (slot < 0)
			say("%s", ndm_luks_why(l));
	} while (slot < 0 && secret_may_ask_again(cs, slot, ++tries));
	if (slot >= 0 && cs->verbose)
		printf("Key slot %d unlocked.\n", slot);
	if (slot >= 0 && kept)
		*kept = s;
	else
		secret_free(&s);
	return slot < 0 ? slot : 0;
}

/* --volume-key-file: nothing to unlock, but it must be the right one */
static int key_from_file(struct cs *cs, struct ndm_luks *l, uint8_t *key, size_t *key_bytes)
{
	struct secret s;
	int err = secret_read(cs, "", false, text(cs, CS_VOLUME_KEY_FILE), CS_END - 1, CS_END - 1, &s);

	if (err)
		return err;
	if (s.n > NDM_LUKS_KEY_MAX) {
		err = -EINVAL;
		say("The volume key file is too long.");
	} else {
		memcpy(key, s.bytes, s.n);
		*key_bytes = s.n;
		err = ndm_luks_check_key(l, key, s.n);
		if (err)
			say("%s", ndm_luks_why(l));
	}
	secret_free(&s);
	return err;
}

/* Being re-encrypted, it has two; *key is the old one. */
static int two_keys(struct cs *cs, struct ndm_luks *l, const char *device, uint8_t *key, size_t *key_bytes,
		    uint8_t *other)
{
	struct ndm_luks_keys k = { .old = key, .fresh = other };
	struct secret s = { 0 };
	int err = secret_for(cs, device, &s);

	err = err ? err : ndm_luks_reencrypt_unlock(l, s.bytes, s.n, &k);
	if (err)
		say("%s", ndm_luks_why(l));
	if (!err && !k.old_bytes) {		/* it was plain before */
		memcpy(key, other, k.fresh_bytes);
		k.old_bytes = k.fresh_bytes;
	}
	*key_bytes = k.old_bytes;
	cs->other_key = k.fresh_bytes ? other : NULL;
	cs->other_key_bytes = k.fresh_bytes;
	secret_free(&s);
	return err;
}

static int volume_key(struct cs *cs, struct ndm_luks *l, const char *device, uint8_t *key,
		      size_t *key_bytes, uint8_t *other)
{
	if (ndm_luks_reencrypting(l))
		return two_keys(cs, l, device, key, key_bytes, other);
	if (given(cs, CS_VOLUME_KEY_FILE))
		return key_from_file(cs, l, key, key_bytes);
	return unlock(cs, l, device, key, key_bytes, NULL);
}

/* ---- making devices ---- */

void table_options(struct cs *cs, const struct disk *data, const char *word,
		   struct ndm_luks_options *o)
{
	*o = (struct ndm_luks_options){
		.device = word, .device_bytes = number(cs, CS_DEVICE_SIZE, data->io.bytes),
		.nr = number(cs, CS_SIZE, 0),
		.discards = given(cs, CS_ALLOW_DISCARDS), .same_cpu = given(cs, CS_SAME_CPU),
		.from_cpus = given(cs, CS_FROM_CPUS), .no_read_queue = given(cs, CS_NO_READ_QUEUE),
		.no_write_queue = given(cs, CS_NO_WRITE_QUEUE),
		.high_priority = given(cs, CS_HIGH_PRIORITY),
		.no_journal = given(cs, CS_INTEGRITY_NO_JOURNAL),
		.other_key = cs->other_key, .other_key_bytes = cs->other_key_bytes,
	};
}

/* The integrity device below; *lower_name is allocated. */
static int open_lower(struct cs *cs, struct ndm_luks *l, struct disk *data, const char *name,
		      struct ndm_luks_options *o, char **lower_name)
{
	struct ndm_luks_line line = { 0 };
	char *uuid;
	int err = ndm_luks_integrity_line(l, &data->io, o, &line);

	*lower_name = text_format("%s_dif", name);
	uuid = *lower_name ? dm_uuid("INTEGRITY", "", *lower_name) : NULL;
	if (err)
		say("%s", ndm_luks_why(l));
	else if (!uuid)
		err = -ENOMEM;
	err = err ? err : dm_create(cs, *lower_name, uuid, (struct dm_lines){ &line, 1 },
				    given(cs, CS_READONLY));
	o->integrity_nr = line.nr;
	ndm_luks_text_free(line.args);
	free(uuid);
	return err;
}

int make_devices(struct cs *cs, struct ndm_luks *l, struct disk *data, const char *name,
			 const uint8_t *key, size_t key_bytes)
{
	struct ndm_luks_options o;
	struct ndm_luks_line *lines = NULL;
	char *lower = NULL, *path = NULL, *word = disk_word(data);
	char *uuid = dm_uuid(ndm_luks_version(l) == 1 ? "LUKS1" : "LUKS2", ndm_luks_uuid(l), name);
	unsigned n = 0;
	int err = uuid && word ? 0 : -ENOMEM;

	table_options(cs, data, word, &o);
	if (!err && ndm_luks_has_integrity(l)) {
		err = open_lower(cs, l, data, name, &o, &lower);
		path = text_format("/dev/mapper/%s", lower);
		o.integrity_device = path;
	}
	if (!err) {
		err = ndm_luks_lines(l, &o, key, key_bytes, &lines, &n);
		if (err)
			say("%s", ndm_luks_why(l));
		else
			err = dm_create(cs, name, uuid, (struct dm_lines){ lines, n },
					given(cs, CS_READONLY));
		if (err && lower)
			dm_remove(cs, lower, true);
	}
	ndm_luks_lines_free(lines, n);
	free(word);
	free(path);
	free(lower);
	free(uuid);
	return err;
}

static int keep_flags(struct cs *cs, struct ndm_luks *l)
{
	static const struct { enum cs_option option; const char *flag; } known[] = {
		{ CS_ALLOW_DISCARDS, "allow-discards" }, { CS_SAME_CPU, "same-cpu-crypt" },
		{ CS_FROM_CPUS, "submit-from-crypt-cpus" }, { CS_INTEGRITY_NO_JOURNAL, "no-journal" },
		{ CS_NO_READ_QUEUE, "no-read-workqueue" }, { CS_NO_WRITE_QUEUE, "no-write-workqueue" },
		{ CS_HIGH_PRIORITY, "high-priority" },
	};
	const char *flags[sizeof known / sizeof *known];
	bool same = true;
	unsigned i, n = 0;
	int err;

	for (i = 0; i < sizeof known / sizeof *known; i++) {
		if (given(cs, known[i].option))
			flags[n++] = known[i].flag;
		same &= given(cs, known[i].option) == ndm_luks_flag(l, known[i].flag);
	}
	if (same)
		return 0;
	err = ndm_luks_set_flags(l, flags, n);
	if (err)
		say("%s", ndm_luks_why(l));
	return err;
}

static int open_luks(struct cs *cs, const char *device, const char *name)
{
	bool persistent = given(cs, CS_PERSISTENT), testing = given(cs, CS_TEST_PASSPHRASE);
	uint8_t *key = ndm_luks_secret(2 * NDM_LUKS_KEY_MAX);
	struct disk header, data = { .fd = -1, .nbd = { .fd = -1 } };
	struct ndm_luks *l;
	size_t key_bytes = 0;
	int err = key ? header_open(cs, device, persistent, &header, &l) : -ENOMEM;

	if (err) {
		ndm_luks_secret_free(key, 2 * NDM_LUKS_KEY_MAX);
		return err;
	}
	err = volume_key(cs, l, given(cs, CS_HEADER) ? text(cs, CS_HEADER) : device, key, &key_bytes,
			 key + NDM_LUKS_KEY_MAX);
	if (!err && !testing) {
		err = given(cs, CS_HEADER) ? disk_open(cs, device, false, false, &data) : 0;
		err = err ? err : make_devices(cs, l, given(cs, CS_HEADER) ? &data : &header, name, key,
					       key_bytes);
	}
	if (!err && persistent && ndm_luks_version(l) == 2)
		err = keep_flags(cs, l);
	if (given(cs, CS_HEADER))
		disk_close(&data);
	header_close(&header, l);
	cs->other_key = NULL;
	ndm_luks_secret_free(key, 2 * NDM_LUKS_KEY_MAX);
	return err;
}

static int suspend_or_resume(struct cs *cs, const char *name, bool suspend)
{
	struct task *t = task_new(cs->client, suspend ? TASK_SUSPEND : TASK_RESUME);
	bool good = t && task_set_name(t, name) && task_run(t);
	int err = good ? 0 : t && t->error ? t->error : -EINVAL;

	task_free(t);
	return err;
}

/* The device that a crypt line stands on, for the header; allocated. */
static char *device_below(struct cs *cs, const char *name)
{
	struct task *t;
	char *args, *word = NULL, *save = NULL, *found = NULL;
	unsigned i, major, minor;

	if (dm_table(cs, name, TASK_TABLE, &t))
		return NULL;
	if (t->nr_lines && !strcmp(t->lines[0].type, "crypt")) {
		args = t->lines[0].params;
		for (i = 0; i < 4; i++)
			word = strtok_r(i ? NULL : args, " ", &save);
		if (word && sscanf(word, "%u:%u", &major, &minor) == 2)
			word = (char *)control_backing_name(cs->client, major, minor);
		found = word ? strdup(word) : NULL;
	}
	for (i = 0; i < t->nr_lines; i++)
		if (t->lines[i].params)
			explicit_bzero(t->lines[i].params, strlen(t->lines[i].params));
	task_free(t);
	return found;
}

/* ---- another table for a volume that is open ---- */

static int reload(struct cs *cs, const char *name, const struct ndm_luks_line *line)
{
	struct task *t = task_new(cs->client, TASK_RELOAD);
	bool good = t && task_set_name(t, name) && task_add_line(t, line->start, line->nr, line->type, line->args);
	int err;

	if (good)
		t->flags |= DM_SECURE_DATA_FLAG;
	good = good && task_run(t);
	err = good ? 0 : t && t->error ? t->error : -EINVAL;
	task_free(t);
	return err ? err : suspend_or_resume(cs, name, false);
}

static int refresh_luks(struct cs *cs, const char *device, const char *name)
{
	uint8_t *key = ndm_luks_secret(2 * NDM_LUKS_KEY_MAX);
	struct ndm_luks_options o;
	struct ndm_luks_line *lines = NULL;
	struct disk header;
	struct ndm_luks *l = NULL;
	char *word = NULL;
	unsigned n = 0;
	size_t bytes = 0;
	int err = -ENOMEM;

	if (key && given(cs, CS_HEADER)) {
		say("A device whose header is elsewhere cannot be refreshed here: close it and open it again.");
		err = -EINVAL;
	} else if (key) {
		err = header_open(cs, device, given(cs, CS_PERSISTENT), &header, &l);
	}
	if (!err && (ndm_luks_has_integrity(l) || ndm_luks_reencrypting(l))) {
		say("Device %s has integrity, or is in reencryption: it cannot be refreshed.", name);
		err = -EINVAL;
	}
	err = err ? err : volume_key(cs, l, device, key, &bytes, key + NDM_LUKS_KEY_MAX);
	word = err ? NULL : disk_word(&header);
	if (word) {
		table_options(cs, &header, word, &o);
		err = ndm_luks_lines(l, &o, key, bytes, &lines, &n);
		if (err)
			say("%s", ndm_luks_why(l));
		err = err ? err : reload(cs, name, lines);
	}
	if (!err && given(cs, CS_PERSISTENT) && ndm_luks_version(l) == 2)
		err = keep_flags(cs, l);
	ndm_luks_lines_free(lines, n);
	free(word);
	if (l)
		header_close(&header, l);
	ndm_luks_secret_free(key, 2 * NDM_LUKS_KEY_MAX);
	return err;
}

/* refresh NAME, or open --refresh DEVICE NAME */
int cs_refresh(struct cs *cs)
{
	const char *name = cs->argv[cs->argc > 1 ? 1 : 0];
	char *device = cs->argc > 1 ? strdup(cs->argv[0]) : device_below(cs, name);
	int err;

	if (!device || !dm_exists(cs, name)) {
		say("Device %s is not active.", name);
		free(device);
		return -ENODEV;
	}
	err = refresh_luks(cs, device, name);
	free(device);
	return err;
}

/* ---- plain ---- */

#define PLAIN_CIPHER "aes-cbc-essiv:sha256"
#define PLAIN_HASH "ripemd160"

static int plain_key(struct cs *cs, const char *device, uint8_t *key, size_t key_bytes)
{
	const char *hash = given(cs, CS_HASH) ? text(cs, CS_HASH) : PLAIN_HASH;
	bool file = given(cs, CS_KEY_FILE) && strcmp(text(cs, CS_KEY_FILE), "-");
	struct secret s;
	int err;

	if (given(cs, CS_KEY_FILE) && !given(cs, CS_KEYFILE_SIZE)) {	/* so much, not all of it */
		cs->given[CS_KEYFILE_SIZE - 1000] = file;
		cs->number[CS_KEYFILE_SIZE - 1000] = key_bytes;
	}
	err = secret_for(cs, device, &s);
	if (err)
		return err;
	err = ndm_luks_plain_key(file ? "plain" : hash, s.bytes, s.n, key, key_bytes);
	if (err)
		say("Hash algorithm %s is not supported.", hash);
	secret_free(&s);
	return err;
}

static int plain_line(struct cs *cs, const struct disk *data, const uint8_t *key, size_t key_bytes,
		      struct ndm_luks_line *line)
{
	const char *cipher = given(cs, CS_CIPHER) ? text(cs, CS_CIPHER) : PLAIN_CIPHER;
	uint64_t offset = number(cs, CS_OFFSET, 0), device = data->io.bytes >> 9;
	uint64_t sector = number(cs, CS_SECTOR_SIZE, 512);
	char *hex = ndm_luks_secret(2 * key_bytes + 1), *words, *device_word;
	unsigned n = 0;
	size_t i;

	if (offset >= device || !hex) {
		say("Requested offset is beyond real size of device %s.", data->path);
		ndm_luks_secret_free(hex, 2 * key_bytes + 1);
		return -EINVAL;
	}
	for (i = 0; i < key_bytes; i++)
		sprintf(hex + 2 * i, "%02x", key[i]);
	n = given(cs, CS_ALLOW_DISCARDS) + given(cs, CS_SAME_CPU) + given(cs, CS_HIGH_PRIORITY) +
	    given(cs, CS_FROM_CPUS) + given(cs, CS_NO_READ_QUEUE) + given(cs, CS_NO_WRITE_QUEUE) +
	    (sector != 512) + given(cs, CS_IV_LARGE);
	words = text_format(" %u%s%s%s%s%s%s", n, given(cs, CS_ALLOW_DISCARDS) ? " allow_discards" : "",
			    given(cs, CS_SAME_CPU) ? " same_cpu_crypt" : "",
			    given(cs, CS_HIGH_PRIORITY) ? " high_priority" : "",
			    given(cs, CS_FROM_CPUS) ? " submit_from_crypt_cpus" : "",
			    given(cs, CS_NO_READ_QUEUE) ? " no_read_workqueue" : "",
			    given(cs, CS_NO_WRITE_QUEUE) ? " no_write_workqueue" : "");
	line->nr = number(cs, CS_SIZE, 0) ? number(cs, CS_SIZE, 0) : device - offset;
	line->type = "crypt";
	device_word = disk_word(data);
	line->args = text_format("%s %s %" PRIu64 " %s %" PRIu64 "%s", cipher, key_bytes ? hex : "-",
				 number(cs, CS_SKIP, 0), device_word, offset, n && words ? words : "");
	free(device_word);
	if (sector != 512 && line->args) {
		char *more = text_format("%s sector_size:%" PRIu64 "%s", line->args, sector,
					 given(cs, CS_IV_LARGE) ? " iv_large_sectors" : "");

		ndm_luks_text_free(line->args);
		line->args = more;
	}
	free(words);
	ndm_luks_secret_free(hex, 2 * key_bytes + 1);
	return line->args ? 0 : -ENOMEM;
}

static int open_plain(struct cs *cs, const char *device, const char *name)
{
	size_t key_bytes = number(cs, CS_KEY_SIZE, 256) / 8;
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	struct ndm_luks_line line = { 0 };
	char *uuid = dm_uuid("PLAIN", "", name);
	struct disk data;
	int err;

	if (!key || !uuid || key_bytes > NDM_LUKS_KEY_MAX) {
		ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
		free(uuid);
		return -EINVAL;
	}
	err = disk_open(cs, device, false, false, &data);
	if (!err) {
		err = plain_key(cs, device, key, key_bytes);
		err = err ? err : plain_line(cs, &data, key, key_bytes, &line);
		err = err ? err : dm_create(cs, name, uuid, (struct dm_lines){ &line, 1 },
					    given(cs, CS_READONLY));
		disk_close(&data);
	}
	ndm_luks_text_free(line.args);
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	free(uuid);
	return err;
}

int cs_open(struct cs *cs)
{
	const char *type = given(cs, CS_TYPE) ? text(cs, CS_TYPE) : "luks";
	const char *name = cs->argc > 1 ? cs->argv[1] : NULL;

	if (!name && !given(cs, CS_TEST_PASSPHRASE)) {
		say("cryptsetup: open requires <device> <name> as arguments");
		return -EINVAL;
	}
	if (name && given(cs, CS_REFRESH))
		return cs_refresh(cs);
	if (name && !given(cs, CS_TEST_PASSPHRASE) && dm_exists(cs, name)) {
		say("Device %s already exists.", name);
		return -EEXIST;
	}
	if (!strcmp(type, "plain"))
		return open_plain(cs, cs->argv[0], name);
	if (!strcmp(type, "luks") || !strcmp(type, "luks1") || !strcmp(type, "luks2"))
		return open_luks(cs, cs->argv[0], name);
	say("Unrecognized metadata device type %s.", type);
	return -EINVAL;
}

/* ---- the others ---- */

int cs_close(struct cs *cs)
{
	char *lower = text_format("%s_dif", cs->argv[0]);
	int err;

	if (!dm_exists(cs, cs->argv[0])) {
		say("Device %s is not active.", cs->argv[0]);
		free(lower);
		return -ENODEV;
	}
	err = dm_remove(cs, cs->argv[0], false);
	if (err == -EBUSY)
		say("Device %s is still in use.", cs->argv[0]);
	if (!err && lower && dm_exists(cs, lower))
		err = dm_remove(cs, lower, false);
	free(lower);
	return err;
}

static int message(struct cs *cs, char *words)
{
	struct task *t = task_new(cs->client, TASK_MESSAGE);
	bool good = t && task_set_name(t, cs->argv[0]) && task_set_text(t, words);
	int err;

	if (good)
		t->flags |= DM_SECURE_DATA_FLAG;
	good = good && task_run(t);
	err = good ? 0 : t && t->error ? t->error : -EINVAL;
	if (t && t->text)
		explicit_bzero(t->text, strlen(t->text));
	task_free(t);
	return err;
}

/* The key is gone from memory until luksResume brings it back. */
int cs_suspend(struct cs *cs)
{
	int err = suspend_or_resume(cs, cs->argv[0], true);

	return err ? err : message(cs, strdup("key wipe"));
}

int cs_resume(struct cs *cs)
{
	char *device = given(cs, CS_HEADER) ? strdup(text(cs, CS_HEADER)) : device_below(cs, cs->argv[0]);
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	char *words = ndm_luks_secret(2 * NDM_LUKS_KEY_MAX + 16);
	struct disk header;
	struct ndm_luks *l;
	size_t n = 0, i;
	int err = -EINVAL;

	if (!device)
		say("Device %s is not active.", cs->argv[0]);
	else if (key && words)
		err = header_open(cs, device, false, &header, &l);
	if (!err) {
		err = unlock(cs, l, device, key, &n, NULL);
		header_close(&header, l);
	}
	if (!err) {
		i = sprintf(words, "key set ");
		for (size_t k = 0; k < n; k++, i += 2)
			sprintf(words + i, "%02x", key[k]);
		err = message(cs, strdup(words));
		err = err ? err : suspend_or_resume(cs, cs->argv[0], false);
	}
	ndm_luks_secret_free(words, 2 * NDM_LUKS_KEY_MAX + 16);
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	free(device);
	return err;
}

static const char *kind_of_uuid(const char *uuid)
{
	if (uuid && !strncmp(uuid, "CRYPT-LUKS1-", 12))
		return "LUKS1";
	if (uuid && !strncmp(uuid, "CRYPT-LUKS2-", 12))
		return "LUKS2";
	return uuid && !strncmp(uuid, "CRYPT-PLAIN-", 12) ? "PLAIN" : "n/a";
}

/* cipher, key, IV offset, device, offset, words */
static void print_crypt(struct cs *cs, const struct line *line)
{
	char *save = NULL, *w[64], *args = strdup(line->params ? line->params : "");
	unsigned n = 0, major, minor, i, sector = 512;
	const char *device;

	for (char *p = strtok_r(args, " ", &save); p && n < 64; p = strtok_r(NULL, " ", &save))
		w[n++] = p;
	if (n >= 5) {
		for (i = 6; i < n; i++)
			sscanf(w[i], "sector_size:%u", &sector);
		device = sscanf(w[3], "%u:%u", &major, &minor) == 2
			? control_backing_name(cs->client, major, minor) : NULL;
		printf("  cipher:  %s\n", w[0]);
		printf("  keysize: %zu bits\n", *w[1] == ':' ? 8 * strtoul(w[1] + 1, NULL, 10)
						     : *w[1] == '-' ? 0 : 4 * strlen(w[1]));
		printf("  key location: %s\n", *w[1] == ':' ? "keyring" : "dm-crypt");
		printf("  device:  %s\n", device ? device : w[3]);
		printf("  sector size:  %u\n", sector);
		printf("  offset:  %s sectors\n", w[4]);
	}
	explicit_bzero(args, strlen(line->params ? line->params : ""));
	free(args);
}

int cs_status(struct cs *cs)
{
	const char *name = cs->argv[0];
	struct info info;
	struct task *t;
	size_t i;

	if (!dm_exists(cs, name)) {
		printf("/dev/mapper/%s is inactive.\n", name);
		return -ENODEV;
	}
	if (dm_table(cs, name, TASK_TABLE, &t))
		return -ENODEV;
	task_info(t, &info);
	printf("/dev/mapper/%s is active%s.\n", name, info.open_count ? " and is in use" : "");
	printf("  type:    %s\n", kind_of_uuid(task_uuid(t)));
	if (t->nr_lines && !strcmp(t->lines[0].type, "crypt"))
		print_crypt(cs, &t->lines[0]);
	if (t->nr_lines)
		printf("  size:    %" PRIu64 " sectors\n",
		       t->lines[t->nr_lines - 1].start + t->lines[t->nr_lines - 1].length);
	printf("  mode:    %s\n", info.read_only ? "readonly" : "read/write");
	for (i = 0; i < t->nr_lines; i++)
		if (t->lines[i].params)
			explicit_bzero(t->lines[i].params, strlen(t->lines[i].params));
	task_free(t);
	return 0;
}

/* The one line with another length, under the same key. */
int cs_resize(struct cs *cs)
{
	struct task *was, *t = NULL;
	char *below = device_below(cs, cs->argv[0]);
	struct disk d = { .fd = -1, .nbd = { .fd = -1 } };
	uint64_t nr = number(cs, CS_SIZE, 0), offset = 0;
	bool good = false;
	int err;

	if (given(cs, CS_DEVICE_SIZE))
		nr = number(cs, CS_DEVICE_SIZE, 0) >> 9;
	if (!below || dm_table(cs, cs->argv[0], TASK_TABLE, &was)) {
		say("Device %s is not active.", cs->argv[0]);
		free(below);
		return -ENODEV;
	}
	if (was->nr_lines != 1) {
		say("Device %s has more than one segment.", cs->argv[0]);
	} else if (nr || !disk_open(cs, below, false, false, &d)) {
		if (sscanf(was->lines[0].params, "%*s %*s %*s %*s %" SCNu64, &offset) == 1 && !nr)
			nr = (d.io.bytes >> 9) - offset;
		t = task_new(cs->client, TASK_RELOAD);
		good = t && task_set_name(t, cs->argv[0]) &&
		       task_add_line(t, 0, nr, was->lines[0].type, was->lines[0].params);
		if (good)
			t->flags |= DM_SECURE_DATA_FLAG;
		good = good && task_run(t);
	}
	err = good ? 0 : t && t->error ? t->error : -EINVAL;
	disk_close(&d);
	explicit_bzero(was->lines[0].params, strlen(was->lines[0].params));
	task_free(was);
	task_free(t);
	free(below);
	return err ? err : suspend_or_resume(cs, cs->argv[0], false);
}
