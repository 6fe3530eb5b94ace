#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# README's first session is real: its commands are run as they stand there, and answer so.
. "$(dirname "$0")/interop/functions.sh"
requires_ndmd
requires_plugin
requires_program qemu-io nbdcopy nbdinfo xxd

mkdir bin
ln -s "$NDMD" bin/ndmd
ln -s "$NDMSETUP" bin/ndmsetup
cat > bin/nbdkit <<END
#!/bin/bash
args=()
for a; do [ "\$a" = ndm ] && a=$NBDKIT_NDM; args+=("\$a"); done
exec ${nbdkit_env[*]} $(command -v nbdkit) "\${args[@]}"
END
chmod +x bin/nbdkit

cat > session.py <<'END'
import os, re, subprocess, sys
folder, readme = sys.argv[1:]
text = open(readme).read().split("## A first session", 1)[1].split("\n## ", 1)[0]
steps = []                              # [command, expected lines]
for line in text.splitlines():
    if not line.startswith("    "):
        continue
    line = line[4:].replace("/tmp/", folder + "/")
    if line.startswith("$ "):
        steps.append([line[2:], []])
    elif line.startswith("> "):
        steps[-1][0] += "\n" + line[2:]
    else:
        steps[-1][1].append(line)
mark = "=== end of step ==="
script = "".join("%s\necho '%s'\n" % (c, mark) for c, _ in steps)
env = dict(os.environ, PATH=folder + "/bin:" + os.environ["PATH"])
r = subprocess.run(["bash", "-c", "exec 2>&1\n" + script], env=env, stdin=subprocess.DEVNULL,
                   stdout=subprocess.PIPE, text=True, timeout=120)
outputs = r.stdout.split(mark + "\n")
assert len(outputs) == len(steps) + 1, r.stdout
speed = re.compile(r"[0-9.]+ sec \([0-9.]+ [A-Z]*i?B/sec and [0-9.]+ ops/sec\)")
bad = 0
for (command, expected), got in zip(steps, outputs):
    # ndmd's own log goes to the same terminal
    lines = [l for l in got.splitlines() if not l.startswith("ndmd: ")]
    if [speed.sub("S", l) for l in lines] != [speed.sub("S", l) for l in expected]:
        bad += 1
        print("$ %s\nREADME says:\n  %s\nit is:\n  %s" % (command, "\n  ".join(expected), "\n  ".join(lines)))
print("%d commands, %d differ" % (len(steps), bad))
sys.exit(bad > 0 or len(steps) < 15)
END
/usr/bin/python3 session.py "$T" "$top_srcdir/README.md" || fail "README's session is not what happens"
