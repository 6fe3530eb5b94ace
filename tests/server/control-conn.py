# SPDX-License-Identifier: BSD-2-Clause
"""Connections to the management socket: waits, many clients, pipelines, half-closed and rude ones."""

import os
import resource
import select
import socket
import struct
import threading

from control import *

path = os.environ["NDM_CONTROL"]


def check(got, expected):
    assert got == expected, "%r instead of %r" % (got, expected)


def readable(client, seconds=30):
    return bool(select.select([client.sock], [], [], seconds)[0])


def alive():
    other = Control()
    check(other.dm(VERSION).error, 0)
    other.close()


def test_waits_answer_later():
    c, waiter = Control(), Control()
    c.create("a", (0, 8, "zero", ""))
    waiter.send(DEV_WAIT, header(name="a", room=200))
    assert not readable(waiter, 0.3)
    alive()
    c.ok(DEV_RENAME, name="a", payload=b"b\0")
    a = waiter.receive()
    check((a.error, a.event_nr, a.target_count), (0, 1, 1))
    # an old number answers at once, with the status
    a = waiter.ok(DEV_WAIT, name="b", event_nr=0, room=200)
    check((a.event_nr, a.target_count), (1, 1))
    # removal ends a wait, and that is no error
    waiter.send(DEV_WAIT, header(name="b", event_nr=1, room=200))
    assert not readable(waiter, 0.3)
    c.ok(DEV_REMOVE, name="b")
    check(waiter.receive().error, 0)


def test_a_client_that_goes_ends_its_wait():
    c = Control()
    c.create("a", (0, 8, "zero", ""))
    for half in (True, False):
        for _ in range(20):
            waiter = Control()
            waiter.send(DEV_WAIT, header(name="a"))
            if half:                            # it still listens: EINTR
                waiter.sock.shutdown(socket.SHUT_WR)
                refused(waiter.receive(), "EINTR")
            waiter.close()
    c.ok(DEV_REMOVE, name="a")


def test_many_waiters():
    c = Control()
    c.create("a", (0, 8, "zero", ""), uuid="U")
    waiters = [Control() for _ in range(100)]
    for w in waiters:                           # by uuid: some may come to it after the rename
        w.send(DEV_WAIT, header(uuid="U"))
    c.ok(DEV_RENAME, name="a", payload=b"b\0")
    for w in waiters:
        check(w.receive().error, 0)
        w.close()
    c.ok(DEV_REMOVE, name="b")


def test_poll():
    c, poller = Control(), Control()
    assert not readable(poller, 0)
    poller.ok(DEV_ARM_POLL)
    assert not readable(poller, 0.2)
    c.create("a")
    a = poller.receive()
    check((a.error, a.body), (EVENT, b""))
    c.ok(DEV_REMOVE, name="a")
    assert not readable(poller, 0.2)            # once for each time it was armed
    poller.ok(DEV_ARM_POLL)


def test_pipelines():
    c = Control()
    frames = b"".join(struct.pack("=II", DEV_STATUS, HEADER_BYTES) + header(name="none") for _ in range(1000))
    frames += struct.pack("=II", VERSION, HEADER_BYTES) + header()
    sender = threading.Thread(target=c.sock.sendall, args=(frames,))
    sender.start()
    for _ in range(1000):
        refused(c.receive(), "ENXIO")
    check(c.receive().version, (4, 48, 0))
    sender.join()
    # byte for byte
    for byte in struct.pack("=II", VERSION, HEADER_BYTES) + header():
        c.sock.sendall(bytes([byte]))
    check(c.receive().error, 0)
    # what was asked before the end is answered after it
    c.send(OWN_VERSION)
    c.send(VERSION, header())
    c.sock.shutdown(socket.SHUT_WR)
    check(c.receive().body[:5], b"ndmd ")
    check(c.receive().error, 0)
    check(c.sock.recv(1), b"")


