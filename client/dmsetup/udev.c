/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udev.c - commands about udev's cookies.  There is no udev here and so nothing to wait for:
 * they check what they are given, and succeed.  udevflags is arithmetic and is done whole.
 */
#include "dmsetup.h"

#include <inttypes.h>
#include <stdlib.h>

#define FLAGS_SHIFT 16

bool run_udev_flags(struct dmsetup *ds, const struct call *call)
{
	static const char *const names[] = {
		"DISABLE_DM_RULES", "DISABLE_SUBSYSTEM_RULES", "DISABLE_DISK_RULES",
		"DISABLE_OTHER_RULES", "LOW_PRIORITY", "DISABLE_LIBRARY_FALLBACK",
		"PRIMARY_SOURCE",
	};
	const int nr_names = sizeof(names) / sizeof(names[0]);
	uint32_t cookie;
	int i;

	(void)ds;
	if (!cookie_value(call->argv[0], &cookie))
		return false;
	for (i = 0; i < 16; i++) {
		if (!(cookie >> FLAGS_SHIFT & 1u << i))
			continue;
		if (i < nr_names)
			printf("DM_UDEV_%s_FLAG='1'\n", names[i]);
		else if (i < 8)
			printf("DM_UDEV_FLAG%d='1'\n", i);
		else
			printf("DM_SUBSYSTEM_UDEV_FLAG%d='1'\n", i - 8);
	}
	return true;
}

bool run_udev_complete(struct dmsetup *ds, const struct call *call)
{
	uint32_t cookie;

	(void)ds;
	if (!cookie_value(call->argv[0], &cookie))
		return false;
	printf("DM_COOKIE_COMPLETED=0x%-10" PRIx32 "\n", cookie);
	return true;
}

bool run_cookie_create(struct dmsetup *ds, const struct call *call)
{
	(void)ds;
	(void)call;
	return true;		/* as dmsetup without udev: there is no cookie to be printed */
}

bool run_cookie_release(struct dmsetup *ds, const struct call *call)
{
	const char *env = getenv("DM_UDEV_COOKIE");
	uint32_t cookie;

	if (call->argc)
		return cookie_value(call->argv[0], &cookie);
	if (given(ds, OPT_UDEVCOOKIE) || (env && *env))
		return true;
	say("No udev transaction cookie given.");
	return false;
}

bool run_udev_complete_all(struct dmsetup *ds, const struct call *call)
{
	unsigned age;

	(void)ds;
	if (call->argc && sscanf(call->argv[0], "%u", &age) != 1) {
		say("Failed to read age_in_minutes parameter.");
		return false;
	}
	printf("0 semaphores with keys prefixed by 3405 (0xd4d) destroyed. 0 skipped.\n");
	return true;
}

bool run_cookies(struct dmsetup *ds, const struct call *call)
{
	(void)ds;
	(void)call;
	printf("Cookie       Semid      Value      Last semop time           Last change time\n");
	return true;
}
