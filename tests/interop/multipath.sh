#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A multipath volume over servers of three makes that share one disk (nbdkit, qemu-nbd, ndmd),
# under fio with verification, while they are stopped, killed, restarted, slowed and fed with
# errors in random order.  The client must see no error and no wrong byte, and the status line
# must answer throughout: how long it took at most is printed.
#
#	multipath.sh		20 s over two legs and over four
#	MULTIPATH_S=300 MULTIPATH_LEGS="2 4" MULTIPATH_SEED=7 multipath.sh
#	MULTIPATH_NEVER_DARK=1		one leg is always well
#
# How long requests were held up is printed, not judged: a loaded machine is not a broken one.
TEST_LIMIT_S=${TEST_LIMIT_S:-$((120 + 4 * ${MULTIPATH_S:-20}))}
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit qemu-nbd nbdinfo
requires_fio_nbd

seconds=${MULTIPATH_S:-20}
seed=${MULTIPATH_SEED:-$((RANDOM * 32768 + RANDOM))}
every=500 timeout=300
RANDOM=$seed
declare -a pid trouble

makes=(nbdkit qemu-nbd ndmd)
make_of() { echo "${makes[$1 % 3]}"; }
leg_uri() { [ "$(make_of "$1")" = ndmd ] && echo "nbd+unix:///d?socket=$T/leg$1" || echo "nbd+unix:///?socket=$T/leg$1"; }
leg_answers() { nbdinfo --size "$(leg_uri "$1")"; }

start_leg() {
	local i=$1
	rm -f "leg$i" "errors$i" "rate$i"
	case $(make_of "$i") in
	nbdkit)		# with threads, 1.32 aborts when a client leaves amid replies (raw_send_socket)
		nbdkit -f -t 1 -U "leg$i" --filter=error --filter=rate file "$T/disk" error=EIO error-rate=100% \
			error-file="$T/errors$i" rate-file="$T/rate$i" >> "leg$i.log" 2>&1 </dev/null & ;;
	qemu-nbd)
		qemu-nbd -t -e 8 -k "$T/leg$i" --image-opts \
			driver=raw,file.driver=file,file.filename="$T/disk",file.locking=off >> "leg$i.log" 2>&1 </dev/null & ;;
	ndmd)
		"$NDMD" --foreground --control "$T/legctl$i" --listen "unix:$T/leg$i" \
			--create "d: 0 131072 linear $T/disk 0" >> "leg$i.log" 2>&1 </dev/null & ;;
	esac
	pid[i]=$!
	started+=("$!")
	disown "$!"				# its end is no news
	trouble[i]=
}

leg_table() {	# LEG TABLE: of an ndmd
	NDM_CONTROL=$T/legctl$1 "$NDMSETUP" reload d --table "$2" && NDM_CONTROL=$T/legctl$1 "$NDMSETUP" resume d
}

# what can be done to a leg of this make
make_trouble() {
	local i=$1 what
	case $(make_of "$i") in
	qemu-nbd) what=(stop kill) ;;
	*) what=(stop kill slow errors) ;;
	esac
	what=${what[RANDOM % ${#what[@]}]}
	! ended "${pid[i]}" || fail "leg $i has ended by itself: $(tail -n 1 "leg$i.log")"
	trouble[i]=$what
	echo "$what leg $i ($(make_of "$i"))" >> chaos
	case $what-$(make_of "$i") in
	stop-*) kill -STOP "${pid[i]}" ;;
	kill-*) kill -KILL "${pid[i]}" ;;
	slow-nbdkit) echo 8M > "rate$i" ;;
	slow-ndmd) leg_table "$i" "0 131072 delay $T/disk 0 20" ;;
	errors-nbdkit) : > "errors$i" ;;
	errors-ndmd) leg_table "$i" "0 131072 error" ;;
	esac
}

end_trouble() {
	local i=$1
	case ${trouble[i]}-$(make_of "$i") in
	-*) return ;;
	stop-*) kill -CONT "${pid[i]}" ;;
	kill-*) start_leg "$i" ;;
	slow-nbdkit) rm -f "rate$i" ;;
	errors-nbdkit) rm -f "errors$i" ;;
	*-ndmd) leg_table "$i" "0 131072 linear $T/disk 0" ;;
	esac
	echo "end of ${trouble[i]} of leg $i" >> chaos
	trouble[i]=
}

troubled() { local n=0 t; for t in "${trouble[@]}"; do [ -z "$t" ] || n=$((n + 1)); done; echo $n; }

# and beside it that of an ndmd that has nothing to do: what the machine itself makes of it
timed_status() {
	local before between after
	before=$(date +%s%N)
	timeout 5 "$NDMSETUP" status data > status || fail "status does not answer"
	between=$(date +%s%N)
	NDM_CONTROL=$T/idle timeout 5 "$NDMSETUP" status idle > /dev/null || fail "the idle ndmd does not answer"
	after=$(date +%s%N)
	echo $(((between - before) / 1000000)) >> status.ms
	echo $(((after - between) / 1000000)) >> idle.ms
}

