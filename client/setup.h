/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * setup.h - what veritysetup and integritysetup share: options by table, devices; and what they
 * share with cryptsetup: numbers and the exit status.
 * They use its ways to disks and to ndmd.
 */
#ifndef NDM_CLIENT_SETUP_H
#define NDM_CLIENT_SETUP_H

#include "client/cryptsetup/cryptsetup.h"

enum setup_kind { SETUP_FLAG, SETUP_TEXT, SETUP_NUMBER, SETUP_SIZE };

struct setup_option {
	const char *name;
	char letter;			/* 0: none */
	enum setup_kind kind;
	const char *help;		/* NULL: known, not told */
};

#define SETUP_OPTIONS_MAX 48

struct setup {
	struct cs cs;			/* for disks and devices */
	const char *program;
	const struct setup_option *options;
	unsigned noptions;
	const char *text[SETUP_OPTIONS_MAX];
	uint64_t number[SETUP_OPTIONS_MAX];
	bool given[SETUP_OPTIONS_MAX];
	int argc;			/* behind the action */
	char **argv;
};

struct setup_action {
	const char *name;
	int (*run)(struct setup *);
	int least;
	const char *usage;
};

/* The whole program: options, the action, its outcome as an exit status. */
int setup_main(struct setup *, const struct setup_action *, unsigned nactions, int argc, char **argv);

static inline uint64_t setup_number(const struct setup *s, unsigned option, uint64_t otherwise)
{
	return s->given[option] ? s->number[option] : otherwise;
}

int setup_close(struct setup *);		/* action: close NAME */
/* One line under that name; args is freed. */
int setup_create(struct setup *, const char *name, char *uuid, uint64_t nr, const char *type, char *args,
		 bool read_only);
/* Active and of that type?  *table is the answer to TASK_TABLE, to be freed.  Prints the first lines. */
int setup_status(struct setup *, const char *name, const char *type, struct task **table);
/* size: the suffixes s (sectors), k, m, g, t (and KiB, ...) are taken */
bool setup_parse_number(const char *text, bool size, uint64_t *value);
/* cryptsetup's: 1 wrong use, 2 wrong passphrase or not right, 3 no memory, 4 wrong device, 5 busy */
int setup_exit_status(int err);
bool setup_unhex(const char *text, uint8_t *to, size_t bytes);
char *setup_hex(const uint8_t *bytes, size_t n);	/* allocated */
bool setup_uuid(const char *text, uint8_t uuid[16]);
void setup_uuid_text(const uint8_t uuid[16], char text[37]);

#endif
