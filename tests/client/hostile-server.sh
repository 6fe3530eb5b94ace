# SPDX-License-Identifier: BSD-2-Clause
# A server that answers nonsense may mislead the client, but not break it: every command ends by
# itself, with status 0 or 1.  NDM_SEED chooses another nonsense.

. "$top_srcdir/tests/client/functions.sh"
set +e

find_python socket
export NDM_CONTROL=$tmp/control LC_ALL=C ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
first=${NDM_SEED:-1}
for seed in $(seq "$first" $((first + 3))); do
	rm -f "$tmp/control"
	"$python" "$here/fake-ndmd.py" "$tmp/control" "$seed" 2>/dev/null &
	server=$!
	until [ -S "$tmp/control" ]; do sleep 0.01; done
	for round in 1 2 3; do
		while read -r line; do
			# shellcheck disable=SC2086
			timeout 20 "$ndm" $line > "$tmp/out" 2> "$tmp/err" < /dev/null
			status=$?
			[ $status -le 1 ] && ! grep -q "runtime error\|AddressSanitizer" "$tmp/err" ||
				fail "NDM_SEED=$seed: ndm $line: status $status: $(head -20 "$tmp/err")"
		done <<-COMMANDS
		dmsetup create a$round --concise a$round,,,,0_8_zero
		dmsetup create b$round --notable
		dmsetup ls
		dmsetup ls --tree
		dmsetup info
		dmsetup info -c -o all
		dmsetup info -c -o name,devs_used,names_using_dev,blkdevs_used,read_ahead
		dmsetup table
		dmsetup status -j --explain
		dmsetup deps -o devname
		dmsetup targets
		dmsetup target-version linear
		dmsetup message b$round 0 @stats_list
		dmsetup stats create b$round
		dmsetup stats list
		dmsetup stats report --histogram
		dmsetup rename b$round c$round
		tree
		tree --dot
		export
		export b$round --qemu
		explain b$round
		describe
		plan /dev/null
		COMMANDS
	done
	kill "$server"
	wait "$server" 2>/dev/null
	server=
done
exit 0
