#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A volume over exports of other servers: striped over nbdkit by TLS with several connections, and
# qemu-nbd.  A server that dies gives errors, not hangs; `status` answers; when it is back, so is
# the volume.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit qemu-nbd psktool qemu-img nbdcopy
requires nbdsh --version

real_ext4 disk 16M
truncate -s 8M left.img
truncate -s 8M right.img
psktool -u alice -p keys.psk > /dev/null 2>&1

left_answers() { nbdinfo --size "$left_uri"; }
start_left() {
	rm -f left.sock
	nbdkit -f -U left.sock --tls=require --tls-psk=keys.psk file left.img >> left.err 2>&1 </dev/null &
	left=$!
	started+=("$left")
	wait_for "nbdkit" left_answers
}
left_uri="nbds+unix://alice@/?socket=$T/left.sock&tls-psk-file=$T/keys.psk"
right_uri="nbd+unix:///?socket=$T/right.sock"

start_left
qemu-nbd -f raw -t -e 4 -k "$T/right.sock" right.img 2> right.err &
started+=($!)
wait_for "qemu-nbd" nbdinfo --size "$right_uri"

start_ndmd
"$NDMSETUP" create far --table "0 32768 striped 2 128 $left_uri&ndm-connections=3 0 $right_uri&ndm-connections=2 0"
"$NDMSETUP" table far | grep -qF "&ndm-connections=3" || fail "the table does not name its legs as they were named"

nbdcopy --flush disk "$(uri far)"
nbdcopy "$(uri far)" back
cmp disk back || fail "what is read is not what was written"
nbdinfo --map "$(uri far)" > map
grep -q hole map || fail "no hole is seen through the legs"

# the halves lie where striped puts them
python3 - <<'END'
disk, left, right = (open(n, "rb").read() for n in ("disk", "left.img", "right.img"))
for i in range(len(disk) // 65536):
    leg = right if i % 2 else left
    assert leg[i // 2 * 65536:(i // 2 + 1) * 65536] == disk[i * 65536:(i + 1) * 65536], i
END

# without its left leg
kill -KILL "$left"
wait_for "the end of nbdkit" ended "$left"
nbdsh -u "$(uri far)" -c '
try:
    h.pread(65536, 0)
    raise SystemExit("a read of a dead leg succeeded")
except nbd.Error as e:
    pass
assert len(h.pread(65536, 65536)) == 65536'
timeout 5 "$NDMSETUP" status far > /dev/null || fail "status does not answer while a leg is away"
timeout 5 "$NDMSETUP" table far > /dev/null || fail "table does not answer while a leg is away"

# and with it again
start_left
wait_for "the leg to be found again" nbdsh -u "$(uri far)" -c 'h.pread(65536, 0)'
nbdcopy "$(uri far)" back
cmp disk back || fail "what is read after the leg's return is not what was written"
"$NDMSETUP" remove far
stop_ndmd
say "far and back"
