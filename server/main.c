/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - the command line of ndmd.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "ndmd.h"

enum {
	OPT_CONTROL = 256, OPT_NO_CONTROL, OPT_LISTEN, OPT_CREATE, OPT_FOREGROUND, OPT_DAEMON,
	OPT_PIDFILE, OPT_CHECK, OPT_EXPLAIN, OPT_SCHEMA, OPT_RUN, OPT_READ_ONLY, OPT_UNIX, OPT_TCP,
	OPT_TLS,
	OPT_TLS_CERTIFICATES, OPT_TLS_PSK, OPT_TLS_VERIFY_PEER, OPT_STDIO, OPT_THREADS, OPT_DIRECT,
	OPT_METRICS, OPT_EXIT_LAST, OPT_ALLOW_CORE, OPT_HANDSHAKE_TIMEOUT, OPT_IDLE_TIMEOUT,
	OPT_MAX_CONNECTIONS, OPT_STATE, OPT_TAKEOVER,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "no-control", no_argument, NULL, OPT_NO_CONTROL },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "create", required_argument, NULL, OPT_CREATE },
	{ "foreground", no_argument, NULL, OPT_FOREGROUND },
	{ "daemon", no_argument, NULL, OPT_DAEMON },
	{ "pidfile", required_argument, NULL, OPT_PIDFILE },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "schema", no_argument, NULL, OPT_SCHEMA },
	{ "takeover", no_argument, NULL, OPT_TAKEOVER },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "read-only", no_argument, NULL, OPT_READ_ONLY },
	{ "unix", required_argument, NULL, OPT_UNIX },
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "tls", required_argument, NULL, OPT_TLS },
	{ "tls-certificates", required_argument, NULL, OPT_TLS_CERTIFICATES },
	{ "tls-psk", required_argument, NULL, OPT_TLS_PSK },
	{ "tls-verify-peer", no_argument, NULL, OPT_TLS_VERIFY_PEER },
	{ "stdio", no_argument, NULL, OPT_STDIO },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "direct", no_argument, NULL, OPT_DIRECT },
	{ "metrics", required_argument, NULL, OPT_METRICS },
	{ "allow-core", no_argument, NULL, OPT_ALLOW_CORE },
	{ "exit-last", no_argument, NULL, OPT_EXIT_LAST },
	{ "handshake-timeout", required_argument, NULL, OPT_HANDSHAKE_TIMEOUT },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static const char usage[] =
	"Usage: ndmd [OPTION]... [FILE.yaml]\n"
	"Serves mapped devices over NBD.\n"
	"\n"
	"Volumes\n"
	"  -c, --config FILE         volumes in YAML; SIGHUP applies it again\n"
	"      --create 'NAME: TABLE' one device; lines end with a newline or a comma\n"
	"      --read-only           everything can only be read\n"
	"      --direct              past the page cache, where the file system can\n"
	"      --check               say what would be done, and do nothing\n"
	"      --explain             print the tables that the volumes become\n"
	"      --schema              print the JSON Schema of FILE, for editors\n"
	"Clients\n"
	"      --listen WHERE        unix:PATH or tcp:HOST:PORT; may be repeated\n"
	"      --unix PATH, --tcp HOST:PORT  the same, shorter\n"
	"      --stdio               one client, on stdin and stdout\n"
	"      --tls off|on|require  with --tls-certificates DIR or --tls-psk FILE\n"
	"      --tls-verify-peer     clients need a certificate of ca-cert.pem\n"
	"      --max-connections N   at the same time (8192)\n"
	"      --handshake-timeout S seconds for each step of the handshake; 0: for ever (30)\n"
	"      --idle-timeout S      clients that ask nothing for so long go; 0: never (0)\n"
	"Process\n"
	"      --control PATH        management socket; --no-control: none\n"
	"      --state DIR           devices are kept there over a restart\n"
	"      --metrics WHERE       a page, and counters for Prometheus: unix:PATH or tcp:HOST:PORT\n"
	"      --run COMMAND         serve while COMMAND runs ($uri, $unixsocket), end as it ends\n"
	"      --exit-last           end when the last client has left\n"
	"      --takeover            take the place of the ndmd at --control, with its clients\n"
	"      --allow-core          core dumps and debuggers, although keys are in memory\n"
	"      --daemon              go to the background once clients can connect\n"
	"      --foreground          stay (the default)\n"
	"      --pidfile FILE        written once clients can connect\n"
	"      --threads N           event loops (one for two processors)\n"
	"  -v, --verbose  -h, --help  -V, --version\n";

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "ndmd: %s%s%s\n", what, value ? ": " : "", value ? value : "");
	return 2;
}

static int add(struct strings *s, const char *prefix, const char *text)
{
	char **grown = realloc(s->list, (s->n + 1) * sizeof *grown);

	if (!grown)
		return bad("out of memory", NULL);
	s->list = grown;
	if (asprintf(&s->list[s->n], "%s%s", prefix, text) < 0)
		return bad("out of memory", NULL);
	s->n++;
	return 0;
}

