/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mkman - writes ndm-TARGET(7) from the target's own descriptor table and a file of prose.
 *
 *	mkman --list			names of all targets
 *	mkman TARGET DATE [PROSE]	the manual page, in man(7)
 *
 * What the descriptor knows (name, version, synopsis, arguments, defaults, status fields) is
 * never written by hand; PROSE brings what it cannot know: sections in man(7) of their own.
 * Runs at build time; reads no clock, so that builds can be repeated byte for byte.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndm.h>

/* Words of a table are case-sensitive and may hold what man(7) would eat. */
static void put_n(const char *s, size_t n)
{
	for (; n; s++, n--) {
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else if (*s == '\'')
			fputs("\\(aq", stdout);
		else
			putchar(*s);
	}
}

static void put_text(const char *s)
{
	put_n(s, strlen(s));
}

/* A sentence as the NAME line wants it: no capital, no full stop. */
static void put_clause(const char *s)
{
	size_t n = strlen(s);

	if (n && s[n - 1] == '.')
		n--;
	if (n > 1 && !isupper((unsigned char)s[1])) {
		putchar(tolower((unsigned char)s[0]));
		s++, n--;
	}
	put_n(s, n);
}

static void put_font(char font, const char *s)
{
	printf("\\f%c", font);
	put_text(s);
	fputs("\\fR", stdout);
}

static const char *kind_words(const struct ndm_arg *a)
{
	switch (a->kind) {
	case NDM_ARG_U64: return "a number";
	case NDM_ARG_SECTORS: return "a size; in sectors of 512 bytes in a table line, with a suffix in YAML";
	case NDM_ARG_BYTES: return "a size; in bytes in a table line, with a suffix in YAML";
	case NDM_ARG_MS: return "milliseconds";
	case NDM_ARG_SECONDS: return "seconds";
	case NDM_ARG_TEXT: return "a word";
	case NDM_ARG_WORD: return "one of the words below";
	case NDM_ARG_HEX: return "bytes, in hexadecimal";
	case NDM_ARG_DEVICE: return "a device: a path, mem:SIZE, an NBD URI, or another mapped device";
	case NDM_ARG_CONST: return NULL;
	case NDM_ARG_COUNT: return NULL;
	case NDM_ARG_LIST: return "a list; each item has";
	case NDM_ARG_GROUP: return "together, or not at all";
	case NDM_ARG_FEATURES: return "any of these, counted in a table line";
	case NDM_ARG_FLAG: return "a word by itself in a table line; true or false in YAML";
	case NDM_ARG_KEYED: return "a word, then its values";
	}
	return NULL;
}

static void put_synopsis(const struct ndm_arg *a);

static void put_one(const struct ndm_arg *a)
{
	const char *const *c;

	switch (a->kind) {
	case NDM_ARG_CONST:
		put_font('B', a->dflt ? a->dflt : a->name);
		break;
	case NDM_ARG_WORD:
		for (c = a->choices; c && *c; c++) {
			if (c != a->choices)
				putchar('|');
			put_font('B', *c);
		}
		break;
	case NDM_ARG_COUNT:
		put_font('I', "#");
		put_font('I', a->of ? a->of : a->name);
		break;
	case NDM_ARG_LIST:
		fputs("{ ", stdout);
		put_synopsis(a->sub);
		fputs(" }...", stdout);
		break;
	case NDM_ARG_GROUP:
		put_synopsis(a->sub);
		break;
	case NDM_ARG_FEATURES:
		put_font('I', "#");
		put_font('I', a->name);
		fputs(" [ ", stdout);
		put_synopsis(a->sub);
		fputs(" ]...", stdout);
		break;
	case NDM_ARG_FLAG:
		put_font('B', a->name);
		break;
	case NDM_ARG_KEYED:
		put_font('B', a->name);
		putchar(a->flags & NDM_ARG_COLON ? ':' : ' ');
		put_synopsis(a->sub);
		break;
	default:
		put_font('I', a->name);
	}
}

/* Optional arguments are trailing: what follows one is inside its bracket. */
static void put_synopsis(const struct ndm_arg *a)
{
	unsigned open = 0;
	bool first = true;

	for (; a && a->name; a++) {
		if (!first)
			putchar(' ');
		first = false;
		if (a->flags & (NDM_ARG_OPTIONAL | NDM_ARG_TRIM)) {
			fputs("[ ", stdout);
			open++;
		}
		put_one(a);
	}
	while (open--)
		fputs(" ]", stdout);
}

