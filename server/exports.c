/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exports.c - which devices can be had over NBD, and under which names.
 *
 * Every device with a live table is an export of its own name.  A volume of the YAML file may
 * give it another name and a description, or hide it.  The empty name is the export that is
 * called so, or the only one there is.  Nothing is kept: the devices are asked each time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "image.h"
#include "ndmd.h"

struct export_rule {
	struct export_rule *next;
	char *device, *name, *description;
	bool read_only, hidden;
};

/* ---- rules ---- */

void exports_free_rules(struct ndmd *d)
{
	struct export_rule *rule;

	while ((rule = d->rules)) {
		d->rules = rule->next;
		free(rule->device);
		free(rule->name);
		free(rule->description);
		free(rule);
	}
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

void exports_set_rules(struct ndmd *d, const struct ndm_config *config)
{
	struct export_rule *rule;
	unsigned i;

	exports_free_rules(d);
	for (i = 0; i < config->nvolumes; i++) {
		const struct ndm_volume *v = &config->volumes[i];

		rule = calloc(1, sizeof *rule);
		if (!rule || !(rule->device = strdup(v->name))) {
			free(rule);
			return;
		}
		rule->name = copy(v->export_name);
		rule->description = copy(v->description);
		rule->read_only = v->read_only;
		rule->hidden = v->no_export;
		rule->next = d->rules;
		d->rules = rule;
	}
}

static const struct export_rule *rule_of(const struct ndmd *d, const char *device)
{
	const struct export_rule *rule;

	for (rule = d->rules; rule; rule = rule->next)
		if (!strcmp(rule->device, device))
			return rule;
	return NULL;
}

void exports_pack(struct ndmd *d, struct image *im)
{
	const struct export_rule *rule;
	unsigned n = 0;

	for (rule = d->rules; rule; rule = rule->next)
		n++;
	image_put_number(im, n);
	for (rule = d->rules; rule; rule = rule->next) {
		image_put_text(im, rule->device);
		image_put_text(im, rule->name);
		image_put_text(im, rule->description);
		image_put_number(im, (rule->read_only ? 1 : 0) | (rule->hidden ? 2 : 0));
	}
}

/* Not in use (use = false): only read past. */
int exports_unpack(struct ndmd *d, struct image_reader *r, bool use)
{
	uint64_t n = image_number(r), flags;
	struct export_rule *rule, **last = &d->rules;
	const char *device, *name, *description;

	while (*last)
		last = &(*last)->next;
	for (; n && !r->bad; n--) {
		device = image_text(r);
		name = image_text(r);
		description = image_text(r);
		flags = image_number(r);
		if (!use || !device)
			continue;
		rule = calloc(1, sizeof *rule);
		if (!rule)
			return -ENOMEM;
		rule->device = strdup(device);
		rule->name = copy(name);
		rule->description = copy(description);
		rule->read_only = flags & 1;
		rule->hidden = flags & 2;
		*last = rule;
		last = &rule->next;
		if (!rule->device)
			return -ENOMEM;
	}
	return 0;
}

/* ---- looking ---- */

static bool export_fill(struct ndmd *d, struct ndm_device *dev, struct export *e)
{
	const struct export_rule *rule;

	ndm_device_info(dev, &e->info);
	if (!(e->info.flags & NDM_DEVICE_LIVE))
		return false;
	rule = rule_of(d, e->info.name);
	if (rule && rule->hidden)
		return false;
	memcpy(e->own_name, e->info.name, sizeof e->own_name);
	e->device = dev;
	e->name = rule && rule->name ? rule->name : e->own_name;
	e->description = rule ? rule->description : NULL;
	e->read_only = d->opt.read_only || (rule && rule->read_only) ||
		       (e->info.flags & NDM_DEVICE_READ_ONLY);
	return true;
}

void exports_each(struct ndmd *d, bool (*fn)(void *, const struct export *), void *arg)
{
	struct ndm_device *dev;
	struct export e;

	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev))
		if (export_fill(d, dev, &e) && !fn(arg, &e))
			return;
}

struct search { const char *name; size_t bytes; struct ndm_device *found; unsigned n; };

static bool search_one(void *arg, const struct export *e)
{
	struct search *s = arg;

	if (strlen(e->name) == s->bytes && !memcmp(e->name, s->name, s->bytes)) {
		s->found = e->device;
		s->n = 1;
		return false;
	}
	if (!s->bytes) {			/* the only one, if it stays so */
		s->found = e->device;
		s->n++;
	}
	return true;
}

int exports_find(struct ndmd *d, const char *name, size_t bytes, struct export *e)
{
	struct search s = { .name = name, .bytes = bytes };
	char text[NDM_NAME_BYTES];
	struct ndm_device *dev;

	if (!d->rules && bytes && bytes < sizeof text) {	/* no names but the devices' own */
		memcpy(text, name, bytes);
		text[bytes] = '\0';
		dev = ndm_device_by_name(d->context, text);
		return dev && export_fill(d, dev, e) ? 0 : -ENOENT;
	}
	exports_each(d, search_one, &s);
	if (s.n != 1)
		return -ENOENT;
	return export_fill(d, s.found, e) ? 0 : -ENOENT;
}

static bool count_one(void *arg, const struct export *e)
{
	(void)e;
	++*(unsigned *)arg;
	return true;
}

unsigned exports_count(struct ndmd *d)
{
	unsigned n = 0;

	exports_each(d, count_one, &n);
	return n;
}

/* ---- for people ---- */

/* Connections hold the device; who else does is a table. */
static unsigned clients_of(struct ndm_device *dev)
{
	struct ndm_str holders = { 0 };
	const char *line;
	unsigned n = 0;

	ndm_device_holders(dev, &holders);
	for (line = holders.text; line && *line; line = strchr(line, '\n'), line += !!line) {
		n += !strncmp(line, "client ", 7);
		if (!strchr(line, '\n'))
			break;
	}
	ndm_str_free(&holders);
	return n;
}

static bool list_one(void *arg, const struct export *e)
{
	ndm_printf(arg, "%s\t%s\t%llu\t%s\t%u\t%s\n", e->name, e->own_name,
		   (unsigned long long)e->info.nr << NDM_SECTOR_SHIFT, e->read_only ? "ro" : "rw",
		   clients_of(e->device), e->description ? e->description : "");
	return true;
}

void exports_list(void *ndmd, struct ndm_str *answer)
{
	exports_each(ndmd, list_one, answer);
}
