#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `ndm veritysetup` and Debian's veritysetup make the same trees, byte for byte, print the same
# and find the same wrong; then a volume is opened over ndmd, damaged, and repaired by parity.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program veritysetup qemu-io nbdcopy

ours() { "$NDM" veritysetup "$@"; }
theirs() { veritysetup "$@"; }
refused() { if "$@" >/dev/null 2>&1; then fail "accepted: $*"; fi; }
same() {	# COMMAND...: both print the same and end the same
	local a=0 b=0
	ours "$@" > ours.txt 2>&1 || a=$?
	theirs "$@" > theirs.txt 2>&1 || b=$?
	diff theirs.txt ours.txt || fail "$* differs"
	[ $a = $b ] || fail "$* ends with $a, not $b"
}

head -c 3000000 /dev/urandom > data
fixed=(--uuid=11111111-2222-3333-4444-555555555555)
while IFS= read -r words; do
	rm -f tree tree.ours tree.theirs parity parity.ours parity.theirs
	salt=(--salt=0102030405)
	[[ $words != *--salt* ]] || salt=()
	for who in ours theirs; do
		# shellcheck disable=SC2086
		$who format "${fixed[@]}" "${salt[@]}" $words data tree > $who.txt
		mv tree tree.$who
		[ ! -e parity ] || mv parity parity.$who
	done
	cmp tree.ours tree.theirs || fail "the trees of '$words' differ"
	diff theirs.txt ours.txt || fail "what is said of '$words' differs"
	[ ! -e parity.ours ] || cmp parity.ours parity.theirs || fail "the parities of '$words' differ"
	[[ $words != *--no-superblock* ]] || continue
	root=$(sed -n 's/^Root hash:[ \t]*//p' ours.txt)
	mv tree.ours tree
	[ ! -e parity.ours ] || mv parity.ours parity
	read -ra where <<< "$(grep -oE -- '--(hash-offset|fec-[a-z]*)=[^ ]*' <<< "$words" | tr '\n' ' ')" || :
	ours verify "${where[@]}" data tree "$root"
	theirs verify "${where[@]}" data tree "$root"
	same dump "${where[@]}" tree
done <<'END'
--format=1
--format=0
--hash=sha1
--hash=sha1 --format=0 --hash-block-size=512
--hash=sha512 --data-block-size=512 --hash-block-size=1024
--hash=sha3-256
--hash=ripemd160
--hash=blake2b-512
--data-blocks=1
--data-blocks=128
--data-blocks=129
--no-superblock
--hash-offset=8192
--salt=-
--fec-device=parity
--fec-device=parity --fec-roots=24
--fec-device=parity --fec-roots=7 --data-block-size=512 --hash-block-size=512
END

# one file for all of it
blocks=$((3000000 / 4096))
for who in ours theirs; do
	cp data all
	truncate -s 6M all
	$who format "${fixed[@]}" --salt=00ff --data-blocks=$blocks --hash-offset=$((blocks * 4096)) \
		--fec-device=all --fec-offset=4096000 all all > $who.txt
	mv all all.$who
done
cmp all.ours all.theirs
diff theirs.txt ours.txt

# what is wrong is found, and said in the same words
rm -f tree parity
ours format "${fixed[@]}" --root-hash-file=root data tree --fec-device=parity > /dev/null
root=$(cat root)
ours verify --root-hash-file=root data tree
same verify data tree
same verify data tree 00
same verify data tree "${root//[0-9]/0}"
cp data good
for at in 81920 2999000; do
	cp good data
	printf 'damaged' | dd of=data bs=1 seek=$at conv=notrunc status=none
	if [ $at -lt $((blocks * 4096)) ]; then refused ours verify data tree "$root"; fi
	same verify data tree "$root"
done
cp good data
for at in 4096 8200 12300; do
	cp tree tree.bad
	printf 'damaged' | dd of=tree.bad bs=1 seek=$at conv=notrunc status=none
	refused ours verify data tree.bad "$root"
	same verify data tree.bad "$root"
done
same dump data
for at in 0 8 12 64 78 81 32; do
	cp tree tree.bad
	printf '\377\377' | dd of=tree.bad bs=1 seek=$at conv=notrunc status=none
	refused ours dump tree.bad
done
refused ours format data
refused ours format --data-block-size=1000 data tree.new
refused ours format --hash=nonsense data tree.new
refused ours format --data-blocks=100000 data tree.new
refused ours format --hash-offset=4096 data data

# over ndmd
start_ndmd
damage() { printf 'damaged' | dd of=data bs=1 seek="$1" conv=notrunc status=none; }
status() { "$NDMSETUP" status v; }
ours open data v tree "$root"
refused ours open data v tree "$root"
ours status v | grep -q "status:      verified" || fail "not verified"
nbdcopy "$(uri v)" out
cmp -n $((blocks * 4096)) out good
damage 81920
refused nbdcopy "$(uri v)" null:
[ "$(status)" = "0 $((blocks * 8)) verity C" ] || fail "$(status)"
ours close v
ours open --fec-device=parity data v tree "$root"
nbdcopy "$(uri v)" out
cmp -n $((blocks * 4096)) out good
[ "$(status)" = "0 $((blocks * 8)) verity V" ] || fail "$(status)"
ours close v
ours open --ignore-corruption --root-hash-file=root data v tree
nbdcopy "$(uri v)" out
cmp -n $((blocks * 4096)) out data
"$NDMSETUP" table v | grep -q ' 1 ignore_corruption$' || fail "no option"
"$NDMSETUP" info v | grep -q 'READ-ONLY' || fail "not read-only"
ours close v
refused ours close v
refused ours open data v tree "${root//[0-9]/0}x"
