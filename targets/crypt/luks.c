/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luks: a volume with a LUKS header, opened by ndmd itself.
 *
 *	luks <device> <key> [<#words> <word>...]
 *
 * The kernel has no such target: there a program unlocks the header and loads a crypt table.
 * Here a definition file can say where the passphrase comes from instead, and no key is ever in
 * a table.  Once constructed it is a crypt target in everything.
 *
 * A line of length 0 is as long as the header says.  LUKS1, and LUKS2 of one segment without
 * integrity; `ndm cryptsetup open` does the others, which need more than one device.
 *
 * The header is read here, all of it; the rest (deriving a key takes seconds and much memory) is
 * done by a worker on that copy.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <ndm-luks.h>

#include "targets/crypt/crypt.h"

#define PASSPHRASE_MAX (8u << 20)
#define PIECE_BYTES (1u << 20)
#define WORDS_MAX 32

struct luks {
	struct crypt crypt;		/* first: crypt's methods find their own */
	char *key_from;			/* "file:/path", as given */
	char *header;			/* device of a detached one, or NULL */
	struct ndm_luks_options options;
	char uuid[41];
	int version, slot;
};

static const struct { const char *word; size_t at; } luks_flags[] = {
#define FLAG(word, member) { word, offsetof(struct ndm_luks_options, member) }
	FLAG("allow_discards", discards), FLAG("same_cpu_crypt", same_cpu),
	FLAG("high_priority", high_priority), FLAG("submit_from_crypt_cpus", from_cpus),
	FLAG("no_read_workqueue", no_read_queue), FLAG("no_write_workqueue", no_write_queue),
};
#define NFLAGS (sizeof luks_flags / sizeof *luks_flags)

static bool *flag_of(struct ndm_luks_options *o, unsigned i)
{
	return (bool *)((char *)o + luks_flags[i].at);
}

/* ---- the header, from a store and from memory ---- */

struct store_io { struct ndm_luks_io io; struct ndm_store *store; };
struct memory_io { struct ndm_luks_io io; uint8_t *bytes; };

/* whole blocks of 4096, as far as the device reaches */
static int store_read(struct ndm_luks_io *io, uint64_t offset, void *buf, size_t bytes)
{
	struct ndm_store *s = ((struct store_io *)io)->store;
	uint64_t first = offset >> 12 << 3, end = ((offset + bytes + 4095) >> 12) << 3;
	size_t whole;
	void *copy;
	int err;

	end = end < s->nr ? end : s->nr;
	whole = (end - first) << NDM_SECTOR_SHIFT;
	copy = ndm_buffer_get(s->loop, whole);
	if (!copy)
		return -ENOMEM;
	err = ndm_rw(s, NDM_READ, 0, first, end - first, copy);
	if (!err)
		memcpy(buf, (char *)copy + (offset - (first << NDM_SECTOR_SHIFT)), bytes);
	ndm_buffer_put(s->loop, copy, whole);
	return err;
}

static int memory_read(struct ndm_luks_io *io, uint64_t offset, void *buf, size_t bytes)
{
	memcpy(buf, ((struct memory_io *)io)->bytes + offset, bytes);
	return 0;
}

/* Header and keyslots into memory; *memory->bytes is to be freed. */
static int header_copy(struct ndm_target *ti, struct ndm_store *store, struct memory_io *memory)
{
	struct store_io disk = { .io = { .read = store_read, .bytes = store->nr << NDM_SECTOR_SHIFT },
				 .store = store };
	struct ndm_luks *l = ndm_luks_new(&disk.io);
	uint64_t bytes, at;
	int err = l ? ndm_luks_load(l) : -ENOMEM;

	if (err) {
		if (l)
			ndm_error(ti, err, "%s", ndm_luks_why(l));
		ndm_luks_free(l);
		return err;
	}
	bytes = ndm_luks_header_bytes(l);
	ndm_luks_free(l);
	if (bytes > disk.io.bytes)
		return ndm_error(ti, -EINVAL, "the header reaches past the end of the device");
	memory->io = (struct ndm_luks_io){ .read = memory_read, .bytes = bytes };
	memory->bytes = ndm_zalloc(bytes);
	if (!memory->bytes)
		return -ENOMEM;
	for (at = 0; at < bytes && !err; at += PIECE_BYTES)
		err = store_read(&disk.io, at, memory->bytes + at,
				 bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES);
	return err ? ndm_error(ti, err, "the header cannot be read") : 0;
}

/* ---- unlocking, on a worker ---- */

struct unlocking {
	struct ndm_loop *loop;
	char *type, *where;		/* of the passphrase */
	struct ndm_luks *luks;
	uint8_t *key;
	size_t key_bytes;
	bool no_passphrase;		/* what failed was getting it */
	int slot;
};

static int unlock_run(void *arg)
{
	struct unlocking *u = arg;
	uint8_t *pass = ndm_secret_alloc(PASSPHRASE_MAX);
	int n, err;

	if (!pass)
		return -ENOMEM;
	n = ndm_key_read(u->loop, u->type, u->where, pass, PASSPHRASE_MAX);
	u->no_passphrase = n < 0 || n > (int)PASSPHRASE_MAX;
	if (u->no_passphrase)
		err = n < 0 ? n : -EFBIG;
	else
		err = ndm_luks_load(u->luks);
	if (!err) {
		u->slot = ndm_luks_unlock(u->luks, -1, pass, n, u->key, &u->key_bytes);
		err = u->slot < 0 ? u->slot : 0;
	}
	ndm_secret_free(pass, PASSPHRASE_MAX);
	return err;
}

static int unlock(struct ndm_target *ti, struct luks *l, struct unlocking *u)
{
	char *colon;
	int err;

	u->loop = ti->loop;
	u->type = ndm_strdup(l->key_from);
	colon = u->type ? strchr(u->type, ':') : NULL;
	if (!colon) {
		ndm_free(u->type);
		return ndm_error(ti, -EINVAL, "the key's place is TYPE:NAME, with file, fd, credential, "
				 "exec, or a type of the keyring, not '%s'", l->key_from);
	}
	*colon = 0;
	u->where = colon + 1;
	err = ndm_offload(ti->loop, unlock_run, u);
	ndm_free(u->type);
	if (err && u->no_passphrase)
		return ndm_error(ti, err, "there is no passphrase to be had from %s", l->key_from);
	return err ? ndm_error(ti, err, "%s", ndm_luks_why(u->luks)) : 0;
}

/* ---- from the header to a crypt table ---- */

/* line: what the header says; its words are cut up, and the device is put in */
static int luks_begin_crypt(struct ndm_target *ti, struct ndm_luks_line *line, char *device)
{
	char *argv[WORDS_MAX], *p = line->args;
	unsigned argc = 0;

	while (p && *p && argc < WORDS_MAX) {
		argv[argc++] = p;
		p = strchr(p, ' ');
		if (p)
			*p++ = 0;
	}
	if (argc < 5)
		return -EINVAL;
	argv[3] = device;
	return crypt_ctr(ti, argc, argv);
}

static int luks_table(struct ndm_target *ti, struct luks *l, struct unlocking *u, char *device)
{
	struct ndm_luks_line *line;
	unsigned n;
	int err;

	if (ndm_luks_has_integrity(u->luks))
		return ndm_error(ti, -EOPNOTSUPP, "a volume with integrity needs two devices: open it "
				 "with 'ndm cryptsetup open'");
	err = ndm_luks_lines(u->luks, &l->options, u->key, u->key_bytes, &line, &n);
	if (err)
		return ndm_error(ti, err, "%s", ndm_luks_why(u->luks));
	if (n != 1 || strcmp(line->type, "crypt"))
		err = ndm_error(ti, -EOPNOTSUPP, "a volume of %u segments: open it with 'ndm cryptsetup "
				"open'", n);
	else if (ti->nr > line->nr)
		err = ndm_error(ti, -EINVAL, "the volume has %" PRIu64 " sectors, not %" PRIu64,
				line->nr, ti->nr);
	if (!err && !ti->nr)
		ti->nr = line->nr;
	err = err ? err : luks_begin_crypt(ti, line, device);
	ndm_luks_lines_free(line, n);
	return err;
}

static int luks_open(struct ndm_target *ti, struct luks *l, struct ndm_store *header, char *device)
{
	struct unlocking u = { .slot = -1 };
	struct memory_io memory = { .bytes = NULL };
	int err = header_copy(ti, header, &memory);

	if (err)
		goto out;
	u.luks = ndm_luks_new(&memory.io);
	u.key = ndm_secret_alloc(NDM_LUKS_KEY_MAX);
	err = u.luks && u.key ? unlock(ti, l, &u) : -ENOMEM;
	err = err ? err : luks_table(ti, l, &u, device);
	if (!err) {
		l->version = ndm_luks_version(u.luks);
		l->slot = u.slot;
		memcpy(l->uuid, ndm_luks_uuid(u.luks), sizeof l->uuid);
	}
out:
	ndm_luks_free(u.luks);
	ndm_secret_free(u.key, NDM_LUKS_KEY_MAX);
	if (memory.bytes)
		ndm_secret_wipe(memory.bytes, memory.io.bytes);
	ndm_free(memory.bytes);
	return err;
}

/* ---- constructor ---- */

static int luks_word(struct ndm_target *ti, struct luks *l, struct ndm_args *args, unsigned *n)
{
	const char *word = ndm_args_shift(args);
	unsigned i;

	for (i = 0; i < NFLAGS; i++)
		if (!strcasecmp(word, luks_flags[i].word)) {
			*flag_of(&l->options, i) = true;
			return 0;
		}
	if (strcasecmp(word, "header") || !*n)
		return ndm_error(ti, -EINVAL, "unknown word '%s'", word);
	--*n;
	ndm_free(l->header);
	l->header = ndm_strdup(ndm_args_shift(args));
	return l->header ? 0 : -ENOMEM;
}

static void luks_free(struct luks *l)
{
	ndm_free(l->key_from);
	ndm_free(l->header);
}

static int luks_construct(struct ndm_target *ti, struct luks *l, unsigned argc, char **argv)
{
	struct ndm_args args = { .argc = argc - 2, .argv = argv + 2 };
	struct ndm_dev *data, *header;
	unsigned n = 0;
	int err = 0;

	l->key_from = ndm_strdup(argv[1]);
	if (!l->key_from)
		return -ENOMEM;
	if (args.argc)
		err = ndm_args_group(ti, &args, 0, WORDS_MAX, "Invalid number of words", &n);
	while (!err && n) {
		n--;
		err = luks_word(ti, l, &args, &n);
	}
	err = err ? err : ndm_get_dev(ti, argv[0], 0, 0, &data);
	if (err)
		return err;
	header = data;
	if (l->header)
		err = ndm_get_dev_mode(ti, l->header, NDM_OPEN_READ, 0, 0, &header);
	if (err)
		return err;
	l->options.device = "-";
	l->options.device_bytes = data->store->nr << NDM_SECTOR_SHIFT;
	return luks_open(ti, l, header->store, argv[0]);
}

static int luks_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct luks *l = ti->private_data;
	int err;

	if (argc < 2)
		return ndm_error(ti, -EINVAL, "Not enough arguments: a device and the key's place");
	err = luks_construct(ti, l, argc, argv);
	if (err)
		luks_free(l);
	return err;
}

