/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log-writes: every write to a device, also written to a log, in the order in which it became
 * durable.
 *
 *	log-writes <device> <log device>
 *	message: mark <text>
 *
 * On the log device (little-endian; lsec = logical block size of <device>):
 *
 *	lsec 0		superblock: magic, version 1, number of entries, lsec bytes
 *	lsec 1...	entries: one lsec of header (sector, nr_sectors, flags, data_len, mark text),
 *			then nr_sectors of data; a discard, a flush and a mark have no data
 *
 * A write joins the list of unflushed entries when it completes.  A flush takes that list with
 * it when it is submitted and logs it, and itself, when it completes.  A FUA write and a mark
 * are logged at once, ahead of what is unflushed.  The superblock is written after an entry
 * with FUA or a mark only: after a power cut a log may hold more than it counts.
 *
 * Removing the target logs what is unflushed, then the mark "dm-log-writes-end".  A log that
 * is full, or fails, is given up for good: writes go on, the status line says so.
 *
 * One task at a time writes the log; it is started when there is something to write.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <ndm-target.h>

#include "lib/kit/bytes.h"
#include "lib/kit/memo.h"

#define LOG_MAGIC UINT64_C(0x6a736677736872)
#define LOG_VERSION 1
#define HEADER_BYTES 32
#define END_MARK "dm-log-writes-end"

enum { LOG_FLUSH = 1, LOG_FUA = 2, LOG_DISCARD = 4, LOG_MARK = 8, LOG_METADATA = 16 };

struct entry {
	struct entry *next;
	uint64_t sector, nr;			/* in lsecs of the device */
	uint64_t flags;
	size_t text_bytes;			/* marks */
	char *text;
	void *data;				/* writes: nr lsecs, a buffer of the loop */
};

struct list { struct entry *head, *tail; };

struct log_writes {
	struct ndm_dev *dev, *log;
	uint32_t lsec_bytes;
	bool enabled;
	bool passed_on;				/* the log is another process's: nothing more goes into it */
	bool writing;				/* the task is there */
	uint64_t logged;			/* entries that have a place in the log */
	uint64_t next;				/* the first free 512-byte sector of the log */
	struct list unflushed, queue;
	struct ndm_waitq idle;
	struct ndm_target *ti;
	unsigned char *block;			/* one lsec, for headers */
};

/* what a bio of ours carries */
struct carried { struct entry *entry; struct list flushed; };

/* ---- lists ---- */

static void list_add(struct list *l, struct entry *e)
{
	e->next = NULL;
	if (l->head)
		l->tail->next = e;
	else
		l->head = e;
	l->tail = e;
}

static void list_splice(struct list *to, struct list *from)
{
	if (!from->head)
		return;
	if (to->head)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	*from = (struct list){ 0 };
}

static struct entry *list_take(struct list *l)
{
	struct entry *e = l->head;

	if (e)
		l->head = e->next;
	return e;
}

static void entry_free(struct log_writes *lw, struct entry *e)
{
	if (!e)
		return;
	if (e->data)
		ndm_buffer_put(lw->ti->loop, e->data, e->nr * lw->lsec_bytes);
	ndm_free(e->text);
	ndm_free(e);
}

/* ---- the log ---- */

static unsigned lsec_sectors(const struct log_writes *lw)
{
	return lw->lsec_bytes / NDM_SECTOR_BYTES;
}

static int superblock_write(struct log_writes *lw)
{
	memset(lw->block, 0, lw->lsec_bytes);
	le64_put(lw->block, LOG_MAGIC);
	le64_put(lw->block + 8, LOG_VERSION);
	le64_put(lw->block + 16, lw->logged);
	le32_put(lw->block + 24, lw->lsec_bytes);
	/* durable, and behind all entries that it counts */
	return ndm_rw(lw->log->store, NDM_WRITE, NDM_FUA | NDM_META, 0, lsec_sectors(lw),
		      lw->block);
}

static int entry_write(struct log_writes *lw, const struct entry *e, uint64_t at)
{
	struct iovec iov[2] = {
		{ lw->block, lw->lsec_bytes },
		{ e->data, e->data ? e->nr * lw->lsec_bytes : 0 },
	};
	struct ndm_data data = { .iov = iov, .iovcnt = e->data ? 2 : 1 };
	uint64_t nr = lsec_sectors(lw) * (1 + (e->data ? e->nr : 0));

	memset(lw->block, 0, lw->lsec_bytes);
	le64_put(lw->block, e->sector);
	le64_put(lw->block + 8, e->nr);
	le64_put(lw->block + 16, e->flags);
	le64_put(lw->block + 24, e->text_bytes);
	if (e->text)
		memcpy(lw->block + HEADER_BYTES, e->text, e->text_bytes);
	return ndm_rw_data(lw->log->store, NDM_WRITE, 0, at, nr, &data);
}

