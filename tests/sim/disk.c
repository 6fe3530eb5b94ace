/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk.c - simulated disks, `sim:NAME` in tables.
 *
 * A disk keeps durable bytes, what is visible to reads, and two lists of volatile writes: in
 * flight (in order of submission) and completed (in order of completion).
 *
 *   a write completes:   its bytes become visible; they are volatile
 *   a FUA write:         its own bytes become durable as it completes
 *   FLUSH:               writes *completed before it was submitted* are durable as it completes
 *   DISCARD:             each sector keeps its bytes, becomes zero or garbage, by dice
 *   a failed write:      each sector has changed or not, by dice
 *   power cut:           each block of each volatile write survives or not, by dice or by mask
 *
 * Requests complete in any order.  Switches of the run: torn (a block in flight may come back
 * as garbage), lying (FLUSH and FUA promise and do nothing).
 */
#include "priv.h"

struct disk_store {
	struct ndm_store store;
	struct sim_disk *disk;
};

struct disk_request {
	struct sim_event ev;
	struct sim_disk *disk;
	struct ndm_bio *bio;
	struct disk_write *write;		/* WRITE, ZEROES, DISCARD */
	uint64_t seq;				/* when it was submitted */
	int error;
	bool untouched;
	char what[96];
};

static const char *const op_words[] = {
	"read", "write", "flush", "discard", "zeroes", "extents", "cache",
};

struct sim_disk *disk_find(struct sim *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->ndisks; i++)
		if (!strcmp(s->disks[i]->name, name))
			return s->disks[i];
	return NULL;
}

struct sim_disk *disk_must(struct sim *s, const char *name)
{
	struct sim_disk *d = disk_find(s, name);

	if (!d)
		sim_fail(s, "the script has no disk '%s'", name);
	return d;
}

static struct sim_disk *disk_new(struct sim *s, const struct sim_disk_spec *spec,
				 struct sim_dice *dice)
{
	struct sim_disk *d = calloc(1, sizeof *d);
	bool fua = dice_below(dice, 2);

	d->sim = s;
	snprintf(d->name, sizeof d->name, "%s", spec->name);
	d->nr = spec->nr;
	d->block_bytes = spec->block_bytes ? spec->block_bytes : NDM_SECTOR_BYTES;
	d->flags = spec->flags;
	if (spec->flags & (SIM_DISK_FUA | SIM_DISK_NO_FUA))
		fua = spec->flags & SIM_DISK_FUA;
	d->limits = (struct ndm_limits){
		.logical_block_bytes = d->block_bytes,
		.physical_block_bytes = d->block_bytes,
		.max_discard_sectors = spec->flags & SIM_DISK_NO_DISCARD ? 0 : UINT64_MAX >> 9,
		.max_zeroes_sectors = spec->flags & SIM_DISK_NO_ZEROES ? 0 : UINT64_MAX >> 9,
		.discard_granularity_bytes =
			spec->flags & SIM_DISK_NO_DISCARD ? 0 : d->block_bytes,
		.read_only = spec->flags & SIM_DISK_READ_ONLY,
		.fua = fua,
		.volatile_cache = true,
	};
	d->durable = calloc(d->nr + 1, NDM_SECTOR_BYTES);
	d->visible = calloc(d->nr + 1, NDM_SECTOR_BYTES);
	d->done_tail = &d->done;
	d->flying_tail = &d->flying;
	return d;
}

void disks_create(struct sim *s)
{
	const struct sim_disk_spec *spec = s->script->disks;
	struct sim_dice dice = dice_seed(s->opt.seed, 4);

	for (; s->ndisks < SIM_DISKS_MAX && spec->name; spec++)
		s->disks[s->ndisks++] = disk_new(s, spec, &dice);
}

static void write_free(struct disk_write *w)
{
	free(w->bytes);
	free(w->gone);
	free(w);
}

static void disk_forget_writes(struct sim_disk *d)
{
	struct disk_write *w, *next;

	for (w = d->done; w; w = next) {
		next = w->next;
		write_free(w);
	}
	for (w = d->flying; w; w = next) {
		next = w->next;
		write_free(w);
	}
	d->done = d->flying = NULL;
	d->done_tail = &d->done;
	d->flying_tail = &d->flying;
}

