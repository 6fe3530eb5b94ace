/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-list.c - what there is: DM_LIST_DEVICES, DM_LIST_VERSIONS, DM_GET_TARGET_VERSION.
 *
 * Entries are padded to 8 bytes and chained by offsets from one to the next.  An answer that
 * does not fit sets DM_BUFFER_FULL_FLAG and leaves data_size at the header, as the kernel does;
 * the caller comes again with a larger buffer.
 */
#include <errno.h>
#include <string.h>

#include "server/control-call.h"

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* name and uuid of the request, where given, select by their beginnings */
static bool is_wanted(const struct ndm_device_info *info, const struct dm_ioctl *dmi)
{
	return has_prefix(info->name, dmi->name) && has_prefix(info->uuid, dmi->uuid);
}

/* Bytes of one device's entry: dm_name_list, then {event_nr, flags}, then the uuid if asked for. */
static size_t device_entry_bytes(const struct ndm_device_info *info, bool with_uuid)
{
	size_t bytes = dm_align(offsetof(struct dm_name_list, name) + strlen(info->name) + 1) +
		       dm_align(2 * sizeof(uint32_t));

	if (with_uuid && *info->uuid)
		bytes += dm_align(strlen(info->uuid) + 1);
	return bytes;
}

static void put_device(uint8_t *at, const struct ndm_device_info *info, bool with_uuid)
{
	struct dm_name_list *entry = (struct dm_name_list *)at;
	size_t tail = dm_align(offsetof(struct dm_name_list, name) + strlen(info->name) + 1);
	uint32_t words[2] = { info->event_nr, 0 };

	entry->dev = dm_encode_dev(NDM_MAJOR, info->minor);
	entry->next = 0;
	memcpy(entry->name, info->name, strlen(info->name) + 1);
	if (with_uuid)
		words[1] = *info->uuid ? DM_NAME_LIST_FLAG_HAS_UUID
				       : DM_NAME_LIST_FLAG_DOESNT_HAVE_UUID;
	memcpy(at + tail, words, sizeof(words));
	if (with_uuid && *info->uuid)
		memcpy(at + tail + sizeof(words), info->uuid, strlen(info->uuid) + 1);
}

int dm_list_devices(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	bool with_uuid = dmi->flags & DM_UUID_FLAG;
	struct dm_name_list *last = NULL;
	struct ndm_device_info info;
	size_t room, needed = 0;
	struct ndm_device *dev;
	uint8_t *at;

	for (dev = ndm_device_first(call->ctx); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		if (is_wanted(&info, dmi))
			needed += device_entry_bytes(&info, with_uuid);
	}
	at = dm_result_buffer(dmi, size, &room);
	if (room < needed || room < sizeof(last->dev)) {
		dmi->flags |= DM_BUFFER_FULL_FLAG;
		return 0;
	}
	dmi->data_size = dmi->data_start + (uint32_t)needed;
	/* dev 0 in the first entry means an empty list, and is there though data_size ends before */
	memset(at, 0, needed > sizeof(last->dev) ? needed : sizeof(last->dev));
	if (!needed)
		call->answered = dmi->data_start + sizeof(last->dev);
	for (dev = ndm_device_first(call->ctx); dev; dev = ndm_device_next(dev)) {
		ndm_device_info(dev, &info);
		if (!is_wanted(&info, dmi))
			continue;
		if (last)
			last->next = (uint32_t)(at - (uint8_t *)last);
		put_device(at, &info, with_uuid);
		last = (struct dm_name_list *)at;
		at += device_entry_bytes(&info, with_uuid);
	}
	return 0;
}

/* The kernel reserves the padding in full for each entry, so that is what data_size says. */
static size_t version_entry_bytes(const struct ndm_target_type *type)
{
	return sizeof(struct dm_target_versions) + strlen(type->name) + 1 + 7;
}

static struct dm_target_versions *put_version(uint8_t *at, const struct ndm_target_type *type)
{
	struct dm_target_versions *entry = (struct dm_target_versions *)at;

	entry->next = 0;
	for (unsigned i = 0; i < 3; i++)
		entry->version[i] = type->version[i];
	memcpy(entry->name, type->name, strlen(type->name) + 1);
	return entry;
}

/* only: this type and no other; NULL: all */
static int list_versions(struct dm_ioctl *dmi, size_t size, const struct ndm_target_type *only)
{
	const struct ndm_target_type *const *types = ndm_target_types();
	struct dm_target_versions *last = NULL;
	size_t room, needed = 0;
	uint8_t *at;

	for (unsigned i = 0; types[i]; i++)
		if (!only || types[i] == only)
			needed += version_entry_bytes(types[i]);
	at = dm_result_buffer(dmi, size, &room);
	if (room < needed) {
		dmi->flags |= DM_BUFFER_FULL_FLAG;
		return 0;
	}
	dmi->data_size = dmi->data_start + (uint32_t)needed;
	memset(at, 0, needed);
	for (unsigned i = 0; types[i]; i++) {
		if (only && types[i] != only)
			continue;
		if (last)
			last->next = (uint32_t)(at - (uint8_t *)last);
		last = put_version(at, types[i]);
		at += dm_align(sizeof(*last) + strlen(types[i]->name) + 1);
	}
	return 0;
}

int dm_list_versions(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	(void)call;
	return list_versions(dmi, size, NULL);
}

int dm_get_target_version(struct control_call *call, struct dm_ioctl *dmi, size_t size)
{
	const struct ndm_target_type *type = ndm_target_type_find(dmi->name);

	if (!type) {
		ndm_printf(&call->why, "there is no target type \"%s\"", dmi->name);
		return -EINVAL;
	}
	return list_versions(dmi, size, type);
}
