#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 4: a volume over two NBD servers that share a disk goes on while each of them in turn is
# stopped, killed and started again, under fio with verification.  With both gone requests wait,
# and fail at once when told to.  What was acknowledged and not flushed survives a server that is
# killed, and even the loss of all that the servers had not made durable.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit nbdinfo
requires_fio_nbd
requires nbdsh --version

truncate -s 64M disk.img
answers() { nbdinfo --size "nbd+unix:///?socket=$T/$1.sock"; }
start_server() {	# NAME: its pid goes into that variable
	rm -f "$1.sock"
	# with threads, nbdkit 1.32 aborts when a client leaves amid replies (raw_send_socket)
	nbdkit -f -t 1 -U "$1.sock" file disk.img >> "$1.log" 2>&1 </dev/null &
	printf -v "$1" %s $!
	started+=($!)
	disown $!
	wait_for "nbdkit $1" answers "$1"
}
start_server a
start_server b

cat > vol.yaml <<END
version: 1
volumes:
  data:
    export: data
    multipath:
      queue_if_no_path: true
      checker: {every: 500ms, timeout: 300ms}
      groups:
        - selector: service-time
          paths: ["nbd+unix:///?socket=$T/a.sock", "nbd+unix:///?socket=$T/b.sock"]
END
"$NDMD" --check vol.yaml
start_ndmd vol.yaml
paths="nbd+unix:///?socket=$T/a.sock 1 1 nbd+unix:///?socket=$T/b.sock 1 1 "
table="0 131072 multipath 1 queue_if_no_path 0 1 1 service-time 0 2 2 $paths"
[ "$("$NDMSETUP" table data)" = "$table" ] || fail "table: $("$NDMSETUP" table data)"
events() { "$NDMSETUP" info -c --noheadings -o events data; }
[ "$(events)" -eq 0 ] || fail "events before anything has happened"

state() { "$NDMSETUP" status data | grep -oE "$1.sock [AF] [0-9]+"; }
is() { state "$1" | grep -q " $2 "; }
quick_status() {
	local before after
	before=$(date +%s%N)
	"$NDMSETUP" status data > /dev/null
	after=$(date +%s%N)
	echo $(((after - before) / 1000000)) >> status.ms
}

# ---- each in turn, under load

fio --ioengine=nbd --uri="$(uri data)" --name=x --rw=randrw --bs=4k --iodepth=16 --size=64m --verify=crc32c \
	--verify_fatal=1 --fsync=128 --time_based --runtime=12 --output-format=json --output=fio.json > fio.err 2>&1 </dev/null &
fio=$!
started+=("$fio")
wait_for "fio's first requests" sh -c "'$NDMSETUP' message data 0 paths | grep -q '\"ios\":[1-9][0-9][0-9]'"

kill -STOP "$a"
wait_for "a, stopped, to be given up" is a F
quick_status
"$NDM" multipath -ll > ll
grep -q "^size=64.00m features='1 queue_if_no_path' hwhandler='0' wp=rw" ll || fail "no head in: $(cat ll)"
grep -q "^\`-+- policy='service-time 0' prio=1 status=active" ll || fail "no group in: $(cat ll)"
grep -qE "^  \|- .*/a.sock 240:[0-9]+ failed faulty offline \(no answer within 300 ms, [0-9.]+ s ago\) [0-9]+ io" ll ||
	fail "no a in: $(cat ll)"
grep -qE "^  \`- .*/b.sock 240:[0-9]+ active ready running [0-9.]+ ms [0-9]+ io" ll || fail "no b in: $(cat ll)"
kill -CONT "$a"
wait_for "a to be reinstated" is a A
seen=$(events)
[ "$seen" -ge 2 ] || fail "$seen events after a path has failed and come back"
kill -KILL "$b"
timeout 10 "$NDMSETUP" wait data "$seen" || fail "no event when b was killed"
wait_for "b, killed, to be given up" is b F
quick_status
start_server b
wait_for "b to be reinstated" is b A
kill -KILL "$a"
wait_for "a, killed, to be given up" is a F
quick_status
start_server a
wait_for "a to be reinstated" is a A
kill -STOP "$b"
wait_for "b, stopped, to be given up" is b F
quick_status
kill -CONT "$b"
wait_end "$fio" || fail "fio: $(cat fio.err)"
python3 - <<'END'
import json
job = json.load(open("fio.json"))["jobs"][0]
assert job["error"] == 0, job["error"]
worst = max(job[d]["lat_ns"]["max"] for d in ("read", "write")) / 1e9
print(f"{job['read']['total_ios'] + job['write']['total_ios']} requests, longest held up {worst:.2f} s")
END
wait_for "b to be reinstated" is b A

