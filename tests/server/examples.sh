#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each definition in contrib/examples is taken by --check, and then served: sizes, read-only and
# TLS as the file says, contents written and read back (not where faults are the point).
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3 nbdkit openssl
requires python3 -c 'import nbd'

mkdir pki
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
	-keyout pki/server-key.pem -out pki/server-cert.pem 2> openssl.out
cp pki/server-cert.pem pki/ca-cert.pem
nbdkit -f -U "$T/other.sock" memory 16M > other.out 2>&1 &
started+=($!)
wait_for "nbdkit" test -S "$T/other.sock"

seen=0
for example in "$top_srcdir"/contrib/examples/*.yaml; do
	name=$(basename "$example" .yaml)
	sed "s,/srv/,$T/,g; s,/run/ndm/,$T/,g; s,/etc/ndm/pki,$T/pki,g" "$example" > "$name.yaml"
	for image in a b c d; do
		rm -f "$image.img"
		truncate -s 64M "$image.img"
	done
	"$NDMD" -c "$T/$name.yaml" --check > "$name.plan" 2> "$name.err" || fail "$name: refused: $(cat "$name.err")"
	grep -q '^create ' "$name.plan" || fail "$name: an empty plan"
	export NDM_CONTROL=$T/control
	"$NDMD" --foreground --control "$NDM_CONTROL" -c "$T/$name.yaml" > "$name.out" 2> ndmd.err < /dev/null &
	ndmd_pid=$!
	started+=($!)
	wait_for "ndmd with $name" "$NDMSETUP" version
	io=io
	[ "$name" != faults ] || io=
	PYTHONDONTWRITEBYTECODE=1 python3 "$top_srcdir/tests/server/examples.py" "$T" $io > "$name.io" 2>&1 ||
		fail "$name: $(cat "$name.io")"
	say "$name: $(cat "$name.io")"
	stop_ndmd
	seen=$((seen + 1))
done
[ $seen -ge 8 ] || fail "only $seen examples"
