#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# poll(2) on the control node works for programs that were written for the kernel.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
preload=$top_builddir/contrib/preload/.libs/libndm-preload.so
[ -e "$preload" ] || fail "no $preload: run make first"
under=(env "LD_PRELOAD=$preload")
case ${NDM_SANITIZERS:-} in
*fsanitize=*) under=(env "LD_PRELOAD=$(${CC:-cc} -print-file-name=libasan.so):$preload" ASAN_OPTIONS=detect_leaks=0) ;;
esac
${CC:-cc} -O1 -Wall -o poll "$top_srcdir/tests/server/poll.c"
start_ndmd
"${under[@]}" ./poll || fail "see above"
stop_ndmd
