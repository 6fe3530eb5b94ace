/* SPDX-License-Identifier: BSD-2-Clause */
/* setup.c - what veritysetup, integritysetup and cryptsetup share. */
#include "client/setup.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- options ---- */

bool setup_parse_number(const char *s, bool size, uint64_t *value)
{
	static const char letters[] = "kmgt";
	const char *at;
	unsigned shift = 0;
	char *end;

	errno = 0;
	*value = strtoull(s, &end, 10);
	if (errno || end == s || *s == '-' || *s == '+')
		return false;
	if (size && *end) {
		at = strchr(letters, *end | 32);
		if (!at && (*end | 32) != 's')
			return false;
		shift = at ? 10 * (unsigned)(at - letters + 1) : 9;
		if (*value > UINT64_MAX >> shift)
			return false;
		end++;
		if (!strcasecmp(end, "ib") || !strcasecmp(end, "b"))
			end += strlen(end);
	}
	*value <<= shift;
	return !*end;
}

static bool take(struct setup *s, unsigned i, const char *value)
{
	const struct setup_option *o = &s->options[i];

	s->given[i] = true;
	s->text[i] = value;
	if ((o->kind == SETUP_NUMBER || o->kind == SETUP_SIZE) &&
	    !setup_parse_number(value, o->kind == SETUP_SIZE, &s->number[i])) {
		say("%s: --%s: '%s' is not a number.", s->program, o->name, value);
		return false;
	}
	return true;
}

static bool parse_options(struct setup *s, int *argc, char ***argv)
{
	struct option longs[SETUP_OPTIONS_MAX + 1] = { 0 };
	char letters[2 * SETUP_OPTIONS_MAX + 1], *p = letters;
	unsigned i;
	int c;

	for (i = 0; i < s->noptions; i++) {
		bool value = s->options[i].kind != SETUP_FLAG;

		longs[i] = (struct option){ s->options[i].name, value, NULL, (int)i + 256 };
		if (!s->options[i].letter)
			continue;
		*p++ = s->options[i].letter;
		if (value)
			*p++ = ':';
	}
	*p = 0;
	optind = 0;
	while ((c = getopt_long(*argc, *argv, letters, longs, NULL)) != -1) {
		for (i = 0; i < s->noptions && c != (int)i + 256 && c != s->options[i].letter; i++)
			;
		if (i == s->noptions || (c == '?' && strcmp((*argv)[optind - 1], "-?")) ||
		    !take(s, i, optarg))
			return false;
	}
	*argc -= optind;
	*argv += optind;
	return true;
}

static bool option_is(const struct setup *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->noptions; i++)
		if (s->given[i] && !strcmp(s->options[i].name, name))
			return true;
	return false;
}

static void help(const struct setup *s, const struct setup_action *actions, unsigned n)
{
	unsigned i;

	printf("Usage: %s [OPTION...] <action> <action-specific>\n\nActions:\n", s->program);
	for (i = 0; i < n; i++)
		if (actions[i].usage)
			printf("\t%s %s\n", actions[i].name, actions[i].usage);
	printf("\nOptions:\n");
	for (i = 0; i < s->noptions; i++)
		if (s->options[i].help)
			printf("  %c%c  --%s  %s\n", s->options[i].letter ? '-' : ' ',
			       s->options[i].letter ? s->options[i].letter : ' ', s->options[i].name,
			       s->options[i].help);
}

/* ---- the program ---- */

int setup_exit_status(int err)
{
	switch (-err) {
	case 0:
		return 0;
	case EPERM:
		return 2;
	case ENOMEM:
		return 3;
	case ENODEV:
	case ENOTBLK:
	case ENXIO:
	case EACCES:
		return 4;
	case EEXIST:
	case EBUSY:
		return 5;
	default:
		return 1;
	}
}

static const char *const outcomes[] = {
	"", "wrong or missing parameters", "no permission or bad passphrase", "out of memory",
	"wrong device or file specified", "device already exists or device is busy",
};

static const struct setup_action *find_action(const struct setup_action *a, unsigned n,
					      const char *name)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (!strcmp(a[i].name, name))
			return &a[i];
	return NULL;
}

