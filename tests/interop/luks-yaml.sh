#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LUKS volumes in a definition file: the passphrase from a file, a descriptor, a credential, a
# program; a detached header; the data is what was written through `ndm cryptsetup`, the size
# what the header says, and wrong passphrases are a sentence.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program qemu-io nbdinfo

printf 'the passphrase' > pass
cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
truncate -s 4M disk.img detached.img
truncate -s 1M head.img
"$NDM" cryptsetup -q luksFormat --luks2-keyslots-size 512k --offset 2048 "${cheap[@]}" --key-file pass disk.img
"$NDM" cryptsetup -q luksFormat --luks2-keyslots-size 512k --header head.img "${cheap[@]}" --key-file pass detached.img

start_ndmd
"$NDM" cryptsetup open --key-file pass disk.img vol
qemu-io -f raw -c 'write -P 0x33 1M 64k' -c flush "$(uri vol)" >/dev/null
"$NDM" cryptsetup close vol

mkdir credentials
cp pass credentials/disk
cat > volumes.yaml <<END
version: 1
volumes:
  file: {luks: {device: $T/disk.img, key: {file: $T/pass}}}
  text: {luks: {device: $T/disk.img, key: "file:$T/pass", words: {allow_discards: true}}}
  fd: {luks: {device: $T/disk.img, key: {fd: 9}}}
  credential: {luks: {device: $T/disk.img, key: {credential: disk}}}
  exec: {luks: {device: $T/disk.img, key: {exec: /bin/cat $T/pass}}}
  short: {luks: {length: 1M, device: $T/disk.img, key: {file: $T/pass}}}
  detached: {luks: {device: $T/detached.img, key: {file: $T/pass}, words: {header: $T/head.img}}}
  above: {linear: {length: 1M, device: file, offset: 1M}}
END
control=$T/second listen=$T/second.sock
CREDENTIALS_DIRECTORY=$T/credentials "$NDMD" --foreground --control "$control" --listen "unix:$listen" \
	-c volumes.yaml 9< pass 2> second.err &
started+=($!)
export NDM_CONTROL=$control
wait_for "the second ndmd" "$NDMSETUP" table above
at() { echo "nbd+unix:///$1?socket=$listen"; }

for v in file text fd credential exec; do
	[ "$(nbdinfo --size "$(at $v)")" -eq $((3 << 20)) ] || fail "$v: its size is $(nbdinfo --size "$(at $v)")"
	qemu-io -f raw -r -c 'read -P 0x33 1M 64k' "$(at $v)" > out.txt
	grep -q 'read 65536/65536' out.txt || fail "$v: $(cat out.txt)"
	grep -q 'verification failed' out.txt && fail "$v: other data"
done
[ "$(nbdinfo --size "$(at short)")" -eq $((1 << 20)) ] || fail "short: its size is wrong"
[ "$(nbdinfo --size "$(at detached)")" -eq $((4 << 20)) ] || fail "detached: its size is wrong"
qemu-io -f raw -r -c 'read -P 0x33 0 64k' "$(at above)" | grep -q 'verification failed' && fail "above: other data"
"$NDMSETUP" table text | grep -q " luks $T/disk.img file:$T/pass 1 allow_discards$" || fail "table: $("$NDMSETUP" table text)"

# the same file again changes nothing
"$NDM" plan volumes.yaml > plan.txt
grep -v '^keep ' plan.txt && fail "plan: $(cat plan.txt)"

printf wrong > wrong
for line in "file:$T/wrong|No key available" "file:$T/none|no passphrase to be had" "credential:../pass|no passphrase" \
	"exec:/bin/false|no passphrase" "exec:cat|no passphrase" "nothing|the key's place is"; do
	if "$NDMSETUP" create bad --table "0 8 luks $T/disk.img ${line%|*}" 2> bad.err; then fail "taken: ${line%|*}"; fi
	grep -q "${line#*|}" bad.err || fail "${line%|*}: $(cat bad.err)"
done
if "$NDMSETUP" create bad --table "0 8 luks $T/pass file:$T/pass" 2> bad.err; then fail "no header, and taken"; fi
grep -q 'too small for a LUKS header' bad.err || fail "$(cat bad.err)"
exit 0
