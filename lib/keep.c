/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keep.c - what a context and its devices are besides names and tables, for a host that makes
 * them again in another process.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

void ndm_device_recall(const struct ndm_device *dev, struct ndm_device_memory *m)
{
	*m = (struct ndm_device_memory){
		.event_nr = atomic_load(&dev->event_nr),
		.read_ahead = dev->read_ahead,
		.had_table = dev->block_device,
		.request_based = dev->request_based,
		.deferred_remove = dev->info.flags & NDM_DEVICE_DEFERRED_REMOVE,
	};
	memcpy(m->geometry, dev->geometry, sizeof m->geometry);
	if (!dev->declared)
		return;
	m->declared = dev->declared;		/* two texts, each with its NUL: yaml-plan.c */
	m->declared_bytes = strlen(dev->declared) + 1;
	m->declared_bytes += strlen(dev->declared + m->declared_bytes) + 1;
}

int ndm_device_read_ahead(const struct ndm_device *dev, uint64_t *sectors)
{
	*sectors = dev->read_ahead;
	return dev->block_device ? 0 : -ENOENT;
}

void ndm_device_set_read_ahead(struct ndm_device *dev, uint64_t sectors)
{
	dev->read_ahead = sectors;
}

/* ---- what targets know; for each: its keeps, then what it says itself, lengths in front ---- */

static void put_part(struct ndm_str *out, const struct ndm_str *part)
{
	uint64_t n = part->len;

	ndm_str_put(out, &n, sizeof n);
	ndm_str_put(out, part->text, part->len);
}

static bool take_part(const char **at, const char *end, const char **part, size_t *bytes)
{
	uint64_t n;

	if ((size_t)(end - *at) < sizeof n)
		return false;
	memcpy(&n, *at, sizeof n);
	*at += sizeof n;
	if (n > (uint64_t)(end - *at))
		return false;
	*part = *at;
	*bytes = (size_t)n;
	*at += n;
	return true;
}

/* "NAME NUMBER" lines */
static void keeps_print(const struct ndm_target *ti, struct ndm_str *out)
{
	const struct ndm_keep *k;
	uint64_t value;

	for (k = ti->type->keeps; k && k->name; k++) {
		value = 0;			/* little-endian: as everywhere here, one machine */
		memcpy(&value, (const char *)ti->private_data + k->offset, k->bytes);
		ndm_printf(out, "%s %llu\n", k->name, (unsigned long long)value);
	}
}

static int keep_take(struct ndm_target *ti, const char *line, size_t bytes)
{
	const struct ndm_keep *k = ti->type->keeps;
	char text[NDM_NAME_BYTES], *blank, *end;
	uint64_t value;

	if (bytes >= sizeof text)
		return -EBADMSG;
	memcpy(text, line, bytes);
	text[bytes] = '\0';
	blank = strchr(text, ' ');
	if (!blank)
		return -EBADMSG;
	*blank = '\0';
	value = strtoull(blank + 1, &end, 10);
	if (end == blank + 1 || *end)
		return -EBADMSG;
	while (k && k->name && strcmp(k->name, text))
		k++;
	if (!k || !k->name)
		return 0;			/* of another age, and not missed by this one */
	if (k->bytes == 1)
		value = value != 0;		/* a bool is never anything else */
	memcpy((char *)ti->private_data + k->offset, &value, k->bytes);
	return 0;
}

static int keeps_take(struct ndm_target *ti, const char *text, size_t bytes)
{
	const char *end = text + bytes, *newline;
	int err = 0;

	for (; text < end && !err; text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (!newline)
			return -EBADMSG;
		err = keep_take(ti, text, (size_t)(newline - text));
	}
	return err;
}

static int refused(struct ndm_target *ti, int err, const struct ndm_str *said, struct ndm_str *why)
{
	if (err)
		ndm_printf(why, "%s: %s", ti->type->name, said->len ? said->text : strerror(-err));
	return err;
}

