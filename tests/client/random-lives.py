#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""random-lives.py SEED N: N command lines for same-as-dmsetup.py: devices that are made, loaded, suspended, renamed, counted
and removed, by name, number and uuid, with options that belong there and some that do not."""
import random
import sys

NAMES = ["a", "b", "c d", "vg-lv", "nosuch", "x" * 127, "x" * 128, "e/f", "/dev/mapper/a", "\u00e9", ""]
TABLES = ["0 8 zero", "0 16 error", "0 2048 linear @D0 0", "0 64 linear @D1 8\\n64 64 error", "0 8 linear /dev/mapper/a 0",
          "0 128 striped 2 16 @D0 0 @D1 0", "8 8 zero", "0 8 nosuch", "0 zero", "", "0 8 linear @D0 99999999", "0 0 zero",
          "0 8 linear 253:0 0", "# nothing", "0 16 delay @D0 0 0", "0 2048 snapshot-origin @D0", "0 8 flakey @D0 0 1 0"]
ANYWHERE = ["-v", "-r", "--inactive", "--noflush", "--nolockfs", "--noudevsync", "--noudevrules", "--verifyudev",
            "--noopencount", "--checks", "--force", "--deferred", "--readahead auto", "--readahead none", "--readahead 64",
            "--readahead +100", "-y", "--target zero", "--showkeys", "--manglename none", "--manglename hex", "-u U1", "-u nosuch",
            "-j 253 -m 0", "-j 253 -m 3", "-m 2", "-S 'name=a'", "-S 'open=0'", "-S 'name=~x'", "--notable", "--addnodeonresume",
            "--addnodeoncreate", "-c", "-C", "--noheadings", "-o name", "-o devname", "--tree", "--exec echo", "--concise",
            "--setuuid", "--uid 0", "--gid 0", "--mode 600", "--select 'uuid=U1'", "--columns", "--separator :"]
COMMANDS = ["create", "load", "reload", "suspend", "resume", "clear", "remove", "info", "status", "table", "deps", "ls", "rename",
            "message", "wipe_table", "mknodes", "mangle", "measure", "setgeometry", "targets", "target-version", "remove_all"]
STATS = ["create", "list", "report", "print", "clear", "delete", "group", "ungroup"]
STATS_OPTIONS = ["--regionid %d", "--groupid %d", "--allregions", "--alldevices", "--allprograms", "--areas %d", "--areasize 16s",
                 "--areasize 1k", "--start 8s", "--start %dk", "--length 16s", "--length %d", "--segments", "--bounds 1,5", "--bounds 10us,2ms",
                 "--precise", "--programid p", "--programid ''", "--regions 0,1", "--regions 0-%d", "--regions all", "--alias me",
                 "--userdata note", "--clear", "--units s", "--units k", "--units H", "--histogram", "--relative", "--area",
                 "--region", "--group", "--nogroup", "--noheadings", "--nosuffix", "--notimesuffix", "-v", "--nameprefixes",
                 "--rows", "-o region_id,area_id,region_start,area_len", "-o +program_id,user_data", "-O -region_id,area_id",
                 "-S 'region_id=0'", "--raw", "-o hist_bounds,hist_ranges,precise", "--unbuffered", "--separator '|'"]


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


class Random(random.Random):
    def name(self):
        return quoted(self.choice(NAMES[:4] if self.random() < .85 else NAMES))

    def options(self, most, choices):
        some = {self.choice(choices): 1 for _ in range(self.choice([0, 0, 1, 1, most]))}    # -v -v would log
        return "".join(" " + (o % self.randint(0, 3) if "%d" in o else o) for o in some)

    def table(self):
        text = self.choice(TABLES[:6] if self.random() < .7 else TABLES)
        return "--table $'%s'" % text if self.random() < .9 else "< <(printf '%%b' '%s')" % text

    def words(self, command):
        if command in ("create", "load", "reload"):
            return self.name() + " " + (self.table() if self.random() < .9 else "--notable")
        if command == "rename":
            return self.name() + " " + (self.name() if self.random() < .7 else "--setuuid U%d" % self.randint(1, 3))
        if command == "message":
            return self.name() + " " + self.choice(["0 x", "0 @stats_list", "0 @cancel_deferred_remove", "99999 x", "y x", "0 @z", "0"])
        if command == "setgeometry":
            return self.name() + " " + " ".join(str(self.choice([0, 1, 9, 300, 70000])) for _ in range(4))
        if command == "target-version":
            return self.choice(["zero", "linear error", "nosuch", "mirror"])
        if command in ("targets", "ls", "remove_all"):
            return ""
        return " ".join(self.name() for _ in range(self.choice([0, 1, 1, 1, 2, 3])))

    def line(self):
        if self.random() < .35:
            return "dmstats %s%s %s" % (self.choice(STATS), self.options(3, STATS_OPTIONS), self.name() if self.random() < .9 else "")
        command = self.choice(COMMANDS[:-1] if self.random() < .97 else COMMANDS)
        return "dmsetup %s %s%s" % (command, self.words(command), self.options(3, ANYWHERE) if self.random() < .6 else "")


def main():
    r = Random(int(sys.argv[1]))
    print("# seed", sys.argv[1])
    print("dmsetup create a --table '0 2048 linear @D0 0'\ndmsetup create b -u U1 --table $'0 64 zero\\n64 64 error'")
    for _ in range(int(sys.argv[2])):
        print(r.line())


main()
