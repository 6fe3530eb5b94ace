# SPDX-License-Identifier: BSD-2-Clause
# client/ndm is one program of many names; client/ndmsetup is a link to it.

client_ndm_SOURCES = \
	client/client.h client/ndm.c client/control.c client/explain.c client/export.h \
	client/export.c client/graph.c client/json.c client/list.c client/monitor.c \
	client/mangle.c client/plan.c client/report.h client/report.c client/report-help.c \
	client/report-output.c client/report-select.c client/table-text.c client/task.h \
	client/task.c client/task-run.c client/text.c client/top.c client/units.c \
	client/dmsetup/dmsetup.h client/dmsetup/commands.c client/dmsetup/common.c \
	client/dmsetup/create.c client/dmsetup/fields.c client/dmsetup/info.c \
	client/dmsetup/lifecycle.c client/dmsetup/main.c client/dmsetup/misc.c \
	client/dmsetup/options.c client/dmsetup/stats.h client/dmsetup/stats.c \
	client/dmsetup/stats-commands.c client/dmsetup/stats-fields.c \
	client/dmsetup/stats-group.c client/dmsetup/stats-histogram.c \
	client/dmsetup/stats-report.c client/dmsetup/status.c client/dmsetup/tree.c \
	client/dmsetup/tree-print.c client/dmsetup/udev.c client/dmsetup/usage.c
client_ndm_SOURCES += client/nbd.h client/nbd.c client/cryptsetup/cryptsetup.h client/cryptsetup/device.c \
	client/cryptsetup/disk.c client/cryptsetup/format.c client/cryptsetup/header.c \
	client/cryptsetup/kdf.c client/cryptsetup/keys.c client/cryptsetup/main.c \
	client/cryptsetup/open.c client/cryptsetup/options.c client/cryptsetup/reencrypt.c \
	client/cryptsetup/benchmark.c client/cryptsetup/reencrypt-begin.c client/cryptsetup/reencrypt1.c \
	client/cryptsetup/secret.c
client_ndm_SOURCES += client/replay/replay.h client/replay/explore.c client/replay/log.c \
	client/replay/main.c client/replay/serve.c client/replay/shrink.c client/replay/state.c
client_ndm_SOURCES += client/setup.h client/setup.c client/veritysetup.c client/integritysetup.c client/vdoformat.c
client_ndm_SOURCES += client/move.c client/multipath.c client/tls-init.c
client_ndm_SOURCES += client/bytes.h client/server.h client/server.c client/open/lvm.h client/open/lvm.c client/open/open.h \
	client/open/main.c client/open/layers.c client/open/vg.c client/open/thin-delta.c
client_ndm_CPPFLAGS = $(AM_CPPFLAGS)
client_ndm_LDADD = libndm-luks.la -lm
bin_PROGRAMS += client/ndm
ALL_LOCAL += client/ndmsetup client/ndm-replay
INSTALL_EXEC_HOOKS += client-install-links
UNINSTALL_HOOKS += client-uninstall-links

client/ndmsetup: client/ndm
	$(AM_V_GEN)rm -f $@ && $(LN_S) ndm $@
client/ndm-replay: client/ndm
	$(AM_V_GEN)rm -f $@ && $(LN_S) ndm $@
CLEANFILES += client/ndmsetup client/ndm-replay

client-install-links:
	cd $(DESTDIR)$(bindir) && rm -f ndmsetup ndm-replay && $(LN_S) ndm ndmsetup && $(LN_S) ndm ndm-replay
	$(MKDIR_P) $(DESTDIR)$(bashcompletiondir)
	cd $(DESTDIR)$(bashcompletiondir) && rm -f ndm.bash && $(LN_S) ndmsetup.bash ndm.bash
client-uninstall-links:
	rm -f $(DESTDIR)$(bindir)/ndmsetup $(DESTDIR)$(bindir)/ndm-replay $(DESTDIR)$(bashcompletiondir)/ndm.bash
.PHONY: client-install-links client-uninstall-links

schemadir = $(pkgdatadir)/schema
dist_schema_DATA = \
	client/schema/deps.json client/schema/exports.json client/schema/info.json \
	client/schema/info-columns.json client/schema/ls.json client/schema/monitor.json \
	client/schema/plan.json client/schema/stats.json client/schema/status.json \
	client/schema/table.json client/schema/targets.json client/schema/top.json \
	client/schema/tree.json client/schema/version.json \
	client/schema/server-status.json

TESTS += tests/client/completion.sh tests/client/hostile-server.sh tests/client/json.sh \
	tests/client/preload-tools.sh tests/client/same-as-dmsetup.sh tests/client/words.sh
EXTRA_DIST += contrib/preload/README.md
EXTRA_DIST += tests/client/completion.sh tests/client/hostile-server.sh \
	tests/client/json.sh tests/client/preload-tools.sh \
	tests/client/same-as-dmsetup.sh tests/client/words.sh tests/client/functions.sh \
	tests/client/fake-ndmd.py tests/client/check-json.py tests/client/random-commands.py \
	tests/client/same-as-dmsetup.py tests/client/commands-devices.txt \
	tests/client/commands-server.txt tests/client/commands-stats.txt \
	tests/client/commands-words.txt tests/client/commands-manual.txt tests/client/commands-fields.txt
EXTRA_DIST += tests/client/commands-options.txt tests/client/random-lives.py

dist_man_MANS += man/ndmsetup.8 man/ndm.1

# bash-completion loads a file by the command's name: ndm's is a link to ndmsetup's.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = contrib/completion/ndmsetup.bash contrib/completion/ndmd.bash
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = contrib/completion/_ndmsetup contrib/completion/_ndmd
