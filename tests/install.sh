#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# make install puts everything below the prefix, with links in place; what was installed runs from
# there, and a program of somebody else compiles against the library with pkg-config's flags.
. "$(dirname "$0")/interop/functions.sh"
requires_program make pkg-config nbdkit

unset MAKEFLAGS MAKELEVEL MFLAGS
prefix=$(sed -n 's/^prefix = //p' "$top_builddir/Makefile")
make -C "$top_builddir" install DESTDIR="$T/root" > install.log 2>&1 || { tail -n 20 install.log; fail "make install"; }
root=$T/root$prefix

for file in bin/ndm bin/ndmsetup sbin/ndmd include/ndm.h include/ndm-control.h include/ndm-target.h \
	lib/libndm.so lib/pkgconfig/libndm.pc lib/nbdkit/plugins/nbdkit-ndm-plugin.so lib/ndm/libndm-preload.so \
	share/man/man1/nbdkit-ndm-plugin.1 share/man/man5/ndm.yaml.5 share/man/man8/ndmd.8 \
	share/man/man7/ndm-linear.7 lib/systemd/system/ndmd.service lib/systemd/system/ndmd@.socket \
	lib/sysusers.d/ndm.conf lib/tmpfiles.d/ndm.conf share/ndm/prometheus/ndm-alerts.yaml \
	share/ndm/grafana/ndm.json share/ndm/schema/server-status.json; do
	[ -e "$root/$file" ] || fail "$file was not installed"
done
outside=$(find "$T/root" -type f ! -path "$root/*" | head -n 3)
[ -z "$outside" ] || fail "outside the prefix: $outside"
[ "$(readlink "$root/bin/ndmsetup")" = ndm ] || fail "ndmsetup is no link to ndm"
grep -q "^ExecStart=$prefix/sbin/ndmd" "$root/lib/systemd/system/ndmd.service" || fail "the unit starts another ndmd"

cat > user.c <<'END'
#include <stdio.h>
#include <ndm.h>
int main(void) { return ndm_target_type_find("linear") ? 0 : 1; }
END
flags=$(PKG_CONFIG_SYSROOT_DIR=$T/root PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config --cflags --libs libndm)
case ${NDM_SANITIZERS:-} in
'') ;;
*) flags="$flags $NDM_SANITIZERS" ;;
esac
# shellcheck disable=SC2086
${CC:-cc} -o user user.c $flags || fail "a program does not compile with: $flags"
LD_LIBRARY_PATH=$root/lib ./user || fail "a program does not find linear in libndm"

NDMD=$root/sbin/ndmd NDMSETUP=$root/bin/ndmsetup
start_ndmd --create 'v: 0 2048 zero'
[ "$("$NDMSETUP" table v)" = "0 2048 zero " ] || fail "table: $("$NDMSETUP" table v)"
stop_ndmd

make -C "$top_builddir" uninstall DESTDIR="$T/root" > install.log 2>&1 || fail "make uninstall: $(tail -n 5 install.log)"
left=$(find "$T/root" -type f -o -type l | head -n 3)
[ -z "$left" ] || fail "uninstall left $left"
say "installed, used, uninstalled"
