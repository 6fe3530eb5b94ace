#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Nobody who looks waits for a path: every server of a multipath volume is stopped, nothing gives
# them up, requests are out on them and a suspend waits for these.  Status, table, info, the
# message `paths` and `ndm multipath -ll` must answer all the same, or they never would.  How
# fast they do over one connection is printed beside the same of a device without servers.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit
requires nbdsh --version

LOOKS=${LOOKS:-300}
truncate -s 64M disk
legs=()
table="0 131072 multipath 1 queue_if_no_path 0 1 1 round-robin 0 4 1"
for i in 0 1 2 3; do
	nbdkit -f -U "leg$i" file disk > "leg$i.log" 2>&1 </dev/null &
	legs+=("$!")
	started+=("$!")
	wait_for "leg $i" test -S "leg$i"
	table+=" nbd+unix:///?socket=$T/leg$i 1"
done
start_ndmd
"$NDMSETUP" create data --table "$table"
"$NDMSETUP" create calm --table "0 2048 zero"

times() {	# DEVICE: half, 99 %, all within so many ms
	/usr/bin/python3 - "$NDM_CONTROL" "$1" "$LOOKS" <<-'END'
		import socket, struct, sys, time
		head = struct.Struct("=3IIIIiIIIQ128s129s7s")
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		body = head.pack(4, 0, 0, 16384, head.size, 0, 0, 0, 0, 0, 0, sys.argv[2].encode(), b"", b"")
		body += bytes(16384 - len(body))
		def read(n):
		    data = b""
		    while len(data) < n:
		        more = s.recv(n - len(data))
		        assert more, "ndmd hung up"
		        data += more
		    return data
		took = []
		for _ in range(int(sys.argv[3])):
		    before = time.monotonic()
		    s.sendall(struct.pack("=II", 12, len(body)) + body)	# DM_TABLE_STATUS
		    error, length = struct.unpack("=II", read(8))
		    text = read(length)
		    took.append((time.monotonic() - before) * 1e3)
		    assert not error and text, error
		took.sort()
		print("%.2f, %.2f, %.2f ms" % (took[len(took) // 2], took[len(took) * 99 // 100], took[-1]))
	END
}

kill -STOP "${legs[@]}"
nbdsh -u "$(uri data)" -c '
bufs = [nbd.Buffer(4096) for i in range(32)]
for i in range(16):
    h.aio_pread(bufs[i], 65536 * i)
    h.aio_pwrite(bufs[16 + i], 65536 * i + 32768)
print("sent", flush=True)
while h.aio_in_flight():
    h.poll(-1)
print("ended")
' > client &
client=$!
started+=("$client")
on_their_way() {
	"$NDMSETUP" message data 0 paths | grep -oE '"in_flight":[0-9]+' | awk -F: '{ n += $2 } END { exit n < 32 }'
}
wait_for "32 requests to be on their way" on_their_way
"$NDMSETUP" suspend data & suspend=$!
started+=("$suspend")

look() {	# WHEN
	timeout 60 "$NDMSETUP" status data | grep -q "leg0 A 0 .*leg3 A 0 " || fail "$1: status"
	timeout 60 "$NDMSETUP" table data | grep -q multipath || fail "$1: table"
	timeout 60 "$NDMSETUP" info data | grep -q "^State:" || fail "$1: info"
	timeout 60 "$NDM" multipath -ll | grep -c "/leg[0-3] " | grep -qx 4 || fail "$1: ndm multipath -ll"
}
for i in 1 2 3 4 5; do look "all servers stopped"; done
! ended "$suspend" || fail "the suspend has ended although requests are out"
data=$(timeout 120 bash -c "$(declare -f times); NDM_CONTROL=$NDM_CONTROL LOOKS=$LOOKS times data") || fail "status does not answer"
calm=$(times calm)
grep -q ended client && fail "the requests have ended"
say "$LOOKS times status, half, 99 %, all within $data; of a device without servers $calm"

kill -CONT "${legs[@]}"
wait_end "$suspend" || fail "the suspend failed"
"$NDMSETUP" resume data
wait_end "$client" || fail "the client: $(cat client)"
grep -q ended client || fail "the client: $(cat client)"
stop_ndmd
