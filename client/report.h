/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - tables of fields: which columns, which rows, in which order, printed how.
 *
 * A report is made from a list of fields, gets rows with report_row() and is printed by
 * report_output().  Functions that return bool have said what is wrong.
 */
#ifndef NDM_CLIENT_REPORT_H
#define NDM_CLIENT_REPORT_H

#include "client.h"

enum field_kind { FIELD_STRING, FIELD_NUMBER, FIELD_SIZE };

/* A value as shown, and as it is sorted and selected by. */
struct cell {
	char *text;
	double real;			/* sizes (sectors) and fractions */
	uint64_t number;
	bool is_real;
};

struct field {
	unsigned section;		/* bit of its section */
	enum field_kind kind;
	int width;			/* at least */
	const char *id, *heading;
	bool (*value)(struct cell *cell, const void *object, int which);
	int which;			/* for functions that serve several fields */
	const char *help;
};

struct section {
	unsigned bit;
	const char *title, *prefix;
};

struct report_type {
	const struct field *fields;	/* ends with id NULL */
	const struct section *sections;	/* ends with bit 0 */
	bool (*has)(const void *object, unsigned section);	/* NULL: every object has all */
};

enum report_flags {
	REPORT_ALIGNED = 1, REPORT_HEADINGS = 2, REPORT_PREFIXES = 4, REPORT_UNQUOTED = 8,
	REPORT_ROWS = 16, REPORT_JSON = 32,
};

struct column {
	const struct field *field;
	bool hidden, implicit, descending;
	int sort_place;			/* -1: no key */
	int width;
};

struct row {
	struct cell *cells;
	bool selected;
	size_t number;			/* order of arrival */
};

struct selection;

struct report {
	const struct report_type *type;
	unsigned flags, sections;	/* sections: bits of those that columns come from */
	const char *separator;
	const char *prefix;		/* of fields, that may be left out of their names */
	struct column *columns;
	size_t nr_columns;
	struct column **keys;
	size_t nr_keys;
	struct selection *selection;
	struct row *rows;
	size_t nr_rows;
	bool help_only, headings_printed, shows_selected;
};

/*
 * fields and keys: comma-separated lists.  sections: what the caller asks for anyway.
 * selection may be NULL.
 */
struct report *report_new(const struct report_type *type, unsigned sections, const char *fields,
			  const char *separator, unsigned flags, const char *keys,
			  const char *selection);
void report_free(struct report *report);
/* selected may be NULL; with keep false the row is only looked at */
bool report_row(struct report *report, const void *object, bool keep, bool *selected);
bool report_is_empty(const struct report *report);
void report_output(struct report *report);
void report_headings(struct report *report);
void report_json(struct report *report, struct json *json);

bool cell_string(struct cell *cell, const char *text);
bool cell_number(struct cell *cell, uint64_t number);
bool cell_signed(struct cell *cell, int number);
bool cell_real(struct cell *cell, const char *format, double number);
bool cell_take(struct cell *cell, char *text);	/* takes the text */

/* among the parts: report.c, report-output.c, report-select.c, report-help.c */
struct column *report_add_column(struct report *report, const struct field *field, bool hidden);
const struct field *report_find_field(const struct report *report, const char *name, size_t n);
bool report_is_special(const struct field *field);
void report_print_fields(const struct report *report, bool with_all, bool with_kinds);
void report_print_operators(void);
struct selection *selection_parse(struct report *report, const char *text);
void selection_free(struct selection *selection);
bool selection_matches(const struct selection *selection, const struct report *report,
		       const struct row *row);
extern const struct field report_special_fields[];

struct operator {
	const char *text;
	unsigned what;
	const char *help;
};
extern const struct operator compare_operators[], logic_operators[];

#endif
