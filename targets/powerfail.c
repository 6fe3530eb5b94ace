/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * powerfail: a disk with a volatile write cache, and a switch for its power.  Our own target.
 *
 *	powerfail <device> <offset> [<#words> <features>...]
 *
 *	seed <n>	of the dice for the first crash (1); each later crash counts one on
 *	keep <percent>	how likely an unflushed write survives whole (50)
 *	torn <percent>	how likely one of several atomic units is torn (10)
 *	atomic <n>	sectors that are never torn, a power of 2 (1)
 *	cache <n>	sectors that the cache holds (262144); more drives the oldest writes out
 *	ordered		what survives is the first so many writes; default: any of them
 *
 *	message: crash [seed <n>] [ordered|reordered] [torn|whole]
 *		 power_on, drop_unflushed
 *
 * A write ends when it is in the cache (memory).  It reaches the device by a FLUSH submitted
 * after it ended, by its own FUA, by being driven out, or by luck in a crash.  A discard is not
 * cached: it works at once, ahead of what is unflushed, which is the worst that a disk may do.
 *
 * A crash throws dice for each cached write in the order of arrival, puts what survives on the
 * device and flushes that; from then on all I/O fails until power_on.  The same requests in
 * the same order and the same seed leave the same bytes.  An orderly suspend writes everything
 * out; an end of the process without one loses all that was not flushed.
 *
 * Everything that writes to the device holds the mutex `out`.  A cached write is retired when
 * it is on the device; a sector of it is `gone` when a newer version there is durable already.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <ndm-target.h>

#include "lib/kit/patient.h"

#define PAGE_SECTORS 8
#define WRITE_SECTORS_MAX 2048		/* longer requests are split */
#define DISCARD_SECTORS_MAX 65536
#define CACHE_SECTORS 262144
#define BUCKETS_MIN 256

struct write {
	struct write *next;			/* in order of arrival */
	uint64_t seq, sector, nr;		/* sectors of the device */
	unsigned refs;				/* the list's, and of those who read it */
	void *data;
	uint8_t gone[];				/* one for each sector */
};

struct page { uint64_t nr; struct page *next; struct write *newest[PAGE_SECTORS]; };

struct policy {
	uint64_t seed;
	unsigned keep, torn;			/* percent */
	bool ordered;
};

struct powerfail {
	struct ndm_target *ti;
	struct ndm_dev *dev;
	uint64_t start, cache_max;		/* sectors */
	unsigned atomic;			/* sectors, as given */
	struct policy policy;			/* as given */
	uint64_t next_seed;
	bool off;
	struct ndm_mutex out;

	struct write *head, *tail;
	uint64_t seq, unflushed, cached;	/* last number; writes; sectors */
	struct page **buckets;
	size_t nbuckets, npages;

	uint64_t writes, flushes, fua, crashes, kept, torn, dropped;
};

struct tally { uint64_t kept, torn, dropped; };

/* ---- index: the newest cached write of each sector ---- */

static struct page **index_place(struct powerfail *pf, uint64_t nr)
{
	struct page **p = &pf->buckets[(nr * UINT64_C(0x9e3779b97f4a7c15) >> 32) %
				       pf->nbuckets];

	while (*p && (*p)->nr != nr)
		p = &(*p)->next;
	return p;
}

static struct write *index_get(struct powerfail *pf, uint64_t sector)
{
	struct page *p = *index_place(pf, sector / PAGE_SECTORS);

	return p ? p->newest[sector % PAGE_SECTORS] : NULL;
}

static bool index_any(struct powerfail *pf, uint64_t sector, uint64_t nr)
{
	uint64_t s, page = UINT64_MAX;
	struct page *p = NULL;

	if (!pf->npages)
		return false;
	for (s = sector; s < sector + nr; s++) {
		if (s / PAGE_SECTORS != page) {
			page = s / PAGE_SECTORS;
			p = *index_place(pf, page);
		}
		if (p && p->newest[s % PAGE_SECTORS])
			return true;
	}
	return false;
}

static void index_grow(struct powerfail *pf)
{
	size_t i, n = pf->nbuckets, more = n * 4;
	struct page **old = pf->buckets, *p, *next;
	struct page **buckets = ndm_calloc(more, sizeof(struct page *));

	if (!buckets)
		return;				/* slower, not wrong */
	pf->buckets = buckets;
	pf->nbuckets = more;
	for (i = 0; i < n; i++)
		for (p = old[i]; p; p = next) {
			struct page **place = index_place(pf, p->nr);

			next = p->next;
			p->next = NULL;
			*place = p;
		}
	ndm_free(old);
}

/* Makes room for the pages of these sectors; what was made stays, empty pages do no harm. */
static int index_reserve(struct powerfail *pf, uint64_t sector, uint64_t nr)
{
	uint64_t page;

	for (page = sector / PAGE_SECTORS; page <= (sector + nr - 1) / PAGE_SECTORS; page++) {
		struct page **place = index_place(pf, page);

		if (*place)
			continue;
		*place = ndm_zalloc(sizeof **place);
		if (!*place)
			return -ENOMEM;
		(*place)->nr = page;
		if (++pf->npages > 2 * pf->nbuckets)
			index_grow(pf);
	}
	return 0;
}

static void index_set(struct powerfail *pf, uint64_t sector, struct write *w)
{
	(*index_place(pf, sector / PAGE_SECTORS))->newest[sector % PAGE_SECTORS] = w;
}

/* The write is no longer the newest anywhere; pages that become empty are freed. */
static void index_forget(struct powerfail *pf, const struct write *w)
{
	uint64_t s, end = w->sector + w->nr;

	for (s = w->sector; s < end; s = (s / PAGE_SECTORS + 1) * PAGE_SECTORS) {
		struct page **place = index_place(pf, s / PAGE_SECTORS), *p = *place;
		unsigned i, used = 0;

		if (!p)
			continue;
		for (i = 0; i < PAGE_SECTORS; i++) {
			if (p->newest[i] == w)
				p->newest[i] = NULL;
			used += p->newest[i] != NULL;
		}
		if (used)
			continue;
		*place = p->next;
		ndm_free(p);
		pf->npages--;
	}
}

/* ---- cached writes ---- */

static void write_put(struct powerfail *pf, struct write *w)
{
	if (--w->refs)
		return;
	ndm_buffer_put(pf->ti->loop, w->data, w->nr * NDM_SECTOR_BYTES);
	ndm_free(w);
}

static uint64_t device_sector(const struct powerfail *pf, const struct ndm_bio *bio)
{
	return pf->start + ndm_offset(pf->ti, bio->sector);
}

/* Takes the data into the cache, as its newest write. */
static int write_cache(struct powerfail *pf, const struct ndm_bio *bio)
{
	uint64_t sector = device_sector(pf, bio), s;
	struct write *w = ndm_zalloc(sizeof *w + bio->nr);

	if (!w)
		return -ENOMEM;
	w->data = ndm_buffer_get(pf->ti->loop, bio->nr * NDM_SECTOR_BYTES);
	if (!w->data || index_reserve(pf, sector, bio->nr)) {
		if (w->data)
			ndm_buffer_put(pf->ti->loop, w->data, bio->nr * NDM_SECTOR_BYTES);
		ndm_free(w);
		return -ENOMEM;
	}
	ndm_data_from(&bio->data, bio->nr * NDM_SECTOR_BYTES, w->data);
	w->sector = sector;
	w->nr = bio->nr;
	w->seq = ++pf->seq;
	w->refs = 1;
	if (pf->head)
		pf->tail->next = w;
	else
		pf->head = w;
	pf->tail = w;
	for (s = 0; s < w->nr; s++)
		index_set(pf, sector + s, w);
	pf->unflushed++;
	pf->cached += w->nr;
	pf->writes++;
	return 0;
}

/* It leaves the cache. */
static void write_retire(struct powerfail *pf, struct write *w)
{
	struct write **p, *before = NULL;

	for (p = &pf->head; *p != w; p = &(*p)->next)
		before = *p;
	*p = w->next;
	if (pf->tail == w)
		pf->tail = before;
	pf->unflushed--;
	pf->cached -= w->nr;
	index_forget(pf, w);
	write_put(pf, w);
}

/*
 * Puts on the device what is not gone of a write, and not going to be overwritten by one of
 * those up to number `last`, which the caller is going to put there, too.
 */
static int write_out(struct powerfail *pf, struct write *w, unsigned flags, uint64_t last)
{
	uint64_t s = 0, from;
	int err = 0;

	while (!err && s < w->nr) {
		for (from = s; s < w->nr && !w->gone[s]; s++) {
			struct write *newest = last ? index_get(pf, w->sector + s) : w;

			if (newest != w && newest && newest->seq <= last)
				break;
		}
		if (s > from)
			err = ndm_rw(pf->dev->store, NDM_WRITE, flags, w->sector + from, s - from,
				     (char *)w->data + from * NDM_SECTOR_BYTES);
		else
			s++;
	}
	return err;
}

/* These sectors are superseded in all writes up to that one, itself not included. */
static void supersede(struct powerfail *pf, uint64_t sector, uint64_t nr, uint64_t below)
{
	struct write *w;

	for (w = pf->head; w && w->seq < below; w = w->next) {
		uint64_t from = w->sector > sector ? w->sector : sector;
		uint64_t to = w->sector + w->nr < sector + nr ? w->sector + w->nr : sector + nr;

		if (from < to)
			memset(w->gone + (from - w->sector), 1, to - from);
	}
}

/* All writes up to number `last` go to the device; the mutex is held. */
static int drain(struct powerfail *pf, uint64_t last)
{
	int err;

	while (pf->head && pf->head->seq <= last) {
		err = write_out(pf, pf->head, 0, last);
		if (err)
			return err;
		if (pf->off)
			return -EIO;
		write_retire(pf, pf->head);
	}
	return 0;
}

/* ---- requests ---- */

static int do_flush(struct powerfail *pf)
{
	uint64_t last = pf->seq;
	int err = -EIO;

	pf->flushes++;
	ndm_lock(&pf->out);
	if (!pf->off)
		err = drain(pf, last);
	if (!err)
		err = ndm_flush(pf->dev->store);
	ndm_unlock(&pf->out);
	return err;
}

/* A FUA write, which is in the cache already. */
static int write_through(struct powerfail *pf, struct write *w)
{
	int err = write_out(pf, w, NDM_FUA, 0);

	if (err)
		return err;
	supersede(pf, w->sector, w->nr, w->seq);
	write_retire(pf, w);
	return pf->off ? -EIO : 0;
}

static int make_room(struct powerfail *pf, uint64_t nr)
{
	int err = 0;

	while (!err && pf->head && pf->cached + nr > pf->cache_max) {
		err = write_out(pf, pf->head, 0, 0);
		if (!err)
			write_retire(pf, pf->head);
		if (pf->off)
			err = -EIO;
	}
	return err;
}

/* short: of memory, and nothing has been done. */
static int try_write(struct powerfail *pf, const struct ndm_bio *bio, bool *is_short)
{
	int err = -EIO;

	*is_short = false;
	ndm_lock(&pf->out);
	if (!pf->off)
		err = make_room(pf, bio->nr);
	if (!err) {
		err = write_cache(pf, bio);
		*is_short = err;
	}
	if (!err && bio->flags & NDM_FUA) {
		pf->fua++;
		err = write_through(pf, pf->tail);
	}
	ndm_unlock(&pf->out);
	return err;
}

/* Waits for memory without the mutex: there may be a crash meanwhile. */
static int do_write(struct powerfail *pf, const struct ndm_bio *bio)
{
	unsigned tries = 0;
	bool is_short;
	int err = try_write(pf, bio, &is_short);

	while (is_short && tries++ < PATIENT_TRIES) {
		ndm_sleep(pf->ti->loop, PATIENT_NS);
		err = try_write(pf, bio, &is_short);
	}
	return err;
}

static int do_discard(struct powerfail *pf, struct ndm_bio *bio)
{
	uint64_t sector = device_sector(pf, bio), s;
	int err = -EIO;

	ndm_lock(&pf->out);
	if (!pf->off) {
		supersede(pf, sector, bio->nr, UINT64_MAX);
		for (s = sector; pf->npages && s < sector + bio->nr; s++)
			if (index_get(pf, s))
				index_set(pf, s, NULL);
		err = ndm_forward(bio, pf->dev, sector);
	}
	ndm_unlock(&pf->out);
	return err;
}

/* The device's bytes, and over them those in the cache; both as of when the read began. */
static int do_read(struct powerfail *pf, struct ndm_bio *bio)
{
	uint64_t sector = device_sector(pf, bio), i;
	struct write **seen = patient_zalloc(pf->ti->loop, bio->nr * sizeof(struct write *));
	int err;

	if (!seen)
		return -ENOMEM;
	for (i = 0; i < bio->nr; i++) {
		seen[i] = index_get(pf, sector + i);
		if (seen[i])
			seen[i]->refs++;
	}
	err = ndm_forward(bio, pf->dev, sector);
	for (i = 0; i < bio->nr; i++) {
		struct ndm_data to;

		if (!seen[i])
			continue;
		to = ndm_data_skip(bio->data, i * NDM_SECTOR_BYTES);
		ndm_data_to(&to, NDM_SECTOR_BYTES, (char *)seen[i]->data +
			    (sector + i - seen[i]->sector) * NDM_SECTOR_BYTES);
		write_put(pf, seen[i]);
	}
	ndm_free(seen);
	return pf->off ? -EIO : err;
}

static int powerfail_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct powerfail *pf = ti->private_data;

	switch (bio->op) {
	case NDM_READ:
		return do_read(pf, bio);
	case NDM_WRITE:
		return do_write(pf, bio);
	case NDM_FLUSH:
		return do_flush(pf);
	default:
		return do_discard(pf, bio);
	}
}

