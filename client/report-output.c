/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report-output.c - a report on standard output: aligned columns, separated values, NAME='value'
 * pairs, fields as rows, or JSON.  Every column is padded, the last one, too.
 */
#include "report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, not characters: that is what dmsetup counts. */
static void set_widths(struct report *report)
{
	size_t i, j;

	for (j = 0; j < report->nr_columns; j++)
		report->columns[j].width = report->columns[j].field->width;
	for (i = 0; i < report->nr_rows; i++)
		for (j = 0; j < report->nr_columns; j++) {
			int n = (int)strlen(report->rows[i].cells[j].text);

			if (n > report->columns[j].width)
				report->columns[j].width = n;
		}
}

void report_headings(struct report *report)
{
	bool first = true;
	size_t i;

	report->headings_printed = true;
	if (!(report->flags & REPORT_HEADINGS) || report->flags & REPORT_ROWS)
		return;
	set_widths(report);
	for (i = 0; i < report->nr_columns; i++) {
		const struct column *column = &report->columns[i];

		if (column->hidden)
			continue;
		if (!first)
			fputs(report->separator, stdout);
		first = false;
		if (report->flags & REPORT_ALIGNED)
			printf("%-*.*s", column->width, column->width, column->field->heading);
		else
			fputs(column->field->heading, stdout);
	}
	putchar('\n');
}

static void print_cell(const struct report *report, const struct column *column,
		       const struct cell *cell)
{
	const char *c;

	if (report->flags & REPORT_PREFIXES) {
		fputs("DM_", stdout);
		for (c = column->field->id; *c; c++)
			putchar(toupper((unsigned char)*c));
		fputs(report->flags & REPORT_UNQUOTED ? "=" : "='", stdout);
	}
	if (!(report->flags & REPORT_ALIGNED))
		fputs(cell->text, stdout);
	else if (column->field->kind == FIELD_STRING)
		printf("%-*.*s", column->width, column->width, cell->text);
	else
		printf("%*.*s", column->width, column->width, cell->text);
	if (report->flags & REPORT_PREFIXES && !(report->flags & REPORT_UNQUOTED))
		putchar('\'');
}

static int compare_cells(const struct column *column, const struct cell *a, const struct cell *b)
{
	int order;

	if (column->field->kind == FIELD_STRING)
		order = strcmp(a->text, b->text);
	else if (a->is_real)
		order = a->real < b->real ? -1 : a->real > b->real;
	else
		order = a->number < b->number ? -1 : a->number > b->number;
	return column->descending ? -order : order;
}

static int compare_rows(const void *left, const void *right, void *data)
{
	const struct row *a = left, *b = right;
	const struct report *report = data;
	size_t i;
	int order;

	for (i = 0; i < report->nr_keys; i++) {
		size_t at = (size_t)(report->keys[i] - report->columns);

		order = compare_cells(report->keys[i], &a->cells[at], &b->cells[at]);
		if (order)
			return order;
	}
	return a->number < b->number ? -1 : a->number > b->number;
}

static void print_as_rows(const struct report *report)
{
	size_t i, j;

	for (j = 0; j < report->nr_columns; j++) {
		const struct column *column = &report->columns[j];

		if (column->hidden)
			continue;
		if (report->flags & REPORT_HEADINGS)
			printf("%s%s", column->field->heading, report->separator);
		for (i = 0; i < report->nr_rows; i++) {
			if (i)
				fputs(report->separator, stdout);
			print_cell(report, column, &report->rows[i].cells[j]);
		}
		putchar('\n');
	}
}

static void print_as_columns(const struct report *report)
{
	size_t i, j;

	for (i = 0; i < report->nr_rows; i++) {
		bool first = true;

		for (j = 0; j < report->nr_columns; j++) {
			if (report->columns[j].hidden)
				continue;
			if (!first)
				fputs(report->separator, stdout);
			first = false;
			print_cell(report, &report->columns[j], &report->rows[i].cells[j]);
		}
		putchar('\n');
	}
}

static void sort_rows(struct report *report)
{
	if (report->nr_rows)
		qsort_r(report->rows, report->nr_rows, sizeof(*report->rows), compare_rows,
			report);
}

static void drop_rows(struct report *report)
{
	size_t i, j;

	for (i = 0; i < report->nr_rows; i++) {
		for (j = 0; j < report->nr_columns; j++)
			free(report->rows[i].cells[j].text);
		free(report->rows[i].cells);
	}
	report->nr_rows = 0;
}

/* Rows as objects, into an array that is open. */
void report_json(struct report *report, struct json *json)
{
	size_t i, j;

	sort_rows(report);
	for (i = 0; i < report->nr_rows; i++) {
		json_open(json, '{');
		for (j = 0; j < report->nr_columns; j++) {
			const struct column *column = &report->columns[j];
			const struct cell *cell = &report->rows[i].cells[j];

			if (column->hidden)
				continue;
			json_name(json, column->field->id);
			if (column->field->kind == FIELD_SIZE)
				json_number(json, (uint64_t)cell->real * 512);
			else if (column->field->kind == FIELD_NUMBER && cell->is_real)
				json_real(json, cell->real);
			else if (column->field->kind == FIELD_NUMBER && strcmp(cell->text, "-"))
				json_number(json, cell->number);
			else
				json_string(json, cell->text);
		}
		json_close(json, '}');
	}
	drop_rows(report);
}

/* Prints what rows there are and forgets them. */
void report_output(struct report *report)
{
	if (!report->nr_rows)
		return;
	set_widths(report);
	sort_rows(report);
	if (report->flags & REPORT_ROWS) {
		print_as_rows(report);
	} else {
		if (!report->headings_printed)
			report_headings(report);
		print_as_columns(report);
	}
	drop_rows(report);
}