static void luks_dtr(struct ndm_target *ti)
{
	luks_free(ti->private_data);
	crypt_dtr(ti);
}

/* ---- what it says of itself ---- */

static void print_word(struct ndm_str *out, const char *word)
{
	ndm_str_put(out, " ", 1);
	ndm_table_put_word(out, word, strlen(word));
}

static void luks_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			struct ndm_str *out)
{
	struct luks *l = ti->private_data;
	unsigned i, n = l->header ? 2 : 0;

	(void)flags;
	if (what == NDM_STATUS_INFO) {
		ndm_printf(out, "%d %s %d", l->version, l->uuid, l->slot);
		return;
	}
	for (i = 0; i < NFLAGS; i++)
		n += *flag_of(&l->options, i);
	ndm_printf(out, "%s", l->crypt.dev->name);
	print_word(out, l->key_from);
	if (!n)
		return;
	ndm_printf(out, " %u", n);
	for (i = 0; i < NFLAGS; i++)
		if (*flag_of(&l->options, i))
			print_word(out, luks_flags[i].word);
	if (l->header) {
		ndm_printf(out, " header");
		print_word(out, l->header);
	}
}

static const char *const key_types[] = { "file", "fd", "credential", "exec", "user", NULL };

static const struct ndm_arg header_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "Where the header is." },
	{ 0 }
};

