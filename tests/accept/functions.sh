# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# functions.sh - the common words of the acceptance tests: those of tests/interop/functions.sh, as
# an ordinary user.  Root steps down to nobody first, where nobody can read this tree.
if [ "$(id -u)" = 0 ] && [ -z "${ACCEPT_AS_ROOT:-}" ]; then
	drop=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	if "${drop[@]}" test -r "$0" -a -x "${top_builddir:-.}/server/ndmd" 2>/dev/null; then
		exec "${drop[@]}" env HOME=/nonexistent "$BASH" "$0" "$@"
	fi
	export ACCEPT_AS_ROOT=1
fi
. "$(dirname "${BASH_SOURCE[0]}")/../interop/functions.sh"
REPLAY="$NDM replay-log"

requires_fuse() {
	requires_program nbdfuse fuse2fs fusermount
	[ -w /dev/fuse ] || skip "needs /dev/fuse"
}

# mount_nbd NAME DIRECTORY: the export as the file DIRECTORY/nbd; its pid is in $nbdfuse_pid
mount_nbd() {
	mkdir -p "$2"
	nbdfuse "$2" "$(uri "$1")" >> "$T/nbdfuse.err" 2>&1 &
	nbdfuse_pid=$!
	started+=("$nbdfuse_pid")
	cleanup_fn unmount "$2"
	wait_for "nbdfuse" nbdfuse_answers "$2"
}

nbdfuse_answers() {
	! ended "$nbdfuse_pid" || skip "nbdfuse cannot mount here: $(tail -n 1 "$T/nbdfuse.err")"
	[ -e "$1/nbd" ]
}

# mount_ext FILE DIRECTORY: an ext2/3/4 image; its pid is in $fuse2fs_pid
mount_ext() {
	mkdir -p "$2"
	fuse2fs "$1" "$2" -f -o fakeroot,rw >> "$T/fuse2fs.err" 2>&1 &
	fuse2fs_pid=$!
	started+=("$fuse2fs_pid")
	cleanup_fn unmount "$2"
	wait_for "fuse2fs" fuse2fs_answers "$2"
}

fuse2fs_answers() {
	! ended "$fuse2fs_pid" || fail "fuse2fs ended: $(tail -n 1 "$T/fuse2fs.err")"
	mountpoint -q "$1"
}

# unmount DIRECTORY
unmount() {
	! mountpoint -q "$1" || fusermount -u "$1" || fusermount -uz "$1"
}
