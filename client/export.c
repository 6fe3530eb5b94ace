/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export.c - how to reach an export, in the words of those who want to: `ndm export` lists
 * all, `ndm export NAME --uri|--qemu|--libvirt-xml` says one.
 */
#include "client.h"
#include "export.h"

#include <inttypes.h>
#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>

void exports_free(struct exports *exports)
{
	size_t i;

	for (i = 0; i < exports->n; i++)
		free(exports->list[i].text);
	free(exports->list);
	for (i = 0; i < exports->nr_listeners; i++)
		free(exports->listeners[i]);
	free(exports->listeners);
	memset(exports, 0, sizeof(*exports));
}

/* NAME TAB DEVICE TAB BYTES TAB ro|rw TAB CONNECTIONS TAB DESCRIPTION */
static bool read_export(struct export *export, const char *line)
{
	char *fields[6] = { NULL }, *rest;
	int i;

	memset(export, 0, sizeof(*export));
	export->text = rest = strdup(line);
	for (i = 0; i < 6 && rest; i++)
		fields[i] = i < 5 ? strsep(&rest, "\t") : rest;
	if (i < 5) {
		free(export->text);
		return false;
	}
	export->name = fields[0];
	export->device = fields[1];
	export->bytes = strtoull(fields[2], NULL, 10);
	export->read_only = !strcmp(fields[3], "ro");
	export->connections = strtoull(fields[4], NULL, 10);
	export->description = fields[5] ? fields[5] : "";
	return true;
}

static int for_lines(struct client *client, uint32_t command,
		     bool (*take)(struct exports *, const char *), struct exports *exports)
{
	char *text, *rest, *line;
	int err = control_text(client, command, "", &text);

	rest = text;
	while (!err && (line = strsep(&rest, "\n")))
		if (*line)
			take(exports, line);
	free(text);
	return err;
}

static bool take_listener(struct exports *exports, const char *line)
{
	char **longer = realloc(exports->listeners,
				(exports->nr_listeners + 1) * sizeof(*longer));

	if (!longer)
		return false;
	exports->listeners = longer;
	longer[exports->nr_listeners] = strdup(line);
	exports->nr_listeners += longer[exports->nr_listeners] != NULL;
	return true;
}

static bool take_export(struct exports *exports, const char *line)
{
	struct export *longer = realloc(exports->list, (exports->n + 1) * sizeof(*longer));

	if (!longer)
		return false;
	exports->list = longer;
	exports->n += read_export(&longer[exports->n], line);
	return true;
}

int exports_read(struct client *client, struct exports *exports)
{
	int err;

	memset(exports, 0, sizeof(*exports));
	err = for_lines(client, NDM_CTL_LISTENERS, take_listener, exports);
	if (!err)
		err = for_lines(client, NDM_CTL_EXPORTS, take_export, exports);
	if (err && client->fd >= 0)
		say("ndmd does not list its exports: %s", strerror(-err));
	return err;
}

/* By its own name, else by that of its device. */
const struct export *exports_find(const struct exports *exports, const char *name)
{
	size_t i;

	for (i = 0; i < exports->n; i++)
		if (!strcmp(exports->list[i].name, name))
			return &exports->list[i];
	for (i = 0; i < exports->n; i++)
		if (!strcmp(exports->list[i].device, name))
			return &exports->list[i];
	return NULL;
}

/* What may stand for itself in a URI's path. */
static bool is_unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c && strchr("-._~", c));
}

static char *escaped(const char *name)
{
	char *out = malloc(strlen(name) * 3 + 1), *at = out;

	for (; out && *name; name++)
		at += sprintf(at, is_unreserved((unsigned char)*name) ? "%c" : "%%%02X",
			      (unsigned char)*name);
	if (out)
		*at = '\0';
	return out;
}

/* The listener's URI with the export's name as its path; to be freed. */
char *export_uri(const char *listener, const char *name)
{
	const char *authority = strstr(listener, "://"), *query = strchr(listener, '?');
	size_t n = query ? (size_t)(query - listener) : strlen(listener);
	char *path = escaped(name), *uri;
	const char *slash;

	authority = authority ? authority + 3 : listener;
	slash = memchr(authority, '/', (size_t)(listener + n - authority));
	if (slash)
		n = (size_t)(slash - listener);
	uri = path ? text_format("%.*s/%s%s", (int)n, listener, path, query ? query : "") : NULL;
	free(path);
	return uri;
}

struct address {
	char *socket, *host, *port;	/* socket, or host and port */
	bool tls;
};

static void address_free(struct address *address)
{
	free(address->socket);
	free(address->host);
	free(address->port);
}

/* nbd+unix:///?socket=PATH, nbd://HOST[:PORT]; %XX is undone */
static bool parse_listener(const char *uri, struct address *address)
{
	const char *socket = strstr(uri, "?socket="), *at = strstr(uri, "://"), *end;
	char *out;

	memset(address, 0, sizeof(*address));
	address->tls = !strncmp(uri, "nbds", 4);
	if (socket) {
		address->socket = out = strdup(socket + 8);
		for (at = address->socket; out && *at && *at != '&'; at++) {
			unsigned code;

			if (*at == '%' && sscanf(at + 1, "%2x", &code) == 1) {
				*out++ = (char)code;
				at += 2;
			} else {
				*out++ = *at;
			}
		}
		if (out)
			*out = '\0';
		return address->socket;
	}
	if (!at)
		return false;
	at += 3;
	end = *at == '[' ? strchr(at, ']') : at + strcspn(at, ":/?");
	if (!end)
		return false;
	address->host = *at == '[' ? strndup(at + 1, (size_t)(end - at) - 1) :
		strndup(at, (size_t)(end - at));
	end += *end == ']';
	address->port = *end == ':' ? strndup(end + 1, strcspn(end + 1, "/?")) : strdup("10809");
	return address->host && address->port;
}

