/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.c - devices as bytes, and from bytes again.  See image.h.
 *
 * Tables are kept as targets print them, keys and all: the image goes through a socket into the
 * other process's memory and never to a disk.  Numbers in them stay right, because numbers are
 * handed over as well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "ndmd.h"

#define FORMAT 3			/* of all that follows it: another ndmd may be of another age */
#define DEVICES_MAX (1u << 20)
#define LINES_MAX (1u << 20)

/* ---- bytes ---- */

void image_put_raw(struct image *im, const void *bytes, size_t n)
{
	size_t before = im->bytes.len;

	ndm_str_put(&im->bytes, bytes, n);
	im->no_memory |= im->bytes.len != before + n;
}

void image_put_number(struct image *im, uint64_t n)
{
	image_put_raw(im, &n, sizeof n);
}

void image_put(struct image *im, const void *bytes, size_t n)
{
	image_put_number(im, n);
	image_put_raw(im, bytes, n);
}

void image_put_text(struct image *im, const char *text)
{
	image_put(im, text ? text : "", text ? strlen(text) + 1 : 0);
}

void image_put_fd(struct image *im, int fd)
{
	unsigned cap = im->fds_cap ? 2 * im->fds_cap : 16;
	int *grown;

	if (im->nfds == im->fds_cap) {
		grown = realloc(im->fds, cap * sizeof *grown);
		if (!grown) {
			im->no_memory = true;
			return;
		}
		im->fds = grown;
		im->fds_cap = cap;
	}
	im->fds[im->nfds++] = fd;
}

void image_free(struct image *im)
{
	if (im->bytes.text)
		explicit_bzero(im->bytes.text, im->bytes.cap);	/* it may hold keys */
	ndm_str_free(&im->bytes);
	free(im->fds);
	*im = (struct image){ 0 };
}

uint64_t image_number(struct image_reader *r)
{
	uint64_t n;

	if (r->bad || (size_t)(r->end - r->at) < sizeof n) {
		r->bad = true;
		return 0;
	}
	memcpy(&n, r->at, sizeof n);
	r->at += sizeof n;
	return n;
}

const char *image_bytes(struct image_reader *r, size_t *bytes)
{
	uint64_t n = image_number(r);
	const char *at = r->at;

	*bytes = 0;
	if (r->bad || n > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return "";
	}
	r->at += n;
	*bytes = (size_t)n;
	return at;
}

const char *image_text(struct image_reader *r)
{
	size_t n;
	const char *text = image_bytes(r, &n);

	if (!n)
		return NULL;
	if (memchr(text, '\0', n) != text + n - 1) {
		r->bad = true;
		return NULL;
	}
	return text;
}

/* ---- all devices ---- */

typedef int device_fn(struct ndm_device *, void *arg, struct ndm_str *why);

/*
 * fn for each device there is now, up to the first error.  It may wait, so all are held; first,
 * if there is one, hears how many they are.
 */
static int for_all(struct ndmd *d, void (*first)(void *arg, unsigned n), device_fn *fn, void *arg,
		   struct ndm_str *why)
{
	struct ndm_device *dev, **list;
	unsigned n = 0, i;
	int err = 0;

	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev))
		n++;
	list = calloc(n + 1, sizeof *list);
	if (!list)
		return -ENOMEM;
	n = 0;
	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		ndm_device_hold(dev);
		list[n++] = dev;
	}
	if (first)
		first(arg, n);
	for (i = 0; i < n && !err; i++)
		err = fn(list[i], arg, why);
	while (n)
		ndm_device_put(list[--n]);
	free(list);
	return err;
}

/* ---- what cannot be handed over ---- */

static bool is_memory(const char *backings, unsigned minor)
{
	char head[32];
	size_t n = (size_t)snprintf(head, sizeof head, "%d:%u\t", NDM_VIRTUAL_MAJOR, minor);
	const char *line;

	for (line = backings; line && *line; line = strchr(line, '\n'), line += !!line) {
		if (!strncmp(line, head, n))
			return !strncmp(line + n, "mem:", 4);
		if (!strchr(line, '\n'))
			break;
	}
	return false;
}

static int check_one(struct ndm_device *dev, bool inactive, const char *backings,
		     struct ndm_str *why)
{
	struct ndm_device_info info;
	uint32_t (*list)[2];
	unsigned i, n;
	int err = ndm_device_deps(dev, inactive, &list, &n);

