#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Keys leave no trace: ndmd and its clients leave no core dump behind and cannot be traced by
# their own user; nothing of a key is in the arguments of a process, in a log, or in a table
# unless it is asked for.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3

printf 'the passphrase' > pass
truncate -s 4M disk.img
"$NDM" cryptsetup -q luksFormat --luks2-keyslots-size 512k --offset 2048 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
	--key-file pass disk.img
start_ndmd -v
"$NDM" cryptsetup -v open --key-file pass disk.img v > client.txt 2>&1
key=$("$NDMSETUP" table --showkeys v | cut -d' ' -f5)
[ ${#key} -eq 128 ] || fail "no key in the table"
for shown in "$("$NDMSETUP" table v)" "$("$NDMSETUP" status v)" "$("$NDMSETUP" table -j v)" "$(cat client.txt ndmd.err ndmd.out)" \
	"$(tr '\0' ' ' < "/proc/$ndmd_pid/cmdline")"; do
	! grep -qi -e "$key" -e "${key:0:32}" -e 'the passphrase' <<< "$shown" || fail "there is the key: $shown"
done

# Does a process that dies of SIGABRT leave a core dump?
cat > dumps.py <<'END'
import os, resource, signal, sys, time
child = os.fork()
if not child:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.chdir(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
def started():
    name = os.path.basename(sys.argv[2])
    if name == "ndmd":
        return os.path.exists(sys.argv[1] + "/ready")
    if name == "ndm":                           # it reads its passphrase
        try:
            global fifo
            fifo = os.open(sys.argv[1] + "/wait", os.O_WRONLY | os.O_NONBLOCK)
            return True
        except OSError:
            return False
    with open(f"/proc/{child}/comm") as f:
        return f.read().strip() == name
end = time.monotonic() + 30
while not started():
    assert time.monotonic() < end
    time.sleep(0.02)
os.kill(child, signal.SIGABRT)
status = os.waitpid(child, 0)[1]
assert os.WIFSIGNALED(status), status
print("dumped" if os.WCOREDUMP(status) else "no dump")
END
mkdir plain ours
python3 dumps.py "$T/plain" "$(command -v sleep)" 60 > plain.txt 2> plain.err || skip "no limits for core dumps here: $(tail -n 1 plain.err)"
grep -q '^dumped' plain.txt || skip "nothing dumps core here"
python3 dumps.py "$T/ours" "$NDMD" --foreground --no-control --unix "$T/ours/sock" --pidfile "$T/ours/ready" \
	--create "e: 0 8 zero" > ours.txt
grep -q '^no dump' ours.txt || fail "ndmd: $(cat ours.txt)"
mkdir client
mkfifo client/wait			# a client that waits for its passphrase
python3 dumps.py "$T/client" "$NDM" cryptsetup open --test-passphrase --key-file wait "$T/disk.img" > client.txt
grep -q '^no dump' client.txt || fail "ndm cryptsetup: $(cat client.txt)"
