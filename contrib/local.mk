# SPDX-License-Identifier: BSD-2-Clause
# What comes along for people: not built, but for the systemd units, which need our paths.

systemd_units = contrib/systemd/ndmd.service contrib/systemd/ndmd.socket \
	contrib/systemd/ndmd@.service
systemdsystemunit_DATA = $(systemd_units)
CLEANFILES += $(systemd_units)
EXTRA_DIST += $(systemd_units:=.in)

$(systemd_units): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib/systemd && \
	sed -e 's,@sbindir[@],$(sbindir),g; s,@sysconfdir[@],$(sysconfdir),g' $(srcdir)/$@.in > $@.new && \
	mv -f $@.new $@

EXTRA_DIST += contrib/ceph-one-node contrib/debian-packages-ceph.txt
EXTRA_DIST += REUSE.toml .ci/run contrib/bench contrib/count-tests contrib/debian-packages.txt \
	contrib/debian contrib/demo contrib/gdb contrib/hooks contrib/make-deb contrib/install-packages contrib/kernel-vm \
	contrib/sync-judges contrib/test-all

examplesdir = $(docdir)/examples
dist_examples_DATA = contrib/examples/anchors.yaml contrib/examples/dmsetup-lines.yaml \
	contrib/examples/faults.yaml contrib/examples/one-file.yaml contrib/examples/remote.yaml \
	contrib/examples/stack.yaml contrib/examples/striped-and-linear.yaml contrib/examples/tls.yaml
