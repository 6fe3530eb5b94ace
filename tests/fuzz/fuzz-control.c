/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-control.c - what a client of the management socket may send: dm ioctl buffers and our
 * own commands, against a context with a few devices.
 *
 * An input is a row of {command: 1 byte, flags: 1 byte, length: 2 bytes, body}.  Most mutated
 * headers would fail at the version, so flags may ask for a right one: 1 = version and
 * data_size, 2 = the name of an existing device, too.  The buffer of a call is exactly as long
 * as its request, so that the sanitizer sees each byte too many.
 */
#include <stdlib.h>
#include <string.h>

#include "server/control-call.h"
#include "tests/still-world.h"

#define CALLS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- a world without an outside ---- */

static uint64_t now_ns, deadline_ns;

static uint64_t world_now(struct ndm_world *w)
{
	(void)w;
	return now_ns;
}

static void world_deadline(struct ndm_loop *loop, uint64_t at_ns)
{
	(void)loop;
	deadline_ns = at_ns;
}

static const struct ndm_world_ops world_ops = {
	.now = world_now,
	.random = still_random,
	.random_bytes = still_random_bytes,
	.loop_init = still_loop_init,
	.loop_fini = still_loop_fini,
	.kick = still_kick,
	.deadline = world_deadline,
	.poll = still_poll,
	.offload = still_offload,
};

static const struct ndm_store_ops *const no_stores[] = { NULL };

/* ---- running ---- */

struct run {
	struct ndm_loop *loop;
	struct ndm_context *ctx;
	struct control_call *call;
	uint32_t error;
	bool done;
};

static void settle(struct run *r)
{
	for (unsigned i = 0; i < 1000; i++) {
		do {
			ndm_loop_run(r->loop);
		} while (ndm_loop_busy(r->loop));
		if (r->done || deadline_ns == UINT64_MAX)
			return;
		now_ns = deadline_ns;
	}
}

static void begin(void *arg)
{
	static const struct ndm_table_line lines[] = { { 0, 8, "zero", "" }, { 8, 8, "error", "" } };
	struct run *r = arg;
	struct ndm_str why = { 0 };
	struct ndm_device *dev;

	if (ndm_device_create(r->ctx, "a", "U-a", -1, &dev) ||
	    ndm_device_load(dev, lines, 2, false, &why) || ndm_device_resume(dev, 0, &why) ||
	    ndm_device_load(dev, lines, 1, true, &why) ||
	    ndm_device_create(r->ctx, "b", NULL, 300, &dev))
		abort();
	r->done = true;
}

static void end(void *arg)
{
	struct run *r = arg;
	struct ndm_device *dev;

	while ((dev = ndm_device_first(r->ctx)))
		if (ndm_device_remove(dev, false, NULL)) {
			/* held by a table above it: that one goes first */
			while (dev && ndm_device_remove(dev, false, NULL))
				dev = ndm_device_next(dev);
			if (!dev)
				abort();
		}
	r->done = true;
}

static void execute(void *arg)
{
	struct run *r = arg;

	r->error = control_execute(r->call);
	r->done = true;
}

static void spawn(struct run *r, void (*fn)(void *))
{
	r->done = false;
	ndm_spawn(r->loop, "fuzz", fn, r);
	settle(r);
}

/*
 * sent: data_size of the request.  A command without a result leaves the caller's header as it
 * was, as the kernel does, and there a command without payload may have said any size.
 */
static void check_answer(const struct run *r, uint32_t sent)
{
	const struct control_call *call = r->call;
	const struct dm_ioctl *dmi = (const struct dm_ioctl *)call->body;

	if (r->error > 4095)
		abort();
	if (call->command >= NDM_CTL_OWN)
		return;
	if (call->answered > call->length)
		abort();
	if (call->answered >= sizeof(dmi->version) &&
	    (dmi->version[0] != 4 || dmi->version[1] != 48))
		abort();
	if (!r->error && call->command != DM_VERSION_CMD && dmi->data_size > call->length &&
	    (dmi->data_size != sent || call->answered > sizeof(*dmi)))
		abort();
}

static void one_call(struct run *r, unsigned command, unsigned flags, const uint8_t *body,
		     size_t bytes)
{
	static const struct control_host host = { .version = "fuzz" };
	struct control_call call = {.ctx = r->ctx,
				    .host = &host,
				    .length = bytes,
				    .last_reason = ""};
	struct dm_ioctl *dmi;
	uint32_t sent;

	call.command = command & 0x80 ? NDM_CTL_OWN + (command & 0x7f) : command;
	call.body = malloc(bytes + (command & 0x80 ? 1 : 0));
	memcpy(call.body, body, bytes);
	if (command & 0x80)
		call.body[bytes] = '\0';
	dmi = (struct dm_ioctl *)call.body;
	if ((flags & 1) && !(command & 0x80) && bytes >= offsetof(struct dm_ioctl, data)) {
		dmi->version[0] = 4;
		dmi->version[1] = 0;
		dmi->data_size = (uint32_t)bytes;
		if (flags & 2) {
			dmi->dev = 0;
			memset(dmi->uuid, 0, sizeof(dmi->uuid));
			memcpy(dmi->name, flags & 4 ? "b" : "a", 2);
		}
	}
	sent = bytes >= offsetof(struct dm_ioctl, data) ? dmi->data_size : 0;
	r->call = &call;
	spawn(r, execute);
	if (!r->done && call.waiting) { /* DM_DEV_WAIT: the client goes */
		call.cancelled = true;
		ndm_device_wait_wake(call.waiting);
		settle(r);
	}
	if (!r->done)
		abort();
	check_answer(r, sent);
	free(call.body);
	ndm_str_free(&call.text);
	ndm_str_free(&call.why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct ndm_world world = { .ops = &world_ops, .stores = no_stores };
	struct run r = { 0 };

	now_ns = 1;
	deadline_ns = UINT64_MAX;
	r.loop = ndm_loop_new(&world);
	r.ctx = ndm_context_new(&r.loop, 1);
	spawn(&r, begin);
	for (unsigned i = 0; i < CALLS_MAX && bytes >= 4; i++) {
		size_t length = data[2] | (size_t)data[3] << 8;

		if (length > bytes - 4)
			length = bytes - 4;
		one_call(&r, data[0], data[1], data + 4, length);
		data += 4 + length;
		bytes -= 4 + length;
	}
	spawn(&r, end);
	if (!r.done)
		abort();
	settle(&r);
	ndm_context_free(r.ctx);
	ndm_loop_free(r.loop);
	return 0;
}
