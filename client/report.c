/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - columns and rows.  Field names may be written without underscores, in any case,
 * and without the prefix of the report's own section ("id" for region_id in a list of
 * regions); "all" and "SECTION_all" stand for many.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool selected_value(struct cell *cell, const void *object, int which)
{
	(void)object;
	(void)which;
	return cell_number(cell, 1);	/* corrected once the whole row is known */
}

#define SECTION_SPECIAL (1u << 31)

const struct field report_special_fields[] = {
	{ SECTION_SPECIAL, FIELD_NUMBER, 8, "selected", "Selected", selected_value, 0,
	  "Set if item passes selection criteria." },
	{ SECTION_SPECIAL, FIELD_NUMBER, 8, "help", "Help", NULL, 0, "Show help." },
	{ SECTION_SPECIAL, FIELD_NUMBER, 8, "?", "Help", NULL, 0, "Show help." },
	{ .id = NULL }
};

bool report_is_special(const struct field *field)
{
	return field->section == SECTION_SPECIAL;
}

/* -- values ------------------------------------------------------------------------- */

bool cell_take(struct cell *cell, char *text)
{
	cell->text = text;
	if (!text)
		say("Out of memory.");
	return text != NULL;
}

bool cell_string(struct cell *cell, const char *text)
{
	return cell_take(cell, strdup(text));
}

bool cell_number(struct cell *cell, uint64_t number)
{
	cell->number = number;
	return cell_take(cell, text_format("%" PRIu64, number));
}

bool cell_signed(struct cell *cell, int number)
{
	cell->number = (uint64_t)number;
	return cell_take(cell, text_format("%d", number));
}

bool cell_real(struct cell *cell, const char *format, double number)
{
	cell->real = number;
	cell->is_real = true;
	return cell_take(cell, text_format(format, number));
}

/* -- names of fields ------------------------------------------------------------------ */

#define NAME_ROOM 48

/* Without underscores, in lower case.  false if it is too long to be any field's. */
static bool canonical(const char *name, size_t n, char *out)
{
	size_t i, at = 0;

	for (i = 0; i < n; i++) {
		if (name[i] == '_')
			continue;
		if (at + 1 == NAME_ROOM)
			return false;
		out[at++] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
	}
	out[at] = '\0';
	return true;
}

static bool is_name_of(const struct report *report, const struct field *field, const char *wanted)
{
	size_t prefix = strlen(report->prefix);
	char id[NAME_ROOM];

	if (!canonical(field->id, strlen(field->id), id))
		return false;
	if (!strcmp(id, wanted))
		return true;
	if (prefix)
		prefix--;		/* its underscore */
	return prefix && !strncmp(id, report->prefix, prefix) && !strcmp(id + prefix, wanted);
}

const struct field *report_find_field(const struct report *report, const char *name, size_t n)
{
	const struct field *field;
	char wanted[NAME_ROOM];

	if (!n || !canonical(name, n, wanted))
		return NULL;
	for (field = report_special_fields; field->id; field++)
		if (is_name_of(report, field, wanted))
			return field;
	for (field = report->type->fields; field->id; field++)
		if (is_name_of(report, field, wanted))
			return field;
	return NULL;
}

/* The sections that "all" or "PREFIX_all" means, or 0. */
static unsigned sections_of_all(const struct report *report, const char *name, size_t n)
{
	const struct section *section;
	bool bare = n == 3 && !strncasecmp(name, "all", 3);
	unsigned sections = 0;
	char wanted[NAME_ROOM];

	if (bare && !*report->prefix)
		return report->sections ? report->sections : ~0u;
	if (bare)
		sections = report->sections;
	if (!canonical(bare ? report->prefix : name, bare ? strlen(report->prefix) : n, wanted))
		return 0;
	for (section = report->type->sections; section->bit; section++) {
		size_t prefix = strlen(section->prefix) - 1;

		if (!strncmp(section->prefix, wanted, prefix) &&
		    (!strcmp(wanted + prefix, "all") || (bare && !wanted[prefix])))
			sections |= section->bit;
	}
	return sections;
}

/* -- columns -------------------------------------------------------------------------- */

