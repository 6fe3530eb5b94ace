# SPDX-License-Identifier: BSD-2-Clause
# One line for each target's file; its name also goes into targets/all.h.
# libndm_core_la_SOURCES += targets/all.h targets/linear.c
EXTRA_DIST += targets/all.h
