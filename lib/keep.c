/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keep.c - what a context and its devices are besides names and tables, for a host that makes
 * them again in another process.
 */
#include <errno.h>
#include <stdlib.h>

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