void disks_free(struct sim *s)
{
	unsigned i;

	for (i = 0; i < s->ndisks; i++) {
		disk_forget_writes(s->disks[i]);
		log_close(s->disks[i]);
		free(s->disks[i]->durable);
		free(s->disks[i]->visible);
		free(s->disks[i]);
	}
	s->ndisks = 0;
}

/* ---- the store ---- */

static int disk_open(struct ndm_loop *loop, const char *spec, unsigned mode,
		     struct ndm_store **store, struct ndm_str *why)
{
	struct sim *s = world_of(loop->world)->sim;
	const char *name = strncmp(spec, "sim:", 4) ? spec : spec + 4;
	struct sim_disk *d = disk_find(s, name);
	struct disk_store *ds;
	unsigned i;

	if (!d) {
		ndm_printf(why, "there is no simulated disk '%s'", name);
		return -ENOENT;
	}
	ds = calloc(1, sizeof *ds);
	ds->disk = d;
	ds->store = (struct ndm_store){
		.ops = &sim_disk_ops, .loop = loop, .nr = d->nr, .limits = d->limits,
	};
	for (i = 0; s->disks[i] != d; i++)
		;
	ds->store.identity[0] = 0x73696d;
	ds->store.identity[1] = i + 1;
	*store = &ds->store;
	return 0;
}

static void disk_close(struct ndm_store *store)
{
	free(ndm_container_of(store, struct disk_store, store));
}

static bool changes(const struct ndm_bio *bio)
{
	return bio->op == NDM_WRITE || bio->op == NDM_ZEROES || bio->op == NDM_DISCARD;
}

static struct disk_write *write_new(struct sim_disk *d, const struct ndm_bio *bio)
{
	struct disk_write *w = calloc(1, sizeof *w);
	struct sim_dice *dice = &d->sim->world->order;
	uint64_t i, j;

	w->sector = bio->sector;
	w->nr = bio->nr;
	w->bytes = calloc(bio->nr, NDM_SECTOR_BYTES);
	w->gone = calloc(bio->nr, sizeof *w->gone);
	if (bio->op == NDM_WRITE)
		ndm_data_from(&bio->data, bio->nr * NDM_SECTOR_BYTES, w->bytes);
	for (i = 0; bio->op == NDM_DISCARD && i < bio->nr; i++)
		switch (dice_below(dice, 3)) {
		case 0:
			w->gone[i] = true;		/* nothing happens */
			break;
		case 1:
			for (j = 0; j < NDM_SECTOR_BYTES; j++)
				w->bytes[i * NDM_SECTOR_BYTES + j] = dice_next(dice);
			break;
		}
	*d->flying_tail = w;
	d->flying_tail = &w->next;
	return w;
}

/* The contract of a store, as the core must keep it. */
static void check_request(struct sim_disk *d, const struct ndm_bio *bio)
{
	unsigned block = d->block_bytes / NDM_SECTOR_BYTES;
	size_t bytes = 0;
	unsigned i;

	if (bio->op == NDM_FLUSH) {
		if (bio->nr)
			sim_fail(d->sim, "%s: FLUSH with nr %llu", d->name,
				 (unsigned long long)bio->nr);
		return;
	}
	if (!bio->nr)
		sim_fail(d->sim, "%s: %s of no sectors", d->name, op_words[bio->op]);
	if (bio->sector % block || bio->nr % block)
		sim_fail(d->sim, "%s: %s %llu+%llu is not aligned to %u sectors", d->name,
			 op_words[bio->op], (unsigned long long)bio->sector,
			 (unsigned long long)bio->nr, block);
	if (bio->flags & NDM_PREFLUSH)
		sim_fail(d->sim, "%s: PREFLUSH came down to a store", d->name);
	if (bio->flags & NDM_FUA && !d->limits.fua)
		sim_fail(d->sim, "%s: FUA to a store that does not know it", d->name);
	if (bio->op == NDM_DISCARD && !d->limits.max_discard_sectors)
		sim_fail(d->sim, "%s: DISCARD to a store that does not know it", d->name);
	if (bio->op == NDM_ZEROES && !d->limits.max_zeroes_sectors)
		sim_fail(d->sim, "%s: ZEROES to a store that does not know it", d->name);
	if (bio->op != NDM_READ && bio->op != NDM_WRITE)
		return;
	for (i = 0; i < bio->data.iovcnt; i++)
		bytes += bio->data.iov[i].iov_len;
	if (bytes < bio->data.skip + bio->nr * NDM_SECTOR_BYTES)
		sim_fail(d->sim, "%s: %s %llu+%llu has too little data", d->name,
			 op_words[bio->op], (unsigned long long)bio->sector,
			 (unsigned long long)bio->nr);
}

