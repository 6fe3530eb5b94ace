#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Volumes that name their clients (allow): by pre-shared key and by certificate; others are not
# shown them, and are told why they cannot have them.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program openssl nbdinfo python3
requires sh -c 'nbdinfo --version && nbdsh -c "assert h.supports_tls()"'

ec() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "$@" 2>/dev/null; }
mkdir pki ops other
ec -x509 -keyout pki/ca-key.pem -out pki/ca-cert.pem -days 2 -subj /CN=ca
sign() {	# FOLDER/NAME SUBJECT
	ec -keyout "$1-key.pem" -out csr -subj "$2"
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > ext
	openssl x509 -req -in csr -CA pki/ca-cert.pem -CAkey pki/ca-key.pem -CAcreateserial \
		-out "$1-cert.pem" -days 2 -extfile ext 2>/dev/null
}
sign pki/server /CN=localhost
sign pki/client /O=Firm/CN=kiosk1
sign ops/client /O=Firm/OU=ops/CN=anna
sign other/client /O=Other/CN=xkiosk1
cp pki/ca-cert.pem ops/
cp pki/ca-cert.pem other/
printf 'alice:%032d\nbob:%032d\n' 7 8 > keys.psk

cat > volumes.yaml <<'YAML'
version: 1
volumes:
  open: {zero: {length: 8}}
  keys: {allow: "psk:al*", zero: {length: 8}}
  kiosks: {allow: ["cn:kiosk?"], zero: {length: 8}}
  ops: {allow: ["dn:CN=*,OU=ops,O=Firm"], zero: {length: 8}}
  both: {allow: [psk:bob, cn:kiosk1], zero: {length: 8}}
YAML
port() { sed -n 's|.*nbds*://127.0.0.1:\([0-9]*\)$|\1|p' ndmd.err | tail -n 1; }
serve() { : > ndmd.err; start_ndmd -v --tcp 127.0.0.1:0 -c volumes.yaml "$@"; p=$(port); }
x509() { echo "nbds://localhost:$p/${2-}?tls-certificates=$T/$1"; }
psk() { echo "nbds+unix://$1@/${2-}?socket=$sock&tls-psk-file=$T/keys.psk"; }
# sees URI NAME...: exactly these are listed
sees() {
	nbdinfo --list --json "$1" > out 2> err || fail "cannot list with $1: $(cat err)"
	shift
	sed -n 's/.*"export-name": "\(.*\)",*$/\1/p' out | sort | tr '\n' ' ' > listed
	[ "$(cat listed)" = "$(printf '%s ' "$@")" ] || fail "listed: $(cat listed)- not: $*"
}
works() { nbdinfo --size "$1" > out 2>&1 || fail "no connection to $1: $(cat out)"; }
refused() { ! nbdinfo --size "$1" > out 2>&1 || fail "$1 was let in"; }
not_for() { : > ndmd.err; refused "$1"; grep -q "may not have export '$2'" ndmd.err; }

serve --tls on --tls-certificates pki --tls-verify-peer --tls-psk keys.psk

say "keys"
sees "$(psk alice)" keys open
sees "$(psk bob)" both open
works "$(psk alice keys)"
works "$(psk bob both)"
works "$(psk bob open)"
not_for "$(psk bob keys)" keys
not_for "$(psk alice both)" both
not_for "$(psk alice kiosks)" kiosks		# a user is no common name

say "certificates"
sees "$(x509 pki)" both kiosks open
sees "$(x509 ops)" open ops
sees "$(x509 other)" open
works "$(x509 pki kiosks)"
works "$(x509 pki both)"
works "$(x509 ops ops)"
not_for "$(x509 pki ops)" ops
not_for "$(x509 ops kiosks)" kiosks
not_for "$(x509 other kiosks)" kiosks		# a pattern is for the whole name
not_for "$(x509 other keys)" keys

say "without TLS"
sees "$(uri '')" open
works "$(uri open)"
works "nbd+unix:///?socket=$sock"		# the only one that it may have
cat > plain.py <<'PY'
import struct, sys
sys.path.insert(0, sys.argv[2])
from nbdraw import *
def said(c, kind, name):
    data = struct.pack(">I", len(name)) + name + b"\0\0"
    c.put(b"IHAVEOPT" + struct.pack(">II", kind, len(data)) + data)
    magic, option, error, length = struct.unpack(">QIII", c.take(20))
    return error, c.take(length)
for kind in OPT["INFO"], OPT["GO"]:
    c = Client(sys.argv[1])
    error, text = said(c, kind, b"keys")
    assert error == ERR["TLS_REQD"] and b"'keys'" in text and b"requires TLS" in text, (error, text)
    assert said(c, kind, b"nope")[0] == ERR["UNKNOWN"]
    assert c.go(b"open") == ACK and c.alive()
c = Client(sys.argv[1])
c.negotiate("structured")
assert c.meta([b"base:allocation"], b"keys")[0] == ERR["TLS_REQD"]
c.put(b"IHAVEOPT" + struct.pack(">II", OPT["EXPORT_NAME"], 4) + b"keys")
assert c.closed()
PY
python3 plain.py "$sock" "$top_srcdir/tests/server" || fail "see above"

say "the rules change"
sed -i 's/psk:al\*/psk:bob/' volumes.yaml
kill -HUP "$ndmd_pid"
now_bobs() { nbdinfo --size "$(psk bob keys)"; }
wait_for "the other rule" now_bobs
not_for "$(psk alice keys)" keys
"$NDM" export > out				# those who manage see everything
for name in open keys kiosks ops both; do grep -q "$name" out || fail "no $name in: $(cat out)"; done
stop_ndmd

say "TLS is off"
serve
grep -q "volume 'keys' has 'allow', but TLS is off: nobody can connect to it" ndmd.err
not_for "$(uri keys)" keys
works "$(uri open)"
stop_ndmd
