#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The NBD protocol, asked by a client that can say anything (protocol.py); and a client that
# misbehaves costs one line of log each time, never more.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3

truncate -s 64M disk.img ro.img
cat > volumes.yaml <<YAML
version: 1
volumes:
  disk: {table: ["0 131072 linear $T/disk.img 0"]}
  ro: {read_only: true, table: ["0 131072 linear $T/ro.img 0"]}
  dead: {table: ["0 131072 error"]}
YAML
start_ndmd -c volumes.yaml
python3 "$top_srcdir/tests/server/protocol.py" "$sock" || fail "protocol.py"
# each of these was one client's doing
for words in 'unknown client flags' 'bad option magic' 'more than 64 options' 'bad request magic' \
	'an export name of 5000 bytes' "there is no export 'nope'" 'a payload of 1099511627776 bytes'
do
	n=$(grep -c "$words" ndmd.err) || fail "no line of log says '$words'"
	[ "$n" -eq 1 ] || fail "$n lines of log say '$words'"
done
stop_ndmd
