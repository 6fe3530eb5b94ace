/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integritysetup.c - integritysetup's command line.  The target formats a device whose first
 * 4 KiB are zero; so format is to clear them, to open the device once, and to write zeroes to all
 * of it, so that every block has a tag.
 */
#include "client/setup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ndm-integrity.h>

enum {
	I_DISCARDS, I_BATCH, I_BUFFER, I_FLUSH_TIME, I_BIT_SECTORS, I_CANCEL_DEFERRED, I_DATA, I_DEBUG,
	I_DEFERRED, I_HELP, I_HASH, I_KEY_FILE, I_KEY_SIZE, I_LEGACY_PADDING, I_LEGACY_HMAC,
	I_LEGACY_RECALC, I_NO_JOURNAL, I_INTERLEAVE, I_COMMIT, I_MAC, I_MAC_FILE, I_MAC_SIZE, I_CRYPT,
	I_CRYPT_FILE, I_CRYPT_SIZE, I_JOURNAL_SIZE, I_WATERMARK, I_NO_WIPE, I_PROGRESS, I_PROGRESS_JSON,
	I_BITMAP, I_RECALC, I_RECALC_RESET, I_RECOVERY, I_SECTOR, I_TAG, I_USAGE, I_VERBOSE, I_VERSION,
	I_SIZE, I_DEVICE_SIZE, I_WIPE, I_END
};

static const struct setup_option options[I_END] = {
	[I_DISCARDS] = { "allow-discards", 0, SETUP_FLAG, "open: discards are passed down" },
	[I_BATCH] = { "batch-mode", 'q', SETUP_FLAG, "no questions" },
	[I_BUFFER] = { "buffer-sectors", 0, SETUP_NUMBER, "SECTORS  of tags read at once" },
	[I_FLUSH_TIME] = { "bitmap-flush-time", 0, SETUP_NUMBER, "MS" },
	[I_BIT_SECTORS] = { "bitmap-sectors-per-bit", 0, SETUP_NUMBER, "SECTORS" },
	[I_CANCEL_DEFERRED] = { "cancel-deferred", 0, SETUP_FLAG, "close: take --deferred back" },
	[I_DATA] = { "data-device", 0, SETUP_TEXT, "DEVICE  has the data, the other one the tags" },
	[I_DEBUG] = { "debug", 0, SETUP_FLAG, "accepted" },
	[I_DEFERRED] = { "deferred", 0, SETUP_FLAG, "close: when the last user is gone" },
	[I_HELP] = { "help", '?', SETUP_FLAG, "this text" },
	[I_HASH] = { "integrity", 'I', SETUP_TEXT, "ALGORITHM  crc32c, sha256, hmac-sha256, ..." },
	[I_KEY_FILE] = { "integrity-key-file", 0, SETUP_TEXT, "FILE" },
	[I_KEY_SIZE] = { "integrity-key-size", 0, SETUP_NUMBER, "BYTES" },
	[I_LEGACY_PADDING] = { "integrity-legacy-padding", 0, SETUP_FLAG, "format: as old kernels want it" },
	[I_LEGACY_HMAC] = { "integrity-legacy-hmac", 0, SETUP_FLAG, "format: as old kernels want it" },
	[I_LEGACY_RECALC] = { "integrity-legacy-recalculate", 0, SETUP_FLAG, "open: with keys, too" },
	[I_NO_JOURNAL] = { "integrity-no-journal", 'D', SETUP_FLAG, "neither journal nor bitmap" },
	[I_INTERLEAVE] = { "interleave-sectors", 0, SETUP_NUMBER, "SECTORS" },
	[I_COMMIT] = { "journal-commit-time", 0, SETUP_NUMBER, "MS" },
	[I_MAC] = { "journal-integrity", 0, SETUP_TEXT, "ALGORITHM  hmac-sha256, ..." },
	[I_MAC_FILE] = { "journal-integrity-key-file", 0, SETUP_TEXT, "FILE" },
	[I_MAC_SIZE] = { "journal-integrity-key-size", 0, SETUP_NUMBER, "BYTES" },
	[I_CRYPT] = { "journal-crypt", 0, SETUP_TEXT, "ALGORITHM  ctr-aes, cbc-aes, ..." },
	[I_CRYPT_FILE] = { "journal-crypt-key-file", 0, SETUP_TEXT, "FILE" },
	[I_CRYPT_SIZE] = { "journal-crypt-key-size", 0, SETUP_NUMBER, "BYTES" },
	[I_JOURNAL_SIZE] = { "journal-size", 'j', SETUP_SIZE, "BYTES" },
	[I_WATERMARK] = { "journal-watermark", 0, SETUP_NUMBER, "PER CENT" },
	[I_NO_WIPE] = { "no-wipe", 0, SETUP_FLAG, "format: tags are not made" },
	[I_PROGRESS] = { "progress-frequency", 0, SETUP_NUMBER, "accepted" },
	[I_PROGRESS_JSON] = { "progress-json", 0, SETUP_FLAG, "accepted" },
	[I_BITMAP] = { "integrity-bitmap-mode", 'B', SETUP_FLAG, "a bitmap in the journal's place" },
	[I_RECALC] = { "integrity-recalculate", 0, SETUP_FLAG, "open: tags are made anew" },
	[I_RECALC_RESET] = { "integrity-recalculate-reset", 0, SETUP_FLAG, "open: from the start" },
	[I_RECOVERY] = { "integrity-recovery-mode", 'R', SETUP_FLAG, "open: only read, nothing is checked" },
	[I_SECTOR] = { "sector-size", 's', SETUP_NUMBER, "BYTES" },
	[I_TAG] = { "tag-size", 't', SETUP_NUMBER, "BYTES" },
	[I_USAGE] = { "usage", 0, SETUP_FLAG, NULL },
	[I_VERBOSE] = { "verbose", 'v', SETUP_FLAG, "say how it went" },
	[I_VERSION] = { "version", 'V', SETUP_FLAG, "" },
	[I_SIZE] = { "size", 'b', SETUP_NUMBER, "SECTORS  of the opened device" },
	[I_DEVICE_SIZE] = { "device-size", 0, SETUP_SIZE, "BYTES  resize: of the opened device" },
	[I_WIPE] = { "wipe", 0, SETUP_FLAG, "resize: what is new is overwritten with zeroes" },
};

