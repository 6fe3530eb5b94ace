#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# All that a device is comes along: with --takeover read ahead, geometry, statistics with their
# counters, counters for Prometheus, inactive tables, states without a table, removals that wait
# for a client; with --state what is worth keeping of it.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program curl
requires nbdsh --version

dm() { "$NDMSETUP" "$@"; }
truncate -s 4M a.img b.img
takeover() {
	local old=$ndmd_pid status=0
	"$NDMD" --foreground --takeover --control "$NDM_CONTROL" "$@" >> ndmd.out 2>> ndmd.err < /dev/null &
	ndmd_pid=$!
	started+=("$ndmd_pid")
	wait_end "$old" || status=$?
	[ "$status" -eq 0 ] || fail "the old process ended with $status"
	wait_for "the new process to answer" dm version
}
same() { [ "$2" = "$3" ] || fail "$1: '$3', not '$2'"; }

start_ndmd --threads 2 --metrics "unix:$T/metrics"
dm create d --uuid D --readahead 1000 --table "0 8192 linear $T/a.img 0"
dm create none --readahead none --table '0 8 zero'
dm create auto --table '0 8 zero'
dm create above --table '0 100 linear /dev/mapper/d 0'
dm setgeometry d 10 16 63 5
dm load auto --table '0 16 error'
dm create cleared --notable
dm load cleared --table '0 8 zero'
dm clear cleared
dm create fresh --notable
dm create still --notable
dm suspend still
dm create loaded --notable
dm load loaded --table '0 8 zero'
dm suspend loaded
dm create going --table "0 2048 linear $T/b.img 0"
dm create gone --table "0 2048 linear $T/b.img 2048"

say "regions of every kind, with counters in them"
dm stats create d --areas 3 --userdata mydata --programid mine > out
dm stats create d --start 100 --length 1000s --areasize 333s --bounds 1,10,100 > out
dm stats create d --precise --bounds 10us,1ms > out
dm stats create above --alldevices --start 7 --length 10s > out 2>&1 || dm stats create above > out
dm stats delete d --regionid 1 --allprograms > out	# a gap in the numbers
dm stats create d --regionid 0 --start 9s --length 20s > out
dm message d 0 '@stats_create - /2 1 histogram:5 - DMS_GROUP=alias:0,2#'
dm stats delete d --regionid 0 --allprograms > out
nbdsh -u "$(uri d)" -c 'for i in range(50): h.pwrite(bytes(3000 + i * 7), i * 70001)' \
	-c 'for i in range(30): h.pread(70000, i * 100003)' -c 'h.flush()' -c 'h.zero(65536, 4096)'
dm suspend above

everything() {
	local device id
	dm info -c --noheadings -o name,uuid,minor,attr,open,segments,events,tables_loaded,read_ahead
	dm info fresh 2>&1
	dm info cleared 2>&1
	dm table
	dm table --inactive
	for device in d above; do
		dm message "$device" 0 @stats_list
		for id in $(dm message "$device" 0 @stats_list | cut -d: -f1); do
			dm message "$device" 0 "@stats_print $id"
		done
	done
	curl -fsS --unix-socket "$T/metrics" http://ndm/metrics |
		grep -E '^ndm_(device_(.*_total|size|susp|open|io_d)|nbd_requests)' | grep -v time_seconds
}
cat > hold.py <<'PY'
import os, sys, nbd
h = nbd.NBD()
h.connect_uri(sys.argv[1])
open("held", "w").close()
with open("goon") as f:
    f.read()
h.shutdown()
PY
mkfifo goon
/usr/bin/python3 hold.py "$(uri going)" &
holder=$!
started+=("$holder")
wait_for "a client" test -e held
dm remove --deferred going
dm info going | grep -q 'DEFERRED REMOVE' || fail "it does not wait for its client"
everything > before
[ "$(grep -c '^[0-9]*+[0-9]* [0-9]' before)" -ge 5 ] || fail "too few areas: $(cat before)"
grep -qE '^[0-9]*\+[0-9]* [1-9][0-9]* .*:' before || fail "no histogram was counted: $(cat before)"
grep -q '^d:.*:1000$' before || fail "read ahead: $(cat before)"

say "taken over, twice"
for turn in 1 2; do
	takeover --threads "$turn" --metrics "unix:$T/metrics"
	everything > after
	diff before after || fail "turn $turn: it is not as it was"
	dm info going | grep -q 'DEFERRED REMOVE' || fail "turn $turn: it waits no more"
done
# what came along still counts, and goes as it should
nbdsh -u "$(uri d)" -c 'h.pwrite(bytes(512), 0)'
! dm message d 0 @stats_print 2 | diff - <(grep -A3 '^2:' before) > out || fail "a region counts no more"
dm resume above
dm resume auto
same "an inactive table" "0 16 error " "$(dm table auto)"
dm resume loaded
same "another" "0 8 zero " "$(dm table loaded)"
: > goon
wait_end "$holder"
is_gone() { ! dm info -c --noheadings -o name | grep -qx "$1"; }
wait_for "the device to go with its client" is_gone going

say "kept in a folder, and not what would be wrong there"
takeover --state "$T/state"
grep -qx 'read_ahead: 1000' state/d.dm
grep -qx 'geometry: 10 16 63 5' state/d.dm
grep -qx 'suspended: yes' state/still.dm
! grep -q 'read_ahead\|geometry' state/auto.dm || fail "what is as always is written"
dm resume --readahead 2000 auto
grep -qx 'read_ahead: 2000' state/auto.dm || fail "a change of read ahead alone is not written"
dm setgeometry auto 1 2 3 4
grep -qx 'geometry: 1 2 3 4' state/auto.dm || fail "a change of geometry alone is not written"
rm held
/usr/bin/python3 hold.py "$(uri gone)" &
holder=$!
started+=("$holder")
wait_for "a client" test -e held
[ -e state/gone.dm ]
dm remove --deferred gone
[ ! -e state/gone.dm ] || fail "a device that goes with its client would come again"
dm message gone 0 @cancel_deferred_remove
[ -e state/gone.dm ] || fail "it was to stay after all"
dm remove --deferred gone
# a device whose only table was thrown away is like a new one
dm info -c --noheadings -o name,uuid,minor,attr,read_ahead | grep -v '^gone\|^cleared' > before
kill -KILL "$ndmd_pid"
wait_end "$ndmd_pid" || :
: > goon
wait_end "$holder" || :
rm -f "$sock" control
start_ndmd --state "$T/state"
dm info -c --noheadings -o name,uuid,minor,attr,read_ahead | grep -v '^cleared' > after
diff before after || fail "it is not as it was before KILL"
grep -qx 'geometry: 10 16 63 5' state/d.dm || fail "the geometry is lost"
stop_ndmd