static enum ndm_map powerfail_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct powerfail *pf = ti->private_data;
	bool whole = bio->op == NDM_READ || bio->op == NDM_EXTENTS || bio->op == NDM_CACHE;

	if (pf->off)
		return NDM_MAP_KILL;
	if (whole && !index_any(pf, device_sector(pf, bio), bio->nr))
		return ndm_remap(bio, pf->dev, device_sector(pf, bio));
	if (bio->op == NDM_EXTENTS)
		ndm_extent_add(bio, bio->sector, bio->nr, 0);	/* data, as far as one can say */
	if (bio->op == NDM_EXTENTS || bio->op == NDM_CACHE) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	if (bio->op == NDM_WRITE && !(bio->flags & NDM_FUA) &&
	    pf->cached + bio->nr <= pf->cache_max && !write_cache(pf, bio)) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	return NDM_MAP_WAIT;
}

/* ---- a crash ---- */

static unsigned dice(uint64_t *state, unsigned n)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ z >> 31) % n);
}

static unsigned atomic_unit(const struct powerfail *pf)
{
	unsigned block = pf->dev->store->limits.logical_block_bytes / NDM_SECTOR_BYTES;

	return block > pf->atomic ? block : pf->atomic;
}

/* Marks the lost sectors of a torn write: any of its units, or in order all behind the first few. */
static void write_tear(struct write *w, unsigned unit, uint64_t *state, bool in_order)
{
	uint64_t units = (w->sector + w->nr - 1) / unit - w->sector / unit + 1;
	uint64_t survive = in_order ? dice(state, (unsigned)units + 1) : 0;
	uint64_t s, i, of = UINT64_MAX;
	bool lost = false;

	for (s = 0; s < w->nr; s++) {
		i = (w->sector + s) / unit - w->sector / unit;
		if (i != of)
			lost = in_order ? i >= survive : dice(state, 2);
		of = i;
		w->gone[s] |= lost;
	}
}

