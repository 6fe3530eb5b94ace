/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volumes.c - devices that the server itself makes: from --create and from the YAML file; and
 * their end.  All of it runs in tasks of the first loop.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ndmd.h"
#include "state.h"
#include "takeover.h"

/* ---- --create ---- */

/* Does a table line begin here: "START LENGTH TYPE"? */
static bool line_begins(const char *p)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		p += strspn(p, " \t");
		if (!isdigit((unsigned char)*p))
			return false;
		p += strspn(p, "0123456789");
		if (*p != ' ' && *p != '\t')
			return false;
	}
	p += strspn(p, " \t");
	return isalpha((unsigned char)*p);
}

/* Commas separate lines, too, where the next line begins behind one: arguments may have them. */
static void commas_to_newlines(char *p)
{
	for (; *p; p++)
		if (*p == ',' && line_begins(p + 1))
			*p = '\n';
}

/* How long the name is that *text begins with, its blanks passed over; 0: there is none. */
static size_t create_name(const char **text, const char **colon)
{
	const char *end;

	*colon = strstr(*text, ": ");
	if (!*colon)
		*colon = strchr(*text, ':');
	*text += strspn(*text, " \t\n");
	end = *colon;
	while (end && end > *text && isspace((unsigned char)end[-1]))
		end--;
	return end && end > *text ? (size_t)(end - *text) : 0;
}

bool volumes_create_names(const char *text, const char *name)
{
	const char *colon;
	size_t bytes = create_name(&text, &colon);

	return bytes && bytes == strlen(name) && !memcmp(text, name, bytes);
}

static int split_create(const char *text, char **name, char **table, struct ndm_str *why)
{
	const char *colon;
	size_t bytes = create_name(&text, &colon);

	if (!bytes) {
		ndm_printf(why, "--create wants 'NAME: TABLE', not '%s'", text);
		return -EINVAL;
	}
	*name = strndup(text, bytes);
	*table = strdup(colon + 1);
	if (!*name || !*table)
		return -ENOMEM;
	commas_to_newlines(*table);
	return 0;
}

static int bring_up(struct ndmd *d, const char *name, const struct ndm_table_line *lines, unsigned n,
		    struct ndm_str *why)
{
	struct ndm_device *dev;
	int err;

	err = ndm_device_create(d->context, name, NULL, -1, &dev);
	if (err) {
		ndm_printf(why, "%s: %s", name, err == -EBUSY ? "the name is taken" : strerror(-err));
		return err == -EBUSY ? -EEXIST : err;	/* by another of the same command line */
	}
	ndm_device_hold(dev);
	err = ndm_device_load(dev, lines, n, d->opt.read_only, why);
	if (!err)
		err = ndm_device_resume(dev, 0, why);
	if (err) {
		if (!why->len)
			ndm_printf(why, "%s", strerror(-err));
		ndm_device_remove(dev, false, NULL);
	}
	ndm_device_put(dev);
	return err;
}

int volumes_create(struct ndmd *d, const char *text, struct ndm_str *why)
{
	struct ndm_table_line *lines = NULL;
	char *name = NULL, *table = NULL;
	struct ndm_str reason = { 0 };
	unsigned n;
	int err;

	err = split_create(text, &name, &table, why);
	if (!err)
		err = ndm_table_parse(table, &lines, &n, &reason);
	if (!err && !n) {
		ndm_printf(&reason, "the table has no lines");
		err = -EINVAL;
	}
	if (!err)
		err = bring_up(d, name, lines, n, &reason);
	if (err && reason.len)
		ndm_printf(why, "%s: %s", name, reason.text);
	ndm_str_free(&reason);
	ndm_free(lines);
	free(table);
	free(name);
	return err;
}

/* ---- YAML ---- */

int volumes_bring(struct ndmd *d, struct ndm_config *config, bool dry, struct ndm_str *plan,
		  struct ndm_str *why)
{
	unsigned i;
	int err;

