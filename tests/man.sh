#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every target has its manual page, every page formats without a warning, and no page names a
# page that is not there.
. "$(dirname "$0")/interop/functions.sh"
requires_program man groff

mkman=$top_builddir/contrib/mkman
targets=$("$mkman" --list) || fail "no $mkman: run make first"
for target in $targets; do
	[ -f "$top_builddir/man/generated/ndm-$target.7" ] || fail "target $target has no page: add it to man/local.mk"
done
n=0
for page in "$top_srcdir"/man/*.[1-8] "$top_builddir"/man/generated/*.7; do
	[ -f "$page" ] || continue
	groff -man -Tutf8 -ww "$page" > page.out 2> page.err || fail "$page does not format"
	[ ! -s page.err ] || fail "$page: $(head -n 3 page.err)"
	grep -q 'SPDX-License-Identifier: BSD-2-Clause' "$page" || fail "$page: no SPDX line"
	for other in $(sed -nE 's/\\f[BRIP]//g; s/\\-/-/g; /^\.SH SEE ALSO/,$p' "$page" | grep -oE 'n(dm|bdkit-ndm)[-a-z.]*\([1-8]\)'); do
		name=${other%(*}
		section=${other#*(}
		section=${section%)}
		[ -f "$top_srcdir/man/$name.$section" ] || [ -f "$top_builddir/man/generated/$name.$section" ] ||
			fail "$page: SEE ALSO $other, which is not there"
	done
	n=$((n + 1))
done
[ $n -gt 10 ] || fail "only $n pages"
say "$n pages"
