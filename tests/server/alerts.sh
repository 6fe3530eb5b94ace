#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The alert rules and the dashboard in contrib/ ask only for metrics that ndmd has, and every
# expression is one that Prometheus can read; the rules do what their own tests say.  The part of
# promtool (Debian's package prometheus) is left out where it is not installed.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program curl jq veritysetup
rules=$top_srcdir/contrib/prometheus/ndm-alerts.yaml
dashboard=$top_srcdir/contrib/grafana/ndm.json

# one device of each kind that has something to say of itself
truncate -s 1M data hash cow mm
veritysetup format --root-hash-file=root data hash > format
salt=$(awk '/^Salt:/ { print $2 }' format)
start_ndmd --metrics "unix:$T/metrics" --create 'leg: 0 2048 zero' \
	--create 'paths: 0 2048 multipath 0 0 1 1 round-robin 0 1 0 /dev/mapper/leg' \
	--create "snap: 0 2048 snapshot /dev/mapper/leg $T/cow P 8" \
	--create 'twin: 0 2048 mirror core 2 64 nosync 2 mem:1M 0 mem:1M 0' \
	--create "sure: 0 1024 integrity $T/mm 0 4 D 1 internal_hash:crc32c"
"$NDMSETUP" create --readonly whole --table "0 2048 verity 1 $T/data $T/hash 4096 4096 256 1 sha256 $(cat root) $salt"
# targets that this ndmd may not have
absent='^$'
if "$NDMSETUP" target-version thin-pool > version 2>&1; then
	truncate -s 4M meta pooldata
	"$NDMSETUP" create pool --table "0 8192 thin-pool $T/meta $T/pooldata 128 0"
else
	absent+='|^ndm_thin_pool_'
fi
if "$NDMSETUP" target-version raid > version 2>&1; then
	truncate -s 1M r0 r1
	"$NDMSETUP" create array --table "0 2048 raid raid1 2 0 nosync 2 - $T/r0 - $T/r1"
else
	absent+='|^ndm_raid_mismatches$'
fi
curl -fsS --unix-socket metrics http://ndm/metrics > text
grep -v '^#' text | sed 's/[{ ].*//' | sort -u > there

names() { grep -oE '\bndm_[a-z0-9_]+' "$1" | sort -u; }
for file in "$rules" "$dashboard" "$top_srcdir/contrib/prometheus/ndm-alerts-test.yaml"; do
	names "$file" > named
	[ "$(wc -l < named)" -ge 8 ] || fail "$file names only $(wc -l < named) metrics"
	missing=$(comm -23 named there | grep -Ev "$absent" || :)
	[ -z "$missing" ] || fail "$file: ndmd has no" $missing
	say "${file##*/}: $(wc -l < named) metrics"
done
# and a name that nobody has would have been found
printf 'expr: ndm_no_such_total\n' > wrong
[ "$(names wrong | comm -23 - there)" = ndm_no_such_total ] || fail "a wrong name is not found"

# panels are whole, and none is named twice
[ "$(jq '[.panels[] | select(.gridPos and .title and (.targets | length) > 0) | .id] | unique | length' "$dashboard")" = \
	"$(jq '.panels | length' "$dashboard")" ] || fail "panels"
stop_ndmd

if command -v promtool > /dev/null; then
	cp "$rules" "$top_srcdir/contrib/prometheus/ndm-alerts-test.yaml" .
	promtool check rules ndm-alerts.yaml > out 2>&1 || { cat out; fail "the rules"; }
	promtool test rules ndm-alerts-test.yaml > out 2>&1 || { cat out; fail "the rules' tests"; }
	jq '{groups: [{name: "x", rules: [.panels[].targets[].expr | {record: "x:y", expr:
		(gsub("\\$__rate_interval"; "5m") | gsub("\\$(instance|device)"; ".*"))}] |
		[to_entries[] | .value + {record: "x:y\(.key)"}]}]}' "$dashboard" > panels.yaml
	promtool check rules panels.yaml > out 2>&1 || { cat out; fail "the dashboard's expressions"; }
	say "promtool: $(grep -o '[0-9]* rules found' out | tail -n 1) in the dashboard"
else
	say "no promtool (apt-get install prometheus): its part is left out"
fi
