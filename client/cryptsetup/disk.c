/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk.c - headers on files and block devices.  Image files are locked as cryptsetup locks
 * them (flock), so that two programs do not change one header at once.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct disk *disk_of(struct ndm_luks_io *io)
{
	return (struct disk *)((char *)io - offsetof(struct disk, io));
}

static int disk_read(struct ndm_luks_io *io, uint64_t offset, void *buf, size_t bytes)
{
	char *p = buf;
	ssize_t n;

	for (; bytes; bytes -= n, p += n, offset += n) {
		n = pread(disk_of(io)->fd, p, bytes, offset);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

static int disk_write(struct ndm_luks_io *io, uint64_t offset, const void *buf, size_t bytes)
{
	const char *p = buf;
	ssize_t n;

	for (; bytes; bytes -= n, p += n, offset += n) {
		n = pwrite(disk_of(io)->fd, p, bytes, offset);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
	}
	return 0;
}

static int disk_sync(struct ndm_luks_io *io)
{
	return fsync(disk_of(io)->fd) ? -errno : 0;
}

static int disk_size(struct disk *d)
{
	struct stat st;

	if (fstat(d->fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(d->fd, BLKGETSIZE64, &d->io.bytes) ? -errno : 0;
	if (!S_ISREG(st.st_mode))
		return -ENOTBLK;
	d->io.bytes = st.st_size;
	return 0;
}

int disk_open(const char *path, bool write, bool create, struct disk *d)
{
	int flags = (write ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0) | O_CLOEXEC, err;

	*d = (struct disk){ .fd = open(path, flags, 0600) };
	d->io.writable = write;
	if (d->fd < 0 && !write && errno == EACCES)
		;
	else if (d->fd < 0 && write && (errno == EACCES || errno == EROFS)) {
		say("Cannot write to device %s, permission denied.", path);
		return -EACCES;
	}
	if (d->fd < 0) {
		say("Device %s does not exist or access denied.", path);
		return -ENOTBLK;
	}
	d->path = realpath(path, NULL);
	err = d->path ? disk_size(d) : -ENOMEM;
	if (!err && flock(d->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB)) {
		err = -errno;
		if (err == -EWOULDBLOCK && !flock(d->fd, write ? LOCK_EX : LOCK_SH))
			err = 0;		/* somebody else was at it, and is done */
	}
	if (err) {
		say("Device %s cannot be used: %s.", path, strerror(-err));
		disk_close(d);
	}
	d->io.read = disk_read;
	d->io.write = disk_write;
	d->io.sync = disk_sync;
	return err;
}

void disk_close(struct disk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	*d = (struct disk){ .fd = -1 };
}

int header_open(struct cs *cs, const char *device, bool write, struct disk *d, struct ndm_luks **l)
{
	const char *where = given(cs, CS_HEADER) ? text(cs, CS_HEADER) : device;
	int err = disk_open(where, write, false, d);

	*l = NULL;
	if (err)
		return err;
	*l = ndm_luks_new(&d->io);
	err = *l ? ndm_luks_load(*l) : -ENOMEM;
	if (err == -ENXIO)
		say("Device %s is not a valid LUKS device.", where);
	else if (err && *l)
		say("Device %s is not a valid LUKS device: %s.", where, ndm_luks_why(*l));
	if (!err && ndm_luks_repaired(*l))
		say("One copy of the header of %s was damaged%s.", where,
		    write ? "; it has been written anew" : "");
	if (!err)
		return 0;
	header_close(d, *l);
	*l = NULL;
	return err == -EINVAL || err == -ENXIO ? -EINVAL : err;
}

void header_close(struct disk *d, struct ndm_luks *l)
{
	ndm_luks_free(l);
	disk_close(d);
}
