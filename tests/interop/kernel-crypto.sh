#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What ndm encrypts, formats and protects is read by Linux's own device-mapper with cryptsetup,
# veritysetup and integritysetup, and what that writes is read by ndm: in a virtual machine
# ($KERNEL_VM: see contrib/kernel-vm; without it this is skipped, for it takes minutes where the
# processor is emulated).  ONLY='verity|crypt-1$': names of cases, as an extended regular expression.
TEST_LIMIT_S=${TEST_LIMIT_S:-3000}
. "$(dirname "$0")/functions.sh"
[ -n "${KERNEL_VM:-}" ] || skip "takes minutes: set KERNEL_VM=$top_srcdir/contrib/kernel-vm/kernel-vm for it"
requires_ndmd
requires_program nbdcopy cryptsetup veritysetup integritysetup dmsetup losetup
vm=$KERNEL_VM
[ -x "$vm" ] || skip "needs a starter of virtual machines (\$KERNEL_VM)"
"$vm" -m 512 -t 300 -- true > vm.txt 2>&1 || skip "no virtual machine here: $(tail -n 1 vm.txt)"

S=$T/share
mkdir "$S"
cd "$S"
SIZE=$((512 * 1024))
head -c $SIZE /dev/urandom > first
head -c $((SIZE / 4)) /dev/urandom > second
{ cat second; tail -c +$((SIZE / 4 + 1)) first; } > both
printf 'the passphrase' > pass
cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
start_ndmd
cs() { "$NDM" cryptsetup -q "$@"; }

put() { nbdcopy first "$(uri "$1")"; }
get() {	# NAME FILE: is the file at the volume's begin?
	nbdcopy "$(uri "$1")" got && cmp -s -n $SIZE got "$2"
}
failures=0
wrong() { say "$*"; failures=$((failures + 1)); }

# ---- crypt: cipher, bytes of key, sector size and more
n=0
crypt_cases() {
	cat <<-'END'
	aes-xts-plain64 64
	aes-xts-plain64 32 sector_size:4096
	aes-xts-plain64 64 sector_size:4096 iv_large_sectors
	aes-xts-plain64 64 sector_size:2048
	aes-xts-essiv:sha256 32
	aes-cbc-essiv:sha256 32
	aes-cbc-plain 16
	aes-cbc-plain64be 24
	aes-cbc-benbi 32
	aes-cbc-null 32
	aes-cbc-eboiv 32
	aes-cbc-eboiv 32 sector_size:4096 iv_large_sectors
	aes-cbc-elephant 32
	aes-cbc-tcw 64
	aes:64-cbc-lmk 2080
	aes-ecb 32
	aes-ctr-plain64 32
	aes-lrw-benbi 48
	serpent-xts-plain64 64
	twofish-xts-plain64 64
	twofish-cbc-essiv:sha256 24
	camellia-xts-plain64 64
	camellia-cbc-plain64 32
	cast5-cbc-plain64 16
	cast6-cbc-plain64 32
	cast6-xts-plain64 64
	des3_ede-cbc-plain64 24
	blowfish-cbc-plain64 32
	capi:xts(aes)-plain64 64
	capi:cbc(serpent)-essiv:sha256 32
	capi:adiantum(xchacha12,aes)-plain64 32 sector_size:4096
	xchacha12,aes-adiantum-plain64 32
	END
}
: > cases
: > refused
while read -r cipher key words; do
	n=$((n + 1))
	name=crypt-$n
	truncate -s 1M $name.img
	hex=$(head -c "$key" /dev/urandom | od -An -tx1 | tr -d ' \n')
	# shellcheck disable=SC2086
	set -- $words
	table="0 2048 crypt $cipher $hex 8 DEV 0${words:+ $# $words}"
	if ! "$NDMSETUP" create v --table "${table//DEV/$S/$name.img}" 2> err; then
		[ -s err ] || wrong "$cipher $key: refused without a word"
		echo "$cipher $key: $(tail -n 1 err)" >> refused
		rm $name.img
		continue
	fi
	put v
	"$NDMSETUP" remove v
	echo "$name|crypt|$table" >> cases
	echo "$table" > $name.table
	echo "$cipher $key $words" > $name.what
done < <(crypt_cases)

