/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm.c - one program of many names.  Called as dmsetup, ndmsetup, dmstats or devmap_name it
 * is that program; called as ndm, its first word says what it is.
 */
#include "client.h"

#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct word {
	const char *name;
	program_main *run;
	const char *help;	/* NULL: not a word, only a name */
};

static const struct word words[] = {
	{ "ndmsetup", dmsetup_main, NULL },
	{ "dmsetup", dmsetup_main, "COMMAND...            dmsetup's command line" },
	{ "dmstats", dmsetup_main, "COMMAND...            dmstats' command line" },
	{ "veritysetup", veritysetup_main, "ACTION...             veritysetup's command line" },
	{ "verity", veritysetup_main, "ACTION...             the same" },
	{ "integritysetup", integritysetup_main, "ACTION...            integritysetup's command line" },
	{ "integrity", integritysetup_main, "ACTION...             the same" },
	{ "vdoformat", vdoformat_main, "DEVICE                an empty vdo volume" },
	{ "cryptsetup", cryptsetup_main, "ACTION...             cryptsetup's command line: LUKS, plain" },
	{ "move", move_main, "DEVICE --to DEST      copies a volume elsewhere while it is in use" },
	{ "open", open_main, "IMAGE... --unix SOCKET  partitions, LUKS and LVM of images, read-only" },
	{ "thin-delta", thin_delta_main, "POOL --from A --to B  what differs between two thin devices" },
	{ "replay-log", replay_main, "--log LOG ...         states of a disk from a log of its writes" },
	{ "ndm-replay", replay_main, NULL },
	{ "devmap_name", dmsetup_main, "MAJOR MINOR           the name of a device" },
	{ "plan", plan_main, "[FILE.yaml]           what applying a file of volumes would change" },
	{ "apply", apply_main, "[FILE.yaml]           change it" },
	{ "export", export_main, "[NAME [--uri|--qemu|--libvirt-xml]]  how to reach an export" },
	{ "tree", graph_main, "[--dot|--mermaid|-j]  which device stands on which" },
	{ "explain", explain_main, "NAME                  table and status with every value named" },
	{ "describe", describe_main, "[TARGET]              the arguments of a target" },
	{ "holders", holders_main, "NAME                  who has a device open" },
	{ "monitor", monitor_main, "[-j]                  what happens, a line each" },
	{ "multipath", multipath_main, "[-l|-ll|-j] [NAME]... paths and groups of multipath devices" },
	{ "tls-init", tls_init_main, "FOLDER [--server NAME] [--client NAME]  certificates for TLS" },
	{ "top", top_main, "[-n ROUNDS]           throughput and latency, live" },
	{ "version", version_main, "                      of the ndmd that answers" },
};

static const struct word *find_word(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i].name, name))
			return &words[i];
	return NULL;
}

static void print_help(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: ndm [--control SOCKET] WORD ...\n\n");
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].help)
			fprintf(out, "  %-12s %s\n", words[i].name, words[i].help);
}

static bool is_program(const struct word *word)
{
	return word && (word->run == dmsetup_main || word->run == cryptsetup_main ||
			word->run == veritysetup_main || word->run == integritysetup_main ||
			!strcmp(word->name, "ndm-replay"));
}

/* `ndm [--control SOCKET] WORD ...` */
static int run_word(struct client *client, int argc, char **argv)
{
	const struct word *word;

	argc--;
	argv++;
	while (argc) {
		if (!strncmp(argv[0], "--control=", 10)) {
			free(client->control);
			client->control = strdup(argv[0] + 10);
		} else if (!strcmp(argv[0], "--control") && argc > 1) {
			free(client->control);
			client->control = strdup(argv[1]);
			argc--;
			argv++;
		} else {
			break;
		}
		argc--;
		argv++;
	}
	if (!argc || !client->control) {
		print_help(stderr);
		return 1;
	}
	if (!strcmp(argv[0], "help") || !strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
		print_help(stdout);
		return 0;
	}
	word = find_word(argv[0]);
	if (!word || !word->help) {
		say("ndm: no word '%s'; 'ndm help' lists them.", argv[0]);
		return 1;
	}
	client->program = argv[0];
	return word->run(client, argc, argv);
}

int main(int argc, char **argv)
{
	const char *base = argc ? strrchr(argv[0], '/') : NULL;
	const struct word *word;
	struct client client;
	int status = 1;

#ifndef NDM_SANITIZERS				/* LeakSanitizer traces its own process */
	prctl(PR_SET_DUMPABLE, 0);		/* keys may come to lie here: not into a core dump */
#endif
	setlocale(LC_ALL, "");
	if (!argc)
		return 1;
	base = base ? base + 1 : argv[0];
	if (!strncmp(base, "lt-", 3))
		base += 3;			/* not yet installed, under libtool */
	if (client_init(&client, base))
		return 1;
	word = find_word(base);
	if (is_program(word))
		status = word->run(&client, argc, argv);
	else
		status = run_word(&client, argc, argv);
	if (fflush(stdout) || ferror(stdout))
		status = status ? status : 1;
	client_exit(&client);
	return status;
}
