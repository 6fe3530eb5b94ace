/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - what the parts of the "file" store share: opening and limits (file-open.c), reads,
 * writes and flushes (file.c), reads without a copy (file-lend.c), everything about space:
 * discards, zeroes, extents (file-space.c).
 */
#ifndef NDM_OS_FILE_H
#define NDM_OS_FILE_H

#include "os.h"

struct file_store {
	struct ndm_store base;
	int fd;
	bool block_device;
	bool memory;				/* tmpfs, ramfs: no call waits for a disk */
	bool direct;				/* O_DIRECT */
	bool write_inline;			/* buffered writes on the loop itself */
	bool can_nowait;			/* RWF_NOWAIT reads, until it says otherwise */
	uint32_t memory_align;			/* O_DIRECT: of buffers, bytes */

	/* learned by workers as well as on the loop */
	atomic_bool can_punch, can_zero_range, can_seek;

	int flush_error;			/* sticky: see file.c */
	bool flushing;
	struct ndm_bio *flush_now;		/* what the fdatasync under way answers for */
	struct ndm_bio *flush_head, *flush_tail;	/* submitted since: the next one's */

	/* file-lend.c */
	char *map;				/* the file, or NULL: nothing is lent */
	size_t map_bytes;
	uint8_t *regions;			/* tmpfs: what is known of each */
};

static inline struct file_store *file_of(struct ndm_store *s)
{
	return (struct file_store *)s;
}

int file_open(struct ndm_loop *, const char *spec, unsigned mode, struct ndm_store **,
	      struct ndm_str *why) ndm_waits;
void file_close(struct ndm_store *) ndm_waits;
void file_grow(struct ndm_store *) ndm_waits;

/* On a worker, when the file is open and its kind is known; before it is closed. */
void file_map(struct file_store *);
void file_unmap(struct file_store *);
/* A READ that can be had without a copy: fills bio->loan, false where it cannot. */
bool file_lend(struct file_store *, struct ndm_bio *);
/* A WRITE with a source: 0, or -errno; where nothing was taken it must come with its data. */
int file_take(struct file_store *, struct ndm_bio *);
/* these bytes may have gone */
void file_lend_no_more(struct file_store *, uint64_t offset, uint64_t bytes);

/* DISCARD, ZEROES, EXTENTS, CACHE */
void file_space(struct file_store *, struct ndm_bio *);

/* what an fdatasync or RWF_DSYNC write said; remembers what may never be forgotten */
int file_synced(struct file_store *, int result);

#endif
