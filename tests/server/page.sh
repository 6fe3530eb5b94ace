#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The page at / of the metrics listener, in a real browser against a live ndmd under load: stacks,
# states, paths, throughput and latencies are in its DOM.  /status.json is what its schema allows,
# also while devices come and go and clients hang up.
#
#	PAGE_PNG=FILE page.sh		keeps a screenshot
#
# Without Chromium (contrib/debian-packages-page.txt) all but the browser's part is done,
# and the test counts as skipped.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program curl python3
requires nbdsh --version
requires python3 -c 'import jsonschema'

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
start_ndmd --metrics "tcp:127.0.0.1:$port" \
	--create 'leg-a: 0 65536 linear mem:32M 0' \
	--create 'leg-b: 0 65536 linear mem:32M 0' \
	--create 'paths: 0 65536 multipath 0 0 1 1 round-robin 0 2 0 /dev/mapper/leg-a /dev/mapper/leg-b' \
	--create 'data: 0 65536 linear /dev/mapper/paths 0' \
	--create 'odd"<i>name: 0 2048 linear mem:1M 0'
"$NDMSETUP" create empty --notable
"$NDMSETUP" create asleep --table '0 2048 zero'
"$NDMSETUP" suspend asleep
"$NDMSETUP" message paths 0 "fail_path $("$NDMSETUP" info -c --noheadings -o major,minor --separator : leg-b)"

nbdsh -u "$(uri data)" -c '
import random
while True:
    at = random.randrange(8192) * 4096
    h.pwrite(bytes(4096), at)
    h.pread(4096 << random.randrange(4), random.randrange(8000) * 4096)
' &
load=$!
started+=("$load")

# ---- the document behind it

fits() { curl -fsS "$url/status.json" | python3 "$top_srcdir/tests/client/check-json.py" "$top_srcdir/client/schema/server-status.json"; }
fits || fail "/status.json is not what its schema allows"
curl -fsS "$url/status.json" > status.json
[ "$(jq -r '.devices[] | select(.name == "paths") | .paths | map(.name + " " + (.up | tostring)) | join(", ")' status.json)" = \
	"leg-a true, leg-b false" ] || fail "paths"
[ "$(jq -r '.devices | map(.name + " " + .state) | join(", ")' status.json)" = \
	'asleep suspended, data active, empty empty, leg-a active, leg-b active, odd"<i>name active, paths active' ] || fail "states"
[ "$(jq -r '.devices[] | select(.name == "data") | .deps[0].name' status.json)" = paths ] || fail "deps"
wrote() { [ "$(curl -fsS "$url/status.json" | jq '.devices[] | select(.name == "data") | .io.write.latency | add')" -gt 100 ]; }
wait_for "the load" wrote
curl -fsS "$url/" | cmp - "$top_srcdir/server/page.html" || fail "/ is not the page"
curl -fsSI "$url/" | grep -qi "^content-security-policy: default-src 'none'" || fail "no policy"
! curl -fsS "$url/other" > other 2>&1 || fail "there is something else"
! curl -fsS -X POST -d x "$url/status.json" > other 2>&1 || fail "it takes orders"

# ---- devices come and go, clients hang up

python3 - "$port" <<'PY' &
import socket, sys
for i in range(300):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"metrics" if i % 2 else b"status.json"))
    if i % 3 == 0:
        s.recv(10)
    s.close()
PY
hangs_up=$!
started+=("$hangs_up")
for i in $(seq 20); do
	"$NDMSETUP" create "short$i" --table '0 8 zero'
	fits || fail "/status.json with devices that come and go"
	"$NDMSETUP" remove "short$i"
done
wait_end $hangs_up || fail "clients that hang up"

# ---- the browser

chromium=
for c in chromium chromium-browser google-chrome; do
	command -v $c > /dev/null && { chromium=$c; break; }
done
if [ -n "$chromium" ]; then
	# no sandbox: CI has no user namespaces, and the page is our own
	browser=("$chromium" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run
		--user-data-dir="$T/profile" --window-size=1140,810)
	timeout 120 "${browser[@]}" --dump-dom about:blank > blank.html 2> chromium.err ||
		skip "the browser's part: $chromium does not start here: $(tail -n 1 chromium.err)"
	cat > look.py <<'PY'
