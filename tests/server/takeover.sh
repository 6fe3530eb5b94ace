#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# ndmd --takeover: fio verifies across ten of them and sees no error; bytes of a request that is
# half sent, replies that nobody has read yet and handshakes that are half done go on; a new
# process that fails or dies leaves the old one serving; what cannot be handed over is refused.
# And KILL, a restart from the state folder, and a client that connects again.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_fio_nbd
requires nbdsh --version

dm() { "$NDMSETUP" "$@"; }
truncate -s 64M a.img b.img

# takeover ARGUMENT...: $ndmd_pid is the new one's then, and the old one has ended with 0
takeover() {
	local old=$ndmd_pid status=0
	"$NDMD" --foreground --takeover --control "$NDM_CONTROL" "$@" >> ndmd.out 2>> ndmd.err < /dev/null &
	ndmd_pid=$!
	started+=("$ndmd_pid")
	wait_end "$old" || status=$?
	[ "$status" -eq 0 ] || fail "the old process ended with $status"
	wait_for "the new process to answer" dm version
}

say "ten takeovers under fio --verify"
low="0 65536 linear $T/a.img 0
65536 65536 striped 2 128 $T/b.img 0 $T/b.img 32768"
start_ndmd --threads 2 --listen tcp:127.0.0.1:0 --create "low: 0 131072 error"
dm load low --table "$low"
dm resume low
dm create d --uuid D --table '0 131072 linear /dev/mapper/low 0'
dm load d --table '0 131072 error'
dm create held --table '0 8 zero'
dm suspend held
fios=()
for job in 0 1 2; do
	fio --name="job$job" --ioengine=nbd --uri="$(uri d)" --thread --rw=randrw --bsrange=512-256k \
		--bs_unaligned=1 --iodepth=16 --offset="$((job * 20))m" --size=20m --verify=crc32c \
		--verify_backlog=64 --loops=1000 --minimal > "fio$job.out" 2> "fio$job.err" &
	fios+=($!)
	started+=($!)
done
loaded() { [ "$(od -An -tx8 -N8 -j "$1" "$2")" != ' 0000000000000000' ]; }
busy() { for at in 0 4194304 8388608; do ! loaded $at a.img || return 0; done; return 1; }
three() { [ "$(dm info -c --noheadings -o open d)" = 3 ]; }
wait_for "three clients" three
wait_for "fio to write" busy
before=$(dm info -c --noheadings -o name,uuid,minor,open,segments,suspended,events,tables_loaded)
tables=$(dm table; dm table --inactive)
for turn in 1 2 3 4 5 6 7 8 9 10; do
	takeover --threads $((turn % 3 + 1))
	for job in 0 1 2; do
		! ended "${fios[$job]}" || fail "fio ended at takeover $turn: $(cat "fio$job.err")"
	done
done
[ "$before" = "$(dm info -c --noheadings -o name,uuid,minor,open,segments,suspended,events,tables_loaded)" ] ||
	fail "devices: $(dm info -c -o name,uuid,minor,open,segments,suspended,events,tables_loaded), not $before"
[ "$tables" = "$(dm table; dm table --inactive)" ] || fail "tables: $(dm table; dm table --inactive), not $tables"
for pid in "${fios[@]}"; do kill -INT "$pid"; done
for job in 0 1 2; do
	status=0
	wait_end "${fios[$job]}" || status=$?
	# 128: by our signal; the fifth field is the first error there was
	[ "$status" -eq 128 ] || fail "fio ended with $status: $(cat "fio$job.err")"
	[ "$(grep '^3;fio' "fio$job.out" | cut -d';' -f5)" = 0 ] || fail "fio: $(cat "fio$job.out" "fio$job.err")"
	[ ! -s "fio$job.err" ] || ! grep -qi 'verify\|nbd_' "fio$job.err" || fail "fio: $(cat "fio$job.err")"
done
[ "$(grep -c 'has taken over' ndmd.err)" = 10 ] || fail "not ten takeovers"
dm resume held
fio --name=last --ioengine=nbd --uri="$(uri d)" --thread --rw=randrw --bsrange=512-256k --bs_unaligned=1 \
	--iodepth=16 --size=8m --verify=crc32c --minimal > last.out 2> last.err || fail "fio: $(cat last.err)"

