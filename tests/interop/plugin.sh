#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The same through nbdkit's plugin; and ndmd finds the same bytes with the same table.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_plugin
requires_program qemu-img nbdcopy nbdinfo jq mke2fs

MiB=$((1024 * 1024))
for f in a b c tail; do truncate -s $((16 * MiB)) $f.img; done
sectors=$((16 * MiB / 512))
table="0 $((3 * sectors)) striped 3 128 $T/a.img 0 $T/b.img 0 $T/c.img 0
$((3 * sectors)) $sectors linear $T/tail.img 0"

real_ext4 fs.img 64M
start_nbdkit "table=$table"
nbdinfo --json "$(uri '' "$ksock")" > info.json
jq -e '.exports[0]."export-size" == 67108864' info.json >/dev/null || fail "size: $(cat info.json)"
jq -e '.exports[0] | ."can_flush" and ."can_fua" and ."can_multi_conn" and ."can_trim" and ."can_zero" and ."can_cache"' \
	info.json >/dev/null || fail "flags: $(cat info.json)"
qemu-img convert -n -f raw -O raw fs.img "$(uri '' "$ksock")"
qemu-img compare -f raw -F raw fs.img "$(uri '' "$ksock")"
nbdcopy "$(uri '' "$ksock")" out.img
cmp fs.img out.img
if command -v fio >/dev/null && fio --enghelp 2>/dev/null | grep -qw nbd; then
	fio --name=v --ioengine=nbd --uri="$(uri '' "$ksock")" --thread --rw=randwrite --bs=4k --iodepth=16 \
		--numjobs=4 --size=4m --offset_increment=16m --verify=crc32c --minimal > fio.out 2>&1 ||
		fail "fio --verify: $(cat fio.out)"
fi
nbdcopy "$(uri '' "$ksock")" last.img
kill -TERM "$nbdkit_pid"
wait_end "$nbdkit_pid" || fail "nbdkit ended with $?"

start_ndmd --create "vol: $table"
qemu-img compare -f raw -F raw last.img "$(uri vol)" || fail "ndmd and the plugin see different bytes"
stop_ndmd
say "nbdkit and ndmd agree"

printf 'version: 1\nvolumes:\n  v: {allow: psk:bob, zero: {length: 8}}\n' > allow.yaml
! timeout 60 "${nbdkit_env[@]}" nbdkit -U - "$NBDKIT_NDM" "yaml=$T/allow.yaml" --run true > out 2>&1 ||
	fail "a volume for certain clients is open to everybody"
grep -q "volume 'v' has 'allow', which only ndmd can heed" out || fail "$(cat out)"
