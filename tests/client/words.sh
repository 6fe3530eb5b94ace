# SPDX-License-Identifier: BSD-2-Clause
# ndm's own words, and what of ours shows in dmsetup's: reasons, --control, -j beside --major.

. "$top_srcdir/tests/client/functions.sh"

# says WANTED COMMAND...: standard output is that
says() {
	wanted=$1
	shift
	got=$("$@") || fail "$*: status $?"
	[ "$got" = "$wanted" ] || fail "$*: expected '$wanted', got '$got'"
}

# refuses WANTED COMMAND...: status 1, and standard error is that
refuses() {
	wanted=$1
	shift
	if got=$("$@" 2>&1 >/dev/null); then
		fail "$*: succeeded"
	fi
	[ "$got" = "$wanted" ] || fail "$*: expected '$wanted', got '$got'"
}

refuses "Cannot reach ndmd at $tmp/nothing: No such file or directory
Command failed." "$ndmsetup" --control "$tmp/nothing" ls
start_fake
unset NDM_CONTROL
says "No devices found" "$ndmsetup" --control="$tmp/control" ls
says "No devices found" "$ndm" --control "$tmp/control" dmsetup ls
export NDM_CONTROL=$tmp/control

refuses "device-mapper: reload ioctl on a (253:0) failed: Invalid argument
reason: bogus: unknown target type
Command failed." "$ndmsetup" create a --table '0 8 bogus'
refuses "device-mapper: create ioctl on .  failed: Invalid argument
reason: device name cannot be \"control\", \".\", or \"..\"
Command failed." "$ndmsetup" create . --notable

"$ndmsetup" create low --table '0 16 linear /x/d0 0'
"$ndmsetup" create 'to p' --table '0 16 linear /dev/mapper/low 0'
says "low:253:0" "$ndmsetup" info -c --noheadings --separator : -o name,devno -j 253 -m 0
refuses "Please specify both major number and minor number.
Couldn't process command line." "$ndmsetup" info -j 253
says "ndmd fake" "$ndm" version
says "device to\x20p" "$ndm" holders low
says "nbd+unix:///low?socket=/run/fake/nbd.sock" "$ndm" export low
says "nbd+unix:///to%5Cx20p?socket=/run/fake/nbd.sock" "$ndm" export 'to\x20p'
says "driver=nbd,server.type=unix,server.path=/run/fake/nbd.sock,export=low,reconnect-delay=30,open-timeout=10" \
	"$ndm" export low --qemu
"$ndm" export low --libvirt-xml | grep -q "<host transport='unix' socket='/run/fake/nbd.sock'/>"
refuses "There is no export 'nosuch'." "$ndm" export nosuch
says "to p  8.00k linear
\`- low  8.00k linear  nbd+unix:///low?socket=/run/fake/nbd.sock
   \`- /x/d0" "$ndm" tree
says 'flowchart TD
  d253_1["to p<br/>8.00k linear"]
  d253_0["low<br/>8.00k linear"]
  d240_0[("/x/d0")]
  d253_0 --> d240_0
  d253_1 --> d253_0' "$ndm" tree --mermaid
"$ndm" tree --dot | grep -q 'd253_1 -> d253_0;'
says "device: low" "$ndm" explain low
says '{"device": "low"}' "$ndm" explain -j low
refuses "ndm explain: No such device or address" "$ndm" explain nosuch
says "targets:
  - linear" "$ndm" describe linear
printf 'volumes:\n  one:\n' > "$tmp/v.yaml"
says "create one" "$ndm" plan "$tmp/v.yaml"
refuses "Couldn't open '$tmp/nosuch' for reading: No such file or directory" "$ndm" apply "$tmp/nosuch"
refuses "ndm: no word 'nosuch'; 'ndm help' lists them." "$ndm" nosuch
"$ndm" help | grep -q '^  plan '

# Names by which it may be called
ln -s "$ndm" "$tmp/devmap_name"
says "low" "$tmp/devmap_name" 253 0
says "low" "$tmp/devmap_name" 253:0
ln -s "$ndm" "$tmp/dmstats"
says "" "$tmp/dmstats" list low

# Statistics of ndm top are its own, and gone after it
"$ndm" top -n 1 -d 0.01 | grep -q '^low '
says "" "$ndmsetup" message low 0 @stats_list
