/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smq.c - which blocks are worth a place in the cache.
 *
 * Three queues of 64 levels.  The hotspot queue remembers misses, in blocks larger than the
 * cache's; who rises in it far enough is promoted.  The clean and the dirty queue hold what is
 * cached: demotions take from the lower half of the clean one, writeback from the bottom of the
 * dirty one.  What is used rises by one level in a period, in exchange for another.
 *
 * Entries, in one array: sentinels of the dirty and the clean queue, two for each level; hotspot
 * blocks; one for each cblock.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "targets/cache/queue.h"
#include "targets/cache/smq.h"

#define SECOND UINT64_C(1000000000)
#define WRITEBACK_PERIOD (10 * SECOND)
#define DEMOTE_PERIOD (60 * SECOND)
#define HOTSPOT_PERIOD SECOND
#define CACHE_PERIOD (60 * SECOND)
#define FREE_PERCENT 25u			/* below it a wish to promote demotes */
#define WORK_MAX 4096u
#define WORK_BUCKETS 256u
#define SENTINELS (2 * QUEUE_LEVELS)		/* of one queue */

const uint32_t smq_version[3] = { 2, 0, 0 };

struct work {					/* that is wanted or being done */
	struct smq_work w;
	struct work *bucket_next, *next;	/* next: not yet begun */
};

struct hash { uint32_t *buckets, mask; };
struct pool { uint32_t first, n, used; struct queue_list free; };
struct assess { uint32_t hits, misses; };	/* accesses at the top quarter of levels, and others */
enum performance { POOR, FAIR, WELL };

struct smq {
	struct ndm_loop *loop;
	const struct smq_kind *kind;
	uint32_t blocks, per_hotspot, jump;
	struct queue_entry *entries;
	struct pool hot, cached;
	struct hash hot_table, table;
	uint64_t *hot_hits, *hits;		/* bits: has risen in this period */
	struct queue hotspot, clean, dirty;
	struct assess hot_stats;
	bool writeback_side, demote_side;	/* which sentinels are the newer ones */
	uint64_t next_writeback, next_demote, next_hotspot, next_cache;
	uint32_t promote_level;
	bool migrations;
	struct work *works[WORK_BUCKETS], *wanted, **wanted_last;
	uint32_t nworks, demotions;
};

/* ---- names ---- */

static const struct smq_kind kinds[] = {
	{ "smq", false, false }, { "mq", true, false }, { "cleaner", false, true },
};

