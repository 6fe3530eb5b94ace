/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdo: what was flushed is there after every cut, and at every clean end an audit of the disk that
 * knows nothing of the target finds every reference counted, and none that is not there.
 *
 * The journal has sixteen blocks, so that it is full again and again.
 */
#include <config.h>

#include "sim.h"
#include "tests/vdo-image.h"

#ifdef HAVE_LIBLZ4				/* else tables are refused */

#define JOURNAL 16u
#define SLABS 2u
#define SLAB_BITS 6u
#define BLOCKS VDO_IMAGE_BLOCKS(SLABS, SLAB_BITS, JOURNAL)
#define LOGICAL 1700u				/* three leaves in three trees; of them little is used */

static void format(struct sim *s)
{
	static const uint8_t zeroes[NDM_VDO_BLOCK];
	uint8_t block0[NDM_VDO_BLOCK], block2[NDM_VDO_BLOCK];
	struct vdo_image v;
	unsigned i;

	vdo_image_make(&v, BLOCKS, LOGICAL, SLAB_BITS, JOURNAL, block0, block2);
	for (i = 0; i < BLOCKS; i++)
		sim_disk_write(s, "d", (uint64_t)i * 8, 8, i == 0 ? block0 : i == 2 ? block2 : zeroes);
}

static void disk_read(void *s, uint64_t pbn, uint8_t *to)
{
	sim_disk_read_durable(s, "d", pbn * 8, 8, to);
}

static void up(struct sim *s)
{
	sim_up(s, "v", 0, "0 %u vdo V4 sim:d %u %u 64 1 deduplication off", LOGICAL * 8, BLOCKS,
	       sim_seed(s) % 2 ? 512 : 4096);
}

static void check(struct sim *s)
{
	struct vdo_image v = { .read = disk_read, .arg = s };
	const char *wrong;

	SIM_ASSERT(s, !sim_suspend(sim_dev(s, "v"), 0));
	wrong = vdo_image_audit(&v);
	if (wrong)
		sim_fail(s, "audit: %s", wrong);
	SIM_ASSERT(s, !sim_resume(sim_dev(s, "v")));
	sim_verify(sim_dev(s, "v"));
}

/* Around the edges of three leaves: 30 blocks at most are in use, of a hundred. */
static void mix(struct sim *s, unsigned ops)
{
	static const unsigned at[] = { 0, 806, 1620 };
	unsigned i;

	for (i = 0; i < 3; i++)
		sim_mix(sim_dev(s, "v"), &(struct sim_mix){ .tasks = 3, .ops = ops, .max_nr = 24,
			.first = at[i] * 8, .nr = 80, .read = 2, .write = 6, .fua = 1, .flush = 2, .discard = 1,
			.zeroes = 1 });
}

static void work(struct sim *s)
{
	mix(s, 3);
	if (sim_one_in(s, 2))
		check(s);
	mix(s, 2);
}

static void after(struct sim *s)
{
	mix(s, 1);
}

SIM_SCRIPT(vdo) = {
	.name = "vdo",
	.summary = "what was flushed is there, and every reference is counted",
	.disks = { { "d", BLOCKS * 8, 0, 0 } },
	.format = format,
	.seeds = 2, .one_in = 40, .samples = 1,
	.up = up, .work = work, .after = after, .check = check,
};

/* ---- the disk fails: so do writes, and what was acknowledged before is there ---- */

static void work_faulty(struct sim *s)
{
	mix(s, 2);
	sim_fault(s, &(struct sim_fault){ .disk = "d", .ops = 1u << NDM_WRITE | 1u << NDM_FLUSH, .error = -EIO,
		.nth = 1 + sim_dice(s, 40), .always = sim_one_in(s, 2) });
	mix(s, 2);
	sim_fault_clear(s);
	mix(s, 1);
	sim_verify(sim_dev(s, "v"));
	/* a flush that has failed promises nothing: from the next table on it may be gone */
	if (strstr(sim_status(sim_dev(s, "v")), " read-only "))
		sim_oracle_any(sim_dev(s, "v"), 0, LOGICAL * 8);
}

SIM_SCRIPT(vdo_faulty) = {
	.name = "vdo-faulty",
	.summary = "a volume whose disk fails",
	.disks = { { "d", BLOCKS * 8, 0, 0 } },
	.format = format,
	.flags = SIM_ERRORS_OK | SIM_NO_CUTS, .seeds = 30,
	.up = up, .work = work_faulty,
};
#endif