static uint64_t live_sectors(const struct write *w)
{
	uint64_t s, n = 0;

	for (s = 0; s < w->nr; s++)
		n += !w->gone[s];
	return n;
}

/* What becomes of each write: marked in `gone`.  Counts by what happened, not by intention. */
static void fates(struct powerfail *pf, const struct policy *p, struct tally *t)
{
	unsigned unit = atomic_unit(pf);
	uint64_t state = p->seed, n = 0, cut, lost;
	struct write *w;

	cut = pf->unflushed ? dice(&state, (unsigned)pf->unflushed + 1) : 0;
	for (w = pf->head; w; w = w->next, n++) {
		bool many = (w->sector + w->nr - 1) / unit != w->sector / unit;
		bool keep = p->ordered ? n < cut : dice(&state, 100) < p->keep;
		bool tear = many && p->torn && (p->ordered ? n == cut :
						dice(&state, 100) < p->torn);

		lost = live_sectors(w);
		if (tear)
			write_tear(w, unit, &state, p->ordered);
		else if (!keep)
			memset(w->gone, 1, w->nr);
		lost -= live_sectors(w);
		if (tear ? !lost : keep)
			t->kept++;
		else if (tear && memchr(w->gone, 0, w->nr))
			t->torn++;
		else
			t->dropped++;
	}
}

