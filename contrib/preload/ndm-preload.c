/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-preload.c - unmodified users of libdevmapper on ndmd instead of the kernel.
 *
 *   LD_PRELOAD=.../libndm-preload.so NDM_CONTROL=/run/ndm/control dmsetup ls
 *
 * Opening /dev/mapper/control connects to ndmd; device-mapper ioctls on that descriptor
 * become frames.  Nodes in /dev/mapper exist for stat, open and readdir; an open one is a
 * connection to the device's NBD export (data.c).  Making, renaming and removing nodes succeeds
 * and does nothing.
 *
 * A preload library cannot be without state: which descriptors are ours is kept in `held`.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HELD_MAX 1024
#define next(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct held *held[HELD_MAX];
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;

static int hold(int fd, const struct held *what)
{
	struct held *copy;

	if (fd < 0 || fd >= HELD_MAX) {
		if (fd >= 0)
			syscall(SYS_close, fd);
		errno = EMFILE;
		return -1;
	}
	copy = malloc(sizeof(*copy));
	if (!copy) {
		syscall(SYS_close, fd);
		errno = ENOMEM;
		return -1;
	}
	*copy = *what;
	pthread_mutex_lock(&held_lock);
	free(held[fd]);
	held[fd] = copy;
	pthread_mutex_unlock(&held_lock);
	return fd;
}

int held_get(int fd, struct held *what)
{
	int found = 0;

	if (fd < 0 || fd >= HELD_MAX)
		return 0;
	pthread_mutex_lock(&held_lock);
	if (held[fd]) {
		*what = *held[fd];
		found = 1;
	}
	pthread_mutex_unlock(&held_lock);
	return found;
}

void held_move(int fd, uint64_t position)
{
	pthread_mutex_lock(&held_lock);
	if (held[fd])
		held[fd]->position = position;
	pthread_mutex_unlock(&held_lock);
}

static void let_go(int fd)
{
	if (fd < 0 || fd >= HELD_MAX)
		return;
	pthread_mutex_lock(&held_lock);
	free(held[fd]);
	held[fd] = NULL;
	pthread_mutex_unlock(&held_lock);
}

/* Is this descriptor ours, and where does it lead? */
static int is_held(int fd, struct spot *spot)
{
	struct held what;

	if (!held_get(fd, &what))
		return 0;
	*spot = what.spot;
	return 1;
}

static int failed(int err)
{
	errno = -err;
	return -1;
}

/* -- opening ---------------------------------------------------------------------- */

static int open_text(const struct spot *spot, int flags)
{
	int fd = memfd_create("ndm", MFD_CLOEXEC);
	char *text = NULL;

	if (fd < 0)
		return -1;
	if ((flags & O_ACCMODE) != O_WRONLY) {
		text = spot_content(spot);
		if (!text || pwrite(fd, text, strlen(text), 0) < 0) {
			int saved = errno;

			free(text);
			syscall(SYS_close, fd);
			errno = saved;
			return -1;
		}
		free(text);
	}
	return hold(fd, &(struct held){ .spot = *spot });
}

/*
 * A node: a device without any table yet has none; one without a live table, or that is not
 * exported, is empty.
 */
static int open_node(const struct spot *spot, int flags)
{
	struct held what = { .spot = *spot };
	unsigned sectors, nbd_flags;
	struct dm_ioctl dmi;
	int fd, err;

	err = talk_read_ahead(spot, NULL, &sectors);
	if (!err)
		err = talk_status(spot, &dmi);
	if (err)
		return failed(err == -ENXIO ? -ENOENT : err);
	/* Who only wants to ask something (O_PATH-like opens of libdevmapper) reads nothing, so
	 * it costs no more than the connection. */
	fd = nbd_connect(dmi.name, &what.bytes, &nbd_flags);
	if (fd >= 0 && nbd_flags & 2 && (flags & O_ACCMODE) != O_RDONLY) {
		syscall(SYS_close, fd);
		return failed(-EROFS);
	}
	what.has_data = fd >= 0;
	if (fd < 0)
		fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
	return hold(fd, &what);
}

static int open_spot(const struct spot *spot, int flags)
{
	int fd;

	switch (spot->place) {
	case PLACE_CONTROL:
		fd = talk_connect();
		return fd < 0 ? failed(fd == -ENOENT || fd == -ECONNREFUSED ? -ENODEV : fd) :
			hold(fd, &(struct held){ .spot = *spot });
	case PLACE_NODE:
		return open_node(spot, flags);
	case PLACE_DIR:
	case PLACE_SYS_DEVICE:
		return failed(-EISDIR);
	default:
		return open_text(spot, flags);
	}
}