	if (err)
		return err;
	for (i = 0; i < n && !err; i++)
		if (list[i][0] == NDM_VIRTUAL_MAJOR && is_memory(backings, list[i][1])) {
			ndm_device_info(dev, &info);
			ndm_printf(why, "%s stands on memory of this process (mem:), which cannot be "
				   "handed over", info.name);
			err = -EBUSY;
		}
	ndm_free(list);
	return err;
}

static int check_both(struct ndm_device *dev, void *backings, struct ndm_str *why)
{
	int err = check_one(dev, false, backings, why);

	return err ? err : check_one(dev, true, backings, why);
}

int image_check_devices(struct ndmd *d, struct ndm_str *why)
{
	struct ndm_str backings = { 0 };
	int err;

	ndm_context_backings(d->context, &backings);
	err = for_all(d, NULL, check_both, backings.text, why);
	ndm_str_free(&backings);
	return err;
}

/* ---- packing ---- */

static int pack_table(struct ndm_device *dev, bool inactive, struct image *im)
{
	struct ndm_target_status *list;
	bool read_only = false;
	unsigned i, n;
	int err;

	err = ndm_device_status(dev, NDM_STATUS_TABLE, NDM_STATUS_SHOWKEYS | NDM_STATUS_NOFLUSH,
				inactive, &list, &n, &read_only);
	if (err)
		return err;
	image_put_number(im, n);
	image_put_number(im, read_only);
	for (i = 0; i < n; i++) {
		image_put_number(im, list[i].start);
		image_put_number(im, list[i].nr);
		image_put_text(im, list[i].type);
		image_put_text(im, list[i].text ? list[i].text : "");
	}
	ndm_target_status_free(list, n);
	return 0;
}

static int pack_device(struct ndm_device *dev, void *arg, struct ndm_str *why)
{
	struct image *im = arg;
	struct ndm_device_memory m;
	struct ndm_device_info info;
	struct ndm_str stats = { 0 };
	unsigned i;
	int err;

	(void)why;
	ndm_device_info(dev, &info);
	ndm_device_recall(dev, &m);
	image_put_text(im, info.name);
	image_put_text(im, *info.uuid ? info.uuid : NULL);
	image_put_number(im, info.minor);
	image_put_number(im, info.flags);
	image_put_number(im, m.event_nr);
	for (i = 0; i < 4; i++)
		image_put_number(im, m.geometry[i]);
	image_put_number(im, m.read_ahead);
	image_put_number(im, (m.had_table ? 1 : 0) | (m.request_based ? 2 : 0) |
			 (m.deferred_remove ? 4 : 0));
	image_put(im, m.declared, m.declared_bytes);
	err = ndm_device_stats_save(dev, &stats);
	image_put(im, stats.text, stats.len);
	ndm_str_free(&stats);
	if (!err)
		err = pack_table(dev, false, im);
	return err ? err : pack_table(dev, true, im);
}

static void pack_count(void *im, unsigned n)
{
	image_put_number(im, n);
}

int image_pack_devices(struct ndmd *d, struct image *im, struct ndm_str *why)
{
	struct ndm_str backings = { 0 };
	int err;

	ndm_context_backings(d->context, &backings);
	image_put_number(im, FORMAT);
	image_put_text(im, backings.text ? backings.text : "");
	ndm_str_free(&backings);
	err = for_all(d, pack_count, pack_device, im, why);
	if (!err && im->no_memory)
		err = -ENOMEM;
	if (err)
		ndm_printf(why, "the tables cannot be had: %s", strerror(-err));
	return err;
}

/* ---- what the targets of a device know: in front of all the rest ---- */

int image_recall(struct ndm_device *dev, struct image *memories, struct ndm_str *why)
{
	struct ndm_device_info info;
	struct ndm_str bytes = { 0 }, reason = { 0 };
	int err;

	ndm_device_info(dev, &info);
	err = ndm_device_recall_targets(dev, &bytes, &reason);
	if (err)
		ndm_printf(why, "%s: %s", info.name, reason.len ? reason.text : strerror(-err));
	image_put_number(memories, info.minor);
	image_put(memories, bytes.text, bytes.len);
	ndm_str_free(&bytes);
	ndm_str_free(&reason);
	return err;
}

void image_put_in_front(struct image *im, struct image *memories)
{
	struct ndm_str rest = im->bytes;

	im->bytes = (struct ndm_str){ 0 };
	im->no_memory |= memories->no_memory;
	image_put(im, memories->bytes.text, memories->bytes.len);
	image_put_raw(im, rest.text, rest.len);
	if (rest.text)
		explicit_bzero(rest.text, rest.cap);
	ndm_str_free(&rest);
	image_free(memories);
}

/* ---- making ---- */

struct table { struct ndm_table_line *lines; unsigned n; bool read_only; };