/* A place for the entry; false: the log is full (a log that would be exactly full is, too). */
static bool entry_place(struct log_writes *lw, const struct entry *e, uint64_t *at)
{
	*at = lw->next;
	lw->next += lsec_sectors(lw) * (1 + (e->data ? e->nr : 0));
	if (lw->log->store->nr && lw->next >= lw->log->store->nr) {
		ndm_warn(lw->ti, "Ran out of space on the logdev");
		return false;
	}
	lw->logged++;
	return true;
}

static void entry_log(struct log_writes *lw, const struct entry *e)
{
	uint64_t at;
	int err;

	if (!lw->enabled)
		return;
	if (!entry_place(lw, e, &at)) {
		lw->enabled = false;
		return;
	}
	err = entry_write(lw, e, at);
	if (!err && e->flags & (LOG_FUA | LOG_MARK)) {
		/* a count must not overtake what it counts */
		err = ndm_flush(lw->log->store);
		if (!err)
			err = superblock_write(lw);
	}
	if (err) {
		ndm_warn(lw->ti, "Error writing the log: %s", strerror(-err));
		lw->enabled = false;
	}
}

static void log_task(void *arg)
{
	struct log_writes *lw = arg;
	struct entry *e;

	while ((e = list_take(&lw->queue))) {
		entry_log(lw, e);
		entry_free(lw, e);
	}
	lw->writing = false;
	ndm_wake_all(&lw->idle);
}

static void log_start(struct log_writes *lw)
{
	if (lw->writing || !lw->queue.head)
		return;
	lw->writing = true;
	ndm_spawn(lw->ti->loop, "log-writes", log_task, lw);
}

static int log_mark(struct log_writes *lw, const char *text)
{
	size_t most = lw->lsec_bytes - HEADER_BYTES - 1;
	struct entry *e = ndm_zalloc(sizeof *e);

	if (!e || !(e->text = ndm_strdup(text))) {
		ndm_free(e);
		return -ENOMEM;
	}
	e->text_bytes = strlen(text) < most ? strlen(text) : most;
	e->flags = LOG_MARK;
	list_add(&lw->queue, e);
	log_start(lw);
	return 0;
}

/* ---- bios ---- */

static struct entry *entry_of(struct log_writes *lw, const struct ndm_bio *bio)
{
	struct entry *e = ndm_zalloc(sizeof *e);

	if (!e)
		return NULL;
	e->sector = bio->sector / lsec_sectors(lw);
	e->nr = bio->nr / lsec_sectors(lw);
	e->flags = (bio->op == NDM_FLUSH ? LOG_FLUSH : 0) | (bio->flags & NDM_FUA ? LOG_FUA : 0) |
		   (bio->op == NDM_DISCARD ? LOG_DISCARD : 0) |
		   (bio->flags & NDM_META ? LOG_METADATA : 0);
	if (bio->op == NDM_FLUSH)
		e->sector = 0;
	if (bio->op == NDM_WRITE) {
		e->data = ndm_buffer_get(lw->ti->loop, bio->nr * NDM_SECTOR_BYTES);
		if (!e->data) {
			ndm_free(e);
			return NULL;
		}
		ndm_data_from(&bio->data, bio->nr * NDM_SECTOR_BYTES, e->data);
	}
	return e;
}

static enum ndm_map log_writes_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct log_writes *lw = ti->private_data;
	struct carried *c = ndm_per_bio(bio);

	if (!lw->enabled || bio->op == NDM_READ || bio->op == NDM_EXTENTS || bio->op == NDM_CACHE)
		goto out;
	c->entry = entry_of(lw, bio);
	if (!c->entry) {
		ndm_warn(ti, "Error allocating a log entry");
		lw->enabled = false;
		return NDM_MAP_KILL;
	}
	if (bio->op == NDM_FLUSH) {
		c->flushed = lw->unflushed;
		lw->unflushed = (struct list){ 0 };
	}
out:
	if (bio->op == NDM_DISCARD && !lw->dev->store->limits.max_discard_sectors) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	return ndm_remap(bio, lw->dev, bio->sector);
}

static enum ndm_endio log_writes_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct log_writes *lw = ti->private_data;
	struct carried *c = ndm_per_bio(bio);

	if (!c->entry)
		return NDM_ENDIO_DONE;
	if (c->entry->flags & (LOG_FLUSH | LOG_FUA)) {
		list_splice(&lw->queue, &c->flushed);
		list_add(&lw->queue, c->entry);
		log_start(lw);
	} else {
		list_add(&lw->unflushed, c->entry);
	}
	c->entry = NULL;
	return NDM_ENDIO_DONE;
}

/* ---- the target ---- */

