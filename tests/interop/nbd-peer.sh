#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What ndmd makes of NBD servers: replies in whatever pieces are put together rightly, be they simple
# or structured; what no server may say ends the connection with a reason in the log, the request
# with an error, and nothing else.  SEED=N
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires nbdsh --version
seed=${SEED:-$RANDOM}
say "seed $seed"

peer() {
	/usr/bin/python3 "$top_srcdir/tests/interop/nbd-peer.py" "$T/$1" "$seed" 2>> peer.err </dev/null &
	started+=("$!")
	wait_for "$1" test -S "$1"
}
peer peer
SIMPLE_ONLY=1 peer plain
start_ndmd

# CODE: python, with h connected to the device of that name
shell() { nbdsh -u "$(uri "$1")" -c "
SIZE = 1 << 20
DATA = bytes((n * 7 + n // 4096) % 256 for n in range(SIZE))
DATA = DATA[:512 * 1024] + bytes(65536) + DATA[512 * 1024 + 65536:]
$2"; }
make() { "$NDMSETUP" create "$1" --table "0 2048 linear nbd+unix:///$2?socket=$T/$3 0"; }

connections() { grep -c "^$1$" peer.err; }
make plain right plain
for how in right dribble pieces; do make "$how" "$how" peer; done
for name in plain right dribble pieces; do
	shell "$name" "
import random
dice = random.Random($seed)
assert h.pread(SIZE, 0) == DATA, 'all of it'
for i in range(10):
    n = 1 + dice.randrange(200000)
    at = dice.randrange(SIZE - n)
    assert h.pread(n, at) == DATA[at:at + n], (at, n)
bufs = []
for i in range(64):
    at = 16384 * i
    buf = nbd.Buffer(16384)
    bufs.append((at, buf, h.aio_pread(buf, at)))
while h.aio_in_flight():
    h.poll(-1)
for at, buf, c in bufs:
    assert buf.to_bytearray() == DATA[at:at + 16384], at
h.pwrite(b'x' * 300000, 4096)
h.flush()
h.trim(4096, 0)
" || fail "$name: wrong bytes (seed $seed)"
done
say "simple and structured replies, in whatever pieces"

for how in garbage nothing twice short long beyond before hole chunk tiny status simple early simple-short simple-twice; do
	make "$how" "$how" peer
	# the connection for data is there when it has been seen by the server
	[[ $how != simple-* ]] || wait_for "$how: two connections" eval '[ "$(connections "$how")" -ge 2 ]'
	shell "$how" "
assert h.pread(65536, 0) == DATA[:65536]
try:
    got = h.pread(4096, 131072)
    # a second answer comes when the first was right; the connection ends then
    assert '$how'.endswith('twice') and got == DATA[131072:131072 + 4096], 'it was believed'
except nbd.Error as e:
    assert e.errno in ('EIO', 'ESHUTDOWN', 'ENOTCONN'), e.errno
" || fail "$how"
	case $how in
	garbage) why="is no NBD" ;;
	nothing | twice | simple | simple-twice) why="a reply to nothing that was asked" ;;
	simple-short) why="the server hung up" ;;
	short | early) why="sent less than was read" ;;
	long | beyond | before | hole) why="data that were not asked for" ;;
	chunk | tiny) why="makes no sense" ;;
	status) why="block status that was not asked for" ;;
	esac
	wait_for "$how to be told" grep -q "/$how?.*connection lost: .*$why" ndmd.err
	"$NDMSETUP" remove --retry "$how"
done
say "fifteen things that no server may say"

make random random peer
shell random "
import time
reads = lost = 0
while lost < 20:
    try:
        h.pread(8192, 8192 * (reads % 100))
        reads += 1
    except nbd.Error:
        lost += 1
        for i in range(3000):		# it connects again
            try:
                h.pread(512, 0)
                break
            except nbd.Error:
                time.sleep(0.01)
        else:
            raise SystemExit('it does not come back')
print(reads, 'reads ended well,', lost, 'replies were bad')
" || fail "random bytes (seed $seed)"
"$NDMSETUP" remove --retry random
stop_ndmd
