/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - what each option of the handshake does.  See handshake.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "handshake.h"
#include "meta.h"

#define EXPORTS_MAX_LIST 100000u

/* ---- replies ---- */

void option_reply(struct handshake *hs, uint32_t option, uint32_t type, const void *data,
		  size_t bytes)
{
	uint8_t head[NBD_OPTION_REPLY_BYTES], *p = head;

	p = nbd_put64(p, NBD_OPTION_REPLY);
	p = nbd_put32(p, option);
	p = nbd_put32(p, type);
	nbd_put32(p, (uint32_t)bytes);
	ndm_str_put(&hs->out, head, sizeof head);
	if (bytes)
		ndm_str_put(&hs->out, data, bytes);
}

void option_error(struct handshake *hs, uint32_t option, uint32_t type, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	option_reply(hs, option, type, text, strlen(text));
}

static int ack(struct conn *c, uint32_t option)
{
	option_reply(c->hs, option, NBD_REP_ACK, NULL, 0);
	return 1;
}

/* ---- ABORT, LIST, STARTTLS, STRUCTURED_REPLY, EXTENDED_HEADERS ---- */

static int run_abort(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	(void)data;
	(void)bytes;
	option_reply(c->hs, NBD_OPT_ABORT, NBD_REP_ACK, NULL, 0);
	c->hs->phase = PHASE_CLOSE;
	return 1;
}

static bool list_one(void *arg, const struct export *e)
{
	struct conn *c = arg;
	size_t name = strlen(e->name), description = e->description ? strlen(e->description) : 0;
	uint8_t head[NBD_OPTION_REPLY_BYTES + 4], *p = head;

	if (name > NBD_STRING_MAX)
		return true;
	if (description > NBD_STRING_MAX)
		description = 0;
	p = nbd_put64(p, NBD_OPTION_REPLY);
	p = nbd_put32(p, NBD_OPT_LIST);
	p = nbd_put32(p, NBD_REP_SERVER);
	p = nbd_put32(p, (uint32_t)(4 + name + description));
	nbd_put32(p, (uint32_t)name);
	ndm_str_put(&c->hs->out, head, sizeof head);
	ndm_str_put(&c->hs->out, e->name, name);
	ndm_str_put(&c->hs->out, e->description, description);
	c->hs->options_max += 8;		/* it will ask about each */
	return c->hs->options_max < 8 * EXPORTS_MAX_LIST;
}

static int run_list(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	(void)data;
	(void)bytes;
	exports_each(c->worker->ndmd, c, list_one, c);
	return ack(c, NBD_OPT_LIST);
}

static int run_starttls(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	struct handshake *hs = c->hs;

	(void)data;
	(void)bytes;
	if (hs->tls) {
		option_error(hs, NBD_OPT_STARTTLS, NBD_REP_ERR_INVALID, "TLS has been started");
		return 1;
	}
	if (c->worker->ndmd->tls_mode == TLS_OFF || c->fd != c->fd_out) {
		option_error(hs, NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY, "TLS is switched off");
		return 1;
	}
	hs->phase = PHASE_TLS_START;
	return ack(c, NBD_OPT_STARTTLS);
}

static int run_structured(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	(void)data;
	(void)bytes;
	if (c->hs->mode == REPLY_EXTENDED) {
		option_error(c->hs, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_EXT_HEADER_REQD,
			     "extended headers have been agreed on");
		return 1;
	}
	c->hs->mode = REPLY_STRUCTURED;
	return ack(c, NBD_OPT_STRUCTURED_REPLY);
}

static int run_extended(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	(void)data;
	(void)bytes;
	c->hs->mode = REPLY_EXTENDED;
	return ack(c, NBD_OPT_EXTENDED_HEADERS);
}

/* ---- INFO, GO, EXPORT_NAME ---- */

/* Looks a name up; 0, or the error to reply with. */
static uint32_t look_up(struct conn *c, const char *name, size_t bytes, struct export *e)
{
	if (bytes > NBD_STRING_MAX || memchr(name, 0, bytes))
		return NBD_REP_ERR_INVALID;
	switch (exports_find(c->worker->ndmd, c, name, bytes, e)) {
	case 0:
		return 0;
	case -ENOKEY:
		return NBD_REP_ERR_TLS_REQD;
	case -EACCES:
		conn_log(c, NDM_LOG_WARNING, "may not have export '%.*s'",
			 bytes < 200 ? (int)bytes : 200, name);
		return NBD_REP_ERR_POLICY;
	default:
		return NBD_REP_ERR_UNKNOWN;
	}
}

