# SPDX-License-Identifier: BSD-2-Clause
# One line for each target's file; its name also goes into targets/all.h.
libndm_core_la_SOURCES += targets/all.h
libndm_core_la_SOURCES += targets/linear.c
libndm_core_la_SOURCES += targets/striped.c
libndm_core_la_SOURCES += targets/zero.c
libndm_core_la_SOURCES += targets/error.c
libndm_core_la_SOURCES += targets/delay.c
libndm_core_la_SOURCES += targets/flakey.c
libndm_core_la_SOURCES += targets/powerfail.c
libndm_core_la_SOURCES += targets/dust.c
libndm_core_la_SOURCES += targets/ebs.c
libndm_core_la_SOURCES += targets/unstriped.c
libndm_core_la_SOURCES += targets/switch.c
libndm_core_la_SOURCES += targets/crypt/crypt.h targets/crypt/table.c targets/crypt/key.c targets/crypt/io.c targets/crypt/luks.c
libndm_core_la_SOURCES += targets/log-writes.c
libndm_core_la_SOURCES += targets/verity/verity.h targets/verity/format.c targets/verity/io.c targets/verity/repair.c targets/verity/signature.c targets/verity/table.c targets/verity/tree.c
libndm_core_la_SOURCES += targets/multipath/multipath.h targets/multipath/selector.h targets/multipath/table.c targets/multipath/status.c targets/multipath/path.c targets/multipath/io.c
libndm_core_la_SOURCES += targets/multipath/flush.c targets/multipath/message.c targets/multipath/selector.c targets/multipath/round-robin.c targets/multipath/queue-length.c
libndm_core_la_SOURCES += targets/multipath/service-time.c targets/multipath/historical-service-time.c targets/multipath/io-affinity.c
libndm_core_la_SOURCES += targets/multipath/unflushed.c targets/multipath/resend.c targets/multipath/policy.c targets/multipath/checker.c targets/multipath/failback.c targets/multipath/report.c targets/multipath/handover.c targets/multipath/memory.c
libndm_core_la_SOURCES += targets/snapshot/snapshot.h targets/snapshot/exceptions.c \
	targets/snapshot/store.c targets/snapshot/persistent.c targets/snapshot/cow.c targets/snapshot/memory.c targets/snapshot/origins.c \
	targets/snapshot/snapshot.c targets/snapshot/origin.c targets/snapshot/merge.c
libndm_core_la_SOURCES += targets/mirror.c
libndm_core_la_SOURCES += targets/integrity/integrity.h targets/integrity/bitmap.c targets/integrity/format.c targets/integrity/hash.c targets/integrity/io.c targets/integrity/journal.c
libndm_core_la_SOURCES += targets/integrity/journal-write.c targets/integrity/life.c targets/integrity/recalc.c targets/integrity/replay.c targets/integrity/super.c targets/integrity/table.c targets/integrity/tags.c
libndm_core_la_SOURCES += targets/writecache/writecache.h targets/writecache/commit.c targets/writecache/entries.c targets/writecache/io.c targets/writecache/life.c targets/writecache/table.c targets/writecache/writeback.c
libndm_core_la_SOURCES += targets/era/era.h targets/era/era.c targets/era/metadata.c
libndm_core_la_SOURCES += targets/clone/clone.h targets/clone/clone.c targets/clone/hydrate.c targets/clone/map.c
libndm_core_la_SOURCES += targets/cache/cache.h targets/cache/queue.h targets/cache/smq.h targets/cache/commit.c targets/cache/metadata.c targets/cache/io.c targets/cache/life.c targets/cache/locks.c targets/cache/migrate.c targets/cache/queue.c targets/cache/smq.c targets/cache/table.c
libndm_core_la_SOURCES += targets/thin/thin.h targets/thin/devices.c targets/thin/message.c targets/thin/metadata.c targets/thin/pool.c targets/thin/pool-target.c \
	targets/thin/provision.c targets/thin/thin.c
libndm_core_la_SOURCES += targets/raid/raid.h targets/raid/table.c targets/raid/super.c targets/raid/assemble.c targets/raid/convert.c targets/raid/takeover.c targets/raid/reshape.c targets/raid/bitmap.c targets/raid/geometry.c targets/raid/parity.c targets/raid/member.c
libndm_core_la_SOURCES += targets/raid/journal.h targets/raid/journal.c targets/raid/journal-replay.c targets/raid/copies.c targets/raid/behind.c targets/raid/stripe.c targets/raid/stripe-io.c targets/raid/sync.c targets/raid/sync-copies.c targets/raid/sync-stripe.c targets/raid/status.c targets/raid/life.c
libndm_core_la_SOURCES += targets/vdo/vdo.h targets/vdo/change.c targets/vdo/depot.c targets/vdo/format.c targets/vdo/io.c targets/vdo/journal.c targets/vdo/load.c targets/vdo/map.c targets/vdo/replay.c targets/vdo/stats.c targets/vdo/status.c targets/vdo/table.c targets/vdo/vdo.c
libndm_core_la_SOURCES += targets/zoned.c
