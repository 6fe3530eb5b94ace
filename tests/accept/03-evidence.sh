#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 3: disk images are looked into and never changed: a thin pool of LVM inside LUKS inside a
# partition, and a group over two disks with every kind of volume, all made by Linux 6.12 and LVM
# (tests/golden/lvm).  Each logical volume reads as the kernel read it; a wrong passphrase is
# exit status 2; a pool that needs a check and a group that lacks a disk are said and opened as
# far as they go; hash and time of the images stay.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program xz cryptsetup nbdcopy debugfs sha256sum jq
golden=$top_srcdir/tests/golden/lvm
evidence=$top_srcdir/tests/accept/evidence.py
export NDMD
for image in thin many1 many2; do xz -dc "$golden/$image.img.xz" > $image.img; done

# open_images ARGUMENT...: served on $T/ev.sock, until close_images
open_images() {
	rm -f ev.sock ev.control
	"$NDM" open --ro "$@" --unix "$T/ev.sock" --control "$T/ev.control" > open.out 2> open.err &
	open_pid=$!
	started+=("$open_pid")
	wait_for "the images to be served" served
}
served() {
	! ended "$open_pid" || fail "ndm open ended: $(cat open.out open.err)"
	grep -q '^served: ' open.out
}
close_images() {
	kill -INT "$open_pid"
	wait_end "$open_pid" || fail "ndm open ended with $?"
}
at() { echo "nbd+unix:///$1?socket=$T/ev.sock"; }
as_golden() {	# VOLUME: reads as the kernel read it
	local wanted
	wanted=$(sed -n "s,  $1\$,,p" "$golden/sums")
	nbdcopy "$(at "$1")" copy.raw || fail "$1 is not served"
	[ -n "$wanted" ] && [ "$(sha256sum < copy.raw)" = "$wanted  -" ] || fail "$1 is not what the kernel read"
}
kept() {	# FILE...: to be compared at the end
	sha256sum "$@" > before
	stat -c '%n %y %s' "$@" > before.stat
}
unchanged() {
	sha256sum --quiet -c before || fail "the evidence has changed"
	stat -c '%n %y %s' "$@" | cmp -s - before.stat || fail "the time of the evidence has changed"
}

# ---- LUKS in a partition, with a thin pool inside

/usr/bin/python3 "$evidence" gpt evidence.img
truncate -s 60M p2.img
printf 'the passphrase' > pass
cryptsetup -q luksFormat --type luks2 --pbkdf argon2id --pbkdf-memory 1024 --pbkdf-parallel 1 --pbkdf-force-iterations 4 \
	--luks2-keyslots-size 512k --offset 2048 --key-file pass p2.img 2> cryptsetup.err ||
	skip "cryptsetup cannot format here: $(cat cryptsetup.err)"
start_ndmd --create "p2: 0 0 luks $T/p2.img file:$T/pass"
nbdcopy --flush thin.img "$(uri p2)"
stop_ndmd
dd if=p2.img of=evidence.img bs=1M seek=2 conv=notrunc,sparse status=none
kept evidence.img

"$NDM" open --ro --tree evidence.img > tree || fail "--tree: $(cat tree)"
grep -qx 'evidence.img  66M  partition table gpt' tree || fail "no partition table: $(cat tree)"
grep -qE 'p2  60M  LUKS2 aes-xts-plain64 argon2id  uuid [-0-9a-f]{36}  LOCKED$' tree || fail "no LUKS: $(cat tree)"
status=0
echo wrong | "$NDM" open --ro --tree --passphrase-fd 0 evidence.img > tree 2> err || status=$?
[ $status = 2 ] && grep -q 'wrong passphrase' err || fail "a wrong passphrase ($status): $(cat err)"

