/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-control.h - the wire format between ndmd and those who drive it.
 *
 * The protocol is the kernel's own device-mapper ABI carried over a SOCK_STREAM unix
 * socket: where a process on a kernel calls ioctl(fd, DM_xxx, struct dm_ioctl *), here it
 * sends a request frame and reads an answer frame.
 *
 *   request:  struct ndm_ctl_request, then `length` bytes
 *   answer:   struct ndm_ctl_answer,  then `length` bytes
 *
 * For command numbers below NDM_CTL_OWN the bytes are exactly the buffer that the ioctl
 * would have been given (struct dm_ioctl, then the payload at data_start); `command` is the
 * ioctl's number, _IOC_NR(DM_xxx).  The answer's bytes are what the kernel would have left
 * in that buffer, `error` is 0 or a positive errno.  A buffer that is too small for the
 * answer is reported as the kernel does it: DM_BUFFER_FULL_FLAG in flags, error 0.
 * Source of the format: <linux/dm-ioctl.h> of Linux 6.12, version 4.48.0.
 *
 * One connection carries one command at a time; answers come in order.  DM_DEV_WAIT simply
 * answers later; closing the connection ends the wait.  Numbers are in host byte order: the
 * socket never leaves the machine.
 *
 * Commands from NDM_CTL_OWN on are ndm's own.  Their bytes are text (UTF-8, no NUL unless
 * said otherwise); numbers are never reused and meanings never change.
 */
#ifndef NDM_CONTROL_H
#define NDM_CONTROL_H

#include <assert.h>
#include <stdint.h>

struct ndm_ctl_request {
	uint32_t command;
	uint32_t length;		/* bytes that follow */
};

struct ndm_ctl_answer {
	uint32_t error;			/* 0 or a positive errno */
	uint32_t length;		/* bytes that follow */
};

static_assert(sizeof(struct ndm_ctl_request) == 8, "wire format");
static_assert(sizeof(struct ndm_ctl_answer) == 8, "wire format");

/* Longest request or answer body accepted by either side, in bytes. */
#define NDM_CTL_MAX_LENGTH (64u << 20)

/* The version of struct dm_ioctl that we answer with. */
#define NDM_CTL_DM_MAJOR 4
#define NDM_CTL_DM_MINOR 48
#define NDM_CTL_DM_PATCH 0

/* The major number of mapped devices, as the kernel usually gives it. */
#define NDM_CTL_MAJOR 253

enum ndm_ctl_own {
	NDM_CTL_OWN = 0x1000,

	/* request: empty.  answer: "ndmd VERSION\n". */
	NDM_CTL_VERSION = 0x1000,

	/*
	 * Why the last command *on this connection* failed, in words; empty where there is
	 * nothing to say.  Several lines are possible; no final newline.
	 */
	NDM_CTL_REASON = 0x1001,

	/*
	 * request: empty.  answer: one line for each listener, the URI that reaches it with
	 * the export name left out, e.g. "nbd+unix:///?socket=/run/ndm/nbd.sock".
	 */
	NDM_CTL_LISTENERS = 0x1002,

	/*
	 * request: empty.  answer: one line for each NBD export:
	 * NAME TAB DEVICE TAB SIZE-IN-BYTES TAB ro|rw TAB CONNECTIONS TAB DESCRIPTION
	 */
	NDM_CTL_EXPORTS = 0x1003,

	/*
	 * request: a YAML volume definition (text), or empty for the file that ndmd was
	 * started with.  APPLY carries the plan out, PLAN only says it.  answer: the plan, a
	 * line each: "create NAME", "reload NAME", "remove NAME", "keep NAME".
	 */
	NDM_CTL_PLAN = 0x1004,
	NDM_CTL_APPLY = 0x1005,

	/*
	 * request: "NAME" or "NAME inactive".  answer: JSON text, the table and status of the
	 * device with every field named as the kernel's documentation names it.
	 */
	NDM_CTL_EXPLAIN = 0x1006,

	/*
	 * request: a target type's name, or empty for all.  answer: JSON text, the arguments
	 * of the target as its descriptor says them.
	 */
	NDM_CTL_DESCRIBE = 0x1007,

	/*
	 * request: device name.  answer: one line for each holder of the device:
	 * "device NAME" (a table uses it) or "client ADDRESS" (an NBD connection).
	 */
	NDM_CTL_HOLDERS = 0x1008,

	/*
	 * request: empty.  answer: one line for each backing device, mapped ones excepted:
	 * MAJOR:MINOR TAB TEXT-BY-WHICH-IT-WAS-NAMED
	 */
	NDM_CTL_BACKINGS = 0x1009,

	/*
	 * Read ahead has no ioctl of device-mapper (a kernel keeps it with the block device).
	 * request: "NAME", or "NAME SECTORS" to set it.  answer: the number of sectors now kept
	 * (256 at first; it has no effect but to be shown).  ENXIO: no such device; ENOENT: the
	 * device never had a table loaded, so that a kernel would have no block device yet.
	 */
	NDM_CTL_READ_AHEAD = 0x100a,

	/*
	 * request: empty.  The connection becomes that of a new ndmd which takes the place of
	 * this one, with its sockets and clients; what follows is the two servers' own affair.
	 * An answer with an error has the reason as its text.
	 */
	NDM_CTL_TAKEOVER = 0x100b,
};

/*
 * The place of poll(2) on the kernel's control node.  After DM_DEV_ARM_POLL the server sends,
 * once, an answer frame with this error and no bytes when the next thing happens to any device
 * (create, remove, rename, resume, an event), never in the midst of another answer.  Only a
 * client that has armed needs to expect it: it makes the socket readable, and is to be skipped
 * when an answer is awaited.
 */
#define NDM_CTL_EVENT 0xffffffffu

#endif