#define SUPER_BYTES (NDM_INTEGRITY_SUPER_SECTORS * 512)
#define KEY_MAX 4096
#define WIPE_BYTES (8u << 20)			/* zeroes asked for at once */

/* ---- words of a table ---- */

struct words {
	char *text;
	unsigned n;
};

static void words_add(struct words *w, char *more)
{
	char *all = w->text && more ? text_format("%s %s", w->text, more) : NULL;

	if (w->text)
		explicit_bzero(w->text, strlen(w->text));
	free(w->text);
	free(more);
	w->text = all;
	w->n++;
}

static void words_number(struct setup *s, struct words *w, unsigned option, const char *word)
{
	if (s->given[option])
		words_add(w, text_format("%s:%" PRIu64, word, s->number[option]));
}

/* hmac-sha256, ctr-aes: as the kernel says it, hmac(sha256), ctr(aes) */
static char *algorithm(const char *given)
{
	const char *dash = strchr(given, '-');

	if (!dash || strchr(given, '('))
		return strdup(given);
	if (strncmp(given, "hmac-", 5) && strncmp(given, "ctr-", 4) && strncmp(given, "cbc-", 4) &&
	    strncmp(given, "xts-", 4))
		return strdup(given);
	return text_format("%.*s(%s)", (int)(dash - given), given, dash + 1);
}

static int key_read(struct setup *s, unsigned file, unsigned size, char **hex)
{
	uint64_t n = setup_number(s, size, 0);
	uint8_t *key = ndm_luks_secret(KEY_MAX);
	FILE *f = fopen(s->text[file], "r");
	int err = -EINVAL;

	*hex = NULL;
	if (!f)
		say("Cannot read keyfile %s.", s->text[file]);
	else if (!n || n > KEY_MAX)
		say("Invalid key size: the option for it says how many bytes of the file are the key.");
	else if (!key || fread(key, 1, n, f) != n)
		say("Cannot read %" PRIu64 " bytes from keyfile %s.", n, s->text[file]);
	else
		err = (*hex = setup_hex(key, n)) ? 0 : -ENOMEM;
	if (f)
		fclose(f);
	ndm_luks_secret_free(key, KEY_MAX);
	return err;
}