/* Hidden columns come first. */
struct column *report_add_column(struct report *report, const struct field *field, bool hidden)
{
	struct column *columns = realloc(report->columns,
					 (report->nr_columns + 1) * sizeof(*columns));
	struct column *column;

	if (!columns) {
		say("Out of memory.");
		return NULL;
	}
	report->columns = columns;
	if (hidden) {
		memmove(columns + 1, columns, report->nr_columns * sizeof(*columns));
		column = columns;
	} else {
		column = columns + report->nr_columns;
	}
	report->nr_columns++;
	*column = (struct column){ .field = field, .hidden = hidden, .sort_place = -1,
				   .implicit = report_is_special(field), .width = field->width };
	report->sections |= report_is_special(field) ? 0 : field->section;
	if (!strcmp(field->id, "selected") && column->implicit)
		report->shows_selected = true;
	return column;
}

static bool add_field(struct report *report, const char *name, size_t n, bool look_only)
{
	const struct field *field = report_find_field(report, name, n);
	unsigned sections;

	if (field && look_only) {
		report->sections |= report_is_special(field) ? 0 : field->section;
		return true;
	}
	if (field)
		return report_add_column(report, field, false) != NULL;
	sections = n ? sections_of_all(report, name, n) : 0;
	if (look_only)
		report->sections |= sections & ~SECTION_SPECIAL;
	for (field = report->type->fields; sections && !look_only && field->id; field++)
		if (field->section & sections && !report_add_column(report, field, false))
			return false;
	return sections != 0;
}

static struct column *find_column(struct report *report, const struct field *field)
{
	size_t i;

	for (i = 0; i < report->nr_columns; i++)
		if (report->columns[i].field == field)
			return &report->columns[i];
	return NULL;
}

static bool add_key(struct report *report, const char *name, size_t n, bool look_only)
{
	bool descending = n && *name == '-';
	const struct field *field;
	struct column *column;

	if (n && (*name == '+' || *name == '-')) {
		name++;
		n--;
		if (!n) {
			say("dm_report: Missing sort field name");
			return false;
		}
	}
	field = report_find_field(report, name, n);
	if (!field)
		return false;
	if (look_only) {
		report->sections |= report_is_special(field) ? 0 : field->section;
		return true;
	}
	column = find_column(report, field);
	if (!column)
		column = report_add_column(report, field, true);
	if (!column)
		return false;
	if (column->sort_place >= 0) {
		say("dm_report: Ignoring duplicate sort field: %s.", field->id);
		return true;
	}
	column->sort_place = (int)report->nr_keys++;
	column->descending = descending;
	return true;
}

/* Every part of a comma-separated list; several commas are one. */
static bool add_all(struct report *report, const char *list,
		    bool (*add)(struct report *, const char *, size_t, bool), bool look_only,
		    const char *complaint)
{
	while (*list) {
		size_t n;

		list += strspn(list, ",");
		n = strcspn(list, ",");
		if (!add(report, list, n, look_only)) {
			report_print_fields(report, true, false);
			say(" ");
			say("%s: %.*s", complaint, (int)n, list);
			return false;
		}
		list += n;
	}
	return true;
}

/*
 * Twice: "all" means every section of the report, so the sections that the other fields come
 * from have to be known before.
 */
static bool add_columns(struct report *report, const char *fields, const char *keys)
{
	int pass;

	for (pass = 0; pass < 2; pass++)
		if (!add_all(report, fields, add_field, pass == 0, "Unrecognised field") ||
		    !add_all(report, keys, add_key, pass == 0, "dm_report: Unrecognised field"))
			return false;
	return true;
}

/* Pointers to the key columns in their order: only now do the columns not move any more. */
static bool settle_keys(struct report *report)
{
	size_t i;

	report->keys = calloc(report->nr_keys + 1, sizeof(*report->keys));
	if (!report->keys) {
		say("Out of memory.");
		return false;
	}
	for (i = 0; i < report->nr_columns; i++)
		if (report->columns[i].sort_place >= 0)
			report->keys[report->columns[i].sort_place] = &report->columns[i];
	return true;
}

