# SPDX-License-Identifier: BSD-2-Clause
# Shared words of the client's tests: a fake ndmd in a folder of its own, and the client.

set -e
here=$top_srcdir/tests/client
ndm=$top_builddir/client/ndm
ndmsetup=$top_builddir/client/ndmsetup
tmp=$(mktemp -d)
server=

cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT

skip() {
	echo "skipped: $*"
	exit 77
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

find_python() {
	for python in /usr/bin/python3 python3; do
		if "$python" -c "import $1" 2>/dev/null; then
			return
		fi
	done
	skip "no python3 with $1"
}

start_fake() {
	find_python socket
	"$python" "$here/fake-ndmd.py" "$tmp/control" &
	server=$!
	until [ -S "$tmp/control" ]; do
		kill -0 "$server" 2>/dev/null || fail "the fake ndmd ended early"
		sleep 0.01
	done
	export NDM_CONTROL=$tmp/control LC_ALL=C
}
