#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Where librbd is not installed (or not whole) ndmd starts, serves everything else, and says what
# is missing when a table names a Ceph image.
. "$(dirname "$0")/functions.sh"
requires_ndmd

mkdir nothing
echo "no library" > nothing/librados.so.2		# what the loader finds first
LD_LIBRARY_PATH=$T/nothing start_ndmd --create "v: 0 2048 zero"
! "$NDMSETUP" create w --table "0 2048 linear rbd:rbd/img 0" 2> said < /dev/null || fail "a table without librbd is taken"
grep -q 'librbd cannot be loaded (.*librados.so.2.*librbd1' said || fail "not said what is missing: $(cat said)"
"$NDMSETUP" status v | grep -q zero || fail "the other volume is gone"
stop_ndmd
say "missed with a clear word"
