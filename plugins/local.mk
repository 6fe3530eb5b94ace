# SPDX-License-Identifier: BSD-2-Clause
# The nbdkit plugin: plugins/.libs/nbdkit-ndm-plugin.so in the build tree.

nbdkitplugindir = $(nbdkit_plugindir)
nbdkitplugin_LTLIBRARIES =

plugins_nbdkit_ndm_plugin_la_SOURCES = plugins/ndm.c plugins/host.c plugins/host.h
plugins_nbdkit_ndm_plugin_la_CPPFLAGS = $(AM_CPPFLAGS) $(NBDKIT_CFLAGS)
plugins_nbdkit_ndm_plugin_la_CFLAGS = $(AM_CFLAGS) $(FRAME_CFLAGS)
plugins_nbdkit_ndm_plugin_la_LIBADD = libndm-core.la
plugins_nbdkit_ndm_plugin_la_LDFLAGS = -Wl,-z,nodelete $(AM_LDFLAGS) -module -avoid-version -shared \
	-export-symbols-regex '^plugin_init$$'
nbdkitplugin_LTLIBRARIES += plugins/nbdkit-ndm-plugin.la
