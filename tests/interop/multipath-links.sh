#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A multipath volume over two servers in network namespaces of their own, under fio with
# verification, while the links to them are taken down and up in random order, on our side and on
# theirs, now and then both at once.  The client must see no error and no wrong byte.
#
#	multipath-links.sh	20 s; MULTIPATH_S=300 MULTIPATH_SEED=7 multipath-links.sh
#
# Needs user namespaces, or root.  How long requests were held up is printed, not judged.
if [ -z "${MULTIPATH_NAMESPACE:-}" ] && unshare -rn true 2>/dev/null; then
	exec env MULTIPATH_NAMESPACE=1 unshare -rn "$BASH" "$0" "$@"
fi
TEST_LIMIT_S=${TEST_LIMIT_S:-$((120 + 2 * ${MULTIPATH_S:-20}))}
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit nbdinfo ip nsenter unshare
requires_fio_nbd
[ -n "${MULTIPATH_NAMESPACE:-}" ] || skip "needs network namespaces (unshare -rn)"
requires ip link add probe0 type veth peer name probe1
ip link set lo up

seconds=${MULTIPATH_S:-20}
seed=${MULTIPATH_SEED:-$((RANDOM * 32768 + RANDOM))}
every=500 timeout=300
RANDOM=$seed
truncate -s 64M disk
declare -a space

leg_uri() { echo "nbd://10.99.$1.2/?ndm-connect-timeout=500"; }
leg_answers() { nbdinfo --size "nbd://10.99.$1.2"; }
own_namespace() { [ "$(readlink "/proc/${space[$1]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
inside() { local i=$1; shift; nsenter -t "${space[i]}" -n "$@"; }
start_leg() {
	local i=$1
	unshare -n tail -f /dev/null &
	space[i]=$!
	started+=("$!")
	wait_for "namespace $i" own_namespace "$i"
	ip link add "leg$i" type veth peer name far netns "${space[i]}"
	ip addr add "10.99.$i.1/24" dev "leg$i"
	ip link set "leg$i" up
	inside "$i" ip addr add "10.99.$i.2/24" dev far
	inside "$i" ip link set far up
	inside "$i" nbdkit -f -t 1 file "$T/disk" >> "leg$i.log" 2>&1 </dev/null &
	started+=("$!")
	wait_for "leg $i" leg_answers "$i"
}

declare -a down=('' '')
link() {	# LEG near|far up|down
	case $2 in
	near) ip link set "leg$1" "$3" ;;
	far) inside "$1" ip link set far "$3" ;;
	esac
}
chaos() {
	local end=$((SECONDS + seconds)) i sides=(near far)
	while [ $SECONDS -lt $end ] && ! ended "$fio"; do
		i=$((RANDOM % 2))
		if [ -n "${down[i]}" ]; then
			link "$i" "${down[i]}" up
			down[i]=
		elif [ -z "${down[1 - i]}" ] || { [ -z "${MULTIPATH_NEVER_DARK:-}" ] && [ $((RANDOM % 4)) -eq 0 ]; }; then
			down[i]=${sides[RANDOM % 2]}
			link "$i" "${down[i]}" down
			echo "leg $i: ${down[i]} end down" >> chaos
		fi
		timeout 5 "$NDMSETUP" status data > /dev/null || fail "status does not answer"
		sleep "$(printf '%d.%03d' $((RANDOM % 2)) $((200 + RANDOM % 700)))"
	done
	for i in 0 1; do [ -z "${down[i]}" ] || link "$i" "${down[i]}" up; done
}
data_dirty() { "$NDMSETUP" message data 0 paths | grep -q '"ios":[1-9]'; }

say "seed $seed"
start_leg 0
start_leg 1
start_ndmd
"$NDMSETUP" create data --table "0 131072 multipath 6 queue_if_no_path ndm_checker $every $timeout ndm_failback immediate \
0 1 1 service-time 0 2 2 $(leg_uri 0) 1 1 $(leg_uri 1) 1 1"
fio --ioengine=nbd --uri="$(uri data)" --name=x --rw=randrw --bs=4k --iodepth=16 --size=64m --verify=crc32c \
	--verify_fatal=1 --verify_backlog=1024 --fsync=64 --time_based --runtime="$seconds" --randseed="$seed" \
	--output-format=json --output=fio.json > fio.err 2>&1 </dev/null &
fio=$!
started+=("$fio")
wait_for "fio's first write" data_dirty
chaos
wait_end "$fio" || { cat chaos fio.json; fail "fio: $(cat fio.err) (seed $seed)"; }
"$NDMSETUP" message data 0 paths > paths.json
python3 - <<-'EOF'
	import json
	job = json.load(open("fio.json"))["jobs"][0]
	assert job["error"] == 0, "fio had errors"
	worst = max(job[d]["lat_ns"]["max"] for d in ("read", "write")) / 1e9
	failures = sum(p["failures"] for g in json.load(open("paths.json"))["groups"] for p in g["paths"])
	assert failures, "no path has failed: nothing was tested"
	print(f"{sum(job[d]['total_ios'] for d in ('read', 'write'))} requests, {failures} path failures, "
	      f"longest held up {worst:.2f} s")
EOF
"$NDMSETUP" remove data
stop_ndmd
