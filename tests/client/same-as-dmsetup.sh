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
"$python" "$here/random-lives.py" "$seed" 150 > "$tmp/lives-$seed.txt"
"$python" "$here/same-as-dmsetup.py" --server "$top_builddir/server/ndmd" "$ndm" "$preload" \
	"$here"/commands-*.txt "$tmp"/lives-*.txt

# Every command and every option of the two programs has been tried.
cat "$here"/commands-*.txt > "$tmp/tried"
for program in dmsetup dmstats; do
	"$ndm" "$program" --help 2>&1 | grep -oE -- '--[a-z]+' | sort -u > "$tmp/options"
	[ "$(wc -l < "$tmp/options")" -ge 30 ] || fail "$program --help: only $(wc -l < "$tmp/options") options"
	while read -r option; do
		case $option in --control | --explain | --reportformat | --json) continue ;; esac	# ours alone
		grep -qE -- " $option( |=|$)" "$tmp/tried" || fail "no line tries $program $option"
	done < "$tmp/options"
done
for command in create remove remove_all suspend resume load clear reload rename message ls info deps stats \
	status table wait mknodes mangle udevcreatecookie udevreleasecookie udevflags udevcomplete \
	udevcomplete_all udevcookies target-version targets version setgeometry splitname measure wipe_table help; do
	grep -qE "dmsetup( --?[a-z]+)* $command( |$)" "$tmp/tried" || fail "no line tries $command"
done
for command in help clear create delete group list print report ungroup update_filemap version; do
	grep -qE "(dmstats|dmsetup stats)( --?[a-z]+)* $command( |$)" "$tmp/tried" || fail "no line tries dmstats $command"
done
