/* SPDX-License-Identifier: BSD-2-Clause */
/* header.c - looking at headers, saving and restoring them, tokens and labels. */
#include "client/cryptsetup/cryptsetup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int complain(struct ndm_luks *l, int err)
{
	if (err < 0)
		say("%s", ndm_luks_why(l));
	return err < 0 ? err : 0;
}

static int dump_key(struct cs *cs, struct ndm_luks *l, const char *device)
{
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	char *out;
	size_t n = 0;
	int err = confirm(cs, "The header dump with volume key is sensitive information\n"
			      "that allows access to encrypted partition without a passphrase.\n"
			      "This dump should be stored encrypted in a safe place.");

	err = err ? err : unlock(cs, l, device, key, &n, NULL);
	if (!err && given(cs, CS_VOLUME_KEY_FILE)) {
		int fd = open(text(cs, CS_VOLUME_KEY_FILE), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);

		if (fd < 0 || write(fd, key, n) != (ssize_t)n) {
			err = -errno;
			say("Cannot write the volume key to %s: %s.", text(cs, CS_VOLUME_KEY_FILE),
			    strerror(errno));
		} else {
			printf("Key stored to file %s.\n", text(cs, CS_VOLUME_KEY_FILE));
		}
		if (fd >= 0)
			close(fd);
	} else if (!err) {
		out = ndm_luks_dump_key(l, device, key, n);
		if (out)
			fputs(out, stdout);
		ndm_luks_text_free(out);
	}
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	return err;
}

int cs_dump(struct cs *cs)
{
	const char *device = cs->argv[0];
	struct ndm_luks *l;
	struct disk d;
	char *out;
	int err = header_open(cs, device, false, &d, &l);

	if (err)
		return err;
	if (given(cs, CS_DUMP_KEY)) {
		err = dump_key(cs, l, device);
	} else {
		out = given(cs, CS_DUMP_JSON) ? ndm_luks_json(l) : ndm_luks_dump(l, device);
		if (out) {
			fputs(out, stdout);
		} else {
			say("Dump of JSON metadata is not supported for LUKS1.");
			err = -EINVAL;
		}
		ndm_luks_text_free(out);
	}
	header_close(&d, l);
	return err;
}

int cs_uuid(struct cs *cs)
{
	bool set = given(cs, CS_UUID);
	struct ndm_luks *l;
	struct disk d;
	int err = set ? confirm(cs, "Do you really want to change UUID of device?") : 0;

	err = err ? err : header_open(cs, cs->argv[0], set, &d, &l);
	if (err)
		return err;
	if (set)
		err = complain(l, ndm_luks_set_uuid(l, text(cs, CS_UUID)));
	else
		printf("%s\n", ndm_luks_uuid(l));
	header_close(&d, l);
	return err;
}

/* Says nothing, but by its exit status. */
int cs_is_luks(struct cs *cs)
{
	const char *type = text(cs, CS_TYPE);
	struct ndm_luks *l;
	struct disk d;
	int err = disk_open(cs, given(cs, CS_HEADER) ? text(cs, CS_HEADER) : cs->argv[0], false, false, &d);

	if (err)
		return err;
	l = ndm_luks_new(&d.io);
	err = l && !ndm_luks_load(l) ? 0 : -EINVAL;
	if (!err && type && ((!strcmp(type, "luks1") && ndm_luks_version(l) != 1) ||
			     (!strcmp(type, "luks2") && ndm_luks_version(l) != 2)))
		err = -EINVAL;
	header_close(&d, l);
	return err;
}

/* ---- backup ---- */

int cs_backup(struct cs *cs)
{
	const char *file = text(cs, CS_HEADER_BACKUP_FILE);
	struct ndm_luks *l;
	struct disk d, to;
	int err;

	if (!file) {
		say("Option --header-backup-file is required.");
		return -EINVAL;
	}
	if (!access(file, F_OK)) {
		say("Requested header backup file %s already exists.", file);
		return -EINVAL;
	}
	err = header_open(cs, cs->argv[0], false, &d, &l);
	if (err)
		return err;
	err = disk_open(cs, file, true, true, &to);
	if (!err) {
		to.io.bytes = ndm_luks_header_bytes(l);
		err = complain(l, ndm_luks_backup(l, &to.io));
		disk_close(&to);
	}
	header_close(&d, l);
	return err;
}

