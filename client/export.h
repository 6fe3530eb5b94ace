/* SPDX-License-Identifier: BSD-2-Clause */
/* export.h - what ndmd serves, and where: NDM_CTL_EXPORTS and NDM_CTL_LISTENERS taken apart. */
#ifndef NDM_CLIENT_EXPORT_H
#define NDM_CLIENT_EXPORT_H

#include "client.h"

struct export {
	char *text;			/* that the others point into */
	const char *name, *device, *description;
	uint64_t bytes, connections;
	bool read_only;
};

struct exports {
	struct export *list;
	size_t n;
	char **listeners;		/* URIs without an export's name */
	size_t nr_listeners;
};

int exports_read(struct client *client, struct exports *exports);
void exports_free(struct exports *exports);
const struct export *exports_find(const struct exports *exports, const char *name);
char *export_uri(const char *listener, const char *name);

#endif