/* Commas separate qemu's options: doubled they stand for themselves. */
static void print_qemu_value(const char *text)
{
	for (; *text; text++)
		printf(*text == ',' ? ",," : "%c", *text);
}

static void print_qemu(const struct export *export, const struct address *address)
{
	printf("driver=nbd,");
	if (address->socket) {
		printf("server.type=unix,server.path=");
		print_qemu_value(address->socket);
	} else {
		printf("server.type=inet,server.host=");
		print_qemu_value(address->host);
		printf(",server.port=%s", address->port);
	}
	printf(",export=");
	print_qemu_value(export->name);
	printf("%s,reconnect-delay=30,open-timeout=10\n", export->read_only ? ",read-only=on" : "");
}

static void print_xml_text(const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			fputs("&amp;", stdout);
			break;
		case '<':
			fputs("&lt;", stdout);
			break;
		case '\'':
			fputs("&apos;", stdout);
			break;
		default:
			putchar(*text);
		}
}

static void print_libvirt(const struct export *export, const struct address *address)
{
	printf("<disk type='network' device='disk'>\n"
	       "  <driver name='qemu' type='raw' discard='unmap' detect_zeroes='unmap'/>\n"
	       "  <source protocol='nbd' name='");
	print_xml_text(export->name);
	printf("' tls='%s'>\n    <host ", address->tls ? "yes" : "no");
	if (address->socket) {
		printf("transport='unix' socket='");
		print_xml_text(address->socket);
	} else {
		printf("name='");
		print_xml_text(address->host);
		printf("' port='%s", address->port);
	}
	printf("'/>\n    <reconnect delay='30'/>\n  </source>\n"
	       "  <target dev='vda' bus='virtio'/>\n%s</disk>\n",
	       export->read_only ? "  <readonly/>\n" : "");
}

static void print_list(const struct exports *exports, bool as_json)
{
	struct json json = { .out = stdout, .first = true };
	size_t i, j;

	if (as_json) {
		json_open(&json, '{');
		json_name(&json, "exports");
		json_open(&json, '[');
	}
	for (i = 0; i < exports->n; i++) {
		const struct export *export = &exports->list[i];

		if (!as_json) {
			printf("%-24s %14" PRIu64 " %s %3" PRIu64 " %s\n", export->name,
			       export->bytes, export->read_only ? "ro" : "rw",
			       export->connections, export->description);
			continue;
		}
		json_open(&json, '{');
		json_name(&json, "name");
		json_string(&json, export->name);
		json_name(&json, "device");
		json_string(&json, export->device);
		json_name(&json, "bytes");
		json_number(&json, export->bytes);
		json_name(&json, "readonly");
		json_bool(&json, export->read_only);
		json_name(&json, "connections");
		json_number(&json, export->connections);
		json_name(&json, "description");
		json_string(&json, export->description);
		json_name(&json, "uris");
		json_open(&json, '[');
		for (j = 0; j < exports->nr_listeners; j++) {
			char *uri = export_uri(exports->listeners[j], export->name);

			json_string(&json, uri ? uri : "");
			free(uri);
		}
		json_close(&json, ']');
		json_close(&json, '}');
	}
	if (as_json) {
		json_close(&json, ']');
		json_close(&json, '}');
	}
}

static int print_one(const struct exports *exports, const char *name, const char *form)
{
	const struct export *export = exports_find(exports, name);
	struct address address;
	size_t i;

	if (!export) {
		say("There is no export '%s'.", name);
		return 1;
	}
	if (!exports->nr_listeners) {
		say("ndmd listens nowhere.");
		return 1;
	}
	if (!strcmp(form, "--uri")) {
		for (i = 0; i < exports->nr_listeners; i++) {
			char *uri = export_uri(exports->listeners[i], export->name);

			puts(uri ? uri : "");
			free(uri);
		}
		return 0;
	}
	/* Those on this machine are better served by a socket in its file system. */
	for (i = 0; i < exports->nr_listeners; i++)
		if (strstr(exports->listeners[i], "+unix"))
			break;
	if (!parse_listener(exports->listeners[i < exports->nr_listeners ? i : 0], &address)) {
		say("ndmd's listener is not understood: %s", exports->listeners[0]);
		return 1;
	}
	if (!strcmp(form, "--qemu"))
		print_qemu(export, &address);
	else
		print_libvirt(export, &address);
	address_free(&address);
	return 0;
}

int export_main(struct client *client, int argc, char **argv)
{
	const char *name = NULL, *form = "--uri";
	struct exports exports;
	bool as_json = false;
	int i, status = 0;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			as_json = true;
		} else if (!strcmp(argv[i], "--uri") || !strcmp(argv[i], "--qemu") ||
			   !strcmp(argv[i], "--libvirt-xml")) {
			form = argv[i];
		} else if (argv[i][0] == '-' || name) {
			say("Usage: ndm export [-j] | ndm export NAME "
			    "[--uri|--qemu|--libvirt-xml]");
			return 1;
		} else {
			name = argv[i];
		}
	}
	if (exports_read(client, &exports))
		status = 1;
	else if (name)
		status = print_one(&exports, name, form);
	else
		print_list(&exports, as_json);
	exports_free(&exports);
	return status;
}
