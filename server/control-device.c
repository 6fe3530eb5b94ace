/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-device.c - the life of a device: create, remove, rename, suspend and resume, status,
 * waiting for events, geometry, messages.
 *
 * Kernel quirks kept: a rename finds its device by name only, and a taken new name is found
 * before a missing old one; remove and rename leave no uevent flag, because there is no udev
 * that anybody could wait for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/control-call.h"

/* Names as they are now: the list may change while one of them is being removed. */
static int collect_names(struct ndm_context *ctx, char (**names)[NDM_NAME_BYTES], unsigned *count)
{
	struct ndm_device_info info;
	struct ndm_device *dev;
	unsigned n = 0;

	for (dev = ndm_device_first(ctx); dev; dev = ndm_device_next(dev))
		n++;
	*names = calloc(n + 1, sizeof(**names));
	if (!*names)
		return -ENOMEM;
	*count = 0;
	for (dev = ndm_device_first(ctx); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		memcpy((*names)[(*count)++], info.name, NDM_NAME_BYTES);
	}
	return 0;
}

/* One sweep over all devices; removed: how many went. */
static int remove_sweep(struct control_call *call, bool deferred, unsigned *removed)
{
	char(*names)[NDM_NAME_BYTES];
	unsigned n;
	int err;

	*removed = 0;
	err = collect_names(call->ctx, &names, &n);
	if (err)
		return err;
	for (unsigned i = 0; i < n; i++) {
		struct ndm_device *dev = ndm_device_by_name(call->ctx, names[i]);
		bool later = false;

		if (!dev)
			continue;
		ndm_device_hold(dev);
		if (!ndm_device_remove(dev, deferred, &later) && !later)
			(*removed)++;
		ndm_device_put(dev);
	}
	free(names);
	return 0;
}

/* Stacks go from the top: sweep until a sweep removes nothing.  What is open stays. */
int dm_remove_all(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	unsigned removed;
	int err;

	(void)size;
	do {
		err = remove_sweep(call, dmi->flags & DM_DEFERRED_REMOVE, &removed);
	} while (!err && removed);
	dmi->data_size = 0;
	return err;
}

static int check_name(struct control_call *call, const char *name)
{
	if (strchr(name, '/')) {
		ndm_printf(&call->why, "a device name cannot contain '/'");
		return -EINVAL;
	}
	if (!strcmp(name, "control") || !strcmp(name, ".") || !strcmp(name, "..")) {
		ndm_printf(&call->why, "a device cannot be called \"%s\"", name);
		return -EINVAL;
	}
	return 0;
}

int dm_dev_create(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev;
	int minor = -1, err;

	(void)size;
	err = check_name(call, dmi->name);
	if (err)
		return err;
	if (dmi->flags & DM_PERSISTENT_DEV_FLAG) {
		minor = (int)((dmi->dev & 0xff) | (dmi->dev >> 12 & 0xfff00));
		if (ndm_device_by_minor(call->ctx, (unsigned)minor)) {
			ndm_printf(&call->why, "minor %d is in use", minor);
			return -ENXIO;
		}
	}
	if (ndm_device_by_name(call->ctx, dmi->name)) {
		ndm_printf(&call->why, "there is a device %s already", dmi->name);
		return -EBUSY;
	}
	if (*dmi->uuid && ndm_device_by_uuid(call->ctx, dmi->uuid)) {
		ndm_printf(&call->why, "there is a device with uuid %s already", dmi->uuid);
		return -EBUSY;
	}
	err = ndm_device_create(call->ctx, dmi->name, *dmi->uuid ? dmi->uuid : NULL, minor, &dev);
	if (err)
		return err;
	dmi->flags &= ~(uint32_t)DM_INACTIVE_PRESENT_FLAG;
	dm_answer_status(dev, dmi);
	return 0;
}

