/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-call.h - one command on the management socket, shared by the control-*.c files.
 *
 * A call is filled in by control.c on the thread of the socket, carried out by control_execute()
 * in a task on the first loop, and given back to control.c when the task ends.  Nothing in a
 * call is looked at by two sides at once, except `cancelled`.
 */
#ifndef NDM_SERVER_CONTROL_CALL_H
#define NDM_SERVER_CONTROL_CALL_H

#include <linux/dm-ioctl.h>

#include <ndm.h>
#include <ndm-control.h>

#include "server/control.h"

struct control_call {
	struct ndm_context *ctx;
	const struct control_host *host;

	uint32_t command;
	/* request in, answer out; `length` bytes, and one NUL more for the texts */
	uint8_t *body;
	size_t length;
	size_t answered;		/* ioctls: bytes of body that are the answer */
	struct ndm_str text;		/* own commands: the answer */

	const char *last_reason;	/* NDM_CTL_REASON: why the command before this one failed */
	struct ndm_str why;		/* why this one does; becomes the next last_reason */

	/* DM_DEV_WAIT: set when the connection is gone; waiting is the device that it waits for */
	bool cancelled;
	struct ndm_device *waiting;
	/* DM_DEV_ARM_POLL was given: tell the client of the next event */
	bool arm;
};

/* Carries the call out; 0 or a positive errno, as the wire wants it. */
uint32_t control_execute(struct control_call *) ndm_waits;

/* control-own.c: commands from NDM_CTL_OWN on; 0 or -errno */
int control_own(struct control_call *) ndm_waits;

/* control-dm.c: the ioctls.  A device found is held: ndm_device_put() when done with it. */
struct ndm_device *dm_find(struct control_call *, struct dm_ioctl *);
void dm_answer_status(struct ndm_device *, struct dm_ioctl *);
/* where the answer's payload goes, and how much fits: as the kernel places it */
uint8_t *dm_result_buffer(struct dm_ioctl *, size_t size, size_t *room);
uint64_t dm_encode_dev(uint32_t major, uint32_t minor);
bool dm_text_ends(const struct dm_ioctl *, size_t size, size_t start);

static inline size_t dm_align(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/*
 * One function for each command: `size` is the length of the caller's buffer, which is where
 * the answer goes; dmi->data_size is set to what of it is the answer.  0 or -errno.
 */
typedef int dm_command(struct control_call *, struct dm_ioctl *dmi, size_t size);

/* control-device.c */
dm_command dm_remove_all, dm_dev_create, dm_dev_remove, dm_dev_rename, dm_dev_suspend,
	dm_dev_status, dm_dev_wait, dm_dev_set_geometry, dm_dev_arm_poll, dm_target_message;
/* control-table.c */
dm_command dm_table_load, dm_table_clear, dm_table_deps, dm_table_status;
void dm_retrieve_status(struct ndm_device *, struct dm_ioctl *, size_t size) ndm_waits;
/* control-list.c */
dm_command dm_list_devices, dm_list_versions, dm_get_target_version;

#endif
