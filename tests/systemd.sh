#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The units for systemd as systemd reads them: no unknown word, no missing program, little left
# open; the user is made, and the folders, where they are to be.  Nothing is started or installed.
. "$(dirname "$0")/interop/functions.sh"
requires_ndmd
requires_program systemd-analyze systemd-sysusers systemd-tmpfiles
units=$top_builddir/contrib/systemd

mkdir units
for unit in ndmd.service ndmd.socket ndmd@.service ndmd@.socket; do
	sed "s,^ExecStart=[^ ]*/ndmd ,ExecStart=$NDMD ," "$units/$unit" > "units/$unit"
done
verify() { SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no "$@"; }
cd units
for unit in ndmd.service ndmd.socket ndmd@.service ndmd@.socket; do
	verify "./$unit" > out 2>&1 || { cat out; fail "$unit"; }
	! grep -E "$unit|ndmd@" out || fail "$unit"
done
# a word that systemd does not know, and a program that is not there, would have been seen
sed 's/^NoNewPrivileges=/NoNewPriviledges=/' ndmd.service > wrong.service
verify ./wrong.service > out 2>&1 || :
grep -q NoNewPriviledges out || fail "a wrong word is not seen"

# 0 is a unit that can do nothing, 10 one that can do everything
for unit in ndmd.service ndmd@.service; do
	systemd-analyze security --offline=true --threshold=30 "./$unit" > out 2>&1 || { tail -n 60 out; fail "$unit is too open"; }
	say "$unit: $(grep 'Overall exposure' out | grep -oE '[0-9]+\.[0-9]+ [A-Z]+')"
done
cd ..

# what is wrong is not tried again and again: 78 is ndmd's word for it (tests/server/process.sh)
for unit in ndmd.service ndmd@.service; do
	grep -qx 'RestartPreventExitStatus=2 78' "units/$unit" || fail "$unit starts again whatever is wrong"
done

# ndmd's own arguments, as the units have them
printf 'version: 1\nvolumes:\n  v:\n    table:\n      - zero: {length: 1M}\n' > v.yaml
for unit in ndmd.service ndmd@.service; do
	sed -n 's/^ExecStart=//p' "units/$unit" | sed "s,-c [^ ]*,-c $T/v.yaml,; s,/run/ndm[^ ]*,$T/none,; s/--foreground/--check/" > command
	read -r -a words < command
	"${words[@]}" > out 2>&1 || { cat out; fail "$(cat command)"; }
done

mkdir -p root/etc root/var/lib root/run
cp "$top_srcdir/contrib/systemd/sysusers.d/ndm.conf" sysusers.conf
sed "s,^d $(sed -n 's/^sysconfdir = //p' "$top_builddir/Makefile" | sed "s,\${prefix},$(sed -n 's/^prefix = //p' "$top_builddir/Makefile"),"),d /etc," \
	"$units/tmpfiles.d/ndm.conf" > tmpfiles.conf
if [ "$(id -u)" = 0 ]; then
	systemd-sysusers --root="$T/root" "$T/sysusers.conf" > out 2>&1 || { cat out; fail "sysusers"; }
	grep -q '^ndm:' root/etc/passwd || fail "there is no user"
	systemd-tmpfiles --root="$T/root" --create "$T/tmpfiles.conf" > out 2>&1 || { cat out; fail "tmpfiles"; }
	id=$(awk -F: '/^ndm:/ { print $3 }' root/etc/passwd)
	[ "$(stat -c '%a %u' root/run/ndm)" = "750 $id" ] || fail "/run/ndm"
	[ "$(stat -c '%a %u %g' root/etc/ndm)" = "750 0 $(awk -F: '/^ndm:/ { print $3 }' root/etc/group)" ] || fail "/etc/ndm"
else
	systemd-sysusers --dry-run --root="$T/root" "$T/sysusers.conf" > out 2>&1 || { cat out; fail "sysusers"; }
fi
