#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 5: the disk of a virtual machine, cached and encrypted, declared in one piece of YAML; its
# key is a credential of systemd.  The machine is killed under its client, who connects again and
# sees no error; the cache becomes writethrough and says what it flushed; afterwards the slow
# disk alone, opened by cryptsetup's header code, holds the file system.  No key is in any table,
# log or command line.  The guest is qemu-io with reconnect-delay (a real kernel as the client:
# tests/interop/nbd-ko.sh).
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program qemu-io stdbuf mke2fs debugfs e2fsck cryptsetup nbdcopy jq
requires /usr/bin/python3 -c 'import nbd'

mkdir credentials
pass=credentials/vm.key
head -c 30 /dev/urandom | base64 | tr -d '\n' > $pass
secret=$(cat $pass)
truncate -s 64M ssd.img
truncate -s 72M slow.img
cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-keyslots-size 512k \
	--offset 16384 --key-file $pass slow.img 2> cryptsetup.err || skip "cryptsetup cannot format here: $(cat cryptsetup.err)"

cat > vm.yaml <<'END'
version: 1
secrets: {vmkey: {credential: vm.key}}
volumes:
  vm:
    export: vm
    cache:
      mode: writeback
      fast: {file: ssd.img, size: 64M}
      origin:
        luks: {secret: vmkey, backing: {file: slow.img}}
END
export CREDENTIALS_DIRECTORY=$T/credentials
"$NDMD" --check "$T/vm.yaml" > check.out 2>&1 || fail "--check: $(cat check.out)"
printf 'create %s\n' vm.meta vm.fast vm.origin vm | sort | diff - <(sort check.out) || fail "--check says $(cat check.out)"
"$NDMD" --explain "$T/vm.yaml" > explain.out
cat > wanted <<END
vm.fast: 0 122816 linear $T/ssd.img 8256
vm.meta: 0 8256 linear $T/ssd.img 0
vm.origin: 0 0 luks $T/slow.img credential:vm.key
vm: 0 0 cache dev:vm.meta dev:vm.fast dev:vm.origin 128 2 writeback metadata2 smq 0
END
sort explain.out | diff wanted - || fail "--explain says otherwise"
! cmp -s <(head -c 4096 ssd.img) <(head -c 4096 /dev/zero) && fail "--check wrote to the cache"

# started as systemd starts it: told in NOTIFY_SOCKET when it serves, the key in its folder
cat > notify.py <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
print(s.recv(4096).decode(), flush=True)
END
starts=0
start_vm() {
	export NDM_CONTROL=$T/control
	sock=$T/nbd.sock
	starts=$((starts + 1))
	/usr/bin/python3 notify.py "$T/notify$starts" > notified$starts & notify=$!
	started+=("$notify")
	wait_for "a socket for READY" test -S "$T/notify$starts"
	NOTIFY_SOCKET=$T/notify$starts "$NDMD" "$T/vm.yaml" --unix "$sock" --control "$NDM_CONTROL" \
		--metrics "unix:$T/m.sock" -v >> ndmd.out 2>> ndmd.err </dev/null &
	ndmd_pid=$!
	started+=("$ndmd_pid")
	disown $ndmd_pid
	wait_for "ndmd to answer" ndmd_answers
	wait_end "$notify" || fail "no READY came"
	grep -q READY=1 notified$starts || fail "systemd is told '$(cat notified$starts)'"
}
start_vm
[ "$("$NDMSETUP" table vm | cut -d' ' -f1-3)" = "0 131072 cache" ] || fail "table: $("$NDMSETUP" table vm)"

# ---- a file system, and a guest whose disk it is

mkdir -p content/etc
echo guest > content/etc/hostname
head -c 700000 /dev/urandom > content/random
truncate -s 64M fs.img
mke2fs -q -F -t ext4 -d content fs.img
nbdcopy --flush fs.img "$(uri vm)"
"$NDM" export vm --qemu > blockdev.txt
grep -q "driver=nbd" blockdev.txt || fail "export --qemu: $(cat blockdev.txt)"

status_has() {	# FIELD: its value
	"$NDMSETUP" status vm --explain | sed -n "s/^ *$1:* *\([0-9a-z./]*\).*/\1/p" | head -n 1
}
"$NDMSETUP" status vm --explain > status.txt
for field in metadata used dirty read_hits read_misses write_hits write_misses promotions demotions; do
	[ -n "$(status_has $field)" ] || fail "status --explain names no $field: $(cat status.txt)"
done

mkfifo guest.in
stdbuf -oL qemu-io --image-opts "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=$sock,file.export=vm,file.reconnect-delay=30" \
	< guest.in > guest.out 2>&1 &
