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

cat > good.yaml <<-END
	version: 1
	volumes:
	  kept:
	    table: [{linear: {length: 16k, device: $T/a.img}}]
END
cp good.yaml live.yaml
start_ndmd -c "$T/live.yaml"
"$NDMSETUP" table > before
grep -q '^kept: 0 32 linear' before || fail "the good one: $(cat before)"

bad=0
complain() { say "$1: $2"; sed 's/^/    /' "$1"; bad=$((bad + 1)); }
for file in bad-*.yaml; do
	status=0
	timeout 20 "$NDMD" -c "$T/$file" --check > out 2> err < /dev/null || status=$?
	if [ $status -eq 0 ]; then
		complain "$file" "accepted by --check"
	elif [ $status -gt 2 ]; then
		complain "$file" "--check ended with $status: $(cat err)"
	elif ! grep -qE "$file:[0-9]+:[0-9]+: .{10,}" err; then
		complain "$file" "no place and sentence: $(cat err)"
	fi
	"$NDM" apply "$T/$file" > out 2> err < /dev/null && complain "$file" "accepted by ndm apply"
	"$NDMSETUP" table > after 2>&1
	cmp -s before after || fail "$file: tables have changed: $(cat after)"
	! ended "$ndmd_pid" || fail "ndmd has ended at $file"
done
stop_ndmd
[ "$count" -ge 90 ] || fail "only $count definitions"
[ $bad -eq 0 ] || fail "$bad of $count"
say "$count wrong definitions refused"