say "half a request, unread replies, half a handshake, a half-closed client"
cat > half.py <<'PY'
import os, struct, subprocess, sys
sys.path.insert(0, sys.argv[2])
from nbdraw import *
sock, go_on = sys.argv[1], sys.argv[3]

def take_over(turn):
    open(f"ready{turn}", "w").close()
    with open(go_on) as f:
        f.read()

def request(kind, cookie, offset, length, data=b"", flags=0):
    return struct.pack(">IHHQQI", 0x25609513, flags, kind, cookie, offset, length) + data

def reply(c, cookie, error=0, n=0):
    got_error, data, _ = c.reply(n)
    assert (got_error, c.cookie) == (error, cookie), (got_error, c.cookie)
    return data

def client():
    c = Client(sock)
    assert c.go(b"d") == ACK
    return c

payload, clients, big = os.urandom(3 << 20), [], 8 << 20
# at every kind of place within a request: (bytes of it sent before)
cuts = [0, 1, 4, 27, 28, 29, 28 + 4096, 28 + (1 << 20), 28 + (3 << 20) - 1]
for i, cut in enumerate(cuts):
    c = client()
    message = request(WRITE, i, 4096 + i, len(payload), payload)
    c.put(message[:cut])
    clients.append((c, message[cut:]))
# a write that is refused, in the middle of what is thrown away
bad = client()
message = request(WRITE, 77, 1 << 40, 1 << 20, payload[:1 << 20])
bad.put(message[:5000])
# many replies that nobody takes, more requests than a connection may have under way, and a tail
deaf = client()
many = b"".join(request(READ, i, 0, 65536) for i in range(700))
deaf.put(many[:-10])
# the client's side is closed, its replies are still to come
closed = client()
closed.put(b"".join(request(READ, i, 0, 1 << 20) for i in range(20)))
import socket
closed.s.shutdown(socket.SHUT_WR)
# handshakes: nothing said; half an option; structured replies agreed on
fresh = Client(sock, flags=None)
option = struct.pack(">8sII", b"IHAVEOPT", 7, 4 + 1 + 2) + struct.pack(">I", 1) + b"d" + struct.pack(">H", 0)
half = Client(sock)
half.put(option[:19])
agreed = Client(sock)
agreed.negotiate("structured")
for turn in 1, 2:
    take_over(turn)
for i, (c, rest) in enumerate(clients):
    c.put(rest)
    reply(c, i)
    c.put(request(READ, 1000 + i, 4096 + i, len(payload)))
    assert reply(c, 1000 + i, n=len(payload)) == payload
bad.put(message[5000:] + request(FLUSH, 78, 0, 0))
assert {struct.unpack(">IIQ", bad.take(16))[1:] for _ in range(2)} == {(28, 77), (0, 78)}
deaf.put(many[-10:])
seen = set()
for _ in range(700):
    magic, err, cookie = struct.unpack(">IIQ", deaf.take(16))
    assert magic == 0x67446698 and not err
    deaf.take(65536)
    seen.add(cookie)
assert seen == set(range(700))
seen = set()
for _ in range(20):
    magic, err, cookie = struct.unpack(">IIQ", closed.take(16))
    assert magic == 0x67446698 and not err
    closed.take(1 << 20)
    seen.add(cookie)
assert seen == set(range(20)) and closed.s.recv(1) == b""
fresh.put(struct.pack(">I", 3))
assert fresh.go(b"d") == ACK
half.put(option[19:])
kinds = []
while True:
    magic, opt, kind, n = struct.unpack(">QIII", half.take(20))
    half.take(n)
    kinds.append(kind)
    if kind != 3:
        break
assert kinds[-1] == 1, kinds
half.put(request(READ, 5, 0, 512))
reply(half, 5, n=512)
assert agreed.go(b"d") == ACK
assert len(agreed.call(READ, 4096, 512)[1]) == 512 and agreed.flags & 0x80
PY
mkfifo goon
/usr/bin/python3 half.py "$sock" "$top_srcdir/tests/server" goon 2> half.err &
half=$!
started+=("$half")
for turn in 1 2; do
	wait_for "half of everything" test -e "ready$turn"
	takeover --threads 2
	: > goon
done
wait_end "$half" || fail "see above"

