/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - the kernel's dm-stats: @stats_* messages.
 */
#include "core.h"

int stats_message(struct ndm_device *dev, unsigned argc, char **argv, struct ndm_str *reply)
{
	(void)dev;
	(void)argc;
	(void)argv;
	(void)reply;
	return -EINVAL;
}

void stats_free(struct ndm_device *dev)
{
	(void)dev;
}
