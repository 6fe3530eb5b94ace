/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-dm.c - what the kernel does around each dm ioctl: version, sizes, flags, finding the
 * device, and the dispatch to control-device.c, control-table.c and control-list.c.
 *
 * A request's buffer is the answer's buffer, as with the ioctl.  Order of the checks and the
 * errno of each are those of Linux 6.12 (version 4.48.0 of the interface).
 */
#include <errno.h>
#include <string.h>

#include "server/control-call.h"

/* The least a caller must give: struct dm_ioctl without its padding. */
#define DM_HEADER_BYTES offsetof(struct dm_ioctl, data)
/* DM_MAX_TARGETS * DM_MAX_TARGET_PARAMS of the kernel */
#define DM_MAX_DATA_BYTES (1048576u * 1024u)

enum { NO_PAYLOAD = 1 }; /* neither reads nor writes more than the header */

static const struct {
	dm_command *fn;
	unsigned flags;
} commands[] = {
	[DM_REMOVE_ALL_CMD] = { dm_remove_all, NO_PAYLOAD },
	[DM_LIST_DEVICES_CMD] = { dm_list_devices, 0 },
	[DM_DEV_CREATE_CMD] = { dm_dev_create, NO_PAYLOAD },
	[DM_DEV_REMOVE_CMD] = { dm_dev_remove, NO_PAYLOAD },
	[DM_DEV_RENAME_CMD] = { dm_dev_rename, 0 },
	[DM_DEV_SUSPEND_CMD] = { dm_dev_suspend, NO_PAYLOAD },
	[DM_DEV_STATUS_CMD] = { dm_dev_status, NO_PAYLOAD },
	[DM_DEV_WAIT_CMD] = { dm_dev_wait, 0 },
	[DM_TABLE_LOAD_CMD] = { dm_table_load, 0 },
	[DM_TABLE_CLEAR_CMD] = { dm_table_clear, NO_PAYLOAD },
	[DM_TABLE_DEPS_CMD] = { dm_table_deps, 0 },
	[DM_TABLE_STATUS_CMD] = { dm_table_status, 0 },
	[DM_LIST_VERSIONS_CMD] = { dm_list_versions, 0 },
	[DM_TARGET_MSG_CMD] = { dm_target_message, 0 },
	[DM_DEV_SET_GEOMETRY_CMD] = { dm_dev_set_geometry, 0 },
	[DM_DEV_ARM_POLL_CMD] = { dm_dev_arm_poll, NO_PAYLOAD },
	[DM_GET_TARGET_VERSION_CMD] = { dm_get_target_version, 0 },
};

/* dev_t as user space sees it: 12 bits of major, 20 of minor, the minor's low byte lowest */
uint64_t dm_encode_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (uint64_t)major << 8 | (uint64_t)(minor & ~0xffu) << 12;
}

static unsigned decode_minor(uint64_t dev)
{
	return (unsigned)((dev & 0xff) | (dev >> 12 & 0xfff00));
}

static unsigned decode_major(uint64_t dev)
{
	return (unsigned)(dev >> 8 & 0xfff);
}

uint8_t *dm_result_buffer(struct dm_ioctl *dmi, size_t size, size_t *room)
{
	size_t start = dm_align(sizeof(*dmi));

	if (start > size)
		start = size;
	dmi->data_start = (uint32_t)start;
	*room = size - start;
	return (uint8_t *)dmi + start;
}

/* A text begins at start and ends, with its NUL, within the buffer. */
bool dm_text_ends(const struct dm_ioctl *dmi, size_t size, size_t start)
{
	const char *base = (const char *)dmi;

	return start >= DM_HEADER_BYTES && start < size && memchr(base + start, '\0', size - start);
}

static struct ndm_device *find_by_any(struct control_call *call, const struct dm_ioctl *dmi)
{
	if (*dmi->uuid) {
		if (*dmi->name || dmi->dev)
			return NULL;
		return ndm_device_by_uuid(call->ctx, dmi->uuid);
	}
	if (*dmi->name)
		return dmi->dev ? NULL : ndm_device_by_name(call->ctx, dmi->name);
	if (!dmi->dev || decode_major(dmi->dev) != NDM_MAJOR)
		return NULL;
	return ndm_device_by_minor(call->ctx, decode_minor(dmi->dev));
}

