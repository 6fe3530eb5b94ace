# SPDX-License-Identifier: BSD-2-Clause
"""Writing what the real kernel showed into the cases (run --driver kernel --record)."""
import lzma
import os


def expectation(unit, got):
    check, want = unit.check, {}
    if "refused" in got:
        want["refused"] = dict(got["refused"], kernel_log=got.get("why") or [])
        return want
    if got.get("replies"):
        want["replies"] = got["replies"]
    old = {d["name"]: d for d in (check.get("expect") or {}).get("devices") or []}
    volatile = check.get("volatile") or {}
    want["devices"] = []
    for d in got["devices"]:
        d = dict(d)
        v = volatile.get(d["name"]) or (old.get(d["name"]) or {}).get("volatile")
        if v:
            d["volatile"] = v
        keep = (old.get(d["name"]) or {})
        if check.get("no_status"):
            d.pop("status", None)
            d.pop("status_after_read", None)
        if d.get("not_read") and keep.get("sha256"):
            d.pop("not_read")
            d["sha256"] = keep["sha256"]
        want["devices"].append(d)
    if got.get("disks"):
        want["disks"] = got["disks"]
    if got.get("tools"):
        want["tools"] = []
        for i, t in enumerate(got["tools"]):
            t = dict(t)
            if "lines" in t:
                t["lines_file"] = "%s--%s.%d.dump.xz" % (unit.name, check["id"], i)
                with lzma.open(os.path.join(unit.folder, t["lines_file"]), "wt") as f:
                    f.write("\n".join(t.pop("lines")) + "\n")
            want["tools"].append(t)
    return want


def write_case(path, case):
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True
    with open(path, "w") as f:
        yaml.dump(case, f, Dumper=Plain, sort_keys=False, width=1000, default_flow_style=None, allow_unicode=True)


def add_parts(want, got):
    """Where contents are the same, keep the crc32 of their parts, too."""
    changed = False
    have = {d["name"]: d for d in got.get("devices") or []}
    for d in want.get("devices") or []:
        b = have.get(d["name"])
        if b and "parts" not in d and d.get("sha256") and d["sha256"] == b.get("sha256"):
            d["parts"], changed = b["parts"], True
    for n, d in list((want.get("disks") or {}).items()):
        b = (got.get("disks") or {}).get(n)
        if isinstance(d, str) and b and b["sha256"] == d:
            want["disks"][n], changed = b, True
    return changed


def write_back(unit, got, again=False):
    check = unit.check
    if again or "expect" not in check:
        want = expectation(unit, got)
        check.pop("expect", None)
        check["expect"] = want
    elif not add_parts(check["expect"], got):
        return
    write_case(unit.path, unit.case)
