/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dev.c - devices of a script: made through the public interface of hosts, remembered by
 * name across power cuts together with their oracles.
 */
#include "priv.h"

struct sim_dev *sim_dev(struct sim *s, const char *name)
{
	struct sim_dev *d;

	for (d = s->devs; d; d = d->next)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

bool sim_dev_is_up(const struct sim_dev *d)
{
	return d->opener;
}

const char *sim_dev_name(const struct sim_dev *d)
{
	return d->name;
}

struct ndm_device *sim_dev_device(const struct sim_dev *d)
{
	return d->device;
}

uint64_t sim_dev_nr(const struct sim_dev *d)
{
	struct ndm_device_info info;

	ndm_device_info(d->device, &info);
	return info.nr;
}

int sim_error(struct sim *s)
{
	return s->error;
}

const char *sim_why(struct sim *s)
{
	return s->why.text ? s->why.text : "";
}

/* ---- tables ---- */

static int load_text(struct sim *s, struct ndm_device *device, const char *format, va_list ap,
		     bool read_only)
{
	struct ndm_str text = { 0 };
	struct ndm_table_line *lines = NULL;
	unsigned n = 0;
	int err;

	ndm_str_free(&s->why);
	ndm_vprintf(&text, format, ap);
	err = ndm_table_parse(text.text, &lines, &n, &s->why);
	if (!err)
		err = ndm_device_load(device, lines, n, read_only, &s->why);
	ndm_free(lines);
	ndm_str_free(&text);
	return err;
}

/* An allocation that fails once must leave things as they were: the second try succeeds. */
static bool again(struct sim *s, int err, bool *tried)
{
	if (!err || !s->alloc_fired || *tried)
		return false;
	*tried = true;
	return true;
}

static int dev_load(struct sim_dev *d, const char *format, va_list ap, bool read_only)
{
	bool tried = false;
	va_list copy;
	int err;

	do {
		va_copy(copy, ap);
		err = load_text(d->sim, d->device, format, copy, read_only);
		va_end(copy);
	} while (again(d->sim, err, &tried));
	return err;
}

int sim_load(struct sim_dev *d, const char *format, ...)
{
	va_list ap;
	int err;

	va_start(ap, format);
	err = dev_load(d, format, ap, false);
	va_end(ap);
	return err;
}

static void follow_size(struct sim_dev *d)
{
	if (d->oracle && sim_dev_nr(d) != oracle_nr(d->oracle))
		oracle_resize(d->oracle, sim_dev_nr(d));
}

int sim_resume(struct sim_dev *d)
{
	bool tried = false;
	int err;

	do {
		err = ndm_device_resume(d->device, 0, &d->sim->why);
	} while (again(d->sim, err, &tried));
	if (!err)
		follow_size(d);
	return err;
}

int sim_suspend(struct sim_dev *d, unsigned flags)
{
	bool tried = false;
	int err;

	do {
		err = ndm_device_suspend(d->device, flags);
	} while (again(d->sim, err, &tried));
	return err;
}

int sim_reload(struct sim_dev *d, const char *format, ...)
{
	va_list ap;
	int err = sim_suspend(d, 0);

	if (err)
		return err;
	va_start(ap, format);
	err = dev_load(d, format, ap, false);
	va_end(ap);
	return err ? err : sim_resume(d);
}

/* ---- up and down ---- */

static struct sim_dev *dev_new(struct sim *s, const char *name)
{
	struct sim_dev *d = calloc(1, sizeof *d);

	d->sim = s;
	snprintf(d->name, sizeof d->name, "%s", name);
	d->next = s->devs;
	s->devs = d;
	return d;
}

static int up(struct sim_dev *d, unsigned flags, const char *table, va_list ap)
{
	struct sim *s = d->sim;
	unsigned mode = NDM_OPEN_READ | (flags & SIM_UP_READ_ONLY ? 0 : NDM_OPEN_WRITE);
	bool tried = false, deferred;
	int err;

	do {
		err = ndm_device_create(s->ctx, d->name, NULL, -1, &d->device);
	} while (again(s, err, &tried));
	if (err)
		return err;
	err = dev_load(d, table, ap, flags & SIM_UP_READ_ONLY);
	if (!err)
		err = sim_resume(d);
	tried = false;
	if (!err)
		do {
			err = ndm_open(d->device, mode, "simulator", &d->opener);
		} while (again(s, err, &tried));
	if (err) {
		ndm_device_remove(d->device, false, &deferred);
		d->device = NULL;
		d->opener = NULL;
	}
	return err;
}

struct sim_dev *sim_up(struct sim *s, const char *name, unsigned flags, const char *table, ...)
{
	struct sim_dev *d = sim_dev(s, name);
	va_list ap;

