/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * veritysetup.c - veritysetup's command line.  Trees are made and checked in this process; an
 * opened device is a verity table of ndmd's.
 */
#include "client/setup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyctl.h>
#include <ndm-verity.h>

enum {
	V_CANCEL_DEFERRED, V_ONCE, V_DATA_BS, V_DATA_BLOCKS, V_DEBUG, V_DEFERRED, V_FEC_DEVICE,
	V_FEC_OFFSET, V_FEC_ROOTS, V_FORMAT, V_HASH, V_HASH_BS, V_HASH_OFFSET, V_HELP, V_IGNORE,
	V_IGNORE_ZERO, V_NO_SUPER, V_PANIC, V_RESTART, V_ROOT_FILE, V_SIGNATURE, V_SALT, V_USAGE,
	V_TASKLETS, V_UUID, V_VERBOSE, V_VERSION, V_END
};

static const struct setup_option options[V_END] = {
	[V_CANCEL_DEFERRED] = { "cancel-deferred", 0, SETUP_FLAG, "close: take --deferred back" },
	[V_ONCE] = { "check-at-most-once", 0, SETUP_FLAG, "open: verify each block only once" },
	[V_DATA_BS] = { "data-block-size", 0, SETUP_NUMBER, "BYTES" },
	[V_DATA_BLOCKS] = { "data-blocks", 0, SETUP_NUMBER, "BLOCKS  of the data device, all by default" },
	[V_DEBUG] = { "debug", 0, SETUP_FLAG, "accepted" },
	[V_DEFERRED] = { "deferred", 0, SETUP_FLAG, "close: when the last user is gone" },
	[V_FEC_DEVICE] = { "fec-device", 0, SETUP_TEXT, "DEVICE  has parity to repair with" },
	[V_FEC_OFFSET] = { "fec-offset", 0, SETUP_NUMBER, "BYTES" },
	[V_FEC_ROOTS] = { "fec-roots", 0, SETUP_NUMBER, "BYTES  of parity in 255; 2 to 24" },
	[V_FORMAT] = { "format", 0, SETUP_NUMBER, "0 or 1  of the tree" },
	[V_HASH] = { "hash", 'h', SETUP_TEXT, "ALGORITHM" },
	[V_HASH_BS] = { "hash-block-size", 0, SETUP_NUMBER, "BYTES" },
	[V_HASH_OFFSET] = { "hash-offset", 0, SETUP_NUMBER, "BYTES  where the superblock is" },
	[V_HELP] = { "help", '?', SETUP_FLAG, "this text" },
	[V_IGNORE] = { "ignore-corruption", 0, SETUP_FLAG, "open: log it, return it" },
	[V_IGNORE_ZERO] = { "ignore-zero-blocks", 0, SETUP_FLAG, "open: zeroes are not verified" },
	[V_NO_SUPER] = { "no-superblock", 0, SETUP_FLAG, "all parameters are given" },
	[V_PANIC] = { "panic-on-corruption", 0, SETUP_FLAG, "open: the volume stops" },
	[V_RESTART] = { "restart-on-corruption", 0, SETUP_FLAG, "open: the volume stops" },
	[V_ROOT_FILE] = { "root-hash-file", 0, SETUP_TEXT, "FILE  read, or written by format" },
	[V_SIGNATURE] = { "root-hash-signature", 0, SETUP_TEXT, "FILE  open: PKCS#7 of the root hash" },
	[V_SALT] = { "salt", 's', SETUP_TEXT, "HEX  - for none" },
	[V_USAGE] = { "usage", 0, SETUP_FLAG, NULL },
	[V_TASKLETS] = { "use-tasklets", 0, SETUP_FLAG, "open: accepted" },
	[V_UUID] = { "uuid", 0, SETUP_TEXT, "UUID" },
	[V_VERBOSE] = { "verbose", 'v', SETUP_FLAG, "say how it went" },
	[V_VERSION] = { "version", 'V', SETUP_FLAG, "" },
};

#define SALT_BYTES 32
#define SIGNATURE_MAX (64 << 10)

struct verity {
	struct ndm_verity_job job;
	struct disk data, hash, fec;
	bool data_open, hash_open, fec_open;
};

/* ---- disks ---- */

static void verity_close(struct verity *v)
{
	ndm_verity_done(&v->job);
	if (v->data_open)
		disk_close(&v->data);
	if (v->hash_open)
		disk_close(&v->hash);
	if (v->fec_open)
		disk_close(&v->fec);
}

