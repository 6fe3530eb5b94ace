/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - cryptsetup's options.  All are known, so that scripts run; those that ask for
 * what only a kernel has (its keyring, its locks) are accepted and change nothing.
 */
#include "client/cryptsetup/cryptsetup.h"
#include "client/setup.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { FLAG, TEXT, NUMBER, SIZE };

struct known { const char *name; enum cs_option option; enum kind kind; char letter; const char *help; };

static const struct known known[] = {
	{ "active-name", CS_ACTIVE_NAME, TEXT, 0, NULL },
	{ "align-payload", CS_ALIGN_PAYLOAD, NUMBER, 0, "SECTORS  the data begins at a multiple of it" },
	{ "allow-discards", CS_ALLOW_DISCARDS, FLAG, 0, "discards are passed down" },
	{ "batch-mode", CS_BATCH_MODE, FLAG, 'q', "no questions" },
	{ "block-size", CS_BLOCK_SIZE, NUMBER, 0, "MIB  reencrypt, LUKS1: at work at a time" },
	{ "cancel-deferred", CS_CANCEL_DEFERRED, FLAG, 0, "close: take --deferred back" },
	{ "cipher", CS_CIPHER, TEXT, 'c', "CIPHER  as in a crypt table: aes-xts-plain64" },
	{ "debug", CS_DEBUG, FLAG, 0, "accepted" },
	{ "debug-json", CS_DEBUG, FLAG, 0, "accepted" },
	{ "decrypt", CS_DECRYPT, FLAG, 0, "reencrypt: into plain data; --header has, or gets, the header" },
	{ "deferred", CS_DEFERRED, FLAG, 0, "close: when the last user is gone" },
	{ "device-size", CS_DEVICE_SIZE, SIZE, 0, "BYTES  use no more of the device" },
	{ "disable-external-tokens", CS_DISABLE_EXTERNAL_TOKENS, FLAG, 0, "accepted: there are none" },
	{ "disable-keyring", CS_DISABLE_KEYRING, FLAG, 0, "accepted: the table has the key itself" },
	{ "disable-locks", CS_DISABLE_LOCKS, FLAG, 0, "accepted" },
	{ "dump-json-metadata", CS_DUMP_JSON, FLAG, 0, "luksDump: LUKS2's JSON" },
	{ "dump-master-key", CS_DUMP_KEY, FLAG, 0, NULL },
	{ "dump-volume-key", CS_DUMP_KEY, FLAG, 0, "luksDump: the key itself" },
	{ "encrypt", CS_ENCRYPT, FLAG, 'N', "reencrypt: plain data; with --header or --reduce-device-size" },
	{ "force-offline-reencrypt", CS_FORCE_OFFLINE, FLAG, 0, "accepted: it is always offline" },
	{ "force-password", CS_FORCE_PASSWORD, FLAG, 0, "accepted: passphrases are not judged" },
	{ "hash", CS_HASH, TEXT, 'h', "HASH" },
	{ "header", CS_HEADER, TEXT, 0, "FILE  the header is there, not on the device" },
	{ "header-backup-file", CS_HEADER_BACKUP_FILE, TEXT, 0, "FILE" },
	{ "help", CS_HELP, FLAG, '?', "this text" },
	{ "hotzone-size", CS_HOTZONE_SIZE, SIZE, 0, "BYTES  reencrypt: at work at a time" },
	{ "init-only", CS_INIT_ONLY, FLAG, 0, "reencrypt: only the header, for now" },
	{ "integrity", CS_INTEGRITY, TEXT, 'I', "ALGORITHM  LUKS2: hmac-sha256, aead, poly1305" },
	{ "integrity-no-journal", CS_INTEGRITY_NO_JOURNAL, FLAG, 0, "open: no journal below" },
	{ "integrity-no-wipe", CS_INTEGRITY_NO_WIPE, FLAG, 0, "luksFormat: leave the data as it is" },
	{ "iter-time", CS_ITER_TIME, NUMBER, 'i', "MS  how long a passphrase shall take" },
	{ "iv-large-sectors", CS_IV_LARGE, FLAG, 0, "plain: IVs count encryption sectors" },
	{ "json-file", CS_JSON_FILE, TEXT, 0, "FILE  of a token; - is standard input or output" },
	{ "keep-key", CS_KEEP_KEY, FLAG, 0, "reencrypt, LUKS1: another hash or cost, the same key" },
	{ "key-description", CS_KEY_DESCRIPTION, TEXT, 0, "TEXT  of a keyring token" },
	{ "key-file", CS_KEY_FILE, TEXT, 'd', "FILE  holds the passphrase; - is standard input" },
	{ "key-size", CS_KEY_SIZE, NUMBER, 's', "BITS" },
	{ "key-slot", CS_KEY_SLOT, NUMBER, 'S', "NUMBER" },
	{ "keyfile-offset", CS_KEYFILE_OFFSET, NUMBER, 0, "BYTES" },
	{ "keyfile-size", CS_KEYFILE_SIZE, NUMBER, 'l', "BYTES" },
	{ "keyslot-cipher", CS_KEYSLOT_CIPHER, TEXT, 0, "CIPHER  of LUKS2's keyslot" },
	{ "keyslot-key-size", CS_KEYSLOT_KEY_SIZE, NUMBER, 0, "BITS" },
	{ "label", CS_LABEL, TEXT, 0, "TEXT" },
	{ "luks2-keyslots-size", CS_KEYSLOTS_SIZE, SIZE, 0, "BYTES" },
	{ "luks2-metadata-size", CS_METADATA_SIZE, SIZE, 0, "BYTES" },
	{ "master-key-file", CS_VOLUME_KEY_FILE, TEXT, 0, NULL },
	{ "volume-key-file", CS_VOLUME_KEY_FILE, TEXT, 0, "FILE  holds the volume key" },
	{ "new-token-id", CS_IGNORED, NUMBER, 0, "accepted: no token makes keyslots here" },
	{ "new-keyfile", CS_NEW_KEYFILE, TEXT, 0, "FILE  the new passphrase" },
	{ "new-key-slot", CS_NEW_KEY_SLOT, NUMBER, 0, "NUMBER" },
	{ "new-keyfile-offset", CS_NEW_KEYFILE_OFFSET, NUMBER, 0, "BYTES" },
	{ "new-keyfile-size", CS_NEW_KEYFILE_SIZE, NUMBER, 0, "BYTES" },
	{ "offset", CS_OFFSET, NUMBER, 'o', "SECTORS  where the data begins" },
	{ "pbkdf", CS_PBKDF, TEXT, 0, "argon2id, argon2i or pbkdf2" },
	{ "pbkdf-force-iterations", CS_PBKDF_ITERATIONS, NUMBER, 0, "NUMBER  not measured" },
	{ "pbkdf-memory", CS_PBKDF_MEMORY, NUMBER, 0, "KIB" },
	{ "pbkdf-parallel", CS_PBKDF_PARALLEL, NUMBER, 0, "LANES" },
	{ "perf-high_priority", CS_HIGH_PRIORITY, FLAG, 0, "for the table" },
	{ "perf-no_read_workqueue", CS_NO_READ_QUEUE, FLAG, 0, "for the table" },
	{ "perf-no_write_workqueue", CS_NO_WRITE_QUEUE, FLAG, 0, "for the table" },
	{ "perf-same_cpu_crypt", CS_SAME_CPU, FLAG, 0, "for the table" },
	{ "perf-submit_from_crypt_cpus", CS_FROM_CPUS, FLAG, 0, "for the table" },
	{ "persistent", CS_PERSISTENT, FLAG, 0, "open: flags for the table are kept in the header" },
	{ "priority", CS_PRIORITY, TEXT, 0, "ignore, normal or prefer; of a keyslot" },
	{ "new", CS_ENCRYPT, FLAG, 0, NULL },
	{ "progress-frequency", CS_IGNORED, NUMBER, 0, "accepted" },
	{ "progress-json", CS_IGNORED, FLAG, 0, "accepted" },
	{ "reduce-device-size", CS_REDUCE, SIZE, 0, "BYTES  reencrypt --encrypt: free at the device's end" },
	{ "readonly", CS_READONLY, FLAG, 'r', "" },
	{ "refresh", CS_REFRESH, FLAG, 0, "open: the device exists; load it anew" },
	{ "resilience", CS_RESILIENCE, TEXT, 0, "checksum or journal  reencrypt: how it survives" },
	{ "resilience-hash", CS_RESILIENCE_HASH, TEXT, 0, "HASH  of the checksums" },
	{ "resume-only", CS_RESUME_ONLY, FLAG, 0, "reencrypt: go on, begin nothing" },
	{ "sector-size", CS_SECTOR_SIZE, NUMBER, 0, "BYTES  512 to 4096" },
	{ "serialize-memory-hard-pbkdf", CS_IGNORED, FLAG, 0, "accepted" },
	{ "shared", CS_SHARED, FLAG, 0, "accepted" },
	{ "size", CS_SIZE, NUMBER, 'b', "SECTORS  of the opened device" },
	{ "skip", CS_SKIP, NUMBER, 'p', "SECTORS  plain: added to the IV" },
	{ "subsystem", CS_SUBSYSTEM, TEXT, 0, "TEXT" },
	{ "test-passphrase", CS_TEST_PASSPHRASE, FLAG, 0, "open: no device, only look" },
	{ "timeout", CS_TIMEOUT, NUMBER, 't', "accepted" },
	{ "token-id", CS_TOKEN_ID, NUMBER, 0, "NUMBER" },
	{ "token-only", CS_TOKEN_ONLY, FLAG, 0, "accepted" },
	{ "token-replace", CS_TOKEN_REPLACE, FLAG, 0, "" },
	{ "token-type", CS_TOKEN_TYPE, TEXT, 0, "accepted" },
	{ "tries", CS_TRIES, NUMBER, 'T', "NUMBER  how often to ask for a passphrase" },
	{ "type", CS_TYPE, TEXT, 'M', "luks, luks1, luks2 or plain" },
	{ "unbound", CS_UNBOUND, FLAG, 0, "accepted" },
	{ "usage", CS_USAGE, FLAG, 0, "" },
	{ "use-directio", CS_IGNORED, FLAG, 0, "accepted" },
	{ "use-fsync", CS_IGNORED, FLAG, 0, "accepted: it is always so" },
	{ "use-random", CS_USE_RANDOM, FLAG, 0, "accepted" },
	{ "use-urandom", CS_USE_URANDOM, FLAG, 0, "accepted" },
	{ "uuid", CS_UUID, TEXT, 0, "UUID" },
	{ "verbose", CS_VERBOSE, FLAG, 'v', "say how it went" },
	{ "verify-passphrase", CS_VERIFY, FLAG, 'y', "ask twice" },
	{ "version", CS_VERSION, FLAG, 'V', "" },
	{ "write-log", CS_IGNORED, FLAG, 0, "accepted: it is always so" },
};

