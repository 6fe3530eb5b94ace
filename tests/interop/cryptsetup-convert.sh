#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `ndm cryptsetup convert`, both ways, against Debian's: the same header comes of it, passphrases go on
# to open it for both, and the data is where it was; what would lose something is refused.  And
# refresh, create and benchmark.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program cryptsetup nbdcopy

ours() { "$NDM" cryptsetup -q "$@"; }
theirs() { cryptsetup -q --disable-locks "$@"; }
refused() { if "$@" > said.txt 2>&1; then fail "accepted: $*"; fi; }
cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
for n in one two three; do printf 'pass %s' $n > $n; done
head -c 1M /dev/urandom > data
start_ndmd
read_all() { ours open --key-file "$1" disk.img v && nbdcopy "$(uri v)" seen; ours close v; cmp -n 1048576 seen data; }

for bits in 512 256; do			# areas that end before the data, with and without room to spare
	rm -f disk.img
	truncate -s 8M disk.img
	ours luksFormat --type luks1 --align-payload 8192 -s $bits "${cheap[@]}" --key-file one disk.img
	ours luksAddKey --key-slot 6 "${cheap[@]}" --key-file one disk.img two
	ours open --key-file one disk.img v
	nbdcopy data "$(uri v)"
	refused ours convert --type luks2 disk.img
	grep -q 'still in use' said.txt || fail "open: $(cat said.txt)"
	ours close v
	cp disk.img theirs.img
	cp disk.img was.img
	ours convert --type luks2 disk.img
	theirs convert --type luks2 theirs.img
	diff <(theirs luksDump disk.img | tail -n +2) <(theirs luksDump theirs.img | tail -n +2) || fail "$bits: another header than cryptsetup's"
	for pass in one two; do
		theirs open --test-passphrase --key-file $pass disk.img
		ours open --test-passphrase --key-file $pass theirs.img
	done
	refused theirs open --test-passphrase --key-file three disk.img
	read_all one
	ours luksAddKey "${cheap[@]}" --key-file two disk.img three
	theirs open --test-passphrase --key-file three disk.img
	ours luksKillSlot --key-file two disk.img 1

	ours convert --type luks1 disk.img
	theirs convert --type luks1 theirs.img
	diff <(theirs luksDump disk.img | tail -n +2) \
		<(theirs luksDump theirs.img | tail -n +2) || fail "$bits: back, another header"
	diff <(theirs luksDump disk.img | tail -n +2) <(theirs luksDump was.img | tail -n +2) || fail "$bits: back, not as it was"
	for pass in one two; do theirs open --test-passphrase --key-file $pass disk.img; done
	read_all two
	ours luksAddKey "${cheap[@]}" --key-file two disk.img three
	theirs open --test-passphrase --key-file three disk.img
	theirs convert --type luks2 disk.img	# and on what we made theirs works
	ours open --test-passphrase --key-file three disk.img
	read_all one
done

# what cannot be
refused ours convert --type luks2 disk.img
refused ours convert disk.img
ours luksAddKey --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 64 --pbkdf-parallel 1 --key-file one disk.img two
refused ours convert --type luks1 disk.img
grep -q 'not LUKS1 compatible' said.txt || fail "argon2: $(cat said.txt)"
theirs open --test-passphrase --key-file one disk.img
truncate -s 4M small.img
ours luksFormat --type luks1 --align-payload 1 -s 512 "${cheap[@]}" --key-file one small.img
cp small.img was.img
refused ours convert --type luks2 small.img
grep -q 'no room' said.txt || fail "no room: $(cat said.txt)"
cmp small.img was.img

# ---- refresh, create, benchmark
ours open --key-file one disk.img v
refused ours refresh --key-file missing v
ours refresh --allow-discards --persistent --key-file one v
"$NDMSETUP" table v | grep -q allow_discards || fail "not refreshed: $("$NDMSETUP" table v)"
theirs luksDump disk.img | grep -q 'Flags:.*allow-discards' || fail "not kept: $(theirs luksDump disk.img)"
ours open --refresh --perf-no_read_workqueue --key-file one disk.img v
"$NDMSETUP" table v | grep -q no_read_workqueue || fail "not refreshed: $("$NDMSETUP" table v)"
refused ours open --key-file one disk.img v
ours close v
truncate -s 1M plain.img
head -c 32 /dev/urandom > key
ours create p plain.img -c aes-xts-plain64 -s 256 --key-file key
"$NDMSETUP" table p | grep -q '^0 2048 crypt aes-xts-plain64' || fail "create: $("$NDMSETUP" table p)"
ours remove p
ours benchmark -c aes-xts -s 256 > said.txt
grep -Eq '^ *aes-xts +256b +[0-9.]+ MiB/s +[0-9.]+ MiB/s$' said.txt || fail "$(cat said.txt)"
ours benchmark -h sha256 --iter-time 50 | grep -Eq '^PBKDF2-sha256 +[0-9]+ iterations' || fail "benchmark of a hash"
refused ours benchmark -c nothing-xts
