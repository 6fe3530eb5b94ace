#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every script of the simulator, as many seeds as it asks for; then what could go unnoticed:
# planted bugs that lose data must be missed when the oracle is taken away (else something
# else caught them, and the oracle is not tested at all), and a lying disk must be seen.
set -eu
run=${top_builddir:-.}/tests/sim/run
fails() {
	if "$@" >/dev/null; then
		echo "should have failed: $*"
		exit 1
	fi
}

# a fork of a sanitized process is a hundred times dearer
some=
[ -z "${NDM_SANITIZERS:-}" ] || some="--one-in 25"
"$run" --all $some
for what in no-fua no-flush early-ack old-read
do
	fails "$run" planted-$what --blind
done
fails "$run" linear --lying
"$run" linear --torn --runs 2
"$run" control control-race --loops 3 --runs 50
"$run" linear striped --fail-alloc all --runs 1
# a snapshot, a merge, a mirror and powerfail wait for memory, and nothing else comes of it
"$run" snapshot snapshot-merge log-writes mirror mirror-core mirror-keep-log mirror-replace powerfail \
	--fail-alloc all --no-cuts --runs 1
"$run" raid1 raid5 raid1-fails --fail-alloc all --no-cuts --runs 1
vdo=$("$run" --list | grep -ow "^vdo" || :)		# not without liblz4
# shellcheck disable=SC2086
"$run" writecache era clone cache $vdo --fail-alloc all --no-cuts --runs 1
"$run" linear striped stack faulty --one-in 10 --loops 3 --runs 2
# the same seed is the same story, or no failure could be looked at again
for script in stack control-race
do
	one=$("$run" $script --seed 7 --runs 2 --loops 3 --no-cuts --trace | cksum)
	two=$("$run" $script --seed 7 --runs 2 --loops 3 --no-cuts --trace | cksum)
	[ "$one" = "$two" ] || { echo "$script: two runs of one seed differ"; exit 1; }
done
