# SPDX-License-Identifier: BSD-2-Clause
"""Expected and got: the differences, the first one first."""
import re


def words(line, volatile):
    """A status line as words (split at blanks and slashes), volatile ones left out."""
    return ["*" if i in volatile else w for i, w in enumerate(re.split(r"[ /]", line))]


def same_lines(want, got, volatile=()):
    if want == got:
        return True
    w, g = want.split("\n"), got.split("\n")
    return bool(volatile) and len(w) == len(g) and all(words(a, volatile) == words(b, volatile) for a, b in zip(w, g))


def first_part(want, got):
    """Where contents begin to differ, from the crc32 of their parts."""
    try:
        (n, a), (m, b) = want.split(":"), got.split(":")
    except (AttributeError, ValueError):
        return ""
    if n != m:
        return ""
    bad = [i for i in range(0, max(len(a), len(b)), 8) if a[i:i + 8] != b[i:i + 8]]
    if not bad:
        return ""
    return "; first in sectors %d..%d (%d of %d parts of %s bytes differ)" % (
        bad[0] // 8 * int(n) // 512, (bad[0] // 8 + 1) * int(n) // 512 - 1, len(bad), len(a) // 8, n)


def bound(bind, name, token):
    """Does this token (a path's name, a number) stand for the disk?  Foreign numbers are bound at first sight."""
    if token == "@" + name:
        return True
    if token.startswith("@") or token.startswith("/"):
        return False
    return bind.setdefault(token, name) == name


def match_names(want, got, bind):
    """Equal, where the implementation may print another number for a disk than @NAME (always the same)."""
    if want == got:
        return True
    if "@" not in want:
        return False
    pattern, names, pos = "", [], 0
    for m in re.finditer(r"@(\w[\w-]*)", want):
        pattern += re.escape(want[pos:m.start()]) + r"(@[\w-]+|\d+:\d+)"
        names.append(m.group(1))
        pos = m.end()
    m = re.fullmatch(pattern + re.escape(want[pos:]), got)
    return bool(m) and all(bound(bind, n, t) for n, t in zip(names, m.groups()))


def compare(want, got, emulated):
    """want, got: as in "expect".  emulated: no real kernel (errnos as NBD has them)."""
    from .common import over_nbd
    diffs, bind = [], {}

    def differ(what, a, b, extra=""):
        diffs.append("%s: expected %s, got %s%s" % (what, show(a), show(b), extra))

    if "refused" in want or "refused" in got:
        a, b = want.get("refused"), got.get("refused")
        if not a:
            differ("device " + b["device"], "that it is accepted", "refused: " + got.get("refusal", "").split("\n")[0])
        elif not b:
            differ("device " + a["device"], "that it is refused with %s" % a.get("errno", "an error"), "accepted")
        else:
            for k in ("device", "errno", "ioctl"):
                if k in a and a.get(k) != b.get(k):
                    differ("refusal of %s, %s" % (a["device"], k), a.get(k), b.get(k) or got.get("refusal", "").split("\n")[0])
        return diffs
    for i, (a, b) in enumerate(zip(want.get("replies") or [], got.get("replies") or [])):
        if emulated:
            a = re.sub(r"\bE[A-Z]+\b", lambda m: over_nbd(m.group(0)), a)
        if a != b:
            differ("reply %d" % (i + 1), a, b)
    if len(want.get("replies") or []) != len(got.get("replies") or []):
        differ("replies", want.get("replies"), got.get("replies"))
    have = {d["name"]: d for d in got.get("devices") or []}
    for a in want.get("devices") or []:
        b = have.get(a["name"])
        if b is None:
            differ("device " + a["name"], "that it is there", "no such device")
            continue
        for k in ("bytes", "table", "table_showkeys", "status", "read_error", "failed", "sha256", "status_after_read"):
            x, y = a.get(k), b.get(k)
            if k not in a and k not in ("read_error", "failed") or (k in ("read_error", "failed") and not x and not y):
                continue
            if (a.get("not_read") or b.get("not_read")) and k in ("read_error", "failed", "sha256"):
                continue
            if k.startswith("status") and x is not None and y is not None:
                ok = match_names(x, y, bind) or same_lines(x, y, a.get("volatile") or ())
            elif k.startswith("table") and x is not None and y is not None:
                ok = match_names(x, y, bind)
            elif k == "read_error" and emulated and x:
                ok = over_nbd(x) == y
            elif k == "failed" and x and y:
                ok = x["blocks"] == y["blocks"] and (over_nbd(x["errno"]) if emulated else x["errno"]) == y["errno"]
            else:
                ok = x == y
            if not ok:
                extra = ""
                if k == "sha256":
                    if not y:
                        y = "a read error: %s" % b.get("read_error")
                    extra = first_part(a.get("parts"), b.get("parts"))
                differ("%s of %s" % (k, a["name"]), x, y, extra)
    for n, a in (want.get("disks") or {}).items():
        b = (got.get("disks") or {}).get(n)
        if isinstance(a, dict):
            if b and a["sha256"] != b["sha256"]:
                differ("disk %s afterwards" % n, a["sha256"], b["sha256"], first_part(a.get("parts"), b.get("parts")))
        elif not b or a != b["sha256"]:
            differ("disk %s afterwards" % n, a, b and b["sha256"])
    for i, a in enumerate(want.get("tools") or []):
        b = (got.get("tools") or [])[i]
        if a["exit"] != b["exit"]:
            differ(a["run"], "exit status %d" % a["exit"], "exit status %d: %s" % (b["exit"], b.get("output", "")[-300:]))
        elif "lines" in a:
            x, y = a["lines"], b.get("lines") or ["(no dump)"]
            if x != y:
                j = next((j for j in range(min(len(x), len(y))) if x[j] != y[j]), min(len(x), len(y)))
                differ("%s, line %d" % (a["run"], j + 1), x[j] if j < len(x) else "(end)", y[j] if j < len(y) else "(end)")
    return diffs


def show(x):
    return repr(x) if isinstance(x, str) and (x != x.strip() or "\n" in x or not x) else str(x)
