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
[ "$(value 'ndm_device_bytes_total{device="odd\"name",kind="write"}')" -eq 8192 ]
[ "$(value 'ndm_device_bytes_total{device="odd\"name",kind="read"}')" -eq 4096 ]
[ "$(value 'ndm_device_ios_total{device="odd\"name",kind="flush"}')" -ge 1 ]
[ "$(value 'ndm_device_size_bytes{device="odd\"name"}')" -eq 1048576 ]
[ "$(grep '^ndm_nbd_errors_total' text | awk '{ print $2 }')" -eq 1 ]
[ "$(grep '^ndm_nbd_requests_total' text | awk '{ print $2 }')" -ge 4 ]
# every sample belongs to a family that was announced
grep -v '^#' text | sed 's/[{ ].*//' | sort -u > samples
sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' text | sort -u | diff - samples
! curl -fsS --unix-socket "$T/metrics" http://ndm/other > out 2>&1 || fail "there is something else"
stop_ndmd
[ ! -e metrics ]
