# SPDX-License-Identifier: BSD-2-Clause
# The stories that a user would tell, as tests.  Each runs as an ordinary user.
shell_tests += tests/accept/01-powerfail-sqlite.sh
shell_tests += tests/accept/02-replay.sh
shell_tests += tests/accept/04-multipath.sh
shell_tests += tests/accept/06-verity-tls.sh
shell_tests += tests/accept/07-move.sh
shell_tests += tests/accept/07-move-killed.sh
shell_tests += tests/accept/08-plugin.sh
shell_tests += tests/accept/05-vm-cached-encrypted.sh
shell_tests += tests/accept/03-evidence.sh
EXTRA_DIST += tests/accept/evidence.py tests/golden/lvm
EXTRA_DIST += tests/accept/functions.sh tests/accept/bank.py tests/accept/journal.py
EXTRA_DIST += tests/accept/kill-at.py
