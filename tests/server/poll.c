/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll.c - a program written for the kernel: arms the control node, polls it, and asks on.
 * Run by poll.sh under contrib/preload.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>

static int dm(int fd, unsigned long command, const char *name)
{
	struct dm_ioctl dmi = { .version = { 4, 0, 0 }, .data_size = sizeof(dmi) };

	strcpy(dmi.name, name);
	return ioctl(fd, command, &dmi);
}

static int ready(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLIN);
}

static int check(int right, const char *what)
{
	if (!right)
		printf("not so: %s\n", what);
	return !right;
}

int main(void)
{
	int fd = open("/dev/mapper/control", O_RDWR), other = open("/dev/mapper/control", O_RDWR);
	int bad = check(fd >= 0 && other >= 0, "open");

	bad += check(!dm(fd, DM_DEV_ARM_POLL, ""), "armed");
	bad += check(!ready(fd, 100), "nothing has happened yet");
	bad += check(!dm(other, DM_DEV_CREATE, "polled"), "create");
	bad += check(ready(fd, 10000), "a new device wakes");
	bad += check(!dm(fd, DM_DEV_STATUS, "polled"), "the next command is answered");
	bad += check(!dm(fd, DM_DEV_ARM_POLL, ""), "armed again");
	bad += check(!ready(fd, 100), "and quiet again");
	bad += check(!dm(other, DM_DEV_REMOVE, "polled"), "remove");
	bad += check(ready(fd, 10000), "a removal wakes");
	bad += check(dm(fd, DM_DEV_STATUS, "polled") < 0, "it is gone");
	close(fd);
	close(other);
	return bad ? 1 : 0;
}
