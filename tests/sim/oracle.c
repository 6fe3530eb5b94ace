/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.c - what may be read from each sector of a device.
 *
 * A sector's entries are the writes that it has seen, with the moments (of one clock, s->seq)
 * at which each was issued and completed.  From them follow both answers:
 *
 *   a read issued at r may return   a write not completed before some other was issued that
 *                                   had itself completed, well, before r; or one still under way
 *   after a cut there may be        a write not completed before a *durable* one was issued
 *
 * A write becomes durable by FUA, or by a FLUSH submitted after its completion.  A write that
 * failed may be there or not, and rules nothing out.  After a cut and a recovery the value
 * seen first is what must be seen from then on (and it is durable after the next FLUSH).
 *
 * Values are ids: a sector is filled with a pattern made from its id, so that torn or foreign
 * sectors are known as such.  Id 0 is a sector of zeroes.
 */
#include "priv.h"

#define NEVER UINT64_MAX
#define STAMP 0x4e444d73746d7000u

struct entry {
	uint64_t id;
	uint64_t issue, done;		/* NEVER = under way */
	bool any;			/* no particular value */
	bool soft;			/* rules nothing out: failed, or may do nothing */
};

struct cell {
	struct entry *e;
	unsigned n, cap;
	unsigned readers;		/* reads under way: nothing may be forgotten */
	uint64_t seen_floor;		/* the latest issue of a completed write */
	uint64_t safe_floor;		/* and of a durable one */
};

struct oracle {
	struct sim *sim;
	uint64_t nr;
	struct cell *cells;
	enum sim_discards discards;
};

/* ---- stamps ---- */

void oracle_stamp(uint8_t *bytes, uint64_t id)
{
	uint64_t word, i, x = id;

	if (!id) {
		memset(bytes, 0, NDM_SECTOR_BYTES);
		return;
	}
	for (i = 0; i < NDM_SECTOR_BYTES / 8; i++) {
		word = i ? x : id ^ STAMP;
		memcpy(bytes + 8 * i, &word, 8);
		x = x * 6364136223846793005u + 1442695040888963407u;
	}
}

/* false: not one of ours, or torn */
static bool stamp_read(const struct oracle *o, const uint8_t *bytes, uint64_t *id)
{
	uint8_t should[NDM_SECTOR_BYTES];
	uint64_t word;

	memcpy(&word, bytes, 8);
	*id = word ? word ^ STAMP : 0;
	if (*id >= o->sim->next_id)
		return false;
	oracle_stamp(should, *id);
	return !memcmp(should, bytes, NDM_SECTOR_BYTES);
}

/* ---- cells ---- */

static void cell_add(struct cell *c, const struct entry *e)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 4;
		c->e = realloc(c->e, c->cap * sizeof *c->e);
	}
	c->e[c->n++] = *e;
}

/* What neither a read nor a cut can bring back is forgotten. */
static void cell_prune(struct cell *c)
{
	unsigned i, n = 0;

	if (c->readers)
		return;
	for (i = 0; i < c->n; i++)
		if (c->e[i].done > c->safe_floor)
			c->e[n++] = c->e[i];
	c->n = n;
}

static struct entry *cell_find(struct cell *c, uint64_t issue)
{
	unsigned i;

	for (i = c->n; i--;)
		if (c->e[i].issue == issue)
			return &c->e[i];
	return NULL;
}

struct oracle *oracle_new(struct sim *s, uint64_t nr)
{
	struct oracle *o = calloc(1, sizeof *o);

	o->sim = s;
	oracle_resize(o, nr);
	return o;
}

uint64_t oracle_nr(const struct oracle *o)
{
	return o->nr;
}