static int words_alg(struct setup *s, struct words *w, const char *word, const char *alg, unsigned file,
		     unsigned size)
{
	char *name, *key = NULL;
	int err = 0;

	if (!alg)
		return 0;
	if (s->given[file])
		err = key_read(s, file, size, &key);
	name = algorithm(alg);
	if (!err && name)
		words_add(w, text_format("%s:%s%s%s", word, name, key ? ":" : "", key ? key : ""));
	if (key)
		explicit_bzero(key, strlen(key));
	free(key);
	free(name);
	return err;
}

static const char *hash_given(const struct setup *s)
{
	return s->given[I_HASH] ? s->text[I_HASH] : "crc32c";
}

/* Bytes of a tag when nobody says: those of the hash.  0: the target knows better. */
static unsigned tag_default(const char *hash)
{
	static const struct { const char *name; unsigned bytes; } known[] = {
		{ "crc32", 4 }, { "crc32c", 4 }, { "xxhash64", 8 }, { "sha1", 20 }, { "sha256", 32 },
		{ "hmac-sha256", 32 }, { "hmac(sha256)", 32 }, { "hmac-sha1", 20 }, { "sha512", 64 },
		{ "hmac-sha512", 64 },
	};
	unsigned i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(hash, known[i].name))
			return known[i].bytes;
	return 0;
}

static char mode_given(const struct setup *s)
{
	if (s->given[I_RECOVERY])
		return 'R';
	return s->given[I_BITMAP] ? 'B' : s->given[I_NO_JOURNAL] ? 'D' : 'J';
}

static bool is_keyed(const char *alg)
{
	return alg && !strncmp(alg, "hmac", 4);
}

/* What matters when the device is made. */
static void words_format(struct setup *s, struct words *w)
{
	if (s->given[I_JOURNAL_SIZE])
		words_add(w, text_format("journal_sectors:%" PRIu64, s->number[I_JOURNAL_SIZE] >> 9));
	words_number(s, w, I_INTERLEAVE, "interleave_sectors");
	if (!s->given[I_LEGACY_PADDING] && !s->given[I_DATA])
		words_add(w, strdup("fix_padding"));
	if (!s->given[I_LEGACY_HMAC] && (is_keyed(hash_given(s)) || is_keyed(s->text[I_MAC])))
		words_add(w, strdup("fix_hmac"));
}

static void words_open(struct setup *s, struct words *w, char mode)
{
	if (mode == 'J') {
		words_number(s, w, I_WATERMARK, "journal_watermark");
		words_number(s, w, I_COMMIT, "commit_time");
	}
	if (mode == 'B') {
		words_number(s, w, I_BIT_SECTORS, "sectors_per_bit");
		words_number(s, w, I_FLUSH_TIME, "bitmap_flush_interval");
	}
	if (s->given[I_RECALC_RESET])
		words_add(w, strdup("reset_recalculate"));
	else if (s->given[I_RECALC])
		words_add(w, strdup("recalculate"));
	if (s->given[I_LEGACY_RECALC])
		words_add(w, strdup("legacy_recalculate"));
	if (s->given[I_DISCARDS])
		words_add(w, strdup("allow_discards"));
}

/* The arguments of the target; block and tag in bytes, 0 to leave it to the target. */
static int table_args(struct setup *s, const struct disk *disk, char mode, bool making, unsigned block,
		      unsigned tag, char **args)
{
	struct words w = { .text = text_format("%s", "") };
	struct disk data = { .path = (char *)s->text[I_DATA] };
	char *meta = disk_word(disk), *word = s->given[I_DATA] ? disk_word(&data) : NULL, size[16];
	int err;

	words_number(s, &w, I_BUFFER, "buffer_sectors");
	if (block && block != 512)
		words_add(&w, text_format("block_size:%u", block));
	if (word)
		words_add(&w, text_format("meta_device:%s", meta));
	words_format(s, &w);
	if (!making)
		words_open(s, &w, mode);
	err = words_alg(s, &w, "internal_hash", hash_given(s), I_KEY_FILE, I_KEY_SIZE);
	err = err ? err : words_alg(s, &w, "journal_mac", s->text[I_MAC], I_MAC_FILE, I_MAC_SIZE);
	err = err ? err : words_alg(s, &w, "journal_crypt", s->text[I_CRYPT], I_CRYPT_FILE, I_CRYPT_SIZE);
	snprintf(size, sizeof size, tag ? "%u" : "-", tag);
	*args = NULL;
	if (!err && meta && w.text)
		*args = text_format("%s 0 %s %c %u%s", word ? word : meta, size, mode, w.n, w.text);
	if (w.text)
		explicit_bzero(w.text, strlen(w.text));
	free(w.text);
	free(meta);
	free(word);
	return err ? err : *args ? 0 : -ENOMEM;
}

