/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz-lvm.c - labels, metadata areas and the text of LVM2, as `ndm open` reads them. */
#include <stdlib.h>
#include <string.h>

#include "client/open/lvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void walk(const struct lvm_node *node)
{
	for (; node; node = node->next) {
		lvm_text(node, "id");
		lvm_number(node, "seqno", 0);
		lvm_has(node, "status", "VISIBLE");
		walk(node->first);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct lvm_area area = { 4096, 1 << 20 };
	struct lvm_where where;
	struct lvm_label label;
	struct lvm_node *text;
	const char *why = NULL;
	uint8_t sector[2048] = { 0 };
	uint32_t sum;

	memcpy(sector, data, bytes < sizeof(sector) ? bytes : sizeof(sector));
	lvm_label_read(sector, sizeof(sector), &label);
	lvm_area_read(sector, &area, &where);
	sum = lvm_checksum(sector + 20, 512 - 20);	/* and once with checksums that are right */
	memcpy(sector + 16, &sum, 4);
	memcpy(sector, "LABELONE", 8);
	memset(sector + 8, 0, 8);
	memcpy(sector + 24, "LVM2 001", 8);
	sum = lvm_checksum(sector + 20, 512 - 20);
	memcpy(sector + 16, &sum, 4);
	lvm_label_read(sector, sizeof(sector), &label);
	text = lvm_parse((const char *)data, bytes, &why);
	walk(text);
	if (!text && !why)
		abort();
	lvm_free(text);
	return 0;
}
