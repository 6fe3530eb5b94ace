# SPDX-License-Identifier: BSD-2-Clause
# What comes along for people: not built, but for the systemd units, which need our paths.

systemd_units = contrib/systemd/ndmd.service contrib/systemd/ndmd.socket \
	contrib/systemd/ndmd@.service contrib/systemd/ndmd@.socket
systemdsystemunit_DATA = $(systemd_units)
sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = contrib/systemd/sysusers.d/ndm.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
tmpfiles_DATA = contrib/systemd/tmpfiles.d/ndm.conf
systemd_made = $(systemd_units) $(tmpfiles_DATA)
CLEANFILES += $(systemd_made)
EXTRA_DIST += $(systemd_made:=.in)

$(systemd_made): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	sed -e 's,@sbindir[@],$(sbindir),g; s,@sysconfdir[@],$(sysconfdir),g' $(srcdir)/$@.in > $@.new && \
	mv -f $@.new $@

EXTRA_DIST += contrib/ceph-one-node contrib/debian-packages-ceph.txt contrib/debian-packages-page.txt
EXTRA_DIST += contrib/debian-packages-tools.txt
EXTRA_DIST += REUSE.toml .ci/run contrib/bench contrib/count-tests contrib/debian-packages.txt \
	contrib/ci contrib/container contrib/debian contrib/demo contrib/gdb contrib/hooks contrib/make-deb contrib/install-packages contrib/kernel-vm \
	contrib/sync-judges contrib/test-all

examplesdir = $(docdir)/examples
dist_examples_DATA = contrib/examples/anchors.yaml contrib/examples/dmsetup-lines.yaml \
	contrib/examples/fast-and-safe.yaml contrib/examples/faults.yaml contrib/examples/one-file.yaml contrib/examples/remote.yaml \
	contrib/examples/stack.yaml contrib/examples/striped-and-linear.yaml contrib/examples/tls.yaml contrib/examples/vm.yaml

prometheusdir = $(pkgdatadir)/prometheus
dist_prometheus_DATA = contrib/prometheus/ndm-alerts.yaml contrib/prometheus/ndm-alerts-test.yaml
grafanadir = $(pkgdatadir)/grafana
dist_grafana_DATA = contrib/grafana/ndm.json