static void say_holders(struct control_call *call, struct ndm_device *dev)
{
	struct ndm_str holders = { 0 };

	ndm_device_holders(dev, &holders);
	while (holders.len && holders.text[holders.len - 1] == '\n')
		holders.text[--holders.len] = '\0';
	for (size_t i = 0; i < holders.len; i++)
		if (holders.text[i] == '\n')
			holders.text[i] = ',';
	if (holders.len)
		ndm_printf(&call->why, "the device is in use by %s", holders.text);
	ndm_str_free(&holders);
}

int dm_dev_remove(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);
	bool later = false;
	int err;

	(void)size;
	if (!dev)
		return -ENXIO;
	err = ndm_device_remove(dev, dmi->flags & DM_DEFERRED_REMOVE, &later);
	if (err == -EBUSY)
		say_holders(call, dev);
	if (!err && !later)
		dmi->flags &= ~(uint32_t)DM_DEFERRED_REMOVE;
	ndm_device_put(dev);
	return err;
}

static int rename_device(struct control_call *call, struct ndm_device *dev, const char *text,
			 bool uuid)
{
	struct ndm_device_info info;

	if (!uuid)
		return ndm_device_rename(dev, text);
	ndm_device_info(dev, &info);
	if (*info.uuid) {
		ndm_printf(&call->why, "the uuid of %s is set already: %s", info.name, info.uuid);
		return -EINVAL;
	}
	return ndm_device_set_uuid(dev, text);
}

int dm_dev_rename(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	const char *text = (const char *)dmi + dmi->data_start;
	bool uuid = dmi->flags & DM_UUID_FLAG;
	struct ndm_device *dev;
	int err;

	if (!dm_text_ends(dmi, size, dmi->data_start) || !*text ||
	    strlen(text) > (uuid ? DM_UUID_LEN : DM_NAME_LEN) - 1u) {
		ndm_printf(&call->why, "the new %s is empty, too long or does not end",
			   uuid ? "uuid" : "name");
		return -EINVAL;
	}
	err = uuid ? 0 : check_name(call, text);
	if (err)
		return err;
	if (uuid ? ndm_device_by_uuid(call->ctx, text) : ndm_device_by_name(call->ctx, text)) {
		ndm_printf(&call->why, "there is a device with that %s already: %s",
			   uuid ? "uuid" : "name", text);
		return -EBUSY;
	}
	dev = *dmi->name ? ndm_device_by_name(call->ctx, dmi->name) : NULL;
	if (!dev) {
		ndm_printf(&call->why, "there is no device named \"%s\"", dmi->name);
		return -ENXIO;
	}
	ndm_device_hold(dev);
	err = rename_device(call, dev, text, uuid);
	if (!err)
		dm_answer_status(dev, dmi);
	ndm_device_put(dev);
	return err;
}

static unsigned suspend_flags(const struct dm_ioctl *dmi)
{
	return (dmi->flags & DM_SKIP_LOCKFS_FLAG ? NDM_SUSPEND_NOLOCKFS : 0) |
	       (dmi->flags & DM_NOFLUSH_FLAG ? NDM_SUSPEND_NOFLUSH : 0);
}

static int do_suspend(struct ndm_device *dev, const struct dm_ioctl *dmi)
{
	struct ndm_device_info info;

	ndm_device_info(dev, &info);
	return info.flags & NDM_DEVICE_SUSPENDED ? 0 : ndm_device_suspend(dev, suspend_flags(dmi));
}

int dm_dev_suspend(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);
	int err;

	(void)size;
	if (!dev)
		return -ENXIO;
	if (dmi->flags & DM_SUSPEND_FLAG) {
		err = do_suspend(dev, dmi);
	} else {
		dmi->flags &= ~(uint32_t)DM_INACTIVE_PRESENT_FLAG;
		err = ndm_device_resume(dev, suspend_flags(dmi), &call->why);
	}
	if (!err)
		dm_answer_status(dev, dmi);
	ndm_device_put(dev);
	return err;
}

int dm_dev_status(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);

	(void)size;
	if (!dev)
		return -ENXIO;
	dm_answer_status(dev, dmi);
	ndm_device_put(dev);
	return 0;
}

