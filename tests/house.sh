#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# House rules that a machine can check: an SPDX line at the head of every file, files of at most
# 900 lines and functions of at most 70, public headers that compile alone, as C and as C++.
. "$(dirname "$0")/interop/functions.sh"

bad=0
complain() { say "$*"; bad=$((bad + 1)); }

cd "$top_srcdir"
if git rev-parse --git-dir >/dev/null 2>&1 && [ "$(git rev-parse --show-toplevel)" = "$top_srcdir" ]; then
	git ls-files > "$T/files"
else
	# a tarball: what autotools made is not ours to judge
	find . \( -name .git -o -name build-aux -o -name '_*' -o -name '.libs' -o -name autom4te.cache -o -name generated \) -prune -o \
		-type f -print | sed 's,^\./,,' |
		grep -vE '^build|\.(o|lo|la|log|trs|Plo|Po)$|^(configure|aclocal\.m4|Makefile(\.in)?|config\..*|libtool|stamp-h1|libndm\.pc|INSTALL)$|^m4/(libtool|lt)|\.dirstamp$' > "$T/files" || :
fi
checked=0
while read -r file; do
	case $file in
	tests/conformance/*/* | tests/conformance/not-applicable.yaml | tests/golden/* | tests/fuzz/corpus/*) continue ;;
	*.png | *.xz | *.md5 | *.json) continue ;;
	contrib/debian/changelog | contrib/debian/copyright | contrib/debian/source/format) continue ;;
	esac
	[ -f "$file" ] || continue
	# what was built into the tree is not ours to judge
	[ "$(head -c 4 "$file" | tr -d '\0')" != $'\x7fELF' ] || continue
	checked=$((checked + 1))
	head -n 5 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || complain "$file: no SPDX line at its head"
	case $file in
	*.c | *.h)
		case $file in contrib/bench/*) continue ;; esac
		lines=$(wc -l < "$file")
		[ "$lines" -le 900 ] || complain "$file: $lines lines, more than 900"
		awk -v file="$file" '
			/^[a-zA-Z_].*\)$/ || /^\t.*\)$/ { head = FNR; name = $0 }
			/^{/ { begin = FNR; open = 1 }
			/^}/ && open {
				if (FNR - begin - 1 > 70)
					printf "%s:%d: a function of %d lines, more than 70\n", file, begin, FNR - begin - 1
				open = 0
			}' "$file" > "$T/long"
		while read -r line; do complain "$line"; done < "$T/long"
		;;
	esac
done < "$T/files"
[ "$checked" -gt 20 ] || fail "only $checked files looked at"

cc=${CC:-cc}
for header in include/*.h; do
	printf '#include <%s>\nint main(void) { return 0; }\n' "${header#include/}" > "$T/h.c"
	cp "$T/h.c" "$T/h.cc"
	$cc -std=gnu11 -Wall -Wextra -Werror -Iinclude -c -o "$T/h.o" "$T/h.c" 2> "$T/h.err" ||
		complain "$header does not compile alone: $(head -n 1 "$T/h.err")"
	if command -v g++ >/dev/null; then
		g++ -Wall -Werror -Iinclude -c -o "$T/h.o" "$T/h.cc" 2> "$T/h.err" ||
			complain "$header does not compile as C++: $(head -n 1 "$T/h.err")"
	fi
done
[ $bad -eq 0 ] || fail "$bad house rules broken"
say "$checked files keep the house rules"
