# SPDX-License-Identifier: BSD-2-Clause
# The simulator (docs/simulator.md).  A script of a target is one line here.

check_PROGRAMS += tests/sim/run
tests_sim_run_SOURCES = tests/sim/sim.h tests/sim/priv.h \
	tests/sim/dev.c \
	tests/sim/dice.c \
	tests/sim/disk.c \
	tests/sim/fault.c \
	tests/sim/io.c \
	tests/sim/logwrites.c \
	tests/sim/oracle.c \
	tests/sim/run.c \
	tests/sim/trial.c \
	tests/sim/world.c
tests_sim_run_LDADD = tests/libndm-moments.la
tests_sim_run_CPPFLAGS = $(AM_CPPFLAGS) -DNDM_MOMENTS

# scripts
tests_sim_run_SOURCES += tests/sim/script-control.c tests/sim/control-model.c tests/sim/control-model.h
tests_sim_run_SOURCES += tests/sim/script-control-race.c
tests_sim_run_SOURCES += tests/sim/script-switch.c
tests_sim_run_SOURCES += tests/sim/script-ebs.c
tests_sim_run_SOURCES += tests/sim/script-integrity.c
tests_sim_run_SOURCES += tests/sim/script-dust.c
tests_sim_run_SOURCES += tests/sim/script-delay.c
tests_sim_run_SOURCES += tests/sim/script-linear.c
tests_sim_run_SOURCES += tests/sim/leg.c tests/sim/script-multipath.c
tests_sim_run_SOURCES += tests/sim/script-multipath-stall.c
tests_sim_run_SOURCES += tests/sim/script-striped.c
tests_sim_run_SOURCES += tests/sim/script-planted.c
tests_sim_run_SOURCES += tests/sim/script-stack.c
tests_sim_run_SOURCES += tests/sim/script-self.c
tests_sim_run_SOURCES += tests/sim/script-faulty.c
tests_sim_run_SOURCES += tests/sim/script-snapshot.c tests/sim/script-snapshot-merge.c
tests_sim_run_SOURCES += tests/sim/script-log-writes.c
tests_sim_run_SOURCES += tests/sim/script-mirror.c
tests_sim_run_SOURCES += tests/sim/script-raid.c
tests_sim_run_SOURCES += tests/sim/script-raid-reshape.c
tests_sim_run_SOURCES += tests/sim/script-powerfail.c
tests_sim_run_SOURCES += tests/sim/script-writecache.c
tests_sim_run_SOURCES += tests/sim/meta-reader.h tests/sim/meta-reader.c tests/sim/script-era.c
tests_sim_run_SOURCES += tests/sim/script-clone.c
tests_sim_run_SOURCES += tests/sim/script-cache.c
tests_sim_run_SOURCES += tests/sim/script-thin.c tests/thin-check.c tests/thin-check.h
tests_sim_run_SOURCES += tests/sim/script-vdo.c tests/vdo-image.c tests/vdo-image.h
