# SPDX-License-Identifier: BSD-2-Clause
"""gdb -x contrib/gdb/ndm.py: tasks are not threads, so gdb does not know them.

    ndm tasks           every living task of every loop: name, state, what it waits for, stack
    ndm tasks -l        the same without stacks
    ndm loops           loops: how much is ready, waiting, handed out

Loops are found through what is on any thread's stack: loops, workers, ndmd itself, contexts,
devices, the plugin's host; `ndm tasks (struct ndm_loop *)0x...` names one.  In a live process a task's stack is
unwound by gdb itself (registers are put back afterwards); in a core file, where registers cannot
be set, the return addresses found on the task's stack are listed.
"""
import gdb

STATES = ("ready", "running", "waiting", "hopping", "done")
# what ndm_fiber_switch() leaves on the stack, from the saved stack pointer upwards
X86_64_SAVED = ("r15", "r14", "r13", "r12", "rbx", "rbp", "rip")


def walk(pointer, link):
    while int(pointer):
        yield pointer
        pointer = pointer[link]


def loops_of(value):
    """The loops that a local variable leads to: by itself, a worker, ndmd, a context, a host."""
    t = value.type.strip_typedefs().unqualified()
    if t.code == gdb.TYPE_CODE_PTR:
        if not int(value):
            return
        if str(t.target().unqualified()) == "struct ndm_loop":
            yield value
            return
        t, value = t.target().strip_typedefs().unqualified(), value.dereference()
    name = str(t)
    if name == "struct ndmd":
        for i in range(int(value["nworkers"])):
            yield value["workers"][i]["loop"]
    elif name == "struct ndm_context":
        for i in range(int(value["nloops"])):
            yield value["loops"][i]
    elif name in ("struct worker", "struct host", "struct ndm_task", "struct ndm_device"):
        yield value["loop"]


def locals_of(frame):
    try:
        block = frame.block()
    except RuntimeError:
        return
    while block is not None and not block.is_global and not block.is_static:
        for symbol in block:
            if symbol.is_variable or symbol.is_argument:
                yield symbol
        block = block.superblock


def loops_on_stacks():
    found, selected = {}, gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frame = gdb.newest_frame()
        while frame is not None:
            for symbol in locals_of(frame):
                try:
                    for loop in loops_of(symbol.value(frame)):
                        if int(loop) and int(loop["world"]) and int(loop["ntasks"]) < 1 << 20:
                            found[int(loop)] = loop
                except (gdb.MemoryError, gdb.error, ValueError):
                    pass            # optimized out, or not filled in yet
            frame = frame.older()
    if selected is not None:
        selected.switch()
    return [found[k] for k in sorted(found)]


def given_or_found(text):
    if text:
        return [gdb.parse_and_eval(text)]
    loops = loops_on_stacks()
    if not loops:
        print("no loop to be found on any stack; name one: ndm tasks (struct ndm_loop *)ADDRESS")
    return loops


def place(address):
    symbol = gdb.execute("info symbol %#x" % address, to_string=True).strip()
    if symbol.startswith("No symbol"):
        return None
    where = gdb.find_pc_line(address)
    at = " (%s:%d)" % (where.symtab.filename, where.line) if where.symtab else ""
    return symbol.split(" in section")[0] + at


def live():
    return gdb.selected_inferior().pid and not gdb.execute("info inferiors", to_string=True).count("core")


def unwind(sp):
    names = X86_64_SAVED
    saved = {r: int(gdb.parse_and_eval("(unsigned long)$%s" % r)) for r in names + ("rsp",)}
    words = gdb.selected_inferior().read_memory(sp, 8 * len(names)).tobytes()
    try:
        for i, register in enumerate(names):
            gdb.execute("set $%s = %d" % (register, int.from_bytes(words[8 * i:8 * i + 8], "little")))
        gdb.execute("set $rsp = %d" % (sp + 8 * len(names)))
        return gdb.execute("bt", to_string=True)
    finally:
        for register, value in saved.items():
            gdb.execute("set $%s = %d" % (register, value))


def scan(sp, limit=64 << 10):
    out = []
    for at in range(sp, sp + limit, 8):
        try:
            word = int.from_bytes(gdb.selected_inferior().read_memory(at, 8).tobytes(), "little")
        except gdb.MemoryError:
            break
        if gdb.solib_name(word) or gdb.find_pc_line(word).symtab:
            text = place(word)
            if text and "+" in text.split(" (")[0]:
                out.append("  ~ " + text)
    return "\n".join(out[:40]) + "\n"


def stack_of(task):
    fiber = task["fiber"].dereference()
    if "self_sp" not in [f.name for f in fiber.type.fields()]:
        return "  (a build with ucontext: its saved registers are in fiber->self)\n"
    sp = int(fiber["self_sp"])
    if live() and gdb.selected_frame().architecture().name() == "i386:x86-64":
        return unwind(sp)
    return scan(sp)


class Ndm(gdb.Command):
    """ndm tasks|loops: what the loops of ndm hold."""

    def __init__(self):
        super().__init__("ndm", gdb.COMMAND_DATA, prefix=True)


class Tasks(gdb.Command):
    """ndm tasks [-l] [LOOP]: every living task, with its stack."""

    def __init__(self):
        super().__init__("ndm tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split()
        short = "-l" in words
        for loop in given_or_found(" ".join(w for w in words if w != "-l")):
            print("loop %#x: %d tasks" % (int(loop), int(loop["ntasks"])))
            for task in walk(loop["tasks"], "all_next"):
                state = STATES[int(task["state"])]
                on = " on waitq %#x" % int(task["waiting_on"]) if int(task["waiting_on"]) else ""
                print("task %#x %s: %s%s" % (int(task), task["name"].string(), state, on))
                if not short and state in ("waiting", "ready", "hopping"):
                    print(stack_of(task), end="")


class Loops(gdb.Command):
    """ndm loops: how much each loop has to do."""

    def __init__(self):
        super().__init__("ndm loops", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for loop in given_or_found(argument):
            current = loop["current"]
            print("loop %#x: %d tasks, %d ready, %d timers, %d bios handed out, current %s" % (
                int(loop), int(loop["ntasks"]), int(loop["nready"]), int(loop["ntimers"]), int(loop["nbios"]),
                current["name"].string() if int(current) else "none"))


Ndm()
Tasks()
Loops()