/* ---- superblock ---- */

static int super_read(struct setup *s, const char *device, struct disk *d, struct ndm_integrity_super *super)
{
	uint8_t bytes[SUPER_BYTES];
	const char *why = "its magic is not there";
	int err = disk_open(&s->cs, device, false, false, d);

	if (err)
		return err;
	err = d->io.read(&d->io, 0, bytes, sizeof bytes);
	if (err || ndm_integrity_super_decode(bytes, super) ||
	    (ndm_integrity_super_check(super, false, &why) && ndm_integrity_super_check(super, true, &why))) {
		say("Device %s is not a valid INTEGRITY device.", device);
		if (!err && s->given[I_VERBOSE])
			say("%s: %s.", device, why);
		disk_close(d);
		return -EINVAL;
	}
	return 0;
}

static int integrity_dump(struct setup *s)
{
	static const char *const flags[] = { "have_journal_mac ", "recalculating ", "dirty_bitmap ",
					     "fix_padding ", "fix_hmac ", "inline ", "discard_keyed " };
	struct ndm_integrity_super super;
	struct disk d;
	unsigned i;
	int err = super_read(s, s->argv[0], &d, &super);

	if (err)
		return err;
	disk_close(&d);
	printf("Info for integrity device %s.\n", s->argv[0]);
	printf("superblock_version %u\n", super.version);
	printf("log2_interleave_sectors %u\n", super.log2_interleave);
	printf("integrity_tag_size %u\n", super.tag_bytes);
	printf("journal_sections %u\n", super.journal_sections);
	printf("provided_data_sectors %" PRIu64 "\n", super.provided);
	printf("sector_size %u\n", 512u << super.log2_block);
	if (super.version >= 2 && super.flags & NDM_INTEGRITY_RECALCULATING)
		printf("recalc_sector %" PRIu64 "\n", super.recalc);
	printf("log2_blocks_per_bitmap %u\n", super.log2_blocks_per_bit);
	printf("flags ");
	for (i = 0; i < sizeof flags / sizeof *flags; i++)
		if (super.flags & 1u << i)
			printf("%s", flags[i]);
	printf("\n");
	return 0;
}

/* ---- format ---- */

static int ask(struct setup *s)
{
	char answer[16] = "";

	if (s->given[I_BATCH] || !isatty(STDIN_FILENO))
		return 0;
	printf("\nWARNING!\n========\nThis will overwrite data on %s irrevocably.\n\n"
	       "Are you sure? (Type 'yes' in capital letters): ", s->argv[0]);
	fflush(stdout);
	if (fgets(answer, sizeof answer, stdin) && !strncmp(answer, "YES", 3))
		return 0;
	say("Operation aborted.");
	return -EPERM;
}

static int super_clear(struct setup *s)
{
	uint8_t zeroes[SUPER_BYTES] = { 0 };
	struct disk d;
	int err = disk_open(&s->cs, s->argv[0], true, false, &d);

	if (err)
		return err;
	err = d.io.write(&d.io, 0, zeroes, sizeof zeroes);
	err = err ? err : d.io.sync(&d.io);
	if (err)
		say("Cannot format device %s: %s.", s->argv[0], strerror(-err));
	disk_close(&d);
	return err;
}

/* Zeroes through the device's export: with them each block gets a tag.  Bytes. */
static int wipe(struct setup *s, const char *name, uint64_t from, uint64_t to)
{
	char *path = text_format("/dev/mapper/%s", name);
	struct disk d;
	uint64_t n;
	int err = path ? disk_open(&s->cs, path, true, false, &d) : -ENOMEM;

	if (err) {
		free(path);
		return err;
	}
	for (; !err && from < to; from += n) {
		n = to - from < WIPE_BYTES ? to - from : WIPE_BYTES;
		err = nbdc_write_zeroes(&d.nbd, from, n);
	}
	err = err ? err : nbdc_flush(&d.nbd);
	if (err)
		say("Wiping %s failed: %s.", path, strerror(-err));
	disk_close(&d);
	free(path);
	return err;
}