/* hash and parity may lie on the data device, or on one another */
static int verity_disks(struct setup *s, const char *data, const char *hash, bool write, struct verity *v)
{
	const char *fec = s->text[V_FEC_DEVICE];
	int err = 0;

	if (data) {
		err = disk_open(&s->cs, data, write && !strcmp(data, hash), false, &v->data);
		v->data_open = !err;
		v->job.data = &v->data.io;
	}
	if (!err && data && !strcmp(data, hash)) {
		v->job.hash = &v->data.io;
	} else if (!err) {
		err = disk_open(&s->cs, hash, write, write, &v->hash);
		v->hash_open = !err;
		v->job.hash = &v->hash.io;
	}
	if (err || !fec)
		return err;
	v->job.same_fec = !strcmp(fec, hash);
	if (v->job.same_fec) {
		v->job.fec = v->job.hash;
		return 0;
	}
	err = disk_open(&s->cs, fec, write, write, &v->fec);
	v->fec_open = !err;
	v->job.fec = &v->fec.io;
	return err;
}

/* ---- parameters ---- */

static bool block_size_ok(uint64_t n)
{
	return n >= 512 && n <= 512 << 10 && !(n & (n - 1));
}

static int salt_given(const char *text, struct ndm_verity_super *super)
{
	size_t n = strlen(text) / 2;

	super->salt_bytes = 0;
	if (!strcmp(text, "-"))
		return 0;
	if (n > NDM_VERITY_SALT_MAX || !setup_unhex(text, super->salt, n)) {
		say("Invalid salt string specified.");
		return -EINVAL;
	}
	super->salt_bytes = n;
	return 0;
}

static int params_given(struct setup *s, struct verity *v)
{
	struct ndm_verity_super *p = &v->job.super;
	const char *hash = s->given[V_HASH] ? s->text[V_HASH] : "sha256";

	p->version = setup_number(s, V_FORMAT, 1);
	p->data_block_bytes = setup_number(s, V_DATA_BS, 4096);
	p->hash_block_bytes = setup_number(s, V_HASH_BS, 4096);
	if (setup_number(s, V_FORMAT, 1) > 1 || strlen(hash) > 31) {
		say("Unsupported VERITY hash type %" PRIu64 ".", setup_number(s, V_FORMAT, 1));
		return -EINVAL;
	}
	if (!block_size_ok(setup_number(s, V_DATA_BS, 4096)) ||
	    !block_size_ok(setup_number(s, V_HASH_BS, 4096))) {
		say("Unsupported VERITY block size.");
		return -EINVAL;
	}
	strcpy(p->algorithm, hash);
	p->data_blocks = v->job.data ? v->job.data->bytes / p->data_block_bytes : 0;
	if (setup_number(s, V_DATA_BLOCKS, 0))
		p->data_blocks = s->number[V_DATA_BLOCKS];
	return s->given[V_SALT] ? salt_given(s->text[V_SALT], p) : 0;
}

static int super_read(struct setup *s, const char *device, struct verity *v)
{
	uint8_t bytes[NDM_VERITY_SUPER_BYTES];
	const char *why;
	int err = v->job.hash->read(v->job.hash, v->job.hash_offset, bytes, sizeof bytes);

	if (err || ndm_verity_super_decode(bytes, &v->job.super, &why)) {
		say("Device %s is not a valid VERITY device.", device);
		if (!err && s->given[V_VERBOSE])
			say("%s: %s.", device, why);
		return -EINVAL;
	}
	return 0;
}

static int offsets_given(struct setup *s, struct verity *v)
{
	v->job.hash_offset = setup_number(s, V_HASH_OFFSET, 0);
	v->job.no_super = s->given[V_NO_SUPER];
	v->job.fec_offset = setup_number(s, V_FEC_OFFSET, 0);
	v->job.fec_roots = setup_number(s, V_FEC_ROOTS, 2);
	if (v->job.hash_offset % 512) {
		say("Unsupported VERITY hash offset.");
		return -EINVAL;
	}
	return 0;
}

/* Superblock or options, then everything that follows from them. */
static int verity_load(struct setup *s, const char *hash, struct verity *v)
{
	int err = offsets_given(s, v);

	err = err ? err : s->given[V_NO_SUPER] ? params_given(s, v) : super_read(s, hash, v);
	if (err)
		return err;
	err = ndm_verity_prepare(&v->job);
	if (err)
		say("%s", v->job.why);
	return err;
}

/* ---- root hashes ---- */

