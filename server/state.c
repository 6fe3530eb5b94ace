/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.c - the state folder: what was there is made again, what changes is written.
 *
 * A watch marks what happens to devices, in the middle of it; state_sync() writes it down, at
 * the end of each command and before its answer, so that what was answered is on disk (and soon
 * after what is no command's).  A file is replaced as a whole: temporary file, fsync, rename, fsync of the folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ndmd.h"
#include "state.h"

#define FILE_BYTES_MAX (64u << 20)
#define TEMPORARY ".writing"
#define KEPT_FLAGS (NDM_DEVICE_SUSPENDED | NDM_DEVICE_READ_ONLY | NDM_DEVICE_LIVE | \
		    NDM_DEVICE_DEFERRED_REMOVE)

struct entry {					/* a device, or one that was */
	struct entry *next;
	struct ndm_device *device;		/* NULL: removed */
	char *file;				/* what holds it, or NULL */
	unsigned flags;				/* as written */
	uint64_t read_ahead, geometry[4];	/* likewise */
	int told;				/* the error that was logged last */
	bool dirty;
};

struct saved {					/* a file, while devices are made again */
	struct saved *next;
	char *file, *name, *text;
	struct state_device device;
};

struct state {
	struct ndmd *ndmd;
	int dir;
	struct ndm_mutex lock;
	struct ndm_watch watch;
	struct entry *entries;
	struct saved *saved;
	char **theirs;				/* names that belong to the file of volumes */
	unsigned ntheirs;
	bool following;
	bool spawned;				/* a task to sync is under way */
};

static void complain(struct state *s, const char *file, const char *why)
{
	char line[400];
	size_t i;

	snprintf(line, sizeof line, "%s: %.*s", file, (int)strcspn(why, "\n"), why);
	for (i = 0; line[i]; i++)		/* a broken file may say anything */
		if (line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	log_line(&s->ndmd->log, NDM_LOG_ERROR, "state folder %s: %s", s->ndmd->opt.state, line);
}

/* ---- whose is a name? ---- */

static void forget_theirs(struct state *s)
{
	while (s->ntheirs)
		free(s->theirs[--s->ntheirs]);
	free(s->theirs);
	s->theirs = NULL;
}

void state_file_names(struct ndmd *d, const struct ndm_config *config)
{
	struct state *s = d->state;
	struct entry *e;
	unsigned i;

	if (!s)
		return;
	forget_theirs(s);
	s->theirs = calloc(config->nvolumes + 1, sizeof *s->theirs);
	for (i = 0; s->theirs && i < config->nvolumes; i++) {
		s->theirs[s->ntheirs] = strdup(config->volumes[i].name);
		s->ntheirs += !!s->theirs[s->ntheirs];
	}
	for (e = s->entries; e; e = e->next)
		e->dirty = true;
}

static bool is_theirs(const struct state *s, const char *name)
{
	const struct strings *create = &s->ndmd->opt.create;
	unsigned i;

	for (i = 0; i < s->ntheirs; i++)
		if (!strcmp(s->theirs[i], name))
			return true;
	for (i = 0; i < create->n; i++)
		if (volumes_create_names(create->list[i], name))
			return true;
	return false;
}

/* ---- files ---- */

static char *read_all(int dir, const char *file, int *err)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	ssize_t n = -1;

	*err = 0;
	if (fd < 0 || fstat(fd, &st)) {
		*err = -errno;
	} else if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		*err = S_ISREG(st.st_mode) ? -EFBIG : -EINVAL;
	} else {
		text = malloc((size_t)st.st_size + 1);
		n = text ? read(fd, text, (size_t)st.st_size) : -1;
		if (n < 0)
			*err = text ? -errno : -ENOMEM;
		else
			text[n] = '\0';
		if (!*err && memchr(text, '\0', (size_t)n))
			*err = -EILSEQ;
	}
	if (fd >= 0)
		close(fd);
	if (*err) {
		free(text);
		text = NULL;
	}
	return text;
}

struct write_job { int dir; const char *old, *file; const struct ndm_str *text; };

