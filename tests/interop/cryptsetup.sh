#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LUKS headers go both ways between `ndm cryptsetup` and Debian's cryptsetup: what one makes or
# changes, the other opens and prints the same; then a volume is opened over ndmd, written, and
# the bytes on the disk are those of the plain table; the key appears where it was asked for and
# nowhere else.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program cryptsetup qemu-io nbdinfo

ours() { "$NDM" cryptsetup -q "$@"; }
theirs() { cryptsetup -q "$@"; }
refused() { if "$@" >/dev/null 2>&1; then fail "accepted: $*"; fi; }
same() {	# COMMAND...: both print the same
	ours "$@" > ours.txt
	theirs "$@" > theirs.txt
	diff theirs.txt ours.txt || fail "$* differs"
}

cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
for n in one two three; do printf 'pass %s' $n > $n; done

for type in luks1 luks2; do
	truncate -s 20M $type.img
	ours luksFormat --type $type "${cheap[@]}" --key-file one $type.img
	theirs open --test-passphrase --key-file one $type.img
	refused theirs open --test-passphrase --key-file two $type.img
	same luksDump $type.img
	theirs luksAddKey "${cheap[@]}" --key-file one $type.img two
	ours open --test-passphrase --key-file two $type.img
	ours luksAddKey "${cheap[@]}" --key-file two $type.img three
	theirs open --test-passphrase --key-file three $type.img
	ours luksKillSlot --key-file two $type.img 0
	refused theirs open --test-passphrase --key-file one $type.img
	ours luksChangeKey "${cheap[@]}" --key-file two $type.img one
	theirs open --test-passphrase --key-file one $type.img
	refused ours open --test-passphrase --key-file two $type.img
	same luksDump $type.img
	same luksDump --dump-volume-key --key-file one $type.img
	same luksUUID $type.img
	rm -f a b
	ours luksHeaderBackup --header-backup-file a $type.img
	theirs luksHeaderBackup --header-backup-file b $type.img
	cmp a b
	ours erase $type.img
	refused theirs open --test-passphrase --key-file one $type.img
	ours luksHeaderRestore --header-backup-file b $type.img
	theirs open --test-passphrase --key-file one $type.img
done

# what only LUKS2 has
ours luksAddKey --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 64 --pbkdf-parallel 1 \
	--key-file one luks2.img two
theirs open --test-passphrase --key-file two luks2.img
ours token add --key-description ndm:test luks2.img
ours config --label name --subsystem part luks2.img
same luksDump luks2.img
same luksDump --dump-json-metadata luks2.img
printf damaged | dd of=luks2.img bs=1 seek=4100 conv=notrunc status=none
ours repair luks2.img 2>/dev/null
theirs open --test-passphrase --key-file one luks2.img
cmp <(dd if=luks2.img bs=4k skip=1 count=3 status=none) <(dd if=luks2.img bs=4k skip=5 count=3 status=none)

truncate -s 8M data.img
ours luksFormat --header head.img "${cheap[@]}" --key-file one data.img
theirs open --test-passphrase --header head.img --key-file one data.img

# over ndmd
start_ndmd
for type in luks1 luks2; do
	ours open --key-file one $type.img vol
	refused ours open --key-file one $type.img vol
	ours status vol > status.txt
	grep -q "type:    ${type^^}" status.txt || fail "status: $(cat status.txt)"
	qemu-io -f raw -c 'write -P 0x5a 0 1M' -c 'flush' "$(uri vol)" >/dev/null
	key=$("$NDMSETUP" table --showkeys vol | cut -d' ' -f5)
	[ ${#key} -eq 128 ] || fail "no key in the table"
	"$NDMSETUP" table vol | grep -q "$key" && fail "the key is shown unasked"
	"$NDMSETUP" table --showkeys vol > table.txt
	ours luksSuspend vol
	"$NDMSETUP" table --showkeys vol | grep -q "$key" && fail "suspended, but the key is there"
	ours luksResume --key-file one vol
	qemu-io -f raw -r -c 'read -P 0x5a 0 1M' "$(uri vol)" | grep -q 'Pattern verification failed' &&
		fail "$type: other data after luksResume"
	ours close vol
	"$NDMSETUP" create again table.txt
	qemu-io -f raw -r -c 'read -P 0x5a 0 1M' "$(uri again)" | grep -q 'Pattern verification failed' &&
		fail "$type: the table reads other data"
	"$NDMSETUP" remove again
done
grep -q "$key" ./*.err && fail "the key is in a log"
head -c 32 /dev/zero > raw
ours open --type plain --key-file raw -s 256 --cipher aes-xts-plain64 data.img plain
"$NDMSETUP" table plain | grep -q 'crypt aes-xts-plain64' || fail "no plain device"
ours close plain

# LUKS2 with integrity: header, integrity device, first tags; then damage is noticed
for spec in hmac-sha256:aes-xts-plain64:512 hmac-sha256:aes-xts-random:512 aead:aes-gcm-random:256 \
	poly1305:chacha20-random:256; do
	IFS=: read -r integrity cipher bits <<< "$spec"
	rm -f auth.img
	truncate -s 20M auth.img
	ours luksFormat --integrity $integrity -c $cipher -s $bits --sector-size 4096 "${cheap[@]}" \
		--key-file one auth.img
	theirs open --test-passphrase --key-file one auth.img
	same luksDump auth.img
	ours open --key-file one auth.img auth
	bytes=$(nbdinfo --size "$(uri auth)")
	qemu-io -f raw -r -c "read -P 0 0 $bytes" "$(uri auth)" > out.txt
	grep -q "read $bytes/$bytes" out.txt || fail "$spec: not all can be read: $(cat out.txt)"
	grep -q 'verification failed' out.txt && fail "$spec: not all zeroes"
	qemu-io -f raw -c 'write -P 9 0 64k' -c flush "$(uri auth)" >/dev/null
	ours close auth
	"$NDMSETUP" ls | grep -q auth && fail "$spec: something is left: $("$NDMSETUP" ls)"
	ours open --key-file one auth.img auth
	qemu-io -f raw -r -c 'read -P 9 0 64k' "$(uri auth)" | grep -q 'verification failed' && fail "$spec: other data"
	ours close auth
done

# headers on mapped devices, through NBD, and under a name with a blank
truncate -s 20M base.img
"$NDMSETUP" create base --table "0 40960 linear $T/base.img 0"
ours luksFormat "${cheap[@]}" --key-file one /dev/mapper/base
theirs open --test-passphrase --key-file one base.img
for where in /dev/mapper/base "$(uri base)"; do
	ours open --key-file one "$where" top
	ours close top
done
mv base.img 'a blank.img'
ours open --key-file one 'a blank.img' top
"$NDMSETUP" table top | grep -q 'a\\ blank\.img 32768$' || fail "$("$NDMSETUP" table top)"
ours close top
exit 0
