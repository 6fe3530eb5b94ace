#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 6: a read-only image under a hash tree, served over TLS.  The tree is veritysetup's; who
# comes without TLS, by another CA or with another key is told why; a wrong bit is an error, or
# repaired by parity; a root hash counts only with the right signature; kill -9 changes nothing.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program openssl nbdinfo nbdcopy veritysetup python3
requires sh -c 'nbdsh -c "assert h.supports_tls()"'
BLOCKS=1024

# ---- certificates
mkdir other trusted
authority() {	# FOLDER CN
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1/ca-key.pem" -out "$1/ca-cert.pem" -days 2 -subj "/CN=$2" 2> openssl.txt
}
authority other foreign
"$NDM" tls-init "$T/pki" --server localhost --server 127.0.0.1 --client kiosk1
openssl verify -x509_strict -purpose sslserver -verify_hostname localhost -CAfile pki/ca-cert.pem pki/server-cert.pem > verified.txt
openssl verify -x509_strict -purpose sslclient -CAfile pki/ca-cert.pem pki/kiosk1/client-cert.pem > verified.txt
! openssl verify -purpose sslserver -CAfile pki/ca-cert.pem pki/client-cert.pem > verified.txt 2>&1 || fail "a client could be a server"
cmp pki/client-cert.pem pki/kiosk1/client-cert.pem
[ "$(stat -c %a pki/ca-key.pem pki/server-key.pem pki/client-key.pem | sort -u)" = 600 ] || fail "keys can be read by others"
cp -r pki pki-before
"$NDM" tls-init pki --client kiosk2		# the same authority, another client
openssl verify -CAfile pki-before/ca-cert.pem pki/kiosk2/client-cert.pem > verified.txt
cmp pki/client-cert.pem pki-before/client-cert.pem
for wrong in "pki --server localhost" "pki --client kiosk1" "pki --client ../x" "pki --client x --days 0" "" "pki pki2" \
	"rootfs.img/pki"; do
	# SC2086: words
	# shellcheck disable=SC2086
	! "$NDM" tls-init $wrong 2> err || fail "accepted: tls-init $wrong"
	[ -s err ] || fail "refused without a word: tls-init $wrong"
done
diff -r pki-before pki > differs || [ "$(cat differs)" = "Only in pki: kiosk2" ] || fail "refused, and changed: $(cat differs)"
printf 'kiosk:%032d\n' 7 > keys.psk
printf 'kiosk:%032d\n' 8 > wrong.psk

# ---- the image, its tree and its parity, ours and theirs
head -c $((BLOCKS * 4096)) /dev/urandom > rootfs.img
cp rootfs.img good.img
salt=9f00112233445566778899aabbccddeeff00112233445566778899aabbccdd00
words=(--salt=$salt --uuid=11111111-2222-3333-4444-555555555555)
"$NDM" verity format "${words[@]}" --fec-device=parity --fec-roots=4 --root-hash-file=root rootfs.img rootfs.verity > ours.txt
veritysetup format "${words[@]}" --fec-device=parity.theirs --fec-roots=4 rootfs.img theirs.verity > theirs.txt
cmp rootfs.verity theirs.verity
cmp parity parity.theirs
root=$(cat root)
grep -q "^Root hash:.*$root" theirs.txt || fail "the root hashes differ"
veritysetup verify rootfs.img rootfs.verity "$root"
"$NDM" verity verify rootfs.img theirs.verity "$root"
openssl req -x509 -newkey rsa:2048 -keyout signer.key -out signer.crt -nodes -days 2 -subj /CN=signer 2> openssl.txt
openssl smime -sign -nocerts -noattr -binary -in root -inkey signer.key -signer signer.crt -outform der > root.p7

table="0 $((BLOCKS * 8)) verity 1 $T/rootfs.img $T/rootfs.verity 4096 4096 $BLOCKS 1 sha256 $root $salt"
export NDM_VERITY_CERTIFICATES=$T/trusted
port() { sed -n 's|.*nbds*://127.0.0.1:\([0-9]*\)$|\1|p' ndmd.err | tail -n 1; }
serve() {
	: > ndmd.err
	start_ndmd -v --read-only --tcp 127.0.0.1:0 --create "root: $table" "$@"
	"$NDM" verity open --fec-device=parity --fec-roots=4 rootfs.img fec rootfs.verity "$root"
	p=$(port)
}
x509() { echo "nbds://localhost:$p/$1?tls-certificates=$T/pki${2-}"; }
refused() { ! nbdinfo --size "$1" > out 2>&1 || fail "$1 was let in"; }