say "who waits for an event is told of the end; commands in the backlog are answered"
cat > wait.py <<'PY'
import fcntl, struct, sys, termios, time
sys.path.insert(0, sys.argv[1])
from control import *
c = Control()
now = c.raw(DEV_STATUS, header("d")).event_nr
c.send(DEV_WAIT, header("d", event_nr=now, room=1024))
while struct.unpack("i", fcntl.ioctl(c.sock, termios.TIOCOUTQ, bytes(4)))[0]:
    time.sleep(0.01)				# ndmd has not read it yet
open("heard", "w").close()
c.sock.settimeout(None)
try:
    a = c.receive()
    assert a.error, "event %d came, it was %d" % (a.event_nr, now)
except (EOFError, ConnectionError):
    pass
PY
/usr/bin/python3 wait.py "$top_srcdir/tests/server" 2> wait.err &
waiting=$!
started+=("$waiting")
wait_for "the request to wait" test -e heard
takeover
wait_end "$waiting" || fail "who waited: $(cat wait.err)"

say "a new process that cannot serve leaves the old one serving"
cat > keep.py <<'PY'
import os, sys
sys.path.insert(0, sys.argv[2])
from nbdraw import *
c = Client(sys.argv[1])
assert c.go(b"d") == ACK
assert c.call(WRITE, 0, 4096, data=b"x" * 4096)[0] == 0
c.put(b"\x25\x60")
open("connected", "w").close()
for i in range(4):
    with open("goon2") as f:
        f.read()
    head = struct.pack(">IHHQQI", 0x25609513, 0, READ, i, 0, 4096)
    c.put(head[2:])
    assert c.reply(4096)[1] == b"x" * 4096 and c.cookie == i
    c.put(b"\x25\x60")
    open(f"done{i}", "w").close()
PY
mkfifo goon2
/usr/bin/python3 keep.py "$sock" "$top_srcdir/tests/server" 2> keep.err &
keep=$!
started+=("$keep")
wait_for "a client" test -e connected
before=$(dm info -c --noheadings -o name,uuid,minor,open,segments,suspended,events,tables_loaded)
still() {	# N: the old process serves, and is the same
	: > goon2
	wait_for "the client to be served" test -e "done$1"
	! ended "$ndmd_pid" || fail "the old process has ended"
	[ "$before" = "$(dm info -c --noheadings -o name,uuid,minor,open,segments,suspended,events,tables_loaded)" ] ||
		fail "devices: $(dm info -c), not $before"
}
# it finds no place for a listener of its own
! "$NDMD" --takeover --control "$NDM_CONTROL" --listen "unix:$T/no/such/folder" 2> bad.log ||
	fail "it has taken over"
