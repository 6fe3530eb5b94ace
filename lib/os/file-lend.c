/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file-lend.c - no copies: the file is mapped; who reads gets a pointer, and data that still
 * waits in a socket is received to where it belongs.
 *
 * Nobody may touch these bytes but the kernel (send, recv): a file that somebody makes
 * shorter takes pages away, and then a system call says EFAULT where a load would be SIGBUS.
 *
 * What is lent must be there already.  A page fault on a hole of a tmpfs file would fill the
 * hole, and one on a page that is not cached would make the loop wait for a disk.  So:
 *
 *   tmpfs        what is known to be whole, region by region, is lent without asking again; our
 *                own discards make us forget.  (A hole that somebody else punches meanwhile may
 *                be filled with zeroes again.)
 *   page cache   asked each time, so only for reads that are much dearer than the question
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define PAGE_BYTES 4096u
#define REGION_BYTES ((uint64_t)1 << 20)
#define REGION_PAGES (REGION_BYTES / PAGE_BYTES)
#define CACHED_MIN_BYTES (64u << 10)		/* worth a question to the page cache */
#define CACHED_MAX_BYTES ((uint64_t)4 << 20)
#define CACHED_MAX_PAGES (CACHED_MAX_BYTES / PAGE_BYTES + 1)

enum {						/* of a region */
	REGION_LOOK = 0,
	REGION_LOOK_LATER = 100,		/* counted down, one for each read */
	REGION_WHOLE = 255,
};

/* mincore() tells the truth only to those who could write the file. */
static bool may_ask(const struct file_store *f)
{
	struct stat st;

	if (!f->base.limits.read_only)
		return true;
	return !fstat(f->fd, &st) && (st.st_uid == geteuid() || geteuid() == 0);
}

/* Pages of a disk's file are not for writing into: the file system must know beforehand. */
static int map_protection(const struct file_store *f)
{
	return f->memory && !f->base.limits.read_only ? PROT_READ | PROT_WRITE : PROT_READ;
}

void file_map(struct file_store *f)
{
	uint64_t bytes = f->base.nr * NDM_SECTOR_BYTES;
	void *at;

	if (!bytes || f->direct || !f->write_inline || bytes > SIZE_MAX ||
	    sysconf(_SC_PAGESIZE) != PAGE_BYTES || !may_ask(f))
		return;
	at = mmap(NULL, (size_t)bytes, map_protection(f), MAP_SHARED, f->fd, 0);
	if (at == MAP_FAILED)
		return;
	if (f->memory) {
		f->regions = ndm_zalloc((size_t)((bytes + REGION_BYTES - 1) / REGION_BYTES));
		if (!f->regions) {
			munmap(at, (size_t)bytes);
			return;
		}
	}
	madvise(at, (size_t)bytes, MADV_DONTDUMP);
	f->map = at;
	f->map_bytes = (size_t)bytes;
}

void file_unmap(struct file_store *f)
{
	if (f->map)
		munmap(f->map, f->map_bytes);
	f->map = NULL;
	f->map_bytes = 0;
	ndm_free(f->regions);
}

/* Whether all pages that [offset, offset + bytes) touches are in memory; at most max of them. */
static bool resident(const struct file_store *f, uint64_t offset, uint64_t bytes,
		     unsigned char *pages, size_t max)
{
	uint64_t first = offset & ~(uint64_t)(PAGE_BYTES - 1);
	size_t i, n = (size_t)((offset + bytes - first + PAGE_BYTES - 1) / PAGE_BYTES);

	if (n > max || mincore(f->map + first, n * PAGE_BYTES, pages))
		return false;
	for (i = 0; i < n; i++)
		if (!(pages[i] & 1))
			return false;
	return true;
}

static bool region_whole(struct file_store *f, uint64_t region)
{
	unsigned char pages[REGION_PAGES], *state = &f->regions[region];
	uint64_t offset = region * REGION_BYTES, bytes = f->map_bytes - offset;

	if (*state == REGION_WHOLE)
		return true;
	if (*state != REGION_LOOK) {
		--*state;
		return false;
	}
	if (bytes > REGION_BYTES)
		bytes = REGION_BYTES;
	if (!resident(f, offset, bytes, pages, REGION_PAGES)) {
		*state = REGION_LOOK_LATER;
		return false;
	}
#ifdef MADV_POPULATE_READ
	madvise(f->map + offset, (size_t)bytes, MADV_POPULATE_READ);	/* spares the page faults */
#endif
	*state = REGION_WHOLE;
	return true;
}

static bool regions_whole(struct file_store *f, uint64_t offset, uint64_t bytes)
{
	uint64_t region, last = (offset + bytes - 1) / REGION_BYTES;

	for (region = offset / REGION_BYTES; region <= last; region++)
		if (!region_whole(f, region))
			return false;
	return true;
}

static bool cached(const struct file_store *f, uint64_t offset, uint64_t bytes)
{
	unsigned char pages[CACHED_MAX_PAGES];

	return bytes >= CACHED_MIN_BYTES && bytes <= CACHED_MAX_BYTES &&
	       resident(f, offset, bytes, pages, CACHED_MAX_PAGES);
}

/* A file may have grown since it was mapped. */
static bool in_map(const struct file_store *f, uint64_t offset, uint64_t bytes)
{
	return bytes && bytes <= f->map_bytes && offset <= f->map_bytes - bytes;
}

bool file_lend(struct file_store *f, struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;

	if (!in_map(f, offset, bytes) || !ndm_may_lend(f->base.loop))
		return false;
	if (f->memory ? !regions_whole(f, offset, bytes) : !cached(f, offset, bytes))
		return false;
	*bio->loan = (struct ndm_loan){ .at = f->map + offset, .fd = f->fd, .offset = offset };
	return true;
}

int file_take(struct file_store *f, struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;

	if (!in_map(f, offset, bytes) || !f->memory || !regions_whole(f, offset, bytes))
		return -EOPNOTSUPP;
	return bio->source->take(bio->source, f->map + offset, (size_t)bytes);
}

void file_lend_no_more(struct file_store *f, uint64_t offset, uint64_t bytes)
{
	uint64_t region;

	if (!f->regions || !bytes)
		return;
	for (region = offset / REGION_BYTES;
	     region <= (offset + bytes - 1) / REGION_BYTES &&
	     region * REGION_BYTES < f->map_bytes; region++)
		f->regions[region] = REGION_LOOK_LATER;
}