/* Opened under a name of its own and closed again, wiped in between if it is to be. */
static int open_once(struct setup *s, uint64_t nr, bool wiped)
{
	char *name = text_format("temporary-integrity-%u", (unsigned)getpid()), *args;
	struct disk d;
	int err = disk_open(&s->cs, s->argv[0], false, false, &d);

	if (err)
		return err;
	err = table_args(s, &d, wiped ? 'D' : mode_given(s) == 'B' ? 'B' : 'J', true,
			 setup_number(s, I_SECTOR, 512),
			 setup_number(s, I_TAG, tag_default(hash_given(s))), &args);
	disk_close(&d);
	err = err ? err : setup_create(s, name, dm_uuid("TEMP", "", name), nr, "integrity", args, false);
	if (!err && wiped)
		err = wipe(s, name, 0, nr << 9);
	if (dm_exists(&s->cs, name) && dm_remove(&s->cs, name, false))
		err = err ? err : -EBUSY;
	free(name);
	return err;
}

static int integrity_format(struct setup *s)
{
	struct ndm_integrity_super super;
	struct disk d;
	int err = ask(s);

	err = err ? err : super_clear(s);
	err = err ? err : open_once(s, setup_number(s, I_SECTOR, 512) >> 9, false);
	err = err ? err : super_read(s, s->argv[0], &d, &super);
	if (err)
		return err;
	disk_close(&d);
	if (!s->given[I_BATCH])
		printf("Formatted with tag size %u, internal integrity %s.\n", super.tag_bytes,
		       hash_given(s));
	if (s->given[I_NO_WIPE])
		return 0;
	if (!s->given[I_BATCH])
		printf("Wiping device to initialize integrity checksum.\n");
	return open_once(s, super.provided, true);
}

/* ---- open, status ---- */

static int integrity_open(struct setup *s)
{
	struct ndm_integrity_super super;
	char *args = NULL, mode = mode_given(s);
	struct disk d;
	int err = super_read(s, s->argv[0], &d, &super);

	if (err)
		return err;
	err = table_args(s, &d, mode, false, 512u << super.log2_block, super.tag_bytes, &args);
	disk_close(&d);
	return err ? err : setup_create(s, s->argv[1], dm_uuid("INTEGRITY", "", s->argv[1]),
					setup_number(s, I_SIZE, super.provided), "integrity", args,
					mode == 'R');
}

static int integrity_create(struct setup *s)	/* the order of old */
{
	char *name = s->argv[0];

	s->argv[0] = s->argv[1];
	s->argv[1] = name;
	return integrity_open(s);
}

static void print_words(char **w, unsigned n)
{
	unsigned i;

	for (i = 5; i < n; i++)
		printf("  %s\n", w[i]);
}

static int integrity_status(struct setup *s)
{
	char *w[32] = { NULL }, *save = NULL, *p;
	struct task *t, *state = NULL;
	unsigned n = 0, major, minor;
	const char *device;
	int err = setup_status(s, s->argv[0], "integrity", &t);

	if (err)
		return err;
	for (p = strtok_r(t->lines[0].params, " ", &save); p && n < 32; p = strtok_r(NULL, " ", &save))
		w[n++] = p;
	if (!dm_table(&s->cs, s->argv[0], TASK_STATUS, &state) && n >= 5) {
		device = sscanf(w[0], "%u:%u", &major, &minor) == 2 ?
			 control_backing_name(s->cs.client, major, minor) : NULL;
		printf("  type:    INTEGRITY\n  tag size: %s [bytes]\n  device:  %s\n", w[2],
		       device ? device : w[0]);
		printf("  size:    %" PRIu64 " sectors\n  mode:    %s\n", t->lines[0].length, w[3]);
		printf("  failures: %.*s\n", (int)strcspn(state->lines[0].params, " "),
		       state->lines[0].params);
		print_words(w, n);
	}
	task_free(state);
	task_free(t);
	return 0;
}

/* ---- resize ---- */

/* Another table in the place of the one that is active. */
static int reload(struct setup *s, uint64_t nr, const char *args)
{
	struct task *t = task_new(s->cs.client, TASK_RELOAD);
	bool good = t && task_set_name(t, s->argv[0]) && task_add_line(t, 0, nr, "integrity", args);
	int err;

	if (good)
		t->flags |= DM_SECURE_DATA_FLAG;
	err = good && task_run(t) ? 0 : t && t->error ? t->error : -EINVAL;
	if (t && t->nr_lines)
		explicit_bzero(t->lines[0].params, strlen(t->lines[0].params));
	task_free(t);
	if (err)
		return err;
	t = task_new(s->cs.client, TASK_RESUME);
	err = t && task_set_name(t, s->argv[0]) && task_run(t) ? 0 : t && t->error ? t->error : -EINVAL;
	task_free(t);
	return err;
}

