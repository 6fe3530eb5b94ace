# SPDX-License-Identifier: BSD-2-Clause
"""What an implementation wrote, as a case set for the real kernel (verify-in-kernel)."""
import lzma
import os
import re


def emit_case(folder, unit, paths, got):
    from .record import write_case
    case, check = unit.case, unit.check
    tables = " ".join(d["table"] for d in got["devices"])
    if check.get("emit") is False or re.search(r" (dust|flakey|switch) | snapshot @\S+ @\S+ N ", tables):
        return                                     # opened again it is another device: its state was never on disk
    name = "%s--%s" % (case["name"], check["id"])
    out = os.path.join(folder, unit.family)
    os.makedirs(out, exist_ok=True)
    disks = {}
    for n, spec in case.get("disks", {}).items():
        if n not in paths:
            continue
        d = {k: spec[k] for k in ("role", "logical_block_size", "readonly") if k in spec}
        d["bytes"] = os.path.getsize(paths[n])
        if d["bytes"] > 256 << 20:
            d["zero"] = True                       # such disks hold nothing but zeroes
        else:
            d["image"] = "%s.%s.img.xz" % (name, n)
            with open(paths[n], "rb") as f, open(os.path.join(out, d["image"]), "wb") as g:
                g.write(lzma.compress(f.read(), preset=1))
        disks[n] = d
    seen = {d["name"]: d for d in got["devices"]}
    opened = [d for d in check.get("open") or [] if d["name"] in seen]
    tables = {d["name"]: d["table"] for d in opened if "table" in d}
    for a in check.get("then") or []:              # devices made or changed on the way
        if a[0] in ("create", "reload") and a[1] in seen:
            if a[1] not in tables:
                opened.append({"name": a[1], "table": a[2]})
            else:
                opened = [dict(d, table=a[2]) if d["name"] == a[1] else d for d in opened]
            tables[a[1]] = a[2]
    again = check.get("reopen") or opened
    expect = {"devices": [{k: d[k] for k in ("name", "bytes", "sha256", "parts", "read_error", "failed", "not_read")
                           if k in d} for d in got["devices"] if d["name"] in [x["name"] for x in again]]}
    c = {"id": "read-back", "open": again, "expect": expect}
    waits = [a for a in check.get("then") or [] if a[0] in ("wait_raid", "wait_mirror", "wait_merge")]
    if waits:
        c["then"] = waits[-1:]
    for k in ("read_block", "no_read", "heavy", "missing"):
        if k in check:
            c[k] = check[k]
    tools = [t for t in check.get("tools") or [] if "_check" in t]
    doc = {"name": name, "family": unit.family, "title": "what was written by " + unit.id, "disks": disks, "checks": [c]}
    if tools:
        c["tools"] = tools
        expect["tools"] = [{"run": t, "exit": 0} for t in tools]
    write_case(os.path.join(out, name + ".yaml"), doc)