static bool is_help_asked(const struct report *report)
{
	size_t i;

	for (i = 0; i < report->nr_columns; i++)
		if (!report->columns[i].field->value)
			return true;
	return false;
}

static bool set_selection(struct report *report, const char *text)
{
	if (!text || !*text)
		return true;
	if (!strcasecmp(text, "help") || !strcmp(text, "?")) {
		report_print_fields(report, false, true);
		say(" ");
		report_print_operators();
		report->help_only = true;
		return true;
	}
	if (!strcasecmp(text, "all"))
		return true;
	report->selection = selection_parse(report, text);
	return report->selection != NULL;
}

struct report *report_new(const struct report_type *type, unsigned sections, const char *fields,
			  const char *separator, unsigned flags, const char *keys,
			  const char *selection)
{
	struct report *report = calloc(1, sizeof(*report));
	const struct section *section;

	if (!report) {
		say("Out of memory.");
		return NULL;
	}
	report->type = type;
	report->sections = sections;
	report->separator = separator;
	report->flags = flags & REPORT_ROWS ? flags & ~(unsigned)REPORT_ALIGNED : flags;
	report->prefix = "";
	for (section = type->sections; section->bit; section++)
		if (section->bit == sections)
			report->prefix = section->prefix;
	if (!add_columns(report, fields, keys))
		goto bad;
	if (is_help_asked(report)) {
		report_print_fields(report, true, false);
		say(" ");
		report->help_only = true;
	}
	if (!set_selection(report, selection) || !settle_keys(report))
		goto bad;
	return report;
bad:
	report_free(report);
	return NULL;
}

static void row_free(const struct report *report, struct row *row)
{
	size_t i;

	for (i = 0; row->cells && i < report->nr_columns; i++)
		free(row->cells[i].text);
	free(row->cells);
}

void report_free(struct report *report)
{
	size_t i;

	if (!report)
		return;
	for (i = 0; i < report->nr_rows; i++)
		row_free(report, &report->rows[i]);
	free(report->rows);
	free(report->columns);
	free(report->keys);
	selection_free(report->selection);
	free(report);
}

static bool fill_row(struct report *report, struct row *row, const void *object)
{
	size_t i;

	row->cells = calloc(report->nr_columns + 1, sizeof(*row->cells));
	if (!row->cells) {
		say("Out of memory.");
		return false;
	}
	for (i = 0; i < report->nr_columns; i++) {
		const struct field *field = report->columns[i].field;

		if (report->type->has && !report->columns[i].implicit &&
		    !report->type->has(object, field->section)) {
			say("_do_report_object: no data assigned to field %s", field->id);
			return false;
		}
		if (!field->value(&row->cells[i], object, field->which)) {
			say("_do_report_object: report function failed for field %s", field->id);
			return false;
		}
	}
	return true;
}

/* The special column says what became of the row. */
static bool show_selected(struct report *report, struct row *row, bool *visible)
{
	size_t i;

	for (i = 0; i < report->nr_columns; i++) {
		struct column *column = &report->columns[i];

		if (!column->implicit || strcmp(column->field->id, "selected"))
			continue;
		free(row->cells[i].text);
		if (!cell_number(&row->cells[i], row->selected))
			return false;
		*visible |= !column->hidden;
	}
	return true;
}

bool report_row(struct report *report, const void *object, bool keep, bool *selected)
{
	struct row row = { .selected = true, .number = report->nr_rows }, *rows;
	bool visible = false, good;

	if (selected)
		*selected = false;
	if (report->help_only)
		return true;
	good = fill_row(report, &row, object);
	if (good && report->selection)
		row.selected = selection_matches(report->selection, report, &row);
	if (good && report->shows_selected)
		good = show_selected(report, &row, &visible);
	if (selected && good)
		*selected = row.selected;
	if (!good || !keep || (!row.selected && !visible)) {
		row_free(report, &row);
		return good;
	}
	rows = realloc(report->rows, (report->nr_rows + 1) * sizeof(*rows));
	if (!rows) {
		say("Out of memory.");
		row_free(report, &row);
		return false;
	}
	report->rows = rows;
	rows[report->nr_rows++] = row;
	return true;
}

bool report_is_empty(const struct report *report)
{
	return !report->nr_rows;
}
