/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats-cost.c - N reads of 4 KiB through a device, and nothing else: contrib/bench/stats-cost
 * counts the instructions.  The world is the fuzzers': no threads, no clock, no kernel.
 *
 *	stats-cost N zero|linear
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/one-device.h"

static unsigned long reads;

static void done(struct ndm_bio *bio)
{
	if (bio->error)
		abort();
	++*(unsigned long *)bio->owner;
}

static void use(struct ndm_store *store)
{
	static uint8_t buf[4096];
	const struct iovec iov = { buf, sizeof buf };
	unsigned long ended = 0, i;

	for (i = 0; i < reads; i++) {
		struct ndm_bio bio = { .op = NDM_READ, .store = store, .sector = i % 64 * 8, .nr = 8,
				       .data = { &iov, 1, 0 }, .done = done, .owner = &ended };

		ndm_submit(&bio);
	}
	if (ended != reads)
		abort();
}

int main(int argc, char **argv)
{
	static uint8_t bytes[512 * 512];
	const struct one_disk disk = { "d", bytes, 512 };

	if (argc != 3)
		return 2;
	reads = strtoul(argv[1], NULL, 10);
	one_device(&disk, 1, !strcmp(argv[2], "zero") ? "0 512 zero" : "0 512 linear one:d 0", false, use);
	return 0;
}
