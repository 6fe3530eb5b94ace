#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients of the management socket, good and rude ones; the socket's file: who may use it, what
# happens to one that a killed ndmd left, and to a second ndmd.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3
start_ndmd
[ "$(stat -c %a "$NDM_CONTROL")" = 600 ] || fail "mode $(stat -c %a "$NDM_CONTROL")"
PYTHONDONTWRITEBYTECODE=1 python3 "$top_srcdir/tests/server/control-conn.py" || fail "see above"

# the name is taken: a second one says so and ends, and the first goes on
status=0
"$NDMD" --foreground --control "$NDM_CONTROL" > second.out 2> second.err < /dev/null || status=$?
[ "$status" -eq 1 ] || fail "a second ndmd ended with $status"
grep -q "$NDM_CONTROL" second.err || fail "it does not say why: $(cat second.err)"
"$NDMSETUP" version > /dev/null

# a client that waits does not hold up the end
"$NDMSETUP" create waited --table '0 8 zero'
"$NDMSETUP" wait waited > wait.out 2>&1 &
started+=($!)
stop_ndmd
[ ! -e "$NDM_CONTROL" ] || fail "the socket's file is still there"

# what a killed one leaves is replaced
start_ndmd
kill -KILL "$ndmd_pid"
wait "$ndmd_pid" 2>/dev/null || :
[ -S "$NDM_CONTROL" ] || fail "no stale socket to try with"
rm -f "$sock"
start_ndmd
"$NDMSETUP" create again --table '0 8 zero'
"$NDMSETUP" remove again
stop_ndmd

# other people's files stay
echo precious > "$NDM_CONTROL"
status=0
"$NDMD" --foreground --control "$NDM_CONTROL" > third.out 2> third.err < /dev/null || status=$?
[ "$status" -eq 78 ] || fail "ndmd on a file ended with $status"
[ "$(cat "$NDM_CONTROL")" = precious ] || fail "the file is gone"
say "sockets come and go as they should"
