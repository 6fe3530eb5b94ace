/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exports.c - which devices can be had over NBD, and under which names.
 *
 * Every device with a live table is an export of its own name.  A volume of the YAML file may
 * give it another name and a description, or hide it.  The empty name is the export that is
 * called so, or the only one there is.  Nothing is kept: the devices are asked each time.
 *
 * A volume may name the clients that it is for (`allow`).  To others it is not listed, and the
 * empty name does not mean it.  Who is connected already stays when the rules change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "image.h"
#include "ndmd.h"
#include "tls.h"

struct export_rule {
	struct export_rule *next;
	char *device, *name, *description;
	char **allow;				/* ends with NULL; NULL: everybody */
	bool read_only, hidden;
};

/* ---- rules ---- */

static void rule_free(struct export_rule *rule)
{
	char **p;

	for (p = rule->allow; p && *p; p++)
		free(*p);
	free(rule->allow);
	free(rule->device);
	free(rule->name);
	free(rule->description);
	free(rule);
}

void exports_free_rules(struct ndmd *d)
{
	struct export_rule *rule;

	while ((rule = d->rules)) {
		d->rules = rule->next;
		rule_free(rule);
	}
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int copy_allow(struct export_rule *rule, const struct ndm_volume *v)
{
	unsigned i;

	if (!v->nallow)
		return 0;
	rule->allow = calloc(v->nallow + 1, sizeof *rule->allow);
	for (i = 0; rule->allow && i < v->nallow; i++) {
		rule->allow[i] = strdup(v->allow[i]);
		if (!rule->allow[i])
			return -ENOMEM;
	}
	return rule->allow ? 0 : -ENOMEM;
}

/* Without memory a volume is hidden rather than open to everybody. */
static struct export_rule *rule_new(const struct ndm_volume *v)
{
	struct export_rule *rule = calloc(1, sizeof *rule);

	if (!rule || !(rule->device = strdup(v->name))) {
		free(rule);
		return NULL;
	}
	rule->name = copy(v->export_name);
	rule->description = copy(v->description);
	rule->read_only = v->read_only;
	rule->hidden = v->no_export || copy_allow(rule, v);
	return rule;
}

void exports_set_rules(struct ndmd *d, const struct ndm_config *config)
{
	struct export_rule *rule;
	unsigned i;

	exports_free_rules(d);
	for (i = 0; i < config->nvolumes; i++) {
		rule = rule_new(&config->volumes[i]);
		if (!rule)
			return;
		rule->next = d->rules;
		d->rules = rule;
		if (rule->allow && d->tls_mode == TLS_OFF)
			log_line(&d->log, NDM_LOG_WARNING,
				 "volume '%s' has 'allow', but TLS is off: nobody can connect to it",
				 rule->device);
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

/* 0, -ENOKEY or -EACCES; c == NULL may have everything */
static int rule_refuses(const struct ndmd *d, const struct export_rule *rule, const struct conn *c)
{
	char **p;

	if (!rule || !rule->allow || !c)
		return 0;
	if (!c->tls)
		return d->tls_mode == TLS_OFF ? -EACCES : -ENOKEY;
	for (p = rule->allow; *p; p++)
		if (tls_conn_is(c->tls, *p))
			return 0;
	return -EACCES;
}

/* ---- to the next process (takeover.c) ---- */

void exports_pack(struct ndmd *d, struct image *im)
{
	const struct export_rule *rule;
	char **p;
	unsigned n = 0;

	for (rule = d->rules; rule; rule = rule->next)
		n++;
	image_put_number(im, n);
	for (rule = d->rules; rule; rule = rule->next) {
		image_put_text(im, rule->device);
		image_put_text(im, rule->name);
		image_put_text(im, rule->description);
		image_put_number(im, (rule->read_only ? 1 : 0) | (rule->hidden ? 2 : 0));
		for (p = rule->allow; p && *p; p++)
			image_put_text(im, *p);
		image_put_text(im, NULL);
	}
}

static int allow_add(struct export_rule *rule, unsigned n, const char *who)
{
	char **more = realloc(rule->allow, (n + 2) * sizeof *more);

	if (!more)
		return -ENOMEM;
	rule->allow = more;
	more[n + 1] = NULL;
	more[n] = strdup(who);
	return more[n] ? 0 : -ENOMEM;
}

static struct export_rule *rule_unpack(struct image_reader *r)
{
	struct export_rule *rule = calloc(1, sizeof *rule);
	const char *who;
	uint64_t flags;
	unsigned n = 0;
	int err = 0;

	if (!rule)
		return NULL;
	rule->device = copy(image_text(r));
	rule->name = copy(image_text(r));
	rule->description = copy(image_text(r));
	flags = image_number(r);
	rule->read_only = flags & 1;
	while (!err && (who = image_text(r)))
		err = allow_add(rule, n++, who);
	rule->hidden = flags & 2;
	if (!err && rule->device && !r->bad)
		return rule;
	rule_free(rule);
	return NULL;
}

/* Not in use (use = false): only read past. */
int exports_unpack(struct ndmd *d, struct image_reader *r, bool use)
{
	uint64_t n = image_number(r);
	struct export_rule *rule, **last = &d->rules;

	while (*last)
		last = &(*last)->next;
	for (; n && !r->bad; n--) {
		rule = rule_unpack(r);
		if (!rule)
			return r->bad ? 0 : -ENOMEM;	/* the reader says what is bad */
		if (!use) {
			rule_free(rule);
			continue;
		}
		*last = rule;
		last = &rule->next;
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

void exports_each(struct ndmd *d, const struct conn *c, bool (*fn)(void *, const struct export *),
		  void *arg)
{
	struct ndm_device *dev;
	struct export e;

	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev))
		if (export_fill(d, dev, &e) && !rule_refuses(d, rule_of(d, e.own_name), c) &&
		    !fn(arg, &e))
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

static int search(struct ndmd *d, const struct conn *c, const char *name, size_t bytes,
		  struct export *e)
{
	struct search s = { .name = name, .bytes = bytes };

	exports_each(d, c, search_one, &s);
	return s.n == 1 && export_fill(d, s.found, e) ? 0 : -ENOENT;
}

int exports_find(struct ndmd *d, const struct conn *c, const char *name, size_t bytes,
		 struct export *e)
{
	char text[NDM_NAME_BYTES];
	struct ndm_device *dev;

	if (!d->rules && bytes && bytes < sizeof text) {	/* no names but the devices' own */
		memcpy(text, name, bytes);
		text[bytes] = '\0';
		dev = ndm_device_by_name(d->context, text);
		return dev && export_fill(d, dev, e) ? 0 : -ENOENT;
	}
	if (!search(d, c, name, bytes, e))
		return 0;
	if (!c || search(d, NULL, name, bytes, e))
		return -ENOENT;
	return rule_refuses(d, rule_of(d, e->own_name), c);	/* why it was not among them */
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

	exports_each(d, NULL, count_one, &n);
	return n;
}

/* ---- for people ---- */

/* Connections hold the device; who else does is a table. */
unsigned exports_clients(struct ndm_device *dev)
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
		   exports_clients(e->device), e->description ? e->description : "");
	return true;
}

void exports_list(void *ndmd, struct ndm_str *answer)
{
	exports_each(ndmd, NULL, list_one, answer);
}
