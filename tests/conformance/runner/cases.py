# SPDX-License-Identifier: BSD-2-Clause
"""Finding and reading cases; making the backing files of one check."""
import fnmatch
import hashlib
import lzma
import os

from .common import Trouble
from .pattern import pattern

FAMILIES = """simple snapshot log-writes mirror raid multipath crypt luks verity integrity thin cache era writecache
clone errors transcripts""".split()


def load(path):
    import yaml
    with open(path) as f:
        return yaml.load(f, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Unit:
    """One thing that passes or fails: a check of a case, or a transcript."""

    def __init__(self, family, path, case=None, check=None):
        self.family, self.path, self.case, self.check = family, path, case, check
        self.folder = os.path.dirname(path)
        if check is None:
            self.name = os.path.basename(path)[:-2]
            self.id = "%s/%s" % (family, self.name)
        else:
            self.name = case["name"]
            self.id = "%s/%s/%s" % (family, case["name"], check["id"])

    def matches(self, globs):
        short = self.id.split("/", 1)[1]
        return not globs or any(fnmatch.fnmatch(x, g) for g in globs for x in (self.name, short, self.id))


def find(root, families, globs):
    """All units, in order; families: None for all."""
    units = []
    present = [d for d in sorted(os.listdir(root)) if os.path.isdir(os.path.join(root, d))
               and d not in ("runner", "record") and not d.startswith((".", "_"))]
    for family in sorted(present, key=lambda f: (FAMILIES.index(f) if f in FAMILIES else 99, f)):
        if families and family not in families:
            continue
        folder = os.path.join(root, family)
        for f in sorted(os.listdir(folder)):
            path = os.path.join(folder, f)
            if f.endswith(".t"):
                units.append(Unit(family, path))
            elif f.endswith(".yaml"):
                case = load(path)
                for check in case.get("checks") or []:
                    units.append(Unit(family, path, case, check))
    return [u for u in units if u.matches(globs)]


def write_sparse(f, data):
    for o in range(0, len(data), 65536):
        b = data[o:o + 65536]
        if b.count(0) == len(b):
            f.seek(len(b), 1)
        else:
            f.write(b)


def make_disk(folder, spec, path):
    """The backing file of one disk, fresh."""
    size = spec["bytes"]
    with open(path, "wb") as out:
        if "image" in spec:
            source = os.path.join(folder, spec["image"])
            h = hashlib.sha256()
            with (lzma.open(source) if source.endswith(".xz") else open(source, "rb")) as f:
                while True:
                    b = f.read(1 << 20)
                    if not b:
                        break
                    h.update(b)
                    write_sparse(out, b)
            if "sha256" in spec and h.hexdigest() != spec["sha256"]:
                raise Trouble("image %s is not the one the case was made for" % spec["image"])
        elif "pattern" in spec:
            for s in range(0, size // 512, 2048):
                out.write(pattern(spec["pattern"], s, min(2048, size // 512 - s)))
        elif "fill" in spec:
            out.write(bytes([spec["fill"]]) * size)
        out.truncate(size)


def sha256_file(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for b in iter(lambda: f.read(1 << 20), b""):
            h.update(b)
    return h.hexdigest()