static int root_of_file(const char *path, char *text, size_t room)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, room - 1, f) : 0;

	if (!f) {
		say("Cannot read root hash file %s.", path);
		return -EINVAL;
	}
	fclose(f);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int root_given(struct setup *s, const struct verity *v, int at, uint8_t *root)
{
	char text[2 * NDM_VERITY_DIGEST_MAX + 3];
	const char *given = s->argc > at ? s->argv[at] : NULL;

	if (s->given[V_ROOT_FILE]) {
		if (root_of_file(s->text[V_ROOT_FILE], text, sizeof text))
			return -EINVAL;
		given = text;
	}
	if (!given) {
		say("Command requires <root_hash> or --root-hash-file option as argument.");
		return -EINVAL;
	}
	if (!setup_unhex(given, root, v->job.tree.digest_bytes)) {
		say("Invalid root hash string specified.");
		return -EINVAL;
	}
	return 0;
}

static int root_save(struct setup *s, const char *root)
{
	FILE *f;

	if (!s->given[V_ROOT_FILE])
		return 0;
	f = fopen(s->text[V_ROOT_FILE], "w");
	if (!f || fputs(root, f) < 0 || fclose(f)) {
		say("Cannot write to root hash file %s.", s->text[V_ROOT_FILE]);
		return -EINVAL;
	}
	return 0;
}

/* ---- what is said of a device ---- */

static void print_header(const struct verity *v, const char *device)
{
	const struct ndm_verity_super *p = &v->job.super;
	uint64_t blocks = v->job.tree.end - v->job.tree.start;
	char uuid[37], *salt = setup_hex(p->salt, p->salt_bytes);

	setup_uuid_text(p->uuid, uuid);
	printf("VERITY header information for %s\n", device);
	printf("UUID:            \t%s\n", v->job.no_super ? "" : uuid);
	printf("Hash type:       \t%u\n", p->version);
	printf("Data blocks:     \t%" PRIu64 "\n", p->data_blocks);
	printf("Data block size: \t%u\n", p->data_block_bytes);
	printf("Hash blocks:     \t%" PRIu64 "\n", blocks);
	printf("Hash block size: \t%u\n", p->hash_block_bytes);
	printf("Hash algorithm:  \t%s\n", p->algorithm);
	if (v->job.fec && v->job.fec_roots) {
		printf("FEC RS roots:   \t%u\n", v->job.fec_roots);
		printf("FEC blocks:     \t%" PRIu64 "\n", v->job.fec_rounds * v->job.fec_roots);
	}
	printf("Salt:            \t%s\n", p->salt_bytes && salt ? salt : "-");
	free(salt);
}

/* Sizes are only told where nothing else lies before. */
static void print_sizes(const struct verity *v)
{
	if (!v->job.hash_offset)
		printf("Hash device size: \t%" PRIu64 " [bytes]\n",
		       v->job.tree.end * v->job.super.hash_block_bytes);
	if (v->job.fec && v->job.fec_roots && !v->job.fec_offset)
		printf("FEC device size: \t%" PRIu64 " [bytes]\n",
		       v->job.fec_rounds * v->job.fec_roots * v->job.super.data_block_bytes);
}

/* ---- actions ---- */

static int format_ids(struct setup *s, struct verity *v)
{
	struct ndm_verity_super *p = &v->job.super;
	int err = ndm_verity_random(p->uuid, sizeof p->uuid);

	if (!err && !s->given[V_SALT]) {
		p->salt_bytes = SALT_BYTES;
		err = ndm_verity_random(p->salt, SALT_BYTES);
	}
	p->uuid[6] = (p->uuid[6] & 0x0f) | 0x40;
	p->uuid[8] = (p->uuid[8] & 0x3f) | 0x80;
	if (!err && s->given[V_UUID] && !setup_uuid(s->text[V_UUID], p->uuid)) {
		say("Wrong VERITY UUID format provided on device %s.", s->argv[1]);
		err = -EINVAL;
	}
	return err;
}

static int format_fits(struct setup *s, const struct verity *v)
{
	const struct ndm_verity_job *j = &v->job;
	uint64_t data = j->super.data_blocks * j->super.data_block_bytes;

	if (!j->super.data_blocks || data > j->data->bytes) {
		say("Data blocks: the data device %s has %" PRIu64 " of %u bytes.", s->argv[0],
		    j->data->bytes / j->super.data_block_bytes, j->super.data_block_bytes);
		return -EINVAL;
	}
	if (j->hash == j->data && j->hash_offset < data) {
		say("Data area overlaps with hash area.");
		return -EINVAL;
	}
	if (j->same_fec && j->fec_offset < j->tree.end * j->super.hash_block_bytes) {
		say("Hash area overlaps with FEC area.");
		return -EINVAL;
	}
	return 0;
}

