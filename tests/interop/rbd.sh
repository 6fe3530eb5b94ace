#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Images of a real Ceph (contrib/ceph-one-node: one monitor, one OSD) as devices: what is written
# is in the image, wrong names are refused in words, the OSD dies under load and comes back, and
# one of two ndmd that serve the same image dies, without an error for the client.
#
#	RBD_S=20 rbd.sh		seconds of load in each of the two
TEST_LIMIT_S=${TEST_LIMIT_S:-$((300 + 4 * ${RBD_S:-8}))}
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program ceph-mon ceph-osd ceph rbd qemu-io nbdinfo nbdcopy jq
requires_fio_nbd
seconds=${RBD_S:-8}

# ---- the cluster

node=$T/ceph
export CEPH_CONF=$node/ceph.conf
cleanup_fn "$top_srcdir/contrib/ceph-one-node" stop "$node"
PORT=$((20000 + RANDOM % 10000)) "$top_srcdir/contrib/ceph-one-node" start "$node" > ceph.err 2>&1 ||
	fail "contrib/ceph-one-node does not start"
rm -f "$node"/client.*.asok
rbd_do() { timeout 60 rbd "$@" 2>> rbd.err; }

osd_kill() {
	local pid
	pid=$(cat "$node/osd.sh.pid")
	kill -KILL "$pid"
	wait_for "the end of the OSD" ended "$pid"
}
osd_start() {
	ceph-osd -i 0 -f >> "$node/osd.out" 2>&1 </dev/null &
	echo $! > "$node/osd.sh.pid"
	started+=("$!")
	disown "$!"
}

# Several servers share an image safely when it has no exclusive-lock (docs/rbd.md).
rbd_do create --size 64M --image-feature layering rbd/img
rbd_do create --size 64M rbd/fast			# the default features, with an object map
start_ndmd

# ---- what is written is there

real_ext4 disk 64M
"$NDMSETUP" create img --table "0 131072 linear rbd:rbd/img 0"
"$NDMSETUP" create fast --table "0 131072 linear rbd:rbd/fast:id=admin 0"
for v in img fast; do
	nbdinfo --map "$(uri $v)" > map
	[ "$(awk '{ print $3 }' map | sort -u)" = 3 ] || fail "a new image is not one hole: $(cat map)"
	nbdcopy --flush disk "$(uri $v)"
	nbdcopy "$(uri $v)" back
	cmp disk back || fail "$v: what is read is not what was written"
	rbd_do export --no-progress "rbd/$v" exported
	cmp disk exported || fail "$v: Ceph has something else"
	rm -f exported
	nbdinfo --map "$(uri $v)" > map
	awk '$3 == 0 { data++ } $3 == 3 { holes++ } END { exit !(data && holes) }' map ||
		fail "$v: no data or no holes: $(cat map)"
	qemu-io -f raw -c 'write -P 0xab 5000k 300k' -c 'write -z 5100k 9000k' -c 'discard 20M 8M' \
		-c 'write -z -u 28M 4M' -c flush -c 'read -P 0xab 5000k 100k' -c 'read -P 0 5100k 9000k' \
		-c 'read -P 0 28M 4M' "$(uri $v)" > qemu-io.err || fail "qemu-io ended with $?"
	! grep -q 'verification failed' qemu-io.err || fail "wrong bytes"
done

# ---- a snapshot is read, and stays what it was

qemu-io -f raw -c 'write -P 1 0 64k' -c flush "$(uri img)" > /dev/null
rbd_do snap create --no-progress rbd/img@then
qemu-io -f raw -c 'write -P 2 0 64k' -c flush "$(uri img)" > /dev/null
"$NDMSETUP" create then -r --table "0 131072 linear rbd:rbd/img@then 0"
qemu-io -r -f raw -c 'read -P 1 0 64k' "$(uri then)" > qemu-io.err
! grep -q 'verification failed' qemu-io.err || fail "the snapshot has changed"
qemu-io -f raw -c 'read -P 2 0 64k' "$(uri img)" > qemu-io.err
! grep -q 'verification failed' qemu-io.err || fail "the image is not what was written after the snapshot"
"$NDMSETUP" remove then

# ---- it grows, and the next table may be longer

longer() { "$NDMSETUP" load fast --table "0 196608 linear rbd:rbd/fast:id=admin 0" && "$NDMSETUP" resume fast; }
! longer 2> /dev/null || fail "a table longer than the image is taken"
rbd_do resize --no-progress --size 96M rbd/fast
wait_for "the larger image to be noticed" longer
[ "$(nbdinfo --size "$(uri fast)")" = $((96 << 20)) ] || fail "the export has not grown"
"$NDMSETUP" remove fast

# ---- what cannot be opened is said