/* The answer always has name and uuid, whichever of them the device was named by. */
struct ndm_device *dm_find(struct control_call *call, struct dm_ioctl *dmi)
{
	struct ndm_device *dev = find_by_any(call, dmi);
	struct ndm_device_info info;

	if (!dev) {
		if (*dmi->uuid || *dmi->name)
			ndm_printf(&call->why, "there is no device %s%s",
				   *dmi->uuid ? "with uuid " : "",
				   *dmi->uuid ? dmi->uuid : dmi->name);
		else if (dmi->dev)
			ndm_printf(&call->why, "there is no device %u:%u", decode_major(dmi->dev),
				   decode_minor(dmi->dev));
		return NULL;
	}
	ndm_device_hold(dev);
	ndm_device_info(dev, &info);
	memset(dmi->name, 0, sizeof(dmi->name));
	memset(dmi->uuid, 0, sizeof(dmi->uuid));
	memcpy(dmi->name, info.name, strnlen(info.name, sizeof(dmi->name) - 1));
	memcpy(dmi->uuid, info.uuid, strnlen(info.uuid, sizeof(dmi->uuid) - 1));
	dmi->flags &= ~(uint32_t)DM_INACTIVE_PRESENT_FLAG;
	if (info.flags & NDM_DEVICE_INACTIVE)
		dmi->flags |= DM_INACTIVE_PRESENT_FLAG;
	return dev;
}

/*
 * Read-only and target count are those of the table asked for.  DM_INACTIVE_PRESENT_FLAG is
 * the business of dm_find() and of the command, as in the kernel.
 */
void dm_answer_status(struct ndm_device *dev, struct dm_ioctl *dmi)
{
	bool inactive = dmi->flags & DM_QUERY_INACTIVE_TABLE_FLAG;
	struct ndm_target_status *lines;
	struct ndm_device_info info;
	bool read_only;
	unsigned n;

	ndm_device_info(dev, &info);
	dmi->flags &= ~(uint32_t)(DM_SUSPEND_FLAG | DM_READONLY_FLAG | DM_ACTIVE_PRESENT_FLAG |
				  DM_INTERNAL_SUSPEND_FLAG);
	if (info.flags & NDM_DEVICE_SUSPENDED)
		dmi->flags |= DM_SUSPEND_FLAG;
	if (info.flags & NDM_DEVICE_INTERNAL_SUSPEND)
		dmi->flags |= DM_INTERNAL_SUSPEND_FLAG;
	if (info.flags & NDM_DEVICE_DEFERRED_REMOVE)
		dmi->flags |= DM_DEFERRED_REMOVE;
	if (info.flags & NDM_DEVICE_LIVE)
		dmi->flags |= DM_ACTIVE_PRESENT_FLAG;
	dmi->dev = dm_encode_dev(NDM_MAJOR, info.minor);
	dmi->open_count = (int32_t)info.open_count;
	dmi->event_nr = info.event_nr;
	dmi->target_count = inactive ? info.inactive_targets : info.live_targets;
	if (!inactive) {
		if ((info.flags & NDM_DEVICE_LIVE) && (info.flags & NDM_DEVICE_READ_ONLY))
			dmi->flags |= DM_READONLY_FLAG;
		return;
	}
	if (!(info.flags & NDM_DEVICE_INACTIVE))
		return;
	if (!ndm_device_status(dev, NDM_STATUS_TABLE, NDM_STATUS_NOFLUSH, true, &lines, &n,
			       &read_only)) {
		if (read_only)
			dmi->flags |= DM_READONLY_FLAG;
		ndm_target_status_free(lines, n);
	}
}

