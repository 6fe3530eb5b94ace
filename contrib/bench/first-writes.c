/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * first-writes - one write of 4 KiB to each chunk of a device, in an order without locality.
 *
 *	first-writes URI CHUNK_BYTES DEPTH
 *
 * One line of JSON: chunks, seconds, chunks per second.  Build: gcc -O2 -o first-writes
 * first-writes.c -lnbd
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libnbd.h>

#define WRITE_BYTES 4096

static void die(void)
{
	fprintf(stderr, "first-writes: %s\n", nbd_get_error());
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int ended(void *arg, int *error)
{
	unsigned *flying = arg;

	if (*error)
		die();
	--*flying;
	return 1;				/* nobody asks for it again */
}

int main(int argc, char **argv)
{
	struct nbd_handle *h = nbd_create();
	static char data[WRITE_BYTES] = "first";
	uint64_t chunk, n, i, stride;
	unsigned depth, flying = 0;
	double began;

	if (argc != 4 || !h || nbd_connect_uri(h, argv[1]) < 0)
		die();
	chunk = strtoull(argv[2], NULL, 0);
	depth = (unsigned)strtoul(argv[3], NULL, 0);
	n = (uint64_t)nbd_get_size(h) / chunk;
	stride = n * 5 / 8 | 1;			/* odd, and n a power of two: each comes once */
	began = now_s();
	for (i = 0; i < n; i++) {
		nbd_completion_callback done = { .callback = ended, .user_data = &flying };

		while (flying >= depth)
			if (nbd_poll(h, -1) < 0)
				die();
		flying++;
		if (nbd_aio_pwrite(h, data, sizeof data, i * stride % n * chunk, done, 0) < 0)
			die();
	}
	while (flying)
		if (nbd_poll(h, -1) < 0)
			die();
	printf("{\"chunks\": %" PRIu64 ", \"secs\": %.6f, \"per_s\": %.1f}\n", n, now_s() - began,
	       (double)n / (now_s() - began));
	nbd_close(h);
	return 0;
}
