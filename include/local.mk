# SPDX-License-Identifier: BSD-2-Clause
include_HEADERS += include/ndm.h include/ndm-control.h include/ndm-target.h
include_HEADERS += include/ndm-verity.h include/ndm-integrity.h
noinst_HEADERS += include/ndm-exchange.h
include_HEADERS += include/ndm-vdo.h
