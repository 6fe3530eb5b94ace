#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The state folder: what dmsetup made is there again after TERM and after KILL, with name, uuid,
# number, table and state, in order of dependency; removed is removed; keys are never written; the
# file of volumes wins; broken files cost one line each and nothing else.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd

truncate -s 8M a.img b.img "with blank.img"
state=$T/state
export DM_DEFAULT_NAME_MANGLING_MODE=none
dm() { "$NDMSETUP" "$@"; }
table() { dm table "$1"; }
kill_ndmd() {
	kill -KILL "$ndmd_pid"
	wait_end "$ndmd_pid" || :
	rm -f "$sock" control
}
same() {	# WHAT EXPECTED GOT
	[ "$2" = "$3" ] || fail "$1: '$3', not '$2'"
}
complaints() { grep -c 'state folder' "$T/ndmd.err" || :; }

say "made, renamed, suspended, removed, with KILL after the last answer"
start_ndmd --state "$state"
dm create zz-low --uuid LOW --table "0 16384 linear $T/a.img 0"
dm create mid --table "0 8192 linear /dev/mapper/zz-low 0"
dm create top -r --table "0 4096 linear /dev/mapper/mid 100"
dm create "odd name" --table "0 2048 linear $T/a.img 8"
dm create gone --table '0 8 zero'
dm create later --notable
dm create empty --notable
dm load later --table "0 16 error"
dm resume later
dm load mid --table "0 4096 linear /dev/mapper/zz-low 0
4096 4096 striped 2 16 $T/b.img 0 $T/b.img 4096"
dm resume mid
dm load mid --table "0 8 zero"
dm rename zz-low zz-lower
dm suspend later
dm remove gone
before=$(dm info -c --noheadings -o name,uuid,minor,open,segments,suspended,read_only,tables_loaded | sed 's/Both/Live/; s/^/ /')
tables=$(for d in zz-lower mid top "odd name"; do echo "$d"; table "$d" | sed 's/240:[0-9]*/FILE/g'; done)
kill_ndmd
[ "$(ls "$state" | tr '\n' ' ')" = "empty.dm later.dm mid.dm odd%20name.dm top.dm zz-lower.dm " ] || fail "files: $(ls "$state")"
grep -qx '0 4096 linear /dev/mapper/zz-lower 0' "$state/mid.dm"
grep -qx "0 2048 linear $T/a.img 8" "$state/odd%20name.dm"
[ "$(stat -c %a "$state")" = 700 ] && [ "$(stat -c %a "$state/mid.dm")" = 600 ]

start_ndmd --state "$state"
after=$(dm info -c --noheadings -o name,uuid,minor,open,segments,suspended,read_only,tables_loaded | sed 's/^/ /')
same "devices" "$before" "$after"
same "tables" "$tables" "$(for d in zz-lower mid top "odd name"; do echo "$d"; table "$d" | sed 's/240:[0-9]*/FILE/g'; done)"
dm info later | grep -q SUSPENDED
dm resume later
dm remove top
stop_ndmd
[ ! -e "$state/top.dm" ] && [ -e "$state/mid.dm" ]
! grep -q suspended "$state/later.dm"
same "nothing is wrong" 0 "$(complaints)"

say "two at once"
start_ndmd --state "$state"
! "$NDMD" --control "$T/other" --state "$state" 2> other.log || fail "two had the folder"
grep -q 'another ndmd has it' other.log

say "a deferred removal happens when the last client goes"
cat > hold.py <<'PY'
import sys, nbd, subprocess
h = nbd.NBD()
h.connect_uri(sys.argv[1])
subprocess.run([sys.argv[2], "remove", "--deferred", "mid"], check=True)
h.shutdown()
PY
if nbdsh --version > nbdsh.out 2>&1; then
	python3 hold.py "$(uri mid)" "$NDMSETUP"
	wait_for "the file to go" test ! -e "$state/mid.dm"
fi

say "keys are not written"
key=$(printf '00112233445566778899aabbccddeeff%.0s' 1 2)
dm create secret --table "0 2048 crypt aes-xts-plain64 $key 0 $T/b.img 0"
dm create plain --table "0 2048 crypt cipher_null-ecb - 0 $T/b.img 0"
grep -q 'secret: is not kept: its table holds a key' ndmd.err || fail "nothing was said of the key"
! grep -rqi "${key:0:32}" "$state" ndmd.err || fail "the key has been written"
# a table without a key that gets one takes its file with it
dm create turns --table '0 2048 zero'
[ -e "$state/turns.dm" ]
dm load turns --table "0 2048 crypt aes-xts-plain64 $key 0 $T/b.img 0"
[ -e "$state/turns.dm" ]
dm resume turns
[ ! -e "$state/turns.dm" ] || fail "a table that is not true any more was kept"
stop_ndmd

say "the file of volumes wins"
cat > v.yaml <<YAML
version: 1
server: {state: $state}
volumes:
  yours: {linear: {length: 1M, device: $T/a.img}}
  adopted: {zero: {length: 2M}}
