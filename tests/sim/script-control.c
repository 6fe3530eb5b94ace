/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control: random sequences of control commands, with I/O running, against a model of the
 * kernel's state machine (control-model.c): every return code and every visible field must
 * agree after every command; no request of a client may complete while its device is
 * suspended, and all must complete in the end.
 *
 * 25 sequences of 40 commands to a seed.  Commands that would rightly wait for ever (to
 * suspend a device with I/O stuck in a suspended one below) are not given.
 */
#include "sim.h"
#include "control-model.h"

#define SEQUENCES 25
#define COMMANDS 40
#define CLIENTS 4
#define UUIDS 4
#define DISK_NR 64

struct client {
	struct control *c;
	int dev;
	bool used, stop;
	struct ndm_opener *opener;
	bool in_submit, done;
	struct ndm_waitq q;
	struct ndm_io io;
	struct iovec iov;
	uint8_t bytes[8 * NDM_SECTOR_BYTES];
};

struct control {
	struct sim *s;
	struct model m;
	struct ndm_device *devs[MODEL_DEVS];
	bool frozen[MODEL_DEVS];	/* suspended, and no command to change it under way */
	struct client clients[CLIENTS];
	struct ndm_waitq client_gone;
	unsigned ran;
};

static const char *const names[MODEL_NAMES] = { "a", "b", "data", "vg-lv", "x y", "\303\244" };
static const char *const uuids[UUIDS] = { "LVM-1", "CRYPT-2", "3", "u u" };

static const struct { const char *text; int error; } bad_tables[] = {
	{ "0 8 nosuch x", -EINVAL },
	{ "0 8 linear sim:disk", -EINVAL },
	{ "0 8 linear sim:disk x", -EINVAL },
	{ "0 8 linear sim:nosuch 0", -ENOENT },
	{ "0 8 linear /dev/mapper/nosuch 0", -ENOENT },
	{ "0 8 linear 253:99 0", -ENXIO },
	{ "0 0 zero", -EINVAL },
	{ "0 8 zero\n9 8 zero", -EINVAL },
	{ "1 8 zero", -EINVAL },
	{ "0 8 linear sim:disk 0\n8 8 linear sim:disk nonsense", -EINVAL },
};

/* ---- clients ---- */

static void client_heard(struct ndm_io *io)
{
	struct client *k = (struct client *)((char *)io - offsetof(struct client, io));

	if (!k->in_submit && k->c->frozen[k->dev])
		sim_fail(k->c->s, "a request of '%s' completes while the device is suspended",
			 names[k->c->m.devs[k->dev].name]);
	k->done = true;
	ndm_wake_all(&k->q);
}

static void client_request(struct client *k)
{
	static const enum ndm_op ops[] = { NDM_READ, NDM_WRITE, NDM_WRITE, NDM_FLUSH, NDM_ZEROES };
	struct sim *s = k->c->s;
	struct ndm_loop *there = ndm_opener_loop(k->opener);

	k->iov = (struct iovec){ k->bytes, sizeof k->bytes };
	k->io = (struct ndm_io){ .op = ops[sim_dice(s, 5)], .done = client_heard };
	if (k->io.op != NDM_FLUSH) {
		k->io.offset = sim_dice(s, 64) * NDM_SECTOR_BYTES;
		k->io.bytes = (1 + sim_dice(s, 8)) * NDM_SECTOR_BYTES;
		k->io.data = (struct ndm_data){ .iov = &k->iov, .iovcnt = 1 };
	}
	if (k->io.op == NDM_WRITE && sim_one_in(s, 3))
		k->io.flags = NDM_FUA;
	k->done = false;
	ndm_task_hop(sim_loop(s), there);
	ndm_waitq_init(&k->q, there);
	k->in_submit = true;
	ndm_io_submit(k->opener, &k->io);
	k->in_submit = false;
	while (!k->done)
		ndm_wait(&k->q);
	ndm_task_hop(there, sim_loop(s));
}

