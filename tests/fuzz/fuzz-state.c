/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-state.c - what an ndmd finds in a folder of states: file names and files.
 *
 * Byte 0 of an input: 0 to 127 the rest is a file, else it is a file's name.  A file that is
 * accepted is made a device, where its table can be had; what is then written of that device has to
 * be accepted again, and to be written the same.
 */
#include <stdlib.h>
#include <string.h>

#include "server/state.h"
#include "tests/still-world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- a world without an outside ---- */

static uint64_t world_now(struct ndm_world *w)
{
	(void)w;
	return 1;
}

static void world_deadline(struct ndm_loop *loop, uint64_t at_ns)
{
	(void)loop;
	(void)at_ns;
}

static const struct ndm_world_ops world_ops = {
	.now = world_now,
	.random = still_random,
	.random_bytes = still_random_bytes,
	.loop_init = still_loop_init,
	.loop_fini = still_loop_fini,
	.kick = still_kick,
	.deadline = world_deadline,
	.poll = still_poll,
	.offload = still_offload,
};

static const struct ndm_store_ops *const no_stores[] = { NULL };

/* ---- one file ---- */

struct run {
	struct ndm_loop *loop;
	struct ndm_context *ctx;
	char *text;
	bool done;
};

static struct ndm_device *make(struct ndm_context *ctx, const char *name,
			       const struct state_device *want)
{
	struct ndm_str why = { 0 };
	struct ndm_device *dev;
	int err;

	if (ndm_device_create(ctx, name, want->uuid, (int)want->minor, &dev))
		return NULL;
	ndm_device_hold(dev);
	state_restore(dev, want);
	err = want->n ? ndm_device_load(dev, want->lines, want->n, want->read_only, &why) : 0;
	if (!err && want->n)
		err = ndm_device_resume(dev, 0, &why);
	if (!err && want->n && want->suspended)
		ndm_device_suspend(dev, NDM_SUSPEND_NOFLUSH | NDM_SUSPEND_NOLOCKFS);
	ndm_str_free(&why);
	if (!err)
		return dev;
	ndm_device_remove(dev, false, NULL);
	ndm_device_put(dev);
	return NULL;
}

/* What the device is, as a file; it goes.  Empty: it cannot be written. */
static struct ndm_str take(struct ndm_context *ctx, struct ndm_device *dev)
{
	struct ndm_str out = { 0 };

	if (state_print(ctx, dev, &out))
		ndm_str_free(&out);
	if (ndm_device_remove(dev, false, NULL))
		abort();
	ndm_device_put(dev);
	return out;
}

static void again(struct ndm_context *ctx, const struct ndm_str *first)
{
	struct ndm_str why = { 0 }, second = { 0 };
	char *copy = strdup(first->text);
	struct state_device want;
	struct ndm_device *dev;

	if (state_parse(copy, &want, &why))
		abort();
	dev = make(ctx, "b", &want);
	if (!dev)
		abort();
	second = take(ctx, dev);
	if (!second.text || strcmp(first->text, second.text))
		abort();
	state_parsed_free(&want);
	ndm_str_free(&second);
	free(copy);
}

static void names(const struct state_device *want)
{
	char name[NDM_NAME_BYTES];
	const char *args;
	unsigned i;

	for (i = 0; i < want->n; i++)
		for (args = want->lines[i].args; state_names_device(&args, name);)
			if (strlen(name) >= sizeof name)
				abort();
}

static void file_task(void *arg)
{
	struct run *r = arg;
	struct ndm_str why = { 0 }, first;
	struct state_device want;
	struct ndm_device *dev;

	if (state_parse(r->text, &want, &why)) {
		if (!why.len)
			abort();
	} else {
		names(&want);
		dev = make(r->ctx, "a", &want);
		if (dev) {
			first = take(r->ctx, dev);
			if (first.text)
				again(r->ctx, &first);
			ndm_str_free(&first);
		}
		state_parsed_free(&want);
	}
	ndm_str_free(&why);
	r->done = true;
}

static void feed_file(char *text)
{
	struct ndm_world world = { .ops = &world_ops, .stores = no_stores };
	struct run r = { .text = text };
	unsigned i;

	r.loop = ndm_loop_new(&world);
	r.ctx = ndm_context_new(&r.loop, 1);
	ndm_spawn(r.loop, "file", file_task, &r);
	for (i = 0; i < 1000 && (!r.done || ndm_loop_busy(r.loop)); i++)
		ndm_loop_run(r.loop);
	if (!r.done)
		abort();
	ndm_context_free(r.ctx);
	ndm_loop_free(r.loop);
}

/* ---- one name ---- */

static void feed_name(const char *text)
{
	char *device = state_device_name(text), *file, *back;

	if (!device)
		return;
	file = state_file_name(device);
	if (file) {				/* long ones have none */
		back = state_device_name(file);
		if (!back || strcmp(back, device) || strchr(file, '/'))
			abort();
		free(back);
	}
	free(file);
	free(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *text;

	if (!bytes)
		return 0;
	text = malloc(bytes);
	memcpy(text, data + 1, bytes - 1);
	text[bytes - 1] = '\0';
	if (data[0] < 128)
		feed_file(text);
	else
		feed_name(text);
	free(text);
	return 0;
}