static void request_fire(struct sim_event *ev);

static void disk_submit(struct ndm_store *store, struct ndm_bio *bio)
{
	struct sim_disk *d = ndm_container_of(store, struct disk_store, store)->disk;
	struct sim *s = d->sim;
	struct disk_request *r;
	const struct sim_fault *fault;

	if (s->power_off)
		return;				/* nobody will ever know */
	check_request(d, bio);
	r = calloc(1, sizeof *r);
	r->disk = d;
	r->bio = bio;
	r->seq = ++s->seq;
	snprintf(r->what, sizeof r->what, "%s: %s%s %llu+%llu", d->name, op_words[bio->op],
		 bio->flags & NDM_FUA ? " fua" : "", (unsigned long long)bio->sector,
		 (unsigned long long)bio->nr);
	sim_trace(s, "submit %s", r->what);
	r->ev = (struct sim_event){ .loop = store->loop, .fire = request_fire, .what = r->what };
	d->ios++;
	s->changed = true;
	fault = fault_hit(d, bio);
	if (fault) {
		r->error = fault->error;
		r->untouched = fault->untouched;
		if (fault->delay_ns)
			r->ev.not_before_ns = s->world->now_ns + fault->delay_ns;
	}
	if (d->disconnected) {
		r->error = -ENOTCONN;
		r->untouched = true;
	} else if (bio->op != NDM_FLUSH &&
		   (bio->sector >= d->nr || bio->nr > d->nr - bio->sector)) {
		r->error = -EIO;		/* the disk has become shorter */
		r->untouched = true;
	} else if (changes(bio) && d->limits.read_only) {
		r->error = -EIO;
		r->untouched = true;
	} else if (changes(bio)) {
		r->write = write_new(d, bio);
	}
	world_event(s->world, &r->ev);
}

const struct ndm_store_ops sim_disk_ops = {
	.scheme = "sim",
	.open = disk_open,
	.submit = disk_submit,
	.close = disk_close,
};

/* ---- completion ---- */

static void fly_out(struct sim_disk *d, struct disk_write *w)
{
	struct disk_write **p = &d->flying;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	if (d->flying_tail == &w->next)
		d->flying_tail = p;
	w->next = NULL;
}

static uint8_t *at(uint8_t *bytes, uint64_t sector)
{
	return bytes + sector * NDM_SECTOR_BYTES;
}

static void apply(struct sim_disk *d, const struct disk_write *w, uint8_t *to)
{
	uint64_t i;

	for (i = 0; i < w->nr; i++)
		if (!w->gone[i] && w->sector + i < d->nr)
			memcpy(at(to, w->sector + i), at(w->bytes, i), NDM_SECTOR_BYTES);
}

/* Older volatile bytes of these sectors can no longer come back. */
static void overtake(struct sim_disk *d, const struct disk_write *by)
{
	struct disk_write *w;
	uint64_t i;

	for (w = d->done; w; w = w->next)
		for (i = 0; i < by->nr; i++)
			if (!by->gone[i] && by->sector + i - w->sector < w->nr)
				w->gone[by->sector + i - w->sector] = true;
}

