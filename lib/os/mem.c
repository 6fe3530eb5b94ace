/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.c - scratch memory: "mem:SIZE[,name=NAME]".
 *
 * One anonymous mapping without reserve: it costs what has been written.  A bit for each
 * 64 KiB chunk says whether anything was; chunks never written are read as zeroes without
 * touching the mapping, and are the holes of block status.  Discards and zeroes give whole
 * pages back.
 *
 * Memory with a name is one for all who open it within the process, on whatever loop, and
 * lives until the last of them closes it.  Hence the bits are atomic; the bytes are not:
 * who writes one sector from two loops at once gets what he asked for.
 *
 * Everything ends inline.  There is nothing to flush.
 */
#include <ctype.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "os.h"

#define CHUNK_SHIFT 16
#define CHUNK_BYTES ((uint64_t)1 << CHUNK_SHIFT)
#define PAGE_BYTES 4096u

struct os_mem {
	struct os_mem *next;			/* those with a name, under mems_lock */
	char *name;
	unsigned users;
	uint64_t bytes;
	uint64_t serial;
	char *base;
	_Atomic uint64_t *written;		/* a bit for each chunk */
};

struct mem_store {
	struct ndm_store base;
	struct os_mem *mem;
};

int os_parse_size(const char *text, size_t len, uint64_t *bytes)
{
	uint64_t n = 0, unit = 1;
	size_t i;

	for (i = 0; i < len && isdigit((unsigned char)text[i]); i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			return -ERANGE;
	if (i == 0 || len - i > 1)
		return -EINVAL;
	if (len - i == 1) {
		switch (text[i]) {
		case 's': unit = NDM_SECTOR_BYTES; break;
		case 'k': case 'K': unit = (uint64_t)1 << 10; break;
		case 'm': case 'M': unit = (uint64_t)1 << 20; break;
		case 'g': case 'G': unit = (uint64_t)1 << 30; break;
		case 't': case 'T': unit = (uint64_t)1 << 40; break;
		default: return -EINVAL;
		}
	}
	return __builtin_mul_overflow(n, unit, bytes) ? -ERANGE : 0;
}

/* ---- the written bits ---- */

static bool chunk_written(const struct os_mem *m, uint64_t chunk)
{
	uint64_t bits = atomic_load_explicit(&m->written[chunk / 64], memory_order_relaxed);

	return bits >> chunk % 64 & 1;
}

static void chunk_mark(struct os_mem *m, uint64_t chunk)
{
	if (!chunk_written(m, chunk))
		atomic_fetch_or_explicit(&m->written[chunk / 64], (uint64_t)1 << chunk % 64,
					 memory_order_relaxed);
}

static void chunk_forget(struct os_mem *m, uint64_t chunk)
{
	atomic_fetch_and_explicit(&m->written[chunk / 64], ~((uint64_t)1 << chunk % 64),
				  memory_order_relaxed);
}

/* Bytes from offset to the end of its chunk, `bytes` at most. */
static uint64_t chunk_rest(uint64_t offset, uint64_t bytes)
{
	uint64_t rest = CHUNK_BYTES - (offset & (CHUNK_BYTES - 1));

	return rest < bytes ? rest : bytes;
}

/* ---- requests; offsets in bytes ---- */

static void mem_read(struct os_mem *m, const struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	struct ndm_data data = bio->data;
	uint64_t len;

	for (; bytes; bytes -= len, offset += len) {
		len = chunk_rest(offset, bytes);
		if (chunk_written(m, offset >> CHUNK_SHIFT))
			ndm_data_to(&data, len, m->base + offset);
		else
			ndm_data_zero(&data, len);
		data = ndm_data_skip(data, len);
	}
}

/* The mapping lives as long as the store: what was written may be looked at there. */
static bool mem_lend(struct mem_store *s, const struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	uint64_t chunk;

	if (!bio->loan || !ndm_may_lend(s->base.loop))
		return false;
	for (chunk = offset >> CHUNK_SHIFT; chunk <= (offset + bytes - 1) >> CHUNK_SHIFT; chunk++)
		if (!chunk_written(s->mem, chunk))
			return false;
	*bio->loan = (struct ndm_loan){ .at = s->mem->base + offset, .fd = -1 };
	return true;
}

static int mem_write(struct os_mem *m, const struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	uint64_t chunk;

	for (chunk = offset >> CHUNK_SHIFT; chunk <= (offset + bytes - 1) >> CHUNK_SHIFT; chunk++)
		chunk_mark(m, chunk);
	if (bio->source)
		return bio->source->take(bio->source, m->base + offset, bytes);
	ndm_data_from(&bio->data, bytes, m->base + offset);
	return 0;
}

/* Whole pages go back to the kernel and read as zeroes; the ends are written. */
static void pages_drop(char *from, uint64_t bytes)
{
	uintptr_t start = (uintptr_t)from, end = start + bytes;
	uintptr_t first = (start + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
	uintptr_t last = end & ~(uintptr_t)(PAGE_BYTES - 1);

	if (first >= last || madvise((void *)first, last - first, MADV_DONTNEED)) {
		memset(from, 0, bytes);
		return;
	}
	memset(from, 0, first - start);
	memset((char *)last, 0, end - last);
}

static void mem_drop(struct os_mem *m, const struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	uint64_t len;

	for (; bytes; bytes -= len, offset += len) {
		len = chunk_rest(offset, bytes);
		if (!chunk_written(m, offset >> CHUNK_SHIFT))
			continue;
		pages_drop(m->base + offset, len);
		if (len == CHUNK_BYTES)
			chunk_forget(m, offset >> CHUNK_SHIFT);
	}
}

static void mem_zeroes(struct os_mem *m, const struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	uint64_t chunk;

	if (!(bio->flags & NDM_NOUNMAP)) {
		mem_drop(m, bio);
		return;
	}
	for (chunk = offset >> CHUNK_SHIFT; chunk <= (offset + bytes - 1) >> CHUNK_SHIFT; chunk++)
		chunk_mark(m, chunk);
	memset(m->base + offset, 0, bytes);
}

static void mem_extents(struct os_mem *m, struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	uint64_t len;

	for (; bytes; bytes -= len, offset += len) {
		len = chunk_rest(offset, bytes);
		ndm_extent_add(bio, offset / NDM_SECTOR_BYTES, len / NDM_SECTOR_BYTES,
			       chunk_written(m, offset >> CHUNK_SHIFT)
				       ? 0 : NDM_EXTENT_HOLE | NDM_EXTENT_ZERO);
	}
}

static void mem_submit(struct ndm_store *s, struct ndm_bio *bio)
{
	struct os_mem *m = ((struct mem_store *)s)->mem;
	bool change = bio->op == NDM_WRITE || bio->op == NDM_DISCARD || bio->op == NDM_ZEROES;
	int err = 0;

	if (change && s->limits.read_only) {
		ndm_end(bio, -EIO);
		return;
	}
	if (bio->nr) {
		switch ((enum ndm_op)bio->op) {
		case NDM_READ:
			if (!mem_lend((struct mem_store *)s, bio))
				mem_read(m, bio);
			break;
		case NDM_WRITE:
			err = mem_write(m, bio);
			break;
		case NDM_DISCARD:
			mem_drop(m, bio);
			break;
		case NDM_ZEROES:
			mem_zeroes(m, bio);
			break;
		case NDM_EXTENTS:
			mem_extents(m, bio);
			break;
		case NDM_FLUSH:
		case NDM_CACHE:
			break;
		}
	}
	ndm_end(bio, err);
}

/* ---- open and close ---- */

static void mem_free(struct os_mem *m)
{
	if (!m)
		return;
	if (m->base)
		munmap(m->base, m->bytes);
	ndm_free(m->written);
	ndm_free(m->name);
	ndm_free(m);
}

static struct os_mem *mem_new(struct os_world *world, uint64_t bytes, const char *name)
{
	struct os_mem *m = ndm_zalloc(sizeof *m);
	uint64_t chunks = (bytes + CHUNK_BYTES - 1) >> CHUNK_SHIFT;

	if (!m)
		return NULL;
	m->users = 1;
	m->bytes = bytes;
	m->serial = atomic_fetch_add(&world->serial, 1) + 1;
	if (name)
		m->name = ndm_strdup(name);
	if (name && !m->name)
		goto fail;
	/* first: what no address space can hold has no bits either */
	m->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		goto fail;
	}
	m->written = ndm_calloc((chunks + 63) / 64, sizeof *m->written);
	if (!m->written)
		goto fail;
	madvise(m->base, bytes, MADV_DONTDUMP);	/* a core file is about us, not about the data */
	return m;
fail:
	mem_free(m);
	return NULL;
}

/* Finds or makes the memory of that name. */
static int mem_named(struct os_world *world, uint64_t bytes, const char *name,
		     struct os_mem **out, struct ndm_str *why)
{
	struct os_mem *m;
	int err = 0;

	pthread_mutex_lock(&world->mems_lock);
	for (m = world->mems; m && strcmp(m->name, name); m = m->next)
		;
	if (m && m->bytes != bytes) {
		ndm_printf(why, "the memory named %s exists and has %llu bytes", name,
			   (unsigned long long)m->bytes);
		err = -EEXIST;
	} else if (m) {
		m->users++;
	} else {
		m = mem_new(world, bytes, name);
		err = m ? 0 : -ENOMEM;
		if (m) {
			m->next = world->mems;
			world->mems = m;
		}
	}
	pthread_mutex_unlock(&world->mems_lock);
	*out = m;
	return err;
}

static void mem_release(struct os_world *world, struct os_mem *m)
{
	struct os_mem **p;

	pthread_mutex_lock(&world->mems_lock);
	if (--m->users) {
		pthread_mutex_unlock(&world->mems_lock);
		return;
	}
	for (p = &world->mems; m->name && *p != m; p = &(*p)->next)
		;
	if (m->name)
		*p = m->next;
	pthread_mutex_unlock(&world->mems_lock);
	mem_free(m);
}

static int spec_parse(const char *spec, uint64_t *bytes, const char **name, struct ndm_str *why)
{
	const char *size = strncmp(spec, "mem:", 4) ? spec : spec + 4;
	size_t len = strcspn(size, ",");
	int err = os_parse_size(size, len, bytes);

	*name = NULL;
	if (err || !*bytes || *bytes % NDM_SECTOR_BYTES || *bytes > INT64_MAX) {
		ndm_printf(why, "mem:SIZE wants a multiple of 512 bytes, as a number that may end "
			   "in k, M, G, T or s (sectors)");
		return err ? err : -EINVAL;
	}
	if (!size[len])
		return 0;
	if (strncmp(size + len, ",name=", 6) || !size[len + 6] || strchr(size + len + 6, ',')) {
		ndm_printf(why, "after mem:SIZE only ,name=NAME may follow");
		return -EINVAL;
	}
	*name = size + len + 6;
	return 0;
}

static int mem_open(struct ndm_loop *loop, const char *spec, unsigned mode,
		    struct ndm_store **store, struct ndm_str *why)
{
	struct os_world *world = os_world(loop->world);
	struct mem_store *s;
	struct os_mem *m;
	const char *name;
	uint64_t bytes;
	int err = spec_parse(spec, &bytes, &name, why);

	if (err)
		return err;
	s = ndm_zalloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	if (name)
		err = mem_named(world, bytes, name, &m, why);
	else
		err = (m = mem_new(world, bytes, NULL)) ? 0 : -ENOMEM;
	if (err) {
		if (err == -ENOMEM)
			ndm_printf(why, "%llu bytes of address space are not to be had",
				   (unsigned long long)bytes);
		ndm_free(s);
		return err;
	}
	s->mem = m;
	s->base.loop = loop;
	s->base.nr = bytes / NDM_SECTOR_BYTES;
	s->base.identity[0] = m->serial;
	s->base.identity[1] = UINT64_MAX - 1;	/* no inode of a file, and not a block device */
	s->base.limits = (struct ndm_limits){
		.logical_block_bytes = NDM_SECTOR_BYTES,
		.physical_block_bytes = PAGE_BYTES,
		.max_discard_sectors = UINT32_MAX,
		.max_zeroes_sectors = UINT32_MAX,
		.discard_granularity_bytes = PAGE_BYTES,
		.read_only = !(mode & NDM_OPEN_WRITE),
		.fua = true,
		.fast_zeroes = true,
		.extents = true,
		.cache = true,
	};
	*store = &s->base;
	return 0;
}

static void mem_close(struct ndm_store *store)
{
	struct mem_store *s = (struct mem_store *)store;

	mem_release(os_world(store->loop->world), s->mem);
	ndm_free(s);
}

const struct ndm_store_ops mem_store_ops = {
	.scheme = "mem",
	.open = mem_open,
	.submit = mem_submit,
	.close = mem_close,
	.takes_sources = true,
};
