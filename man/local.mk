# SPDX-License-Identifier: BSD-2-Clause
# Manual pages.  Those of targets are written by contrib/mkman from the target's descriptor and
# man/targets/NAME.in; a new target adds its page here (tests/man.sh says so if it does not).

MAN_DATE = 2026-11

dist_man_MANS += man/nbdkit-ndm-plugin.1 man/ndm.yaml.5 man/ndmd.8

target_pages = \
	man/generated/ndm-integrity.7 \
	man/generated/ndm-verity.7 \
	man/generated/ndm-multipath.7 \
	man/generated/ndm-cache.7 \
	man/generated/ndm-clone.7 \
	man/generated/ndm-crypt.7 \
	man/generated/ndm-delay.7 \
	man/generated/ndm-dust.7 \
	man/generated/ndm-ebs.7 \
	man/generated/ndm-era.7 \
	man/generated/ndm-error.7 \
	man/generated/ndm-flakey.7 \
	man/generated/ndm-linear.7 \
	man/generated/ndm-log-writes.7 \
	man/generated/ndm-luks.7 \
	man/generated/ndm-mirror.7 \
	man/generated/ndm-powerfail.7 \
	man/generated/ndm-raid.7 \
	man/generated/ndm-snapshot-merge.7 \
	man/generated/ndm-snapshot-origin.7 \
	man/generated/ndm-snapshot.7 \
	man/generated/ndm-striped.7 \
	man/generated/ndm-switch.7 \
	man/generated/ndm-thin.7 \
	man/generated/ndm-thin-pool.7 \
	man/generated/ndm-unstriped.7 \
	man/generated/ndm-vdo.7 \
	man/generated/ndm-writecache.7 \
	man/generated/ndm-zero.7 \
	man/generated/ndm-zoned.7
noinst_PROGRAMS += contrib/mkman
contrib_mkman_LDADD = libndm-core.la
nodist_man_MANS += $(target_pages)
CLEANFILES += $(target_pages)

man/generated/ndm-%.7: man/targets/%.in contrib/mkman$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) man/generated && \
	contrib/mkman$(EXEEXT) $* $(MAN_DATE) $< > $@.new && mv -f $@.new $@

EXTRA_DIST += man/targets