struct kept {
	const char *name, *uuid;
	unsigned minor, flags;
	struct ndm_device_memory memory;
	const char *stats, *targets;		/* targets: what they know, or NULL */
	size_t stats_bytes, targets_bytes;
	struct table live, inactive;
	struct ndm_device *device;
	bool up, whole;				/* whole: nothing is to be given to it */
};

static void read_table(struct image_reader *r, struct table *t)
{
	uint64_t n = image_number(r);
	unsigned i;

	t->read_only = image_number(r);
	if (n > LINES_MAX || n > (uint64_t)(r->end - r->at) ||
	    !(t->lines = calloc(n + 1, sizeof *t->lines))) {
		r->bad = true;
		return;
	}
	for (i = 0; i < n && !r->bad; i++) {
		t->lines[i].start = image_number(r);
		t->lines[i].nr = image_number(r);
		t->lines[i].type = image_text(r);
		t->lines[i].args = image_text(r);
		if (!t->lines[i].type || !t->lines[i].args)
			r->bad = true;
	}
	t->n = (unsigned)n;
}

static void read_kept(struct image_reader *r, struct kept *k)
{
	unsigned i, more;

	k->name = image_text(r);
	k->uuid = image_text(r);
	k->minor = (unsigned)image_number(r);
	k->flags = (unsigned)image_number(r);
	k->memory.event_nr = (uint32_t)image_number(r);
	for (i = 0; i < 4; i++)
		k->memory.geometry[i] = image_number(r);
	k->memory.read_ahead = image_number(r);
	more = (unsigned)image_number(r);
	k->memory.had_table = more & 1;
	k->memory.request_based = more & 2;
	k->memory.deferred_remove = more & 4;
	k->memory.declared = image_bytes(r, &k->memory.declared_bytes);
	if (!k->memory.declared_bytes)
		k->memory.declared = NULL;
	k->stats = image_bytes(r, &k->stats_bytes);
	read_table(r, &k->live);
	read_table(r, &k->inactive);
	if (!k->name)
		r->bad = true;
}

/* Is a device that this table stands on still to come? */
static bool must_wait(const struct table *t, const struct kept *all, unsigned n)
{
	unsigned i, j, major, minor;
	const char *p;

	for (i = 0; i < t->n; i++)
		for (p = t->lines[i].args; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
			if (sscanf(p, "%u:%u", &major, &minor) != 2 || major != NDM_MAJOR)
				continue;
			for (j = 0; j < n; j++)
				if (all[j].minor == minor && !all[j].up && all[j].live.n)
					return true;
		}
	return false;
}

static int bring_up(struct kept *k, struct ndm_str *why)
{
	struct ndm_str reason = { 0 };
	int err = 0;

	k->up = true;
	if (k->live.n)
		err = ndm_device_load(k->device, k->live.lines, k->live.n, k->live.read_only, &reason);
	if (!err && k->live.n && k->targets)
		err = ndm_device_remember_targets(k->device, k->targets, k->targets_bytes, &reason);
	if (!err && k->live.n)
		err = ndm_device_resume(k->device, 0, &reason);
	if (err)
		ndm_printf(why, "%s: %s", k->name, reason.len ? reason.text : strerror(-err));
	ndm_str_free(&reason);
	return err;
}

static int bring_up_all(struct kept *all, unsigned n, struct ndm_str *why)
{
	bool progress = true, forced;
	unsigned i;
	int err = 0;

	while (progress && !err) {
		progress = false;
		for (i = 0; i < n && !err; i++)
			if (!all[i].up && !must_wait(&all[i].live, all, n)) {
				err = bring_up(&all[i], why);
				progress = true;
			}
		for (i = 0, forced = progress; i < n && !err && !forced; i++)
			if (!all[i].up) {	/* in a circle: cannot be, but must end */
				err = bring_up(&all[i], why);
				forced = progress = true;
			}
	}
	return err;
}

/* What is less than a live table; last, because what stands above has been started by now. */
static int finish(struct ndmd *d, struct kept *k)
{
	struct ndm_str why = { 0 };
	int err;

	if (k->inactive.n && ndm_device_load(k->device, k->inactive.lines, k->inactive.n,
					     k->inactive.read_only, &why))
		log_line(&d->log, NDM_LOG_WARNING, "%s: its inactive table is lost: %s", k->name,
			 why.len ? why.text : "no reason given");
	ndm_str_free(&why);
	if (k->flags & NDM_DEVICE_SUSPENDED)
		ndm_device_suspend(k->device, NDM_SUSPEND_NOFLUSH | NDM_SUSPEND_NOLOCKFS);
	err = ndm_device_remember(k->device, &k->memory);
	if (!err && ndm_device_stats_restore(k->device, k->stats, k->stats_bytes))
		log_line(&d->log, NDM_LOG_WARNING, "%s: its statistics are lost", k->name);
	return err;
}