def test_rude_clients():
    for junk in (b"", b"\0", b"\xff" * 7, b"GET / HTTP/1.1\r\n\r\n", struct.pack("=II", 3, 312) + b"short",
                 struct.pack("=II", 0xffffffff, 0xffffffff), os.urandom(4096)):
        rude = Control()
        rude.sock.sendall(junk)
        rude.close()
        alive()
    c = Control()
    c.send(VERSION, length=(64 << 20) + 1)
    refused(c.receive(), "EMSGSIZE")
    check(c.sock.recv(1), b"")
    # much is asked and nothing read: ndmd holds one answer, and others go on
    rude = Control()
    rude.sock.settimeout(0.5)
    frame = struct.pack("=II", LIST_VERSIONS, 1 << 20) + header(room=(1 << 20) - HEADER_BYTES)
    try:
        for _ in range(200):
            rude.sock.sendall(frame)
    except TimeoutError:
        pass
    alive()
    rude.close()


def test_long_requests():
    c = Control()
    c.create("a")
    lines = [(i * 8, 8, "linear", "mem:1M %d" % i) for i in range(3)]
    many = [(i, 1, "zero", "") for i in range(100000)]
    check(c.load("a", *lines).error, 0)
    check(c.load("a", *many).error, 0)
    a = c.ok(DEV_SUSPEND, name="a")
    check(a.target_count, 100000)
    a = c.ok(TABLE_STATUS, name="a", flags=STATUS_TABLE, room=100000 * 48 + 8)
    check((a.flags & BUFFER_FULL, a.target_count), (0, 100000))
    c.ok(DEV_REMOVE, name="a")


def test_reasons_belong_to_connections():
    c, other = Control(), Control()
    refused(c.dm(DEV_CREATE, name="a/b"), "EINVAL")
    check(other.own(REASON), (0, ""))
    check(c.own(REASON), (0, "a device name cannot contain '/'"))
    check(c.own(REASON), (0, "a device name cannot contain '/'"))
    c.ok(VERSION)
    check(c.own(REASON), (0, ""))


def test_many_clients_at_once():
    failures = []

    def work(k):
        try:
            c = Control()
            for i in range(30):
                name = "d%d-%d" % (k, i)
                c.create(name, (0, 8, "zero", ""), uuid="U" + name)
                check(c.ok(DEV_STATUS, uuid="U" + name).name, name)
                c.ok(LIST_DEVICES, room=65536)
                c.ok(DEV_REMOVE, name=name)
            c.close()
        except Exception as e:
            failures.append("%d: %r" % (k, e))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(failures, [])


def test_a_thousand_clients_at_once():
    """All connected at the same time, all with a command under way, all answered, none mixed up."""
    clients = [Control() for _ in range(1000)]
    for c in clients:
        c.send(OWN_VERSION)
    for c in clients:
        check(c.receive().body[:5], b"ndmd ")
    for i, c in enumerate(clients):             # sent by all before anybody reads
        c.send(DEV_CREATE, header(name="c%d" % i, uuid="U%d" % i))
    for i, c in enumerate(clients):
        a = c.receive()
        check((a.error, a.name, a.uuid), (0, "c%d" % i, "U%d" % i))
    one = Control()                             # and another one is served
    listed, at, following = one.ok(LIST_DEVICES, room=1 << 20).payload, 0, 1
    names = set()
    while following:
        following = struct.unpack_from("=QI", listed, at)[1]
        names.add(listed[at + 12:].split(b"\0", 1)[0].decode())
        at += following
    check(names, {"c%d" % i for i in range(1000)})
    waiters = clients[:500]                     # half of them wait, and do not hold up the others
    for i, c in enumerate(waiters):
        c.send(DEV_WAIT, header(name="c%d" % i))
    for i, c in enumerate(clients[500:], 500):
        c.send(DEV_REMOVE, header(name="c%d" % i))
    for c in clients[500:]:
        check(c.receive().error, 0)
    for c in clients[:250]:                     # some who wait go away
        c.close()
    for i in range(500):
        one.ok(DEV_REMOVE, name="c%d" % i)
    for c in clients[250:500]:
        check(c.receive().error, 0)
    for c in clients[250:]:
        c.close()
    one.close()


# ndmd takes its own limit as far as it may
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard > 0 else 4096, hard))

for name, fn in list(globals().items()):
    if name.startswith("test_"):
        try:
            fn()
        except Exception:
            print(name, "failed:")
            raise
        alive()
print("all connections served")