/* Ends when event_nr is no longer the one given, when the device goes, or the client does. */
int dm_dev_wait(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	struct ndm_device *dev = dm_find(call, dmi);
	struct ndm_device_info info;
	int err;

	if (!dev)
		return -ENXIO;
	call->waiting = dev;
	err = ndm_device_wait(dev, dmi->event_nr, &call->cancelled);
	call->waiting = NULL;
	if (!err) {
		dm_answer_status(dev, dmi);
		ndm_device_info(dev, &info);
		if (info.flags & (dmi->flags & DM_QUERY_INACTIVE_TABLE_FLAG ? NDM_DEVICE_INACTIVE
									    : NDM_DEVICE_LIVE))
			dm_retrieve_status(dev, dmi, size);
	}
	ndm_device_put(dev);
	return err;
}

/* "cylinders heads sectors start", as sscanf("%lu %lu %lu %lu%c") takes it: nothing may follow */
static int parse_geometry(const char *text, uint64_t geometry[4])
{
	char *end;

	for (unsigned i = 0; i < 4; i++) {
		text += strspn(text, " \t\n\v\f\r");
		if (*text < '0' || *text > '9')
			return -EINVAL;
		errno = 0;
		geometry[i] = strtoull(text, &end, 10);
		if (errno)
			return -EINVAL;
		text = end;
	}
	return *text ? -EINVAL : 0;
}

int dm_dev_set_geometry(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	size_t at = dmi->data_start;
	struct ndm_device *dev = dm_find(call, dmi);
	uint64_t geometry[4];
	int err = -EINVAL;

	if (!dev)
		return -ENXIO;
	if (!dm_text_ends(dmi, size, at) || parse_geometry((const char *)dmi + at, geometry))
		ndm_printf(&call->why, "a geometry is four numbers: cylinders heads sectors start");
	else if (geometry[0] > 65535 || geometry[1] > 255 || geometry[2] > 255)
		ndm_printf(&call->why, "at most 65535 cylinders, 255 heads and 255 sectors");
	else
		err = ndm_device_set_geometry(dev, geometry);
	dmi->data_size = 0;
	ndm_device_put(dev);
	return err;
}

int dm_dev_arm_poll(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	(void)dmi;
	(void)size;
	call->arm = true;
	return 0;
}

/* The reply goes where the message was; one that fills the room to its last byte does not fit. */
static void put_reply(struct dm_ioctl *dmi, size_t size, const struct ndm_str *reply)
{
	const char *text = reply->text ? reply->text : "";
	size_t room, length = strlen(text) + 1;
	uint8_t *at = dm_result_buffer(dmi, size, &room);

	dmi->flags |= DM_DATA_OUT_FLAG;
	if (length >= room) {
		dmi->flags |= DM_BUFFER_FULL_FLAG;
		return;
	}
	memcpy(at, text, length);
	dmi->data_size = dmi->data_start + (uint32_t)length;
}

int dm_target_message(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	size_t at = dmi->data_start, room, text = at + offsetof(struct dm_target_msg, message);
	struct ndm_device *dev;
	struct ndm_str reply = { 0 };
	uint64_t sector;
	int err;

	dm_result_buffer(dmi, size, &room);
	dev = dm_find(call, dmi);
	if (!dev)
		return -ENXIO;
	if (at < offsetof(struct dm_ioctl, data) || !dm_text_ends(dmi, size, text)) {
		ndm_printf(&call->why, "the message is not within the request");
		ndm_device_put(dev);
		return -EINVAL;
	}
	memcpy(&sector, (const uint8_t *)dmi + at, sizeof(sector));
	err = ndm_device_message(dev, sector, (const char *)dmi + text, &reply, &call->why);
	if (err >= 0)
		dm_answer_status(dev, dmi);
	if (err == 1)
		put_reply(dmi, size, &reply);
	ndm_str_free(&reply);
	ndm_device_put(dev);
	return err < 0 ? err : 0;
}
