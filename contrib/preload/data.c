/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data.c - reading and writing a node: read, write, their p- and v- kin, lseek and fsync on a
 * descriptor that is a connection to an export.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define next(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t one_request = PTHREAD_MUTEX_INITIALIZER;

static ssize_t transfer(int fd, struct held *held, enum nbd_command command, uint64_t offset,
			size_t length_bytes, void *data)
{
	ssize_t n;

	pthread_mutex_lock(&one_request);
	n = nbd_transfer(fd, command, held->bytes, offset, length_bytes, data);
	pthread_mutex_unlock(&one_request);
	if (n >= 0)
		return n;
	errno = (int)-n;
	return -1;
}

/* At the descriptor's own position, which moves. */
static ssize_t stream(int fd, struct held *held, enum nbd_command command, size_t length_bytes,
		      void *data)
{
	ssize_t n = transfer(fd, held, command, held->position, length_bytes, data);

	if (n > 0)
		held_move(fd, held->position + (uint64_t)n);
	return n;
}

static int has_data(int fd, struct held *held)
{
	return held_get(fd, held) && held->has_data;
}

ssize_t read(int fd, void *data, size_t length_bytes)
{
	struct held held;

	return has_data(fd, &held) ? stream(fd, &held, NBD_DO_READ, length_bytes, data) :
		next(read)(fd, data, length_bytes);
}

ssize_t write(int fd, const void *data, size_t length_bytes)
{
	struct held held;

	return has_data(fd, &held) ? stream(fd, &held, NBD_DO_WRITE, length_bytes, (void *)data) :
		next(write)(fd, data, length_bytes);
}

#define DEFINE_PREAD(name, type)					\
ssize_t name(int fd, void *data, size_t length_bytes, type offset)	\
{									\
	struct held held;						\
									\
	return has_data(fd, &held) ?					\
		transfer(fd, &held, NBD_DO_READ, (uint64_t)offset, length_bytes, data) : \
		next(name)(fd, data, length_bytes, offset);		\
}

DEFINE_PREAD(pread, off_t)
DEFINE_PREAD(pread64, off64_t)

#define DEFINE_PWRITE(name, type)					\
ssize_t name(int fd, const void *data, size_t length_bytes, type offset) \
{									\
	struct held held;						\
									\
	return has_data(fd, &held) ?					\
		transfer(fd, &held, NBD_DO_WRITE, (uint64_t)offset, length_bytes, (void *)data) : \
		next(name)(fd, data, length_bytes, offset);		\
}

DEFINE_PWRITE(pwrite, off_t)
DEFINE_PWRITE(pwrite64, off64_t)

/* What _FORTIFY_SOURCE makes of reads into buffers of known size. */
ssize_t __read_chk(int fd, void *data, size_t length_bytes, size_t room);
ssize_t __pread_chk(int fd, void *data, size_t length_bytes, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *data, size_t length_bytes, off64_t offset, size_t room);

ssize_t __read_chk(int fd, void *data, size_t length_bytes, size_t room)
{
	return read(fd, data, length_bytes < room ? length_bytes : room);
}

ssize_t __pread_chk(int fd, void *data, size_t length_bytes, off_t offset, size_t room)
{
	return pread(fd, data, length_bytes < room ? length_bytes : room, offset);
}

ssize_t __pread64_chk(int fd, void *data, size_t length_bytes, off64_t offset, size_t room)
{
	return pread64(fd, data, length_bytes < room ? length_bytes : room, offset);
}

static ssize_t vectors(int fd, struct held *held, enum nbd_command command,
		       const struct iovec *vector, int n)
{
	ssize_t done, sum = 0;
	int i;

	for (i = 0; i < n; i++) {
		done = stream(fd, held, command, vector[i].iov_len, vector[i].iov_base);
		if (done < 0)
			return sum ? sum : done;
		sum += done;
		held->position += (uint64_t)done;
		if ((size_t)done < vector[i].iov_len)
			break;
	}
	return sum;
}

ssize_t readv(int fd, const struct iovec *vector, int n)
{
	struct held held;

	return has_data(fd, &held) ? vectors(fd, &held, NBD_DO_READ, vector, n) :
		next(readv)(fd, vector, n);
}

ssize_t writev(int fd, const struct iovec *vector, int n)
{
	struct held held;

	return has_data(fd, &held) ? vectors(fd, &held, NBD_DO_WRITE, vector, n) :
		next(writev)(fd, vector, n);
}

static int64_t seek(int fd, const struct held *held, int64_t offset, int whence)
{
	int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)held->position :
		whence == SEEK_END ? (int64_t)held->bytes : -1;

	if (base < 0 || base + offset < 0) {
		errno = EINVAL;
		return -1;
	}
	held_move(fd, (uint64_t)(base + offset));
	return base + offset;
}