/* 4.48.0 goes back whatever the command's fate. */
static int check_version(struct control_call *call, struct dm_ioctl *dmi)
{
	int err = 0;

	if (dmi->version[0] != NDM_CTL_DM_MAJOR || dmi->version[1] > NDM_CTL_DM_MINOR) {
		ndm_printf(&call->why,
			   "the client speaks version %u.%u.%u of the interface, ndmd %u.%u.%u",
			   dmi->version[0], dmi->version[1], dmi->version[2], NDM_CTL_DM_MAJOR,
			   NDM_CTL_DM_MINOR, NDM_CTL_DM_PATCH);
		err = -EINVAL;
	}
	dmi->version[0] = NDM_CTL_DM_MAJOR;
	dmi->version[1] = NDM_CTL_DM_MINOR;
	dmi->version[2] = NDM_CTL_DM_PATCH;
	return err;
}

static int check_sizes(struct control_call *call, const struct dm_ioctl *dmi, bool no_payload)
{
	if (call->length < DM_HEADER_BYTES)
		return -EFAULT;
	if (dmi->data_size < DM_HEADER_BYTES || dmi->data_size > DM_MAX_DATA_BYTES) {
		ndm_printf(&call->why, "data_size %u is not a size of struct dm_ioctl",
			   dmi->data_size);
		return -EINVAL;
	}
	if (!no_payload && dmi->data_size > call->length) {
		ndm_printf(&call->why, "data_size %u, but the request has %zu bytes",
			   dmi->data_size, call->length);
		return -EFAULT;
	}
	return 0;
}

static int check_names(struct control_call *call, struct dm_ioctl *dmi)
{
	dmi->flags &= ~(uint32_t)(DM_BUFFER_FULL_FLAG | DM_UEVENT_GENERATED_FLAG |
				  DM_SECURE_DATA_FLAG | DM_DATA_OUT_FLAG);
	if (call->command == DM_REMOVE_ALL_CMD || call->command == DM_LIST_DEVICES_CMD ||
	    call->command == DM_LIST_VERSIONS_CMD) {
		dmi->name[DM_NAME_LEN - 1] = '\0';
		dmi->uuid[DM_UUID_LEN - 1] = '\0';
		return 0;
	}
	if (call->command == DM_DEV_CREATE_CMD) {
		if (!*dmi->name) {
			ndm_printf(&call->why, "a new device needs a name");
			return -EINVAL;
		}
	} else if (*dmi->uuid && *dmi->name) {
		ndm_printf(&call->why, "name a device by its name or by its uuid, not by both");
		return -EINVAL;
	}
	dmi->name[DM_NAME_LEN - 1] = '\0';
	dmi->uuid[DM_UUID_LEN - 1] = '\0';
	return 0;
}

/*
 * A command that fails leaves the caller's buffer as it was, but for the version; the header
 * goes back whole in either case, so that a client may always look at it.
 */
static int run_command(struct control_call *call, struct dm_ioctl *dmi)
{
	struct dm_ioctl before;
	bool no_payload = commands[call->command].flags & NO_PAYLOAD;
	size_t size;
	int err;

	err = check_sizes(call, dmi, no_payload);
	if (err)
		return err;
	memcpy(&before, dmi, DM_HEADER_BYTES);
	size = no_payload ? DM_HEADER_BYTES : dmi->data_size;
	err = check_names(call, dmi);
	if (!err) {
		dmi->data_size = DM_HEADER_BYTES;
		err = commands[call->command].fn(call, dmi, size);
	}
	/* data_size 0: nothing is copied out even though it went well */
	if (err || !dmi->data_size) {
		memcpy(dmi, &before, DM_HEADER_BYTES);
		return err;
	}
	if (dmi->data_size > call->answered)
		call->answered = dmi->data_size;
	return 0;
}

static int execute_dm(struct control_call *call)
{
	struct dm_ioctl *dmi = (struct dm_ioctl *)call->body;

	if (call->length < sizeof(dmi->version))
		return -EFAULT;
	call->answered = call->length < sizeof(*dmi) ? call->length : sizeof(*dmi);
	if (check_version(call, dmi))
		return -EINVAL;
	if (call->command == DM_VERSION_CMD)
		return 0;
	if (call->command >= sizeof(commands) / sizeof(commands[0]))
		return -ENOTTY;
	return run_command(call, dmi);
}

uint32_t control_execute(struct control_call *call)
{
	int err = call->command >= NDM_CTL_OWN ? control_own(call) : execute_dm(call);

	return (uint32_t)-err;
}