grep -q "no/such/folder" bad.log
wait_for "the old one to go on" grep -q 'failed, serving on' ndmd.err
still 0
# its volumes are wrong, which shows when all devices have moved already
printf 'version: 1\nvolumes: {w: {linear: {length: 1M, device: %s/nofile}}}\n' "$T" > wrong.yaml
: > ndmd.err
! "$NDMD" --takeover --control "$NDM_CONTROL" -c wrong.yaml 2> bad.log || fail "it has taken over"
wait_for "the old one to go on" grep -q 'failed, serving on' ndmd.err
still 1
# it dies with all in its hands: who asks and takes what comes, and goes
cat > thief.py <<'PY'
import array, os, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(struct.pack("=II", 0x100b, 0))
def take(n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        assert more
        data += more
    return data
assert struct.unpack("=II", take(8)) == (0, 0)
image, fds = struct.unpack("=QQ", take(16))
take(image)
assert fds >= 3
os.kill(os.getpid(), 9)
PY
: > ndmd.err
/usr/bin/python3 thief.py "$NDM_CONTROL" 2> thief.err || :
wait_for "the old one to go on" grep -q 'failed, serving on' ndmd.err
still 2
: > goon2
wait_end "$keep" || fail "the client: $(cat keep.err)"
! "$NDMD" --takeover --control "$T/nobody" 2> bad.log || fail "there is nobody to take over from"
grep -q 'no ndmd to take over at' bad.log

say "after all that, again"
takeover
dm table d > table.out

say "memory cannot be handed over"
dm create m --table '0 2048 linear mem:1M 0'
! "$NDMD" --takeover --control "$NDM_CONTROL" 2> bad.log || fail "memory was handed over"
grep -q 'the running ndmd refuses: m stands on memory' bad.log
dm remove m

say "a volume of the file stays one: HUP removes it when the file has it no longer"
printf 'version: 1\nvolumes:\n  f: {zero: {length: 1M}}\n' > f.yaml
takeover -c f.yaml --state "$T/state" --pidfile "$T/pid"
[ "$(cat pid)" = "$ndmd_pid" ] && [ -e state/d.dm ] && [ ! -e state/f.dm ]
takeover -c f.yaml --state "$T/state" --pidfile "$T/pid"
[ "$(cat pid)" = "$ndmd_pid" ] && [ -e state/d.dm ]
printf 'version: 1\nvolumes: {}\n' > f.yaml
kill -HUP "$ndmd_pid"
no_f() { ! dm info f; }
wait_for "f to go" no_f
stop_ndmd
[ ! -e pid ] && [ ! -e "$sock" ] && [ ! -e control ]

if command -v certtool > certtool.out 2>&1 || openssl version > openssl.out; then
	say "TLS clients are answered, end cleanly, and come again"
	printf 'alice:%s\n' "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" > keys.psk
	start_ndmd --tls on --tls-psk "$T/keys.psk" --create "d: 0 131072 linear $T/a.img 0"
	cat > tls.py <<'PY'
import os, sys
import nbd
def connect():
    h = nbd.NBD()
    h.set_tls(nbd.TLS_REQUIRE)
    h.set_tls_psk_file(sys.argv[2])
    h.set_tls_username("alice")
    h.set_export_name("d")
    h.connect_unix(sys.argv[1])
    return h
h, n, again, acked = connect(), 0, 0, {}
open("tls-on", "w").close()
while again < 2:
    try:
        h.pwrite(n.to_bytes(8, "big") * 512, n % 64 * 4096)
        acked[n % 64] = n
        n += 1
    except nbd.Error as e:
        assert h.aio_is_dead() or h.aio_is_closed(), e
        h = connect()
        for block, number in acked.items():
            found = int.from_bytes(h.pread(8, block * 4096), "big")
            assert found >= number, (block, number, found)
        again += 1
        open(f"again{again}", "w").close()
PY
	if /usr/bin/python3 -c 'import nbd, sys; sys.exit(not nbd.NBD().supports_tls())'; then
		/usr/bin/python3 tls.py "$sock" "$T/keys.psk" 2> tls.err &
		tls=$!
		started+=("$tls")
		wait_for "a TLS client" test -e tls-on
		for turn in 1 2; do
			takeover --tls on --tls-psk "$T/keys.psk"
			wait_for "it to come again" test -e "again$turn"
		done
		wait_end "$tls" || fail "see above"
	fi
	stop_ndmd
fi

say "KILL under load, ten times; the state folder and a client that connects again"
rm -rf state
start_ndmd --state "$T/state"
dm create kept-low --table "0 131072 linear $T/a.img 0"
dm create kept --table '0 131072 linear /dev/mapper/kept-low 0'
cat > again.py <<'PY'
import json, os, sys, time
import nbd
def connect():
    end = time.monotonic() + 30
    while True:
        h = nbd.NBD()
        try:
            h.connect_uri(sys.argv[1])
            return h
        except nbd.Error:
            assert time.monotonic() < end, "nobody serves any more"
            time.sleep(0.01)
def block(number):
    return number.to_bytes(8, "big") * 512
h, n, again, acked, sent = connect(), 1, 0, {}, {}
while not os.path.exists("enough"):
    sent[n % 997] = n
    try:
        h.pwrite(block(n), n % 997 * 4096)
        acked[n % 997] = n
        n += 1
        if n % 100 == 0:
            open("writes", "w").write(f"{again} {n}\n")
    except nbd.Error as e:
        h = connect()
        again += 1
        for at, number in acked.items():
            data = h.pread(4096, at * 4096)
            found = int.from_bytes(data[:8], "big")
            assert data == block(found) and found in (number, sent[at]), (at, number, found)
assert again == 10, again
print(f"{n} writes, {again} times again")
PY
/usr/bin/python3 again.py "$(uri kept)" > again.out 2> again.err &
again=$!
started+=("$again")
for turn in 0 1 2 3 4 5 6 7 8 9; do
	wait_for "writes" grep -q "^$turn " writes
	kill -KILL "$ndmd_pid"
	wait_end "$ndmd_pid" || :
	start_ndmd --state "$T/state"
done
wait_for "writes" grep -q "^10 " writes
: > enough
wait_end "$again" || fail "the client: $(cat again.err)"
say "$(cat again.out)"
stop_ndmd