static void write_done(struct sim_disk *d, struct disk_request *r)
{
	struct disk_write *w = r->write;
	uint64_t i;

	fly_out(d, w);
	for (i = 0; r->error && i < w->nr; i++)
		if (r->untouched || dice_below(&d->sim->world->order, 2))
			w->gone[i] = true;
	apply(d, w, d->visible);
	log_write(d, r->bio, w->bytes);
	if (r->bio->flags & NDM_FUA && !r->error && !d->sim->opt.lying) {
		overtake(d, w);
		apply(d, w, d->durable);
		write_free(w);
		return;
	}
	w->done_seq = ++d->sim->seq;
	*d->done_tail = w;
	d->done_tail = &w->next;
}

static void flush_done(struct sim_disk *d, uint64_t submitted)
{
	struct disk_write *w;

	log_flush(d, submitted);
	if (d->sim->opt.lying)
		return;
	while ((w = d->done) && w->done_seq < submitted) {
		apply(d, w, d->durable);
		d->done = w->next;
		if (!d->done)
			d->done_tail = &d->done;
		write_free(w);
	}
}

static void request_fire(struct sim_event *ev)
{
	struct disk_request *r = ndm_container_of(ev, struct disk_request, ev);
	struct sim_disk *d = r->disk;
	struct ndm_bio *bio = r->bio;
	int error = r->error;

	d->sim->changed = true;
	if (d->disconnected && !error) {
		error = r->error = -ENOTCONN;
		r->untouched = dice_below(&d->sim->world->order, 2);
	}
	if (r->write)
		write_done(d, r);
	else if (bio->op == NDM_FLUSH && !error)
		flush_done(d, r->seq);
	else if (bio->op == NDM_READ && !error)
		ndm_data_to(&bio->data, bio->nr * NDM_SECTOR_BYTES, at(d->visible, bio->sector));
	else if (bio->op == NDM_EXTENTS && !error)
		ndm_extent_add(bio, bio->sector, bio->nr, 0);
	if (error)
		sim_trace(d->sim, "%s fails: %s", r->what, strerror(-error));
	free(r);
	ndm_end(bio, error);
}

void disks_sync(struct sim *s)
{
	unsigned i;

	for (i = 0; i < s->ndisks; i++) {
		assert(!s->disks[i]->flying);
		memcpy(s->disks[i]->durable, s->disks[i]->visible,
		       s->disks[i]->nr * NDM_SECTOR_BYTES);
		disk_forget_writes(s->disks[i]);
	}
}

/* ---- power cut ---- */

/* Calls fn for each block of each volatile write that could still get lost. */
static unsigned each_unit(struct sim_disk *d, struct disk_write *w, unsigned unit,
			  bool (*keep)(void *arg, unsigned unit, uint8_t *bytes, bool flying),
			  void *arg)
{
	uint64_t step = d->block_bytes / NDM_SECTOR_BYTES, i, j;

	for (i = 0; i < w->nr; i += step) {
		bool any = false, kept;

		for (j = i; j < i + step && j < w->nr; j++)
			any |= !w->gone[j];
		if (!any)
			continue;
		kept = keep ? keep(arg, unit, at(w->bytes, i), !w->done_seq) : false;
		unit++;
		for (j = i; kept && j < i + step && j < w->nr; j++)
			if (!w->gone[j] && w->sector + j < d->nr)
				memcpy(at(d->durable, w->sector + j), at(w->bytes, j),
				       NDM_SECTOR_BYTES);
	}
	return unit;
}

unsigned disks_at_risk(struct sim *s)
{
	struct disk_write *w;
	unsigned i, units = 0;

	for (i = 0; i < s->ndisks; i++) {
		for (w = s->disks[i]->done; w; w = w->next)
			units = each_unit(s->disks[i], w, units, NULL, NULL);
		for (w = s->disks[i]->flying; w; w = w->next)
			units = each_unit(s->disks[i], w, units, NULL, NULL);
	}
	return units;
}

struct fate { uint64_t mask; struct sim_dice *dice; bool torn; unsigned block_bytes; };

static bool fate_keep(void *arg, unsigned unit, uint8_t *bytes, bool flying)
{
	struct fate *f = arg;
	unsigned i;
	bool kept = f->dice ? dice_below(f->dice, 2) : f->mask >> unit & 1;

	if (f->torn && flying && kept && f->dice && dice_below(f->dice, 4) == 0)
		for (i = 0; i < f->block_bytes; i++)
			bytes[i] = dice_next(f->dice);
	return kept;
}

