/* SPDX-License-Identifier: BSD-2-Clause */
/* inside.h - what the files of lib/verity share. */
#ifndef NDM_VERITY_INSIDE_H
#define NDM_VERITY_INSIDE_H

struct ndm_verity_job;

int verity_fail(struct ndm_verity_job *, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