	for (i = 0; d->opt.read_only && i < config->nvolumes; i++)
		config->volumes[i].read_only = true;
	if (dry) {
		err = ndm_config_plan(d->context, config, plan);
		return err ? err : ndm_config_check(d->context, config, why);
	}
	exports_set_rules(d, config);		/* first: a new export appears under its name */
	err = ndm_config_apply(d->context, config, plan, why);
	return err;
}

int volumes_apply(struct ndmd *d, const char *yaml, size_t bytes, bool dry, struct ndm_str *plan,
		  struct ndm_str *why)
{
	struct ndm_config *config = NULL;
	int err;

	if (yaml) {
		err = ndm_config_parse("(request)", yaml, bytes, &config, why);
	} else if (d->opt.config) {
		err = ndm_config_read(d->opt.config, &config, why);
	} else {
		ndm_printf(why, "ndmd was started without a file of volumes");
		return -ENOENT;
	}
	if (err)
		return err;
	ndm_lock(&d->apply_lock);
	if (!yaml && !dry)
		state_file_names(d, config);
	err = volumes_bring(d, config, dry, plan, why);
	if (!dry)
		state_sync(d);
	ndm_unlock(&d->apply_lock);
	ndm_config_free(config);
	return err;
}

void volumes_explain(const struct ndm_config *config, struct ndm_str *out)
{
	unsigned i, j;

	for (i = 0; i < config->nvolumes; i++) {
		const struct ndm_volume *v = &config->volumes[i];

		for (j = 0; j < v->nlines; j++) {
			const struct ndm_table_line *l = &v->lines[j];

			ndm_printf(out, "%s: %llu %llu %s%s%s\n", v->name,
				   (unsigned long long)l->start, (unsigned long long)l->nr, l->type,
				   l->args && *l->args ? " " : "", l->args ? l->args : "");
		}
	}
}

/* ---- the end ---- */

/* Requests that wait for a resume would wait for ever: the old table takes them. */
void volumes_wake_suspended(struct ndmd *d)
{
	struct ndm_device *dev, *next;
	struct ndm_device_info info;
	struct ndm_str why = { 0 };

	for (dev = ndm_device_first(d->context); dev; dev = next) {
		ndm_device_hold(dev);
		ndm_device_info(dev, &info);
		if ((info.flags & NDM_DEVICE_SUSPENDED) && (info.flags & NDM_DEVICE_LIVE) &&
		    info.open_count) {
			ndm_device_clear(dev);
			if (ndm_device_resume(dev, 0, &why))
				log_line(&d->log, NDM_LOG_ERROR, "%s: cannot resume: %s", info.name,
					 why.len ? why.text : "no reason given");
			ndm_str_free(&why);
		}
		next = ndm_device_next(dev);
		ndm_device_put(dev);
	}
}

static bool remove_one(struct ndmd *d, struct ndm_device *dev)
{
	struct ndm_device_info info;
	int err = 0;

	ndm_device_hold(dev);
	ndm_device_info(dev, &info);
	if (info.open_count) {
		ndm_device_put(dev);
		return false;
	}
	if ((info.flags & NDM_DEVICE_LIVE) && !(info.flags & NDM_DEVICE_SUSPENDED))
		err = ndm_device_suspend(dev, 0);	/* everything written is made durable */
	if (err)
		log_line(&d->log, NDM_LOG_ERROR, "%s: cannot flush: %s", info.name, strerror(-err));
	if (!takeover_recall(d, dev)) {
		ndm_device_put(dev);
		return false;
	}
	err = ndm_device_remove(dev, false, NULL);
	if (err && err != -ENXIO)
		log_line(&d->log, NDM_LOG_ERROR, "%s: cannot remove: %s", info.name, strerror(-err));
	ndm_device_put(dev);
	return !err;
}

/* From the top of each stack down: a device is free once those that use it are gone. */
void volumes_remove_all(struct ndmd *d)
{
	struct ndm_device *dev;
	bool progress = true;

	while (progress) {
		progress = false;
		for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev))
			if (remove_one(d, dev)) {
				progress = true;
				break;		/* the list has changed while we waited */
			}
	}
}