#define NKNOWN (sizeof known / sizeof *known)

static void help(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: cryptsetup [OPTION...] <action> <action-specific>\n\n"
		"Actions:\n"
		"\topen <device> [--type <type>] [<name>]\n\tclose <name>\n\tresize <name>\n"
		"\tstatus <name>\n\tluksFormat <device> [<new key file>]\n"
		"\tluksAddKey <device> [<new key file>]\n\tluksRemoveKey <device> [<key file>]\n"
		"\tluksChangeKey <device> [<new key file>]\n\tluksConvertKey <device> [<key file>]\n"
		"\tluksKillSlot <device> <key slot>\n\tluksUUID <device>\n\tisLuks <device>\n"
		"\tluksDump <device>\n\tluksSuspend <name>\n\tluksResume <name>\n"
		"\tluksHeaderBackup <device>\n\tluksHeaderRestore <device>\n\terase <device>\n"
		"\tconfig <device>\n\ttoken <add|remove|import|export> <device>\n\trepair <device>\n"
		"\treencrypt <device>\n\tconvert <device> --type <luks1|luks2>\n\tbenchmark\n\trefresh <name>\n\n"
		"Options:\n");
	for (i = 0; i < NKNOWN; i++)
		if (known[i].help)
			fprintf(out, "  %c%c  --%s  %s\n", known[i].letter ? '-' : ' ',
				known[i].letter ? known[i].letter : ' ', known[i].name, known[i].help);
}

