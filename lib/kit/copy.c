/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.c - copying between stores, in a task: read a piece, write it, and so on.
 *
 * A piece is 512 KiB at most, as kcopyd's.  The first error ends it; what was written before
 * stays written.  Nothing is flushed: durability is for the caller to order.
 */
#include <errno.h>

#include <ndm-target.h>

#include "patient.h"

#define PIECE_SECTORS 1024u

int ndm_copy(struct ndm_store *from, uint64_t from_sector, struct ndm_store *to,
	     uint64_t to_sector, uint64_t nr)
{
	uint64_t piece = nr < PIECE_SECTORS ? nr : PIECE_SECTORS, n;
	size_t bytes = (size_t)piece * NDM_SECTOR_BYTES;
	void *buf;
	int err = 0;

	if (!nr)
		return 0;
	buf = patient_buffer(from->loop, bytes);
	if (!buf)
		return -ENOMEM;
	for (; nr && !err; nr -= n, from_sector += n, to_sector += n) {
		n = nr < piece ? nr : piece;
		err = ndm_rw(from, NDM_READ, 0, from_sector, n, buf);
		if (!err)
			err = ndm_rw(to, NDM_WRITE, 0, to_sector, n, buf);
	}
	ndm_buffer_put(from->loop, buf, bytes);
	return err;
}