static void put_arguments(const struct ndm_arg *a, bool in_table)
{
	const char *words;
	const char *const *c;

	for (; a && a->name; a++) {
		words = kind_words(a);
		if (!words && !(in_table && a->help))
			continue;
		puts(".TP");
		put_font('B', a->name);
		putchar('\n');
		if (a->help) {
			putchar(toupper((unsigned char)a->help[0]));
			put_text(a->help + 1);
			puts(a->help[strlen(a->help) - 1] == '.' ? "" : ".");
		}
		if (words && in_table) {
			putchar('(');
			put_text(words);
			if (a->kind == NDM_ARG_WORD) {
				fputs(": ", stdout);
				for (c = a->choices; c && *c; c++) {
					if (c != a->choices)
						fputs(", ", stdout);
					put_font('B', *c);
				}
			}
			if (a->flags & NDM_ARG_SECRET)
				fputs("; shown with \\-\\-showkeys only", stdout);
			if (a->flags & NDM_ARG_OPTIONAL)
				fputs("; may be left out", stdout);
			if (a->dflt && *a->dflt) {
				fputs("; in YAML, when left out: ", stdout);
				put_font('B', a->dflt);
			}
			puts(")");
		}
		if (a->sub) {
			puts(".RS");
			put_arguments(a->sub, in_table);
			puts(".RE");
		}
	}
}

static int put_prose(const char *path)
{
	char buf[4096];
	size_t n;
	FILE *f = fopen(path, "r");
	int err;

	if (!f) {
		err = -errno;
		fprintf(stderr, "mkman: %s: %s\n", path, strerror(errno));
		return err;
	}
	while (fgets(buf, sizeof(buf), f)) {
		/* comments of the source (its SPDX line) stay there */
		n = strlen(buf);
		if (n >= 3 && !strncmp(buf, ".\\\"", 3))
			continue;
		fputs(buf, stdout);
	}
	err = ferror(f) ? -EIO : 0;
	fclose(f);
	return err;
}

static int page(const struct ndm_target_type *t, const char *date, const char *prose)
{
	int err = 0;

	printf(".\\\" SPDX-License-Identifier: BSD-2-Clause\n");
	printf(".\\\" Made from the descriptor of the target by mkman; do not edit.\n");
	printf(".TH NDM\\-");
	put_text(t->name);
	printf(" 7 \"%s\" \"ndm\" \"ndm targets\"\n", date);
	printf(".SH NAME\nndm\\-");
	put_text(t->name);
	fputs(" \\- ", stdout);
	put_clause(t->summary ? t->summary : "a target of ndm");
	printf("\n.SH SYNOPSIS\n\\fIstart\\fR \\fIlength\\fR ");
	put_font('B', t->name);
	if (t->args && t->args->name) {
		putchar(' ');
		put_synopsis(t->args);
	}
	printf("\n.PP\n\\fIstart\\fR and \\fIlength\\fR say which sectors of the volume this is; "
	       "a sector is 512 bytes.\nVersion %u.%u.%u", t->version[0], t->version[1], t->version[2]);
	puts(t->features & NDM_TARGET_OURS ? "; ndm\\(aqs own, not known to the kernel." :
	     ", as the Linux kernel counts.");
	if (t->args && t->args->name) {
		puts(".SH ARGUMENTS\nIn the order of the table line; the names are the keys in YAML (\\fBndm.yaml\\fR(5)).");
		put_arguments(t->args, true);
	}
	if (t->status_fields && t->status_fields->name) {
		fputs(".SH STATUS\n", stdout);
		put_synopsis(t->status_fields);
		putchar('\n');
		put_arguments(t->status_fields, false);
	}
	if (prose)
		err = put_prose(prose);
	puts(".SH SEE ALSO\n\\fBndmd\\fR(8), \\fBndmsetup\\fR(8), \\fBndm.yaml\\fR(5), \\fBnbdkit\\-ndm\\-plugin\\fR(1)");
	return err;
}

int main(int argc, char **argv)
{
	const struct ndm_target_type *const *all = ndm_target_types(), *t;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (; *all; all++)
			puts((*all)->name);
		return 0;
	}
	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: mkman --list | mkman TARGET DATE [PROSE]\n");
		return 2;
	}
	t = ndm_target_type_find(argv[1]);
	if (!t) {
		fprintf(stderr, "mkman: no target %s\n", argv[1]);
		return 1;
	}
	if (page(t, argv[2], argc == 4 ? argv[3] : NULL) || fflush(stdout))
		return 1;
	return 0;
}
