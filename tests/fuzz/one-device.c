/* SPDX-License-Identifier: BSD-2-Clause */
/* one-device.c - the world of fuzzers: all is done at once, the clock jumps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "one-device.h"
#include "tests/still-world.h"

struct one {
	struct ndm_world world;
	struct ndm_loop *loop;
	struct ndm_context *ctx;
	uint64_t now_ns, deadline_ns, dice;
	const struct one_disk *disks;
	unsigned ndisks;
	const char *table;
	bool read_only, finished;
	void (*use)(struct ndm_store *);
};

static struct one *one_of(struct ndm_world *w)
{
	return (struct one *)w;
}

static uint64_t world_now(struct ndm_world *w)
{
	return one_of(w)->now_ns;
}

static uint64_t world_random(struct ndm_world *w)
{
	return one_of(w)->dice = one_of(w)->dice * 6364136223846793005ull + 1442695040888963407ull;
}

static void world_random_bytes(struct ndm_world *w, void *bytes, size_t n)
{
	while (n--)
		((uint8_t *)bytes)[n] = world_random(w) >> 56;
}

static void world_deadline(struct ndm_loop *loop, uint64_t at_ns)
{
	one_of(ndm_loop_world(loop))->deadline_ns = at_ns;
}

static const struct ndm_world_ops world_ops = {
	.now = world_now, .random = world_random, .random_bytes = world_random_bytes,
	.loop_init = still_loop_init, .loop_fini = still_loop_fini, .loop_fd = still_loop_fd,
	.kick = still_kick, .deadline = world_deadline, .poll = still_poll,
	.offload = still_offload,
};

/* ---- disks ---- */

struct one_store {
	struct ndm_store base;
	const struct one_disk *disk;
};

static int disk_open(struct ndm_loop *loop, const char *spec, unsigned mode, struct ndm_store **out,
		     struct ndm_str *why)
{
	struct one *o = one_of(ndm_loop_world(loop));
	unsigned i;

	(void)mode;
	(void)why;
	for (i = 0; i < o->ndisks; i++) {
		struct one_store *s;

		if (strcmp(o->disks[i].name, spec + 4))
			continue;
		s = calloc(1, sizeof *s);
		s->disk = &o->disks[i];
		s->base.nr = s->disk->nr;
		s->base.limits = (struct ndm_limits){ .max_discard_sectors = UINT32_MAX, .fua = true,
						      .max_zeroes_sectors = UINT32_MAX };
		s->base.identity[0] = i + 1;
		*out = &s->base;
		return 0;
	}
	return -ENOENT;
}

static void disk_close(struct ndm_store *store)
{
	free(store);
}

/* What does not lie on the disk must never be asked for. */
static void disk_submit(struct ndm_store *store, struct ndm_bio *bio)
{
	const struct one_disk *d = ((struct one_store *)store)->disk;
	size_t bytes = bio->nr * NDM_SECTOR_BYTES;
	uint8_t *at = d->bytes + bio->sector * NDM_SECTOR_BYTES;

	if (bio->op != NDM_FLUSH && (bio->sector > d->nr || bio->nr > d->nr - bio->sector))
		abort();
	if (bio->op == NDM_READ)
		ndm_data_to(&bio->data, bytes, at);
	else if (bio->op == NDM_WRITE)
		ndm_data_from(&bio->data, bytes, at);
	else if (bio->op == NDM_ZEROES)
		memset(at, 0, bytes);
	ndm_end(bio, 0);
}

static const struct ndm_store_ops disk_ops = {
	.scheme = "one", .open = disk_open, .submit = disk_submit, .close = disk_close,
};

static const struct ndm_store_ops *const stores[] = { &disk_ops, NULL };

/* ---- running ---- */

static void device_use(struct one *o, struct ndm_device *device)
{
	struct ndm_opener *opener;
	struct ndm_str why = { 0 };

	if (ndm_device_resume(device, 0, &why) ||
	    ndm_open(device, NDM_OPEN_READ | (o->read_only ? 0 : NDM_OPEN_WRITE), "fuzzer", &opener)) {
		ndm_str_free(&why);
		return;
	}
	o->use(ndm_opener_store(opener));
	ndm_device_suspend(device, 0);
	ndm_device_resume(device, 0, &why);
	o->use(ndm_opener_store(opener));
	ndm_close(opener);
	ndm_str_free(&why);
}

static void one_task(void *arg)
{
	struct one *o = arg;
	struct ndm_table_line *lines = NULL;
	char *text = ndm_strdup(o->table);
	struct ndm_device *device;
	struct ndm_str why = { 0 };
	unsigned n = 0;
	bool deferred;

	if (ndm_device_create(o->ctx, "d", NULL, -1, &device))
		abort();
	if (!ndm_table_parse(text, &lines, &n, &why) &&
	    !ndm_device_load(device, lines, n, o->read_only, &why))
		device_use(o, device);
	else if (!why.len)
		abort();			/* refused without a word */
	if (ndm_device_remove(device, false, &deferred))
		abort();
	ndm_free(lines);
	ndm_free(text);
	ndm_str_free(&why);
	o->finished = true;
}

void one_device(const struct one_disk *disks, unsigned n, const char *table, bool read_only,
		void (*use)(struct ndm_store *))
{
	struct one *o = calloc(1, sizeof *o);

	*o = (struct one){ .world = { .ops = &world_ops, .stores = stores }, .now_ns = 1, .dice = 1,
			   .deadline_ns = UINT64_MAX, .disks = disks, .ndisks = n, .table = table,
			   .read_only = read_only, .use = use };
	o->loop = ndm_loop_new(&o->world);
	o->ctx = ndm_context_new(&o->loop, 1);
	ndm_spawn(o->loop, "fuzzer", one_task, o);
	while (!o->finished || ndm_loop_busy(o->loop)) {
		ndm_loop_run(o->loop);
		if (o->finished || ndm_loop_busy(o->loop))
			continue;
		if (o->deadline_ns == UINT64_MAX)
			abort();		/* waits for nothing */
		o->now_ns = o->deadline_ns;
	}
	ndm_context_free(o->ctx);
	ndm_loop_free(o->loop);
	free(o);
}