static void client_task(struct sim *s, void *arg)
{
	struct client *k = arg;

	while (!k->stop) {
		client_request(k);
		sim_sleep(s, 1 + sim_dice(s, 3000));
	}
	ndm_close(k->opener);
	k->used = false;
	ndm_wake_all(&k->c->client_gone);
}

/* ---- comparison ---- */

static void disagree(struct control *c, const char *what, long got, long want)
{
	sim_fail(c->s, "sequence %u: %s: %ld, the model says %ld", c->ran, what, got, want);
}

static void agree(struct control *c, const char *what, long got, long want)
{
	sim_trace(c->s, "%s = %ld", what, got);
	if (got != want)
		disagree(c, what, got, want);
}

static void compare_dev(struct control *c, int i)
{
	const struct model_dev *d = &c->m.devs[i];
	struct ndm_device_info info;
	unsigned flags = 0;

	ndm_device_info(c->devs[i], &info);
	flags |= d->live.present ? NDM_DEVICE_LIVE : 0;
	flags |= d->live.present && d->live.read_only ? NDM_DEVICE_READ_ONLY : 0;
	flags |= d->inactive.present ? NDM_DEVICE_INACTIVE : 0;
	flags |= d->suspended ? NDM_DEVICE_SUSPENDED : 0;
	flags |= d->deferred ? NDM_DEVICE_DEFERRED_REMOVE : 0;
	agree(c, "flags", info.flags, flags);
	agree(c, "minor", info.minor, d->minor);
	agree(c, "open count", info.open_count, model_open_count(&c->m, i));
	agree(c, "event number", info.event_nr, d->events);
	agree(c, "size", info.nr, d->live.present ? d->live.nr : 0);
	agree(c, "live targets", info.live_targets, d->live.present ? d->live.targets : 0);
	agree(c, "inactive targets", info.inactive_targets,
	      d->inactive.present ? d->inactive.targets : 0);
	if (strcmp(info.name, names[d->name]))
		sim_fail(c->s, "name '%s' instead of '%s'", info.name, names[d->name]);
	if (strcmp(info.uuid, d->uuid < 0 ? "" : uuids[d->uuid]))
		sim_fail(c->s, "uuid '%s' instead of number %d", info.uuid, d->uuid);
}

static bool settled(struct control *c)
{
	struct ndm_device_info info;
	int i;

	for (i = 0; i < MODEL_NAMES; i++)
		if (ndm_device_by_name(sim_context(c->s), names[i]) && model_by_name(&c->m, i) < 0)
			return false;
	for (i = 0; i < MODEL_DEVS; i++) {
		if (!c->m.devs[i].exists)
			continue;
		ndm_device_info(c->devs[i], &info);
		if (info.open_count != model_open_count(&c->m, i))
			return false;
	}
	return true;
}

/*
 * Deferred removals happen in tasks of their own, and what the removed device held is let go
 * a little later still: they get time to.
 */
static void settle(struct control *c)
{
	unsigned tries;

	for (tries = 0; tries < 1000 && !settled(c); tries++)
		sim_sleep(c->s, 1000);
}

static void compare(struct control *c)
{
	int i;

	settle(c);
	for (i = 0; i < MODEL_NAMES; i++) {
		struct ndm_device *dev = ndm_device_by_name(sim_context(c->s), names[i]);
		int d = model_by_name(&c->m, i);

		if (!dev != (d < 0) || (dev && dev != c->devs[d]))
			sim_fail(c->s, "sequence %u: device '%s' %s", c->ran, names[i],
				 dev ? "is there" : "is missing");
	}
	for (i = 0; i < MODEL_DEVS; i++) {
		if (c->m.devs[i].exists)
			compare_dev(c, i);
		c->frozen[i] = c->m.devs[i].exists && c->m.devs[i].suspended;
	}
}

/* ---- commands ---- */

