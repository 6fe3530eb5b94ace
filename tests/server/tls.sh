#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NBD over TLS: X.509 with and without client certificates, a revoked one, pre-shared keys, the
# modes off, on and require; errors on both sides say why.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program openssl nbdinfo nbdcopy qemu-img
requires sh -c 'nbdinfo --version && nbdsh -c "assert h.supports_tls()"'

mkdir pki pki/none
cd pki
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca-cert.pem -days 2 -subj /CN=ca 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout none/other-key.pem -out none/other.pem -days 2 -subj /CN=other 2>/dev/null
sign() {	# FILES CN
	openssl req -newkey rsa:2048 -nodes -keyout "$1-key.pem" -out csr -subj "/CN=$2" 2>/dev/null
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > ext
	openssl x509 -req -in csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -out "$1-cert.pem" \
		-days 2 -extfile ext 2>/dev/null
}
sign server localhost
sign client kiosk1
cp ca-cert.pem none/
cd ..
printf '# keys\nalice:%032d\n\nbob:%064d\n' 7 8 > keys.psk
printf 'alice:%032d\nbob:%064d\n' 6 8 > other.psk
head -c 8M /dev/urandom > data.img

port() { sed -n 's|.*nbds*://127.0.0.1:\([0-9]*\)$|\1|p' ndmd.err | tail -n 1; }
serve() { : > ndmd.err; start_ndmd -v --tcp 127.0.0.1:0 --create "e: 0 16384 linear mem:8M 0" "$@"; p=$(port); }
x509() { echo "nbds://localhost:$p/e?tls-certificates=$T/pki${1-}"; }
psk() { echo "nbds+unix://$1@/e?socket=$sock&tls-psk-file=$T/$2"; }
works() { nbdinfo --size "$1" > out 2>&1 || fail "no connection to $1: $(cat out)"; }
refused() { ! nbdinfo --size "$1" > out 2>&1 || fail "$1 was let in"; }

say "certificates, required"
serve --tls require --tls-certificates pki
nbdcopy data.img "$(x509)"
nbdcopy "$(x509)" back.img
cmp data.img back.img
works "$(x509 /none)"				# clients need no certificate
nbdinfo "$(x509)" | grep -q 'with TLS'
qemu-img convert -O raw --object "tls-creds-x509,id=t,endpoint=client,dir=$T/pki" \
	--image-opts "driver=nbd,host=localhost,port=$p,export=e,tls-creds=t" back.img
cmp data.img back.img
refused "$(uri e)"
grep -q 'requires TLS' out || fail "without TLS nothing is said of it: $(cat out)"
rm pki/none/ca-cert.pem && cp pki/none/other.pem pki/none/ca-cert.pem
refused "$(x509 /none)"
cp pki/ca-cert.pem pki/none/
stop_ndmd

say "clients need certificates"
serve --tls require --tls-certificates pki --tls-verify-peer
works "$(x509)"
grep -q 'kiosk1' ndmd.err || fail "the log does not say who it was"
refused "$(x509 /none)"
grep -q 'TLS: peer did not return a certificate' ndmd.err
stop_ndmd
cat > ca.conf <<CONF
[ca]
default_ca = d
[d]
database = $T/index
crlnumber = $T/crlnumber
default_md = sha256
default_crl_days = 2
CONF
: > index
echo 01 > crlnumber
openssl ca -config ca.conf -keyfile pki/ca-key.pem -cert pki/ca-cert.pem -revoke pki/client-cert.pem 2>/dev/null
openssl ca -config ca.conf -keyfile pki/ca-key.pem -cert pki/ca-cert.pem -gencrl -out pki/ca-crl.pem 2>/dev/null
serve --tls require --tls-certificates pki --tls-verify-peer
refused "$(x509)"
wait_for "the reason in the log" grep -q 'revoked' ndmd.err
stop_ndmd
rm pki/ca-crl.pem

say "both or neither, certificates and keys side by side"
serve --tls on --tls-certificates pki --tls-psk keys.psk
works "$(uri e)"
works "$(x509)"
works "$(psk alice keys.psk)"
works "$(psk bob keys.psk)"
grep -q 'TLSv1.3, bob' ndmd.err
refused "$(psk alice other.psk)"
stop_ndmd

say "keys alone, with TLS 1.2, too"
serve --tls require --tls-psk keys.psk
nbdcopy data.img "$(psk alice keys.psk)"
nbdcopy "$(psk bob keys.psk)" back.img
cmp data.img back.img
refused "$(psk alice other.psk)"
refused "$(uri e)"
"$NDMSETUP" table e > out			# the control socket is not concerned
stop_ndmd

say "off"
serve
refused "$(psk alice keys.psk)"
works "$(uri e)"
stop_ndmd

say "files that are wrong"
bad() {	# STATUS ARGUMENT...
	local status=0 want=$1
	shift
	"$NDMD" --foreground --no-control --tls require "$@" > out 2> err </dev/null || status=$?
	[ $status -eq "$want" ] && [ "$(wc -l < err)" -eq 1 ] || fail "'$*' ended with $status: $(cat err)"
}
bad 1 --tls-psk nofile && grep -q 'nofile: No such file' err
echo 'alice' > bad.psk
bad 78 --tls-psk bad.psk && grep -q 'bad.psk: line 1 is not USER:HEXKEY' err
echo 'alice:xyz1' > bad.psk
bad 78 --tls-psk bad.psk && grep -q 'not hexadecimal' err
: > bad.psk
bad 78 --tls-psk bad.psk
bad 78 --tls-certificates nofolder && grep -q 'nofolder/server-cert.pem' err
mkdir half && cp pki/server-cert.pem half/ && cp pki/client-key.pem half/server-key.pem
bad 78 --tls-certificates half && grep -q 'server-key.pem' err
bad 78 --tls-psk keys.psk --tls-verify-peer
