# SPDX-License-Identifier: BSD-2-Clause
"""examples.py FOLDER [io]: reads (and writes) each export of the running ndmd."""

import os
import sys

import nbd

from control import *

folder, io = sys.argv[1], "io" in sys.argv[2:]
c = Control()
listeners = c.own(LISTENERS)[1].split()
exports = [line.split("\t") for line in c.own(EXPORTS)[1].splitlines()]
assert listeners and exports, (listeners, exports)


def connect(uri, export):
    h = nbd.NBD()
    h.set_tls(nbd.TLS_ALLOW)
    h.set_tls_certificates(folder + "/pki")
    h.set_tls_verify_peer(False)
    h.set_uri_allow_local_file(True)
    h.set_export_name(export)
    if "?socket=" in uri:
        h.connect_unix(uri.split("?socket=")[1])
    else:
        host, port = uri.split("//")[1].rstrip("/").rsplit(":", 1)
        h.connect_tcp(host.strip("[]"), port)
    return h


for uri in listeners:
    for name, device, size, mode, _, description in exports:
        h = connect(uri, name)
        assert h.get_size() == int(size), (name, h.get_size(), size)
        assert h.is_read_only() == (mode == "ro"), name
        assert (h.get_tls_negotiated() or False) == uri.startswith("nbds"), uri
        if io:
            where = (0, int(size) // 2 - 2048, int(size) - 4096)
            pattern = {at: os.urandom(4096) for at in where}
            for at in where:
                if mode == "rw":
                    h.pwrite(pattern[at], at)
            for at in where:
                got = h.pread(4096, at)
                assert mode == "ro" or got == pattern[at], (name, at)
        h.shutdown()
print("%d exports over %d listeners" % (len(exports), len(listeners)))