serve --tls require --tls-certificates pki
nbdinfo "$(x509 root)" > info
for word in 'newstyle-fixed with TLS' 'is_read_only: true' 'can_multi_conn: true'; do
	grep -q "$word" info || fail "not '$word': $(cat info)"
done
nbdcopy "$(x509 root)" seen
cmp seen good.img
refused "nbd://localhost:$p/root"
grep -q 'requires TLS' out || fail "without TLS nothing is said of it: $(cat out)"
wait_for "the reason in the log" grep -q 'client .*without TLS, which is required' ndmd.err
refused "$(x509 root /../other)"
[ -s out ] || fail "nothing is said to a client of another CA"
wait_for "the reason in the log" grep -q 'client .*: TLS: ' ndmd.err

# ---- a wrong bit
printf X | dd of=rootfs.img bs=1 seek=81920 conv=notrunc status=none
cmp -s rootfs.img good.img && fail "nothing was changed"
! nbdcopy "$(x509 root)" null: 2> err || fail "what is damaged was read"
grep -q 'Input/output error' err || fail "$(cat err)"
[ "$("$NDMSETUP" status root)" = "0 $((BLOCKS * 8)) verity C" ] || fail "$("$NDMSETUP" status root)"
grep -q "data block 20 corrupted: expected [0-9a-f]* got [0-9a-f]*" ndmd.err || fail "no word of block 20 in the log"
nbdcopy "$(x509 fec)" seen
cmp seen good.img || fail "the parity repairs to other data"
[ "$("$NDMSETUP" status fec)" = "0 $((BLOCKS * 8)) verity V" ] || fail "$("$NDMSETUP" status fec)"
grep -q 'FEC.*corrected [1-9]' ndmd.err || fail "repairs are not counted in the log"

# ---- any one bit: of the data or of the tree (each of them: tests/unit/test-verity)
cp good.img rootfs.img
SEED=${SEED:-$RANDOM}
say "SEED=$SEED"
cat > flips.py <<'END'
import os, random, subprocess, sys
seed, ndmsetup, uri, table = sys.argv[1:]
random.seed(int(seed))
good = open("good.img", "rb").read()
for i in range(24):
    name = random.choice(("rootfs.img", "rootfs.verity"))
    size = os.path.getsize(name)
    # the first block of the tree is its superblock, which a table does not read
    at = random.randrange(0 if name == "rootfs.img" else 4096, size)
    with open(name, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        flipped = byte ^ (1 << random.randrange(8))
        # the rest of a hash block behind its last digest must be zero, too: all of it counts
        f.seek(at)
        f.write(bytes([flipped]))
    subprocess.run([ndmsetup, "reload", "root", "--readonly", "--table", table], check=True)
    subprocess.run([ndmsetup, "resume", "root"], check=True)
    r = subprocess.run(["nbdcopy", uri, "seen"], capture_output=True)
    assert r.returncode, f"{name}: a flipped bit at byte {at} was not noticed"
    status = subprocess.run([ndmsetup, "status", "root"], capture_output=True, text=True).stdout
    assert status.split()[-1] == "C", status
    with open(name, "r+b") as f:
        f.seek(at)
        f.write(bytes([byte]))
END
python3 flips.py "$SEED" "$NDMSETUP" "$(x509 root)" "$table"

# ---- kill -9 in the middle, and again from the start
kill -KILL "$ndmd_pid"
wait "$ndmd_pid" 2>/dev/null || :
rm -f control nbd.sock
serve --tls require --tls-psk keys.psk
psk() { echo "nbds+unix://kiosk@/root?socket=$sock&tls-psk-file=$T/$1"; }
nbdcopy "$(psk keys.psk)" seen
cmp seen good.img
refused "$(psk wrong.psk)"
[ -s out ] || fail "nothing is said to a client with another key"
wait_for "the reason in the log" grep -q 'client .*TLS: ' ndmd.err

# ---- the signature
signed() {
	"$NDM" verity open --root-hash-signature="$1" rootfs.img signed rootfs.verity "$2" 2> err
}
if ! signed root.p7 "$root" && grep -q "user's keyring" err; then
	say "signatures: $(cat err)"
	exit 0
fi
grep -q 'no certificate to trust' err || fail "opened with nobody to trust: $(cat err)"
cp signer.crt trusted
signed root.p7 "$root" || fail "not opened with the right signature: $(cat err)"
"$NDMSETUP" table signed | grep -q root_hash_sig_key_desc || fail "$("$NDMSETUP" table signed)"
"$NDM" verity close signed
head -c 200 /dev/urandom > bad.p7
! signed bad.p7 "$root" || fail "opened with a wrong signature"
