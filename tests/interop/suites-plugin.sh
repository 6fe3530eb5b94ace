#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The peers' own test programs against the plugin; the protocol is nbdkit's own, so no traps.
TEST_LIMIT_S=900
. "$(dirname "$0")/functions.sh"
requires_plugin
requires_program nbdinfo nbdcopy qemu-img qemu-io jq
requires nbdsh --version

truncate -s 64M disk.img
start_nbdkit "table=0 131072 linear $T/disk.img 0"
bash "$top_srcdir/tests/interop/suites/run-suites" -o "${SUITES:-info,nbdcopy,qemu,fio,nbdsh}" \
	"$(uri '' "$ksock")" || fail "against the plugin"