static void option_refuse(struct handshake *hs, uint32_t option, uint32_t err, const char *name,
			  uint32_t bytes)
{
	int shown = bytes < 200 ? (int)bytes : 200;

	if (err == NBD_REP_ERR_UNKNOWN)
		option_error(hs, option, err, "there is no export '%.*s'", shown, name);
	else if (err == NBD_REP_ERR_TLS_REQD)
		option_error(hs, option, err, "export '%.*s' is for certain clients: it requires TLS",
			     shown, name);
	else if (err == NBD_REP_ERR_POLICY)
		option_error(hs, option, err, "export '%.*s' is not for this client", shown, name);
	else
		option_error(hs, option, err, "bad export name");
}

/* Fills hs->opening from the name; 0, or the error to reply with. */
static uint32_t find_export(struct conn *c, uint32_t option, const char *name, size_t bytes)
{
	struct opening *o = &c->hs->opening;
	struct export e;
	uint32_t err;

	opening_forget(o);
	err = look_up(c, name, bytes, &e);
	if (err)
		return err;
	o->option = option;
	o->name = strdup(e.name);
	o->description = e.description ? strdup(e.description) : NULL;
	o->read_only = e.read_only;
	o->device = e.device;
	ndm_device_hold(e.device);
	if (o->name)
		return 0;
	ndm_device_put(e.device);
	o->device = NULL;
	return NBD_REP_ERR_PLATFORM;
}

static void take_infos(struct opening *o, const uint8_t *p, unsigned n)
{
	for (; n; n--, p += 2)
		switch (nbd_get16(p)) {
		case NBD_INFO_NAME:
			o->want_name = true;
			break;
		case NBD_INFO_DESCRIPTION:
			o->want_description = true;
			break;
		case NBD_INFO_BLOCK_SIZE:
			o->want_block_size = true;
			break;
		}
}

/* Contexts belong to the name they were asked for, as it was written then. */
static void check_contexts(struct handshake *hs, const char *name, size_t bytes)
{
	if (hs->contexts && (strlen(hs->contexts_export) != bytes ||
			     memcmp(hs->contexts_export, name, bytes)))
		hs->contexts = 0;
}

static int run_info_or_go(struct conn *c, uint32_t option, const uint8_t *data, uint32_t bytes)
{
	struct handshake *hs = c->hs;
	uint32_t name_bytes, err, infos;
	const char *name = (const char *)data + 4;

	if (bytes < 6 || (name_bytes = nbd_get32(data)) > bytes - 6 ||
	    bytes != name_bytes + 6 + 2u * (infos = nbd_get16(data + 4 + name_bytes))) {
		option_error(hs, option, NBD_REP_ERR_INVALID, "lengths do not fit");
		return 1;
	}
	err = find_export(c, option, name, name_bytes);
	if (err) {
		option_refuse(hs, option, err, name, name_bytes);
		return 1;
	}
	take_infos(&hs->opening, data + 6 + name_bytes, infos);
	if (option == NBD_OPT_GO)
		check_contexts(hs, name, name_bytes);
	hs->phase = PHASE_OPENING;
	return 0;
}

static int run_info(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	return run_info_or_go(c, NBD_OPT_INFO, data, bytes);
}

static int run_go(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	return run_info_or_go(c, NBD_OPT_GO, data, bytes);
}

static int run_export_name(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	struct handshake *hs = c->hs;
	uint32_t err;

	if (hs->mode == REPLY_EXTENDED) {
		conn_drop(c, "EXPORT_NAME after extended headers");
		return -1;
	}
	err = find_export(c, NBD_OPT_EXPORT_NAME, (const char *)data, bytes);
	if (err) {				/* there is no reply that says it */
		if (err == NBD_REP_ERR_UNKNOWN)
			conn_drop(c, "there is no export '%.*s'", bytes < 200 ? (int)bytes : 200,
				  data);
		else
			conn_drop(c, "asks for an export that it may not have");
		return -1;
	}
	check_contexts(hs, (const char *)data, bytes);
	hs->phase = PHASE_OPENING;
	return 0;
}

/* ---- LIST_META_CONTEXT, SET_META_CONTEXT ---- */

