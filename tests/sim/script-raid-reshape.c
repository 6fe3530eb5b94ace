/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raid that is reshaped, there and back again, while it is written to: whenever the power fails,
 * what was flushed is there, in whatever shape; parity and copies fit when all is done.
 *
 * The first move goes backwards, into the free space behind the data; the second one forwards, into
 * the space that is then in front of them.  After a cut the superblock of the first member says
 * which table is to be loaded: a volume manager knows that, and so does whoever looks.
 */
#include <stdlib.h>

#include "sim.h"
#include "targets/raid/raid.h"

#define DEV 64u					/* sectors of a member that the array has */
#define SPACE 32u
#define DISKS4 \
	{ { "a", DEV + SPACE }, { "b", DEV + SPACE }, { "c", DEV + SPACE }, { "d", DEV + SPACE }, \
	  { "ma", 16 }, { "mb", 16 }, { "mc", 16 }, { "md", 16 } }

struct shape { const char *type, *words; unsigned layout, chunk; };

struct plan {
	struct shape shape[3];			/* one after the other */
	unsigned n, sectors;
};

static struct plan *plan(struct sim *s) { return sim_private(s); }

static unsigned words_of(const char *words)
{
	unsigned n = 1;

	for (; *words; words++)
		n += *words == ' ';
	return n;
}

static const char *table(struct sim *s, const struct shape *sh, bool move, char *to, size_t room)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct plan *p = plan(s);
	unsigned i;
	size_t at;

	at = (size_t)snprintf(to, room, "0 %u raid %s %u %s%s %u", p->sectors, sh->type,
			      words_of(sh->words) + (move ? 2 : 0), sh->words, move ? " data_offset 32" : "",
			      p->n);
	for (i = 0; i < p->n; i++)
		at += (size_t)snprintf(to + at, room - at, " sim:m%s sim:%s", names[i], names[i]);
	return to;
}

/* the shape that the array is on its way to, or has */
static const struct shape *shape_now(struct sim *s)
{
	struct plan *p = plan(s);
	struct raid_super sb;
	uint8_t block[512];
	unsigned i;

	sim_disk_read(s, "ma", 0, 1, block);
	raid_super_decode(block, &sb);
	for (i = 0; i < 3 && sb.magic == RAID_SUPER_MAGIC; i++) {
		bool reshaping = sb.flags & RAID_SUPER_RESHAPE;
		unsigned layout = reshaping ? sb.new_layout : sb.layout;

		if (layout == p->shape[i].layout &&
		    (reshaping ? sb.new_chunk : sb.chunk) == p->shape[i].chunk)
			return &p->shape[i];
	}
	return &p->shape[0];
}

static void up(struct sim *s)
{
	char t[400];

	sim_up(s, "r", 0, "%s", table(s, shape_now(s), false, t, sizeof t));
}

static void format_5(struct sim *s)
{
	static const struct plan plans[] = {
		{ { { "raid5_ls", "8 region_size 16", 2, 8 }, { "raid5_ls", "16 region_size 16", 2, 16 },
		    { "raid5_n", "8 region_size 16", 5, 8 } }, 3, 2 * DEV },
		{ { { "raid4", "16 region_size 16", 4, 16 }, { "raid5_ra", "16 region_size 16", 1, 16 },
		    { "raid5_la", "16 region_size 16", 0, 16 } }, 4, 3 * DEV },
	};

	*plan(s) = plans[sim_dice(s, 2)];
}

static void format_6(struct sim *s)
{
	*plan(s) = (struct plan){ { { "raid6_zr", "8 region_size 16", 8, 8 },
				    { "raid6_nc", "16 region_size 16", 10, 16 },
				    { "raid6_ls_6", "8 region_size 16", 18, 8 } }, 4, 2 * DEV };
}

static void format_10(struct sim *s)
{
	*plan(s) = (struct plan){ { { "raid10", "8 region_size 16", 0x102, 8 },
				    { "raid10", "16 region_size 16", 0x102, 16 },
				    { "raid10", "8 region_size 16 raid10_format offset", 0x50201, 8 } },
				  4, 2 * DEV };
}

/* writers have parts of their own: nothing orders writes of one sector */
struct writer { unsigned first, nr; };

static void write_part(struct sim *s, void *arg)
{
	struct writer *w = arg;

	sim_mix(sim_dev(s, "r"), &(struct sim_mix){ .tasks = 1, .ops = 3, .max_nr = 20,
		.first = w->first, .nr = w->nr, .write = 5, .read = 2, .fua = 1, .flush = 2 });
	free(w);
}

static void write_parts(struct sim *s)
{
	unsigned part = plan(s)->sectors / 3, i;

	for (i = 0; i < 3; i++) {
		struct writer *w = calloc(1, sizeof *w);

		*w = (struct writer){ i * part, part };
		sim_spawn(s, "writer", write_part, w);
	}
}

static void wait_idle(struct sim *s)
{
	char all[40];

	snprintf(all, sizeof all, " %.*s ", (int)plan(s)->n, "AAAA");
	sim_wait_status(sim_dev(s, "r"), " idle ");
	sim_wait_status(sim_dev(s, "r"), all);
}

static void work(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");
	char t[400];
	unsigned i;

	wait_idle(s);
	write_parts(s);
	sim_join(s);
	for (i = 1; i < 3; i++) {
		SIM_ASSERT(s, !sim_reload(r, "%s", table(s, &plan(s)->shape[i], true, t, sizeof t)));
		write_parts(s);
		sim_join(s);
		wait_idle(s);
		if (!strstr(sim_status(r), i == 1 ? " 32 -" : " 0 -"))
			sim_fail(s, "has not moved: %s", sim_status(r));
	}
}

static void after(struct sim *s)
{
	write_parts(s);
	sim_join(s);
}

static void check(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");

	wait_idle(s);
	sim_message(r, "check");
	sim_wait_status(r, " idle ");
	if (!strstr(sim_status(r), " idle 0 "))
		sim_fail(s, "the check found: %s", sim_status(r));
}

#define RESHAPE(ident, title, make) \
SIM_SCRIPT(ident) = { \
	.name = title, .summary = "another layout and chunk, there and back, written to meanwhile", \
	.disks = DISKS4, .private_size = sizeof(struct plan), .one_in = 3, .samples = 1, \
	.format = make, .up = up, .work = work, .after = after, .check = check, \
}

RESHAPE(raid5_reshape, "raid5-reshape", format_5);
RESHAPE(raid6_reshape, "raid6-reshape", format_6);
RESHAPE(raid10_reshape, "raid10-reshape", format_10);