#define DEFINE_OPEN(name)						\
int name(const char *path, int flags, ...)				\
{									\
	struct spot spot;						\
	mode_t mode = 0;						\
	va_list ap;							\
									\
	va_start(ap, flags);						\
	if (flags & (O_CREAT | __O_TMPFILE))				\
		mode = (mode_t)va_arg(ap, int);				\
	va_end(ap);							\
	spot_parse(path, &spot);					\
	return spot.place == PLACE_OTHER ? next(name)(path, flags, mode) : \
		open_spot(&spot, flags);				\
}

DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name)						\
int name(int dir, const char *path, int flags, ...)			\
{									\
	struct spot spot;						\
	mode_t mode = 0;						\
	va_list ap;							\
									\
	va_start(ap, flags);						\
	if (flags & (O_CREAT | __O_TMPFILE))				\
		mode = (mode_t)va_arg(ap, int);				\
	va_end(ap);							\
	spot_parse(path, &spot);					\
	return spot.place == PLACE_OTHER ? next(name)(dir, path, flags, mode) : \
		open_spot(&spot, flags);				\
}

DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

/* What _FORTIFY_SOURCE makes of open without a mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __open64_2(const char *path, int flags)
{
	return open64(path, flags);
}

static FILE *fopen_spot(const struct spot *spot, const char *mode)
{
	FILE *file;
	int fd = open_spot(spot, strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY);

	if (fd < 0)
		return NULL;
	file = spot->place == PLACE_NODE ? data_stream(fd, mode) : fdopen(fd, mode);
	if (!file)
		close(fd);
	return file;
}

FILE *fopen(const char *path, const char *mode)
{
	struct spot spot;

	spot_parse(path, &spot);
	return spot.place == PLACE_OTHER ? next(fopen)(path, mode) : fopen_spot(&spot, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	struct spot spot;

	spot_parse(path, &spot);
	return spot.place == PLACE_OTHER ? next(fopen64)(path, mode) : fopen_spot(&spot, mode);
}

/* A number written to read_ahead_kb takes effect when the file is closed. */
static void set_read_ahead(int fd, const struct spot *spot)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	unsigned sectors, ignored;

	if (n <= 0 || spot->place != PLACE_SYS_READ_AHEAD)
		return;
	text[n] = '\0';
	sectors = (unsigned)strtoul(text, NULL, 10) / 4 * 8;	/* whole pages, as the kernel */
	talk_read_ahead(spot, &sectors, &ignored);
}

int close(int fd)
{
	struct spot spot;

	if (is_held(fd, &spot)) {
		let_go(fd);
		if (spot.place == PLACE_SYS_READ_AHEAD)
			set_read_ahead(fd, &spot);
	}
	return next(close)(fd);
}

/*
 * A copy of a descriptor of ours is one, too.  Positions are not shared then: programs move
 * descriptors to other numbers, and close the first.
 */
static int copied(int from, int to)
{
	struct held what;

	if (to < 0)
		return to;
	let_go(to);
	return held_get(from, &what) ? hold(to, &what) : to;
}

int dup(int fd)
{
	return copied(fd, next(dup)(fd));
}

int dup2(int fd, int to)
{
	return fd == to ? next(dup2)(fd, to) : copied(fd, next(dup2)(fd, to));
}

int dup3(int fd, int to, int flags)
{
	return copied(fd, next(dup3)(fd, to, flags));
}

#define DEFINE_FCNTL(name)						\
int name(int fd, int command, ...)					\
{									\
	void *argument;							\
	va_list ap;							\
	int result;							\
									\
	va_start(ap, command);						\
	argument = va_arg(ap, void *);					\
	va_end(ap);							\
	result = next(name)(fd, command, argument);			\
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : result; \
}

DEFINE_FCNTL(fcntl)
DEFINE_FCNTL(fcntl64)

/* stdio closes its descriptor without asking us: forget it first. */
int fclose(FILE *file)
{
	if (file)
		let_go(fileno(file));
	return next(fclose)(file);
}

/* -- ioctl ------------------------------------------------------------------------ */

