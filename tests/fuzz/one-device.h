/* SPDX-License-Identifier: BSD-2-Clause */
/* one-device.h - disks of memory, one device on them, one task that uses it; for fuzzers. */
#ifndef NDM_TESTS_ONE_DEVICE_H
#define NDM_TESTS_ONE_DEVICE_H

#include <ndm.h>

struct one_disk {			/* `one:NAME` in tables */
	const char *name;
	uint8_t *bytes;
	uint64_t nr;
};

/* Makes the device if its table is taken, calls use() with it, suspends, resumes, removes it. */
void one_device(const struct one_disk *disks, unsigned n, const char *table, bool read_only,
		void (*use)(struct ndm_store *));

#endif