off_t lseek(int fd, off_t offset, int whence)
{
	struct held held;

	return has_data(fd, &held) ? seek(fd, &held, offset, whence) :
		next(lseek)(fd, offset, whence);
}

off64_t lseek64(int fd, off64_t offset, int whence)
{
	struct held held;

	return has_data(fd, &held) ? seek(fd, &held, offset, whence) :
		next(lseek64)(fd, offset, whence);
}

int data_range(int fd, enum nbd_command command, const uint64_t range[2])
{
	struct held held;

	if (!has_data(fd, &held)) {
		errno = EBADF;			/* opened to look only */
		return -1;
	}
	if ((range[0] | range[1]) % 512 || range[0] > held.bytes || range[1] > held.bytes - range[0]) {
		errno = EINVAL;
		return -1;
	}
	return range[1] && transfer(fd, &held, command, range[0], range[1], NULL) < 0 ? -1 : 0;
}

int fsync(int fd)
{
	struct held held;

	return has_data(fd, &held) ? (int)transfer(fd, &held, NBD_DO_FLUSH, 0, 0, NULL) :
		next(fsync)(fd);
}

int fdatasync(int fd)
{
	struct held held;

	return has_data(fd, &held) ? (int)transfer(fd, &held, NBD_DO_FLUSH, 0, 0, NULL) :
		next(fdatasync)(fd);
}

/* -- stdio: it would read the connection without asking us --------------------------------- */

static int cookie_fd(const void *cookie)
{
	return (int)(intptr_t)cookie;
}

static ssize_t cookie_read(void *cookie, char *data, size_t length_bytes)
{
	return read(cookie_fd(cookie), data, length_bytes);
}

static ssize_t cookie_write(void *cookie, const char *data, size_t length_bytes)
{
	ssize_t n = write(cookie_fd(cookie), data, length_bytes);

	return n < 0 ? 0 : n;		/* 0 is how a cookie says "error" */
}

static int cookie_seek(void *cookie, off64_t *offset, int whence)
{
	*offset = lseek64(cookie_fd(cookie), *offset, whence);
	return *offset < 0 ? -1 : 0;
}

static int cookie_close(void *cookie)
{
	return close(cookie_fd(cookie));
}

/* A stream on a descriptor with data. */
void *data_stream(int fd, const char *mode)
{
	static const cookie_io_functions_t functions = {
		.read = cookie_read, .write = cookie_write, .seek = cookie_seek,
		.close = cookie_close,
	};

	return fopencookie((void *)(intptr_t)fd, mode, functions);
}

/*
 * libcryptsetup gives keys to the kernel's keyring, where ndmd could not read them.  Told that
 * there is no keyring, it puts them into the table.
 */
long syscall(long number, ...)
{
	long a[6];
	va_list ap;
	int i;

	va_start(ap, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_add_key || number == SYS_request_key || number == SYS_keyctl) {
		errno = ENOSYS;
		return -1;
	}
	return next(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