static void drop_all(struct powerfail *pf)
{
	while (pf->head)
		write_retire(pf, pf->head);
}

static int crash(struct powerfail *pf, const struct policy *p, struct tally *t)
{
	struct write *w;
	int err = 0;

	pf->off = true;				/* what waits for the mutex fails when it has it */
	ndm_lock(&pf->out);
	fates(pf, p, t);
	for (w = pf->head; w && !err; w = w->next)
		err = write_out(pf, w, 0, 0);
	drop_all(pf);
	if (!err)
		err = ndm_flush(pf->dev->store);
	pf->crashes++;
	pf->kept += t->kept;
	pf->torn += t->torn;
	pf->dropped += t->dropped;
	ndm_unlock(&pf->out);
	ndm_event(pf->ti);
	return err;
}

/* ---- messages ---- */

static int crash_words(struct ndm_target *ti, unsigned argc, char **argv, struct policy *p,
		       bool *seeded)
{
	unsigned i;

	for (i = 1; i < argc; i++) {
		if (!strcasecmp(argv[i], "ordered")) {
			p->ordered = true;
		} else if (!strcasecmp(argv[i], "reordered")) {
			p->ordered = false;
		} else if (!strcasecmp(argv[i], "torn")) {
			p->torn = p->torn ? p->torn : 10;
		} else if (!strcasecmp(argv[i], "whole")) {
			p->torn = 0;
		} else if (!strcasecmp(argv[i], "seed") && i + 1 < argc) {
			if (ndm_arg_u64(argv[++i], &p->seed))
				return ndm_error(ti, -EINVAL, "'%s' is not a seed", argv[i]);
			*seeded = true;
		} else {
			return ndm_error(ti, -EINVAL, "'%s' is nothing that crash takes: "
					 "seed <n>, ordered, reordered, torn, whole", argv[i]);
		}
	}
	return 0;
}