# ---- LUKS, made here and there
small=(--luks2-keyslots-size 1m --offset 8192)
luks() {	# NAME OPTION...
	local name=$1
	shift
	truncate -s 16M "$name.img"
	cs luksFormat "$@" --key-file pass "$name.img"
	cs open --key-file pass "$name.img" v
	put v
	cs close v
	echo "$name|luks|" >> cases
	echo "$name" > "$name.what"
}
luks luks1 --type luks1 "${cheap[@]}"
luks luks1-serpent --type luks1 -c serpent-cbc-essiv:sha256 -s 256 "${cheap[@]}"
luks luks2 "${small[@]}" "${cheap[@]}"
luks luks2-4096 "${small[@]}" --sector-size 4096 "${cheap[@]}"
luks luks2-argon2id "${small[@]}" --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 64 --pbkdf-parallel 1
luks luks2-argon2i "${small[@]}" --pbkdf argon2i --pbkdf-force-iterations 4 --pbkdf-memory 64 --pbkdf-parallel 2
luks luks2-twofish "${small[@]}" -c twofish-xts-plain64 "${cheap[@]}"
luks luks2-adiantum "${small[@]}" -c xchacha20,aes-adiantum-plain64 -s 256 --sector-size 4096 "${cheap[@]}"
luks luks2-hmac "${small[@]}" --integrity hmac-sha256 -c aes-xts-plain64 --sector-size 4096 "${cheap[@]}"
luks luks2-hmac-random "${small[@]}" --integrity hmac-sha256 -c aes-xts-random "${cheap[@]}"
luks luks2-gcm "${small[@]}" --integrity aead -c aes-gcm-random -s 256 "${cheap[@]}"
luks luks2-chacha "${small[@]}" --integrity poly1305 -c chacha20-random -s 256 --sector-size 4096 "${cheap[@]}"
format() { echo "$1|format|$2" >> cases; echo "$1" > "$1.what"; }
format theirs-luks1 "--type luks1"
format theirs-luks2 "${small[*]} --sector-size 4096"
format theirs-hmac "${small[*]} --integrity hmac-sha256 --sector-size 4096"
format theirs-gcm "${small[*]} --integrity aead -c aes-gcm-random -s 256"

# ---- re-encryption, begun here and finished there, and the other way
begun() {	# NAME KIND OPTION...: a device, for now as it was made
	local name=$1 kind=$2
	shift 2
	truncate -s 16M "$name.img"
	cs luksFormat "${small[@]}" "${cheap[@]}" --key-file pass "$name.img"
	cs open --key-file pass "$name.img" v
	put v
	cs close v
	echo "$name|$kind|$*" >> cases
	echo "$name" > "$name.what"
}
begun re-init finish
cs reencrypt --init-only "${cheap[@]}" --key-file pass re-init.img
for resilience in checksum journal; do
	begun re-killed-$resilience finish
	"$NDM" cryptsetup -q reencrypt --resilience $resilience -c serpent-xts-plain64 --hotzone-size 16k --key-file pass \
		"${cheap[@]}" re-killed-$resilience.img & pid=$!
	wait_for "the re-encryption" eval "ended $pid || cryptsetup luksDump --disable-locks re-killed-$resilience.img |
		grep '^  1: crypt'"		# a second segment: some of it is done
	kill -KILL $pid 2> /dev/null || :
	wait $pid 2> /dev/null || :
	cryptsetup luksDump re-killed-$resilience.img | grep reencrypt > grep.txt || say "$resilience: was done before it was killed"
done
begun re-theirs begin --resilience checksum
begun re-theirs-none-yet begin --resilience journal --sector-size 4096
begun re-theirs-killed killed --resilience checksum

# ---- verity
verity() {	# NAME KIND OPTION...
	local name=$1 kind=$2
	shift 2
	cp first "$name.img"
	"$NDM" veritysetup format "$@" --root-hash-file="$name.root" "$name.img" "$name.tree" > /dev/null
	truncate -s %4096 "$name.tree"
	[ ! -e "$name.parity" ] || truncate -s %4096 "$name.parity"
	echo "$name|$kind|" >> cases
	echo "$name" > "$name.what"
}
verity verity-sha256 verity
verity verity-sha1-v0 verity --hash=sha1 --format=0
verity verity-sha512-1k verity --hash=sha512 --data-block-size=1024 --hash-block-size=1024
verity verity-sha3 verity --hash=sha3-256
verity verity-small verity --data-block-size=512 --hash-block-size=512 --salt=-
verity verity-fec verity --fec-device=verity-fec.parity --fec-roots=8
for at in 8192 131072 400000; do	# the kernel repairs what our parity is good for
	head -c 3000 /dev/zero | dd of=verity-fec.img bs=1 seek=$at conv=notrunc status=none
