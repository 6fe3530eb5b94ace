#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each of the definitions in wrong-yaml.txt is refused with FILE:LINE:COLUMN and a sentence: by
# ndmd --check, which starts nothing, and by a running ndmd that is told to apply it, which then
# changes nothing.
. "$(dirname "$0")/functions.sh"
requires_ndmd

truncate -s 16k a.img
awk -v dir="$T" '/^===$/ { n++; next } n { print > sprintf("%s/bad-%03d.yaml", dir, n) }' \
	"$top_srcdir/tests/interop/wrong-yaml.txt"
count=$(grep -c '^===$' "$top_srcdir/tests/interop/wrong-yaml.txt")
for i in $(seq "$count"); do
	file=$(printf 'bad-%03d.yaml' "$i")
	[ -e "$file" ] || : > "$file"
	sed -i "s,@A,$T/a.img,g; s,@NONE,$T/none,g" "$file"
done

# No file has declared this one, so no file can take it away.
start_ndmd
"$NDMSETUP" create kept --table "0 32 linear $T/a.img 0"
"$NDMSETUP" table > before

cat > apply.py <<'END'
# Sends each file to ndmd to be applied (include/ndm-control.h); prints what was not as it should.
import os, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(os.environ["NDM_CONTROL"])

def ask(command, body=b""):
    s.sendall(struct.pack("=II", command, len(body)) + body)
    head = b""
    while len(head) < 8:
        head += s.recv(8 - len(head)) or sys.exit("ndmd hung up")
    error, length = struct.unpack("=II", head)
    answer = b""
    while len(answer) < length:
        answer += s.recv(length - len(answer)) or sys.exit("ndmd hung up")
    return error, answer.decode(errors="replace")

APPLY, REASON = 0x1005, 0x1001
for name in sys.argv[1:]:
    text = open(name, "rb").read()
    if not text:
        continue            # an empty request means the file that ndmd was started with
    error, _ = ask(APPLY, text)
    reason = ask(REASON)[1]
    if not error:
        print("%s: applied" % name)
    elif len(reason) < 15:
        print("%s: refused without a reason: %r" % (name, reason))
END

bad=0 seen=0
complain() { say "$1: $2"; sed 's/^/    /' "$1"; bad=$((bad + 1)); }
for file in bad-*.yaml; do
	status=0
	timeout 20 "$NDMD" -c "$T/$file" --check > out 2> err < /dev/null || status=$?
	# what only a target's constructor can know is refused when the file is applied
	[ $status -ne 0 ] || continue
	seen=$((seen + 1))
	if [ $status -gt 2 ] && [ $status -ne 78 ]; then
		complain "$file" "--check ended with $status: $(cat err)"
	elif ! grep -qE "$file:[0-9]+:[0-9]+: .{10,}" err; then
		complain "$file" "no place and sentence: $(cat err)"
	fi
done
/usr/bin/python3 apply.py bad-*.yaml > applied || fail "$(cat applied)"
while read -r line; do complain "${line%%:*}" "${line#*: }"; done < applied
"$NDMSETUP" table > after 2>&1
cmp -s before after || fail "tables have changed: $(cat after)"
! ended "$ndmd_pid" || fail "ndmd has ended"
[ $seen -ge $((count - 12)) ] || fail "--check refused only $seen of $count"
stop_ndmd
[ "$count" -ge 90 ] || fail "only $count definitions"
[ $bad -eq 0 ] || fail "$bad of $count"
say "$count wrong definitions refused"
