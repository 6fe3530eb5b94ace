/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-server.c - the block `server`: where ndmd listens and what it keeps.
 */
#include "yaml-impl.h"

#define THREADS_MAX 256

static char *copy_text(struct yaml *y, const struct yaml_node *map, const char *key,
		       const char *what)
{
	const struct yaml_node *node = yaml_get(map, key);
	const char *text = node ? yaml_text(y, node, what) : NULL;
	char *copy = text ? ndm_strdup(text) : NULL;

	if (text && !copy)
		y->no_memory = true;
	return copy;
}

/* HOST:PORT: a host with colons in it stands in brackets, an empty one is every address */
static bool is_tcp(const char *text)
{
	const char *port = strrchr(text, ':');
	uint64_t number;

	if (!port || ndm_arg_u64(port + 1, &number) || number > 65535)
		return false;
	if (*text == '[')
		return port > text && port[-1] == ']' && strchr(text, ']') == port - 1;
	return !memchr(text, ':', (size_t)(port - text));
}

static void read_listen(struct yaml *y, const struct yaml_node *node)
{
	struct ndm_config_server *s = &y->config->server;
	int err = yaml_texts(y, node, "server: listen", &s->listen, &s->nlisten);

	if (err) {
		y->no_memory |= err == -ENOMEM;
		return;
	}
	for (unsigned i = 0; i < s->nlisten; i++) {
		const struct yaml_node *at = node->kind == YAML_LIST ? node->items[i] : node;

		if ((!strncmp(s->listen[i], "unix:", 5) && s->listen[i][5]) ||
		    (!strncmp(s->listen[i], "tcp:", 4) && is_tcp(s->listen[i] + 4)))
			continue;
		yaml_error(y, at, "server: listen has to be unix:PATH or tcp:HOST:PORT, not '%s'",
			   s->listen[i]);
	}
}

static void read_tls(struct yaml *y, const struct yaml_node *node)
{
	static const char *const known[] = { "mode", "certificates", "psk", "verify_peer", NULL };
	static const char *const modes[] = { "off", "allow", "require", NULL };
	struct ndm_config_server *s = &y->config->server;
	const struct yaml_node *verify = yaml_get(node, "verify_peer");
	unsigned i = 0;

	if (!yaml_want_map(y, node, "server: tls"))
		return;
	yaml_check_keys(y, node, "server: tls", known, NULL);
	s->tls_mode = copy_text(y, node, "mode", "server: tls: mode");
	s->tls_certificates = copy_text(y, node, "certificates", "server: tls: certificates");
	s->tls_psk = copy_text(y, node, "psk", "server: tls: psk");
	if (verify)
		yaml_bool(y, verify, "server: tls: verify_peer", &s->tls_verify_peer);
	while (s->tls_mode && modes[i] && strcmp(modes[i], s->tls_mode))
		i++;
	if (s->tls_mode && !modes[i])
		yaml_error(y, yaml_get(node, "mode"),
			   "server: tls: mode cannot be '%s': it is one of off, allow, require",
			   s->tls_mode);
	if (s->tls_mode && strcmp(s->tls_mode, "off") && !s->tls_certificates && !s->tls_psk)
		yaml_error(y, node, "server: tls needs certificates (a folder) or psk (a file)");
}

void yaml_read_server(struct yaml *y, const struct yaml_node *node)
{
	static const char *const known[] = {"listen",  "tls",	  "control", "state",
					    "metrics", "threads", "direct",  NULL};
	struct ndm_config_server *s = &y->config->server;
	const struct yaml_node *value;
	uint64_t threads = 0;

	if (!yaml_want_map(y, node, "server"))
		return;
	yaml_check_keys(y, node, "server", known, NULL);
	value = yaml_get(node, "listen");
	if (value)
		read_listen(y, value);
	value = yaml_get(node, "tls");
	if (value)
		read_tls(y, value);
	s->control = copy_text(y, node, "control", "server: control");
	s->state = copy_text(y, node, "state", "server: state");
	s->metrics = copy_text(y, node, "metrics", "server: metrics");
	value = yaml_get(node, "threads");
	if (value && !yaml_unsigned(y, value, "server: threads", THREADS_MAX, &threads) && !threads)
		yaml_error(y, value, "server: threads has to be 1 or more");
	s->threads = (unsigned)threads;
	value = yaml_get(node, "direct");
	if (value)
		yaml_bool(y, value, "server: direct", &s->direct_io);
}
