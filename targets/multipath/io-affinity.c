/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io-affinity.c - each processor has its path: `<cpumask>`, hexadecimal, with commas as the
 * kernel prints masks.  A processor that several paths name belongs to the first of them.
 *
 * Which processor submits means nothing in a server whose threads come and go, so regions of
 * the device stand for processors: 1 MiB by 1 MiB they go round those that have a path.  So
 * each path sees the same part of the data again and again, which is what the caches behind
 * the paths want.  When a processor's path has failed the first valid one serves.
 */
#include <errno.h>
#include <string.h>

#include "targets/multipath/multipath.h"

#define REGION_SECTORS_SHIFT 11

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Groups of up to 8 digits between commas, the lowest last. */
static int mask_parse(const char *text, uint32_t mask[SELECTOR_MASK_WORDS])
{
	const char *p = text + strlen(text);
	unsigned word = 0, digits = 0;

	memset(mask, 0, SELECTOR_MASK_WORDS * sizeof *mask);
	if (p == text)
		return -EINVAL;
	while (p-- > text) {
		int digit = hex_digit(*p);

		if (*p == ',') {
			if (!digits)
				return -EINVAL;
			word++;
			digits = 0;
			continue;
		}
		if (digit < 0 || digits == 8)
			return -EINVAL;
		if (word >= SELECTOR_MASK_WORDS) {
			if (digit)
				return -EINVAL;
		} else {
			mask[word] |= (uint32_t)digit << 4 * digits;
		}
		digits++;
	}
	return digits ? 0 : -EINVAL;
}

static bool mask_has(const uint32_t *mask, unsigned cpu)
{
	return mask[cpu / 32] >> cpu % 32 & 1;
}

static void owned_list(struct selector *s)
{
	unsigned cpu;

	s->cpu.nowned = 0;
	for (cpu = 0; cpu < SELECTOR_CPUS; cpu++)
		if (s->cpu.owner[cpu])
			s->cpu.owned[s->cpu.nowned++] = (uint8_t)cpu;
}

static int ioa_add(struct ndm_target *ti, struct selector *s, struct mpath_path *p, unsigned argc,
		   char **argv)
{
	unsigned cpu;
	bool any = false;

	if (argc != 1)
		return ndm_error(ti, -EINVAL, "io-affinity ps: invalid number of arguments: %u for "
				 "a path, it is 1 (<cpumask>)", argc);
	if (mask_parse(argv[0], p->sel.cpu.mask))
		return ndm_error(ti, -EINVAL, "io-affinity ps: invalid cpumask: '%s' is not "
				 "hexadecimal, or has more than %u bits", argv[0], SELECTOR_CPUS);
	for (cpu = 0; cpu < SELECTOR_CPUS; cpu++) {
		if (!mask_has(p->sel.cpu.mask, cpu) || s->cpu.owner[cpu])
			continue;
		s->cpu.owner[cpu] = p;
		any = true;
	}
	if (!any)
		return ndm_error(ti, -EINVAL, "io-affinity ps: No new/valid CPU mapping found: each "
				 "bit of '%s' belongs to an earlier path, or there is none", argv[0]);
	owned_list(s);
	s->nvalid++;
	return 0;
}

static struct mpath_path *ioa_select(struct selector *s, uint64_t sector, uint64_t bytes)
{
	uint64_t region = sector >> REGION_SECTORS_SHIFT;
	struct mpath_path *p = s->cpu.owner[s->cpu.owned[region % s->cpu.nowned]];
	unsigned i;

	(void)bytes;
	if (!p->sel.cpu.failed)
		return p;
	for (i = 0; i < s->cpu.nowned; i++) {
		p = s->cpu.owner[s->cpu.owned[i]];
		if (!p->sel.cpu.failed)
			return p;
	}
	return NULL;
}

static void ioa_fail(struct selector *s, struct mpath_path *p)
{
	p->sel.cpu.failed = true;
	s->nvalid--;
}

static void ioa_reinstate(struct selector *s, struct mpath_path *p)
{
	p->sel.cpu.failed = false;
	s->nvalid++;
}

static void ioa_table_words(const struct mpath_path *p, struct ndm_str *out)
{
	const uint32_t *mask = p->sel.cpu.mask;
	unsigned top = SELECTOR_MASK_WORDS;

	while (top > 1 && !mask[top - 1])
		top--;
	ndm_printf(out, "%x", mask[--top]);
	while (top)
		ndm_printf(out, ",%08x", mask[--top]);
	ndm_printf(out, " ");
}

/* Requests of a processor that has no path: regions go round those that have one. */
static void ioa_info_words(const struct mpath_path *p, struct ndm_str *out)
{
	(void)p;
	ndm_printf(out, "0 ");
}

const struct selector_type selector_io_affinity = {
	.name = "io-affinity",
	.table_args = 1,
	.info_args = 1,
	.add = ioa_add,
	.select = ioa_select,
	.fail = ioa_fail,
	.reinstate = ioa_reinstate,
	.table_words = ioa_table_words,
	.info_words = ioa_info_words,
};
