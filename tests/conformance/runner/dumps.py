# SPDX-License-Identifier: BSD-2-Clause
"""Metadata dumps (thin_dump, cache_dump, era_dump) in a form in which two right implementations agree.

thin:  data blocks are renumbered in the order of their first use: which block holds what is free, what is shared is not.
cache: mappings in the order of the origin, without the number of the cache block; no hints.
era:   as printed."""
import xml.etree.ElementTree as ET


def thin(root):
    out, names = [], {}
    out.append("superblock " + " ".join("%s=%s" % (k, v) for k, v in sorted(root.attrib.items()) if k != "uuid"))
    for dev in sorted(root.findall("device"), key=lambda d: int(d.get("dev_id"))):
        out.append("device " + " ".join("%s=%s" % (k, v) for k, v in sorted(dev.attrib.items())))
        maps = []
        for m in dev:
            if m.tag == "single_mapping":
                maps.append((int(m.get("origin_block")), int(m.get("data_block")), 1, m.get("time")))
            elif m.tag == "range_mapping":
                maps.append((int(m.get("origin_begin")), int(m.get("data_begin")), int(m.get("length")), m.get("time")))
        run = None
        for origin, data, n, time in sorted(maps):
            for i in range(n):
                d = names.setdefault(data + i, len(names))
                if run and run[0] + run[2] == origin + i and run[1] + run[2] == d and run[3] == time:
                    run[2] += 1
                else:
                    if run:
                        out.append("  map %d -> #%d +%d time %s" % tuple(run))
                    run = [origin + i, d, 1, time]
        if run:
            out.append("  map %d -> #%d +%d time %s" % tuple(run))
    return out


def cache(root):
    out = ["superblock " + " ".join("%s=%s" % (k, v) for k, v in sorted(root.attrib.items())
                                    if k not in ("uuid", "hint_width"))]
    for m in sorted(root.iter("mapping"), key=lambda m: int(m.get("origin_block"))):
        out.append("cached origin_block=%s dirty=%s" % (m.get("origin_block"), m.get("dirty")))
    return out


def era(root):
    return ET.tostring(root, encoding="unicode").split("\n")


def canonical(command, text):
    """Lines; ValueError where the text is no dump."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as e:
        raise ValueError(str(e))
    kind = command.split()[0]
    return [x.strip() for x in {"thin_dump": thin, "cache_dump": cache, "era_dump": era}[kind](root) if x.strip()]