int cs_restore(struct cs *cs)
{
	const char *file = text(cs, CS_HEADER_BACKUP_FILE);
	struct ndm_luks *l = NULL;
	struct disk d, from;
	char *question;
	int err;

	if (!file) {
		say("Option --header-backup-file is required.");
		return -EINVAL;
	}
	question = text_format("Device %s will be overwritten with the header of %s: "
			       "keyslots in use now are lost.", cs->argv[0], file);
	err = question ? confirm(cs, question) : -ENOMEM;
	free(question);
	err = err ? err : disk_open(cs, file, false, false, &from);
	if (err)
		return err;
	err = disk_open(cs, given(cs, CS_HEADER) ? text(cs, CS_HEADER) : cs->argv[0], true, false, &d);
	if (!err) {
		l = ndm_luks_new(&d.io);
		err = l ? complain(l, ndm_luks_restore(l, &from.io)) : -ENOMEM;
		header_close(&d, l);
	}
	disk_close(&from);
	return err;
}

/* Loading a header that may be written is all the repairing there is. */
int cs_repair(struct cs *cs)
{
	struct ndm_luks *l;
	struct disk d;
	int err = header_open(cs, cs->argv[0], true, &d, &l);

	if (!err)
		header_close(&d, l);
	return err;
}

int cs_convert(struct cs *cs)
{
	const char *type = given(cs, CS_TYPE) ? text(cs, CS_TYPE) : "";
	int version = !strcmp(type, "luks1") ? 1 : !strcmp(type, "luks2") ? 2 : 0, err;
	struct ndm_luks *l;
	struct disk d;
	char *question;

	if (!version) {
		say("Required --type argument: luks1 or luks2.");
		return -EINVAL;
	}
	question = text_format("This operation will convert %s to LUKS%d format; without a backup of its header it is at risk.",
			       cs->argv[0], version);
	err = question ? confirm(cs, question) : -ENOMEM;
	free(question);
	err = err ? err : header_open(cs, cs->argv[0], true, &d, &l);
	if (err)
		return err;
	if (dm_uuid_in_use(cs, ndm_luks_version(l), ndm_luks_uuid(l))) {
		say("Device %s is still in use.", cs->argv[0]);
		err = -EBUSY;
	}
	err = err ? err : complain(l, ndm_luks_convert(l, version));
	header_close(&d, l);
	return err;
}

/* ---- config, token ---- */

static int set_priority(struct cs *cs, struct ndm_luks *l)
{
	static const char *const names[] = { "ignore", "normal", "prefer" };
	int i;

	if (!given(cs, CS_KEY_SLOT)) {
		say("Option --key-slot is required.");
		return -EINVAL;
	}
	for (i = 0; i < 3; i++)
		if (!strcmp(names[i], text(cs, CS_PRIORITY)))
			return complain(l, ndm_luks_set_priority(l, number(cs, CS_KEY_SLOT, 0), i));
	say("Option --priority can be only ignore/normal/prefer.");
	return -EINVAL;
}

int cs_config(struct cs *cs)
{
	struct ndm_luks *l;
	struct disk d;
	int err;

	if (!given(cs, CS_LABEL) && !given(cs, CS_SUBSYSTEM) && !given(cs, CS_PRIORITY)) {
		say("Option --priority, --label or --subsystem is missing.");
		return -EINVAL;
	}
	err = header_open(cs, cs->argv[0], true, &d, &l);
	if (err)
		return err;
	if (given(cs, CS_PRIORITY))
		err = set_priority(cs, l);
	if (!err && (given(cs, CS_LABEL) || given(cs, CS_SUBSYSTEM)))
		err = complain(l, ndm_luks_set_label(l, text(cs, CS_LABEL), text(cs, CS_SUBSYSTEM)));
	header_close(&d, l);
	return err;
}

