# SPDX-License-Identifier: BSD-2-Clause
# The same command lines, Debian's dmsetup (through the preload library) and ours: same answers.

. "$top_srcdir/tests/client/functions.sh"

find_python socket
preload=$top_builddir/contrib/preload/.libs/libndm-preload.so
[ -e "$preload" ] || skip "no preload library (static build)"
"$python" "$here/same-as-dmsetup.py" "$ndm" "$preload" "$here"/commands-*.txt
"$python" "$here/same-as-dmsetup.py" --server "$top_builddir/server/ndmd" "$ndm" "$preload" \
	"$here"/commands-*.txt
