/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.c - keys by description, from whatever keyring the world has.
 */
#include "core.h"

int ndm_key_read(struct ndm_loop *loop, const char *type, const char *description, void *out,
		 size_t bytes)
{
	if (!loop->world->ops->key_read)
		return -ENOKEY;
	return loop->world->ops->key_read(loop->world, type, description, out, bytes);
}
