#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What passed stays passed: runs the cases of tests/conformance that tests/conformance-passed.txt
# lists, and fails when one of them does not pass any more.  A transcript that passes in part is
# listed with the number of commands answered as the kernel answers them; fewer is a failure.
# (tests/conformance-update makes the list, and tests/CONFORMANCE.md.)
#
#	FAMILY=simple conformance.sh	only this family
#	JOBS=2				checks side by side
TEST_LIMIT_S=${TEST_LIMIT_S:-2400}
. "$(dirname "$0")/interop/functions.sh"
requires_ndmd
requires python3 -c 'import nbd, yaml'

list=$top_srcdir/tests/conformance-passed.txt
cases=()
while read -r id least; do
	case $id in '' | '#'*) continue ;; esac
	[ -z "${FAMILY:-}" ] || [ "${id%%/*}" = "$FAMILY" ] || continue
	cases+=(--case "$id")
done < "$list"
[ ${#cases[@]} -gt 0 ] || fail "$list lists nothing${FAMILY:+ of family $FAMILY}"

# ndmd as the checks start it is their own; ours is not needed
"$top_srcdir/tests/conformance/run" --build "$top_builddir" -j "${JOBS:-2}" --json result.json \
	"${cases[@]}" > run.out 2>&1 || true
[ -s result.json ] || { tail -n 20 run.out; fail "the runner did not finish"; }

/usr/bin/python3 - "$list" "${FAMILY:-}" run.out <<'END'
import json, sys
listed = {}
for line in open(sys.argv[1]):
    words = line.split()
    if words and words[0][0] != "#" and sys.argv[2] in ("", words[0].split("/")[0]):
        listed[words[0]] = int(words[1]) if len(words) > 1 else None
got = {r["id"]: r for r in json.load(open("result.json"))["results"]}
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
