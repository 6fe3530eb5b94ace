/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report-select.c - selections: FIELD OPERATOR VALUE, joined by && (,) and || (#), grouped by
 * ( ), negated by !( ).  "and" binds tighter than "or".
 */
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum {
	CMP_EQUAL = 1, CMP_NOT = 2, CMP_GREATER = 4, CMP_LESS = 8, CMP_REGEX = 16, CMP_TIME = 32,
	CMP_ORDER = CMP_GREATER | CMP_LESS,
	LOG_AND = 1, LOG_OR = 2, LOG_NOT = 4, LOG_OPEN = 8, LOG_CLOSE = 16, LOG_OTHER = 32,
};

/* Where one operator begins another the longer one comes first. */
const struct operator compare_operators[] = {
	{ "=~", CMP_REGEX, "Matching regular expression. [regex]" },
	{ "!~", CMP_REGEX | CMP_NOT, "Not matching regular expression. [regex]" },
	{ "=", CMP_EQUAL, "Equal to. [number, size, percent, string, string list, time]" },
	{ "!=", CMP_EQUAL | CMP_NOT,
	  "Not equal to. [number, size, percent, string, string list, time]" },
	{ ">=", CMP_GREATER | CMP_EQUAL,
	  "Greater than or equal to. [number, size, percent, time]" },
	{ ">", CMP_GREATER, "Greater than. [number, size, percent, time]" },
	{ "<=", CMP_LESS | CMP_EQUAL, "Less than or equal to. [number, size, percent, time]" },
	{ "<", CMP_LESS, "Less than. [number, size, percent, time]" },
	{ "since", CMP_TIME | CMP_GREATER | CMP_EQUAL, "Since that time (as '>='). [time]" },
	{ "after", CMP_TIME | CMP_GREATER, "After that time (as '>'). [time]" },
	{ "until", CMP_TIME | CMP_LESS | CMP_EQUAL, "Until that time (as '<='). [time]" },
	{ "before", CMP_TIME | CMP_LESS, "Before that time (as '<'). [time]" },
	{ .text = NULL }
};

const struct operator logic_operators[] = {
	{ "&&", LOG_AND, "All fields must match" },
	{ ",", LOG_AND, "All fields must match" },
	{ "||", LOG_OR, "At least one field must match" },
	{ "#", LOG_OR, "At least one field must match" },
	{ "!", LOG_NOT, "Logical negation" },
	{ "(", LOG_OPEN, "Left parenthesis" },
	{ ")", LOG_CLOSE, "Right parenthesis" },
	{ "[", LOG_OTHER, "List start" },
	{ "]", LOG_OTHER, "List end" },
	{ "{", LOG_OTHER, "List subset start" },
	{ "}", LOG_OTHER, "List subset end" },
	{ .text = NULL }
};

enum node_kind { NODE_COMPARE, NODE_AND, NODE_OR };

struct selection {
	enum node_kind kind;
	bool negated;
	struct selection *first, *next;		/* parts of "and" and "or"; sibling */
	const struct field *field;
	unsigned compare;
	char *text;
	uint64_t number;
	double real;
	regex_t regex;
	bool has_regex;
};

struct parser {
	struct report *report;
	const char *at;
	const char *begin;	/* of the comparison being read */
	bool explained;		/* the value is well formed, but does not fit: no syntax error */
};

static const char *skip_blanks(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* The operator of the kinds wanted that begins at *s, which moves behind it; or 0. */
static unsigned take(const struct operator *ops, const char **s, unsigned wanted)
{
	const char *at = skip_blanks(*s);

	for (; ops->text; ops++)
		if (ops->what & wanted && !strncmp(at, ops->text, strlen(ops->text))) {
			*s = at + strlen(ops->text);
			return ops->what;
		}
	return 0;
}

void selection_free(struct selection *selection)
{
	while (selection) {
		struct selection *next = selection->next;

		selection_free(selection->first);
		if (selection->has_regex)
			regfree(&selection->regex);
		free(selection->text);
		free(selection);
		selection = next;
	}
}

static bool complain(const char *at)
{
	say("Selection syntax error at '%s'.", at);
	say("Use 'help' for selection to get more help.");
	return false;
}

/* -- values ------------------------------------------------------------------------- */

/* Quoted, or up to a blank or an operator that can follow a comparison. */
static bool take_text(struct parser *p, char quote, char **text)
{
	const char *begin = p->at, *end;

	if (quote) {
		end = strchr(begin, quote);
		if (!end) {
			say("Missing end quote.");
			return false;
		}
		p->at = end + 1;
	} else {
		for (end = begin; *end && *end != ' '; end++) {
			const char *here = end;

			if (take(logic_operators, &here, LOG_AND | LOG_OR | LOG_CLOSE))
				break;
		}
		p->at = end;
	}
	*text = strndup(begin, (size_t)(end - begin));
	if (!*text)
		say("Out of memory.");
	return *text != NULL;
}

static bool take_regex(struct parser *p, struct selection *node)
{
	static const char opening[] = "({[\"'", closing[] = ")}]\"'";
	const char *c;
	char quote = 0;

	p->at = skip_blanks(p->at);
	if (!*p->at) {
		say("Regular expression expected for selection field %s", node->field->id);
		return false;
	}
	c = strchr(opening, *p->at);
	if (c) {
		quote = closing[c - opening];
		p->at++;
	}
	if (!take_text(p, quote, &node->text)) {
		say("Failed to parse regex value for selection field %s.", node->field->id);
		return false;
	}
	if (node->field->kind != FIELD_STRING) {
		p->explained = true;
		say("dm_report: incompatible comparison type for selection field %s",
		    node->field->id);
		return false;
	}
	if (!*node->text) {
		say("missing ')' in regular expression");
		say("Parse error in regex");
		say("Couldn't parse regex");
	}
	if (!*node->text || regcomp(&node->regex, node->text, REG_EXTENDED | REG_NOSUB)) {
		p->explained = true;
		say("dm_report: failed to create regex matcher for selection field %s",
		    node->field->id);
		return false;
	}
	node->has_regex = true;
	return true;
}

static bool take_number(struct parser *p, struct selection *node)
{
	const char *begin = p->at, *end;
	uint64_t factor;
	char unit;

	p->at += strspn(p->at, "0123456789");
	if (*p->at == '.')
		p->at += 1 + strspn(p->at + 1, "0123456789");
	if (p->at == begin) {
		say("Failed to parse numeric value for selection field %s.", node->field->id);
		return false;
	}
	errno = 0;
	node->number = strtoull(begin, NULL, 10);
	if (errno) {
		p->explained = true;
		say("Field selection value %.*s out of supported range for field %s.",
		    (int)(p->at - begin), begin, node->field->id);
		return false;
	}
	node->real = strtod(begin, NULL);
	if (*p->at == '%') {
		say("Found percent value but %s value expected for selection field %s.",
		    node->field->kind == FIELD_NUMBER ? "numeric" : "size", node->field->id);
		return false;
	}
	factor = units_factor(p->at, &unit, &end);
	if (factor && node->field->kind != FIELD_SIZE) {
		say("Found size unit specifier but numeric value expected for selection field %s.",
		    node->field->id);
		return false;
	}
	if (factor)
		p->at = end;
	if (node->field->kind == FIELD_SIZE)
		node->real = node->real * (double)(factor ? factor : 1 << 20) / 512;
	return true;
}

static bool take_value(struct parser *p, struct selection *node)
{
	char quote = 0;

	if (node->compare & CMP_REGEX)
		return take_regex(p, node);
	if (node->compare & CMP_TIME) {
		report_print_operators();
		say("Operator can be used only with time fields: %s", p->begin);
		return false;
	}
	if (node->compare & CMP_ORDER && node->field->kind == FIELD_STRING) {
		report_print_operators();
		say("Operator can be used only with number, size, time or percent fields: %s",
		    p->begin);
		return false;
	}
	p->at = skip_blanks(p->at);
	if (node->field->kind != FIELD_STRING)
		return take_number(p, node);
	if (*p->at == '"' || *p->at == '\'')
		quote = *p->at++;
	if (take_text(p, quote, &node->text))
		return true;
	say("Failed to parse string value for selection field %s.", node->field->id);
	return false;
}

/* -- grammar ------------------------------------------------------------------------ */

static struct selection *node_new(enum node_kind kind)
{
	struct selection *node = calloc(1, sizeof(*node));

	if (!node)
		say("Out of memory.");
	else
		node->kind = kind;
	return node;
}

static bool has_column(const struct report *report, const struct field *field)
{
	size_t i;

	for (i = 0; i < report->nr_columns; i++)
		if (report->columns[i].field == field)
			return true;
	return false;
}

static bool take_field(struct parser *p, struct selection *node)
{
	const char *begin = p->at;
	size_t n = 0;

	while (isalnum((unsigned char)begin[n]) || (begin[n] && strchr("_-", begin[n])))
		n++;
	if (!n) {
		say("Expecting field name");
		return false;
	}
	node->field = report_find_field(p->report, begin, n);
	if (!node->field || !node->field->value) {
		report_print_fields(p->report, false, true);
		say(" ");
		say(node->field ? "Selection field is uncomparable: %.*s." :
		    "Unrecognised selection field: %.*s", (int)n, begin);
		return false;
	}
	p->at = begin + n;
	return true;
}

static struct selection *parse_compare(struct parser *p)
{
	struct selection *node = node_new(NODE_COMPARE);
	const char *begin = p->at = p->begin = skip_blanks(p->at);
	bool good = node && take_field(p, node);

	if (good) {
		node->compare = take(compare_operators, &p->at, ~0u);
		good = node->compare;
		if (!good) {
			report_print_operators();
			say("Unrecognised comparison operator: %s", p->at);
		}
	}
	if (good && take_value(p, node)) {
		p->at = skip_blanks(p->at);
		if (has_column(p->report, node->field) ||
		    report_add_column(p->report, node->field, true))
			return node;
	} else if (node && !p->explained) {
		complain(begin);
	}
	selection_free(node);
	return NULL;
}

static struct selection *parse_or(struct parser *p);

static struct selection *parse_item(struct parser *p)
{
	unsigned op = take(logic_operators, &p->at, LOG_NOT | LOG_OPEN);
	struct selection *node;

	if (!op)
		return parse_compare(p);
	if (op == LOG_NOT && !take(logic_operators, &p->at, LOG_OPEN)) {
		say("Syntax error: left parenthesis expected at '%s'", p->at);
		return NULL;
	}
	node = parse_or(p);
	if (!node)
		return NULL;
	if (!take(logic_operators, &p->at, LOG_CLOSE)) {
		say("Syntax error: right parenthesis expected at '%s'", p->at);
		selection_free(node);
		return NULL;
	}
	/* !(!(x)) is !(x) to libdevmapper */
	if (op == LOG_NOT)
		node->negated = true;
	return node;
}

/* part (operator part)*; one part alone stands for itself */
static struct selection *parse_series(struct parser *p, struct selection *(*part)(struct parser *),
				      unsigned op, enum node_kind kind)
{
	struct selection *node, **last, *first = part(p);

	if (!first || !take(logic_operators, &p->at, op))
		return first;
	node = node_new(kind);
	if (!node) {
		selection_free(first);
		return NULL;
	}
	node->first = first;
	last = &first->next;
	do {
		*last = part(p);
		if (!*last) {
			selection_free(node);
			return NULL;
		}
		last = &(*last)->next;
	} while (take(logic_operators, &p->at, op));
	return node;
}

static struct selection *parse_and(struct parser *p)
{
	return parse_series(p, parse_item, LOG_AND, NODE_AND);
}

static struct selection *parse_or(struct parser *p)
{
	return parse_series(p, parse_and, LOG_OR, NODE_OR);
}

struct selection *selection_parse(struct report *report, const char *text)
{
	struct parser p = { .report = report, .at = text };
	struct selection *selection = parse_or(&p);

	if (!selection)
		return NULL;
	p.at = skip_blanks(p.at);
	if (*p.at) {
		say("Expecting logical operator");
		complain(p.at);
		selection_free(selection);
		return NULL;
	}
	return selection;
}

/* -- matching ------------------------------------------------------------------------- */

static bool compare(const struct selection *node, const struct cell *cell)
{
	const struct field *field = node->field;
	int order;
	bool match;

	if (node->compare & CMP_REGEX) {
		match = !regexec(&node->regex, cell->text, 0, NULL, 0);
		return node->compare & CMP_NOT ? !match : match;
	}
	if (field->kind == FIELD_STRING)
		order = strcmp(cell->text, node->text);
	else if (cell->is_real)
		order = fabs(cell->real - node->real) < 1e-9 ? 0 : cell->real < node->real ? -1 : 1;
	else
		order = cell->number < node->number ? -1 : cell->number > node->number;
	match = (node->compare & CMP_EQUAL && !order) ||
		(node->compare & CMP_GREATER && order > 0) ||
		(node->compare & CMP_LESS && order < 0);
	return node->compare & CMP_NOT ? !match : match;
}

static bool matches_one(const struct selection *node, const struct report *report,
			const struct row *row)
{
	const struct selection *part;
	bool match = node->kind == NODE_AND;
	size_t i;

	if (node->kind == NODE_COMPARE) {
		for (i = 0; i < report->nr_columns; i++)
			if (report->columns[i].field == node->field)
				break;
		match = i < report->nr_columns && compare(node, &row->cells[i]);
	} else {
		for (part = node->first; part; part = part->next)
			if (matches_one(part, report, row) != match) {
				match = !match;
				break;
			}
	}
	return node->negated ? !match : match;
}

bool selection_matches(const struct selection *selection, const struct report *report,
		       const struct row *row)
{
	return matches_one(selection, report, row);
}
