/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * box.c - see box.h.  Disks answer at once unless they are told to hold requests.
 */
#include "box.h"
#include "tests/still-world.h"

#include <stdio.h>
#include <stdlib.h>

#define DISKS_MAX 300
#define DEVICES_MAX 8

struct box {
	struct ndm_world world;
	struct ndm_loop *loop;
	struct ndm_context *ctx;
	uint64_t now_ns, deadline_ns, dice;
	struct box_disk *disks[DISKS_MAX];
	unsigned ndisks;
	struct box_device { struct ndm_device *device; struct ndm_opener *opener; } devs[DEVICES_MAX];
	unsigned ndevs;
	struct ndm_str log, shown, text, why;
	unsigned log_lines;
	void (*test)(struct box *);
	bool finished;
	bool read_only;			/* tables are loaded so */
};

static struct box *box_of(struct ndm_world *w)
{
	return (struct box *)w;			/* world is its first member */
}

/* ---- the world ---- */

static uint64_t world_now(struct ndm_world *w)
{
	return box_of(w)->now_ns;
}

static uint64_t world_random(struct ndm_world *w)
{
	uint64_t *x = &box_of(w)->dice;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void world_random_bytes(struct ndm_world *w, void *bytes, size_t len)
{
	unsigned char *p = bytes;

	while (len--)
		*p++ = world_random(w);
}

static void world_deadline(struct ndm_loop *loop, uint64_t at_ns)
{
	box_of(ndm_loop_world(loop))->deadline_ns = at_ns;
}

static const struct ndm_world_ops world_ops = {
	.now = world_now,
	.random = world_random,
	.random_bytes = world_random_bytes,
	.loop_init = still_loop_init,
	.loop_fini = still_loop_fini,
	.loop_fd = still_loop_fd,
	.kick = still_kick,
	.deadline = world_deadline,
	.poll = still_poll,
	.offload = still_offload,
};

/* ---- disks ---- */

struct disk_store {
	struct ndm_store base;
	struct box_disk *disk;
};

static const char *const op_names[] = {
	[NDM_READ] = "read", [NDM_WRITE] = "write", [NDM_FLUSH] = "flush",
	[NDM_DISCARD] = "discard", [NDM_ZEROES] = "zeroes", [NDM_EXTENTS] = "extents",
	[NDM_CACHE] = "cache",
};

static int disk_open(struct ndm_loop *loop, const char *spec, unsigned mode,
		     struct ndm_store **out, struct ndm_str *why)
{
	struct box *b = box_of(ndm_loop_world(loop));
	unsigned i;

	(void)mode;
	for (i = 0; i < b->ndisks; i++) {
		struct disk_store *s;

		if (strcmp(b->disks[i]->name, spec + 4))
			continue;
		s = calloc(1, sizeof *s);
		s->disk = b->disks[i];
		s->base.nr = s->disk->nr;
		s->base.limits = s->disk->limits;
		s->base.identity[0] = i + 1;
		*out = &s->base;
		return 0;
	}
	ndm_printf(why, "no such disk");
	return -ENOENT;
}

static void disk_close(struct ndm_store *store)
{
	free(store);
}

static int disk_do(struct box_disk *d, struct ndm_bio *bio)
{
	unsigned char *at = d->bytes + bio->sector * NDM_SECTOR_BYTES;
	size_t bytes = bio->nr * NDM_SECTOR_BYTES;

	if (d->fail_ops & 1u << bio->op)
		return d->error;
	if (bio->op == NDM_READ)
		ndm_data_to(&bio->data, bytes, at);
	else if (bio->op == NDM_WRITE)
		ndm_data_from(&bio->data, bytes, at);
	else if (bio->op == NDM_ZEROES)
		memset(at, 0, bytes);
	else if (bio->op == NDM_EXTENTS)	/* odd groups of 8 sectors are holes */
		for (uint64_t s = bio->sector; s < bio->sector + bio->nr; s++)
			ndm_extent_add(bio, s, 1,
				       s / 8 % 2 ? NDM_EXTENT_HOLE | NDM_EXTENT_ZERO : 0);
	return 0;
}

static void disk_submit(struct ndm_store *store, struct ndm_bio *bio)
{
	struct box *b = box_of(ndm_loop_world(store->loop));
	struct box_disk *d = ((struct disk_store *)store)->disk;

	ndm_printf(&b->log, "%s%s %s", b->log.len ? ", " : "", d->name, op_names[bio->op]);
	if (bio->op != NDM_FLUSH) {
		ndm_printf(&b->log, " %llu+%llu", (unsigned long long)bio->sector,
			   (unsigned long long)bio->nr);
		assert_true(bio->nr > 0);
		assert_true(bio->sector + bio->nr <= d->nr);
	}
	if (bio->flags & NDM_FUA)
		ndm_printf(&b->log, " fua");
	if (bio->loan)
		ndm_printf(&b->log, " loan");
	if (bio->source) {
		ndm_printf(&b->log, " source");
		ndm_end(bio, bio->source->take(bio->source, d->bytes + bio->sector * NDM_SECTOR_BYTES,
					       bio->nr * NDM_SECTOR_BYTES));
		return;
	}
	if (d->hold) {
		bio->next = NULL;
		*d->held_tail = bio;
		d->held_tail = &bio->next;
		return;
	}
	ndm_end(bio, disk_do(d, bio));
}

static const struct ndm_store_ops disk_ops = {
	.scheme = "box", .open = disk_open, .submit = disk_submit, .close = disk_close,
	.takes_sources = true,
};

static const struct ndm_store_ops *const box_stores[] = { &disk_ops, NULL };

struct box_disk *box_disk(struct box *b, const char *name, uint64_t nr, unsigned char first)
{
	struct box_disk *d = calloc(1, sizeof *d);
	uint64_t s;

	assert_true(b->ndisks < DISKS_MAX);
	snprintf(d->name, sizeof d->name, "%s", name);
	d->nr = nr;
	d->bytes = malloc(nr * NDM_SECTOR_BYTES);
	for (s = 0; s < nr; s++)
		memset(d->bytes + s * NDM_SECTOR_BYTES, (unsigned char)(first + s), NDM_SECTOR_BYTES);
	d->limits = (struct ndm_limits){ .max_discard_sectors = UINT32_MAX, .fua = true,
					 .max_zeroes_sectors = UINT32_MAX, .extents = true,
					 .volatile_cache = true };
	d->error = -EIO;
	d->held_tail = &d->held;
	b->disks[b->ndisks++] = d;
	return d;
}

void box_release(struct box_disk *d)
{
	struct ndm_bio *bio, *list = d->held;

	d->held = NULL;
	d->held_tail = &d->held;
	d->hold = false;
	while ((bio = list)) {
		list = bio->next;
		ndm_end(bio, disk_do(d, bio));
	}
}

const char *box_log(struct box *b)
{
	ndm_str_free(&b->shown);
	b->shown = b->log;
	b->log = (struct ndm_str){ 0 };
	return b->shown.text ? b->shown.text : "";
}

/* ---- running ---- */

static void box_close_all(struct box *b)
{
	bool deferred;

	while (b->ndevs--) {
		if (b->devs[b->ndevs].opener)
			ndm_close(b->devs[b->ndevs].opener);
		assert_int_equal(ndm_device_remove(b->devs[b->ndevs].device, false, &deferred), 0);
	}
}

static void box_task(void *arg)
{
	struct box *b = arg;

	b->test(b);
	box_close_all(b);
	b->finished = true;
}

#define LOG_LINES 50				/* of a test; some make a million */

static void log_line(void *arg, enum ndm_level level, const char *line)
{
	struct box *b = arg;

	(void)level;
	if (b->log_lines < LOG_LINES)
		print_message("log: %s\n", line);
	else if (b->log_lines == LOG_LINES)
		print_message("log: (no more is shown)\n");
	b->log_lines++;
}

void box_run(void (*test)(struct box *))
{
	struct box *b = calloc(1, sizeof *b);
	unsigned i;

	b->world = (struct ndm_world){ .ops = &world_ops, .stores = box_stores,
				       .log = { .fn = log_line, .arg = b } };
	b->dice = 88172645463325252ull;
	b->now_ns = 1000000000;
	b->deadline_ns = UINT64_MAX;
	b->test = test;
	b->loop = ndm_loop_new(&b->world);
	b->ctx = ndm_context_new(&b->loop, 1);
	ndm_spawn(b->loop, "test", box_task, b);
	while (!b->finished) {
		ndm_loop_run(b->loop);
		if (b->finished || ndm_loop_busy(b->loop))
			continue;
		if (b->deadline_ns == UINT64_MAX)
			fail_msg("nothing can happen any more, and the test is still waiting");
		b->now_ns = b->deadline_ns;
	}
	while (ndm_loop_busy(b->loop))
		ndm_loop_run(b->loop);
	ndm_context_free(b->ctx);
	ndm_loop_free(b->loop);
	for (i = 0; i < b->ndisks; i++) {
		assert_null(b->disks[i]->held);
		free(b->disks[i]->bytes);
		free(b->disks[i]);
	}
	ndm_str_free(&b->log);
	ndm_str_free(&b->shown);
	ndm_str_free(&b->text);
	ndm_str_free(&b->why);
	free(b);
}

struct ndm_loop *box_loop(struct box *b)
{
	return b->loop;
}

struct ndm_context *box_context(struct box *b)
{
	return b->ctx;
}

/* ---- devices ---- */

static struct ndm_device *box_device(struct box *b, const char *name)
{
	struct ndm_device *device = ndm_device_by_name(b->ctx, name);

	assert_non_null(device);
	return device;
}

static int load(struct box *b, struct ndm_device *device, const char *table)
{
	struct ndm_table_line *lines = NULL;
	char *text = ndm_strdup(table);
	unsigned n = 0;
	int err;

	ndm_str_free(&b->why);
	err = ndm_table_parse(text, &lines, &n, &b->why);
	if (!err)
		err = ndm_device_load(device, lines, n, b->read_only, &b->why);
	ndm_free(lines);
	ndm_free(text);
	return err;
}

static void load_or_fail(struct box *b, struct ndm_device *device, const char *table)
{
	int err = load(b, device, table);

	if (err)
		fail_msg("%s: refused (%s): %s", table, strerror(-err), b->why.text);
	ndm_str_free(&b->why);
	err = ndm_device_resume(device, 0, &b->why);
	if (err)
		fail_msg("%s: not resumed (%s): %s", table, strerror(-err), b->why.text);
}

struct ndm_store *box_up(struct box *b, const char *name, const char *table)
{
	struct box_device *d = &b->devs[b->ndevs];

	assert_true(b->ndevs < DEVICES_MAX);
	assert_int_equal(ndm_device_create(b->ctx, name, NULL, -1, &d->device), 0);
	b->ndevs++;
	load_or_fail(b, d->device, table);
	assert_int_equal(ndm_open(d->device, NDM_OPEN_READ | (b->read_only ? 0 : NDM_OPEN_WRITE), "test",
				  &d->opener), 0);
	return ndm_opener_store(d->opener);
}

void box_read_only(struct box *b)
{
	b->read_only = true;
}

int box_refused(struct box *b, const char *table, const char **why)
{
	struct ndm_device *device;
	struct ndm_device_info info;
	bool deferred;
	int err;

	assert_int_equal(ndm_device_create(b->ctx, "refused", NULL, -1, &device), 0);
	err = load(b, device, table);
	ndm_device_info(device, &info);
	assert_false(info.flags & NDM_DEVICE_INACTIVE && err);
	assert_int_equal(ndm_device_remove(device, false, &deferred), 0);
	*why = b->why.text ? b->why.text : "";
	return -err;
}

void box_reload(struct box *b, const char *name, const char *table)
{
	load_or_fail(b, box_device(b, name), table);
}

void box_suspend(struct box *b, const char *name, unsigned flags)
{
	assert_int_equal(ndm_device_suspend(box_device(b, name), flags), 0);
}

void box_resume(struct box *b, const char *name)
{
	ndm_str_free(&b->why);
	assert_int_equal(ndm_device_resume(box_device(b, name), 0, &b->why), 0);
}

static const char *status(struct box *b, const char *name, enum ndm_status what)
{
	struct ndm_target_status *list;
	bool read_only;
	unsigned n;

	assert_int_equal(ndm_device_status(box_device(b, name), what, 0, false, &list, &n,
					   &read_only), 0);
	assert_true(n > 0);
	ndm_str_free(&b->text);
	ndm_printf(&b->text, "%s", list[0].text ? list[0].text : "");
	ndm_target_status_free(list, n);
	return b->text.text;
}

const char *box_table(struct box *b, const char *name)
{
	return status(b, name, NDM_STATUS_TABLE);
}

const char *box_status(struct box *b, const char *name)
{
	return status(b, name, NDM_STATUS_INFO);
}

const char *box_message(struct box *b, const char *name, const char *text)
{
	struct ndm_str reply = { 0 }, why = { 0 };
	int err = ndm_device_message(box_device(b, name), 0, text, &reply, &why);

	ndm_str_free(&b->text);
	if (err < 0)
		ndm_printf(&b->text, "%s: %s", err == -EINVAL ? "EINVAL" : strerror(-err),
			   why.text ? why.text : "");
	else
		ndm_printf(&b->text, "%s", err && reply.text ? reply.text : "");
	ndm_str_free(&reply);
	ndm_str_free(&why);
	return b->text.text;
}

uint32_t box_event_nr(struct box *b, const char *name)
{
	struct ndm_device_info info;

	ndm_yield(b->loop);
	ndm_device_info(box_device(b, name), &info);
	return info.event_nr;
}

/* ---- requests ---- */

static void io_done(struct ndm_bio *bio)
{
	struct box_io *io = bio->owner;

	io->done = true;
	io->done_ns = io->box->now_ns;
}

void box_start(struct box *b, struct box_io *io, struct ndm_store *store, enum ndm_op op,
	       uint64_t sector, uint64_t nr, void *buf)
{
	*io = (struct box_io){ .box = b, .iov = { buf, nr * NDM_SECTOR_BYTES } };
	io->bio = (struct ndm_bio){ .op = op, .store = store, .sector = sector, .nr = nr,
				    .data = { &io->iov, buf ? 1 : 0, 0 }, .origin = sector,
				    .extents = &io->extents, .done = io_done, .owner = io };
	ndm_submit(&io->bio);
}

void box_wait(struct box_io *io)
{
	while (!io->done)
		ndm_sleep(io->box->loop, 1000000);
}

const char *box_extents(struct box *b, struct ndm_store *store, uint64_t sector, uint64_t nr)
{
	struct box_io io;
	unsigned i;

	box_start(b, &io, store, NDM_EXTENTS, sector, nr, NULL);
	box_wait(&io);
	ndm_str_free(&b->text);
	if (io.bio.error)
		ndm_printf(&b->text, "error %d", -io.bio.error);
	else
		ndm_printf(&b->text, "%s", "");
	ndm_extents_finish(&io.extents, sector);
	for (i = 0; i < io.extents.n; i++)
		ndm_printf(&b->text, "%s%llu:%s", i ? " " : "",
			   (unsigned long long)io.extents.list[i].nr,
			   io.extents.list[i].type & NDM_EXTENT_HOLE ? "hole" : "data");
	ndm_extents_free(&io.extents);
	return b->text.text;
}
