# SPDX-License-Identifier: BSD-2-Clause
# The same command lines, Debian's dmsetup (through the preload library) and ours: same answers,
# from a fake server and from ndmd.  NDM_SEED chooses other random ones.

. "$top_srcdir/tests/client/functions.sh"

find_python socket
preload=$top_builddir/contrib/preload/.libs/libndm-preload.so
[ -e "$preload" ] || skip "no preload library (static build)"
seed=${NDM_SEED:-1}
"$python" "$here/random-commands.py" "$seed" 150 > "$tmp/random-$seed.txt"
"$python" "$here/same-as-dmsetup.py" "$ndm" "$preload" "$here"/commands-*.txt "$tmp"/random-*.txt
"$python" "$here/same-as-dmsetup.py" --server "$top_builddir/server/ndmd" "$ndm" "$preload" \
	"$here"/commands-*.txt
