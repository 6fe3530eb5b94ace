#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each of the tables in wrong-tables.txt is refused with a reason in words, and changes nothing:
# a new device does not come to be, and one that is in use keeps its table and its openers.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program jq

truncate -s 2M a.img
truncate -s 2M b.img
mkdir folder
start_ndmd --create "kept: 0 4096 linear $T/a.img 0"
"$NDMSETUP" table > before

n=0 bad=0
complain() { say "$1: $2"; bad=$((bad + 1)); }
while IFS= read -r line; do
	case $line in '' | '#'*) continue ;; esac
	n=$((n + 1))
	line=${line//@NONE/$T/none}
	line=${line//@DIR/$T/folder}
	line=${line//@A/$T/a.img}
	printf '%b\n' "${line//@B/$T/b.img}" > table
	if "$NDMSETUP" create new table > out 2> err < /dev/null; then
		complain "$line" "accepted"
		"$NDMSETUP" remove new || :
		continue
	fi
	# what dmsetup itself finds wrong before asking needs no reason
	if grep -q 'ioctl' err; then
		[ "$(grep -c '^reason: ' err)" -ge 1 ] || complain "$line" "no reason: $(cat err)"
		[ "$(grep '^reason: ' err | awk '{ print length }' | sort -n | head -n 1)" -ge 15 ] ||
			complain "$line" "too short a reason: $(cat err)"
	else
		[ -s err ] || complain "$line" "not a word"
	fi
	# As in the kernel only the first load of a device looks at the sizes of what is below; later
	# it is the resume that refuses.
	if "$NDMSETUP" load kept table > out 2>&1 < /dev/null && ! grep -q 'too small' err; then
		complain "$line" "accepted by load"
	fi
	"$NDMSETUP" clear kept > out 2>&1
	"$NDMSETUP" table > after 2>&1
	cmp -s before after || complain "$line" "tables have changed: $(cat after)"
	! ended "$ndmd_pid" || fail "ndmd has ended at: $line"
done < "$top_srcdir/tests/interop/wrong-tables.txt"
stop_ndmd
[ $n -ge 150 ] || fail "only $n tables"
[ $bad -eq 0 ] || fail "$bad of $n"
say "$n wrong tables refused"