static int verity_format(struct setup *s)
{
	struct verity v = { 0 };
	char *root = NULL;
	int err = verity_disks(s, s->argv[0], s->argv[1], true, &v);

	err = err ? err : offsets_given(s, &v);
	err = err ? err : params_given(s, &v);
	err = err ? err : format_ids(s, &v);
	if (!err) {
		err = ndm_verity_prepare(&v.job);
		err = err ? err : format_fits(s, &v) ? -EINVAL : ndm_verity_make(&v.job);
		if (!err && v.job.fec)
			err = ndm_verity_fec_make(&v.job);
		if (err && *v.job.why)
			say("%s", v.job.why);
	}
	if (!err) {
		print_header(&v, s->argv[1]);
		root = setup_hex(v.job.root, v.job.tree.digest_bytes);
		printf("Root hash:      \t%s\n", root);
		print_sizes(&v);
		err = root_save(s, root);
	}
	free(root);
	verity_close(&v);
	return err;
}

/* Does the tree fit, and if not, could parity help? */
static int verify_now(struct verity *v, const uint8_t *root)
{
	int err = ndm_verity_check(&v->job, root);

	if (err)
		say("%s", v->job.why);
	if (!err || !v->job.fec || err != -EPERM)
		return err;
	if (ndm_verity_fec_check(&v->job)) {
		say("%s", v->job.why);
		return err;
	}
	printf("Found %" PRIu64 " repairable errors with FEC device.\n", v->job.fec_errors);
	return err;
}

static int verity_verify(struct setup *s)
{
	uint8_t root[NDM_VERITY_DIGEST_MAX];
	struct verity v = { 0 };
	int err = verity_disks(s, s->argv[0], s->argv[1], false, &v);

	err = err ? err : verity_load(s, s->argv[1], &v);
	err = err ? err : root_given(s, &v, 2, root);
	err = err ? err : verify_now(&v, root);
	verity_close(&v);
	return err;
}

static int verity_dump(struct setup *s)
{
	struct verity v = { 0 };
	int err = verity_disks(s, NULL, s->argv[0], false, &v);

	err = err ? err : verity_load(s, s->argv[0], &v);
	if (!err) {
		print_header(&v, s->argv[0]);
		print_sizes(&v);
	}
	verity_close(&v);
	return err;
}

/* ---- open ---- */

/* The signature goes into the user's keyring, where ndmd looks for it. */
static int signature_key(struct setup *s, char **name)
{
	uint8_t *bytes = malloc(SIGNATURE_MAX);
	FILE *f = fopen(s->text[V_SIGNATURE], "r");
	size_t n = f && bytes ? fread(bytes, 1, SIGNATURE_MAX, f) : 0;
	int err = 0;

	*name = text_format("ndm:%s-%u", s->argv[1], (unsigned)getpid());
	if (!n) {
		say("Cannot read signature file %s.", s->text[V_SIGNATURE]);
		err = -EINVAL;
	} else if (syscall(SYS_add_key, "user", *name, bytes, n, KEY_SPEC_USER_KEYRING) < 0) {
		err = -errno;
		say("Cannot put the signature into the user's keyring: %s.", strerror(errno));
	}
	if (f)
		fclose(f);
	free(bytes);
	return err;
}

static void append(char **text, char *more)
{
	char *all = *text && more ? text_format("%s%s", *text, more) : NULL;

	free(*text);
	free(more);
	*text = all;
}

static unsigned word_add(char **words, bool wanted, const char *word)
{
	if (wanted)
		append(words, text_format(" %s", word));
	return wanted;
}

static char *open_words(struct setup *s, const struct verity *v, const char *key)
{
	char *words = text_format("%s", ""), *all, *fec;
	unsigned n = 0;

	n += word_add(&words, s->given[V_IGNORE], "ignore_corruption");
	n += word_add(&words, s->given[V_RESTART], "restart_on_corruption");
	n += word_add(&words, s->given[V_PANIC], "panic_on_corruption");
	n += word_add(&words, s->given[V_IGNORE_ZERO], "ignore_zero_blocks");
	n += word_add(&words, s->given[V_ONCE], "check_at_most_once");
	n += word_add(&words, s->given[V_TASKLETS], "try_verify_in_tasklet");
	if (v->job.fec) {
		fec = disk_word(v->job.fec == &v->fec.io ? &v->fec : v->job.fec == &v->hash.io ?
				&v->hash : &v->data);
		append(&words, text_format(" use_fec_from_device %s fec_start %" PRIu64 " fec_blocks %"
					   PRIu64 " fec_roots %u", fec,
					   v->job.fec_offset / v->job.super.data_block_bytes,
					   v->job.fec_blocks, v->job.fec_roots));
		free(fec);
		n += 8;
	}
	if (key) {
		append(&words, text_format(" root_hash_sig_key_desc %s", key));
		n += 2;
	}
	all = n ? text_format(" %u%s", n, words) : text_format("%s", "");
	free(words);
	return all;
}

