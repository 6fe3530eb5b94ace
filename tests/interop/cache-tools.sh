#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's cache_* and era_* tools read what ndm writes, after a clean end and after kill -9, and ndm
# reads what they write: cache_check, cache_dump and cache_restore, cache_writeback, era_check,
# era_dump and era_invalidate.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program cache_check cache_dump cache_restore cache_writeback era_check era_dump era_invalidate \
	qemu-io nbdcopy

dm() { "$NDMSETUP" "$@"; }
io() {	# NAME COMMAND...: of qemu-io
	local name=$1 words=()
	shift
	for w; do words+=(-c "$w"); done
	qemu-io -f raw -n "${words[@]}" "$(uri "$name")" > io.out 2>&1 || fail "$name: $(cat io.out)"
	if grep -q 'failed' io.out; then fail "$name: $(cat io.out)"; fi
}
good() {	# TOOL FILE
	"$1" "$2" > check.out 2>&1 || fail "$1 $2: $(cat check.out)"
}
marks() { era_dump --logical "$1" | sed -nE 's/.*<era block="([0-9]+)" era="([0-9]+)".*/\1 \2/p'; }
ndmd_dies() {
	kill -KILL "$ndmd_pid"
	wait "$ndmd_pid" 2>/dev/null || :
}

start_ndmd

# ---- a writeback cache that is killed: everything counts as dirty, and nothing is lost ----
truncate -s 1M meta; truncate -s 1M fast; truncate -s 8M slow
table="0 16384 cache $T/meta $T/fast $T/slow 64 1 writeback smq 2 migration_threshold 0"
dm create c --table "$table"
io c "write -P 1 0 256k" "write -P 2 1M 64k" "write -P 3 5M 4k" "write -P 4 40k 4k" flush
nbdcopy "$(uri c)" c.raw
dm suspend c
good cache_check meta
[ "$(cache_dump meta | grep -c 'dirty="true"')" = 10 ] || fail "dirty: $(cache_dump meta)"
dm resume c
io c "write -P 5 2M 32k" "write -P 6 64k 8k" flush
nbdcopy "$(uri c)" c.raw
ndmd_dies
good cache_check meta

# cache_writeback brings the origin up to date without us (its update of the metadata crashes, on those
# that Linux has made, too)
cp meta meta.copy; cp fast fast.copy; cp slow slow.copy
cache_writeback --no-metadata-update --metadata-device meta.copy --fast-device fast.copy --origin-device slow.copy \
	> writeback.out 2>&1 || fail "cache_writeback: $(cat writeback.out)"
cmp c.raw slow.copy || fail "what cache_writeback has made is not what was in the cache"

# we go on where we were killed; then over metadata that cache_restore has written
start_ndmd
dm create c --table "$table"
nbdcopy "$(uri c)" again.raw
cmp c.raw again.raw || fail "other data after kill -9"
dm remove c
cache_dump meta > c.xml
truncate -s 1M restored
cache_restore -i c.xml -o restored > restore.out 2>&1 || fail "cache_restore: $(cat restore.out)"
dm create c --table "${table/\/meta/\/restored}"
nbdcopy "$(uri c)" again.raw
cmp c.raw again.raw || fail "other data over restored metadata"
dm load c --table "0 16384 cache $T/restored $T/fast $T/slow 64 1 writeback cleaner 0"
dm suspend c; dm resume c
clean() { [ "$(dm status c | cut -d' ' -f14)" = 0 ]; }
end=$((SECONDS + 60))
until clean; do
	[ $SECONDS -lt $end ] || fail "never clean: $(dm status c)"
	sleep 0.1
done
cmp c.raw slow || fail "the cache is clean, and the origin has other data"
dm remove c
good cache_check restored

# ---- eras: killed, none is missed; what era_invalidate says; a snapshot held meanwhile ----
truncate -s 1M emeta; truncate -s 8M edata
dm create e --table "0 16384 era $T/emeta $T/edata 64"
io e "write -P 1 0 64k" flush
dm message e 0 checkpoint
io e "write -P 2 1M 4k" flush
dm message e 0 take_metadata_snap
era_invalidate --metadata-snapshot --written-since 2 emeta > since.xml || fail "era_invalidate"
grep -q 'block="32"' since.xml || fail "block 32 was written in era 2: $(cat since.xml)"
if grep -q 'block="0"' since.xml; then fail "block 0 was not: $(cat since.xml)"; fi
io e "write -P 3 4M 40k" flush
ndmd_dies
good era_check emeta
start_ndmd
dm create e --table "0 16384 era $T/emeta $T/edata 64"
dm message e 0 drop_metadata_snap
dm remove e
good era_check emeta
marks emeta > end			# the tools look at archived eras only: those that have ended
for line in "0 1" "1 1" "32 2" "128 3" "129 3"; do
	grep -qx "$line" end || fail "no '$line' in what era_dump says: $(grep -v ' 0$' end)"
done
[ "$(grep -vc ' 0$' end)" = 5 ] || fail "more marks than writes: $(grep -v ' 0$' end)"
say "cache and era tools agree"