/* One that could not be removed by the process that takes all back: it is as it was. */
static struct ndm_device *still_there(struct ndmd *d, const struct kept *k)
{
	struct ndm_device *dev;
	struct ndm_device_info info;

	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		if (info.minor == k->minor && !strcmp(info.name, k->name))
			return dev;
	}
	return NULL;
}

static int go_on(struct ndm_device *dev, struct kept *k, struct ndm_str *why)
{
	struct ndm_device_info info;

	ndm_device_hold(dev);
	k->device = dev;
	k->up = k->whole = true;
	ndm_device_info(dev, &info);
	if (k->flags & NDM_DEVICE_SUSPENDED || !(info.flags & NDM_DEVICE_SUSPENDED) || !k->live.n)
		return 0;
	if (!k->inactive.n)
		return ndm_device_resume(dev, 0, why);
	ndm_device_clear(dev);			/* or the resume would take it; finish() loads it again */
	k->whole = false;
	return ndm_device_resume(dev, 0, why);
}

static int make_all(struct ndmd *d, struct kept *all, unsigned n, struct ndm_str *why)
{
	struct ndm_device *there;
	unsigned i;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		there = still_there(d, &all[i]);
		if (there) {
			err = go_on(there, &all[i], why);
			continue;
		}
		err = ndm_device_create(d->context, all[i].name, all[i].uuid, (int)all[i].minor,
					&all[i].device);
		if (err) {
			ndm_printf(why, "%s: %s", all[i].name, strerror(-err));
			all[i].device = NULL;
		} else {
			ndm_device_hold(all[i].device);
		}
	}
	if (!err)
		err = bring_up_all(all, n, why);
	for (i = 0; i < n && !err; i++)
		if (!all[i].whole)
			err = finish(d, &all[i]);
	for (i = 0; i < n; i++)
		if (all[i].device)
			ndm_device_put(all[i].device);
	return err;
}

static int read_memories(const char *at, size_t bytes, struct kept *all, unsigned n)
{
	struct image_reader r = { at, at + bytes, false };
	const char *text;
	size_t text_bytes;
	uint64_t minor;
	unsigned i;

	while (r.at < r.end && !r.bad) {
		minor = image_number(&r);
		text = image_bytes(&r, &text_bytes);
		for (i = 0; i < n && !r.bad; i++)
			if (all[i].minor == minor) {
				all[i].targets = text;
				all[i].targets_bytes = text_bytes;
			}
	}
	return r.bad ? -EBADMSG : 0;
}

int image_make_devices(struct ndmd *d, struct image_reader *r, struct ndm_str *why)
{
	size_t memory_bytes;
	const char *memories = image_bytes(r, &memory_bytes);
	uint64_t format = image_number(r), n;
	const char *backings = image_text(r);
	struct kept *all = NULL;
	unsigned i;
	int err = -EBADMSG;

	if (!r->bad && format != FORMAT) {
		ndm_printf(why, "the two ndmd are of versions that do not understand each other");
		return -EPROTO;
	}
	n = image_number(r);
	if (r->bad || !backings || n > DEVICES_MAX || n > (uint64_t)(r->end - r->at))
		return -EBADMSG;
	all = calloc(n + 1, sizeof *all);
	for (i = 0; all && i < n && !r->bad; i++)
		read_kept(r, &all[i]);
	if (all && !r->bad && !read_memories(memories, memory_bytes, all, (unsigned)n)) {
		/* a process that takes its own devices back has its numbers still */
		err = ndm_context_backings_set(d->context, backings);
		if (!err || err == -EBUSY)
			err = make_all(d, all, (unsigned)n, why);
	}
	for (i = 0; all && i < n; i++) {
		free(all[i].live.lines);
		free(all[i].inactive.lines);
	}
	free(all);
	return err;
}

/* One that was to go with its clients, none of which came along. */
static int remove_deferred(struct ndm_device *dev, void *arg, struct ndm_str *why)
{
	struct ndm_device_info info;

	(void)arg;
	(void)why;
	ndm_device_info(dev, &info);
	if (info.flags & NDM_DEVICE_DEFERRED_REMOVE)
		ndm_device_remove(dev, true, NULL);
	return 0;
}

void image_remove_deferred(struct ndmd *d)
{
	for_all(d, NULL, remove_deferred, NULL, NULL);
}