static void reply_context(struct handshake *hs, uint32_t option, uint32_t wire_id, unsigned id)
{
	uint8_t data[4 + META_NAME_BYTES];
	size_t bytes = meta_name(id, (char *)data + 4);

	nbd_put32(data, wire_id);
	option_reply(hs, option, NBD_REP_META_CONTEXT, data, 4 + bytes);
}

/* Which contexts the queries in [p, end) name; false: their lengths lie. */
static bool match_queries(const uint8_t *p, const uint8_t *end, uint32_t n, bool listing,
			  uint32_t *found)
{
	uint32_t bytes;
	unsigned id;

	*found = 0;
	for (; n; n--, p += bytes) {
		if (end - p < 4)
			return false;
		bytes = nbd_get32(p);
		p += 4;
		if (bytes > end - p || bytes > NBD_STRING_MAX)
			return false;
		for (id = 0; id < meta_count(); id++)
			if (meta_matches(id, (const char *)p, bytes, listing))
				*found |= 1u << id;
	}
	return p == end;
}

static int run_meta(struct conn *c, uint32_t option, const uint8_t *data, uint32_t bytes)
{
	bool listing = option == NBD_OPT_LIST_META_CONTEXT;
	struct handshake *hs = c->hs;
	uint32_t name_bytes, n, found, err;
	const char *name = (const char *)data + 4;
	struct export e;
	unsigned id;

	if (!listing) {				/* even one that fails ends what was agreed */
		hs->contexts = 0;
		free(hs->contexts_export);
		hs->contexts_export = NULL;
	}
	if (hs->mode == REPLY_SIMPLE) {
		option_error(hs, option, NBD_REP_ERR_INVALID, "structured replies come first");
		return 1;
	}
	if (bytes < 8 || (name_bytes = nbd_get32(data)) > bytes - 8 ||
	    name_bytes > NBD_STRING_MAX || memchr(name, 0, name_bytes) ||
	    !match_queries(data + 8 + name_bytes, data + bytes,
			   n = nbd_get32(data + 4 + name_bytes), listing, &found)) {
		option_error(hs, option, NBD_REP_ERR_INVALID, "lengths do not fit");
		return 1;
	}
	err = look_up(c, name, name_bytes, &e);
	if (err) {
		option_refuse(hs, option, err, name, name_bytes);
		return 1;
	}
	if (listing && n == 0)
		found = UINT32_MAX;
	found &= meta_offered(&e.info);
	for (id = 0; id < meta_count(); id++)
		if (found & 1u << id)
			reply_context(hs, option, listing ? 0 : id, id);
	if (!listing) {
		hs->contexts_export = strndup(name, name_bytes);
		hs->contexts = hs->contexts_export ? found : 0;
	}
	return ack(c, option);
}

static int run_list_meta(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	return run_meta(c, NBD_OPT_LIST_META_CONTEXT, data, bytes);
}

static int run_set_meta(struct conn *c, const uint8_t *data, uint32_t bytes)
{
	return run_meta(c, NBD_OPT_SET_META_CONTEXT, data, bytes);
}

/* ---- the table ---- */

static const struct option options[] = {
	{ NBD_OPT_EXPORT_NAME, "EXPORT_NAME", false, false, run_export_name },
	{ NBD_OPT_ABORT, "ABORT", false, true, run_abort },
	{ NBD_OPT_LIST, "LIST", true, false, run_list },
	{ NBD_OPT_STARTTLS, "STARTTLS", true, true, run_starttls },
	{ NBD_OPT_INFO, "INFO", false, false, run_info },
	{ NBD_OPT_GO, "GO", false, false, run_go },
	{ NBD_OPT_STRUCTURED_REPLY, "STRUCTURED_REPLY", true, false, run_structured },
	{ NBD_OPT_LIST_META_CONTEXT, "LIST_META_CONTEXT", false, false, run_list_meta },
	{ NBD_OPT_SET_META_CONTEXT, "SET_META_CONTEXT", false, false, run_set_meta },
	{ NBD_OPT_EXTENDED_HEADERS, "EXTENDED_HEADERS", true, false, run_extended },
};

const struct option *option_find(uint32_t number)
{
	unsigned i;

	for (i = 0; i < sizeof options / sizeof options[0]; i++)
		if (options[i].number == number)
			return &options[i];
	return NULL;
}
