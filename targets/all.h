/* SPDX-License-Identifier: BSD-2-Clause */
/* all.h - the list of targets: one word here, one line in local.mk, one file. */
#ifndef NDM_TARGETS_ALL_H
#define NDM_TARGETS_ALL_H

#define NDM_TARGETS(X) \
	X(linear) \
	X(striped) \
	X(zero) \
	X(error) \
	X(delay) \
	X(flakey) \
	X(powerfail) \
	X(dust) \
	X(ebs) \
	X(unstriped) \
	X(switch) \
	X(multipath) \
	X(crypt) \
	X(luks) \
	X(verity) \
	X(integrity) \
	X(log_writes) \
	X(mirror) \
	X(raid) \
	X(snapshot) \
	X(snapshot_origin) \
	X(snapshot_merge) \
	X(writecache) \
	X(era) \
	X(clone) \
	X(cache) \
	X(thin_pool) \
	X(thin) \
	X(vdo) \
	X(zoned)

#endif