#define HINT(word, text) { .name = word, .kind = NDM_ARG_FLAG, .help = text }
static const struct ndm_arg luks_words[] = {
	HINT("allow_discards", "Discards are passed down; they show which sectors are in use."),
	HINT("same_cpu_crypt", "Accepted; without effect."),
	HINT("high_priority", "Accepted; without effect."),
	HINT("submit_from_crypt_cpus", "Accepted; without effect."),
	HINT("no_read_workqueue", "Reads are decrypted by the device's own thread."),
	HINT("no_write_workqueue", "Writes are encrypted by the device's own thread."),
	{ .name = "header", .kind = NDM_ARG_KEYED, .sub = header_args,
	  .help = "A device or file that holds the header, where the data's does not." },
	{ 0 }
};

static const struct ndm_arg luks_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device with the header and the data." },
	{ .name = "key", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_COLON, .choices = key_types,
	  .help = "Where the passphrase is: file:PATH, fd:NUMBER, credential:NAME (of systemd), "
		  "exec:PROGRAM (what it prints), user:DESCRIPTION (the keyring). "
		  "In YAML also a mapping, {file: PATH}." },
	{ .name = "words", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_TRIM, .sub = luks_words,
	  .help = "Options." },
	{ 0 }
};

static const struct ndm_arg luks_status_fields[] = {
	{ .name = "version", .kind = NDM_ARG_U64, .help = "Of the header: 1 or 2." },
	{ .name = "uuid", .kind = NDM_ARG_TEXT, .help = "The header's." },
	{ .name = "keyslot", .kind = NDM_ARG_U64, .help = "Which one the passphrase opened." },
	{ 0 }
};

const struct ndm_target_type ndm_target_luks = {
	.name = "luks",
	.version = { 1, 0, 0 },
	.features = NDM_TARGET_OURS | NDM_TARGET_OWN_SIZE,
	.private_size = sizeof(struct luks),
	.args = luks_args,
	.status_fields = luks_status_fields,
	.summary = "A volume with a LUKS header, opened by ndmd itself.",
	.ctr = luks_ctr,
	.dtr = luks_dtr,
	.map = crypt_map,
	.end_io = crypt_end_io,
	.status = luks_status,
	.postsuspend = crypt_postsuspend,
	.preresume = crypt_preresume,
	.resume = crypt_resume,
	.io_hints = crypt_io_hints,
};