static int node_ioctl(const struct spot *spot, unsigned long request, void *argument)
{
	unsigned sectors, ignored;
	struct dm_ioctl dmi;
	int err;

	switch (request) {
	case BLKRAGET:
		err = talk_read_ahead(spot, NULL, &sectors);
		if (!err)
			*(long *)argument = (long)sectors;
		return err ? failed(err) : 0;
	case BLKRASET:
		sectors = (unsigned)(unsigned long)argument / 8 * 8;
		err = talk_read_ahead(spot, &sectors, &ignored);
		return err ? failed(err) : 0;
	case BLKGETSIZE64:
		*(uint64_t *)argument = talk_size(spot) * 512;
		return 0;
	case BLKGETSIZE:
		*(unsigned long *)argument = (unsigned long)talk_size(spot);
		return 0;
	case BLKSSZGET:
		*(int *)argument = 512;
		return 0;
	case BLKPBSZGET:
		*(unsigned *)argument = 512;
		return 0;
	case BLKROGET:
		err = talk_status(spot, &dmi);
		if (!err)
			*(int *)argument = !!(dmi.flags & DM_READONLY_FLAG);
		return err ? failed(err) : 0;
	case BLKFLSBUF:
		return 0;
	default:
		return failed(-ENOTTY);
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	struct spot spot;
	void *argument;
	va_list ap;
	int err;

	va_start(ap, request);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (!is_held(fd, &spot))
		return next(ioctl)(fd, request, argument);
	if (spot.place == PLACE_NODE && (request == BLKZEROOUT || request == BLKDISCARD))
		return data_range(fd, request == BLKDISCARD ? NBD_DO_TRIM : NBD_DO_ZEROES, argument);
	if (spot.place == PLACE_NODE)
		return node_ioctl(&spot, request, argument);
	if (spot.place != PLACE_CONTROL)
		return next(ioctl)(fd, request, argument);
	if (_IOC_TYPE(request) != DM_IOCTL)
		return failed(-ENOTTY);
	err = talk_ioctl(fd, (unsigned)request, argument);
	return err ? failed(err) : 0;
}

/* -- looking ---------------------------------------------------------------------- */

/* struct stat and struct stat64 are the same on every 64-bit Linux. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "64-bit files only");

static int stat_spot(const struct spot *spot, void *st)
{
	int err = spot_stat(spot, st);

	return err ? failed(err) : 0;
}

#define DEFINE_STAT(name, type)						\
int name(const char *path, struct type *st)				\
{									\
	struct spot spot;						\
									\
	spot_parse(path, &spot);					\
	return spot.place == PLACE_OTHER ? next(name)(path, st) : stat_spot(&spot, st); \
}

DEFINE_STAT(stat, stat)
DEFINE_STAT(stat64, stat64)

/* Links are the machine's, if they are there. */
#define DEFINE_LSTAT(name, type)					\
int name(const char *path, struct type *st)				\
{									\
	struct spot spot;						\
									\
	spot_parse(path, &spot);					\
	return spot.place == PLACE_OTHER || spot.link ? next(name)(path, st) : \
		stat_spot(&spot, st);					\
}

DEFINE_LSTAT(lstat, stat)
DEFINE_LSTAT(lstat64, stat64)

#define DEFINE_FSTAT(name, type)					\
int name(int fd, struct type *st)					\
{									\
	struct spot spot;						\
									\
	if (is_held(fd, &spot) && (spot.place == PLACE_CONTROL || spot.place == PLACE_NODE)) \
		return stat_spot(&spot, st);				\
	return next(name)(fd, st);					\
}

DEFINE_FSTAT(fstat, stat)
DEFINE_FSTAT(fstat64, stat64)

#define DEFINE_FSTATAT(name, type)					\
int name(int dir, const char *path, struct type *st, int flags)	\
{									\
	struct spot spot;						\
									\
	spot_parse(path, &spot);					\
	return spot.place == PLACE_OTHER || (spot.link && (flags & AT_SYMLINK_NOFOLLOW)) ? \
		next(name)(dir, path, st, flags) :			\
		stat_spot(&spot, st);					\
}

DEFINE_FSTATAT(fstatat, stat)
DEFINE_FSTATAT(fstatat64, stat64)

int access(const char *path, int mode)
{
	struct spot spot;
	struct stat st;

	spot_parse(path, &spot);
	return spot.place == PLACE_OTHER ? next(access)(path, mode) : stat_spot(&spot, &st);
}

int faccessat(int dir, const char *path, int mode, int flags)
{
	struct spot spot;
	struct stat st;

	spot_parse(path, &spot);
	return spot.place == PLACE_OTHER ? next(faccessat)(dir, path, mode, flags) :
		stat_spot(&spot, &st);
}

ssize_t readlink(const char *path, char *buffer, size_t length_bytes)
{
	struct spot spot;
	int n;

	spot_parse(path, &spot);
	if (spot.place == PLACE_OTHER || spot.link)
		return next(readlink)(path, buffer, length_bytes);
	n = spot_readlink(&spot, buffer, length_bytes);
	if (n < 0 && spot.place == PLACE_SYS_DEVICE)	/* none that we know of */
		return next(readlink)(path, buffer, length_bytes);
	return n < 0 ? failed(n) : n;
}

/* -- nodes that are not really there ------------------------------------------------ */

static int is_node(const char *path)
{
	struct spot spot;

	spot_parse(path, &spot);
	if (spot.link)
		return 0;
	return spot.place == PLACE_NODE || spot.place == PLACE_DIR || spot.place == PLACE_CONTROL;
}

int mknod(const char *path, mode_t mode, dev_t dev)
{
	return is_node(path) ? 0 : next(mknod)(path, mode, dev);
}

int mkdir(const char *path, mode_t mode)
{
	return is_node(path) ? 0 : next(mkdir)(path, mode);
}

int unlink(const char *path)
{
	return is_node(path) ? 0 : next(unlink)(path);
}

int chown(const char *path, uid_t uid, gid_t gid)
{
	return is_node(path) ? 0 : next(chown)(path, uid, gid);
}

int chmod(const char *path, mode_t mode)
{
	return is_node(path) ? 0 : next(chmod)(path, mode);
}

int rename(const char *from, const char *to)
{
	return is_node(from) && is_node(to) ? 0 : next(rename)(from, to);
}

/* -- the directory /dev/mapper ------------------------------------------------------ */

/* Begins with a mark that no DIR of the C library can begin with (a descriptor number). */
struct listing {
	int mark;
	const char *at;
	char *names;
	int dots;			/* entries before the names: ".", "..", "control" */
	union {
		struct dirent entry;
		struct dirent64 entry64;
	};
};

#define LISTING_MARK (-0x6e646d)

static struct listing *listing_of(DIR *dir)
{
	struct listing *listing = (struct listing *)dir;

	return listing && listing->mark == LISTING_MARK ? listing : NULL;
}

DIR *opendir(const char *path)
{
	struct listing *listing;
	struct spot spot;

	spot_parse(path, &spot);
	if (spot.place != PLACE_DIR)
		return next(opendir)(path);
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return NULL;
	listing->mark = LISTING_MARK;
	listing->names = spot_names();
	if (!listing->names) {
		free(listing);
		return NULL;
	}
	listing->at = listing->names;
	return (DIR *)listing;
}

static const char *listing_next(struct listing *listing)
{
	static const char *const first[] = { ".", "..", "control" };
	const char *name = listing->at;

	if (listing->dots < 3)
		return first[listing->dots++];
	if (!*name)
		return NULL;
	listing->at += strlen(name) + 1;
	return name;
}

struct dirent *readdir(DIR *dir)
{
	struct listing *listing = listing_of(dir);
	const char *name;

	if (!listing)
		return next(readdir)(dir);
	name = listing_next(listing);
	if (!name)
		return NULL;
	snprintf(listing->entry.d_name, sizeof(listing->entry.d_name), "%s", name);
	listing->entry.d_type = DT_UNKNOWN;
	listing->entry.d_ino = 1;
	return &listing->entry;
}

struct dirent64 *readdir64(DIR *dir)
{
	struct listing *listing = listing_of(dir);
	const char *name;

	if (!listing)
		return next(readdir64)(dir);
	name = listing_next(listing);
	if (!name)
		return NULL;
	snprintf(listing->entry64.d_name, sizeof(listing->entry64.d_name), "%s", name);
	listing->entry64.d_type = DT_UNKNOWN;
	listing->entry64.d_ino = 1;
	return &listing->entry64;
}

int closedir(DIR *dir)
{
	struct listing *listing = listing_of(dir);

	if (!listing)
		return next(closedir)(dir);
	free(listing->names);
	free(listing);
	return 0;
}

/* The same at once, in the order that `compare` makes. */
static int scan(const char *path, struct dirent ***list,
		int (*wanted)(const struct dirent *), int (*compare)(const struct dirent **,
								      const struct dirent **))
{
	DIR *dir = opendir(path);
	struct dirent **found = NULL, **longer, *entry;
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (wanted && !wanted(entry))
			continue;
		longer = realloc(found, (size_t)(n + 1) * sizeof(*found));
		if (longer)
			found = longer;
		found[n] = longer ? malloc(sizeof(*entry)) : NULL;
		if (!longer || !found[n])
			break;
		*found[n++] = *entry;
	}
	closedir(dir);
	if (compare && n > 1)
		qsort(found, (size_t)n, sizeof(*found),
		      (int (*)(const void *, const void *))(void *)compare);
	*list = found;
	return n;
}

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "64-bit files only");

int scandir(const char *path, struct dirent ***list, int (*wanted)(const struct dirent *),
	    int (*compare)(const struct dirent **, const struct dirent **))
{
	struct spot spot;

	spot_parse(path, &spot);
	return spot.place == PLACE_DIR ? scan(path, list, wanted, compare) :
		next(scandir)(path, list, wanted, compare);
}

int scandir64(const char *path, struct dirent64 ***list, int (*wanted)(const struct dirent64 *),
	      int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
	struct spot spot;

	spot_parse(path, &spot);
	return spot.place == PLACE_DIR ?
		scan(path, (struct dirent ***)list, (int (*)(const struct dirent *))(void *)wanted,
		     (int (*)(const struct dirent **, const struct dirent **))(void *)compare) :
		next(scandir64)(path, list, wanted, compare);
}
