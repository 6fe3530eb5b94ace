/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.h - what one run of the client knows: how it was called, which ndmd it talks to,
 * and how names are written.  There is one struct client in a process, made by main().
 */
#ifndef NDM_CLIENT_H
#define NDM_CLIENT_H

#include <linux/dm-ioctl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes that a name cannot hold are written \xNN; see mangle.c. */
enum mangling { MANGLE_NONE, MANGLE_AUTO, MANGLE_HEX };

struct backing {
	unsigned major, minor;
	char *name;
};

struct client {
	const char *program;		/* the name we were called by, e.g. "dmsetup" */
	char *control;			/* path of the socket */
	int fd;				/* connection, -1 before the first command */
	enum mangling mangling;
	unsigned verbose;		/* how often -v was given */
	bool json;			/* answers as JSON */
	struct backing *backings;	/* numbers of devices that are not ours; control.c */
	size_t nr_backings;
	bool backings_known;
	unsigned room_doublings;	/* answers were too long for our buffers so often */
};

#define NDM_LIBRARY_VERSION "1.02.185 (2022-05-18)"	/* the dmsetup that we stand in for */

/* control.c: the wire.  0 or -errno; *answer is to be freed and has a NUL after it. */
int client_init(struct client *client, const char *program);
void client_exit(struct client *client);
int control_open(struct client *client);
int control_call(struct client *client, uint32_t command, const void *body, size_t body_bytes,
		 char **answer, size_t *answer_bytes);
int control_text(struct client *client, uint32_t command, const char *text, char **answer);
void control_print_reason(struct client *client);
const char *control_backing_name(struct client *client, unsigned major, unsigned minor);

/* mangle.c: -1 after an error message, 0 when nothing had to change, 1 when it did. */
int mangle_string(const char *text, const char *what, char *out, size_t out_bytes,
		  enum mangling mode);
int unmangle_string(const char *text, const char *what, char *out, size_t out_bytes,
		    enum mangling mode);
bool mangle_is_single(const char *text, const char *what, enum mangling mode);

/* units.c */
uint64_t units_factor(const char *text, char *unit, const char **end);
char *units_format(uint64_t sectors, char unit, uint64_t factor, bool suffix);

/* text.c */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *text_word(const char *text);
char *text_read_all(FILE *in, size_t *length_bytes);

/* json.c: writes one document to a stream; commas and indents are its affair. */
struct json {
	FILE *out;
	unsigned depth;
	bool first, after_name;
	bool one_line;
};
void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);
void json_name(struct json *json, const char *name);
void json_string(struct json *json, const char *text);
void json_number(struct json *json, uint64_t number);
void json_real(struct json *json, double number);
void json_bool(struct json *json, bool value);
void json_raw(struct json *json, const char *document);
int json_lay_out(const char *document);	/* explain.c: for people */

/* ndm.c: programs and words */
typedef int program_main(struct client *client, int argc, char **argv);
program_main apply_main, cryptsetup_main, describe_main, dmsetup_main, explain_main, export_main,
	graph_main, holders_main, integritysetup_main, monitor_main, move_main, multipath_main,
	open_main, thin_delta_main, tls_init_main,
	plan_main, replay_main, top_main, vdoformat_main, veritysetup_main, version_main;

#endif
