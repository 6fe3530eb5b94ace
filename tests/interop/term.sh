#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# kill -TERM under load loses no write that was acknowledged and then flushed, and kill -9 loses
# none that was FUA or flushed: each client notes in a file what it was promised, and after a
# restart everything promised is there.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires nbdsh --version

truncate -s 16M a.img
truncate -s 16M b.img
table="0 65536 striped 2 16 $T/a.img 0 $T/b.img 0"

# Blocks of 4 KiB carry their number and a generation.  "promised" gets "block generation" after
# the write was FUA, or after a flush that began when the write had been acknowledged.
cat > writer.py <<'END'
import random, struct
seed, first, nblocks = int(SEED), int(FIRST), 1000
dice = random.Random(seed)
promised, pending, generation = open("promised.%d" % first, "a", 1), [], 0
try:
    while True:
        generation += 1
        block = first + dice.randrange(nblocks)
        data = struct.pack("<QQ", block, generation) * 256
        if dice.random() < 0.3:
            h.pwrite(data, block * 4096, nbd.CMD_FLAG_FUA)
            promised.write("%d %d\n" % (block, generation))
        else:
            h.pwrite(data, block * 4096)
            pending.append((block, generation))
        if dice.random() < 0.05:
            h.flush()
            promised.write("".join("%d %d\n" % p for p in pending))
            pending = []
except nbd.Error:
    pass            # the server went: that is what the test is about
END
cat > check.py <<'END'
import struct
least, checked = {}, 0
for first in (0, 1000, 2000):
    for line in open("promised.%d" % first):
        block, generation = map(int, line.split())
        least[block] = max(least.get(block, 0), generation)
for block, generation in sorted(least.items()):
    data = h.pread(4096, block * 4096)
    words = struct.unpack("<512Q", data)
    assert words[0] == block, "block %d holds block %d" % (block, words[0])
    assert words[1] >= generation, "block %d: generation %d was promised, %d is there" % (block, generation, words[1])
    assert data == data[:16] * 256, "block %d is torn" % block
    checked += 1
assert checked > 50, "only %d blocks were promised" % checked
print("%d blocks as promised" % checked)
END

promises() { cat promised.* 2>/dev/null | wc -l; }
# every client has been promised something, and all of them together that many
enough() {
	for first in 0 1000 2000; do [ -s promised.$first ] || return 1; done
	[ "$(promises)" -ge "$1" ]
}

seed=${SEED:-$RANDOM}
say "seed $seed"
round=0
for signal in TERM KILL TERM KILL; do
	rm -f promised.*
	rm -f "$T/nbd.sock" "$T/control"
	start_ndmd --create "vol: $table"
	writers=()
	for first in 0 1000 2000; do
		: > promised.$first
		nbdsh -u "$(uri vol)" -c "SEED, FIRST = $((seed + round)), $first" -c "$(cat writer.py)" \
			> writer.$first.out 2> writer.$first.err </dev/null &
		writers+=($!)
		started+=($!)
	done
	wait_for "600 promised writes" enough 600
	kill -$signal "$ndmd_pid"
	status=0
	wait_end "$ndmd_pid" || status=$?
	[ $signal = KILL ] || [ $status -eq 0 ] || fail "ndmd ended with $status after TERM under load"
	for pid in "${writers[@]}"; do wait_end "$pid" || fail "a client: $(cat writer.*.err)"; done
	rm -f "$T/nbd.sock" "$T/control"
	start_ndmd --create "vol: $table"
	nbdsh -u "$(uri vol)" -c "$(cat check.py)" || fail "after $signal, seed $((seed + round))"
	stop_ndmd
	# generations start again in each round, so the blocks must, too
	truncate -s 0 a.img b.img
	truncate -s 16M a.img b.img
	round=$((round + 1))
done
say "TERM and KILL under load: every promise kept"
