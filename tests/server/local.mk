# SPDX-License-Identifier: BSD-2-Clause
# ndmd from outside: the protocol, TLS, the process.
server_tests = \
	tests/server/protocol.sh

TESTS += $(server_tests)
EXTRA_DIST += $(server_tests) tests/server/nbdraw.py tests/server/protocol.py