static bool take(struct cs *cs, const struct known *k, const char *value)
{
	int i = k->option - 1000;

	cs->given[i] = true;
	cs->text[i] = value;
	if ((k->kind == NUMBER || k->kind == SIZE) &&
	    !setup_parse_number(value, k->kind == SIZE, &cs->number[i])) {
		say("cryptsetup: --%s: '%s' is not a number.", k->name, value);
		return false;
	}
	return true;
}

bool cs_options(struct cs *cs, int *argc, char ***argv, int *status)
{
	struct option longs[NKNOWN + 1] = { 0 };
	char letters[2 * NKNOWN + 1], *p = letters;
	size_t i;
	int c, index;

	for (i = 0; i < NKNOWN; i++) {
		bool value = known[i].kind != FLAG;

		longs[i] = (struct option){ known[i].name, value, NULL, (int)i + 256 };
		if (known[i].letter) {
			*p++ = known[i].letter;
			if (value)
				*p++ = ':';
		}
	}
	*p = 0;
	*status = 1;
	optind = 0;
	while ((c = getopt_long(*argc, *argv, letters, longs, &index)) != -1) {
		for (i = 0; i < NKNOWN && c != (int)i + 256 && c != known[i].letter; i++)
			;
		if (i == NKNOWN || (c == '?' && strcmp((*argv)[optind - 1], "-?")) ||
		    !take(cs, &known[i], optarg))
			return false;
	}
	cs->batch = given(cs, CS_BATCH_MODE);
	cs->verbose = given(cs, CS_VERBOSE);
	*argc -= optind;
	*argv += optind;
	if (given(cs, CS_HELP) || given(cs, CS_USAGE) || given(cs, CS_VERSION)) {
		*status = 0;
		if (given(cs, CS_VERSION))
			printf("cryptsetup 2.6.1 (ndm)\n");
		else
			help(stdout);
		return false;
	}
	return true;
}
