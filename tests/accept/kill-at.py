#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kills a client of ndmd between two of its commands.

kill-at.py CONTROL N COMMAND...

COMMAND runs with NDM_CONTROL at a socket of ours, which passes its commands on to CONTROL.  When
the Nth has been carried out, and before COMMAND hears of it, COMMAND is killed: exit status 9.
When it has ended by itself before: its own.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading


def read(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            return None
        data += more
    return data


def frame(s):
    head = read(s, 8)
    if head is None:
        return None
    return head + (read(s, struct.unpack("=II", head)[1]) or b"")


def main():
    control, n, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    killed = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(folder + "/control")
        listener.listen()
        child = subprocess.Popen(command, env=dict(os.environ, NDM_CONTROL=folder + "/control"))

        def serve():
            done = 0
            while True:
                client, _ = listener.accept()
                with client, socket.socket(socket.AF_UNIX) as server:
                    server.connect(control)
                    while request := frame(client):
                        server.sendall(request)
                        answer = frame(server)
                        done += 1
                        if done == n:
                            killed.set()
                            child.send_signal(signal.SIGKILL)
                            return
                        if answer is None:
                            break
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        status = child.wait()
    sys.exit(9 if killed.is_set() else status)


main()