{ cat pass; echo; } > line
open_images --passphrase-fd 3 evidence.img 3< line
! grep -qF 'the passphrase' "/proc/$open_pid/cmdline" || fail "the passphrase is an argument"
cat open.out
grep -q 'VG forensic  PV 1/1' open.out || fail "no group"
grep -qE 'pool +24M  thin-pool 64k  used 1.8%  meta 2.1%  transaction_id 2' open.out || fail "no pool"
grep -qE 'root-snap +16M  thin 2 \(snapshot of root\)  nbd' open.out || fail "no snapshot"
as_golden forensic/root
cp copy.raw root.raw
as_golden forensic/root-snap
[ "$(debugfs -R 'cat /etc/hostname' root.raw 2> /dev/null)" = evidence ] || fail "no file system in root"
nbdcopy "$(at forensic/home)" home.raw
/usr/bin/python3 "$evidence" pattern home 20000 | cmp -n 20000 - <(tail -c +12289 home.raw) || fail "home is not what was written"

# what differs: as thin_delta says
"$NDM" thin-delta --control "$T/ev.control" forensic/pool --from root --to root-snap --json > delta.json
jq -e '[.[] | arrays | length] | add >= 1' delta.json > /dev/null || fail "nothing differs: $(cat delta.json)"
nbdcopy "$(at forensic/pool_tmeta)" tmeta
if command -v thin_delta > /dev/null; then
	thin_delta --snap1 1 --snap2 2 tmeta | sed -n 's/.*<\(different\|left_only\|right_only\) begin="\([0-9]*\)" length="\([0-9]*\)".*/\1 \2 +\3/p' |
		sort > wanted
	"$NDM" thin-delta tmeta --from 1 --to 2 | grep -v ^same | sed 's/  */ /g' | sort > got
	diff wanted got || fail "thin-delta is not thin_delta"
fi
jq -r 'to_entries[] | select(.value | type == "array") | .key as $k | .value[] | "\($k) \(.begin) +\(.length)"' delta.json |
	sort > got
"$NDM" thin-delta tmeta --from 1 --to 2 | grep -v ^same | sed 's/  */ /g' | sort | diff - got || fail "--json says otherwise"
/usr/bin/python3 - <<'END' || fail "the difference is not where the bytes differ"
import json
a, b = open("root.raw", "rb").read(), open("copy.raw", "rb").read()
d = json.load(open("delta.json"))
block = d["block_sectors"] * 512
said = {n for k in ("different", "left_only", "right_only") for r in d[k] for n in range(r["begin"], r["begin"] + r["length"])}
real = {n for n in range(len(a) // block) if a[n * block:(n + 1) * block] != b[n * block:(n + 1) * block]}
assert real and real <= said, (real, said)
END
! "$NDM" thin-delta tmeta --from 1 --to 77 2> err || fail "device 77 is there"
grep -q 'no device 77' err || fail "device 77: $(cat err)"
close_images
unchanged evidence.img

# ---- a pool that needs a check

/usr/bin/python3 "$evidence" needs-check thin.img $((62464 * 512))
kept thin.img
open_images thin.img
grep -q 'note: needs_check' open.out || fail "needs_check is not told: $(cat open.out)"
as_golden forensic/root
as_golden forensic/root-snap
close_images
unchanged thin.img

# ---- two disks, one of them a logical partition; every kind of volume

kept many1.img many2.img
open_images many1.img many2.img
cat open.out
for lv in lin stripe r1 r0 mir orig osnap cached wc cv; do as_golden many/$lv; done
close_images
open_images many2.img
grep -q 'VG many  PV 1/2' open.out && grep -q 'missing: pv0  uuid ' open.out || fail "the missing disk is not told: $(cat open.out)"
grep -q 'lin .*NOT OPENED: a physical volume is missing' open.out || fail "lin without a disk: $(cat open.out)"
as_golden many/r1
close_images
unchanged many1.img many2.img

# ---- damage is a sentence

cp many2.img bad.img
printf x | dd of=bad.img bs=1 seek=600 conv=notrunc status=none
"$NDM" open --tree bad.img > tree 2>&1 || fail "a wrong label: $(cat tree)"
! grep -q 'LVM2 physical' tree || fail "a wrong label was believed"
head -c 3M many2.img > cut.img
"$NDM" open --tree cut.img > tree 2>&1 || :
grep -q 'cut.img' tree || fail "a cut image: $(cat tree)"
! "$NDM" open --tree nosuch.img 2> err || fail "an image that is not there"
grep -q 'nosuch.img: No such file' err || fail "$(cat err)"
