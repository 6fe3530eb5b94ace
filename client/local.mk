# SPDX-License-Identifier: BSD-2-Clause
# client/ndm is one program of many names; client/ndmsetup is a link to it.

# client_ndm_SOURCES = client/ndm.c
# client_ndm_LDADD =
# bin_PROGRAMS += client/ndm
# ALL_LOCAL += client/ndmsetup
# INSTALL_EXEC_HOOKS += client-install-links
# UNINSTALL_HOOKS += client-uninstall-links

client/ndmsetup: client/ndm
	$(AM_V_GEN)rm -f $@ && $(LN_S) ndm $@
CLEANFILES += client/ndmsetup

client-install-links:
	cd $(DESTDIR)$(bindir) && rm -f ndmsetup && $(LN_S) ndm ndmsetup
client-uninstall-links:
	rm -f $(DESTDIR)$(bindir)/ndmsetup
.PHONY: client-install-links client-uninstall-links
