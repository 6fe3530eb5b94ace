#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""random-commands.py SEED N: N command lines for same-as-dmsetup.py: reports with random fields, keys, selections and
options, half of them wrong in some way; names, tables and concise descriptions of devices with characters that matter."""
import random
import sys

FIELDS = """name mangled_name uuid read_ahead attr tables_loaded suspended readonly devno major minor open segments events
device_count devs_used devnos_used device_ref_count names_using_dev devnos_using_dev subsystem vg_name lv_name lv_layer
selected blkdevname""".split()
VALUES = ["a", "b", "0", "1", "2", "253", "'a b'", '"L--w"', "LVM-x", "Active", "^a", "[ab]", "(a|b)", "a.*", "Live", "5m",
          "1.5", "10%", "''", "w$", "a\\b", "", "x y"]
OPTIONS = ["--noheadings", "--nameprefixes", "--unquoted", "--rows", "--separator '|'", "--separator ''", "--inactive",
           "--manglename none", "--manglename hex"]
DEVICES = """dmsetup create a --table $'0 8 zero\\n8 8 error'
dmsetup create 'b c' -u LVM-x --table '0 8 linear @D0 0'
dmsetup create vg-l--v-cow -u LVM-yz -r --table '0 8 linear /dev/mapper/a 0'
dmsetup create n --notable
dmsetup create x -u CRYPT-q --table '0 4 linear /dev/mapper/a 0'
dmsetup suspend x
dmsetup load a --table '0 16 zero'"""


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


class Random(random.Random):
    def name(self):
        name, r = self.choice(FIELDS), self.random()
        return name.replace("_", "") if r < .1 else name.upper() if r < .15 else name + "x" if r < .18 else name

    def comparison(self):
        return (self.name() + self.choice(["", " "]) + self.choice("= != =~ !~ > >= < <= == ~ since".split())
                + self.choice(["", " "]) + self.choice(VALUES))

    def selection(self, depth=0):
        r = self.random()
        if depth > 2 or r < .5:
            return self.comparison()
        inner = self.selection(depth + 1)
        if r < .73:
            return "!(%s)" % inner if r < .6 else "(%s)" % inner if r < .7 else "(" + inner
        return inner + self.choice([" && ", " || ", ",", "#", "&&", "||", " "]) + self.selection(depth + 1)

    def report(self):
        line = "dmsetup info -c -o " + quoted(self.choice(["", "", "+"]) + ",".join(self.name() for _ in range(self.randint(1, 5))))
        if self.random() < .5:
            line += " -O " + quoted(",".join(self.choice(["", "-", "+"]) + self.name() for _ in range(self.randint(1, 3))))
        if self.random() < .7:
            line += " -S " + quoted(self.selection())
        return line + "".join(" " + o for o in OPTIONS if self.random() < .08)

    def text(self, alphabet, most):
        return "".join(self.choice(alphabet) for _ in range(self.randint(0, most)))

    def device(self):
        name = self.text(["a", "b", " ", "\\", "\\x20", "\\x5c", "x", "-", ",", ";", "\u00e9"], 4)
        kind = self.random()
        if kind < .3:
            return "dmsetup create %s --table %s" % (quoted(name), quoted(self.text(
                ["0", "8", " ", "\t", "zero", "#", "\n", "0 8 zero", " 8 8 error", "-", "+1"], 6)))
        if kind < .6:
            return "dmsetup create --concise %s" % quoted(self.text(
                ["a", "b", ",", ";", "\\", " ", ",,,,0 8 zero", ",rw", "ro", ",0 8 error", "u"], 8))
        mode = self.choice(["", "--manglename hex ", "--manglename none "])
        return "dmsetup %s%s %s" % (mode, self.choice(["info", "rename a", "rename n --setuuid", "remove", "table", "mangle"]),
                                    quoted(name))


def main():
    r = Random(int(sys.argv[1]))
    print("# seed", sys.argv[1])
    print(DEVICES)
    for _ in range(int(sys.argv[2])):
        line = r.report() if r.random() < .6 else r.device()
        print(line.replace("\n", "'$'\\n''"))


main()