done
echo "verity-fec|verity|--fec-roots=8" > fec; sed -i '/^verity-fec|/d' cases; cat fec >> cases
verity verity-corrupt corrupt
printf X | dd of=verity-corrupt.img bs=1 seek=81920 conv=notrunc status=none
verity verity-corrupt-tree corrupt
printf X | dd of=verity-corrupt-tree.tree bs=1 seek=4700 conv=notrunc status=none

# ---- integrity
head -c 32 /dev/urandom > key
integrity() {	# NAME "FORMAT ONLY" OPTION...
	local name=$1 only=$2
	shift 2
	truncate -s 6M "$name.img"
	# shellcheck disable=SC2086
	"$NDM" integritysetup -q format $only "$@" "$name.img" > /dev/null
	"$NDM" integritysetup -q open "$@" "$name.img" v
	put v
	"$NDM" integritysetup -q close v
	echo "$name|integrity|$*" >> cases
	echo "$name" > "$name.what"
}
integrity integrity-crc32c ""
integrity integrity-4096 "--sector-size=4096"
integrity integrity-sha256 "--tag-size=32" --integrity=sha256
integrity integrity-xxhash64 "" --integrity=xxhash64
integrity integrity-bitmap "" --integrity=crc32c --integrity-bitmap-mode
integrity integrity-direct "" --integrity=crc32c --integrity-no-journal
integrity integrity-hmac "" --integrity=hmac-sha256 --integrity-key-file=key --integrity-key-size=32 \
	--journal-integrity=hmac-sha256 --journal-integrity-key-file=key --journal-integrity-key-size=32 \
	--journal-crypt=ctr-aes --journal-crypt-key-file=key --journal-crypt-key-size=32

# ---- there
grep -E "^(${ONLY:-.*})" cases > some || fail "no case is named ${ONLY:-}"
mv some cases
total=$(wc -l < cases)
say "$total cases; not offered here:"
sed 's/^/    /' refused
cp "$top_srcdir/tests/interop/kernel/guest.sh" .
"$vm" -w "$S" -m 1024 -t "${VM_LIMIT_S:-2400}" -- bash "$S/guest.sh" "$S" > said.txt 2> said.err || {
	cat said.txt said.err
	fail "the virtual machine: $?"
}
grep -v '^ok ' said.txt || :
good=$(grep -c '^ok ' said.txt || :)

# ---- and back: what the kernel wrote
back=0
expect() {	# NAME FILE
	if get v "$2"; then back=$((back + 1)); else wrong "$1 ($(cat "$1.what")): ndm reads other data"; fi
}
while IFS='|' read -r name kind words; do
	grep -q "^ok $name" said.txt || { wrong "$name ($(cat "$name.what")): not read by the kernel"; continue; }
	case $kind in
	crypt)
		"$NDMSETUP" create v --table "${words//DEV/$S/$name.img}"
		expect "$name" both
		"$NDMSETUP" remove v ;;
	luks | format | finish)
		cs open --key-file pass "$name.img" v || { wrong "$name: ndm cannot open it"; continue; }
		expect "$name" both
		cs close v ;;
	begin | killed)
		if grep -q 'not in time' <(grep "^ok $name" said.txt); then say "$name: not killed in time"; fi
		! cryptsetup luksDump "$name.img" | grep reencrypt > grep.txt ||
			cs reencrypt --resume-only --key-file pass "$name.img" || { wrong "$name: ndm cannot finish it"; continue; }
		cs open --key-file pass "$name.img" v
		expect "$name" first
		cs close v ;;
	integrity)
		# shellcheck disable=SC2086
		"$NDM" integritysetup -q open $words "$name.img" v
		expect "$name" both
		"$NDM" integritysetup -q close v ;;
	*)	back=$((back + 1)) ;;
	esac
done < cases
say "the kernel: $good of $total; back: $back of $total"
[ $failures = 0 ] || fail "$failures of $total"
