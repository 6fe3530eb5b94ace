#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Counters as Prometheus reads them: they say what has been done.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program curl
requires nbdsh --version

start_ndmd --create 'odd"name: 0 2048 linear mem:1M 0' --metrics "unix:$T/metrics"
get() { curl -fsS --unix-socket "$T/metrics" http://ndm/metrics; }
nbdsh -u "$(uri 'odd%22name')" -c 'h.pwrite(bytes(8192), 0)' -c 'h.pread(4096, 0)' -c 'h.flush()' \
	-c 'h.set_strict_mode(0)' -c '
try: h.pread(512, 1 << 20)
except nbd.Error: pass'
get > text
value() { grep -F "$1" text | awk '{ print $NF }'; }
is() { [ "$(value "$1")" "$2" "$3" ] || fail "$1 is $(value "$1")"; }
odd='device="odd\"name"'
is "ndm_device_written_bytes_total{$odd}" -eq 8192
is "ndm_device_read_bytes_total{$odd}" -eq 4096
is "ndm_device_writes_completed_total{$odd}" -eq 1
is "ndm_device_flushes_completed_total{$odd}" -ge 1
is "ndm_device_size_bytes{$odd}" -eq 1048576
is "ndm_device_io_now{$odd}" -eq 0
is "ndm_device_io_duration_seconds_count{$odd,op=\"write\"}" -eq 1
is "ndm_device_io_duration_seconds_bucket{$odd,op=\"write\",le=\"+Inf\"}" -eq 1
[ "$(value "ndm_device_write_time_seconds_total{$odd}")" != 0.000000000 ] || fail "a write took no time"
[ "$(grep '^ndm_nbd_errors_total' text | awk '{ print $2 }')" -eq 1 ]
[ "$(grep '^ndm_nbd_requests_total' text | awk '{ print $2 }')" -ge 4 ]
# every sample belongs to a family that was announced, and each family once
families() { sed -n "s/^# $1 \([^ ]*\) .*/\1/p" "$2"; }
check_families() {
	grep -v '^#' "$1" | sed -E 's/[{ ].*//; s/(_duration_seconds)_(bucket|sum|count)$/\1/' | sort -u > samples
	families TYPE "$1" | sort | diff - samples || fail "samples and families"
	families HELP "$1" | sort | diff - samples || fail "help and families"
	grep -v '^#' "$1" | sed 's/ [^ ]*$//' | sort | uniq -d > twice
	[ ! -s twice ] || fail "twice: $(cat twice)"
	command -v promtool > /dev/null || return 0
	# a name with "count" in it that is no histogram's is the one thing that we do otherwise
	promtool check metrics < "$1" > lint 2>&1 || :
	! grep -v '^ndm_device_open_count non-histogram' lint || fail "promtool does not like it"
}
check_families text

# what targets say of themselves
truncate -s 1M cow
"$NDMSETUP" create leg1 --table '0 2048 zero'
"$NDMSETUP" create leg2 --table '0 2048 zero'
"$NDMSETUP" create paths --table '0 2048 multipath 0 0 1 1 round-robin 0 2 0 /dev/mapper/leg1 /dev/mapper/leg2'
"$NDMSETUP" message paths 0 "fail_path $("$NDMSETUP" info -c --noheadings -o major,minor --separator : leg2)"
"$NDMSETUP" create snap --table "0 2048 snapshot /dev/mapper/leg1 $T/cow P 8"
"$NDMSETUP" create twin --table "0 2048 mirror core 2 64 nosync 2 mem:1M 0 mem:1M 0"
"$NDMSETUP" suspend leg2
get > text
is 'ndm_path_up{device="paths",path="leg1",group="1"}' -eq 1
is 'ndm_path_up{device="paths",path="leg2",group="1"}' -eq 0
is 'ndm_path_failures_total{device="paths",path="leg2",group="1"}' -eq 1
is 'ndm_snapshot_size_bytes{device="snap"}' -eq 1048576
is 'ndm_snapshot_valid{device="snap"}' -eq 1
is 'ndm_raid_degraded{device="twin"}' -eq 0
is 'ndm_raid_sync_ratio{device="twin"}' = 1.000000
is 'ndm_device_suspended{device="leg2"}' -eq 1
is 'ndm_device_info{device="snap",uuid="",target="snapshot"}' -eq 1
check_families text
cp text "${METRICS_TEXT:-text.all}"
! curl -fsS --unix-socket "$T/metrics" http://ndm/other > out 2>&1 || fail "there is something else"
stop_ndmd
[ ! -e metrics ]