guest=$!
started+=("$guest")
exec 8> guest.in
guest_says() { grep -c "$1" guest.out; }
guest_did() { [ "$(guest_says "$1")" -ge "$2" ]; }
guest() {	# COMMAND WORD COUNT: the guest does that; WORD has then come COUNT times
	echo "$1" >&8
	wait_for "the guest's '$1'" guest_did "$2" "$3"
}
for i in 1 2 3 4 5 6; do guest "write -f -P 0x3$i $((40 + i))M 64k" 'wrote 65536' "$i"; done

guest "read -P 0x31 41M 64k" "read 65536" 1
kill -KILL "$ndmd_pid"
wait_for "ndmd to be gone" ended "$ndmd_pid"
echo "write -P 0x51 50M 64k" >&8		# while nobody is there
rm -f "$sock" "$T/control"
start_vm
wait_for "the guest to come back" guest_did 'wrote 65536' 7
for i in 1 2 3 4 5 6; do guest "read -P 0x3$i $((40 + i))M 64k" 'read 65536' $((i + 1)); done
guest "read -P 0x51 50M 64k" 'read 65536' 8
! grep -iq 'error\|failed' guest.out || fail "the guest saw: $(grep -i 'error\|failed' guest.out)"
say "killed and started again; the guest saw nothing of it"
dirty_before=$(status_has dirty)

# ---- from writeback to writethrough

sed -i 's/mode: writeback/mode: writethrough/' vm.yaml
"$NDM" apply "$T/vm.yaml" > apply.out 2>&1 || fail "apply: $(cat apply.out)"
grep -qx 'reload vm' apply.out || fail "apply: $(cat apply.out)"
grep -qE '^vm: reload cache \(writeback→writethrough\): flushed [0-9]+ blocks, suspended [0-9]+ ms$' apply.out ||
	fail "apply: $(cat apply.out)"
say "$(tail -n 1 apply.out) ($dirty_before were dirty)"
[ "$(status_has dirty)" = 0 ] || fail "still dirty: $("$NDMSETUP" status vm)"
guest "write -P 0x61 52M 64k" 'wrote 65536' 8
guest "read -P 0x61 52M 64k" 'read 65536' 9
echo quit >&8
exec 8>&-
wait_end "$guest" || fail "the guest: $(tail -n 3 guest.out)"
"$NDMSETUP" status vm | grep -q ' writethrough ' || fail "not writethrough: $("$NDMSETUP" status vm)"
nbdcopy "$(uri vm)" seen.img

# ---- no key anywhere

"$NDMSETUP" table > tables
"$NDMSETUP" status >> tables
"$NDM" explain vm.origin >> tables 2>&1 || :
tr '\0' ' ' < "/proc/$ndmd_pid/cmdline" > argv
key=$("$NDMSETUP" table --showkeys vm.origin)
for file in tables argv ndmd.err ndmd.out explain.out check.out apply.out vm.yaml; do
	! grep -qF "$secret" $file || fail "the passphrase is in $file"
	! grep -qE '[0-9a-f]{64}' $file || fail "a key is in $file"
done
[ -n "$key" ] || fail "no table of the origin"
stop_ndmd

# ---- the slow disk alone

cryptsetup open --test-passphrase --key-file $pass slow.img 2> cryptsetup.err || fail "cryptsetup: $(cat cryptsetup.err)"
cat > slow.yaml <<'END'
version: 1
secrets: {vmkey: {credential: vm.key}}
volumes:
  slow: {read_only: true, luks: {secret: vmkey, backing: {file: slow.img}}}
END
start_ndmd "$T/slow.yaml"
nbdcopy "$(uri slow)" alone.img
cmp seen.img alone.img || fail "the slow disk is not what the guest saw"
stop_ndmd
[ "$(debugfs -R 'cat /etc/hostname' alone.img 2> /dev/null)" = guest ] || fail "no file system on the slow disk"

# ---- what cannot be

wrong() {	# YAML SENTENCE
	printf 'version: 1\n%s\n' "$1" > wrong.yaml
	! "$NDMD" --check wrong.yaml > wrong.out 2>&1 || fail "taken: $1"
	grep -q "$2" wrong.out || fail "$1: $(cat wrong.out)"
}
wrong 'volumes: {v: {luks: {secret: none, backing: {file: slow.img}}}}' "there is no secret 'none'"
wrong 'volumes: {v: {cache: {mode: back, fast: {file: a, size: 64M}, origin: {zero: {length: 1M}}}}}' "mode is writeback"
wrong 'volumes: {v: {cache: {mode: writeback, fast: {file: a}, origin: {zero: {length: 1M}}}}}' "fast has to be"
wrong 'volumes: {v: {cache: {fast: {file: a, size: 1M}, origin: {zero: {length: 1M}}}}}' "metadata alone take"
wrong 'volumes: {v: {linear: {length: 1M, device: {zero: {length: 1M}}}}, v.device: {zero: {length: 1M}}}' "two volumes 'v.device'"
wrong 'volumes: {v: {linear: {length: 1M, device: {file: a, sise: 1M}}}}' "did you mean 'size'"
wrong 'secrets: {k: {fil: a}}' "fil"

