/* SPDX-License-Identifier: BSD-2-Clause */
/* report-help.c - the lists of fields and operators, on standard error. */
#include "report.h"

#include <string.h>

static const char *kind_name(const struct field *field)
{
	if (!field->value)
		return "unselectable number";
	return field->kind == FIELD_STRING ? "string" : field->kind == FIELD_SIZE ? "size" :
		"number";
}

static int name_width(const struct report *report)
{
	const struct field *field;
	const struct section *section;
	size_t width = 0;

	for (field = report->type->fields; field->id; field++)
		if (strlen(field->id) > width)
			width = strlen(field->id);
	for (section = report->type->sections; section->bit; section++)
		if (strlen(section->prefix) + 3 > width)
			width = strlen(section->prefix) + 3;
	return (int)width;
}

static void print_title(const char *title)
{
	static const char line[] =
		"-------------------------------------------------------------------------------";

	say("%s Fields", title);
	say("%.*s", (int)strlen(title) + 7, line);
}

static void print_field(const struct field *field, int width, bool with_kind)
{
	if (with_kind)
		say("  %-*s - %s [%s]", width, field->id, field->help, kind_name(field));
	else
		say("  %-*s - %s", width, field->id, field->help);
}

static const struct section *section_of(const struct report *report, const struct field *field)
{
	const struct section *section;

	for (section = report->type->sections; section->bit; section++)
		if (section->bit == field->section)
			return section;
	return NULL;
}

/* A section begins where the title changes; two sections may share one. */
void report_print_fields(const struct report *report, bool with_all, bool with_kinds)
{
	const struct field *field;
	const char *title = NULL;
	int width = name_width(report);

	for (field = report->type->fields; field->id; field++) {
		const struct section *section = section_of(report, field);

		if (section && (!title || strcmp(section->title, title))) {
			if (title)
				say(" ");
			title = section->title;
			print_title(title);
			if (with_all)
				say("  %sall%*s - All fields in this section.", section->prefix,
				    width - 3 - (int)strlen(section->prefix), "");
		}
		print_field(field, width, with_kinds);
	}
	say(" ");
	print_title("Special");
	for (field = report_special_fields; field->id; field++)
		print_field(field, width, with_kinds);
}

void report_print_operators(void)
{
	static const char *const operands[] = {
		"field               - Reporting field.",
		"number              - Non-negative integer value.",
		"size                - Floating point value with a unit; 'm' if there is none.",
		"percent             - Non-negative integer with or without % suffix.",
		"string              - Characters quoted by ' or \" or unquoted.",
		"string list         - Strings enclosed by [ ] or { }, with && or || between them.",
		"regular expression  - Characters quoted by ' or \" or unquoted.",
	};
	const struct operator *op;
	size_t i;

	say("Selection operands");
	say("------------------");
	for (i = 0; i < sizeof(operands) / sizeof(operands[0]); i++)
		say("  %s", operands[i]);
	say(" ");
	say("Selection operators");
	say("-------------------");
	say("  Comparison operators:");
	for (op = compare_operators; op->text; op++)
		say("    %6s  - %s", op->text, op->help);
	say(" ");
	say("  Logical and grouping operators:");
	for (op = logic_operators; op->text; op++)
		say("    %4s  - %s", op->text, op->help);
	say(" ");
}