int setup_main(struct setup *s, const struct setup_action *actions, unsigned n, int argc, char **argv)
{
	const struct setup_action *action;
	int status;

	if (!parse_options(s, &argc, &argv))
		return 1;
	if (option_is(s, "help") || option_is(s, "usage")) {
		help(s, actions, n);
		return 0;
	}
	if (option_is(s, "version")) {
		printf("%s 2.6.1 (ndm)\n", s->program);
		return 0;
	}
	if (!argc) {
		say("%s: Argument <action> missing.", s->program);
		return 1;
	}
	action = find_action(actions, n, argv[0]);
	if (!action) {
		say("%s: Unknown action.", s->program);
		return 1;
	}
	s->argc = argc - 1;
	s->argv = argv + 1;
	if (s->argc < action->least) {
		say("%s: %s: requires %s as arguments", s->program, action->name,
		    action->usage ? action->usage : "more");
		return 1;
	}
	s->cs.given[CS_DEFERRED - 1000] = option_is(s, "deferred");
	status = setup_exit_status(action->run(s));
	if (option_is(s, "verbose") && !status)
		printf("Command successful.\n");
	else if (option_is(s, "verbose"))
		printf("Command failed with code -%d (%s).\n", status, outcomes[status]);
	return status;
}

/* ---- devices ---- */

int setup_close(struct setup *s)
{
	int err;

	if (!dm_exists(&s->cs, s->argv[0])) {
		say("Device %s is not active.", s->argv[0]);
		return -ENODEV;
	}
	err = dm_remove(&s->cs, s->argv[0], false);
	if (err == -EBUSY)
		say("Device %s is still in use.", s->argv[0]);
	return err;
}

int setup_create(struct setup *s, const char *name, char *uuid, uint64_t nr, const char *type, char *args,
		 bool read_only)
{
	struct ndm_luks_line line = { .start = 0, .nr = nr, .type = type, .args = args };
	int err = -ENOMEM;

	if (dm_exists(&s->cs, name)) {
		say("Device %s already exists.", name);
		err = -EEXIST;
	} else if (uuid && args) {
		err = dm_create(&s->cs, name, uuid, (struct dm_lines){ &line, 1 }, read_only);
	}
	free(uuid);
	if (args)
		explicit_bzero(args, strlen(args));
	free(args);
	return err;
}

int setup_status(struct setup *s, const char *name, const char *type, struct task **table)
{
	struct info info;

	if (!dm_exists(&s->cs, name)) {
		printf("/dev/mapper/%s is inactive.\n", name);
		return -ENODEV;
	}
	if (dm_table(&s->cs, name, TASK_TABLE, table))
		return -ENODEV;
	task_info(*table, &info);
	printf("/dev/mapper/%s is active%s.\n", name, info.open_count ? " and is in use" : "");
	if ((*table)->nr_lines == 1 && !strcmp((*table)->lines[0].type, type))
		return 0;
	printf("  type:    n/a\n");
	task_free(*table);
	return -EINVAL;
}

/* ---- small things ---- */

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c | 32);

	return c && at && (c <= '9' || c >= 'A') ? at - digits : -1;
}

bool setup_unhex(const char *text, uint8_t *to, size_t bytes)
{
	size_t i;

	if (strlen(text) != 2 * bytes)
		return false;
	for (i = 0; i < bytes; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = high << 4 | low;
	}
	return true;
}

char *setup_hex(const uint8_t *bytes, size_t n)
{
	char *text = malloc(2 * n + 1);
	size_t i;

	for (i = 0; text && i < n; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	if (text)
		text[2 * n] = '\0';
	return text;
}

bool setup_uuid(const char *text, uint8_t uuid[16])
{
	char plain[33];
	unsigned i, n = 0;

	for (i = 0; text[i]; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (n == 32)
			return false;
		plain[n++] = text[i];
	}
	plain[n] = '\0';
	return i == 36 && setup_unhex(plain, uuid, 16);
}

void setup_uuid_text(const uint8_t uuid[16], char text[37])
{
	unsigned i, n = 0;

	for (i = 0; i < 16; i++)
		n += sprintf(text + n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}