static int message_crash(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *out)
{
	struct powerfail *pf = ti->private_data;
	struct policy p = pf->policy;
	struct tally t = { 0 };
	bool seeded = false;
	int err;

	if (pf->off)
		return ndm_error(ti, -EINVAL, "the power is off already; power_on first");
	p.seed = pf->next_seed;
	err = crash_words(ti, argc, argv, &p, &seeded);
	if (err)
		return err;
	if (!seeded)
		pf->next_seed++;
	err = crash(pf, &p, &t);
	if (err)
		return ndm_error(ti, err, "what survived could not be written");
	ndm_printf(out, "crashed: %" PRIu64 " writes since last flush; kept %" PRIu64 ", torn %"
		   PRIu64 ", dropped %" PRIu64 " (seed %" PRIu64 ")",
		   t.kept + t.torn + t.dropped, t.kept, t.torn, t.dropped, p.seed);
	return 1;
}

static int message_drop(struct ndm_target *ti, struct ndm_str *out)
{
	struct powerfail *pf = ti->private_data;
	uint64_t n;

	if (pf->off)
		return ndm_error(ti, -EINVAL, "the power is off already; power_on first");
	ndm_lock(&pf->out);
	n = pf->unflushed;
	drop_all(pf);
	pf->dropped += n;
	ndm_unlock(&pf->out);
	ndm_printf(out, "dropped: %" PRIu64 " writes since last flush", n);
	return 1;
}

