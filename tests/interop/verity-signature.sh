#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A signed root digest: signed by somebody who is trusted, or the volume is not opened.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program openssl nbdcopy

ours() { "$NDM" veritysetup "$@"; }
refused() { if "$@" > said.txt 2>&1; then fail "accepted: $*"; fi; }
said() { grep -q "$1" said.txt || fail "said: $(cat said.txt)"; }
sign() {	# WHO: as the kernel wants it, without the certificate
	openssl smime -sign -nocerts -noattr -binary -in root -inkey "$1.key" -signer "$1.crt" -outform der
}

head -c 1M /dev/urandom > data
ours format --root-hash-file=root data tree > /dev/null
root=$(cat root)
mkdir trusted
for who in friend foe; do
	openssl req -x509 -newkey rsa:2048 -keyout $who.key -out $who.crt -nodes -days 3650 \
		-subj /CN=$who 2> openssl.txt
	sign $who > $who.p7
done
printf %s "${root//a/b}" > root.other
export NDM_VERITY_CERTIFICATES=$PWD/trusted
start_ndmd
open() { ours open --root-hash-signature="$1" data v tree "$root"; }

refused open friend.p7
! grep -q "user's keyring" said.txt || skip "$(cat said.txt)"
said 'no certificate to trust'
cp friend.crt trusted
open friend.p7
"$NDMSETUP" table v | grep -q ' 2 root_hash_sig_key_desc ' || fail "$("$NDMSETUP" table v)"
nbdcopy "$(uri v)" out
cmp out data
ours close v
refused open foe.p7
said 'Root hash verification failed'
refused open root
said 'Root hash verification failed'
root=$(cat root.other)
refused open friend.p7
said 'Root hash verification failed'
cp foe.crt trusted/more.crt
root=$(cat root)
open foe.p7
ours close v