static int recall_home(struct ndm_table *t, struct ndm_str *out, struct ndm_str *why)
{
	unsigned i;
	int err = 0;

	for (i = 0; t && i < t->n && !err; i++) {
		struct ndm_target *ti = &t->targets[i];
		struct ndm_str numbers = { 0 }, rest = { 0 }, said = { 0 };

		keeps_print(ti, &numbers);
		ti->error = &said;
		if (ti->type->recall)
			err = refused(ti, ti->type->recall(ti, &rest), &said, why);
		ti->error = NULL;
		put_part(out, &numbers);
		put_part(out, &rest);
		ndm_str_free(&numbers);
		ndm_str_free(&rest);
		ndm_str_free(&said);
	}
	return err;
}

int ndm_device_recall_targets(struct ndm_device *dev, struct ndm_str *out, struct ndm_str *why)
{
	int err;

	device_visit(dev);
	err = recall_home(dev->live, out, why);
	device_leave(dev);
	return err;
}

static int remember_one(struct ndm_target *ti, const char **at, const char *end, struct ndm_str *why)
{
	const char *numbers, *rest;
	size_t number_bytes, rest_bytes;
	struct ndm_str said = { 0 };
	int err = -EBADMSG;

	ti->error = &said;
	if (take_part(at, end, &numbers, &number_bytes) && take_part(at, end, &rest, &rest_bytes))
		err = keeps_take(ti, numbers, number_bytes);
	if (!err && ti->type->remember)
		err = ti->type->remember(ti, rest, rest_bytes);
	ti->error = NULL;
	refused(ti, err, &said, why);
	ndm_str_free(&said);
	return err;
}

int ndm_device_remember_targets(struct ndm_device *dev, const char *bytes, size_t n,
				struct ndm_str *why)
{
	const char *end = bytes + n;
	struct ndm_table *t;
	unsigned i;
	int err = 0;

	device_visit(dev);
	t = dev->inactive;
	for (i = 0; t && i < t->n && !err; i++)
		err = remember_one(&t->targets[i], &bytes, end, why);
	device_leave(dev);
	return err;
}

/* ---- what a device is ---- */

static bool two_texts(const char *text, size_t bytes)
{
	const char *first = bytes ? memchr(text, '\0', bytes) : NULL;

	return first && first + 1 < text + bytes && !text[bytes - 1] &&
	       memchr(first + 1, '\0', (size_t)(text + bytes - first - 1)) == text + bytes - 1;
}

int ndm_device_remember(struct ndm_device *dev, const struct ndm_device_memory *m)
{
	char *copy;

	atomic_store(&dev->event_nr, m->event_nr);
	memcpy(dev->geometry, m->geometry, sizeof dev->geometry);
	dev->read_ahead = m->read_ahead;
	if (m->deferred_remove)
		dev->info.flags |= NDM_DEVICE_DEFERRED_REMOVE;
	if (m->had_table && !dev->block_device) {	/* it has been cleared since: nothing runs there */
		dev->block_device = dev->had_table = true;
		dev->request_based = m->request_based;
	}
	if (!m->declared)
		return 0;
	if (!two_texts(m->declared, m->declared_bytes))
		return -EINVAL;
	copy = ndm_calloc(m->declared_bytes, 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, m->declared, m->declared_bytes);
	ndm_free(dev->declared);
	dev->declared = copy;
	return 0;
}

/* "MAJOR:MINOR TAB TEXT": the next number is this one's, once it is opened. */
static int reserve(struct ndm_context *ctx, const char *line, size_t bytes)
{
	const char *tab = memchr(line, '\t', bytes);
	struct ndm_number *grown;
	char *name;

	if (!tab)
		return -EINVAL;
	grown = realloc(ctx->numbers, (ctx->nnumbers + 1) * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	ctx->numbers = grown;
	name = ndm_zalloc((size_t)(line + bytes - tab));
	if (!name)
		return -ENOMEM;
	memcpy(name, tab + 1, (size_t)(line + bytes - tab - 1));
	grown[ctx->nnumbers++] = (struct ndm_number){ .name = name, .reserved = true };
	return 0;
}

int ndm_context_backings_set(struct ndm_context *ctx, const char *lines)
{
	size_t n;
	int err = 0;

	if (ctx->nnumbers)
		return -EBUSY;
	for (; *lines && !err; lines += n + (lines[n] == '\n')) {
		n = strcspn(lines, "\n");
		err = reserve(ctx, lines, n);
	}
	return err;
}