static int write_new(int dir, const struct ndm_str *text)
{
	int fd = openat(dir, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t done = 0;
	int err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (done < text->len && !err) {
		n = write(fd, text->text + done, text->len - done);
		if (n < 0)
			err = -errno;
		else
			done += (size_t)n;
	}
	if (!err && fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

/* On a worker thread: the disk may be slow.  text = NULL: the file goes. */
static int write_file(void *arg)
{
	const struct write_job *job = arg;
	char *there = NULL;
	int err = 0;

	if (!job->text) {
		if (unlinkat(job->dir, job->old, 0) && errno != ENOENT)
			return -errno;
		return fsync(job->dir) ? -errno : 0;
	}
	/* renamed first, so that there never are two of one device */
	if (job->old && strcmp(job->old, job->file) &&
	    renameat(job->dir, job->old, job->dir, job->file) && errno != ENOENT)
		return -errno;
	there = read_all(job->dir, job->file, &err);
	if (!there || strcmp(there, job->text->text)) {
		err = write_new(job->dir, job->text);
		if (!err && renameat(job->dir, TEMPORARY, job->dir, job->file))
			err = -errno;
	}
	free(there);
	if (!err && fsync(job->dir))
		err = -errno;
	return err;
}

static int offload(struct state *s, struct write_job *job)
{
	job->dir = s->dir;
	return ndm_offload(s->ndmd->workers[0].loop, write_file, job);
}

/* ---- following ---- */

static struct entry *entry_of(struct state *s, const struct ndm_device *dev)
{
	struct entry *e;

	for (e = s->entries; e && e->device != dev; e = e->next)
		;
	return e;
}

static void entry_add(struct state *s, struct ndm_device *dev)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e)
		return;
	e->device = dev;
	e->dirty = true;
	e->next = s->entries;
	s->entries = e;
}

static void sync_task(void *arg)
{
	struct state *s = arg;

	s->spawned = false;
	state_sync(s->ndmd);
}

/* Not every change is a command's: a deferred removal comes with the end of a client. */
static void sync_soon(struct state *s)
{
	if (s->spawned)
		return;
	s->spawned = true;
	ndm_spawn(s->ndmd->workers[0].loop, "state", sync_task, s);
}

static void happened(struct ndm_watch *w, struct ndm_device *dev, const char *what)
{
	struct state *s = (struct state *)((char *)w - offsetof(struct state, watch));
	struct entry *e = entry_of(s, dev);

	sync_soon(s);
	if (!e) {
		if (strcmp(what, "remove"))
			entry_add(s, dev);
		return;
	}
	e->dirty = true;
	if (!strcmp(what, "remove"))
		e->device = NULL;
	else if (!strcmp(what, "rename"))	/* tables above it have its name */
		for (e = s->entries; e; e = e->next)
			e->dirty = true;
}

static const char *reason_of(int err)
{
	switch (err) {
	case -EACCES:
		return "is not kept: its table holds a key, and keys are not written to files";
	case -EILSEQ:
		return "is not kept: its table cannot be written as lines of text";
	case -ENAMETOOLONG:
		return "is not kept: its name is too long for a file";
	}
	return strerror(-err);
}

static void entry_unlink(struct state *s, struct entry *e)
{
	struct write_job job = { .old = e->file };
	int err = e->file ? offload(s, &job) : 0;

	if (err)
		complain(s, e->file, strerror(-err));
	free(e->file);
	e->file = NULL;
}

/* Removed: its file goes, unless another device has the name, and so the file, by now. */
static void entry_gone(struct state *s, struct entry *e)
{
	struct entry *other, **p;

	for (other = s->entries; other && e->file; other = other->next)
		if (other != e && other->file && !strcmp(other->file, e->file)) {
			free(e->file);
			e->file = NULL;
		}
	entry_unlink(s, e);
	for (p = &s->entries; *p != e; p = &(*p)->next)
		;
	*p = e->next;
	free(e->file);
	free(e);
}

static void entry_write(struct state *s, struct entry *e, const struct ndm_device_info *info)
{
	struct ndm_device *dev = e->device;
	struct ndm_device_memory m;
	struct ndm_str text = { 0 };
	struct write_job job = { .old = e->file, .text = &text };
	char *file = state_file_name(info->name);
	int err = file ? 0 : -ENAMETOOLONG;

	e->dirty = false;			/* what happens from here on counts again */
	e->flags = info->flags & KEPT_FLAGS;
	ndm_device_recall(dev, &m);
	e->read_ahead = m.read_ahead;
	memcpy(e->geometry, m.geometry, sizeof e->geometry);
	ndm_device_hold(dev);
	/* one that goes with its clients goes with us */
	if (!err && !is_theirs(s, info->name) && !(info->flags & NDM_DEVICE_DEFERRED_REMOVE))
		err = state_print(s->ndmd->context, dev, &text);
	if (!err && text.len) {
		job.file = file;
		err = offload(s, &job);
		if (!err) {
			free(e->file);
			e->file = file;
			file = NULL;
		}
	} else {
		entry_unlink(s, e);		/* what it holds is not true any more */
	}
	if (err && err != e->told)
		complain(s, info->name, reason_of(err));
	e->told = err;
	ndm_device_put(dev);
	free(file);
	ndm_str_free(&text);
}

static bool memory_changed(const struct entry *e)
{
	struct ndm_device_memory m;

	ndm_device_recall(e->device, &m);
	return m.read_ahead != e->read_ahead ||
	       memcmp(m.geometry, e->geometry, sizeof e->geometry);
}

static struct entry *next_to_write(struct state *s, struct ndm_device_info *info)
{
	struct entry *e;

	for (e = s->entries; e; e = e->next) {
		if (!e->device)
			return e;
		ndm_device_info(e->device, info);
		if (e->dirty || e->flags != (info->flags & KEPT_FLAGS) || memory_changed(e))
			return e;
	}
	return NULL;
}

void state_sync(struct ndmd *d)
{
	struct state *s = d->state;
	struct ndm_device_info info;
	struct entry *e;

	if (!s || !s->following)
		return;
	ndm_lock(&s->lock);
	while (s->following && (e = next_to_write(s, &info))) {
		if (e->device)
			entry_write(s, e, &info);
		else
			entry_gone(s, e);
	}
	ndm_unlock(&s->lock);
}

void state_follow(struct ndmd *d)
{
	struct state *s = d->state;
	struct ndm_device_info info;
	struct ndm_device *dev;
	struct entry *e;

	if (!s)
		return;
	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		entry_add(s, dev);
		e = entry_of(s, dev);
		ndm_device_info(dev, &info);
		if (e)
			e->file = state_file_name(info.name);
	}
	s->watch.fn = happened;
	ndm_context_watch(d->context, &s->watch);
	s->following = true;
	state_sync(d);
}

