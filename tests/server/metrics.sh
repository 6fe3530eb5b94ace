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
value() { { grep -v '^#' text | grep -F "$1 " || echo none; } | awk '{ print $NF }'; }
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
[ "$(grep '^ndm_nbd_received_requests_total' text | awk '{ print $2 }')" -ge 4 ]
out='export="odd\"name"'
is "ndm_nbd_requests_total{$out,cmd=\"write\"}" -eq 1
is "ndm_nbd_requests_total{$out,cmd=\"flush\"}" -eq 1
is "ndm_nbd_requests_total{$out,cmd=\"trim\"}" -eq 0
is "ndm_nbd_requests_total{$out,cmd=\"block_status\"}" -eq 0
read=$(value "ndm_nbd_requests_total{$out,cmd=\"read\"}")
[ "$read" -ge 1 ] && [ "$read" -le 2 ] || fail "$read reads"	# the refused one may not have come so far
is "ndm_nbd_export_connections{$out}" -eq 0
is "ndm_nbd_tls_connections" -eq 0
# the hash is of what dmsetup prints, and so of nothing that would show a key
hash() { "$NDMSETUP" --manglename none table "$1" | sha256sum | cut -c1-16; }
is "ndm_device_info{$odd,uuid=\"\",target=\"linear\",table_hash=\"$(hash 'odd"name')\"}" -eq 1
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
is "ndm_device_info{device=\"snap\",uuid=\"\",target=\"snapshot\",table_hash=\"$(hash snap)\"}" -eq 1
check_families text
grep -q 'ndm_path_latency_seconds' text && fail "a latency of a path that nobody has used"

# what they count: latency of paths, faults of each class, corrupted blocks
"$NDMSETUP" resume leg2
"$NDMSETUP" create leg3 --table '0 2048 delay mem:1M 0 20'
"$NDMSETUP" create quick --table '0 2048 multipath 0 0 1 1 historical-service-time 0 2 0 /dev/mapper/leg3 /dev/mapper/leg2'
"$NDMSETUP" message quick 0 "fail_path $("$NDMSETUP" info -c --noheadings -o major,minor --separator : leg2)"
"$NDMSETUP" create bad --table '0 8 error
8 8 flakey mem:4k 0 0 1 1 drop_writes
16 8 flakey mem:4k 0 0 1 5 corrupt_bio_byte 1 r 1 0
24 8 delay mem:4k 0 1'
"$NDMSETUP" create lossy --table '0 8 powerfail mem:4k 0 2 keep 0'
"$NDMSETUP" create dusty --table '0 8 dust mem:4k 0 512'
"$NDMSETUP" message dusty 0 addbadblock 3
"$NDMSETUP" message dusty 0 enable
nbdsh -u "$(uri quick)" -c 'for i in range(5): h.pread(512, 0)'
nbdsh -u "$(uri bad)" -c 'h.pwrite(bytes(512), 4096)' -c 'h.pwrite(bytes(512), 4608)' \
	-c 'for i in range(3): h.pread(512, 8192)' -c 'for i in range(4): h.pread(512, 12288)' -c '
for i in range(5):
    try: h.pread(512, 0)
    except nbd.Error: continue
    assert False'
nbdsh -u "$(uri lossy)" -c 'h.pwrite(bytes(512), 0)' -c 'h.pwrite(bytes(512), 512)'
"$NDMSETUP" message lossy 0 crash > crash
nbdsh -u "$(uri dusty)" -c 'h.pread(512, 0)' -c '
try: h.pread(512, 1536); assert False
except nbd.Error: pass'
get > text
latency=$(value 'ndm_path_latency_seconds{device="quick",path="leg3",group="1"}')
awk -v s="$latency" 'BEGIN { exit !(s >= 0.02 && s < 30) }' || fail "a latency of '$latency' s"
! grep -q 'ndm_path_latency_seconds{device="quick",path="leg2"' text || fail "of a path that nobody has used"
is 'ndm_injected_faults_total{device="bad",class="error"}' -eq 5
is 'ndm_injected_faults_total{device="bad",class="drop"}' -eq 2
is 'ndm_injected_faults_total{device="bad",class="corrupt"}' -eq 3
is 'ndm_injected_faults_total{device="bad",class="delay"}' -eq 4
is 'ndm_injected_faults_total{device="lossy",class="lost"}' -eq 2
is 'ndm_injected_faults_total{device="lossy",class="torn"}' -eq 0
is 'ndm_injected_faults_total{device="dusty",class="error"}' -eq 1
is 'ndm_nbd_requests_total{export="bad",cmd="read"}' -eq 12
check_families text
if command -v veritysetup > /dev/null; then
	truncate -s 64k data hash
	veritysetup format --root-hash-file=root data hash > format
	printf x | dd of=data bs=1 seek=4100 conv=notrunc status=none
	"$NDMSETUP" create --readonly sure --table "0 128 verity 1 $T/data $T/hash 4096 4096 16 1 sha256 $(cat root) $(awk '/^Salt:/ { print $2 }' format)"
	get > text
	is 'ndm_verity_corruptions_total{device="sure"}' -eq 0
	is 'ndm_verity_corrupted{device="sure"}' -eq 0
	nbdsh -u "$(uri sure)" -c 'h.pread(512, 0)' -c '
