/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk.c - headers on files and block devices, on NBD exports, and on mapped devices of ndmd,
 * which are NBD exports, too.  Image files are locked as cryptsetup locks them (flock), so that
 * two programs do not change one header at once.
 */
#include "client/cryptsetup/cryptsetup.h"
#include "client/export.h"

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

static int file_open(const char *path, bool write, bool create, struct disk *d)
{
	int flags = (write ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0) | O_CLOEXEC, err;

	d->fd = open(path, flags, 0600);
	if (d->fd < 0 && write && (errno == EACCES || errno == EROFS)) {
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
	if (err)
		say("Device %s cannot be used: %s.", path, strerror(-err));
	d->io.read = disk_read;
	d->io.write = disk_write;
	d->io.sync = disk_sync;
	return err;
}

/* ---- NBD ---- */

static int remote_read(struct ndm_luks_io *io, uint64_t offset, void *buf, size_t bytes)
{
	return nbdc_read(&disk_of(io)->nbd, offset, buf, bytes);
}

static int remote_write(struct ndm_luks_io *io, uint64_t offset, const void *buf, size_t bytes)
{
	return nbdc_write(&disk_of(io)->nbd, offset, buf, bytes);
}

static int remote_sync(struct ndm_luks_io *io)
{
	return nbdc_flush(&disk_of(io)->nbd);
}

static int remote_open(const char *uri, const char *name, bool write, struct disk *d)
{
	int err = nbdc_connect(&d->nbd, uri);

	if (err)
		return -ENOTBLK;
	if (write && d->nbd.read_only) {
		say("Cannot write to device %s, permission denied.", name);
		return -EACCES;
	}
	d->io = (struct ndm_luks_io){ remote_read, remote_write, remote_sync, d->nbd.bytes, write };
	d->path = strdup(name);
	return d->path ? 0 : -ENOMEM;
}

/* the name of a mapped device, or NULL */
static const char *mapped_name(struct cs *cs, const char *path)
{
	const char *name = !strncmp(path, "/dev/mapper/", 12) ? path + 12 :
			   !strncmp(path, "dev:", 4) ? path + 4 : NULL;

	return name && access(path, F_OK) && dm_exists(cs, name) ? name : NULL;
}

static int mapped_open(struct cs *cs, const char *name, const char *path, bool write, struct disk *d)
{
	struct exports exports = { 0 };
	const struct export *export;
	int err = exports_read(cs->client, &exports);
	char *uri = NULL;

	export = err ? NULL : exports_find(&exports, name);
	if (export && exports.nr_listeners)
		uri = export_uri(exports.listeners[0], export->name);
	if (!uri) {
		say("Device %s is not exported by ndmd.", path);
		err = -ENOTBLK;
	}
	err = err ? err : remote_open(uri, path, write, d);
	free(uri);
	exports_free(&exports);
	return err;
}

/* ---- all ---- */

int disk_open(struct cs *cs, const char *path, bool write, bool create, struct disk *d)
{
	const char *name = mapped_name(cs, path);
	int err;

	*d = (struct disk){ .fd = -1, .nbd = { .fd = -1 } };
	d->io.writable = write;
	if (nbdc_is_uri(path))
		err = remote_open(path, path, write, d);
	else if (name)
		err = mapped_open(cs, name, path, write, d);
	else
		err = file_open(path, write, create, d);
	if (err)
		disk_close(d);
	return err;
}

/* As a word of a table. */
char *disk_word(const struct disk *d)
{
	return text_word(d->path);
}

void disk_close(struct disk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	nbdc_close(&d->nbd);
	free(d->path);
	*d = (struct disk){ .fd = -1, .nbd = { .fd = -1 } };
}

int header_open(struct cs *cs, const char *device, bool write, struct disk *d, struct ndm_luks **l)
{
	const char *where = given(cs, CS_HEADER) ? text(cs, CS_HEADER) : device;
	int err = disk_open(cs, where, write, false, d);

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
