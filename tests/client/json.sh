# SPDX-License-Identifier: BSD-2-Clause
# Every JSON answer is one that its schema allows.

. "$top_srcdir/tests/client/functions.sh"

find_python jsonschema
checker=$python
start_fake

# check SCHEMA COMMAND...: the command succeeds and its output fits
check() {
	schema=$top_srcdir/client/schema/$1.json
	shift
	"$@" > "$tmp/out" || fail "$*"
	"$checker" "$here/check-json.py" "$schema" < "$tmp/out" || fail "$*"
}

everything() {
	check ls "$ndmsetup" ls -j
	check ls "$ndmsetup" ls -j --target linear
	check info "$ndmsetup" info -j
	check info-columns "$ndmsetup" info -c --reportformat json -o name,uuid,minor,devs_used
	check table "$ndmsetup" table --json
	check status "$ndmsetup" --reportformat=json status
	check status "$ndmsetup" status -j --explain
	check deps "$ndmsetup" deps -j
	check targets "$ndmsetup" targets -j
	check targets "$ndmsetup" target-version -j linear zero
	check version "$ndmsetup" version -j
	check tree "$ndmsetup" ls --tree -j
	check tree "$ndm" tree -j
	check stats "$ndmsetup" stats list -j
	check stats "$ndmsetup" stats report -j
	check exports "$ndm" export -j
	check top "$ndm" top -j -n 1 -d 0.01
}

everything
"$ndmsetup" create low -u LVM-x --table $'0 8 zero\n8 8 linear /a"b 0'
"$ndmsetup" create 'a "name" \ with ü' --notable
"$ndmsetup" --manglename none create $'not\xffutf8' --notable
DM_DEFAULT_NAME_MANGLING_MODE=none check ls "$ndmsetup" ls -j
"$ndmsetup" --manglename none remove $'not\xffutf8'
"$ndmsetup" create top --table '0 16 linear /dev/mapper/low 0'
"$ndmsetup" stats create low
"$ndmsetup" stats create --areas 2 --bounds 1ms,2ms low
everything
printf 'volumes:\n  new:\n' | check plan "$ndm" plan -j -

# A monitor that is told of a device, and of its end, by an event
"$ndm" monitor -j > "$tmp/events" &
monitor=$!
until [ -s "$tmp/events" ]; do
	"$ndmsetup" create short --table '0 8 zero'
	"$ndmsetup" remove short
	sleep 0.2
	kill -0 $monitor || fail "monitor ended early"
done
kill $monitor
"$checker" "$here/check-json.py" "$top_srcdir/client/schema/monitor.json" --lines < "$tmp/events"