for i in range(2):
    try: h.pread(512, 4096)
    except nbd.Error: continue
    assert False'
	get > text
	is 'ndm_verity_corruptions_total{device="sure"}' -eq 2
	is 'ndm_verity_corrupted{device="sure"}' -eq 1
	check_families text
fi

# pools, caches, arrays (what else their lines may say: tests/unit/test-metrics)
truncate -s 4M meta pooldata cachemeta cachedata r0 r1
truncate -s 8M origin
"$NDMSETUP" create pool --table "0 8192 thin-pool $T/meta $T/pooldata 128 0"
"$NDMSETUP" message pool 0 create_thin 0
"$NDMSETUP" create thin --table '0 2048 thin /dev/mapper/pool 0'
"$NDMSETUP" create cached --table "0 16384 cache $T/cachemeta $T/cachedata $T/origin 512 1 writeback smq 0"
"$NDMSETUP" create array --table "0 2048 raid raid1 2 0 nosync 2 - $T/r0 - $T/r1"
nbdsh -u "$(uri thin)" -c 'h.pwrite(b"x" * 65536 * 3, 0)' -c 'h.flush()'
nbdsh -u "$(uri cached)" -c 'for i in range(3): h.pread(4096, i << 20)'
get > text
is 'ndm_thin_pool_data_used_bytes{device="pool"}' -eq 196608
is 'ndm_thin_pool_data_size_bytes{device="pool"}' -eq 4194304
is 'ndm_thin_pool_metadata_size_bytes{device="pool"}' -eq 4194304
is 'ndm_thin_pool_metadata_used_bytes{device="pool"}' -eq \
	"$(("$("$NDMSETUP" status pool | awk '{ split($5, a, "/"); print a[1] }')" * 4096))"
is 'ndm_thin_pool_mode{device="pool",mode="rw"}' -eq 1
is 'ndm_thin_pool_mode{device="pool",mode="ro"}' -eq 0
[ "$(($(value 'ndm_cache_hits_total{device="cached",op="read"}') + \
	$(value 'ndm_cache_misses_total{device="cached",op="read"}')))" -eq 3 ] || fail "the cache: $(grep ndm_cache text)"
is 'ndm_cache_misses_total{device="cached",op="write"}' -eq 0
is 'ndm_cache_dirty_blocks{device="cached"}' -eq 0
is 'ndm_raid_degraded{device="array"}' -eq 0
is 'ndm_raid_sync_ratio{device="array"}' = 1.000000
is 'ndm_raid_mismatches{device="array"}' -eq 0
check_families text
"$NDMSETUP" remove thin

# the manual has every family, and no other
families TYPE text | sort > there
sed -n 's/^| `\(ndm_[a-z0-9_]*\)[`{].*/\1/p' "$top_srcdir/docs/metrics.md" | sort -u > documented
[ -z "$(comm -23 there documented)" ] || fail "docs/metrics.md lacks $(comm -23 there documented)"
# all but two kinds of target are here: what the manual has and nobody prints is theirs
extra=$(comm -13 there documented | grep -vE '^ndm_(verity|integrity)_' || :)
[ -z "$extra" ] || fail "docs/metrics.md has $extra, which nobody prints"
cp text "${METRICS_TEXT:-text.all}"
! curl -fsS --unix-socket "$T/metrics" http://ndm/other > out 2>&1 || fail "there is something else"
stop_ndmd
[ ! -e metrics ]

# clients that are encrypted, and clients of each export
printf 'alice:%064d\n' 7 > keys.psk
start_ndmd --metrics "unix:$T/metrics" --tls on --tls-psk keys.psk --create 'e: 0 8 zero' --create 'f: 0 8 zero'
cat > three.py <<PY
import nbd, subprocess, sys
def connect(uri, **more):
    h = nbd.NBD()
    h.set_uri_allow_local_file(True)
    h.connect_uri(uri)
    return h
plain = connect("nbd+unix:///e?socket=$sock")
other = connect("nbd+unix:///f?socket=$sock")
secret = [connect("nbds+unix://alice@/e?socket=$sock&tls-psk-file=$T/keys.psk") for i in range(2)]
def page(to):
    subprocess.run(["curl", "-fsS", "--unix-socket", "$T/metrics", "-o", to, "http://ndm/metrics"], check=True)
page("four")
secret.pop().shutdown()
while True:
    page("three")
    if "ndm_nbd_connections 3\n" in open("three").read():
        break
PY
if nbdsh -c 'assert h.supports_tls()' 2> tls; then
	python3 three.py
	cp four text
	is ndm_nbd_connections -eq 4
	is ndm_nbd_tls_connections -eq 2
	is 'ndm_nbd_export_connections{export="e"}' -eq 3
	is 'ndm_nbd_export_connections{export="f"}' -eq 1
	cp three text
	is ndm_nbd_tls_connections -eq 1
	is 'ndm_nbd_export_connections{export="e"}' -eq 2
fi
stop_ndmd
