/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-own.c - the commands that the kernel lacks (NDM_CTL_* of ndm-control.h): text in,
 * text out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/control-call.h"

/* Cuts the first word off a request's text; NULL at the end.  One blank or tab separates. */
static char *next_word(char **text)
{
	char *word = *text + strspn(*text, " \t\n");

	if (!*word)
		return NULL;
	*text = word + strcspn(word, " \t\n");
	if (**text)
		*(*text)++ = '\0';
	return word;
}

static struct ndm_device *find_named(struct control_call *call, const char *name)
{
	struct ndm_device *dev = name ? ndm_device_by_name(call->ctx, name) : NULL;

	if (dev)
		ndm_device_hold(dev);
	else
		ndm_printf(&call->why, "there is no device named \"%s\"", name ? name : "");
	return dev;
}

/* ---- plan and apply ---- */

static int own_apply(struct control_call *call, bool dry)
{
	const struct control_host *host = call->host;
	const char *yaml = call->length ? (const char *)call->body : NULL;
	struct ndm_config *config;
	int err;

	if (host->apply)
		return host->apply(host->arg, yaml, call->length, dry, &call->text, &call->why);
	if (!yaml) {
		ndm_printf(&call->why, "ndmd was not started with a file");
		return -ENOENT;
	}
	err = ndm_config_parse("request", yaml, call->length, &config, &call->why);
	if (err)
		return err;
	if (!dry)
		err = ndm_config_apply(call->ctx, config, &call->text, &call->why);
	else
		err = ndm_config_plan(call->ctx, config, &call->text);
	if (!err && dry)
		err = ndm_config_check(call->ctx, config, &call->why);
	ndm_config_free(config);
	return err;
}

/* ---- explain ---- */

static void json_string(struct ndm_str *json, const char *text)
{
	ndm_printf(json, "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			ndm_printf(json, "\\%c", c);
		else if (c < 0x20)
			ndm_printf(json, "\\u%04x", c);
		else
			ndm_str_put(json, text, 1);
	}
	ndm_printf(json, "\"");
}

/* Arguments by name where they fit the descriptor, else the text as it is. */
static void explain_line(struct ndm_str *json, const struct ndm_target_status *line, bool table)
{
	const struct ndm_target_type *type = ndm_target_type_find(line->type);
	const struct ndm_arg *args = type ? table ? type->args : type->status_fields : NULL;
	const char *text = line->text ? line->text : "";
	struct ndm_str named = { 0 };

	ndm_printf(json, "{\"start\": %llu, \"length\": %llu, \"type\": ",
		   (unsigned long long)line->start, (unsigned long long)line->nr);
	json_string(json, line->type);
	ndm_printf(json, ", \"text\": ");
	json_string(json, text);
	if (args && !ndm_explain(type, args, text, &named))
		ndm_printf(json, ", \"%s\": %s", table ? "arguments" : "fields", named.text);
	ndm_printf(json, "}");
	ndm_str_free(&named);
}

static int explain_lines(struct control_call *call, struct ndm_device *dev, bool table,
			 bool inactive)
{
	struct ndm_target_status *lines;
	bool read_only;
	unsigned n;
	int err;

	err = ndm_device_status(dev, table ? NDM_STATUS_TABLE : NDM_STATUS_INFO, NDM_STATUS_NOFLUSH,
				inactive, &lines, &n, &read_only);
	if (err)
		return err;
	ndm_printf(&call->text, ", \"%s\": [", table ? "table" : "status");
	for (unsigned i = 0; i < n; i++) {
		ndm_printf(&call->text, i ? ", " : "");
		explain_line(&call->text, &lines[i], table);
	}
	ndm_printf(&call->text, "]");
	ndm_target_status_free(lines, n);
	return 0;
}