# a leg other than LEG that is well, and known to be
other_is_well() {
	local j
	for ((j = 0; j < legs; j++)); do
		[ "$j" = "$1" ] || [ -n "${trouble[j]}" ] || ! grep -q "/leg$j A " status || return 0
	done
	return 1
}

# Pauses of 0.2 to 1.5 s; mostly one leg stays well, now and then none does.
chaos() {
	local legs=$1 end=$((SECONDS + seconds)) i most
	while [ $SECONDS -lt $end ] && ! ended "$fio"; do
		timed_status
		i=$((RANDOM % legs))
		most=$((legs - 1))
		[ $((RANDOM % 6)) -ne 0 ] || [ -n "${MULTIPATH_NEVER_DARK:-}" ] || most=$legs
		if [ -n "${trouble[i]}" ]; then
			end_trouble "$i"
		elif [ "$(troubled)" -lt $most ] && { [ -z "${MULTIPATH_NEVER_DARK:-}" ] || other_is_well "$i"; }; then
			make_trouble "$i"
		fi
		sleep "$(printf '0.%03d' $((200 + RANDOM % 700)))"
	done
	for ((i = 0; i < legs; i++)); do end_trouble "$i"; done
}

run_legs() {
	local legs=$1 i paths=
	truncate -s 0 disk; truncate -s 64M disk
	: > chaos
	: > status.ms
	: > idle.ms
	trouble=()
	for ((i = 0; i < legs; i++)); do
		start_leg "$i"
		paths+=" $(leg_uri "$i") 1 1"
	done
	for ((i = 0; i < legs; i++)); do wait_for "leg $i" leg_answers "$i"; done
	"$NDMSETUP" create data --table "0 131072 multipath 6 queue_if_no_path ndm_checker $every $timeout ndm_failback immediate 0 1 1 service-time 0 $legs 2$paths"
	fio --ioengine=nbd --uri="$(uri data)" --name=x --rw=randrw --bs=4k --iodepth=16 --size=64m \
		--verify=crc32c --verify_fatal=1 --verify_backlog=1024 --fsync=64 --time_based --runtime="$seconds" \
		--randseed="$seed" --output-format=json --output=fio.json > fio.err 2>&1 </dev/null &
	fio=$!
	started+=("$fio")
	wait_for "fio's first write" data_dirty
	chaos "$legs"
	local status=0
	wait_for_fio || status=$?
	[ $status -eq 0 ] || { cat chaos fio.json; fail "fio ended with $status (seed $seed)"; }
	"$NDMSETUP" message data 0 paths > paths.json
	python3 - "$legs" <<-'END'
		import json, sys
		job = json.load(open("fio.json"))["jobs"][0]
		assert job["error"] == 0, "fio had errors"
		status = sorted(map(int, open("status.ms")))
		idle = sorted(map(int, open("idle.ms")))
		worst = max(job[d]["lat_ns"]["max"] for d in ("read", "write")) / 1e9
		paths = [p for g in json.load(open("paths.json"))["groups"] for p in g["paths"]]
		failures = sum(p["failures"] for p in paths)
		assert failures, "no path has failed: nothing was tested"
		print(f"{sys.argv[1]} legs: {sum(job[d]['total_ios'] for d in ('read', 'write'))} requests, "
		      f"{failures} path failures, longest held up {worst:.2f} s; "
		      f"{len(status)} times status, half within {status[len(status) // 2]} ms, 99 % within "
		      f"{status[len(status) * 99 // 100]} ms, all within {status[-1]} ms "
		      f"(of an idle ndmd: {idle[len(idle) // 2]}, {idle[len(idle) * 99 // 100]}, {idle[-1]} ms)")
	END
	"$NDMSETUP" remove data
	for ((i = 0; i < legs; i++)); do kill -KILL "${pid[i]}" 2>/dev/null || :; done
}
data_dirty() { "$NDMSETUP" message data 0 paths | grep -q '"ios":[1-9]'; }
wait_for_fio() {
	local end=$((SECONDS + 60))
	until ended "$fio"; do
		[ $SECONDS -lt $end ] || { "$NDMSETUP" message data 0 paths; cat chaos; fail "fio does not end (seed $seed)"; }
		sleep 0.1
	done
	wait "$fio"
}

start_ndmd
"$NDMD" --foreground --control "$T/idle" --create "idle: 0 2048 zero" > idle.err 2>&1 </dev/null &
started+=("$!")
wait_for "the idle ndmd" env NDM_CONTROL="$T/idle" "$NDMSETUP" status idle
say "seed $seed"
for legs in ${MULTIPATH_LEGS:-2 4}; do run_legs "$legs"; done
stop_ndmd