refused() {	# SENTENCE DEVICE
	! "$NDMSETUP" create wrong --table "0 2048 linear $2 0" 2> said < /dev/null || fail "$2 is taken"
	grep -q -- "$1" said || fail "$2: $(cat said)"
}
refused "no image 'none'" rbd:rbd/none
refused "no pool 'none'" rbd:none/img
refused "no option 'nonsense'" rbd:rbd/img:nonsense=1
refused "/none cannot be read" rbd:rbd/img:conf=/none
refused "rbd_cache stays off" rbd:rbd/img:rbd_cache=true
refused "no monitor of the Ceph cluster has answered within 1 s" \
	rbd:rbd/img:mon_host=127.0.0.1:ndm-connect-timeout=1000
rbd_do create --size 1M rbd/other
rbd_do config image set rbd/other rbd_cache true
refused "rbd config image set rbd/other rbd_cache false" rbd:rbd/other

# ---- the OSD dies under load

load() {	# URI SECONDS
	fio --ioengine=nbd --uri="$1" --name=x --rw=randrw --bs=4k --iodepth=16 --size=64m --verify=crc32c \
		--verify_fatal=1 --verify_backlog=1024 --fsync=64 --time_based --runtime="$2" \
		--output-format=json --output=fio.json > fio.err 2>&1 </dev/null &
	fio=$!
	started+=("$fio")
}
load_ends() {	# WHAT
	local status=0 end=$((SECONDS + seconds + 132))
	until ended "$fio"; do
		[ $SECONDS -lt $end ] || fail "fio does not end ($1)"
		sleep 0.1
	done
	wait "$fio" || status=$?
	[ $status -eq 0 ] || { cat fio.json; fail "fio ended with $status ($1)"; }
	jq -re '.jobs[0] | select(.error == 0) | "'"$1"': \(.read.total_ios + .write.total_ios) requests, longest held up \([.read.lat_ns.max, .write.lat_ns.max] | max / 1e7 | floor / 100) s"' fio.json ||
		fail "fio had errors ($1)"
}
written() { [ "$("$NDMSETUP" message "$1" 0 @stats_print "$stats" | awk '{ n += $6 } END { print n }')" -gt 0 ]; }

stats=$("$NDMSETUP" message img 0 @stats_create - /1)
load "$(uri img)" $((seconds + 12))		# it is held up for some of them
wait_for "fio's first write" written img
osd_kill
status=0
timeout 2 qemu-io -f raw -c 'read 0 4k' "$(uri img)" > qemu-io.err 2>&1 || status=$?
[ $status -eq 124 ] || fail "without its OSD a read ends with $status: $(cat qemu-io.err)"
timeout 5 "$NDMSETUP" status img > /dev/null || fail "status does not answer while the OSD is away"
refused "no OSD of the Ceph cluster has answered" rbd:rbd/img:ndm-connect-timeout=1000
osd_start
load_ends "OSD killed and restarted"
"$NDMSETUP" remove img

# ---- two ndmd serve the image, and each is killed once

declare -a leg_pid
leg_uri() { echo "nbd+unix:///d?socket=$T/leg$1"; }
leg_answers() { nbdinfo --size "$(leg_uri "$1")"; }
start_leg() {
	rm -f "leg$1"
	"$NDMD" --foreground --control "$T/legctl$1" --listen "unix:$T/leg$1" \
		--create "d: 0 131072 linear rbd:rbd/img 0" >> "leg$1.err" 2>&1 </dev/null &
	leg_pid[$1]=$!
	started+=("$!")
	disown "$!"
	wait_for "leg $1" leg_answers "$1"
}
paths_active() {
	[ "$("$NDMSETUP" message data 0 paths | jq '[.groups[].paths[] | select(.active // (.state == "active"))] | length')" = "$1" ]
}

start_leg 1
start_leg 2
"$NDMSETUP" create data --table "0 131072 multipath 6 queue_if_no_path ndm_checker 500 300 ndm_failback immediate 0 1 1 round-robin 0 2 1 $(leg_uri 1) 1 $(leg_uri 2) 1"
stats=$("$NDMSETUP" message data 0 @stats_create - /1)
load "$(uri data)" $((seconds + 12))		# both have to come back within it
wait_for "fio's first write" written data
for leg in 1 2; do
	wait_for "both paths" paths_active 2
	! ended "$fio" || say "a slow machine: the load was over before leg $leg was killed"
	kill -KILL "${leg_pid[leg]}"
	wait_for "the loss of a path" paths_active 1
	start_leg $leg
done
wait_for "both paths" paths_active 2
load_ends "two ndmd, each killed once"
"$NDMSETUP" remove data
for leg in 1 2; do kill -TERM "${leg_pid[leg]}"; done
for leg in 1 2; do wait_for "the end of leg $leg" ended "${leg_pid[leg]}"; done
stop_ndmd
