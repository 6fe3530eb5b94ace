/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - one line to the host. */
#include <stdio.h>

#include "core.h"

static void log_line(struct ndm_world *world, enum ndm_level level, const char *fmt, va_list ap)
{
	char line[1024];

	if (!world->log.fn)
		return;
	vsnprintf(line, sizeof line, fmt, ap);
	world->log.fn(world->log.arg, level, line);
}

void ndm_log(struct ndm_world *world, enum ndm_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(world, level, fmt, ap);
	va_end(ap);
}

void ndm_warn(struct ndm_target *ti, const char *fmt, ...)
{
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ndm_log(ti->loop->world, NDM_LOG_WARNING, "%s: %s: %s", ti->device->info.name,
		ti->type->name, text);
}