static int powerfail_message(struct ndm_target *ti, unsigned argc, char **argv,
			     struct ndm_str *out)
{
	struct powerfail *pf = ti->private_data;

	if (!strcasecmp(argv[0], "crash"))
		return message_crash(ti, argc, argv, out);
	if (argc == 1 && !strcasecmp(argv[0], "drop_unflushed"))
		return message_drop(ti, out);
	if (argc == 1 && !strcasecmp(argv[0], "power_on")) {
		ndm_lock(&pf->out);		/* a crash that is under way comes first */
		pf->off = false;
		ndm_unlock(&pf->out);
		return 0;
	}
	return ndm_error(ti, -EINVAL, "unrecognised message '%s': crash, power_on or "
			 "drop_unflushed", argv[0]);
}

/* ---- the target ---- */

static int feature_percent(struct ndm_target *ti, struct ndm_args *as, const char *name,
			   unsigned *value)
{
	const char *word = ndm_args_shift(as);

	if (!word || ndm_arg_uint(word, value) || *value > 100)
		return ndm_error(ti, -EINVAL, "Invalid %s: '%s' is not a number of percent", name,
				 word ? word : "");
	return 0;
}

static int feature(struct ndm_target *ti, struct ndm_args *as)
{
	struct powerfail *pf = ti->private_data;
	const char *name = ndm_args_shift(as), *word;

	if (!strcasecmp(name, "ordered")) {
		pf->policy.ordered = true;
		return 0;
	}
	if (!strcasecmp(name, "keep"))
		return feature_percent(ti, as, "keep", &pf->policy.keep);
	if (!strcasecmp(name, "torn"))
		return feature_percent(ti, as, "torn", &pf->policy.torn);
	if (strcasecmp(name, "seed") && strcasecmp(name, "atomic") && strcasecmp(name, "cache"))
		return ndm_error(ti, -EINVAL, "Unrecognised powerfail feature requested: '%s' "
				 "(seed, keep, torn, atomic, cache, ordered)", name);
	word = ndm_args_shift(as);
	if (!word)
		return ndm_error(ti, -EINVAL, "Feature %s requires a number", name);
	if (!strcasecmp(name, "seed") && ndm_arg_u64(word, &pf->policy.seed))
		return ndm_error(ti, -EINVAL, "Invalid seed: '%s'", word);
	if (!strcasecmp(name, "atomic") &&
	    (ndm_arg_uint(word, &pf->atomic) || !pf->atomic ||
	     pf->atomic & (pf->atomic - 1) || pf->atomic > WRITE_SECTORS_MAX))
		return ndm_error(ti, -EINVAL, "Invalid atomic: '%s' is not a power of 2 from 1 to "
				 "%d sectors", word, WRITE_SECTORS_MAX);
	if (!strcasecmp(name, "cache") && (ndm_arg_u64(word, &pf->cache_max) || !pf->cache_max))
		return ndm_error(ti, -EINVAL, "Invalid cache: '%s' is not a number of sectors",
				 word);
	return 0;
}

static int features(struct ndm_target *ti, struct ndm_args *as)
{
	unsigned n = 0;
	int err = 0;

	if (as->argc)
		err = ndm_args_group(ti, as, 0, 11, "Invalid number of feature args", &n);
	if (!err && as->argc != n)
		return ndm_error(ti, -EINVAL, "Invalid number of feature args: %u are announced, "
				 "%u are there", n, as->argc);
	while (!err && as->argc)
		err = feature(ti, as);
	return err;
}