static char *token_text(struct cs *cs)
{
	const char *file = given(cs, CS_JSON_FILE) ? text(cs, CS_JSON_FILE) : "-";
	FILE *in = strcmp(file, "-") ? fopen(file, "re") : stdin;
	char *json = in ? text_read_all(in, NULL) : NULL;

	if (!json)
		say("Cannot read the token from %s: %s.", file, strerror(errno));
	if (in && in != stdin)
		fclose(in);
	return json;
}

/* {"type":"luks2-keyring","keyslots":["0",...],"key_description":"..."} */
static char *keyring_token(struct cs *cs, struct ndm_luks *l)
{
	const char *key = text(cs, CS_KEY_DESCRIPTION), *p;
	char *slots = strdup(""), *more, *json = NULL;
	int i, only = number(cs, CS_KEY_SLOT, -1);

	for (p = key; p && *p; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20)
			key = NULL;
	for (i = 0; i < ndm_luks_slots(l) && slots; i++) {
		if ((only >= 0 && i != only) || ndm_luks_slot_state(l, i) < NDM_LUKS_ACTIVE)
			continue;
		more = text_format("%s%s\"%d\"", slots, *slots ? "," : "", i);
		free(slots);
		slots = more;
	}
	if (key && slots)
		json = text_format("{\"type\":\"luks2-keyring\",\"keyslots\":[%s],"
				   "\"key_description\":\"%s\"}", slots, key);
	else
		say("Option --key-description is missing, or cannot be written down.");
	free(slots);
	return json;
}

static int token_export(struct cs *cs, struct ndm_luks *l)
{
	const char *file = given(cs, CS_JSON_FILE) ? text(cs, CS_JSON_FILE) : "-";
	char *json = ndm_luks_token_json(l, number(cs, CS_TOKEN_ID, -1));
	FILE *out;

	if (!json) {
		say("Failed to get token %d for export.", (int)number(cs, CS_TOKEN_ID, -1));
		return -EINVAL;
	}
	out = strcmp(file, "-") ? fopen(file, "wxe") : stdout;
	if (out)
		fprintf(out, "%s\n", json);
	else
		say("Cannot write the token to %s: %s.", file, strerror(errno));
	ndm_luks_text_free(json);
	if (out && out != stdout)
		fclose(out);
	return out ? 0 : -EINVAL;
}

static int token_put(struct cs *cs, struct ndm_luks *l, char *json)
{
	int id = number(cs, CS_TOKEN_ID, -1), err = -EINVAL;
	char *there = id >= 0 ? ndm_luks_token_json(l, id) : NULL;

	if (there && !given(cs, CS_TOKEN_REPLACE))
		say("Token %d in use.", id);
	else if (json)
		err = complain(l, ndm_luks_token_set(l, id, json));
	ndm_luks_text_free(there);
	free(json);
	return err;
}

int cs_token(struct cs *cs)
{
	const char *what = cs->argv[0];
	bool export = !strcmp(what, "export");
	struct ndm_luks *l;
	struct disk d;
	int err = header_open(cs, cs->argv[1], !export, &d, &l);

	if (err)
		return err;
	if (ndm_luks_version(l) != 2) {
		say("Device %s is not a valid LUKS2 device.", cs->argv[1]);
		err = -EINVAL;
	} else if (export) {
		err = token_export(cs, l);
	} else if (!strcmp(what, "remove") && given(cs, CS_TOKEN_ID)) {
		err = complain(l, ndm_luks_token_set(l, number(cs, CS_TOKEN_ID, 0), NULL));
	} else if (!strcmp(what, "import")) {
		err = token_put(cs, l, token_text(cs));
	} else if (!strcmp(what, "add")) {
		err = token_put(cs, l, keyring_token(cs, l));
	} else {
		say("Invalid token operation %s.", what);
		err = -EINVAL;
	}
	header_close(&d, l);
	return err;
}
