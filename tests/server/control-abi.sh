#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The management socket answers dm ioctls as Linux 6.12 does (control-abi.py says which of it).
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3
start_ndmd
PYTHONDONTWRITEBYTECODE=1 python3 "$top_srcdir/tests/server/control-abi.py" || fail "see above"
stop_ndmd
