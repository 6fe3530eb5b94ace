/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misc.c - tokens, labels, flags, and the header as a whole in a file.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/luks.h"

static int need_luks2(struct ndm_luks *l)
{
	return l->version == 2 ? 0 : luks_fail(l, -EOPNOTSUPP, "This operation is supported only for "
					       "LUKS2 device.");
}

/* ---- tokens ---- */

static int token_free(struct ndm_luks *l)
{
	const struct tree *tokens = luks_tree_get(l->json, "tokens");
	char name[12];
	int i;

	for (i = 0; i < NDM_LUKS_SLOTS; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (!luks_tree_get(tokens, name))
			return i;
	}
	return luks_fail(l, -ENOSPC, "No free token slot.");
}

/* The tree as it was, when what came of the change makes no sense. */
static int commit_or_back(struct ndm_luks *l, struct tree *before)
{
	int err = luks2_decode(l);

	err = err ? err : luks2_write(l);
	if (!err) {
		luks_tree_free(before);
		return 0;
	}
	luks_tree_free(l->json);
	l->json = before;
	luks2_decode(l);
	return err;
}

int ndm_luks_token_set(struct ndm_luks *l, int id, const char *json)
{
	struct tree *tokens, *token = NULL, *before;
	const char *why = NULL;
	char name[12];
	int err = need_luks2(l);

	if (err)
		return err;
	if (id < 0)
		id = token_free(l);
	if (id < 0)
		return id;
	snprintf(name, sizeof name, "%d", id);
	tokens = luks_tree_get(l->json, "tokens");
	if (!json && !luks_tree_get(tokens, name))
		return luks_fail(l, -ENOENT, "Token %d is not in use.", id);
	if (json) {
		token = luks_tree_parse(json, strlen(json), &why);
		if (!token || token->kind != TREE_OBJECT) {
			luks_tree_free(token);
			return luks_fail(l, -EINVAL, "the token is no JSON object%s%s", why ? ": " : "",
					 why ? why : "");
		}
	}
	before = luks_tree_copy(l->json);
	if (!before) {
		luks_tree_free(token);
		return luks_fail(l, -ENOMEM, "no memory");
	}
	if (json)
		err = luks_tree_set(tokens, name, token);
	else
		luks_tree_remove(tokens, name);
	err = err ? err : commit_or_back(l, before);
	return err ? err : id;
}

char *ndm_luks_token_json(const struct ndm_luks *l, int id)
{
	struct ndm_str out = { 0 };
	const struct tree *t;
	char name[12];

	snprintf(name, sizeof name, "%d", id);
	t = luks_tree_get(luks_tree_get(l->json, "tokens"), name);
	if (!t)
		return NULL;
	luks_tree_print(t, &out, false);
	return out.text;
}

char *ndm_luks_json(const struct ndm_luks *l)
{
	struct ndm_str out = { 0 };

	if (!l->json)
		return NULL;
	luks_tree_print(l->json, &out, true);
	return out.text;
}

/* ---- labels, flags ---- */

int ndm_luks_set_label(struct ndm_luks *l, const char *label, const char *subsystem)
{
	int err = need_luks2(l);

	if (err)
		return err;
	if ((label && strlen(label) > 47) || (subsystem && strlen(subsystem) > 47))
		return luks_fail(l, -EINVAL, "Label is too long.");
	if (label)
		snprintf(l->label, sizeof l->label, "%s", label);
	if (subsystem)
		snprintf(l->subsystem, sizeof l->subsystem, "%s", subsystem);
	return luks2_write(l);
}

int ndm_luks_set_uuid(struct ndm_luks *l, const char *uuid)
{
	if (strlen(uuid) != 36 || strspn(uuid, "0123456789abcdefABCDEF-") != 36)
		return luks_fail(l, -EINVAL, "Wrong LUKS UUID format provided.");
	memcpy(l->uuid, uuid, 37);
	return luks_commit(l);
}

bool ndm_luks_flag(const struct ndm_luks *l, const char *flag)
{
	return luks_tree_has_text(luks_tree_get(luks_tree_get(l->json, "config"), "flags"), flag);
}

int ndm_luks_set_flags(struct ndm_luks *l, const char *const *flags, unsigned n)
{
	struct tree *list, *config;
	int err = need_luks2(l);
	unsigned i;

	if (err)
		return err;
	config = luks_tree_get(l->json, "config");
	if (!n) {
		luks_tree_remove(config, "flags");
		return luks2_write(l);
	}
	list = luks_tree_new(TREE_ARRAY, NULL);
	err = luks_tree_set(config, "flags", list);
	for (i = 0; i < n && !err; i++)
		err = luks_tree_add(list, luks_tree_new(TREE_STRING, flags[i]));
	return err ? luks_fail(l, err, "no memory") : luks2_write(l);
}

/* ---- backup ---- */

static int copy_bytes(struct ndm_luks *l, struct ndm_luks_io *from, struct ndm_luks_io *to,
		      uint64_t bytes)
{
	uint8_t *piece = ndm_zalloc(1 << 16);
	uint64_t at;
	int err = piece ? 0 : -ENOMEM;

	for (at = 0; at < bytes && !err; at += 1 << 16) {
		size_t now = bytes - at < 1 << 16 ? bytes - at : 1 << 16;

		err = from->read(from, at, piece, now);
		err = err ? err : to->write(to, at, piece, now);
	}
	ndm_free(piece);
	err = err ? err : to->sync(to);
	return err ? luks_fail(l, err, "copying the header failed: %s", strerror(-err)) : 0;
}

int ndm_luks_backup(struct ndm_luks *l, struct ndm_luks_io *to)
{
	return copy_bytes(l, l->io, to, ndm_luks_header_bytes(l));
}

int ndm_luks_restore(struct ndm_luks *l, struct ndm_luks_io *from)
{
	struct ndm_luks *backup = ndm_luks_new(from);
	uint64_t bytes;
	int err;

	if (!backup)
		return luks_fail(l, -ENOMEM, "no memory");
	err = ndm_luks_load(backup);
	bytes = err ? 0 : ndm_luks_header_bytes(backup);
	if (err)
		luks_fail(l, err, "the backup holds no header: %s", backup->why);
	else if (bytes > from->bytes)
		err = luks_fail(l, -EINVAL, "the backup is shorter than its header says");
	else if (bytes > l->io->bytes)
		err = luks_fail(l, -ENOSPC, "the device is too small for that header");
	ndm_luks_free(backup);
	err = err ? err : copy_bytes(l, from, l->io, bytes);
	return err ? err : ndm_luks_load(l);
}