static int any_dev(struct control *c)
{
	int i = sim_dice(c->s, MODEL_DEVS), n;

	for (n = 0; n < MODEL_DEVS; n++, i = (i + 1) % MODEL_DEVS)
		if (c->m.devs[i].exists)
			return i;
	return -1;
}

/* I/O of this device may be stuck, so nobody must wait for it. */
static bool may_hang(struct control *c, int i)
{
	return !c->m.devs[i].suspended && c->m.devs[i].live.present &&
	       model_stuck_below(&c->m, i);
}

static void do_create(struct control *c)
{
	int name = sim_dice(c->s, MODEL_NAMES), uuid = (int)sim_dice(c->s, UUIDS + 2) - 2, i, n = 0;
	struct ndm_device *dev = NULL;
	int dev_nr = 0, want, got;

	for (i = 0; i < MODEL_DEVS; i++)
		n += c->m.devs[i].exists;
	if (uuid < -1)
		uuid = -1;
	if (n == MODEL_DEVS)
		return;
	want = model_create(&c->m, name, uuid, &dev_nr);
	got = ndm_device_create(sim_context(c->s), names[name], uuid < 0 ? NULL : uuids[uuid], -1,
				&dev);
	agree(c, "create", got, want);
	if (!got)
		c->devs[dev_nr] = dev;
}

/* A table of random kind; returns the constructor's errno. */
static int choose_table(struct control *c, char *text, size_t size, struct model_table *t)
{
	unsigned kind = sim_dice(c->s, 8), off = sim_dice(c->s, 16), half;
	int lower = any_dev(c);

	*t = (struct model_table){ .present = true, .lower = -1, .targets = 1 };
	t->nr = 2 + sim_dice(c->s, 40);
	t->read_only = sim_one_in(c->s, 6);
	half = t->nr / 2;
	switch (kind) {
	case 0:
		snprintf(text, size, "0 %u zero", (unsigned)t->nr);
		break;
	case 1:
		snprintf(text, size, "0 %u error", (unsigned)t->nr);
		break;
	case 2:
		t->targets = 2;
		snprintf(text, size, "0 %u linear sim:disk %u\n%u %u zero", half, off, half,
			 (unsigned)t->nr - half);
		break;
	case 3:
		t->nr += DISK_NR;		/* too large; when that is found out is the claim */
		snprintf(text, size, "0 %u linear sim:disk %u", (unsigned)t->nr, off);
		t->need = off + t->nr;
		t->below = DISK_NR;
		break;
	case 4:
		kind = sim_dice(c->s, sizeof bad_tables / sizeof *bad_tables);
		snprintf(text, size, "%s", bad_tables[kind].text);
		return bad_tables[kind].error;
	case 5:
	case 6:
		if (lower >= 0) {
			t->stacked = true;
			t->lower = lower;
			t->need = off / 2 + t->nr;
			snprintf(text, size, "0 %u linear 253:%u %u", (unsigned)t->nr,
				 c->m.devs[lower].minor, off / 2);
			break;
		}
		/* fall through */
	default:
		snprintf(text, size, "0 %u linear sim:disk %u", (unsigned)t->nr, off);
	}
	return 0;
}

static int load(struct control *c, int i, char *text, bool read_only)
{
	struct ndm_table_line *lines = NULL;
	struct ndm_str why = { 0 };
	unsigned n = 0;
	int err = ndm_table_parse(text, &lines, &n, &why);

	if (err)
		sim_fail(c->s, "the table '%s' cannot be parsed", text);
	err = ndm_device_load(c->devs[i], lines, n, read_only, &why);
	if (err && !why.len)
		sim_fail(c->s, "load of '%s' fails without a reason: %d", text, err);
	if (strchr(why.len ? why.text : "", '\n'))
		sim_fail(c->s, "load of '%s': more than one sentence: %s", text, why.text);
	ndm_free(lines);
	ndm_str_free(&why);
	return err;
}