static char *open_args(struct setup *s, const struct verity *v, const uint8_t *root, const char *key)
{
	const struct ndm_verity_super *p = &v->job.super;
	char *data = disk_word(&v->data), *hash = disk_word(v->hash_open ? &v->hash : &v->data);
	char *digest = setup_hex(root, v->job.tree.digest_bytes);
	char *salt = setup_hex(p->salt, p->salt_bytes), *words = open_words(s, v, key), *args = NULL;

	if (data && hash && digest && salt && words)
		args = text_format("%u %s %s %u %u %" PRIu64 " %" PRIu64 " %s %s %s%s", p->version, data, hash,
				   p->data_block_bytes, p->hash_block_bytes, p->data_blocks,
				   v->job.tree.start, p->algorithm, digest, p->salt_bytes ? salt : "-",
				   words);
	free(data);
	free(hash);
	free(digest);
	free(salt);
	free(words);
	return args;
}

static int verity_open_named(struct setup *s, const char *data, const char *name, const char *hash)
{
	uint8_t root[NDM_VERITY_DIGEST_MAX];
	char uuid[37], *key = NULL;
	struct verity v = { 0 };
	int err = verity_disks(s, data, hash, false, &v);

	err = err ? err : verity_load(s, hash, &v);
	err = err ? err : root_given(s, &v, 3, root);
	if (!err && s->given[V_SIGNATURE])
		err = signature_key(s, &key);
	if (!err) {
		setup_uuid_text(v.job.super.uuid, uuid);
		err = setup_create(s, name, dm_uuid("VERITY", v.job.no_super ? "" : uuid, name),
				   v.job.super.data_blocks * (v.job.super.data_block_bytes >> 9), "verity",
				   open_args(s, &v, root, key), true);
	}
	free(key);
	verity_close(&v);
	return err;
}

static int verity_open(struct setup *s)
{
	return verity_open_named(s, s->argv[0], s->argv[1], s->argv[2]);
}

static int verity_create(struct setup *s)	/* the order of old */
{
	return verity_open_named(s, s->argv[1], s->argv[0], s->argv[2]);
}

static int verity_status(struct setup *s)
{
	char *w[10] = { NULL }, *save = NULL, *p;
	struct task *t, *state = NULL;
	unsigned n = 0;
	int err = setup_status(s, s->argv[0], "verity", &t);

	if (err)
		return err;
	for (p = strtok_r(t->lines[0].params, " ", &save); p && n < 10; p = strtok_r(NULL, " ", &save))
		w[n++] = p;
	if (!dm_table(&s->cs, s->argv[0], TASK_STATUS, &state) && n == 10) {
		printf("  type:        VERITY\n  status:      %s\n", *state->lines[0].params == 'C' ?
		       "corrupted" : "verified");
		printf("  hash type:   %s\n  data block:  %s\n  hash block:  %s\n  hash name:   %s\n", w[0],
		       w[3], w[4], w[7]);
		printf("  salt:        %s\n  data device: %s\n  size:        %" PRIu64 " sectors\n", w[9],
		       w[1], t->lines[0].length);
		printf("  mode:        readonly\n  hash device: %s\n  root hash:   %s\n", w[2], w[8]);
	}
	task_free(state);
	task_free(t);
	return 0;
}

static const struct setup_action actions[] = {
	{ "format", verity_format, 2, "<data_device> <hash_device>" },
	{ "verify", verity_verify, 2, "<data_device> <hash_device> [<root_hash>]" },
	{ "open", verity_open, 3, "<data_device> <name> <hash_device> [<root_hash>]" },
	{ "create", verity_create, 3, NULL },
	{ "close", setup_close, 1, "<name>" },
	{ "remove", setup_close, 1, NULL },
	{ "status", verity_status, 1, "<name>" },
	{ "dump", verity_dump, 1, "<hash_device>" },
};

int veritysetup_main(struct client *client, int argc, char **argv)
{
	struct setup s = { .cs = { .client = client }, .program = "veritysetup", .options = options,
			   .noptions = V_END };

	return setup_main(&s, actions, sizeof actions / sizeof *actions, argc, argv);
}
