#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 8: nbdkit's plugin in one line.  A faulty and a slow disk, a volume of a file, the list of
# targets; the plugin and ndmd give the same bytes for the same tables; what is offered is what
# every layer can do; several connections are one disk; SIGINT leaves nothing behind.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_plugin
requires_program qemu-img nbdcopy nbdinfo jq
[ -z "${NDM_SANITIZERS:-}" ] || skip "clients hang under a sanitizer that is preloaded: interop/plugin.sh has the plugin"
requires /usr/bin/python3 -c 'import nbd, yaml'
requires nbdsh --version
mkdir tmp
export TMPDIR=$T/tmp
# one NBDKIT-ARGUMENT...: the plugin in the foreground, one minute at most
one() { timeout 60 "${nbdkit_env[@]}" nbdkit -U - "$NBDKIT_NDM" "$@"; }

# ---- the lines of the story

truncate -s 64M disk.img
status=0
one table='0 131072 error' --run 'env -u LD_PRELOAD nbdsh -u "$uri" -c "h.pread(512,0)"' > error.out 2>&1 || status=$?
[ $status = 1 ] && grep -q 'Input/output error' error.out || fail "error ($status): $(cat error.out)"
before=$(date +%s%N)
one table='0 131072 delay disk.img 0 200' --run 'env -u LD_PRELOAD qemu-img bench -d 1 -c 5 -f raw "$uri"' > delay.out 2>&1 ||
	fail "delay: $(cat delay.out)"
ms=$((($(date +%s%N) - before) / 1000000))
[ $ms -ge 1000 ] || fail "5 reads, each 200 ms late, took $ms ms"
cat > vol.yaml <<END
version: 1
volumes:
  data: {linear: {length: 64M, device: $T/disk.img}}
  other: {zero: {length: 1M}}
END
one "yaml=vol.yaml" export=data --filter=stats statsfile=stats --run 'env -u LD_PRELOAD nbdcopy "$uri" null:' > yaml.out 2>&1 ||
	fail "yaml=: $(cat yaml.out)"
grep -q '^total: ' stats || fail "no statistics: $(cat stats)"

# ---- the list: whatever is registered, in order of name

