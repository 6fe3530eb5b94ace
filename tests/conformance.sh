#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What passed stays passed: runs the cases of tests/conformance that tests/conformance-passed.txt
# lists, and fails when one of them does not pass any more.  A transcript that passes in part is
# listed with the number of commands answered as the kernel answers them; fewer is a failure.
# preload:NAME is the same with Debian's own dmsetup, led to ndmd by contrib/preload.
# (tests/conformance-update makes the list, and tests/CONFORMANCE.md.)
#
#	FAMILY=simple conformance.sh	only this family
#	JOBS=2				checks side by side
TEST_LIMIT_S=${TEST_LIMIT_S:-2400}
. "$(dirname "$0")/interop/functions.sh"
requires_ndmd
requires python3 -c 'import nbd, yaml'

list=$top_srcdir/tests/conformance-passed.txt
preload=$top_builddir/contrib/preload/.libs/libndm-preload.so
cases=() preloaded=()
while read -r id _; do
	case $id in '' | '#'*) continue ;; esac
	name=${id#preload:}
	[ -z "${FAMILY:-}" ] || [ "${name%%/*}" = "$FAMILY" ] || continue
	if [ "$name" = "$id" ]; then cases+=(--case "$id"); else preloaded+=(--case "$name"); fi
done < "$list"
[ ${#cases[@]} -gt 0 ] || fail "$list lists nothing${FAMILY:+ of family $FAMILY}"

run() {	# RESULT ARGUMENT...
	local result=$1
	shift
	"$top_srcdir/tests/conformance/run" --build "$top_builddir" -j "${JOBS:-2}" --json "$result" "$@" > run.out 2>&1 || true
	[ -s "$result" ] || { tail -n 20 run.out; fail "the runner did not finish"; }
}
run result.json "${cases[@]}"
if [ ${#preloaded[@]} -gt 0 ]; then
	requires_program dmsetup
	run preloaded.json --family transcripts --client "env LD_PRELOAD=$preload dmsetup" "${preloaded[@]}"
fi

/usr/bin/python3 - "$list" "${FAMILY:-}" <<'END'
import json, os, sys
listed = {}
for line in open(sys.argv[1]):
    words = line.split()
    if words and words[0][0] != "#" and sys.argv[2] in ("", words[0].split("/")[0].split(":")[-1]):
        listed[words[0]] = int(words[1]) if len(words) > 1 else None
got = {r["id"]: r for r in json.load(open("result.json"))["results"]}
if os.path.exists("preloaded.json"):
    got.update({"preload:" + r["id"]: r for r in json.load(open("preloaded.json"))["results"]})
passed, skipped, failed = 0, 0, []
for name, least in listed.items():
    r = got.get(name)
    if r is None:
        failed.append("%s: there is no such case" % name)
    elif r["result"] == "passed":
        passed += 1
    elif r["result"] == "skipped":
        skipped += 1
        print("skipped %s: %s" % (name, r["differences"][0]))
    elif least is None:
        failed.append("%s passed before: %s" % (name, r["differences"][0]))
    elif r.get("same", 0) < least:
        failed.append("%s: %d commands as the kernel's, %d before: %s"
                      % (name, r.get("same", 0), least, r["differences"][0]))
    else:
        passed += 1
for f in failed:
    print("FAILED  " + f)
print("conformance: %d passed, %d failed, %d skipped" % (passed, len(failed), skipped))
sys.exit(bool(failed))
END
