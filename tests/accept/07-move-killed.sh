#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# ndm move is killed after each of the commands that it gives ndmd, eight of them or thirteen.
# Whatever it had come to: the device can be read and has what it had; the same command ends the
# move, and --abort goes back unless the move had ended; nothing is left of it in either case.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdcopy
requires /usr/bin/python3 -c 'import socket'

kill_at() { /usr/bin/python3 "$top_srcdir/tests/accept/kill-at.py" "$T/control" "$@"; }
sectors=8192
half=$((sectors / 2))
truncate -s 4M old.img one.img two.img new.img
head -c 4M /dev/urandom > seen
start_ndmd

declare -A old=([plain]="0 $sectors linear $T/old.img 0"
	[pieces]="0 $half linear $T/one.img 0
$half $half striped 2 128 $T/one.img $half $T/two.img 0")
moved="0 $sectors linear $T/new.img 0"

none_moving() { ! "$NDMSETUP" ls | grep -q moving; }
at_rest() {	# DEVICE: neither suspended nor with a table that waits
	"$NDMSETUP" info "$1" > info
	grep -q '^State:  *ACTIVE' info && grep -q '^Tables present:  *LIVE$' info
}
whole() {	# DEVICE WHEN
	nbdcopy "$(uri "$1")" now
	cmp seen now || fail "$1 has changed, $2"
}

set_up() {	# DEVICE
	"$NDMSETUP" create "$1" --table "${old[$1]}"
	nbdcopy seen "$(uri "$1")"
	before=$("$NDMSETUP" table "$1")
	head -c 4M /dev/zero > new.img
}

# rerun KIND: what the next call makes of what was left
rerun() {
	local device=$1 when=$2
	"$NDM" move "$device" --to "$T/new.img" > out 2> err || fail "the same again, $when: $(cat out err)"
	[ "$("$NDMSETUP" table "$device")" = "$moved" ] || fail "moved, $when, it is $("$NDMSETUP" table "$device")"
}
back() {
	local device=$1 when=$2 status=0 table
	"$NDM" move "$device" --abort > out 2> err || status=$?
	table=$("$NDMSETUP" table "$device")
	if [ $status = 0 ]; then
		[ "$table" = "$before" ] || fail "aborted, $when, it is $table"
	else
		grep -q "is not being moved" err || fail "abort, $when: $(cat out err)"
		[ "$table" = "$before" ] || [ "$table" = "$moved" ] || fail "not moved, $when, it is $table"
	fi
}

for device in plain pieces; do
	for end in rerun back; do
		steps=0
		mirrors=0
		for ((n = 1; ; n++)); do
			set_up "$device"
			status=0
			kill_at "$n" "$NDM" move "$device" --to "$T/new.img" > out 2> err || status=$?
			when="$device killed after command $n"
			[ $status = 9 ] || break
			steps=$n
			"$NDMSETUP" table "$device" | grep -q mirror && mirrors=$((mirrors + 1))
			whole "$device" "$when"
			[ "$("$NDMSETUP" table "$device")" != "$moved" ] ||
				wait_for "$device.moving to go by itself, $when" none_moving
			$end "$device" "$when"
			whole "$device" "$when and then $end"
			at_rest "$device" || fail "$when, $end: $(cat info)"
			wait_for "$device.moving to go, $when, $end" none_moving
			"$NDMSETUP" remove "$device"
		done
		[ $status = 0 ] || fail "$device, not killed: $(cat out err)"
		[ $steps -ge 8 ] && [ $mirrors -gt 1 ] || fail "$device: only $steps steps, $mirrors with a mirror"
		"$NDMSETUP" remove "$device"
		say "$device, then $end: killed after each of $steps commands"
	done
done

# ---- somebody's own device of that name is left alone
set_up pieces
"$NDMSETUP" create pieces.moving --table "0 8 zero"
! "$NDM" move pieces --to "$T/new.img" > out 2> err || fail "moved in spite of pieces.moving"
! "$NDM" move pieces --abort 2> err || fail "aborted what is not being moved"
[ "$("$NDMSETUP" table pieces.moving)" = "0 8 zero " ] || fail "pieces.moving is $("$NDMSETUP" table pieces.moving)"
[ "$("$NDMSETUP" table pieces)" = "$before" ] || fail "pieces is $("$NDMSETUP" table pieces)"