YAML
rm -rf "$state"
start_ndmd --state "$state" --create 'made: 0 8 zero'
dm create adopted --table '0 8 error'
dm create apart --table '0 24 error'
dm create made2 --table '0 8 error'
kill_ndmd
same "files" "adopted.dm apart.dm made2.dm " "$(ls "$state" | tr '\n' ' ')"
start_ndmd -c v.yaml --create 'made2: 0 16 zero'
same "the file's" "0 4096 zero " "$(table adopted)"
same "the command line's" "0 16 zero " "$(table made2)"
same "the folder's" "0 24 error " "$(table apart)"
dm create on-yours --table '0 8 linear /dev/mapper/yours 8'
same "files" "apart.dm on-yours.dm " "$(ls "$state" | tr '\n' ' ')"
kill_ndmd
start_ndmd -c v.yaml
same "on a volume of the file" "0 8 linear 253" "$(table on-yours | cut -d: -f1)"
# a volume that the file takes over has its file no longer
echo '  apart: {zero: {length: 4k}}' >> v.yaml
kill -HUP "$ndmd_pid"
wait_for "the file to go" test ! -e "$state/apart.dm"
same "adopted" "0 8 zero " "$(table apart)"
# and what "ndm apply" brings is kept: nobody else would know it
printf 'version: 1\nvolumes: {applied: {linear: {length: 4k, device: "%s/with blank.img"}}}\n' "$T" > applied.yaml
dm remove on-yours
"$NDM" apply applied.yaml > apply.out
grep -qx "0 8 linear $T/with\\\\ blank.img 0" "$state/applied.dm"
kill_ndmd
start_ndmd --state "$state"
dm table applied | grep -qx '0 8 linear .*/with\\ blank.img 0'
stop_ndmd

say "broken files: a line each, and the others go on"
rm -rf "$state"
mkdir "$state"
lines() { printf '%s\n' "$@"; }
lines 'minor: 3' 'table:' '0 8 zero' > "$state/good.dm"
lines 'minor: x' 'table:' '0 8 zero' > "$state/b1.dm"
lines 'table:' '0 8 nosuch' > "$state/b2.dm"
lines 'table:' '0 zz zero' > "$state/b3.dm"
lines 'uuid:' > "$state/b4.dm"
lines 'what is this' > "$state/b5.dm"
lines 'table:' > "$state/b6.dm"
lines 'shape: round' > "$state/b7.dm"
lines 'suspended: perhaps' > "$state/b8.dm"
printf 'a\0b' > "$state/b9.dm"
lines 'table:' '0 8 linear /dev/mapper/c2 0' > "$state/c1.dm"
lines 'table:' '0 8 linear /dev/mapper/c1 0' > "$state/c2.dm"
lines 'table:' '0 8 linear /dev/mapper/nobody 0' > "$state/c3.dm"
lines 'table:' "0 8 linear $T/nofile 0" > "$state/c4.dm"
lines 'uuid: U' 'table:' '0 8 zero' > "$state/u1.dm"
lines 'uuid: U' 'table:' '0 8 zero' > "$state/u2.dm"
lines 'x' > "$state/%zz.dm"
lines 'x' > "$state/notes.txt"
mkdir "$state/dir.dm"
ln -s good.dm "$state/link.dm"
head -c 20000 /dev/urandom | tr -d '\0' > "$state/noise.dm"
lines 'minor: 3' > "$state/tableless.dm"
files=$(ls "$state")
: > ndmd.err
start_ndmd --state "$state"
same "those that can be had" "good tableless u1 " "$(dm ls | cut -f1 | sort | tr '\n' ' ')"
same "a line each" 19 "$(complaints)"
for bad in b1 b2 b3 b4 b5 b6 b7 b8 b9 c1 c2 c3 c4 u2 %zz notes.txt dir link noise; do
	[ "$(grep -cF "$state: $bad" ndmd.err)" = 1 ] || fail "$bad: $(grep -F "$state: $bad" ndmd.err)"
done
same "nothing was lost" "$files" "$(ls "$state")"
dm create b1 --table '0 8 error'
grep -qx '0 8 error' "$state/b1.dm"
stop_ndmd

say "a folder that cannot be had"
! "$NDMD" --control "$T/other" --state "$T/a.img" 2> other.log || fail "a file is no folder"
grep -q "state folder $T/a.img: Not a directory" other.log
say "fuzzed files end ndmd never"
python3 - "$state" <<'PY'
import random, sys, os
random.seed(4)
base = open(sys.argv[1] + "/good.dm", "rb").read() + b"8 8 linear /dev/mapper/u1 0\n16 8 striped 2 8 mem:8k 0 mem:8k 0\n"
for i in range(300):
    b = bytearray(base)
    for _ in range(random.randrange(1, 6)):
        k = random.randrange(len(b))
        b[k:k + random.randrange(4)] = bytes(random.randrange(256) for _ in range(random.randrange(4)))
    open(f"{sys.argv[1]}/f{i}.dm", "wb").write(bytes(b))
PY
start_ndmd --state "$state"
dm ls > ls.out
stop_ndmd