/* The table's arguments with the word recalculate, which is the target's if it runs already. */
static char *with_recalculate(const char *args)
{
	unsigned n;
	int at = 0;

	if (sscanf(args, "%*s %*s %*s %*s %n%u", &at, &n) != 1 || !at || strstr(args, " recalculate"))
		return strdup(args);
	return text_format("%.*s%u recalculate%s", at, args, n + 1, args + at + strcspn(args + at, " "));
}

/* What the device below holds now: the target finds out when it is loaded, and writes it down. */
static int provided(struct setup *s, uint64_t *nr)
{
	struct task *t = NULL;
	int err = dm_table(&s->cs, s->argv[0], TASK_STATUS, &t);

	if (!err && (!t->nr_lines || sscanf(t->lines[0].params, "%*u %" SCNu64, nr) != 1))
		err = -EINVAL;
	task_free(t);
	return err;
}

static int resize_to(struct setup *s, const char *args, uint64_t old)
{
	uint64_t most = 0, nr = setup_number(s, I_SIZE, 0);
	char *words = NULL;
	int err = reload(s, old, args);

	err = err ? err : provided(s, &most);
	if (err)
		return err;
	if (s->given[I_DEVICE_SIZE])
		nr = s->number[I_DEVICE_SIZE] >> 9;
	nr = nr ? nr : most;
	if (nr > most) {
		say("Device %s cannot be made larger than %" PRIu64 " sectors: nothing is left below it.",
		    s->argv[0], most);
		return -EINVAL;
	}
	words = nr > old && !s->given[I_WIPE] ? with_recalculate(args) : strdup(args);
	err = words ? reload(s, nr, words) : -ENOMEM;
	if (words)
		explicit_bzero(words, strlen(words));
	free(words);
	if (!err && nr > old && s->given[I_WIPE])
		err = wipe(s, s->argv[0], old << 9, nr << 9);
	return err;
}

static int integrity_resize(struct setup *s)
{
	struct task *t = NULL;
	int err = -EINVAL;

	if (s->given[I_DEVICE_SIZE] && s->given[I_SIZE]) {
		say("Options --device-size and --size cannot be combined.");
		return err;
	}
	if (s->given[I_DEVICE_SIZE] && s->number[I_DEVICE_SIZE] % 512) {
		say("Device size must be multiple of 512 bytes sector.");
		return err;
	}
	if (!dm_exists(&s->cs, s->argv[0]) || dm_table(&s->cs, s->argv[0], TASK_TABLE, &t)) {
		say("Device %s is not active.", s->argv[0]);
		return -ENODEV;
	}
	if (t->nr_lines != 1 || strcmp(t->lines[0].type, "integrity"))
		say("Device %s is not an INTEGRITY device.", s->argv[0]);
	else if (!strstr(t->lines[0].params, " internal_hash:"))
		say("Device %s keeps tags for the one above it: it cannot be resized.", s->argv[0]);
	else
		err = resize_to(s, t->lines[0].params, t->lines[0].length);
	if (t->nr_lines)
		explicit_bzero(t->lines[0].params, strlen(t->lines[0].params));
	task_free(t);
	return err;
}

static const struct setup_action actions[] = {
	{ "format", integrity_format, 1, "<integrity_device>" },
	{ "open", integrity_open, 2, "<integrity_device> <name>" },
	{ "create", integrity_create, 2, NULL },
	{ "close", setup_close, 1, "<name>" },
	{ "remove", setup_close, 1, NULL },
	{ "status", integrity_status, 1, "<name>" },
	{ "dump", integrity_dump, 1, "<integrity_device>" },
	{ "resize", integrity_resize, 1, "<name>" },
};

int integritysetup_main(struct client *client, int argc, char **argv)
{
	struct setup s = { .cs = { .client = client }, .program = "integritysetup", .options = options,
			   .noptions = I_END };

	return setup_main(&s, actions, sizeof actions / sizeof *actions, argc, argv);
}