static void do_load(struct control *c, int i)
{
	struct model_table t;
	char text[128];
	int bad = choose_table(c, text, sizeof text, &t), want = model_load(&c->m, i, &t, bad);

	sim_trace(c->s, "load '%s' '%s'%s", names[c->m.devs[i].name], text,
		  t.read_only ? " ro" : "");
	agree(c, "load", load(c, i, text, t.read_only), want);
}

/* something to resume with: I/O waits in a suspended device even when it has no table */
static void load_zero(struct control *c, int i)
{
	struct model_table t = { .present = true, .lower = -1, .targets = 1, .nr = 8 };
	char text[] = "0 8 zero";

	agree(c, "load", load(c, i, text, false), model_load(&c->m, i, &t, 0));
}

static void do_suspend(struct control *c, int i)
{
	if (may_hang(c, i))
		return;
	agree(c, "suspend", ndm_device_suspend(c->devs[i], sim_dice(c->s, 4)),
	      model_suspend(&c->m, i));
}

static void do_resume(struct control *c, int i)
{
	struct ndm_str why = { 0 };
	int got;

	if (c->m.devs[i].inactive.present && may_hang(c, i))
		return;
	c->frozen[i] = false;
	got = ndm_device_resume(c->devs[i], sim_dice(c->s, 4), &why);
	agree(c, "resume", got, model_resume(&c->m, i));
	if (got && !why.len)
		sim_fail(c->s, "resume fails without a reason: %d", got);
	ndm_str_free(&why);
}

static void do_remove(struct control *c, int i, bool deferred)
{
	bool was_deferred = false, want_deferred = model_open_count(&c->m, i) && deferred;
	int got;

	c->frozen[i] = false;
	got = ndm_device_remove(c->devs[i], deferred, &was_deferred);
	agree(c, "remove", got, model_remove(&c->m, i, deferred));
	agree(c, "remove deferred", was_deferred, want_deferred);
}

static void do_rename(struct control *c, int i)
{
	int name = sim_dice(c->s, MODEL_NAMES);

	if (sim_one_in(c->s, 8))
		agree(c, "bad rename", ndm_device_rename(c->devs[i], "a/b"), -EINVAL);
	else
		agree(c, "rename", ndm_device_rename(c->devs[i], names[name]),
		      model_rename(&c->m, i, name));
}

static void do_uuid(struct control *c, int i)
{
	int uuid = sim_dice(c->s, UUIDS);

	if (sim_one_in(c->s, 8))
		agree(c, "empty uuid", ndm_device_set_uuid(c->devs[i], ""), -EINVAL);
	else
		agree(c, "set uuid", ndm_device_set_uuid(c->devs[i], uuids[uuid]),
		      model_set_uuid(&c->m, i, uuid));
}

static void do_message(struct control *c, int i)
{
	struct ndm_str reply = { 0 }, why = { 0 };

	if (sim_one_in(c->s, 3))
		agree(c, "message", ndm_device_message(c->devs[i], 0, "hello", &reply, &why),
		      -EINVAL);
	else
		agree(c, "cancel deferred",
		      ndm_device_message(c->devs[i], 0, "@cancel_deferred_remove", &reply, &why),
		      model_cancel(&c->m, i));
	ndm_str_free(&reply);
	ndm_str_free(&why);
}

static void do_look(struct control *c, int i)
{
	struct model_table *t = sim_one_in(c->s, 2) ? &c->m.devs[i].live : &c->m.devs[i].inactive;
	bool inactive = t == &c->m.devs[i].inactive, read_only;
	struct ndm_target_status *list;
	uint32_t (*deps)[2];
	unsigned n;

	agree(c, "status", ndm_device_status(c->devs[i], sim_dice(c->s, 2), 0, inactive, &list, &n,
					     &read_only), 0);
	agree(c, "status lines", n, t->present ? t->targets : 0);
	ndm_target_status_free(list, n);
	agree(c, "deps", ndm_device_deps(c->devs[i], inactive, &deps, &n), 0);
	if (t->present && t->stacked)
		agree(c, "deps minor", deps[0][1], c->m.devs[t->lower].minor);
	ndm_free(deps);
}