const struct smq_kind *smq_kind(const char *name)
{
	unsigned i;

	if (!strcmp(name, "default"))
		name = "smq";
	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

const struct smq_kind *smq_kind_of(const struct smq *p)
{
	return p->kind;
}

static const char *const tunables[] = {
	"random_threshold", "sequential_threshold", "discard_promote_adjustment",
	"read_promote_adjustment", "write_promote_adjustment",
};

int smq_set_value(struct smq *p, const char *key, const char *value)
{
	uint64_t n;
	unsigned i;

	if (!p->kind->tunables || ndm_arg_u64_plus(value, &n))
		return -EINVAL;
	for (i = 0; i < sizeof tunables / sizeof *tunables; i++)
		if (!strcasecmp(key, tunables[i]))
			return 0;
	return -EINVAL;
}

void smq_print_values(const struct smq *p, struct ndm_str *out)
{
	unsigned i, n = sizeof tunables / sizeof *tunables;

	if (!p->kind->tunables) {
		ndm_printf(out, "0 ");
		return;
	}
	ndm_printf(out, "%u ", 2 * n);
	for (i = 0; i < n; i++)
		ndm_printf(out, "%s 0 ", tunables[i]);
}

/* ---- hash tables of entries, by oblock ---- */

static int hash_init(struct hash *h, uint32_t entries)
{
	uint32_t n = 16, i;

	while (n < entries / 4)
		n *= 2;
	h->buckets = ndm_calloc(n, sizeof *h->buckets);
	if (!h->buckets)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		h->buckets[i] = QUEUE_NONE;
	h->mask = n - 1;
	return 0;
}

static uint32_t *hash_bucket(const struct hash *h, uint64_t oblock)
{
	return &h->buckets[(oblock * UINT64_C(0x61c8864680b583eb)) >> 32 & h->mask];
}

static uint32_t hash_find(const struct smq *p, const struct hash *h, uint64_t oblock)
{
	uint32_t e = *hash_bucket(h, oblock);

	while (e != QUEUE_NONE && p->entries[e].oblock != oblock)
		e = p->entries[e].hash_next;
	return e;
}

static void hash_add(struct smq *p, const struct hash *h, uint32_t e)
{
	uint32_t *b = hash_bucket(h, p->entries[e].oblock);

	p->entries[e].hash_next = *b;
	*b = e;
}

static void hash_del(struct smq *p, const struct hash *h, uint32_t e)
{
	uint32_t *b = hash_bucket(h, p->entries[e].oblock);

	while (*b != QUEUE_NONE && *b != e)
		b = &p->entries[*b].hash_next;
	if (*b == e)
		*b = p->entries[e].hash_next;
}

/* ---- pools of entries ---- */

static void pool_init(struct smq *p, struct pool *pool, uint32_t first, uint32_t n)
{
	uint32_t i;

	*pool = (struct pool){ .first = first, .n = n };
	list_init(&pool->free);
	for (i = 0; i < n; i++)
		list_add_tail(p->entries, &pool->free, first + i);
}

static void pool_take(struct smq *p, struct pool *pool, uint32_t e)
{
	struct queue_entry *entry = &p->entries[e];

	list_del(p->entries, &pool->free, e);
	pool->used++;
	entry->level = 0;
	entry->dirty = entry->allocated = true;
	entry->pending = false;
}

static uint32_t pool_alloc(struct smq *p, struct pool *pool)
{
	uint32_t e = pool->free.head;

	if (e != QUEUE_NONE)
		pool_take(p, pool, e);
	return e;
}

static void pool_free(struct smq *p, struct pool *pool, uint32_t e)
{
	p->entries[e].allocated = false;
	pool->used--;
	list_add_tail(p->entries, &pool->free, e);
}

static uint32_t entry_of(const struct smq *p, uint32_t cblock)
{
	return p->cached.first + cblock;
}

static uint32_t cblock_of(const struct smq *p, uint32_t e)
{
	return e - p->cached.first;
}

static struct queue *queue_of(struct smq *p, uint32_t e)
{
	return p->entries[e].dirty ? &p->dirty : &p->clean;
}

/* ---- bits ---- */

static bool test_and_set(uint64_t *bits, uint32_t i)
{
	bool was = bits[i / 64] >> i % 64 & 1;

	bits[i / 64] |= UINT64_C(1) << i % 64;
	return was;
}

static void bits_clear(uint64_t *bits, uint32_t n)
{
	memset(bits, 0, (n + UINT64_C(63)) / 64 * 8);
}

/* ---- sentinels ---- */

static uint32_t sentinel(bool of_clean, uint32_t level, bool side)
{
	return (of_clean ? SENTINELS : 0) + (side ? level : QUEUE_LEVELS + level);
}

static void sentinels_push(struct smq *p, bool of_clean, bool side, bool are_in)
{
	struct queue *q = of_clean ? &p->clean : &p->dirty;
	uint32_t level, e;

	for (level = 0; level < QUEUE_LEVELS; level++) {
		e = sentinel(of_clean, level, side);
		if (are_in)
			queue_del(q, e);
		p->entries[e].level = (uint8_t)level;
		p->entries[e].sentinel = true;
		queue_push(q, e);
	}
}

/* ---- work ---- */

static struct work **work_find(struct smq *p, uint64_t oblock)
{
	struct work **w = &p->works[oblock % WORK_BUCKETS];

	while (*w && (*w)->w.oblock != oblock)
		w = &(*w)->bucket_next;
	return w;
}

/* issued: it is begun at once, by who has asked */
static bool work_add(struct smq *p, enum smq_op op, uint64_t oblock, uint32_t cblock,
		     struct smq_work *issued)
{
	struct work **at = work_find(p, oblock), *w;

	if (*at || p->nworks >= WORK_MAX)
		return false;
	w = ndm_zalloc(sizeof *w);
	if (!w)
		return false;
	w->w = (struct smq_work){ op, oblock, cblock };
	*at = w;
	p->nworks++;
	p->demotions += op == SMQ_DEMOTE;
	if (issued) {
		*issued = w->w;
	} else {
		*p->wanted_last = w;
		p->wanted_last = &w->next;
	}
	return true;
}

static bool work_take(struct smq *p, struct smq_work *to)
{
	struct work *w = p->wanted;

	if (!w)
		return false;
	p->wanted = w->next;
	if (!p->wanted)
		p->wanted_last = &p->wanted;
	*to = w->w;
	return true;
}

static void queue_writeback(struct smq *p, bool idle)
{
	uint32_t e = queue_peek(&p->dirty, QUEUE_LEVELS, idle);

	if (e == QUEUE_NONE)
		return;
	if (!work_add(p, SMQ_WRITEBACK, p->entries[e].oblock, cblock_of(p, e), NULL))
		return;
	queue_del(&p->dirty, e);
	p->entries[e].pending = true;
}

static void queue_demotion(struct smq *p)
{
	uint32_t e = queue_peek(&p->clean, QUEUE_LEVELS / 2, true);

	if (e == QUEUE_NONE) {
		if (p->dirty.n)
			queue_writeback(p, false);
		return;
	}
	if (!work_add(p, SMQ_DEMOTE, p->entries[e].oblock, cblock_of(p, e), NULL))
		return;
	queue_del(&p->clean, e);
	p->entries[e].pending = true;
}

static bool queue_promotion(struct smq *p, uint64_t oblock, struct smq_work *issued)
{
	uint32_t e;

	if (!p->migrations)
		return false;
	if (p->cached.free.head == QUEUE_NONE) {
		if (p->blocks - p->cached.used + p->demotions <
		    (uint64_t)p->blocks * FREE_PERCENT / 100)
			queue_demotion(p);
		return false;
	}
	if (*work_find(p, oblock))
		return false;
	e = pool_alloc(p, &p->cached);
	if (!work_add(p, SMQ_PROMOTE, oblock, cblock_of(p, e), issued)) {
		pool_free(p, &p->cached, e);
		return false;
	}
	p->entries[e].pending = true;
	return true;
}

bool smq_get_work(struct smq *p, bool idle, struct smq_work *w)
{
	if (work_take(p, w))
		return true;
	if ((idle || p->kind->cleaner) && p->dirty.n) {
		queue_writeback(p, idle);
		return work_take(p, w);
	}
	return false;
}

void smq_complete(struct smq *p, const struct smq_work *done, bool success)
{
	struct work **at = work_find(p, done->oblock), *w = *at;
	uint32_t e = entry_of(p, done->cblock);
	struct queue_entry *entry = &p->entries[e];

	entry->pending = false;
	if (done->op == SMQ_PROMOTE && success) {
		entry->oblock = done->oblock;
		entry->level = QUEUE_LEVELS - 1;
		hash_add(p, &p->table, e);
		queue_push(queue_of(p, e), e);
	} else if (done->op == SMQ_PROMOTE) {
		pool_free(p, &p->cached, e);
	} else if (done->op == SMQ_DEMOTE && success) {
		hash_del(p, &p->table, e);
		pool_free(p, &p->cached, e);
	} else {
		queue_push(queue_of(p, e), e);
	}
	if (!w)
		return;
	*at = w->bucket_next;
	p->nworks--;
	p->demotions -= w->w.op == SMQ_DEMOTE;
	ndm_free(w);
}

/* ---- requests ---- */

static void accessed(struct assess *a, uint32_t level)
{
	*(level >= QUEUE_LEVELS * 3 / 4 ? &a->hits : &a->misses) += 1;
}

static void rise(struct smq *p, uint32_t e)
{
	struct queue_entry *entry = &p->entries[e];

	if (entry->pending || test_and_set(p->hits, cblock_of(p, e)))
		return;
	if (entry->dirty)
		queue_raise(&p->dirty, e, 1, sentinel(false, entry->level, !p->writeback_side),
			    sentinel(false, entry->level, p->writeback_side));
	else
		queue_raise(&p->clean, e, 1, QUEUE_NONE, QUEUE_NONE);
}

/* The hotspot's entry of that block, with this miss counted. */
static uint32_t missed(struct smq *p, uint64_t oblock)
{
	uint64_t hot = oblock / p->per_hotspot;
	uint32_t e = hash_find(p, &p->hot_table, hot), i;

	if (e != QUEUE_NONE) {
		accessed(&p->hot_stats, p->entries[e].level);
		i = e - p->hot.first;
		queue_raise(&p->hotspot, e, test_and_set(p->hot_hits, i) ? 0 : p->jump, QUEUE_NONE,
			    QUEUE_NONE);
		return e;
	}
	p->hot_stats.misses++;
	e = pool_alloc(p, &p->hot);
	if (e == QUEUE_NONE) {
		e = queue_peek(&p->hotspot, QUEUE_LEVELS, true);
		queue_del(&p->hotspot, e);
		hash_del(p, &p->hot_table, e);
		i = e - p->hot.first;
		p->hot_hits[i / 64] &= ~(UINT64_C(1) << i % 64);
	}
	p->entries[e].oblock = hot;
	queue_push(&p->hotspot, e);
	hash_add(p, &p->hot_table, e);
	return e;
}

bool smq_peek(const struct smq *p, uint64_t oblock, uint32_t *cblock)
{
	uint32_t e = hash_find(p, &p->table, oblock);

	if (e == QUEUE_NONE)
		return false;
	*cblock = cblock_of(p, e);
	return true;
}

bool smq_lookup(struct smq *p, uint64_t oblock, bool write, bool fast, uint32_t *cblock,
		bool *queued, struct smq_work *work, bool *issued)
{
	uint32_t e = hash_find(p, &p->table, oblock), hot;
	bool room = p->cached.free.head != QUEUE_NONE;

	*queued = *issued = false;
	if (e != QUEUE_NONE) {
		rise(p, e);
		*cblock = cblock_of(p, e);
		return true;
	}
	hot = missed(p, oblock);
	if ((write && room && fast) || p->entries[hot].level >= p->promote_level) {
		*queued = true;
		*issued = queue_promotion(p, oblock, fast ? work : NULL) && fast;
	}
	return false;
}

void smq_set_dirty(struct smq *p, uint32_t cblock, bool dirty)
{
	uint32_t e = entry_of(p, cblock);
	struct queue_entry *entry = &p->entries[e];

	if (!entry->allocated)
		return;
	if (entry->pending) {
		entry->dirty = dirty;
		return;
	}
	queue_del(queue_of(p, e), e);
	entry->dirty = dirty;
	queue_push(queue_of(p, e), e);
}

/* ---- loading and dropping ---- */

int smq_load(struct smq *p, uint64_t oblock, uint32_t cblock, bool dirty, uint32_t hint,
	     bool hint_valid)
{
	uint32_t e = entry_of(p, cblock);
	struct queue_entry *entry = &p->entries[e];

	if (cblock >= p->blocks || entry->allocated ||
	    hash_find(p, &p->table, oblock) != QUEUE_NONE)
		return -EEXIST;
	pool_take(p, &p->cached, e);
	entry->oblock = oblock;
	entry->dirty = dirty;
	if (!hint_valid)
		hint = (cblock * 0x61c88647u) >> 23 & (QUEUE_LEVELS - 1);
	entry->level = hint < QUEUE_LEVELS ? (uint8_t)hint : QUEUE_LEVELS - 1;
	hash_add(p, &p->table, e);
	queue_push_front(queue_of(p, e), e);	/* before both sentinels: may go at once */
	return 0;
}

int smq_invalidate(struct smq *p, uint32_t cblock)
{
	uint32_t e = entry_of(p, cblock);

	if (!p->entries[e].allocated || p->entries[e].pending)
		return -ENODATA;
	queue_del(queue_of(p, e), e);
	hash_del(p, &p->table, e);
	pool_free(p, &p->cached, e);
	return 0;
}

void smq_shrink(struct smq *p, uint32_t blocks)
{
	uint32_t i;

	for (i = blocks; i < p->blocks; i++) {
		smq_invalidate(p, i);
		if (!p->entries[entry_of(p, i)].allocated)
			list_del(p->entries, &p->cached.free, entry_of(p, i));
	}
	p->blocks = blocks;
}

uint32_t smq_hint(const struct smq *p, uint32_t cblock)
{
	const struct queue_entry *e = &p->entries[entry_of(p, cblock)];

	return e->allocated ? e->level : 0;
}

uint32_t smq_residency(const struct smq *p)
{
	return p->cached.used;
}

void smq_no_migrations(struct smq *p)
{
	p->migrations = false;
}

/* ---- time ---- */

static enum performance assess(const struct assess *a)
{
	uint64_t all = (uint64_t)a->hits + a->misses, share = all ? a->hits * UINT64_C(256) / all : 0;

	return share < 16 ? POOR : share < 32 ? FAIR : WELL;
}

static void sentinels_tick(struct smq *p, uint64_t now)
{
	if (now > p->next_writeback) {
		p->next_writeback = now + WRITEBACK_PERIOD;
		p->writeback_side = !p->writeback_side;
		sentinels_push(p, false, p->writeback_side, true);
	}
	if (now > p->next_demote) {
		p->next_demote = now + DEMOTE_PERIOD;
		p->demote_side = !p->demote_side;
		sentinels_push(p, true, p->demote_side, true);
	}
}

void smq_tick(struct smq *p)
{
	static const uint32_t levels[] = { [POOR] = QUEUE_LEVELS / 4, [FAIR] = QUEUE_LEVELS / 2,
					   [WELL] = QUEUE_LEVELS };
	static const uint32_t jumps[] = { [POOR] = 4, [FAIR] = 2, [WELL] = 1 };
	uint64_t now = ndm_now(p->loop);

	sentinels_tick(p, now);
	bits_clear(p->hot_hits, p->hot.n);
	p->promote_level = QUEUE_LEVELS - levels[assess(&p->hot_stats)];
	if (now > p->next_hotspot) {
		p->jump = jumps[assess(&p->hot_stats)];
		queue_redistribute(&p->hotspot);
		p->hot_stats = (struct assess){ 0, 0 };
		p->next_hotspot = now + HOTSPOT_PERIOD;
	}
	if (now > p->next_cache) {
		bits_clear(p->hits, p->cached.n);
		queue_redistribute(&p->dirty);
		queue_redistribute(&p->clean);
		p->next_cache = now + CACHE_PERIOD;
	}
}

/* ---- made ---- */

static void queues_init(struct smq *p)
{
	uint64_t now = ndm_now(p->loop);
	uint32_t a = p->hot.n / QUEUE_LEVELS, b = p->blocks / p->per_hotspot;

	queue_init(&p->hotspot, p->entries);
	queue_init(&p->clean, p->entries);
	queue_init(&p->dirty, p->entries);
	p->hotspot.top_levels = 8;
	p->hotspot.in_top = a < b ? a : b;
	sentinels_push(p, false, false, false);
	sentinels_push(p, true, false, false);
	sentinels_push(p, false, true, false);
	sentinels_push(p, true, true, false);
	p->writeback_side = p->demote_side = true;
	p->next_writeback = now + WRITEBACK_PERIOD;
	p->next_demote = now + DEMOTE_PERIOD;
	p->next_hotspot = p->next_cache = now;
}

struct smq *smq_new(struct ndm_loop *loop, const struct smq_kind *kind, uint32_t blocks,
		    uint64_t origin_sectors, uint32_t block_sectors)
{
	uint64_t hot_sectors = block_sectors * UINT64_C(16);
	uint32_t nhot = blocks / 4 > 1024 ? blocks / 4 : 1024, i;
	struct smq *p = ndm_zalloc(sizeof *p);

	if (!p)
		return NULL;
	while (hot_sectors > block_sectors && hot_sectors * nhot > origin_sectors)
		hot_sectors /= 2;
	p->loop = loop;
	p->kind = kind;
	p->blocks = blocks;
	p->per_hotspot = (uint32_t)(hot_sectors / block_sectors);
	p->jump = 1;
	p->promote_level = QUEUE_LEVELS;	/* nobody, before the first tick */
	p->migrations = !kind->cleaner;
	p->wanted_last = &p->wanted;
	p->entries = ndm_calloc((size_t)2 * SENTINELS + nhot + blocks, sizeof *p->entries);
	p->hot_hits = ndm_calloc(nhot / 64 + 1, 8);
	p->hits = ndm_calloc(blocks / 64 + 1, 8);
	if (!p->entries || !p->hot_hits || !p->hits || hash_init(&p->hot_table, nhot) ||
	    hash_init(&p->table, blocks)) {
		smq_free(p);
		return NULL;
	}
	for (i = 0; i < 2 * SENTINELS; i++)
		p->entries[i].sentinel = true;
	pool_init(p, &p->hot, 2 * SENTINELS, nhot);
	pool_init(p, &p->cached, 2 * SENTINELS + nhot, blocks);
	queues_init(p);
	return p;
}

void smq_free(struct smq *p)
{
	struct work *w;
	unsigned i;

	if (!p)
		return;
	for (i = 0; i < WORK_BUCKETS; i++)
		while ((w = p->works[i])) {
			p->works[i] = w->bucket_next;
			ndm_free(w);
		}
	ndm_free(p->table.buckets);
	ndm_free(p->hot_table.buckets);
	ndm_free(p->hits);
	ndm_free(p->hot_hits);
	ndm_free(p->entries);
	ndm_free(p);
}
