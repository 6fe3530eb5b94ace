#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Mixed load with clients killed at random, and suspend, other tables and resume in the middle:
# what was written is read, no request is stuck, nothing is left behind.  SOAK_SECONDS=600 for
# the long one (contrib/bench/RESULTS.md has its figures).
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3

truncate -s 64M disk.img
table="0 131072 linear $T/disk.img 0"
start_ndmd --allow-core --create "e: $table"
python3 "$top_srcdir/tests/server/soak.py" "$sock" e "$ndmd_pid" "${SOAK_SECONDS:-10}" "$NDMSETUP" \
	"$table" || fail "see above"
nobody_holds() { [ "$("$NDMSETUP" info -c --noheadings -o open e)" -eq 0 ]; }
wait_for "everybody to be gone" nobody_holds
stop_ndmd
