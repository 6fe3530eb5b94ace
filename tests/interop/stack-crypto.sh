#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Stacks of encryption and integrity under load - crypt over integrity (LUKS2 --integrity), crypt
# over remote legs, verity over crypt - while each of their devices is suspended, resumed and
# loaded anew over and over: nothing is lost, nothing is other data, no client sees an error.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit nbdcopy nbdinfo
requires_fio_nbd
printf 'the passphrase' > pass
start_ndmd

again() {	# DEVICE: its own table once more, keys and all
	"$NDMSETUP" table --showkeys "$1" > "table.$1"
	"$NDMSETUP" load "$1" "table.$1"
	"$NDMSETUP" suspend "$1"
	"$NDMSETUP" resume "$1"
}

# shake PID DEVICE...: until the process has ended, and once each in any case
shake() {
	local pid=$1 rounds=0 dev
	shift
	while [ $rounds = 0 ] || ! ended "$pid"; do
		for dev; do
			"$NDMSETUP" suspend "$dev"
			"$NDMSETUP" resume "$dev"
			"$NDMSETUP" suspend --nolockfs "$dev"
			"$NDMSETUP" resume "$dev"
			again "$dev"
		done
		rounds=$((rounds + 1))
	done
	say "$*: $rounds rounds"
}

load() {	# NAME SIZE BLOCK
	fio --name=load --ioengine=nbd --uri="$(uri "$1")" --rw=randwrite --bs="$3" --iodepth=8 --size="$2" \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0 --randseed=5 > "$1.fio" 2>&1
}

under_load() {	# NAME SIZE BLOCK DEVICE...
	local name=$1 size=$2 block=$3 pid status=0
	shift 3
	load "$name" "$size" "$block" &
	pid=$!
	started+=("$pid")
	shake "$pid" "$@"
	wait "$pid" || status=$?
	[ $status = 0 ] || fail "$name: fio: $(tail -n 5 "$name.fio")"
}

# ---- crypt over integrity
truncate -s 12M auth.img
"$NDM" cryptsetup -q luksFormat --integrity hmac-sha256 --sector-size 4096 --luks2-keyslots-size 512k --offset 2048 \
	--pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file pass auth.img
"$NDM" cryptsetup open --key-file pass auth.img auth
under_load auth 6M 4k auth auth_dif
nbdcopy "$(uri auth)" before
"$NDM" cryptsetup close auth
"$NDM" cryptsetup open --key-file pass auth.img auth
nbdcopy "$(uri auth)" after
cmp before after
"$NDM" cryptsetup close auth

# ---- crypt over remote legs
key=$(head -c 64 /dev/urandom | od -An -tx1 | tr -d ' \n')
for leg in left right; do
	truncate -s 4M $leg.img
	nbdkit -f -U "$T/$leg.sock" file $leg.img 2> $leg.err &
	started+=($!)
	wait_for "nbdkit" nbdinfo --size "nbd+unix:///?socket=$T/$leg.sock"
done
"$NDMSETUP" create legs --table "0 16384 striped 2 64 nbd+unix:///?socket=$T/left.sock 0 nbd+unix:///?socket=$T/right.sock 0"
"$NDMSETUP" create far --table "0 16384 crypt aes-xts-plain64 $key 0 /dev/mapper/legs 0 1 sector_size:4096"
under_load far 8M 8k far legs
nbdcopy "$(uri far)" before
"$NDMSETUP" remove far
"$NDMSETUP" create far --table "0 16384 crypt aes-xts-plain64 $key 0 /dev/mapper/legs 0 1 sector_size:4096"
nbdcopy "$(uri far)" after
cmp before after
grep -q "$key" ndmd.err ndmd.out && fail "the key is in the log"

# ---- verity over crypt: data and tree are both encrypted
head -c 6M /dev/urandom > image
cp image whole
root=$("$NDM" veritysetup format --hash-offset=$((6 << 20)) --data-blocks=1536 whole whole | sed -n 's/^Root hash:[ \t]*//p')
truncate -s 8M whole
nbdcopy whole "$(uri far)"
"$NDM" veritysetup open --hash-offset=$((6 << 20)) /dev/mapper/far sealed /dev/mapper/far "$root"
reads() {
	for _ in 1 2 3 4; do nbdcopy --request-size=65536 "$(uri sealed)" - | cmp - image || return; done
}
reads > reads.out 2>&1 &
reader=$!
started+=("$reader")
shake "$reader" far legs
wait "$reader" || fail "verity over crypt: $(cat reads.out)"
"$NDMSETUP" status sealed | grep -q 'verity V' || fail "$("$NDMSETUP" status sealed)"
