#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# ndmd as a process: background and pid file, words to the service manager, --run, --check and
# --explain, SIGHUP, sockets that are stale or in use, wrong command lines.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program nbdinfo python3

say "wrong command lines: exit 2 and one sentence"
for words in --nonsense '--threads x' '--create' 'a.yaml b.yaml' '--daemon --foreground' '--check' \
	'--stdio --run true' '--max-connections -1'
do
	status=0
	# shellcheck disable=SC2086
	"$NDMD" $words > out 2> err </dev/null || status=$?
	[ $status -eq 2 ] || fail "'$words' ended with $status"
	[ "$(wc -l < err)" -eq 1 ] || fail "'$words' said: $(cat err)"
done

say "what cannot be done: one sentence, and exit 78 where what was asked for is wrong, else 1"
truncate -s 1M disk.img
serve_e=(--no-control --create 'e: 0 2048 zero')
bad() {	# STATUS ARGUMENT...
	local status=0 want=$1
	shift
	timeout 20 "$NDMD" --foreground "$@" > out 2> err </dev/null || status=$?
	[ $status -eq "$want" ] || fail "'$*' ended with $status, not $want: $(cat err)"
	[ "$(wc -l < err)" -eq 1 ] || fail "'$*' said: $(cat err)"
}
bad 78 --no-control --create 'e 0 2048 zero'
bad 78 --no-control --create 'e: 0 2048 nosuchtype'
bad 78 --no-control --create "e: 0 4096 linear $T/disk.img 0"
bad 78 --no-control --create 'e: 0 8 zero' --create 'e: 0 8 zero'
bad 78 --no-control --create 'e:'
bad 78 "${serve_e[@]}" --listen 'unix:'
bad 1 "${serve_e[@]}" --listen "unix:$T/no/such/folder/s"
bad 78 "${serve_e[@]}" --listen nowhere
bad 78 "${serve_e[@]}" --listen tcp:127.0.0.1:99999
bad 78 "${serve_e[@]}" --listen "unix:$(printf '%0200d' 0)"
bad 1 "${serve_e[@]}" --control "$T/no/such/folder/c"
bad 78 "${serve_e[@]}" --tls require
bad 78 "${serve_e[@]}" --tls perhaps
bad 78 "${serve_e[@]}" --metrics 'tcp:nowhere'
bad 1 --no-control --create "e: 0 8 linear $T/nofile 0"
bad 78 --no-control nofile.yaml
printf 'version: 1\nvolumes: {v: {zero: {length: much}}}\n' > wrong.yaml
bad 78 --no-control wrong.yaml
bad 78 --check wrong.yaml
printf 'version: 1\nvolumes: {v: {linear: {length: 1M, device: %s/nofile}}}\n' "$T" > later.yaml
bad 1 --no-control later.yaml

say "--check and --explain"
cat > two.yaml <<YAML
version: 1
volumes:
  low: {table: ["0 2048 linear $T/disk.img 0"]}
  high: {export: {name: top, description: the upper one}, table: [{linear: {length: 1024s, device: low, offset: 16}}]}
YAML
"$NDMD" --check two.yaml > plan
printf 'create low\ncreate high\n' | diff - plan
"$NDMD" --explain two.yaml > tables
grep -qx "high: 0 1024 linear .*low 16" tables || fail "--explain said: $(cat tables)"

say "--daemon: the parent ends when clients can connect"
"$NDMD" --daemon --pidfile "$T/pid" --control "$T/c" --listen "unix:$T/d.sock" two.yaml
pid=$(cat pid)
started+=("$pid")
[ "$(nbdinfo --size "nbd+unix:///top?socket=$T/d.sock")" = 524288 ]
nbdinfo "nbd+unix:///top?socket=$T/d.sock" | grep -q 'description: the upper one'
say "a living socket is not taken over, a dead one is"
bad 1 "${serve_e[@]}" --listen "unix:$T/d.sock"
grep -q 'in use' err
kill -KILL "$pid"
wait_for "the end" ended "$pid"
[ -S d.sock ]
"$NDMD" --daemon --pidfile "$T/pid" --control "$T/c" --listen "unix:$T/d.sock" two.yaml
pid=$(cat pid)
started+=("$pid")
kill -TERM "$pid"
wait_for "the end" ended "$pid"
[ ! -e d.sock ] && [ ! -e pid ] && [ ! -e c ] || fail "left behind: $(ls)"
status=0
"$NDMD" --daemon --no-control --create 'e: 0 8 nosuchtype' 2> err || status=$?
[ $status -eq 78 ] && grep -q nosuchtype err

say "--run: the command's environment, and its exit status"
status=0
"$NDMD" "${serve_e[@]}" --run '[ "$(nbdinfo --size "$uri")" = 1048576 ] && [ -S "$unixsocket" ] && exit 7' || status=$?
[ $status -eq 7 ] || fail "--run gave $status"
NDM_CONTROL='' "$NDMD" --create 'e: 0 2048 zero' --run "'$NDMSETUP' ls" > out
grep -q '^e' out
status=0
"$NDMD" "${serve_e[@]}" --run 'kill -9 $$' || status=$?
[ $status -eq 137 ] || fail "a killed command gave $status"

say "words to the service manager; SIGHUP"
cp two.yaml live.yaml
python3 - "$T/notify" > notified <<'PY' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1] + ".tmp")
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
    if "STOPPING" in text:
        break
PY
notify_pid=$!
started+=("$notify_pid")
wait_for "the listener" test -S "$T/notify"
export NOTIFY_SOCKET=$T/notify
start_ndmd -c live.yaml
unset NOTIFY_SOCKET
cat > live.yaml <<YAML
version: 1
volumes:
  low: {table: ["0 2048 linear $T/disk.img 0"]}
  new: {table: ["0 8 zero"]}
YAML
kill -HUP "$ndmd_pid"
wait_for "the new volume" nbdinfo --size "$(uri new)"
! nbdinfo --size "$(uri top)" 2>/dev/null || fail "high is still there"
echo 'version: 1' > live.yaml
echo 'volumes: {a: {table: nonsense}}' >> live.yaml
kill -HUP "$ndmd_pid"
wait_for "a complaint" grep -q 'live.yaml:2:' ndmd.err
nbdinfo --size "$(uri new)" > out
stop_ndmd
wait_end "$notify_pid"
[ "$(grep -c '^READY=1' notified)" -ge 2 ] && grep -q '^RELOADING=1' notified &&
	grep -q '^STOPPING=1' notified || fail "said: $(cat notified)"