static int log_writes_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct log_writes *lw = ti->private_data;
	int err;

	if (argc < 2)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u instead of 2 "
				 "(<device> <log device>)", argc);
	err = ndm_get_dev(ti, argv[0], 0, ti->nr, &lw->dev);
	if (err)
		return ndm_error(ti, err, "Device lookup failed");
	err = ndm_get_dev_mode(ti, argv[1], NDM_OPEN_READ | NDM_OPEN_WRITE, 0, 0, &lw->log);
	if (err)
		return ndm_error(ti, err, "Log device lookup failed");
	lw->ti = ti;
	lw->lsec_bytes = lw->dev->store->limits.logical_block_bytes;
	lw->block = ndm_buffer_get(ti->loop, lw->lsec_bytes);
	if (!lw->block)
		return ndm_error(ti, -ENOMEM, "Cannot allocate context");
	lw->next = lsec_sectors(lw);
	lw->enabled = true;
	ndm_waitq_init(&lw->idle, ti->loop);
	ti->num_flush = ti->num_discard = 1;
	ti->discards_supported = true;
	ti->extents = true;
	ti->per_bio_size = sizeof(struct carried);
	return 0;
}

static void log_writes_dtr(struct ndm_target *ti)
{
	struct log_writes *lw = ti->private_data;

	list_splice(&lw->queue, &lw->unflushed);
	if (!lw->passed_on)
		log_mark(lw, END_MARK);		/* a log without it only lacks its end */
	log_start(lw);
	while (lw->writing)
		ndm_wait(&lw->idle);
	ndm_buffer_put(ti->loop, lw->block, lw->lsec_bytes);
}

static void log_writes_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			      struct ndm_str *out)
{
	struct log_writes *lw = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE)
		ndm_printf(out, "%s %s", lw->dev->name, lw->log->name);
	else
		ndm_printf(out, "%" PRIu64 " %" PRIu64 "%s", lw->logged, lw->next - 1,
			   lw->enabled ? "" : " logging_disabled");
}

static int log_writes_message(struct ndm_target *ti, unsigned argc, char **argv,
			      struct ndm_str *reply)
{
	(void)reply;
	if (argc != 2)
		return ndm_error(ti, -EINVAL, "Invalid log-writes message arguments, "
				 "expect 2 arguments, got %u", argc);
	if (strcasecmp(argv[0], "mark"))
		return ndm_error(ti, -EINVAL, "Unrecognised log writes target message received: %s",
				 argv[0]);
	return log_mark(ti->private_data, argv[1]);
}

/* The next process goes on behind the last entry: what is not logged yet is, and no end is marked. */
static int log_writes_recall(struct ndm_target *ti, struct ndm_str *out)
{
	struct log_writes *lw = ti->private_data;
	int err = 0;

	if (lw->unflushed.head)
		err = ndm_flush(lw->dev->store);
	list_splice(&lw->queue, &lw->unflushed);
	log_start(lw);
	while (lw->writing)
		ndm_wait(&lw->idle);
	if (!err && lw->enabled)
		err = ndm_flush(lw->log->store);
	if (!err && lw->enabled)
		err = superblock_write(lw);
	if (err) {
		ndm_warn(ti, "Error writing the log: %s", strerror(-err));
		lw->enabled = false;
	}
	ndm_printf(out, "log %" PRIu64 " %" PRIu64 " %d\n", lw->logged, lw->next, lw->enabled);
	lw->passed_on = true;
	return 0;
}

static int log_writes_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct log_writes *lw = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (!memo_is(&l, "log", 3) || l.number[1] < lsec_sectors(lw) || l.number[1] > INT64_MAX)
			return -EBADMSG;
		lw->logged = l.number[0];
		lw->next = l.number[1];
		lw->enabled = l.number[2];
	}
	return err;
}

/* It was to be passed on, and is not. */
static void log_writes_resume(struct ndm_target *ti)
{
	struct log_writes *lw = ti->private_data;

	lw->passed_on = false;
}

static void log_writes_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	struct log_writes *lw = ti->private_data;

	if (!lw->dev->store->limits.max_discard_sectors)
		l->discard_granularity_bytes = lw->lsec_bytes;
	l->io_min_bytes = l->physical_block_bytes;
	l->volatile_cache = true;
}

static const struct ndm_arg log_writes_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the data." },
	{ .name = "log", .kind = NDM_ARG_DEVICE, .help = "The device that the log is written to; "
	  "its old contents are lost." },
	{ 0 }
};

static const struct ndm_arg log_writes_status_fields[] = {
	{ .name = "logged_entries", .kind = NDM_ARG_U64, .help = "Entries in the log." },
	{ .name = "highest_sector", .kind = NDM_ARG_U64,
	  .help = "The highest sector of the log that is taken." },
	{ .name = "logging", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "logging_disabled once the log was full or failed." },
	{ 0 }
};

const struct ndm_target_type ndm_target_log_writes = {
	.name = "log-writes",
	.version = { 1, 1, 0 },
	.private_size = sizeof(struct log_writes),
	.args = log_writes_args,
	.status_fields = log_writes_status_fields,
	.summary = "All writes to a device, also recorded in a log in their durable order.",
	.ctr = log_writes_ctr,
	.dtr = log_writes_dtr,
	.map = log_writes_map,
	.end_io = log_writes_end_io,
	.status = log_writes_status,
	.message = log_writes_message,
	.resume = log_writes_resume,
	.io_hints = log_writes_io_hints,
	.recall = log_writes_recall,
	.remember = log_writes_remember,
};