static void do_open(struct control *c, int i)
{
	struct client *k = c->clients;
	int want;

	while (k->used && k < c->clients + CLIENTS - 1)
		k++;
	if (k->used)
		return;
	want = model_open(&c->m, i);
	agree(c, "open", ndm_open(c->devs[i], NDM_OPEN_READ | NDM_OPEN_WRITE, "client", &k->opener),
	      want);
	if (want)
		return;
	k->c = c;
	k->dev = i;
	k->used = true;
	k->stop = false;
	sim_spawn(c->s, "client", client_task, k);
}

static void do_close(struct control *c, struct client *k)
{
	if (!k->used || c->m.devs[k->dev].suspended || model_stuck_below(&c->m, k->dev))
		return;
	k->stop = true;
	while (k->used)
		ndm_wait(&c->client_gone);
	model_close(&c->m, k->dev);
	sim_trace(c->s, "close");
}

static void command(struct control *c)
{
	int i = any_dev(c);

	if (i < 0 || sim_one_in(c->s, 8)) {
		do_create(c);
		return;
	}
	sim_trace(c->s, "about '%s'", names[c->m.devs[i].name]);
	switch (sim_dice(c->s, 22)) {
	case 0: case 1: case 2: case 3: do_load(c, i); break;
	case 20: case 21:
		do_load(c, i);
		do_resume(c, i);
		break;
	case 4: case 5: do_suspend(c, i); break;
	case 6: case 7: case 8: case 9: do_resume(c, i); break;
	case 10:
		agree(c, "clear", ndm_device_clear(c->devs[i]), model_clear(&c->m, i));
		break;
	case 11: do_remove(c, i, false); break;
	case 12: do_remove(c, i, true); break;
	case 13: do_rename(c, i); break;
	case 14: do_uuid(c, i); break;
	case 15: do_message(c, i); break;
	case 16: do_look(c, i); break;
	case 17: case 18: do_open(c, i); break;
	case 19: do_close(c, &c->clients[sim_dice(c->s, CLIENTS)]); break;
	}
}

/* Everything resumed, closed, removed, still in step with the model. */
static void wind_up(struct control *c)
{
	int i, round;

	for (round = 0; round < 2 * MODEL_DEVS; round++)
		for (i = 0; i < MODEL_DEVS; i++)
			if (c->m.devs[i].exists && c->m.devs[i].suspended) {
				if (!c->m.devs[i].live.present)
					load_zero(c, i);
				do_resume(c, i);
				compare(c);
			}
	for (i = 0; i < CLIENTS; i++) {
		do_close(c, &c->clients[i]);
		compare(c);
	}
	for (round = 0; round < MODEL_DEVS; round++)
		for (i = 0; i < MODEL_DEVS; i++)
			if (c->m.devs[i].exists) {
				do_remove(c, i, false);
				compare(c);
			}
	if (any_dev(c) >= 0)
		sim_fail(c->s, "sequence %u leaves devices", c->ran);
}

static void work(struct sim *s)
{
	struct control *c = sim_private(s);
	unsigned i;

	memset(c, 0, sizeof *c);
	c->s = s;
	ndm_waitq_init(&c->client_gone, sim_loop(s));
	for (; c->ran < SEQUENCES; c->ran++) {
		sim_trace(s, "sequence %u", c->ran);
		for (i = 0; i < COMMANDS; i++) {
			command(c);
			compare(c);
			sim_sleep(s, 1 + sim_dice(s, 10000));
		}
		wind_up(c);
	}
}

static void up(struct sim *s)
{
}

SIM_SCRIPT(control) = {
	.name = "control",
	.summary = "random control commands, with I/O running, against a model of the kernel",
	.disks = { { "disk", DISK_NR } },
	.flags = SIM_NO_CUTS | SIM_NO_AFTER,
	.seeds = 400,			/* 10,000 sequences */
	.private_size = sizeof(struct control),
	.up = up,
	.work = work,
};
