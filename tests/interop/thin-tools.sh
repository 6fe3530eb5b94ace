#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's thin-provisioning-tools read what ndm writes, and ndm reads what they write: check, dump,
# restore, repair, metadata snapshots of a pool that is in use, and the mark that only they clear.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program thin_check thin_dump thin_restore thin_repair thin_ls thin_delta qemu-io nbdcopy

dm() { "$NDMSETUP" "$@"; }
io() {	# NAME COMMAND...: of qemu-io
	local name=$1 words=()
	shift
	for w; do words+=(-c "$w"); done
	qemu-io -f raw -d unmap -n "${words[@]}" "$(uri "$name")" > io.out 2>&1 || fail "$name: $(cat io.out)"
	if grep -q 'failed' io.out; then fail "$name: $(cat io.out)"; fi
}
checked() { thin_check "$1" > check.out 2>&1 || fail "thin_check $1: $(cat check.out)"; }
# the same mappings, whatever blocks of data they lead to and when they were made
mappings() { thin_dump "$@" | sed -E 's/ (time|uuid|creation_time|snap_time|transaction|flags|version|nr_data_blocks)="[^"]*"//g'; }

start_ndmd
truncate -s 4M meta
truncate -s 64M data
dm create pool --table "0 131072 thin-pool $T/meta $T/data 128 0"
dm message pool 0 create_thin 0
dm create t0 --table "0 262144 thin /dev/mapper/pool 0"
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
say "SEED=$SEED"
for ((i = 0; i < 400; i++)); do
	echo "write -P $((RANDOM % 255 + 1)) $((RANDOM % 500 * 65536 + RANDOM % 32 * 512)) 4k"
done > writes
mapfile -t writes < writes
io t0 "${writes[@]}" flush
dm suspend t0; dm message pool 0 create_snap 1 0; dm resume t0
dm create t1 --table "0 262144 thin /dev/mapper/pool 1"
io t0 "${writes[@]:0:120}" "discard 64k 2M" "discard 10M 512k" flush
io t1 "write -P 9 1M 3M" "discard 20M 1M" flush

# while it is in use: the metadata snapshot
dm message pool 0 reserve_metadata_snap
block=$(dm status pool | cut -d' ' -f7)
thin_dump -m "$T/meta" > held.xml || fail "thin_dump -m"
[ "$(grep -c '<device' held.xml)" = 2 ] || fail "$(cat held.xml)"
thin_dump -m"$block" "$T/meta" > /dev/null || fail "thin_dump of block $block"
thin_delta -m --snap1 0 --snap2 1 "$T/meta" > delta.xml || fail "thin_delta -m"
grep -q "<different" delta.xml || fail "thin_delta sees no difference"
io t0 "write -P 77 30M 1M" flush
thin_dump -m "$T/meta" | cmp - held.xml || fail "the metadata snapshot has changed"
dm message pool 0 release_metadata_snap

nbdcopy "$(uri t0)" t0.raw
nbdcopy "$(uri t1)" t1.raw
for ((i = 2; i < 12; i++)); do
	dm message pool 0 create_snap $i $((i - 1))
done
dm message pool 0 delete 5
dm message pool 0 set_transaction_id 0 42
dm remove t0 t1 pool
checked meta
thin_ls -o DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS --no-headers meta > ls.out
[ "$(wc -l < ls.out)" = 11 ] || fail "thin_ls: $(cat ls.out)"
mappings meta > ours.xml

# back: what thin_restore and thin_repair make of it is a pool with the same devices
truncate -s 4M restored
thin_dump meta > full.xml
thin_restore -i full.xml -o restored > /dev/null
truncate -s 4M repaired
thin_repair -i meta -o repaired > /dev/null
for m in restored repaired; do
	checked $m
	cp --sparse=always data data.$m
	dm create pool --table "0 131072 thin-pool $T/$m $T/data.$m 128 0"
	[ "$(dm status pool | cut -d' ' -f4)" = 42 ] || fail "$m: $(dm status pool)"
	for i in 0 1; do
		dm create t$i --table "0 262144 thin /dev/mapper/pool $i"
		nbdcopy "$(uri t$i)" out
		cmp out t$i.raw || fail "$m: device $i is not the same"
	done
	io t1 "write -P 3 5M 2M" "discard 30M 2M" flush
	dm message pool 0 delete 7
	dm remove t0 t1 pool
	checked $m
done

# a pool that failed: only the tools clear the mark
printf '\1' | dd of=meta bs=1 seek=4 conv=notrunc status=none
if thin_check meta > /dev/null 2>&1; then fail "thin_check does not see a changed byte"; fi
thin_repair -i repaired -o meta > /dev/null
dm create base --table "0 8192 linear $T/meta 0"
dm create pool --table "0 131072 thin-pool /dev/mapper/base $T/data.repaired 128 0"
dm create t0 --table "0 262144 thin /dev/mapper/pool 0"
dm suspend base; dm load base --table "0 8192 flakey $T/meta 0 0 60 1 error_writes"; dm resume base
if qemu-io -f raw -c "write -P 1 33M 64k" -c flush "$(uri t0)" > out.txt 2>&1 && ! grep -q failed out.txt; then
	fail "a commit on a device that fails writes succeeded"
fi
dm status pool | grep -q ' ro .* needs_check ' || fail "$(dm status pool)"
dm suspend base; dm load base --table "0 8192 linear $T/meta 0"; dm resume base
wait_for "the mark on disk" eval '[ "$(dd if=meta bs=1 skip=4 count=1 status=none | xxd -p)" = 01 ]'
dm remove t0 pool base
checked meta
dm create pool --table "0 131072 thin-pool $T/meta $T/data.repaired 128 0"
dm status pool | grep -q ' ro .* needs_check ' || fail "$(dm status pool)"
dm remove pool
thin_check --clear-needs-check-flag meta > /dev/null
dm create pool --table "0 131072 thin-pool $T/meta $T/data.repaired 128 0"
dm status pool | grep -q ' rw .* - ' || fail "$(dm status pool)"
dm message pool 0 create_thin 100
dm remove pool
checked meta
stop_ndmd
say "a pool with $(wc -l < ls.out) devices went there and back"