static int powerfail_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct powerfail *pf = ti->private_data;
	struct ndm_args as = { .argc = argc, .argv = argv };
	int err;

	if (argc < 2)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u, at least 2 are needed "
				 "(<device> <offset>)", argc);
	if (ndm_arg_u64(argv[1], &pf->start))
		return ndm_error(ti, -EINVAL, "Invalid device sector: argument 2 is '%s'", argv[1]);
	ndm_args_consume(&as, 2);
	pf->policy = (struct policy){ .seed = 1, .keep = 50, .torn = 10 };
	pf->atomic = 1;
	pf->cache_max = CACHE_SECTORS;
	err = features(ti, &as);
	if (err)
		return err;
	err = ndm_get_dev(ti, argv[0], pf->start, ti->nr, &pf->dev);
	if (err)
		return ndm_error(ti, err, "Device lookup failed");
	pf->ti = ti;
	pf->next_seed = pf->policy.seed;
	pf->nbuckets = BUCKETS_MIN;
	pf->buckets = ndm_calloc(pf->nbuckets, sizeof(struct page *));
	if (!pf->buckets)
		return ndm_error(ti, -ENOMEM, "Cannot allocate context");
	ndm_mutex_init(&pf->out, ti->loop);
	ti->num_flush = ti->num_discard = 1;
	ti->max_io = WRITE_SECTORS_MAX;
	ti->max_discard = DISCARD_SECTORS_MAX;
	ti->extents = true;
	return 0;
}

/* An orderly end of the table is no loss of power. */
static void powerfail_postsuspend(struct ndm_target *ti)
{
	struct powerfail *pf = ti->private_data;

	ndm_lock(&pf->out);
	if (!pf->off && pf->head && (drain(pf, pf->seq) || ndm_flush(pf->dev->store)))
		ndm_warn(ti, "%" PRIu64 " writes could not be written out", pf->unflushed);
	ndm_unlock(&pf->out);
}

static void powerfail_dtr(struct ndm_target *ti)
{
	struct powerfail *pf = ti->private_data;

	drop_all(pf);
	ndm_free(pf->buckets);
}

static void powerfail_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	(void)ti;
	l->volatile_cache = true;
}

/* ---- status ---- */

static void table_print(const struct powerfail *pf, struct ndm_str *out)
{
	const struct policy *p = &pf->policy;
	bool cache = pf->cache_max != CACHE_SECTORS;

	ndm_printf(out, "%s %" PRIu64 " %u seed %" PRIu64, pf->dev->name, pf->start,
		   2 + 2 * (p->keep != 50) + 2 * (p->torn != 10) + 2 * (pf->atomic != 1) +
		   2 * cache + p->ordered, p->seed);
	if (p->keep != 50)
		ndm_printf(out, " keep %u", p->keep);
	if (p->torn != 10)
		ndm_printf(out, " torn %u", p->torn);
	if (pf->atomic != 1)
		ndm_printf(out, " atomic %u", pf->atomic);
	if (cache)
		ndm_printf(out, " cache %" PRIu64, pf->cache_max);
	if (p->ordered)
		ndm_printf(out, " ordered");
}

static void powerfail_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			     struct ndm_str *out)
{
	struct powerfail *pf = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		table_print(pf, out);
		return;
	}
	ndm_printf(out, "%s %" PRIu64 " %" PRIu64, pf->off ? "off" : "on", pf->unflushed,
		   pf->cached);
	ndm_printf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64, pf->writes, pf->flushes, pf->fua);
	ndm_printf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, pf->crashes,
		   pf->kept, pf->torn, pf->dropped, pf->next_seed);
}

static void powerfail_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct powerfail *pf = ti->private_data;

	ndm_counter_put(out, NDM_COUNT_FAULTS, "lost", 0, pf->dropped);
	ndm_counter_put(out, NDM_COUNT_FAULTS, "torn", 0, pf->torn);
}

#define ONE_ARG(array, text, of, words) static const struct ndm_arg array[] = { \
	{ .name = text, .kind = of, .help = words }, { 0 } }
