/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - which action, and what its outcome means to a shell. */
#include "client/cryptsetup/cryptsetup.h"
#include "client/setup.h"

#include <stdlib.h>
#include <string.h>

static const struct action { const char *name; cs_action *run; int least; const char *usage; } actions[] = {
	{ "open", cs_open, 1, "<device> [--type <type>] [<name>]" },
	{ "luksOpen", cs_open, 1, "<device> <name>" },
	{ "plainOpen", cs_open, 2, "<device> <name>" },
	{ "close", cs_close, 1, "<name>" },
	{ "luksClose", cs_close, 1, "<name>" },
	{ "plainClose", cs_close, 1, "<name>" },
	{ "remove", cs_close, 1, "<name>" },
	{ "resize", cs_resize, 1, "<name>" },
	{ "status", cs_status, 1, "<name>" },
	{ "luksFormat", cs_format, 1, "<device> [<new key file>]" },
	{ "luksAddKey", cs_add_key, 1, "<device> [<new key file>]" },
	{ "luksRemoveKey", cs_remove_key, 1, "<device> [<key file>]" },
	{ "luksChangeKey", cs_change_key, 1, "<device> [<new key file>]" },
	{ "luksConvertKey", cs_convert_key, 1, "<device> [<key file>]" },
	{ "luksKillSlot", cs_kill_slot, 2, "<device> <key slot>" },
	{ "luksDelKey", cs_kill_slot, 2, "<device> <key slot>" },
	{ "erase", cs_erase, 1, "<device>" },
	{ "luksErase", cs_erase, 1, "<device>" },
	{ "luksUUID", cs_uuid, 1, "<device>" },
	{ "isLuks", cs_is_luks, 1, "<device>" },
	{ "luksDump", cs_dump, 1, "<device>" },
	{ "luksSuspend", cs_suspend, 1, "<name>" },
	{ "luksResume", cs_resume, 1, "<name>" },
	{ "luksHeaderBackup", cs_backup, 1, "<device>" },
	{ "luksHeaderRestore", cs_restore, 1, "<device>" },
	{ "config", cs_config, 1, "<device>" },
	{ "token", cs_token, 2, "<add|remove|import|export> <device>" },
	{ "repair", cs_repair, 1, "<device>" },
	{ "reencrypt", cs_reencrypt, 1, "<device>" },
	{ "convert", cs_convert, 1, "<device> --type <luks1|luks2>" },
	{ "benchmark", cs_benchmark, 0, "" },
	{ "refresh", cs_refresh, 1, "<name>" },
	{ "create", cs_open, 2, "<name> <device>" },
};

static const struct action *action_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof actions / sizeof *actions; i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

static const char *outcome(int status)
{
	static const char *const words[] = {
		"", "wrong or missing parameters", "no permission or bad passphrase", "out of memory",
		"wrong device or file specified", "device already exists or device is busy",
	};

	return words[status];
}

/* create NAME DEVICE, of old */
static void create_turned(struct cs *cs, const char *name, char *turned[2])
{
	if (strcmp(name, "create"))
		return;
	turned[0] = cs->argv[1];
	turned[1] = cs->argv[0];
	cs->argv = turned;
	cs->argc = 2;
	cs->given[CS_TYPE - 1000] = true;
	cs->text[CS_TYPE - 1000] = "plain";
}

/* plainOpen and the like say the type in their name */
static void type_of_name(struct cs *cs, const char *name)
{
	if (!strncmp(name, "plain", 5) && !given(cs, CS_TYPE)) {
		cs->given[CS_TYPE - 1000] = true;
		cs->text[CS_TYPE - 1000] = "plain";
	}
}

int cryptsetup_main(struct client *client, int argc, char **argv)
{
	struct cs cs = { .client = client };
	const struct action *action;
	char *turned[2];
	int status, err;

	if (!cs_options(&cs, &argc, &argv, &status))
		return status;
	if (!argc) {
		say("cryptsetup: Argument <action> missing.");
		return 1;
	}
	action = action_find(argv[0]);
	if (!action) {
		say("cryptsetup: Unknown action.");
		return 1;
	}
	cs.argc = argc - 1;
	cs.argv = argv + 1;
	if (cs.argc < action->least) {
		say("cryptsetup: %s requires %s as arguments", action->name, action->usage);
		return 1;
	}
	type_of_name(&cs, action->name);
	create_turned(&cs, action->name, turned);
	err = action->run(&cs);
	status = setup_exit_status(err);
	if (cs.verbose && !err)
		printf("Command successful.\n");
	else if (cs.verbose)
		printf("Command failed with code -%d (%s).\n", status, outcome(status));
	return status;
}
