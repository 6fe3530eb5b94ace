/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open.h - `ndm open`: the layers of disk images, found and put together.
 *
 *	main.c		options, the ndmd that serves, the volumes that it is given
 *	layers.c	what a volume begins with: partition tables, LUKS, LVM, file systems
 *	vg.c		logical volumes: LVM's segments into tables
 *
 * All data are read through ndmd, layer by layer: each layer found is a volume more, and the
 * file of volumes is applied again.  Images are opened for reading only.  Whatever a target has
 * to write (metadata of pools, caches, arrays) goes to a snapshot in memory over the disk.
 */
#ifndef NDM_CLIENT_OPEN_H
#define NDM_CLIENT_OPEN_H

#include "client/client.h"
#include "client/nbd.h"
#include "lvm.h"

#define OPEN_WRONG_PASSPHRASE 2
#define TEXT_MAX 4096u

struct volume {
	char *name, *table, *export;	/* table: YAML; export: NULL: for us alone */
	bool writable;
};

struct pv {
	struct lvm_label label;
	char *volume, *over;		/* over: a snapshot in memory, made when it is needed */
	uint64_t sectors;
	struct lvm_node *text;		/* the newest of its areas; NULL: none */
	bool done;			/* its group has been shown */
};

struct open {
	struct client *client;
	char *scratch, *socket, *own_socket;
	int pass_fd;			/* -1: no passphrase */
	bool tree_only, final;
	struct volume *volumes;
	size_t nvolumes;
	struct pv *pvs;
	size_t npvs;
	int status;
};

/* main.c */
bool volume_add(struct open *, const char *name, char *table, const char *export, bool writable);
char *yaml_quoted(const char *text);
/* 0 or -errno; *reason is to be freed */
int volumes_apply(struct open *, char **reason);
int volume_connect(struct open *, const char *name, struct nbd *);
char *size_text(uint64_t bytes);

/* layers.c: says what it is, and looks into it.  label: how people call it */
void layers_find(struct open *, const char *volume, const char *label, unsigned depth);

/* vg.c */
void groups_open(struct open *);

#endif
