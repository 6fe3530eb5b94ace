/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - the answer to the message stats: Linux' names in Linux' order, because programs look
 * for them.  What there is no such thing of here (an index, a packer, queues) counts 0.
 */
#include "targets/vdo/vdo.h"

#define VERSION 36u

struct number { const char *name; uint64_t n; };

static void numbers(struct ndm_str *out, const struct number *list)
{
	for (; list->name; list++)
		ndm_printf(out, "%s : %" PRIu64 ", ", list->name, list->n);
}

static void group(struct ndm_str *out, const char *name, const struct number *list)
{
	ndm_printf(out, "%s : { ", name);
	numbers(out, list);
	ndm_printf(out, "}, ");
}

static void requests(struct ndm_str *out, const char *name, const struct vdo_io_counts *c)
{
	group(out, name, (const struct number[]){ { "read", c->read }, { "write", c->write },
		{ "emptyFlush", c->flush }, { "discard", c->discard }, { "flush", c->flush }, { "fua", c->fua },
		{ 0 } });
}

static void volume(const struct vdo *v, struct ndm_str *out)
{
	const struct ndm_vdo_super *s = &v->super;
	uint64_t data = v->depot.allocated > s->map_blocks ? v->depot.allocated - s->map_blocks : 0;

	numbers(out, (const struct number[]){ { "version", VERSION }, { "dataBlocksUsed", data },
		{ "overheadBlocksUsed", vdo_used(v) - data }, { "logicalBlocksUsed", s->logical_used },
		{ "physicalBlocks", s->physical }, { "logicalBlocks", s->logical },
		{ "blockMapCacheSize", (uint64_t)v->config.cache_blocks * NDM_VDO_BLOCK },
		{ "blockSize", NDM_VDO_BLOCK }, { "completeRecoveries", s->complete_recoveries },
		{ "readOnlyRecoveries", s->read_only_recoveries }, { 0 } });
	ndm_printf(out, "mode : %s, inRecoveryMode : 0, recoveryPercentage : 100, ",
		   v->failed ? "read-only" : "normal");
}

static void journals(const struct vdo *v, struct ndm_str *out)
{
	const struct vdo_journal *j = &v->journal;
	const struct number none[] = { { "compressedFragmentsWritten", 0 }, { "compressedBlocksWritten", 0 },
				       { "compressedFragmentsInPacker", 0 }, { 0 } };
	const struct number entries[] = { { "started", j->entries_made }, { "written", j->entries_made },
					  { "committed", j->entries_committed }, { 0 } };
	const struct number blocks[] = { { "started", j->committed_blocks }, { "written", j->committed_blocks },
					 { "committed", j->committed_blocks }, { 0 } };

	group(out, "packer", none);
	group(out, "allocator", (const struct number[]){ { "slabCount", v->depot.n }, { "slabsOpened", 0 },
							 { "slabsReopened", 0 }, { 0 } });
	ndm_printf(out, "journal : { diskFull : 0, slabJournalCommitsRequested : 0, ");
	group(out, "entries", entries);
	group(out, "blocks", blocks);
	ndm_printf(out, "}, ");
	group(out, "slabJournal", (const struct number[]){ { "diskFullCount", 0 }, { "flushCount", 0 },
		{ "blockedCount", 0 }, { "blocksWritten", 0 }, { "tailBusyCount", 0 }, { 0 } });
	group(out, "slabSummary", (const struct number[]){ { "blocksWritten", 0 }, { 0 } });
	group(out, "refCounts", (const struct number[]){ { "blocksWritten", 0 }, { 0 } });
}

static void block_map(const struct vdo *v, struct ndm_str *out)
{
	const struct vdo_map *m = &v->map;

	group(out, "blockMap", (const struct number[]){ { "dirtyPages", m->dirty },
		{ "cleanPages", m->pages - m->dirty }, { "freePages", m->limit > m->pages ? m->limit - m->pages : 0 },
		{ "failedPages", 0 }, { "incomingPages", 0 }, { "outgoingPages", 0 }, { "cachePressure", 0 },
		{ "readCount", 0 }, { "writeCount", 0 }, { "failedReads", 0 }, { "failedWrites", 0 },
		{ "reclaimed", 0 }, { "readOutgoing", 0 }, { "foundInCache", 0 }, { "discardRequired", 0 },
		{ "waitForPage", 0 }, { "fetchRequired", m->reads }, { "pagesLoaded", m->reads },
		{ "pagesSaved", m->writes }, { "flushCount", 0 }, { 0 } });
	group(out, "hashLock", (const struct number[]){ { "dedupeAdviceValid", 0 }, { "dedupeAdviceStale", 0 },
		{ "concurrentDataMatches", 0 }, { "concurrentHashCollisions", 0 }, { "currDedupeQueries", 0 }, { 0 } });
	group(out, "errors", (const struct number[]){ { "invalidAdvicePBNCount", 0 },
		{ "noSpaceErrorCount", v->no_space }, { "readOnlyErrorCount", v->read_only_errors }, { 0 } });
}

void vdo_stats_print(struct vdo *v, struct ndm_str *out)
{
	static const char *const outgoing[] = { "biosInPartial", "biosOut", "biosMeta", "biosJournal",
		"biosPageCache", "biosOutCompleted", "biosMetaCompleted", "biosJournalCompleted",
		"biosPageCacheCompleted" };
	const struct vdo_io_counts none = { 0 };
	unsigned i;

	ndm_printf(out, "{ ");
	volume(v, out);
	journals(v, out);
	block_map(v, out);
	numbers(out, (const struct number[]){ { "instance", 0 }, { "currentVIOsInProgress", 0 }, { "maxVIOs", 0 },
		{ "dedupeAdviceTimeouts", 0 }, { "flushOut", v->in.flush },
		{ "logicalBlockSize", v->config.logical_bytes }, { 0 } });
	requests(out, "biosIn", &v->in);
	for (i = 0; i < sizeof outgoing / sizeof *outgoing; i++)
		requests(out, outgoing[i], &none);
	requests(out, "biosAcknowledged", &v->in);
	requests(out, "biosAcknowledgedPartial", &none);
	requests(out, "biosInProgress", &none);
	group(out, "memoryUsage", (const struct number[]){ { "bytesUsed", (uint64_t)v->map.pages * NDM_VDO_BLOCK },
		{ "peakBytesUsed", (uint64_t)v->map.pages * NDM_VDO_BLOCK }, { 0 } });
	group(out, "index", (const struct number[]){ { "entriesIndexed", 0 }, { "postsFound", 0 },
		{ "postsNotFound", 0 }, { "queriesFound", 0 }, { "queriesNotFound", 0 }, { "updatesFound", 0 },
		{ "updatesNotFound", 0 }, { "entriesDiscarded", 0 }, { 0 } });
	ndm_printf(out, "}");
}
