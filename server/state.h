/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - devices kept in a folder, one file each, so that they are there again after a
 * restart.  state.c follows what happens to devices; state-file.c is a file's text.
 *
 * All of it runs in tasks of the first loop.
 */
#ifndef NDM_SERVER_STATE_H
#define NDM_SERVER_STATE_H

#include <ndm.h>

struct ndmd;
struct state;

/* Makes the folder where there is none, and locks it: one ndmd at a time. */
int state_open(struct ndmd *, struct ndm_str *why);
/*
 * Makes the devices of the folder again.  Names that `config` or --create have are theirs.
 * Before those are made (last = false) what stands on devices that do not exist yet is left
 * alone.  A device that cannot be had costs one line in the log, and keeps its file.
 */
void state_load(struct ndmd *, bool last) ndm_waits;
void state_follow(struct ndmd *) ndm_waits;	/* from now on changes are written */
void state_sync(struct ndmd *) ndm_waits;	/* those that have happened */
void state_file_names(struct ndmd *, const struct ndm_config *);	/* they are not kept here */
/* Writes what is left, and lets the folder go; state_open() takes it again. */
void state_close(struct ndmd *) ndm_waits;
void state_free(struct ndmd *);			/* no task runs any more */

/* ---- state-file.c ---- */

struct state_device {
	char *uuid;				/* NULL: none */
	long minor;
	bool suspended, read_only;
	uint64_t read_ahead, geometry[4];	/* see ndm.h; NDM_READ_AHEAD and zeroes where nothing is said */
	struct ndm_table_line *lines;		/* they point into the text */
	unsigned n;
};

/* A file's name from a device's, malloc'ed, and back; NULL: none (no memory, too long, not ours). */
char *state_file_name(const char *device);
char *state_device_name(const char *file);
/* text is cut up, and has to outlive the result; state_parsed_free() frees the rest */
int state_parse(char *text, struct state_device *, struct ndm_str *why);
void state_parsed_free(struct state_device *);
/* Gives a device what it has besides name, uuid, number and table. */
void state_restore(struct ndm_device *, const struct state_device *);
/*
 * The file's text.  -EACCES: the table has a key in it, which does not belong into a file;
 * -EILSEQ: a line cannot be written so that it is read again.
 */
int state_print(struct ndm_context *, struct ndm_device *, struct ndm_str *) ndm_waits;
/* The n-th device's name that a table's arguments have, unescaped into `name`; false: no more. */
bool state_names_device(const char **args, char name[NDM_NAME_BYTES]);

#endif
