/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.c - backing stores by text.
 *
 * The scheme in front of the first ':' picks the vtable ("nbds", "nbd+unix" and the like
 * belong to "nbd"); anything else is a file.  Stores of one loop that were opened by the same
 * text in the same mode are shared, scratch memory excepted: there each mention is its own.
 *
 * A backing that may not be written is opened read-only instead, as the kernel does it with
 * a read-only disk: the table loads, and writes fail with -EIO.
 */
#include <ctype.h>
#include <stdlib.h>

#include "core.h"

static const struct ndm_store_ops *scheme_find(struct ndm_world *world, const char *scheme,
					       size_t len)
{
	const struct ndm_store_ops *const *ops;

	for (ops = world->stores; *ops; ops++)
		if (strlen((*ops)->scheme) == len && !strncmp((*ops)->scheme, scheme, len))
			return *ops;
	return NULL;
}

static const struct ndm_store_ops *store_scheme(struct ndm_world *world, const char *spec)
{
	const struct ndm_store_ops *ops = NULL;
	size_t len = strcspn(spec, ":/ ");

	if (spec[len] == ':') {
		ops = scheme_find(world, spec, len);
		if (!ops && !strncmp(spec, "nbd", 3) &&
		    (spec[3] == ':' || spec[3] == '+' || !strncmp(spec + 3, "s:", 2) ||
		     !strncmp(spec + 3, "s+", 2)))
			ops = scheme_find(world, "nbd", 3);
	}
	return ops ? ops : scheme_find(world, "file", 4);
}

static bool store_shareable(const struct ndm_store_ops *ops)
{
	return strcmp(ops->scheme, "mem") != 0;
}

static struct ndm_store *store_shared(struct ndm_loop *loop, const struct ndm_store_ops *ops,
				      const char *spec, bool writable)
{
	struct ndm_store *s;

	if (!store_shareable(ops))
		return NULL;
	for (s = loop->stores; s; s = s->next)
		if (s->ops == ops && s->writable == writable && !strcmp(s->name, spec))
			return s;
	return NULL;
}

static int store_open_mode(struct ndm_loop *loop, const struct ndm_store_ops *ops,
			   const char *spec, unsigned mode, struct ndm_store **out,
			   struct ndm_str *why)
{
	struct ndm_store *s = NULL;
	int err = ops->open(loop, spec, mode, &s, why);

	if (err)
		return err;
	s->ops = ops;
	s->loop = loop;
	s->refs = 1;
	s->writable = mode & NDM_OPEN_WRITE;
	if (!s->limits.logical_block_bytes)
		s->limits.logical_block_bytes = NDM_SECTOR_BYTES;
	if (!s->limits.physical_block_bytes)
		s->limits.physical_block_bytes = s->limits.logical_block_bytes;
	if (!s->name)
		s->name = ndm_strdup(spec);
	if (!s->name) {
		ops->close(s);
		return -ENOMEM;
	}
	s->next = loop->stores;
	loop->stores = s;
	*out = s;
	return 0;
}

int store_open(struct ndm_loop *loop, const char *spec, unsigned mode, struct ndm_store **out,
	       struct ndm_str *why)
{
	const struct ndm_store_ops *ops = store_scheme(loop->world, spec);
	struct ndm_str reason = { 0 };
	int err;

	if (!ops) {
		ndm_printf(why, "no kind of backing device takes '%s'", spec);
		return -ENODEV;
	}
	*out = store_shared(loop, ops, spec, mode & NDM_OPEN_WRITE);
	if (*out) {
		(*out)->refs++;
		if (ops->grow)
			ops->grow(*out);	/* a new table may be there because it has grown */
		return 0;
	}
	err = store_open_mode(loop, ops, spec, mode, out, &reason);
	if ((err == -EACCES || err == -EROFS || err == -EPERM) && (mode & NDM_OPEN_WRITE)) {
		struct ndm_str unused = { 0 };

		if (!store_open_mode(loop, ops, spec, NDM_OPEN_READ, out, &unused)) {
			(*out)->writable = true;	/* asked for so: share it with the like */
			(*out)->limits.read_only = true;
			ndm_log(loop->world, NDM_LOG_WARNING,
				"%s may not be written: writes to it will fail", spec);
			err = 0;
		}
		ndm_str_free(&unused);
	}
	if (err && reason.len)
		ndm_printf(why, "%s", reason.text);
	ndm_str_free(&reason);
	return err;
}

void store_put(struct ndm_store *s)
{
	struct ndm_store **p;
	char *name = s->name;

	assert(s->refs);
	if (--s->refs)
		return;
	for (p = &s->loop->stores; *p != s; p = &(*p)->next)
		;
	*p = s->next;
	s->ops->close(s);
	ndm_free(name);
}

bool store_same(const struct ndm_store *a, const struct ndm_store *b)
{
	return a == b || (a->identity[0] == b->identity[0] && a->identity[1] == b->identity[1] &&
			  (a->identity[0] || a->identity[1]));
}
