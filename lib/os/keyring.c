/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyring.c - keys of the kernel's key service, as request_key(2) finds them for this process.
 *
 * "user" keys can be read by any process that may search them; "logon" keys by none, that is
 * their purpose, so they are reported as not there.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyctl.h>

#include "os.h"

int keyring_read(struct ndm_world *world, const char *type, const char *description, void *out,
		 size_t bytes)
{
	long key = syscall(SYS_request_key, type, description, NULL, 0), n;

	if (key >= 0) {
		n = syscall(SYS_keyctl, KEYCTL_READ, key, out, bytes);
		if (n >= 0)
			return n;
	}
	switch (errno) {
	case EKEYEXPIRED:
	case EKEYREVOKED:
	case EKEYREJECTED:
	case ENOMEM:
		return -errno;
	default:			/* no right, no such key, no key service */
		return -ENOKEY;
	}
}
