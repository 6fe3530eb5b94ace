# SPDX-License-Identifier: BSD-2-Clause
# bash completion offers what ndmd has just now.

. "$top_srcdir/tests/client/functions.sh"
set +e

mkdir "$tmp/bin"
ln -s "$ndm" "$tmp/bin/ndm"
ln -s "$ndm" "$tmp/bin/ndmsetup"
PATH=$tmp/bin:$PATH
start_fake
. "$top_srcdir/contrib/completion/ndmsetup.bash"

# offers WANTED WORD...: of the last word, sorted
offers() {
	wanted=$1
	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	case $1 in
	ndm) _ndm ;;
	ndmd) _ndmd ;;
	*) _ndmsetup ;;
	esac
	got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' ')
	[ "$got" = "$wanted" ] || fail "$*: expected '$wanted', got '$got'"
}

offers "" ndmsetup remove ""
ndmsetup create alpha --table '0 8 zero'
ndmsetup create also -u LVM-1 --table '0 8 linear /dev/mapper/alpha 0'
ndmsetup create 'b c' --notable
offers "alpha also b\\ c" ndmsetup remove ""
offers "alpha also" ndmsetup remove alpha al
offers "alpha also" ndmsetup --noflush suspend al
offers "alpha also" ndmsetup info -c -o name al
offers "reload remove remove_all rename resume" ndmsetup re
offers "list" ndmsetup stats l
offers "alpha also" ndmsetup stats list al
offers "striped" ndmsetup target-version st
offers "linear" ndmsetup table --target li
offers "hex" ndmsetup --manglename h
offers "LVM-1" ndmsetup info -u LV
offers "plan" ndm pl
offers "alpha also" ndm explain al
offers "--libvirt-xml" ndm export --l
offers "alpha also" ndm export al
offers "alpha also" ndm dmsetup remove al
offers "" ndmsetup --control /nonexistent remove al

# ndmd: every option that --help has, in both shells
. "$top_srcdir/contrib/completion/ndmd.bash"
for word in $("$top_builddir/server/ndmd" --help | grep -o -- '--[a-z-]*' | sort -u); do
	printf '%s\n' "${_ndmd_options[@]}" | grep -qx -- "$word" || fail "bash: ndmd has $word"
	grep -q -- "$word\[\|$word}" "$top_srcdir/contrib/completion/_ndmd" || fail "zsh: ndmd has $word"
done
offers "--idle-timeout" ndmd --i
offers "off on" ndmd --tls o

if command -v zsh > /dev/null; then
	zsh -n "$top_srcdir/contrib/completion/_ndmsetup" || fail "zsh"
	zsh -n "$top_srcdir/contrib/completion/_ndmd" || fail "zsh"
fi
exit 0