/* New sectors may contain anything: nobody has said what lies below. */
void oracle_resize(struct oracle *o, uint64_t nr)
{
	uint64_t i;

	for (i = nr; i < o->nr; i++)
		free(o->cells[i].e);
	o->cells = realloc(o->cells, (nr + 1) * sizeof *o->cells);
	for (i = o->nr; i < nr; i++) {
		struct entry e = { .any = o->nr > 0, .done = 1 };

		o->cells[i] = (struct cell){ 0 };
		cell_add(&o->cells[i], &e);
	}
	o->nr = nr;
}

void oracle_free(struct oracle *o)
{
	if (!o)
		return;
	oracle_resize(o, 0);
	free(o->cells);
	free(o);
}

/* ---- writes ---- */

static void begin(struct oracle *o, struct oracle_ticket *t, uint64_t first, uint64_t nr)
{
	*t = (struct oracle_ticket){ .issue = ++o->sim->seq, .first = first, .nr = nr };
}

void oracle_write_begin(struct oracle *o, struct oracle_ticket *t, uint64_t first, uint64_t nr,
			uint64_t id)
{
	uint64_t i;

	begin(o, t, first, nr);
	for (i = 0; i < nr; i++) {
		struct entry e = { .id = id ? id + i : 0, .issue = t->issue, .done = NEVER };

		cell_add(&o->cells[first + i], &e);
	}
}

void oracle_discard_begin(struct oracle *o, struct oracle_ticket *t, uint64_t first, uint64_t nr)
{
	uint64_t i;

	begin(o, t, first, nr);
	t->soft = o->discards == SIM_DISCARD_OLD_OR_ZERO;
	if (o->discards == SIM_DISCARD_KEEPS)
		return;
	for (i = 0; i < nr; i++) {
		struct entry e = { .issue = t->issue, .done = NEVER, .soft = t->soft,
				   .any = o->discards == SIM_DISCARD_ANY };

		cell_add(&o->cells[first + i], &e);
	}
}

void oracle_write_end(struct oracle *o, struct oracle_ticket *t, bool ok, bool durable)
{
	uint64_t i, now = ++o->sim->seq;

	for (i = t->first; i < t->first + t->nr; i++) {
		struct cell *c = &o->cells[i];
		struct entry *e = cell_find(c, t->issue);

		if (!e)
			continue;
		e->done = now;
		if (!ok)
			e->soft = true;
		if (e->soft)
			continue;
		if (t->issue > c->seen_floor)
			c->seen_floor = t->issue;
		if (durable && t->issue > c->safe_floor)
			c->safe_floor = t->issue;
		cell_prune(c);
	}
}

uint64_t oracle_flush_begin(struct oracle *o)
{
	return ++o->sim->seq;
}

/* What had completed before the flush was submitted rules out everything before it. */
void oracle_flush_end(struct oracle *o, uint64_t begun, bool ok)
{
	uint64_t i;
	unsigned j;

	for (i = 0; ok && i < o->nr; i++) {
		struct cell *c = &o->cells[i];

		if (c->n < 2)
			continue;
		for (j = 0; j < c->n; j++)
			if (!c->e[j].soft && c->e[j].done < begun && c->e[j].issue > c->safe_floor)
				c->safe_floor = c->e[j].issue;
		cell_prune(c);
	}
}

/* ---- reads ---- */

void oracle_read_begin(struct oracle *o, struct oracle_ticket *t, uint64_t first, uint64_t nr)
{
	uint64_t i;

	begin(o, t, first, nr);
	t->floors = calloc(nr, sizeof *t->floors);
	for (i = 0; i < nr; i++) {
		o->cells[first + i].readers++;
		t->floors[i] = o->cells[first + i].seen_floor;
	}
}

static void say(struct ndm_str *why, bool known, uint64_t id)
{
	if (known)
		ndm_printf(why, "value %llu", (unsigned long long)id);
	else
		ndm_printf(why, "bytes that nobody wrote");
}