static int own_explain(struct control_call *call)
{
	char *text = (char *)call->body;
	struct ndm_device *dev = find_named(call, next_word(&text));
	const char *slot = next_word(&text);
	bool inactive = slot && !strcmp(slot, "inactive");
	struct ndm_device_info info;
	int err = 0;

	if (!dev)
		return -ENXIO;
	ndm_device_info(dev, &info);
	ndm_printf(&call->text, "{\"name\": ");
	json_string(&call->text, info.name);
	ndm_printf(&call->text, ", \"uuid\": ");
	json_string(&call->text, info.uuid);
	ndm_printf(&call->text,
		   ", \"major\": %u, \"minor\": %u, \"slot\": \"%s\", \"suspended\": %s", NDM_MAJOR,
		   info.minor, inactive ? "inactive" : "live",
		   info.flags & NDM_DEVICE_SUSPENDED ? "true" : "false");
	if (info.flags & (inactive ? NDM_DEVICE_INACTIVE : NDM_DEVICE_LIVE)) {
		err = explain_lines(call, dev, true, inactive);
		if (!err)
			err = explain_lines(call, dev, false, inactive);
	} else {
		ndm_printf(&call->text, ", \"table\": [], \"status\": []");
	}
	ndm_printf(&call->text, "}\n");
	ndm_device_put(dev);
	return err;
}

static int own_describe(struct control_call *call)
{
	char *text = (char *)call->body;
	const char *type = next_word(&text);
	int err = ndm_describe(type, &call->text);

	if (err)
		ndm_printf(&call->why, "there is no target type \"%s\"", type ? type : "");
	return err;
}

/* ---- devices ---- */

static int own_holders(struct control_call *call)
{
	char *text = (char *)call->body;
	struct ndm_device *dev = find_named(call, next_word(&text));

	if (!dev)
		return -ENXIO;
	ndm_device_holders(dev, &call->text);
	ndm_device_put(dev);
	return 0;
}

static int own_read_ahead(struct control_call *call)
{
	char *text = (char *)call->body;
	struct ndm_device *dev = find_named(call, next_word(&text));
	const char *word = next_word(&text);
	uint64_t sectors, wanted = 0;
	int err;

	if (!dev)
		return -ENXIO;
	err = ndm_device_read_ahead(dev, &sectors);
	if (!err && word && ndm_arg_u64(word, &wanted)) {
		ndm_printf(&call->why, "\"%s\" is not a number of sectors", word);
		err = -EINVAL;
	}
	if (!err) {
		if (word)
			ndm_device_set_read_ahead(dev, wanted);
		ndm_printf(&call->text, "%llu\n", (unsigned long long)(word ? wanted : sectors));
	}
	ndm_device_put(dev);
	return err;
}

int control_own(struct control_call *call)
{
	const struct control_host *host = call->host;

	switch (call->command) {
	case NDM_CTL_VERSION:
		ndm_printf(&call->text, "ndmd %s\n", host->version);
		return 0;
	case NDM_CTL_REASON:
		ndm_printf(&call->text, "%s", call->last_reason);
		return 0;
	case NDM_CTL_LISTENERS:
		if (host->listeners)
			host->listeners(host->arg, &call->text);
		return 0;
	case NDM_CTL_EXPORTS:
		if (host->exports)
			host->exports(host->arg, &call->text);
		return 0;
	case NDM_CTL_PLAN:
		return own_apply(call, true);
	case NDM_CTL_APPLY:
		return own_apply(call, false);
	case NDM_CTL_EXPLAIN:
		return own_explain(call);
	case NDM_CTL_DESCRIBE:
		return own_describe(call);
	case NDM_CTL_HOLDERS:
		return own_holders(call);
	case NDM_CTL_BACKINGS:
		ndm_context_backings(call->ctx, &call->text);
		return 0;
	case NDM_CTL_READ_AHEAD:
		return own_read_ahead(call);
	default:
		ndm_printf(&call->why, "ndmd knows no command 0x%x", call->command);
		return -ENOTTY;
	}
}