# ---- acknowledged, not flushed, and both servers gone: it is there when one is back

cat > unflushed.py <<'END'
import os
data = os.urandom(1 << 20)
for at in range(0, 1 << 20, 65536):
    h.pwrite(data[at:at + 65536], at)
open("written", "wb").write(data)
END
all_is_there() {	# WHAT TO SAY IF NOT
	nbdsh -u "$(uri data)" -c "
assert h.pread(1 << 20, 0) == open('written', 'rb').read(), '$1'
h.flush()"
	cmp -n 1048576 disk.img written || fail "what was flushed is not on the disk"
}
nbdsh -u "$(uri data)" -c 'exec(open("unflushed.py").read())'
kill -KILL "$a" "$b"
wait_for "both to be given up" sh -c "'$NDMSETUP' status data | grep -q 'a.sock F.*b.sock F'"
# the machine with the disk has lost what was not durable
dd if=/dev/zero of=disk.img bs=1M count=1 conv=notrunc status=none
start_server a
wait_for "a to be reinstated" is a A
all_is_there "acknowledged data were lost"

# ---- the same, and a new table is loaded while there is no path: it takes over what was kept

"$NDMSETUP" status data | grep -q 'b.sock F' || fail "b is there"
nbdsh -u "$(uri data)" -c 'exec(open("unflushed.py").read())'
kill -KILL "$a"
wait_for "a to be given up" is a F
dd if=/dev/zero of=disk.img bs=1M count=1 conv=notrunc status=none
"$NDMSETUP" suspend --noflush data
"$NDMSETUP" reload data --table "0 131072 multipath 4 queue_if_no_path ndm_checker 500 300 0 1 1 round-robin 0 1 1 nbd+unix:///?socket=$T/a.sock 1"
"$NDMSETUP" resume data
"$NDMSETUP" reload data --table "0 131072 multipath 4 queue_if_no_path ndm_checker 500 300 0 1 1 service-time 0 2 2 $paths"
start_server a
wait_for "a to be reinstated" is a A
all_is_there "the new table has lost acknowledged data"
"$NDMSETUP" resume data
wait_for "a to be reinstated" is a A

# ---- no path: requests wait, and fail when told to

kill -KILL "$a"
wait_for "a to be given up" is a F
nbdsh -u "$(uri data)" -c '
try:
    h.pread(512, 0)
    print("read")
except nbd.Error as e:
    print(e.errno)' > parked &
reader=$!
started+=("$reader")
wait_for "a request to be parked" sh -c "'$NDMSETUP' message data 0 paths | grep -q '\"parked\":1'"
quick_status
! ended "$reader" || fail "a request has ended although there is no path: $(cat parked)"
"$NDMSETUP" message data 0 fail_if_no_path
wait_end "$reader" || fail "the reader: $(cat parked)"
[ "$(cat parked)" = EIO ] || fail "parked, then: $(cat parked)"
"$NDMSETUP" table data | grep -q "multipath 0 0 1 1 " || fail "still queueing: $("$NDMSETUP" table data)"
"$NDMSETUP" message data 0 queue_if_no_path
start_server b
wait_for "b to be reinstated" is b A
nbdsh -u "$(uri data)" -c 'assert h.pread(1 << 20, 0) == open("written", "rb").read()'

# ---- ndmd starts while a server is away; a shorter disk is refused when it comes

stop_ndmd
start_ndmd vol.yaml
is a F || fail "a, which is away, is not failed: $(state a)"
truncate -s 32M short.img
rm -f a.sock
nbdkit -f -U a.sock file short.img >> a.log 2>&1 </dev/null &
a=$!
started+=("$a")
disown "$a"
wait_for "the short export to be refused" grep -q "the export has 33554432 bytes, and at least 67108864 are needed" ndmd.err
kill -KILL "$a"
head -c 67108864 /dev/urandom > other.img
rm -f a.sock
nbdkit -f -U a.sock file other.img >> a.log 2>&1 </dev/null &
a=$!
started+=("$a")
disown "$a"
wait_for "another disk to be refused" grep -q "not reinstating path .*/a.sock: sector .* differs from what" ndmd.err
is a F || fail "another disk was let in"
kill -KILL "$a"
start_server a
wait_for "a to be reinstated" is a A
nbdsh -u "$(uri data)" -c 'assert h.pread(1 << 20, 0) == open("written", "rb").read()'
stop_ndmd
say "status answered within $(sort -n status.ms | tail -n 1) ms"