	if (!d)
		d = dev_new(s, name);
	if (d->opener)
		sim_fail(s, "device '%s' is up already", name);
	va_start(ap, table);
	s->error = up(d, flags, table, ap);
	va_end(ap);
	if (s->error) {
		if (flags & SIM_MAY_FAIL)
			return NULL;
		sim_fail(s, "%s: cannot be brought up: %s: %s", name, strerror(-s->error),
			 sim_why(s));
	}
	if (!d->oracle && !(flags & SIM_RAW) && !s->opt.blind)
		d->oracle = oracle_new(s, sim_dev_nr(d));
	follow_size(d);
	return d;
}

void sim_down(struct sim_dev *d)
{
	bool deferred, tried = false;
	int err;

	ndm_close(d->opener);
	d->opener = NULL;
	do {
		err = ndm_device_remove(d->device, false, &deferred);
	} while (again(d->sim, err, &tried));
	d->device = NULL;
	if (err)
		sim_fail(d->sim, "%s: remove: %s", d->name, strerror(-err));
}

/* Devices sit on each other: what is held goes after its holder. */
void devs_down(struct sim *s)
{
	struct ndm_device_info info;
	struct sim_dev *d;
	bool any = true, left = false;

	while (any) {
		any = left = false;
		for (d = s->devs; d; d = d->next) {
			if (!d->opener)
				continue;
			ndm_device_info(d->device, &info);
			if (info.open_count > 1) {
				left = true;
				continue;
			}
			sim_down(d);
			any = true;
		}
	}
	if (left)
		sim_fail(s, "devices cannot be removed: they are still held");
}

void devs_forget(struct sim *s)
{
	struct sim_dev *d;

	for (d = s->devs; d; d = d->next) {
		d->device = NULL;
		d->opener = NULL;
		d->ios = 0;
		d->unsettled = true;
		if (d->oracle)
			oracle_cut(d->oracle);
	}
}

void devs_free(struct sim *s)
{
	struct sim_dev *d;

	while ((d = s->devs)) {
		s->devs = d->next;
		oracle_free(d->oracle);
		free(d);
	}
}

/* ---- messages and status ---- */

static int message(struct sim_dev *d, const char *format, va_list ap)
{
	struct ndm_str text = { 0 };
	bool tried = false;
	int err;

	ndm_vprintf(&text, format, ap);
	do {
		ndm_str_free(&d->sim->text);
		ndm_str_free(&d->sim->why);
		err = ndm_device_message(d->device, 0, text.text, &d->sim->text, &d->sim->why);
	} while (again(d->sim, err < 0 ? err : 0, &tried));
	sim_trace(d->sim, "message %s '%s': %d", d->name, text.text, err);
	ndm_str_free(&text);
	return err < 0 ? err : 0;
}

int sim_try_message(struct sim_dev *d, const char *format, ...)
{
	va_list ap;
	int err;

	va_start(ap, format);
	err = message(d, format, ap);
	va_end(ap);
	return err;
}

const char *sim_message(struct sim_dev *d, const char *format, ...)
{
	va_list ap;
	int err;

	va_start(ap, format);
	err = message(d, format, ap);
	va_end(ap);
	if (err)
		sim_fail(d->sim, "%s: message '%s': %s: %s", d->name, format, strerror(-err),
			 sim_why(d->sim));
	return d->sim->text.text ? d->sim->text.text : "";
}

static const char *status(struct sim_dev *d, enum ndm_status kind)
{
	struct ndm_target_status *list;
	bool read_only, tried = false;
	unsigned n;
	int err;

	do {
		err = ndm_device_status(d->device, kind, 0, false, &list, &n, &read_only);
	} while (again(d->sim, err, &tried));
	if (err)
		sim_fail(d->sim, "%s: status: %s", d->name, strerror(-err));
	ndm_str_free(&d->sim->text);
	if (n)
		ndm_printf(&d->sim->text, "%s", list[0].text);
	ndm_target_status_free(list, n);
	return d->sim->text.text ? d->sim->text.text : "";
}

const char *sim_status(struct sim_dev *d)
{
	return status(d, NDM_STATUS_INFO);
}

const char *sim_table(struct sim_dev *d)
{
	return status(d, NDM_STATUS_TABLE);
}

void sim_wait_status(struct sim_dev *d, const char *text)
{
	unsigned looks;

	for (looks = 0; looks < 1000; looks++) {
		if (strstr(sim_status(d), text))
			return;
		sim_sleep(d->sim, 10000000);
	}
	sim_fail(d->sim, "%s: status never says '%s' but '%s'", d->name, text, sim_status(d));
}

/* ---- the oracle's opinion ---- */

void sim_oracle_copy(struct sim_dev *d, struct sim_dev *from)
{
	oracle_copy(d->oracle, from->oracle);
}

void sim_oracle_any(struct sim_dev *d, uint64_t sector, uint64_t nr)
{
	oracle_any(d->oracle, sector, nr);
}

void sim_oracle_durable(struct sim_dev *d)
{
	oracle_flush_end(d->oracle, oracle_flush_begin(d->oracle), true);
}

bool sim_oracle_expect(struct sim_dev *d, uint64_t sector, void *bytes)
{
	return oracle_expect(d->oracle, sector, bytes);
}

void sim_oracle_discards(struct sim_dev *d, enum sim_discards discards)
{
	oracle_set_discards(d->oracle, discards);
}
