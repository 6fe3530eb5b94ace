# SPDX-License-Identifier: BSD-2-Clause
# ndmd from outside: the protocol, TLS, the process, its clients in numbers, its end.
server_tests = \
	tests/server/alerts.sh \
	tests/server/allow.sh \
	tests/server/crowd.sh \
	tests/server/drain.sh \
	tests/server/handover.sh \
	tests/server/live.sh \
	tests/server/metas.sh \
	tests/server/metrics.sh \
	tests/server/no-copy.sh \
	tests/server/page.sh \
	tests/server/process.sh \
	tests/server/protocol.sh \
	tests/server/keys-hidden.sh \
	tests/server/soak.sh \
	tests/server/state.sh \
	tests/server/takeover.sh tests/server/takeover-memory.sh \
	tests/server/tls.sh

TESTS += $(server_tests)
EXTRA_DIST += $(server_tests) tests/server/nbdraw.py tests/server/no-copy.py tests/server/protocol.py tests/server/soak.py
shell_tests += tests/server/kept.sh
