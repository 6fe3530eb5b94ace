#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# guest.sh DIR - the half of kernel-crypto.sh that runs under the real kernel, as root, with
# dmsetup, cryptsetup, veritysetup and integritysetup.  DIR/cases has one case a line:
#
#	NAME|KIND|WORDS
#
# For each: DIR/NAME.img as ndm wrote it must read as DIR/first; then DIR/second is written to
# its begin, for ndm to read.  Prints "ok NAME" or "FAILED NAME: why".
set -u
dir=$1
cd "$dir" || exit 2
work=/tmp/work
mkdir -p $work
modprobe -aq loop dm-crypt dm-verity dm-integrity algif_skcipher
first=$(sha256sum < first) second=second
bytes=$(stat -c %s first)

loop_up() { cp "$1" "$work/$1" && losetup --show -f "$work/$1"; }
loop_down() {	# DEVICE FILE: what the kernel wrote goes back
	sync
	losetup -d "$1"
	cp "$work/$2" "$2"
	rm -f "$work/$2"
}
bad() { echo "FAILED $name: $*$(tail -n 1 err 2>/dev/null | sed 's/^/: /')"; }
reads() { [ "$(head -c "$bytes" "/dev/mapper/$1" | sha256sum)" = "$first" ]; }
writes() { dd if=$second of="/dev/mapper/$1" bs=64k conv=fsync status=none 2>> err; }
cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)

one() {
	local dev header data
	: > err
	case $kind in
	crypt)
		dev=$(loop_up "$name.img") || return
		if ! dmsetup create v --table "${words//DEV/$dev}" 2> err; then bad "dmsetup create"
		elif ! reads v; then bad "other data"
		elif ! writes v; then bad "cannot be written"
		else echo "ok $name"
		fi
		dmsetup remove v 2> /dev/null
		loop_down "$dev" "$name.img" ;;
	luks)
		dev=$(loop_up "$name.img") || return
		# shellcheck disable=SC2086
		if ! cryptsetup open --key-file pass $words "$dev" v 2> err; then bad "cryptsetup open"
		elif ! reads v; then bad "other data"
		elif ! writes v; then bad "cannot be written"
		else echo "ok $name"
		fi
		cryptsetup close v 2> /dev/null
		loop_down "$dev" "$name.img" ;;
	format)		# the kernel's side makes it
		truncate -s 16M "$name.img"
		dev=$(loop_up "$name.img") || return
		# shellcheck disable=SC2086
		if ! cryptsetup -q luksFormat "${cheap[@]}" $words --key-file pass "$dev" 2> err; then bad luksFormat
		elif ! cryptsetup open --key-file pass "$dev" v 2> err; then bad "cryptsetup open"
		elif ! dd if=first of=/dev/mapper/v bs=64k conv=fsync status=none 2> err || ! writes v; then bad "write"
		else echo "ok $name"
		fi
		cryptsetup close v 2> /dev/null
		loop_down "$dev" "$name.img" ;;
	finish)		# a re-encryption that ndm began
		dev=$(loop_up "$name.img") || return
		if ! cryptsetup reencrypt -q --resume-only --key-file pass "$dev" 2> err; then bad "cryptsetup reencrypt"
		elif ! cryptsetup open --key-file pass "$dev" v 2> err; then bad "cryptsetup open"
		elif ! reads v; then bad "other data"
		elif ! writes v; then bad "cannot be written"
		else echo "ok $name"
		fi
		cryptsetup close v 2> /dev/null
		loop_down "$dev" "$name.img" ;;
	begin)		# one for ndm to finish
		dev=$(loop_up "$name.img") || return
		# shellcheck disable=SC2086
		if ! cryptsetup reencrypt -q --force-offline-reencrypt --init-only --key-file pass "${cheap[@]}" $words "$dev" 2> err; then bad "init-only"
		else echo "ok $name"
		fi
		loop_down "$dev" "$name.img" ;;
	killed)		# ... and one that is killed in the midst of it
		dev=$(loop_up "$name.img") || return
		# shellcheck disable=SC2086
		cryptsetup reencrypt -q --force-offline-reencrypt --key-file pass "${cheap[@]}" $words --hotzone-size 64k "$dev" 2> err & data=$!
		for _ in $(seq 2000); do
			cryptsetup luksDump --disable-locks "$dev" 2>/dev/null | grep -q in-reencryption && break
			kill -0 $data 2>/dev/null || break
		done
		kill -KILL $data 2>/dev/null
		wait $data 2>/dev/null
		if cryptsetup luksDump "$dev" | grep -q reencrypt; then echo "ok $name"; else echo "ok $name (not in time)"; fi
		loop_down "$dev" "$name.img" ;;
	verity)		# data, tree, parity on one device each
		data=$(loop_up "$name.img") && header=$(loop_up "$name.tree") || return
		dev=
		[ ! -e "$name.parity" ] || dev=$(loop_up "$name.parity")
		# shellcheck disable=SC2086
		if ! veritysetup open $words ${dev:+--fec-device=$dev} "$data" v "$header" "$(cat "$name.root")" 2> err
		then bad "veritysetup open"
		elif ! reads v; then bad "other data"
		elif ! dmsetup status v | grep -q 'verity V'; then bad "$(dmsetup status v)"
		else echo "ok $name"
		fi
		veritysetup close v 2> /dev/null
		losetup -d "$data" "$header" ${dev:+"$dev"} ;;
	corrupt)	# must not be read
		data=$(loop_up "$name.img") && header=$(loop_up "$name.tree") || return
		if ! veritysetup open "$data" v "$header" "$(cat "$name.root")" 2> err; then bad "veritysetup open"
		elif cat /dev/mapper/v > /dev/null 2>&1; then bad "is read"
		else echo "ok $name"
		fi
		veritysetup close v 2> /dev/null
		losetup -d "$data" "$header" ;;
	integrity)
		dev=$(loop_up "$name.img") || return
		# shellcheck disable=SC2086
		if ! integritysetup open $words "$dev" v 2> err; then bad "integritysetup open"
		elif ! reads v; then bad "other data"
		elif ! writes v; then bad "cannot be written"
		elif dmsetup status v | grep -qv '^[0-9]* [0-9]* integrity 0 '; then bad "$(dmsetup status v)"
		else echo "ok $name"
		fi
		integritysetup close v 2> /dev/null
		loop_down "$dev" "$name.img" ;;
	esac
}

while IFS='|' read -r name kind words; do
	one < /dev/null
done < cases