nbdkit --dump-plugin "$NBDKIT_NDM" > dump
listed=$(sed -n 's/^ndm_targets=//p' dump | tr ' ' '\n')
[ "$listed" = "$(sort <<< "$listed")" ] || fail "the list is in no order"
start_ndmd
"$NDMSETUP" targets | awk '{ print $1 }' | sort > known
diff known - <<< "$listed" || fail "the plugin and ndmd know different targets"
for t in $(cat <<< "cache clone crypt delay dust ebs era error flakey integrity linear log-writes mirror multipath
	raid snapshot snapshot-merge snapshot-origin striped switch thin thin-pool unstriped verity writecache zero"); do
	grep -qx "$t" known || fail "no target $t"
done
grep -qx max_thread_model=parallel dump && grep -qx thread_model=parallel dump || fail "not parallel: $(grep thread dump)"

# ---- the same bytes, by the plugin and by ndmd, whichever of them wrote

key=$(printf '%064d' 7)
tables=(
	"0 8192 linear a.img 0"
	"0 8192 striped 2 16 a.img 0 b.img 0"
	"0 4096 linear b.img 8,4096 4096 zero"
	"0 8192 crypt aes-xts-plain64 $key 3 a.img 64 1 allow_discards"
	"0 8192 integrity b.img 0 4 J 0"
	"0 8192 snapshot a.img b.img P 8"
	"0 8192 raid raid1 3 0 region_size 1024 2 - a.img - b.img"
	"0 8192 ebs a.img 0 1 8"
)
cat > bytes.py <<'END'
import hashlib, nbd, random, sys
h = nbd.NBD()
h.connect_uri(sys.argv[2])
dice = random.Random(sys.argv[3])
size = h.get_size()
if sys.argv[1] == "write":
    for i in range(40):
        n = dice.choice([512, 1024, 4096, 12288])
        at = dice.randrange(size // 512 - n // 512) * 512
        if i % 9 == 4 and h.can_trim():
            h.trim(n, at)
        elif i % 9 == 7:
            h.zero(n, at, nbd.CMD_FLAG_FUA)
        else:
            h.pwrite(dice.randbytes(n), at, nbd.CMD_FLAG_FUA if i % 5 == 0 else 0)
    h.flush()
d = hashlib.sha256()
for at in range(0, size, 1 << 20):
    d.update(h.pread(min(1 << 20, size - at), at))
print(d.hexdigest())
h.shutdown()
END
by_plugin() { one "table=${2//,/$'\n'}" --run "/usr/bin/python3 '$T/bytes.py' $1 \"\$uri\" 5"; }
by_ndmd() {
	"$NDMSETUP" create same --table "${2//,/$'\n'}" >&2
	/usr/bin/python3 bytes.py "$1" "$(uri same)" 5
	"$NDMSETUP" remove --retry same >&2
}
for table in "${tables[@]}"; do
	t=${table//a.img/$T/a.img}
	t=${t//b.img/$T/b.img}
	sums=
	for writer in by_plugin by_ndmd; do
		rm -f a.img b.img
		truncate -s 8M a.img b.img
		case $table in *integrity*) ;; *) head -c 8M /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 > a.img 2>/dev/null ;; esac
		sums+=" $($writer write "$t")"
		sums+=" $(by_plugin read "$t") $(by_ndmd read "$t")"
	done
	[ "$(tr ' ' '\n' <<< "${sums# }" | sort -u | wc -l)" = 1 ] || fail "different bytes ($sums): $table"
done
say "the same bytes: ${#tables[@]} tables, written by either and read by both"
stop_ndmd

# ---- what every layer can, and nothing else (where extents cannot be had nbdkit itself says "data")

can() {	# TABLE WANTED: what nbdinfo --can says of these
	local got='' f
	one "table=$1" --run 'nbdinfo --json "$uri" | tee can.json > /dev/null' || fail "nbdinfo: $1"
	for f in can_trim can_cache can_multi_conn can_fua can_flush; do
		! jq -e ".exports[0].$f" can.json > /dev/null || got+=" $f"
	done
	[ "$got" = " $2" ] || fail "$1: offers$got, not $2"
}
all="can_trim can_cache can_multi_conn can_fua can_flush"
can "0 8192 linear $T/a.img 0" "$all"
can "0 8192 striped 2 16 $T/a.img 0 $T/b.img 0" "$all"
can "0 8192 crypt aes-xts-plain64 $key 3 $T/a.img 64" "can_multi_conn can_fua can_flush"
nbdkit -f -U below.sock memory 8M --filter=nozero --filter=nocache --filter=noextents > below.out 2>&1 &
started+=($!)
wait_for "nbdkit below" test -S below.sock
can "0 8192 linear nbd+unix:///?socket=$T/below.sock 0" "can_trim can_multi_conn can_fua can_flush"
can "0 4096 linear $T/a.img 0
4096 4096 linear nbd+unix:///?socket=$T/below.sock 4096" "can_trim can_multi_conn can_fua can_flush"


# ---- several connections: what one has flushed the others read

one table="0 131072 linear $T/disk.img 0" --run 'uri="$uri" /usr/bin/python3 -c "
import nbd, os
hs = [nbd.NBD() for i in range(4)]
for h in hs: h.connect_uri(os.environ[\"uri\"])
assert all(h.can_multi_conn() for h in hs)
for i, h in enumerate(hs):
    h.pwrite(bytes([i + 1]) * 4096, i * 4096)
    h.flush()
    for o in hs: assert o.pread(4096, i * 4096) == bytes([i + 1]) * 4096
for h in hs: h.shutdown()
"' || fail "several connections"

# ---- in the background a relative path still means what it did; SIGINT leaves nothing behind

truncate -s 8M fresh.img
nbdkit -U "$T/back.sock" -P "$T/back.pid" "$NBDKIT_NDM" 'table=0 8192 linear fresh.img 0' > back.out 2>&1 ||
	fail "in the background: $(cat back.out)"
wait_for "nbdkit in the background" test -s back.pid
cleanup_fn sh -c "kill -KILL $(cat back.pid) 2>/dev/null"
/usr/bin/python3 -c '
import nbd, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
h.pwrite(b"x" * 512, 0)
h.flush()' "$(uri '' "$T/back.sock")"
[ "$(head -c 1 fresh.img)" = x ] || fail "another fresh.img was written to"
kill -INT "$(cat back.pid)"
wait_for "nbdkit to end" ended "$(cat back.pid)"
for with in "linear $T/fresh.img 0" "snapshot $T/fresh.img mem:4M N 8" "crypt aes-xts-plain64 $key 0 $T/fresh.img 0"; do
	start_nbdkit "table=0 8192 $with"
	/usr/bin/python3 bytes.py write "$(uri '' "$ksock")" 1 > /dev/null
	kill -INT "$nbdkit_pid"
	wait_end "$nbdkit_pid" || fail "after SIGINT nbdkit ends with $?"
done
[ -z "$(ls -A tmp)" ] || fail "left in TMPDIR: $(ls -A tmp)"

# ---- for CI: files that can be read, and that run what they say

for file in action.yml gitlab.yml; do
	/usr/bin/python3 - "$top_srcdir/contrib/ci/$file" > ci.sh <<'END' || fail "contrib/ci/$file"
import sys, yaml
class Loader(yaml.SafeLoader):
    pass
doc = yaml.load(open(sys.argv[1]), Loader)
if "runs" in doc:
    assert doc["runs"]["using"] == "composite" and {"table", "run"} <= set(doc["inputs"])
    step = doc["runs"]["steps"][-1]
    assert set(step["env"]) == {"TABLE", "RUN", "ARGUMENTS"}
    print(step["run"].replace("exec ", "", 1))
else:
    job = doc[".ndm"]
    print("\n".join(job["script"]).replace("NDM_", ""))
END
	sed -i "s,nbdkit -U - ndm,nbdkit -U - '$NBDKIT_NDM'," ci.sh
	TABLE="0 131072 linear disk.img 0" RUN='nbdinfo --size "$uri"' ARGUMENTS="--filter=stats statsfile=$T/ci" \
		timeout 60 "${nbdkit_env[@]}" bash ci.sh > ci.out 2>&1 || fail "contrib/ci/$file: $(cat ci.out)"
	grep -qx 67108864 ci.out || fail "contrib/ci/$file: $(cat ci.out)"
done
