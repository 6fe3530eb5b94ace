# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# functions.sh - the common words of the shell tests.  A test sources this file first:
#
#	. "$(dirname "$0")/../interop/functions.sh"
#
# It then runs in a fresh folder ($T) with `set -eu`, ends with what it started ended and its
# folder gone, and is over after $TEST_LIMIT_S seconds at the latest.  A test says what it needs
# with requires_*; what is missing ends it with 77 (skipped) and a clear word.
#
# Waiting is always for a condition, polled and bounded (wait_for); sleeping proves nothing.

set -euo pipefail
export LC_ALL=C
# nbdsh and the conformance runner need the distribution's python3
export PATH=/usr/bin:/usr/sbin:/sbin:$PATH

top_srcdir=$(cd "${top_srcdir:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
NDMD=${NDMD:-$top_builddir/server/ndmd}
NDM=${NDM:-$top_builddir/client/ndm}
NDMSETUP=${NDMSETUP:-$top_builddir/client/ndmsetup}
NBDKIT_NDM=${NBDKIT_NDM:-$top_builddir/plugins/.libs/nbdkit-ndm-plugin.so}

T=$(mktemp -d "${TMPDIR:-/tmp}/ndm-test.XXXXXX")
cd "$T"
started=()
cleanups=()

say() { echo "$(basename "$0"): $*"; }
fail() { say "FAILED: $*"; exit 1; }
skip() { say "skipped: $*"; exit 77; }

# cleanup_fn COMMAND...: run at the end, last first, whatever happens
cleanup_fn() { cleanups+=("$(printf '%q ' "$@")"); }

at_end() {
	local status=$? i pid
	trap - EXIT
	set +e
	[ ! -e "$T/too-long" ] || say "FAILED: still running after ${TEST_LIMIT_S:-600} seconds"
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do eval "${cleanups[i]}"; done
	for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
		for log in "$T"/*.err; do
			[ -s "$log" ] && { echo "--- ${log##*/} (its last lines)"; tail -n 30 "$log"; }
		done
	fi
	cd /
	if [ -n "${KEEP:-}" ]; then echo "kept: $T"; else rm -rf "$T"; fi
	exit "$status"
}
trap at_end EXIT
trap 'exit 130' INT TERM

# ---- what a test needs ----

requires() {	# COMMAND...: must succeed
	"$@" >/dev/null 2>&1 || skip "needs: $*"
}

requires_program() {
	local p
	for p; do
		command -v "$p" >/dev/null || skip "needs the program $p (contrib/install-packages installs it)"
	done
}

requires_ndmd() {
	[ -x "$NDMD" ] || fail "no $NDMD: run make first"
	[ -x "$NDMSETUP" ] || fail "no $NDMSETUP: run make first"
}

requires_plugin() {
	requires_program nbdkit
	[ -e "$NBDKIT_NDM" ] || fail "no $NBDKIT_NDM: run make first"
	nbdkit_env=()
	case ${NDM_SANITIZERS:-} in
	'') ;;
	*fsanitize=address*)
		# The runtime must come first in a process, and nbdkit is not built with it.  What
		# nbdkit itself never frees is not ours.
		nbdkit_env=(env "LD_PRELOAD=$(${CC:-cc} -print-file-name=libasan.so):$(${CC:-cc} -print-file-name=libubsan.so)"
			"ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0") ;;
	*) skip "a plugin with these sanitizers cannot be loaded into a plain nbdkit" ;;
	esac
}

requires_fio_nbd() {
	requires_program fio
	fio --enghelp 2>/dev/null | grep -qw nbd || skip "this fio has no nbd engine"
}

requires_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }

# ---- waiting ----

# wait_for WHAT COMMAND...: until it succeeds, 30 s at most
wait_for() {
	local what=$1 end=$((SECONDS + 30))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "waited in vain for $what"
		sleep 0.02
	done
}

# ended PID: has it ended (and is it gone, or waiting to be reaped)?
ended() {
	local state
	state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1) || return 0
	[ -z "$state" ] || [ "$state" = Z ]
}

# wait_end PID: its exit status, after 30 s at most
wait_end() {
	wait_for "the end of process $1" ended "$1"
	local status=0
	wait "$1" || status=$?
	return $status
}

# ---- programs ----

# start_ndmd [ARGUMENT...]: with a control socket ($NDM_CONTROL) and a listener ($T/nbd.sock);
# returns when it answers.  Its pid is in $ndmd_pid.
start_ndmd() {
	export NDM_CONTROL=$T/control
	sock=$T/nbd.sock
	"$NDMD" --foreground --control "$NDM_CONTROL" --listen "unix:$sock" "$@" \
		>> "$T/ndmd.out" 2>> "$T/ndmd.err" </dev/null &
	ndmd_pid=$!
	started+=("$ndmd_pid")
	wait_for "ndmd to answer" ndmd_answers
}

ndmd_answers() {
	! ended "$ndmd_pid" || fail "ndmd ended at once"
	"$NDMSETUP" version && [ -S "$sock" ]
}

# stop_ndmd: TERM, and exit status 0 is asked for
stop_ndmd() {
	kill -TERM "$ndmd_pid"
	local status=0
	wait_end "$ndmd_pid" || status=$?
	[ "$status" -eq 0 ] || fail "ndmd ended with $status"
}

# start_nbdkit ARGUMENT...: the plugin in nbdkit on $T/nbdkit.sock, its pid in $nbdkit_pid
start_nbdkit() {
	ksock=$T/nbdkit.sock
	rm -f "$ksock" "$T/nbdkit.pid"
	"${nbdkit_env[@]}" nbdkit -f -U "$ksock" -P "$T/nbdkit.pid" "$NBDKIT_NDM" "$@" >> "$T/nbdkit.out" 2>> "$T/nbdkit.err" </dev/null &
	nbdkit_pid=$!
	started+=("$nbdkit_pid")
	wait_for "nbdkit to listen" nbdkit_answers
}

nbdkit_answers() {
	! ended "$nbdkit_pid" || fail "nbdkit ended at once"
	[ -s "$T/nbdkit.pid" ] && [ -S "$ksock" ]
}

uri() { echo "nbd+unix:///$1?socket=${2:-$sock}"; }

# real_ext4 FILE SIZE: a file system image with files in it, no mount and no root needed
real_ext4() {
	requires_program mke2fs
	mkdir -p "$T/content/deep/er"
	cp "$top_srcdir"/include/*.h "$T/content/"
	head -c 3000000 /dev/urandom > "$T/content/deep/random"
	head -c 1000000 /dev/zero > "$T/content/deep/er/zeroes"
	truncate -s "$2" "$1"
	mke2fs -q -F -t ext4 -d "$T/content" "$1"
}

# A test that hangs is a failed test.
(
	trap - EXIT
	main=$$
	exec >/dev/null 2>&1 </dev/null
	end=$((SECONDS + ${TEST_LIMIT_S:-600}))
	while kill -0 "$main" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { : > "$T/too-long"; kill -TERM "$main"; exit 0; }
		sleep 0.5
	done
) &
cleanup_fn kill $!