/* In flight, a write that came later may reach the medium first. */
static void shuffle_flying(struct sim_disk *d, struct sim_dice *dice)
{
	struct disk_write **p, *w;

	for (p = &d->flying; dice && (w = *p) && w->next; p = &(*p)->next)
		if (dice_below(dice, 2)) {
			*p = w->next;
			w->next = w->next->next;
			(*p)->next = w;
		}
}

void disks_cut(struct sim *s, uint64_t mask, struct sim_dice *dice)
{
	struct fate fate = { .mask = mask, .dice = dice, .torn = s->opt.torn };
	struct disk_write *w;
	unsigned i, units = 0;

	for (i = 0; i < s->ndisks; i++) {
		struct sim_disk *d = s->disks[i];

		fate.block_bytes = d->block_bytes;
		for (w = d->done; w; w = w->next)
			units = each_unit(d, w, units, fate_keep, &fate);
		shuffle_flying(d, dice);
		for (w = d->flying; w; w = w->next)
			units = each_unit(d, w, units, fate_keep, &fate);
		disk_forget_writes(d);
		d->disconnected = false;
		memcpy(d->visible, d->durable, d->nr * NDM_SECTOR_BYTES);
	}
}

/* The power of one disk alone: what was not flushed is lost or not, by dice. */
void sim_disk_crash(struct sim *s, const char *disk)
{
	struct sim_disk *d = disk_must(s, disk);
	struct fate fate = { .dice = &s->world->order, .block_bytes = d->block_bytes };
	struct disk_write *w;

	if (d->flying)
		sim_fail(s, "disk '%s' crashes with requests in flight", disk);
	for (w = d->done; w; w = w->next)
		each_unit(d, w, 0, fate_keep, &fate);
	disk_forget_writes(d);
	memcpy(d->visible, d->durable, d->nr * NDM_SECTOR_BYTES);
	s->changed = true;
}

/* ---- for scripts ---- */

static void check_span(struct sim_disk *d, uint64_t sector, uint64_t nr)
{
	if (sector > d->nr || nr > d->nr - sector)
		sim_fail(d->sim, "the script looks beyond the end of disk '%s'", d->name);
}

void sim_disk_read(struct sim *s, const char *disk, uint64_t sector, uint64_t nr, void *to)
{
	struct sim_disk *d = disk_must(s, disk);

	check_span(d, sector, nr);
	memcpy(to, at(d->visible, sector), nr * NDM_SECTOR_BYTES);
}

void sim_disk_read_durable(struct sim *s, const char *disk, uint64_t sector, uint64_t nr, void *to)
{
	struct sim_disk *d = disk_must(s, disk);

	check_span(d, sector, nr);
	memcpy(to, at(d->durable, sector), nr * NDM_SECTOR_BYTES);
}

void sim_disk_write(struct sim *s, const char *disk, uint64_t sector, uint64_t nr,
		    const void *from)
{
	struct sim_disk *d = disk_must(s, disk);

	check_span(d, sector, nr);
	memcpy(at(d->durable, sector), from, nr * NDM_SECTOR_BYTES);
	memcpy(at(d->visible, sector), from, nr * NDM_SECTOR_BYTES);
}

uint64_t sim_disk_nr(struct sim *s, const char *disk)
{
	return disk_must(s, disk)->nr;
}

void sim_disk_resize(struct sim *s, const char *disk, uint64_t nr)
{
	struct sim_disk *d = disk_must(s, disk);
	size_t old = (d->nr + 1) * NDM_SECTOR_BYTES, now = (nr + 1) * NDM_SECTOR_BYTES;

	d->durable = realloc(d->durable, now);
	d->visible = realloc(d->visible, now);
	if (now > old) {
		memset(d->durable + old, 0, now - old);
		memset(d->visible + old, 0, now - old);
	}
	d->nr = nr;
}

void sim_disk_connect(struct sim *s, const char *disk, bool connected)
{
	disk_must(s, disk)->disconnected = !connected;
}