static int number(const char *option, const char *text, unsigned long max, unsigned *value)
{
	unsigned long n;
	char *end;

	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n > max) {
		fprintf(stderr, "ndmd: %s: '%s' is not a number up to %lu\n", option, text, max);
		return 2;
	}
	*value = (unsigned)n;
	return 0;
}

static int take_config(struct options *o, const char *path)
{
	if (o->config)
		return bad("one file of volumes is enough", path);
	o->config = path;
	return 0;
}

/* Keys of volumes lie in memory: not into a core dump, and not before a debugger. */
static void set_core(bool allowed)
{
#ifdef NDM_SANITIZERS
	allowed = true;				/* LeakSanitizer traces its own process */
#endif
	prctl(PR_SET_DUMPABLE, allowed ? 1 : 0);
}

/* Options that are one flag or one word; -1: not one of these. */
static int take_simple(struct options *o, int c, const char *arg)
{
	switch (c) {
	case OPT_CONTROL: o->control = arg; return 0;
	case OPT_NO_CONTROL: o->no_control = true; return 0;
	case OPT_FOREGROUND: o->foreground = true; return 0;
	case OPT_DAEMON: o->daemon = true; return 0;
	case OPT_PIDFILE: o->pidfile = arg; return 0;
	case OPT_CHECK: o->check = true; return 0;
	case OPT_EXPLAIN: o->explain = true; return 0;
	case OPT_RUN: o->run = arg; return 0;
	case OPT_READ_ONLY: o->read_only = true; return 0;
	case OPT_TLS: o->tls_mode = arg; return 0;
	case OPT_TLS_CERTIFICATES: o->tls_certificates = arg; return 0;
	case OPT_TLS_PSK: o->tls_psk = arg; return 0;
	case OPT_TLS_VERIFY_PEER: o->tls_verify_peer = o->tls_verify_peer_set = true; return 0;
	case OPT_STDIO: o->stdio = o->exit_last = true; return 0;
	case OPT_DIRECT: o->direct = true; return 0;
	case OPT_TAKEOVER: o->takeover = true; return 0;
	case OPT_STATE: o->state = arg; return 0;
	case OPT_METRICS: o->metrics = arg; return 0;
	case OPT_EXIT_LAST: o->exit_last = true; return 0;
	case OPT_ALLOW_CORE: set_core(true); return 0;
	case 'v': o->verbose = true; return 0;
	}
	return -1;
}

static int take_option(struct options *o, int c, const char *arg)
{
	switch (c) {
	case 'c': return take_config(o, arg);
	case OPT_LISTEN: return add(&o->listen, "", arg);
	case OPT_UNIX: return add(&o->listen, "unix:", arg);
	case OPT_TCP: return add(&o->listen, "tcp:", arg);
	case OPT_CREATE: return add(&o->create, "", arg);
	case OPT_THREADS: return number("--threads", arg, 256, &o->threads);
	case OPT_HANDSHAKE_TIMEOUT:
		return number("--handshake-timeout", arg, 86400, &o->handshake_s);
	case OPT_IDLE_TIMEOUT:
		return number("--idle-timeout", arg, 86400, &o->idle_s);
	case OPT_MAX_CONNECTIONS:
		return number("--max-connections", arg, 1000000, &o->max_connections);
	}
	return take_simple(o, c, arg) ? 2 : 0;
}

static int check_options(const struct options *o)
{
	if (o->daemon && o->foreground)
		return bad("--daemon and --foreground are opposites", NULL);
	if (o->daemon && (o->stdio || o->run))
		return bad("--daemon goes neither with --stdio nor with --run", NULL);
	if (o->takeover && (o->stdio || o->run || o->no_control))
		return bad("--takeover goes with neither --stdio, --run nor --no-control", NULL);
	if (o->stdio && o->run)
		return bad("--stdio does not go with --run", NULL);
	if ((o->check || o->explain) && !o->config)
		return bad("--check and --explain need a file of volumes", NULL);
	return 0;
}

static int print_schema(void)
{
	struct ndm_str json = { 0 };

	ndm_config_schema(&json);
	fputs(json.text, stdout);
	ndm_str_free(&json);
	return fflush(stdout) ? 1 : 0;
}

static void free_options(struct options *o)
{
	unsigned i;

	for (i = 0; i < o->listen.n; i++)
		free(o->listen.list[i]);
	for (i = 0; i < o->create.n; i++)
		free(o->create.list[i]);
	free(o->listen.list);
	free(o->create.list);
}

int main(int argc, char **argv)
{
	struct options o = { .handshake_s = 30, .max_connections = 8192 };
	int c, err = 0;

	set_core(false);
	while (!err && (c = getopt_long(argc, argv, "c:vhV", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return fflush(stdout) ? 1 : 0;
		}
		if (c == 'V') {
			puts("ndmd 0.1.0");
			return fflush(stdout) ? 1 : 0;
		}
		if (c == OPT_SCHEMA)
			return print_schema();
		err = c == '?' ? 2 : take_option(&o, c, optarg);
	}
	for (; !err && optind < argc; optind++)
		err = take_config(&o, argv[optind]);
	if (!err)
		err = check_options(&o);
	if (!err)
		err = ndmd_main(&o);
	free_options(&o);
	return err;
}
