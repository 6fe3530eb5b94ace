#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# seeds.sh NAME FOLDER: first inputs of a fuzzer, made of what the other tests feed.
set -eu
tests=$(cd "$(dirname "$0")/.." && pwd)
name=$1 folder=$2
cd "$folder"
case $name in
table)
	# real tables of the conformance cases, and those that must be refused
	grep -hoE 'table: "[^"]*"' "$tests"/conformance/*/*.yaml | sed 's/^table: "//; s/"$//' | sort -u | head -n 400 |
		split -l 1 -a 4 - seed-good-
	grep -v '^#' "$tests/interop/wrong-tables.txt" | split -l 1 -a 4 - seed-bad-
	;;
yaml)
	awk '/^===$/ { n++; next } n { print > sprintf("seed-bad-%03d", n) }' "$tests/interop/wrong-yaml.txt"
	n=0
	for f in "$tests"/../contrib/examples/*.yaml; do
		[ -f "$f" ] || continue
		cp "$f" "seed-example-$n"
		n=$((n + 1))
	done
	;;
*)
	[ ! -d "$tests/fuzz/corpus/$name" ] || cp "$tests/fuzz/corpus/$name"/* .
	;;
esac