/* ---- making devices again ---- */

static void saved_free(struct saved *f)
{
	state_parsed_free(&f->device);
	free(f->file);
	free(f->name);
	free(f->text);
	free(f);
}

static void saved_drop(struct state *s, struct saved *f)
{
	struct saved **p;

	for (p = &s->saved; *p != f; p = &(*p)->next)
		;
	*p = f->next;
	saved_free(f);
}

static void read_one(struct state *s, const char *file, char *name)
{
	struct saved *f = calloc(1, sizeof *f), **last;
	struct ndm_str why = { 0 };
	int err = 0;

	if (!f || !(f->file = strdup(file))) {
		free(f);
		free(name);
		return;
	}
	f->name = name;
	f->text = read_all(s->dir, file, &err);
	if (f->text)
		err = state_parse(f->text, &f->device, &why);
	if (err) {
		complain(s, file, why.len ? why.text : err == -EILSEQ ? "it is not text" :
			 err == -EINVAL ? "it is not a regular file" : strerror(-err));
		ndm_str_free(&why);
		saved_free(f);
		return;
	}
	for (last = &s->saved; *last && strcmp((*last)->name, name) < 0; last = &(*last)->next)
		;
	f->next = *last;
	*last = f;
}

static void read_folder(struct state *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	char *name;

	while (dir && (entry = readdir(dir))) {
		name = state_device_name(entry->d_name);
		if (!name) {
			if (*entry->d_name != '.')
				complain(s, entry->d_name, "no device is called so: left alone");
			continue;
		}
		if (!is_theirs(s, name)) {
			read_one(s, entry->d_name, name);
			continue;
		}
		log_line(&s->ndmd->log, NDM_LOG_INFO, "state folder %s: %s: the file of volumes "
			 "or --create has it now", s->ndmd->opt.state, name);
		unlinkat(s->dir, entry->d_name, 0);
		free(name);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

/* Does all it stands on exist?  Without `all` it is enough that none of it is still to come. */
static bool can_stand(struct state *s, const struct saved *f, bool all)
{
	char name[NDM_NAME_BYTES];
	const struct saved *other;
	const char *args;
	unsigned i;

	for (i = 0; i < f->device.n; i++)
		for (args = f->device.lines[i].args; state_names_device(&args, name);) {
			for (other = s->saved; other; other = other->next)
				if (other != f && !strcmp(other->name, name))
					return false;
			if (all && !ndm_device_by_name(s->ndmd->context, name))
				return false;
		}
	return true;
}

static int start(struct ndm_device *dev, const struct state_device *want, bool read_only,
		 struct ndm_str *why)
{
	int err;

	if (!want->n)
		return 0;
	err = ndm_device_load(dev, want->lines, want->n, want->read_only || read_only, why);
	return err ? err : ndm_device_resume(dev, 0, why);
}

static void make(struct state *s, struct saved *f)
{
	struct ndm_context *ctx = s->ndmd->context;
	struct ndm_str why = { 0 };
	struct ndm_device *dev;
	long minor = f->device.minor;
	int err;

	if (minor >= 0 && ndm_device_by_minor(ctx, (unsigned)minor))
		minor = -1;
	err = ndm_device_create(ctx, f->name, f->device.uuid, (int)minor, &dev);
	if (err) {
		complain(s, f->file, err == -EBUSY ? "the name or the uuid is taken" : strerror(-err));
		return;
	}
	ndm_device_hold(dev);
	state_restore(dev, &f->device);
	err = start(dev, &f->device, s->ndmd->opt.read_only, &why);
	if (err) {
		complain(s, f->file, why.len ? why.text : strerror(-err));
		ndm_device_remove(dev, false, NULL);
	} else if (f->device.suspended) {
		entry_add(s, dev);		/* when all that stands on it is there */
	}
	ndm_device_put(dev);
	ndm_str_free(&why);
}

/* Those that were suspended are so again. */
static void suspend_again(struct state *s)
{
	struct entry *e;

	while ((e = s->entries)) {
		s->entries = e->next;
		ndm_device_suspend(e->device, NDM_SUSPEND_NOFLUSH | NDM_SUSPEND_NOLOCKFS);
		free(e);
	}
}

void state_load(struct ndmd *d, bool last)
{
	struct state *s = d->state;
	bool progress = true;
	struct saved *f;

	if (!s)
		return;
	if (!last) {
		state_file_names(d, d->config ? d->config : &(struct ndm_config){ 0 });
		read_folder(s);
	}
	while (s->saved && progress) {
		for (f = s->saved; f && !can_stand(s, f, true); f = f->next)
			;
		if (!f && last)			/* say why not */
			for (f = s->saved; f && !can_stand(s, f, false); f = f->next)
				;
		if (!f && last)			/* each on another: none of them can be */
			f = s->saved;
		progress = f;
		if (f) {
			make(s, f);
			saved_drop(s, f);
		}
	}
	if (last)
		suspend_again(s);
}

/* ---- begin, end ---- */

static int lock_folder(const char *path)
{
	int dir, err;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (!flock(dir, LOCK_EX | LOCK_NB))
		return dir;
	err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(dir);
	return err;
}

int state_open(struct ndmd *d, struct ndm_str *why)
{
	int dir = lock_folder(d->opt.state);

	if (dir < 0) {
		ndm_printf(why, "state folder %s: %s", d->opt.state,
			   dir == -EBUSY ? "another ndmd has it" : strerror(-dir));
		return dir;
	}
	if (!d->state) {
		d->state = calloc(1, sizeof *d->state);
		if (!d->state) {
			close(dir);
			return -ENOMEM;
		}
		d->state->ndmd = d;
		ndm_mutex_init(&d->state->lock, d->workers[0].loop);
	}
	d->state->dir = dir;
	return 0;
}

static void forget_entries(struct state *s)
{
	struct entry *e;

	while ((e = s->entries)) {
		s->entries = e->next;
		free(e->file);
		free(e);
	}
	while (s->saved)
		saved_drop(s, s->saved);
}

void state_close(struct ndmd *d)
{
	struct state *s = d->state;

	if (!s || s->dir < 0)
		return;
	state_sync(d);
	ndm_lock(&s->lock);			/* a command may be writing still */
	if (s->following)
		ndm_context_unwatch(d->context, &s->watch);
	s->following = false;
	forget_entries(s);
	close(s->dir);
	s->dir = -1;
	ndm_unlock(&s->lock);
}

void state_free(struct ndmd *d)
{
	if (!d->state)
		return;
	forget_entries(d->state);
	forget_theirs(d->state);
	free(d->state);
	d->state = NULL;
}