/* Is the value one of those whose end came after the floor? */
static bool cell_allows(struct oracle *o, const struct cell *c, uint64_t floor,
			const uint8_t *bytes, struct ndm_str *why)
{
	uint64_t id;
	bool known = stamp_read(o, bytes, &id);
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (c->e[i].done > floor && (c->e[i].any || (known && c->e[i].id == id)))
			return true;
	say(why, known, id);
	ndm_printf(why, "; allowed:");
	for (i = 0; i < c->n; i++)
		if (c->e[i].done > floor)
			ndm_printf(why, " %llu%s", (unsigned long long)c->e[i].id,
				   c->e[i].done == NEVER ? " (under way)" :
				   c->e[i].soft ? " (failed)" : "");
	for (i = 0; known && i < c->n; i++)
		if (c->e[i].id == id)
			ndm_printf(why, "; %llu is older", (unsigned long long)id);
	return false;
}

bool oracle_read_end(struct oracle *o, struct oracle_ticket *t, const uint8_t *bytes, bool ok,
		     uint64_t *bad, struct ndm_str *why)
{
	uint64_t i;
	bool good = true;

	for (i = 0; i < t->nr; i++) {
		struct cell *c = &o->cells[t->first + i];

		if (ok && good &&
		    !cell_allows(o, c, t->floors[i], bytes + i * NDM_SECTOR_BYTES, why)) {
			good = false;
			*bad = t->first + i;
		}
		c->readers--;
		cell_prune(c);
	}
	free(t->floors);
	return good;
}

/* ---- cuts ---- */

void oracle_cut(struct oracle *o)
{
	uint64_t i, now = ++o->sim->seq;
	unsigned j;

	for (i = 0; i < o->nr; i++) {
		struct cell *c = &o->cells[i];

		c->readers = 0;
		for (j = 0; j < c->n; j++)
			if (c->e[j].done == NEVER) {
				c->e[j].done = now;
				c->e[j].soft = true;
				c->e[j].any |= o->sim->opt.torn;
			}
		cell_prune(c);
	}
}

bool oracle_settle(struct oracle *o, uint64_t sector, const uint8_t *bytes, struct ndm_str *why)
{
	struct cell *c = &o->cells[sector];
	struct entry e = { .any = false };

	if (!cell_allows(o, c, c->safe_floor, bytes, why))
		return false;
	if (c->n == 1)
		return true;
	e.any = !stamp_read(o, bytes, &e.id);
	e.issue = ++o->sim->seq;
	e.done = ++o->sim->seq;
	cell_add(c, &e);
	c->seen_floor = e.issue;
	return true;
}

/* ---- opinions of scripts ---- */

void oracle_copy(struct oracle *o, const struct oracle *from)
{
	uint64_t i;
	unsigned j;

	for (i = 0; i < o->nr; i++) {
		struct cell *c = &o->cells[i];
		const struct cell *f = &from->cells[i];

		c->n = 0;
		if (i >= from->nr) {
			cell_add(c, &(struct entry){ .done = 1 });
			c->seen_floor = c->safe_floor = 0;
			continue;
		}
		for (j = 0; j < f->n; j++)
			cell_add(c, &f->e[j]);
		c->seen_floor = f->seen_floor;
		c->safe_floor = f->safe_floor;
	}
}

void oracle_any(struct oracle *o, uint64_t first, uint64_t nr)
{
	uint64_t i;

	for (i = first; i < first + nr && i < o->nr; i++) {
		struct entry e = { .any = true, .issue = ++o->sim->seq };

		e.done = ++o->sim->seq;
		cell_add(&o->cells[i], &e);
	}
}

bool oracle_expect(struct oracle *o, uint64_t sector, uint8_t *bytes)
{
	struct cell *c = &o->cells[sector];
	const struct entry *only = NULL;
	unsigned i;

	for (i = 0; i < c->n; i++) {
		if (c->e[i].done <= c->seen_floor)
			continue;
		if (only || c->e[i].any)
			return false;
		only = &c->e[i];
	}
	if (only)
		oracle_stamp(bytes, only->id);
	return only;
}

void oracle_set_discards(struct oracle *o, enum sim_discards discards)
{
	o->discards = discards;
}