ONE_ARG(seed_args, "n", NDM_ARG_U64, "Any number.");
ONE_ARG(percent_args, "percent", NDM_ARG_U64, "0 to 100.");
ONE_ARG(sectors_args, "sectors", NDM_ARG_SECTORS, "How many.");

static const struct ndm_arg powerfail_features[] = {
	{ .name = "seed", .kind = NDM_ARG_KEYED, .sub = seed_args,
	  .help = "Seed of the first crash; each later one counts one on.  1 when left out." },
	{ .name = "keep", .kind = NDM_ARG_KEYED, .sub = percent_args,
	  .help = "How likely an unflushed write survives a crash whole.  50 when left out." },
	{ .name = "torn", .kind = NDM_ARG_KEYED, .sub = percent_args,
	  .help = "How likely one of several atomic units is torn instead.  10 when left out." },
	{ .name = "atomic", .kind = NDM_ARG_KEYED, .sub = sectors_args,
	  .help = "What is never torn, a power of 2.  One sector when left out." },
	{ .name = "cache", .kind = NDM_ARG_KEYED, .sub = sectors_args,
	  .help = "Size of the cache; more drives the oldest writes out to the device.  128 MiB "
	  "when left out." },
	{ .name = "ordered", .kind = NDM_ARG_FLAG,
	  .help = "What survives a crash is the first so many writes, not any of them." },
	{ 0 }
};

static const struct ndm_arg powerfail_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the data." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the target's first sector lies." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL,
	  .sub = powerfail_features, .help = "What a loss of power is like." },
	{ 0 }
};

static const char *const power_states[] = { "on", "off", NULL };

static const struct ndm_arg powerfail_status_fields[] = {
	{ .name = "power", .kind = NDM_ARG_WORD, .choices = power_states, .help = "The power." },
	{ .name = "unflushed", .kind = NDM_ARG_U64, .help = "Writes that are in the cache alone." },
	{ .name = "unflushed_sectors", .kind = NDM_ARG_SECTORS, .help = "How much that is." },
	{ .name = "writes", .kind = NDM_ARG_U64, .help = "Writes since the table was loaded." },
	{ .name = "flushes", .kind = NDM_ARG_U64, .help = "Flushes since then." },
	{ .name = "fua", .kind = NDM_ARG_U64, .help = "Writes with FUA since then." },
	{ .name = "crashes", .kind = NDM_ARG_U64, .help = "Losses of power since then." },
	{ .name = "kept", .kind = NDM_ARG_U64, .help = "Unflushed writes that survived them." },
	{ .name = "torn", .kind = NDM_ARG_U64, .help = "Those that survived in part." },
	{ .name = "dropped", .kind = NDM_ARG_U64, .help = "Those that were lost." },
	{ .name = "next_seed", .kind = NDM_ARG_U64, .help = "Seed of the next crash." },
	{ 0 }
};

static const struct ndm_keep powerfail_keeps[] = {
	NDM_KEEP(struct powerfail, next_seed), NDM_KEEP(struct powerfail, off),
	NDM_KEEP(struct powerfail, writes), NDM_KEEP(struct powerfail, flushes),
	NDM_KEEP(struct powerfail, fua), NDM_KEEP(struct powerfail, crashes),
	NDM_KEEP(struct powerfail, kept), NDM_KEEP(struct powerfail, torn),
	NDM_KEEP(struct powerfail, dropped), { 0 }
};

const struct ndm_target_type ndm_target_powerfail = {
	.name = "powerfail",
	.version = { 1, 0, 0 },
	.features = NDM_TARGET_OURS,
	.private_size = sizeof(struct powerfail),
	.args = powerfail_args,
	.status_fields = powerfail_status_fields,
	.summary = "A volatile write cache that loses power on demand.",
	.ctr = powerfail_ctr,
	.dtr = powerfail_dtr,
	.map = powerfail_map,
	.io = powerfail_io,
	.message = powerfail_message,
	.postsuspend = powerfail_postsuspend,
	.status = powerfail_status,
	.counters = powerfail_counters,
	.io_hints = powerfail_io_hints,
	.keeps = powerfail_keeps,
};