import html.parser, sys
void = {"meta", "br", "img", "link", "input", "hr"}
class Dom(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.all = [], []
    def handle_starttag(self, tag, attrs):
        n = {"tag": tag, "a": dict(attrs), "text": "", "up": list(self.stack)}
        self.all.append(n)
        if tag not in void:
            self.stack.append(n)
    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()["tag"] != tag:
            pass
    def handle_data(self, data):
        for n in self.stack:
            n["text"] += data
dom = Dom()
dom.feed(open(sys.argv[1]).read())
def having(key, value=None, inside=None, tag=None):
    return [n for n in dom.all if (key in n["a"] if value is None else value in n["a"].get(key, "").split() or n["a"].get(key) == value)
            and (inside is None or inside in n["up"]) and (tag is None or n["tag"] == tag)]
def one(*a, **k):
    found = having(*a, **k)
    assert len(found) == 1, (a, k, len(found))
    return found[0]
body = [n for n in dom.all if n["tag"] == "body"][0]
assert int(body["a"].get("data-samples", 0)) >= 3, "it was drawn %s times" % body["a"].get("data-samples")
assert one("id", "trouble")["text"] == ""
states = {n["a"]["data-name"]: n["a"]["data-state"] for n in having("class", "device", tag="section")}
assert states == {"asleep": "suspended", "data": "active", "empty": "empty", "leg-a": "active", "leg-b": "active",
                  'odd"<i>name': "active", "paths": "active"}, states
assert not [n for n in dom.all if n["tag"] == "i"], "a name became markup"
stack = one("id", "stack")
nodes = {n["a"]["data-node"]: n["a"]["class"] for n in having("data-node", inside=stack)}
assert set(states) < set(nodes) and nodes["asleep"] == "suspended" and "leaf" in nodes.values(), nodes
edges = [n for n in dom.all if n["tag"] == "path" and stack in n["up"]]
assert sorted(n["a"].get("class", "") for n in edges) == ["", "", "", "", "down", "up"], edges
paths = one("data-name", "paths", tag="section")
assert one("data-path", "leg-a", inside=paths)["a"]["class"] == "path up"
assert one("data-path", "leg-b", inside=paths)["a"]["class"] == "path down"
data = one("data-name", "data", tag="section")
for op in "read", "write":
    rate = one("data-rate", op, inside=data)["text"]
    assert rate.endswith("/s") and rate != "0 B/s", rate
    assert len(one("class", "s-" + op, inside=data)["a"]["points"].split()) >= 3
    bars = having("class", "f-" + op, inside=data, tag="rect")
    assert bars and all(int(b["a"]["data-count"]) > 0 for b in bars)
asleep = one("data-name", "asleep", tag="section")
assert one("data-rate", "read", inside=asleep)["text"] == "0 B/s"
print("%d devices, %d edges" % (len(states), len(edges)))
PY
	# A page lives by virtual time here: on a loaded machine it may see too little of ours.
	seen() {
		timeout 120 "${browser[@]}" --virtual-time-budget=15000 --dump-dom "$url/" > dom.html 2> chromium.err &&
			python3 look.py dom.html > look.out 2>&1
	}
	for try in 1 2 3 4; do
		! seen || break
		[ $try -lt 4 ] || { cat look.out; fail "the page does not show what there is"; }
	done
	say "$(cat look.out)"
	if [ -n "${PAGE_PNG:-}" ]; then
		timeout 120 "${browser[@]}" --virtual-time-budget=60000 --screenshot="$PAGE_PNG" "$url/" 2> chromium.err
	fi
fi

# ---- it ends, whoever is asking

(while curl -fsS "$url/metrics" > /dev/null 2>&1; do :; done) &
started+=("$!")
kill "$load"
stop_ndmd
[ -n "$chromium" ] || skip "the browser's part: there is no chromium (apt-get install chromium)"
