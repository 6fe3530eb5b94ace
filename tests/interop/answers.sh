#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Lists of commands for cache, era, clone, writecache and thin, and what Linux answered to each:
# good and bad tables, messages in all states, devices that fail, grow and shrink; tests/interop/answers.
# ndmd must answer the same.
TEST_LIMIT_S=1500
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program thin_check thin_dump cache_check cache_dump era_check era_dump
requires /usr/bin/python3 -c 'import nbd, yaml'
here=$top_srcdir/tests/interop

/usr/bin/python3 "$here/answers.py" --build "$top_builddir" "$here"/answers/*.t > answers.out 2>&1 ||
	fail "other answers than Linux': $(grep -v ' 0 others' answers.out)"
say "as Linux: $(tail -n 1 answers.out)"
