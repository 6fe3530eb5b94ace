#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The peers' own test programs (tests/interop/suites), pointed at ndmd and at the plugin.
#
#	SUITES=info,qemu	only these; the default is what needs only packages
TEST_LIMIT_S=900
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdinfo nbdcopy qemu-img qemu-io jq
requires nbdsh --version

suites=${SUITES:-info,nbdcopy,qemu,fio,nbdsh,traps}
truncate -s 64M disk.img
start_ndmd --create "export1: 0 131072 linear $T/disk.img 0"
bash "$top_srcdir/tests/interop/suites/run-suites" -o "$suites" "$(uri export1)" || fail "against ndmd"
stop_ndmd
