/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath: which path, failing over, waiting for a path, groups, flushes, suspending; as the
 * kernel does it, but for flushes, which go to each path that has something to flush.
 */
#include "box.h"

#include <stdio.h>

static unsigned char buf[64 * NDM_SECTOR_BYTES];

#define TWO "box:a 1 box:b 1 "

static void fail_over(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m;

	box_disk(b, "b", 64, 100);
	m = box_up(b, "m", "0 40 multipath 0 0 2 1 round-robin 0 1 1 box:a 1000 round-robin 0 1 0 box:b");
	assert_string_equal(box_table(b, "m"), "0 0 2 1 round-robin 0 1 1 box:a 1 round-robin 0 1 1 box:b 1 ");
	assert_string_equal(box_status(b, "m"), "2 1 0 0 2 1 E 0 1 0 box:a A 0 E 0 1 0 box:b A 0 ");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 1, buf), 0);
	assert_int_equal(buf[0], 3);
	assert_string_equal(box_status(b, "m"), "2 0 0 0 2 1 A 0 1 0 box:a A 0 E 0 1 0 box:b A 0 ");
	box_log(b);
	a->fail_ops = 1 << NDM_READ | 1 << NDM_WRITE;
	a->error = -EIO;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 1, buf), 0);
	assert_int_equal(buf[0], 103);
	assert_string_equal(box_log(b), "a read 3+1, b read 3+1");
	assert_string_equal(box_status(b, "m"), "2 0 0 0 2 2 E 0 1 0 box:a F 1 A 0 1 0 box:b A 0 ");
	assert_int_equal(box_event_nr(b, "m"), 1);
	/* it is not tried again before somebody reinstates it, and then not at once */
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 5, 2, buf), 0);
	assert_string_equal(box_log(b), "b write 5+2");
	assert_string_equal(box_message(b, "m", "reinstate_path box:a"), "");
	assert_int_equal(box_event_nr(b, "m"), 2);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 5, 2, buf), 0);
	assert_string_equal(box_log(b), "b write 5+2");
	assert_string_equal(box_status(b, "m"), "2 0 0 0 2 2 E 0 1 0 box:a A 1 A 0 1 0 box:b A 0 ");
}

/* The kernel's rows, and what a server answers to a request that it understood. */
static void not_the_path(struct box *b)
{
	static const int passes[] = { -EOPNOTSUPP, -ENOSPC, -EREMOTEIO, -EBADE, -ENODATA, -EILSEQ,
				      -EINVAL, -EPERM };
	static const int fails[] = { -EIO, -ETIMEDOUT, -ENOTCONN, -ENODEV, -ENOMEM, -ENOLINK };
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m;
	char text[64];
	unsigned i;

	box_disk(b, "b", 64, 0);
	m = box_up(b, "m", "0 40 multipath 0 0 2 1 round-robin 0 1 1 box:a 1 round-robin 0 1 1 box:b 1");
	a->fail_ops = 1 << NDM_WRITE;
	for (i = 0; i < sizeof passes / sizeof *passes; i++) {
		a->error = passes[i];
		assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), passes[i]);
		assert_non_null(strstr(box_status(b, "m"), "box:a A 0 "));
	}
	for (i = 0; i < sizeof fails / sizeof *fails; i++) {
		a->error = fails[i];
		assert_string_equal(box_message(b, "m", "switch_group 1"), "");
		assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), 0);
		snprintf(text, sizeof text, "box:a F %u ", i + 1);
		assert_non_null(strstr(box_status(b, "m"), text));
		assert_string_equal(box_message(b, "m", "reinstate_path box:a"), "");
	}
}

/* bio mode says EIO, request mode what the path said */
static void no_path(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m, *n;

	m = box_up(b, "m", "0 40 multipath 2 queue_mode bio 0 1 1 round-robin 0 1 1 box:a 1");
	n = box_up(b, "n", "0 40 multipath 0 0 1 1 round-robin 0 1 1 box:a 1");
	assert_string_equal(box_table(b, "m"), "3 retain_attached_hw_handler queue_mode bio 0 1 1 "
			    "round-robin 0 1 1 box:a 1 ");
	a->fail_ops = 1 << NDM_READ;
	a->error = -ENOLINK;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EIO);
	assert_int_equal(ndm_rw(n, NDM_READ, 0, 0, 1, buf), -ENOLINK);
	assert_string_equal(box_status(b, "m"), "2 0 0 0 1 1 A 0 1 0 box:a F 1 ");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EIO);
	assert_int_equal(ndm_rw(n, NDM_READ, 0, 0, 1, buf), -EIO);
	assert_string_equal(box_status(b, "m"), "2 0 0 0 1 1 E 0 1 0 box:a F 1 ");
	/* no groups at all */
	m = box_up(b, "none", "0 40 multipath 0 0 0 0");
	assert_string_equal(box_status(b, "none"), "2 1 0 0 0 0 ");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), -EIO);
	assert_int_equal(ndm_flush(m), -EIO);
}

static void queueing(struct box *b)
{
	struct ndm_store *m;
	struct box_io r, w, f;

	box_disk(b, "a", 64, 7);
	m = box_up(b, "m", "0 40 multipath 1 queue_if_no_path 0 1 1 service-time 0 1 0 box:a");
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	box_start(b, &r, m, NDM_READ, 0, 1, buf);
	box_start(b, &w, m, NDM_WRITE, 9, 2, buf + 4096);
	box_start(b, &f, m, NDM_FLUSH, 0, 0, NULL);
	ndm_sleep(box_loop(b), 1000000000);
	assert_false(r.done || w.done || f.done);
	assert_string_equal(box_status(b, "m"), "2 0 0 0 1 1 E 0 1 2 box:a F 1 0 1 ");
	assert_string_equal(box_message(b, "m", "reinstate_path box:a"), "");
	box_wait(&r);
	box_wait(&w);
	box_wait(&f);
	assert_int_equal(r.bio.error | w.bio.error | f.bio.error, 0);
	assert_string_equal(box_log(b), "a read 0+1, a write 9+2, a flush");

	/* switched off, what waits fails at once, and what comes */
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	box_start(b, &r, m, NDM_READ, 0, 1, buf);
	box_start(b, &f, m, NDM_FLUSH, 0, 0, NULL);
	assert_false(r.done || f.done);
	assert_string_equal(box_message(b, "m", "fail_if_no_path"), "");
	assert_true(r.done && f.done);
	assert_int_equal(r.bio.error, -EIO);
	assert_int_equal(f.bio.error, -EIO);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EIO);
	assert_string_equal(box_table(b, "m"), "0 0 1 1 service-time 0 1 2 box:a 1 1 ");
	assert_string_equal(box_message(b, "m", "QUEUE_IF_NO_PATH"), "");
	assert_string_equal(box_table(b, "m"), "1 queue_if_no_path 0 1 1 service-time 0 1 2 box:a 1 1 ");
}

/* A suspend that flushes ends what waits; one that does not keeps it for the next table. */
static void suspending(struct box *b)
{
	struct ndm_store *m;
	struct box_io r, w;

	box_disk(b, "a", 64, 7);
	box_disk(b, "b", 64, 50);
	m = box_up(b, "m", "0 40 multipath 1 queue_if_no_path 0 1 1 round-robin 0 1 1 box:a 1");
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	box_start(b, &r, m, NDM_READ, 0, 1, buf);
	box_suspend(b, "m", 0);
	assert_true(r.done);
	assert_int_equal(r.bio.error, -EIO);
	assert_string_equal(box_message(b, "m", "reinstate_path box:a"),
			    "Device or resource busy: multipath: the device is suspended");
	box_resume(b, "m");
	assert_string_equal(box_table(b, "m"), "1 queue_if_no_path 0 1 1 round-robin 0 1 1 box:a 1 ");

	box_start(b, &r, m, NDM_READ, 3, 1, buf);
	box_suspend(b, "m", NDM_SUSPEND_NOFLUSH);
	assert_false(r.done);
	box_resume(b, "m");
	assert_false(r.done);
	box_start(b, &w, m, NDM_WRITE, 5, 1, buf + 512);
	box_reload(b, "m", "0 40 multipath 0 0 1 1 round-robin 0 1 1 box:b 1");
	box_wait(&w);
	/* the reload has suspended with flush: so what waited has failed */
	assert_int_equal(w.bio.error, -EIO);
	assert_int_equal(r.bio.error, -EIO);
}

static void noflush_to_next_table(struct box *b)
{
	struct ndm_store *m;
	struct box_io r;

	box_disk(b, "a", 64, 7);
	m = box_up(b, "m", "0 40 multipath 3 queue_if_no_path queue_mode bio 0 1 1 round-robin 0 1 1 box:a 1");
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	box_start(b, &r, m, NDM_READ, 3, 1, buf);
	box_suspend(b, "m", NDM_SUSPEND_NOFLUSH);
	assert_false(r.done);
	box_resume(b, "m");
	assert_false(r.done);			/* queueing is on again, so it waits again */
	assert_string_equal(box_message(b, "m", "reinstate_path box:a"), "");
	box_wait(&r);
	assert_int_equal(r.bio.error, 0);
	assert_int_equal(buf[0], 10);
}

static void groups(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 0);
	box_disk(b, "c", 64, 0);
	m = box_up(b, "m", "0 40 multipath 0 0 3 2 round-robin 0 1 1 box:a 1 round-robin 0 1 1 box:b 1 "
			   "round-robin 0 1 1 box:c 1");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "b read 0+1");
	/* a disabled group is left, and used when nothing else works */
	assert_string_equal(box_message(b, "m", "disable_group 2"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_message(b, "m", "fail_path box:c"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "a read 0+1, c read 0+1, b read 0+1");
	assert_string_equal(box_status(b, "m"), "2 0 0 0 3 2 E 0 1 0 box:a F 1 D 0 1 0 box:b A 0 "
			    "E 0 1 0 box:c F 1 ");
	/* reinstated: nobody goes back by himself; enabling forgets the current group */
	assert_string_equal(box_message(b, "m", "reinstate_path box:a"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "b read 0+1");
	assert_string_equal(box_message(b, "m", "enable_group 2"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "a read 0+1");
	/* switching enables all */
	assert_string_equal(box_message(b, "m", "disable_group 1"), "");
	assert_string_equal(box_message(b, "m", "switch_group 2"), "");
	assert_string_equal(box_status(b, "m"), "2 0 0 0 3 2 E 0 1 0 box:a A 1 E 0 1 0 box:b A 0 "
			    "E 0 1 0 box:c F 1 ");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_log(b), "b read 0+1");
	assert_int_equal(box_event_nr(b, "m"), 7);
}

static void flushes(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m;

	box_disk(b, "b", 64, 0);
	box_disk(b, "c", 64, 0);
	m = box_up(b, "m", "0 40 multipath 0 0 1 1 round-robin 0 3 1 box:a 1 box:b 1 box:c 1");
	/* nothing written: one path, as in the kernel */
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a flush");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 1, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 2, 1, buf), 0);
	assert_string_equal(box_log(b), "b write 0+1, c write 1+1, a write 2+1 fua");
	/* b is whose turn it is, and c has something to flush; a has not, for FUA is durable */
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "b flush, c flush");
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "c flush");
	/* the path fails under the flush: it begins anew with the others */
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 1, 1, buf), 0);
	a->fail_ops = 1 << NDM_FLUSH;
	a->error = -EIO;
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a write 0+1, b write 1+1, a flush, b flush, c flush, "
			    "a flush, b flush");
	assert_non_null(strstr(box_status(b, "m"), "box:a F 1 "));
	/* an error that is not the path's goes up */
	assert_string_equal(box_message(b, "m", "reinstate_path box:a"), "");
	a->error = -ENOSPC;
	assert_int_equal(ndm_flush(m), -ENOSPC);
	assert_non_null(strstr(box_status(b, "m"), "box:a A 1 "));
	a->fail_ops = 0;
	assert_int_equal(ndm_flush(m), 0);
}

/* Whoever serves them: each request ends with success only when a path has said so. */
static void only_when_answered(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0), *c = box_disk(b, "c", 64, 0);
	struct box_io w;
	struct ndm_store *m;

	m = box_up(b, "m", "0 40 multipath 0 0 2 1 round-robin 0 1 1 box:a 1 round-robin 0 1 1 box:c 1");
	a->hold = c->hold = true;
	a->fail_ops = 1 << NDM_WRITE;
	a->error = -EIO;
	box_start(b, &w, m, NDM_WRITE, 0, 1, buf);
	assert_false(w.done);
	box_release(a);
	assert_false(w.done);
	assert_non_null(c->held);
	box_release(c);
	assert_true(w.done);
	assert_int_equal(w.bio.error, 0);
}

static void messages(struct box *b)
{
	box_disk(b, "a", 64, 0);
	box_disk(b, "x", 64, 0);
	box_up(b, "m", "0 40 multipath 0 0 1 1 round-robin 0 1 1 box:a 1");
	assert_string_equal(box_message(b, "m", "fail_path box:nosuch"),
			    "No such file or directory: multipath: error getting device 'box:nosuch': no such disk");
	assert_string_equal(box_message(b, "m", "fail_path box:x"),
			    "EINVAL: multipath: 'box:x' is no path of this device");
	assert_string_equal(box_message(b, "m", "fail_path 253:0"),
			    "EINVAL: multipath: '253:0' is no path of this device");
	assert_string_equal(box_message(b, "m", "switch_group 2"),
			    "EINVAL: multipath: invalid PG number: '2' is not one from 1 to 1");
	assert_string_equal(box_message(b, "m", "bogus"),
			    "EINVAL: multipath: Invalid multipath message arguments. Expected 2 arguments, got 1");
	assert_string_equal(box_message(b, "m", "bogus 1"),
			    "EINVAL: multipath: Unrecognised multipath message received: 'bogus'");
	assert_string_equal(box_message(b, "m", "failback soon"),
			    "EINVAL: multipath: failback: 'soon' is not manual, immediate, followover or a number of seconds");
	assert_string_equal(box_message(b, "m", "checker 5"),
			    "EINVAL: multipath: checker: invalid time-out in milliseconds: the number is missing");
	assert_int_equal(box_event_nr(b, "m"), 0);
}

/* ---- the checker ---- */

static void checker(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m;

	box_disk(b, "b", 64, 0);
	m = box_up(b, "m", "0 40 multipath 4 queue_if_no_path ndm_checker 1000 300 0 2 1 "
			   "round-robin 0 1 1 box:a 1 round-robin 0 1 1 box:b 1");
	/* ours is not in the line */
	assert_string_equal(box_table(b, "m"), "1 queue_if_no_path 0 2 1 round-robin 0 1 1 box:a 1 "
			    "round-robin 0 1 1 box:b 1 ");
	a->fail_ops = 1 << NDM_READ;
	a->error = -EIO;
	ndm_sleep(box_loop(b), 1200000000);
	/* an idle path is asked, and fails; the other is all right */
	assert_string_equal(box_status(b, "m"), "2 1 0 0 2 1 E 0 1 0 box:a F 1 E 0 1 0 box:b A 0 ");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	a->fail_ops = 0;
	ndm_sleep(box_loop(b), 1200000000);
	assert_string_equal(box_status(b, "m"), "2 0 0 0 2 2 E 0 1 0 box:a A 1 A 0 1 0 box:b A 0 ");
	/* by message: back to the better group */
	assert_string_equal(box_message(b, "m", "failback immediate"), "");
	ndm_sleep(box_loop(b), 200000000);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_string_equal(box_status(b, "m"), "2 0 0 0 2 1 A 0 1 0 box:a A 1 E 0 1 0 box:b A 0 ");
}

/* ---- failback ---- */

/* Whether the next request goes down this path, the only one of its group. */
static bool uses(struct box *b, struct ndm_store *m, const char *path)
{
	char words[64];

	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	snprintf(words, sizeof words, "A 0 1 0 %s A", path);
	return strstr(box_status(b, "m"), words) != NULL;
}

/* The better group fails under a request, and is well again. */
static void outage(struct box *b, struct box_disk *a, struct ndm_store *m)
{
	a->fail_ops = 1 << NDM_READ;
	a->error = -EIO;
	assert_true(uses(b, m, "box:b"));
	a->fail_ops = 0;
}

static void failback(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	const uint64_t second = 1000000000;
	struct ndm_store *m;
	uint32_t events;

	box_disk(b, "b", 64, 0);
	m = box_up(b, "m", "0 40 multipath 4 queue_if_no_path ndm_checker 1000 300 0 2 1 "
			   "round-robin 0 1 1 box:a 1 round-robin 0 1 1 box:b 1");
	/* manual is what it is without a word */
	outage(b, a, m);
	ndm_sleep(box_loop(b), 5 * second);
	assert_non_null(strstr(box_status(b, "m"), "box:a A 1 "));
	assert_true(uses(b, m, "box:b"));
	assert_string_equal(box_message(b, "m", "switch_group 1"), "");
	assert_true(uses(b, m, "box:a"));

	assert_string_equal(box_message(b, "m", "failback immediate"), "");
	outage(b, a, m);
	events = box_event_nr(b, "m");
	ndm_sleep(box_loop(b), 2 * second);
	assert_int_equal(box_event_nr(b, "m"), events + 2);	/* it is back; so are we */
	assert_true(uses(b, m, "box:a"));

	assert_string_equal(box_message(b, "m", "failback 4"), "");
	outage(b, a, m);
	ndm_sleep(box_loop(b), 3 * second);
	assert_non_null(strstr(box_status(b, "m"), "box:a A 3 "));
	assert_true(uses(b, m, "box:b"));
	ndm_sleep(box_loop(b), 4 * second);
	assert_true(uses(b, m, "box:a"));

	/* followover: not because the group is better, but when it gets its first path */
	assert_string_equal(box_message(b, "m", "failback manual"), "");
	outage(b, a, m);
	ndm_sleep(box_loop(b), 2 * second);
	assert_string_equal(box_message(b, "m", "failback followover"), "");
	ndm_sleep(box_loop(b), 5 * second);
	assert_true(uses(b, m, "box:b"));
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	ndm_sleep(box_loop(b), 3 * second);
	assert_true(uses(b, m, "box:a"));
}

/* What comes back with other data is not what went. */
static void other_disk(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);

	box_disk(b, "b", 64, 0);
	box_up(b, "m", "0 40 multipath 4 queue_if_no_path ndm_checker 1000 300 0 1 1 "
		       "round-robin 0 2 1 box:a 1 box:b 1");
	assert_string_equal(box_message(b, "m", "fail_path box:a"), "");
	a->bytes[39 * NDM_SECTOR_BYTES] ^= 1;
	ndm_sleep(box_loop(b), 3000000000);
	assert_non_null(strstr(box_status(b, "m"), "box:a F 1 "));
	assert_non_null(strstr(box_message(b, "m", "paths"),
			       "\"state\":\"refused\""));
	a->bytes[39 * NDM_SECTOR_BYTES] ^= 1;
	ndm_sleep(box_loop(b), 3000000000);
	assert_non_null(strstr(box_status(b, "m"), "box:a A 1 "));
}

static void enough_of_waiting(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m;
	struct box_io r;
	uint64_t now = ndm_now(box_loop(b));

	m = box_up(b, "m", "0 40 multipath 6 queue_if_no_path ndm_checker 1000 300 ndm_no_path_retry 3 "
			   "0 1 1 round-robin 0 1 1 box:a 1");
	a->fail_ops = 1 << NDM_READ;
	a->error = -EIO;
	box_start(b, &r, m, NDM_READ, 0, 1, buf);
	box_wait(&r);
	assert_int_equal(r.bio.error, -EIO);
	assert_in_range(ndm_now(box_loop(b)) - now, 3000000000, 4000000000);
	assert_string_equal(box_table(b, "m"), "0 0 1 1 round-robin 0 1 1 box:a 1 ");
	a->fail_ops = 0;
	ndm_sleep(box_loop(b), 2000000000);
	assert_string_equal(box_table(b, "m"), "1 queue_if_no_path 0 1 1 round-robin 0 1 1 box:a 1 ");
}

/* no_path_retry fail: the first check without a path is the last, whatever waits */
static void no_waiting(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m;
	struct box_io r;
	uint64_t now = ndm_now(box_loop(b));

	m = box_up(b, "m", "0 40 multipath 6 queue_if_no_path ndm_checker 1000 300 ndm_no_path_retry fail "
			   "0 1 1 round-robin 0 1 1 box:a 1");
	a->fail_ops = 1 << NDM_READ;
	a->error = -EIO;
	box_start(b, &r, m, NDM_READ, 0, 1, buf);
	box_wait(&r);
	assert_int_equal(r.bio.error, -EIO);
	assert_in_range(ndm_now(box_loop(b)) - now, 0, 1000000000);
}

static void refused(struct box *b)
{
	const char *why;

	box_disk(b, "a", 64, 0);
	assert_int_equal(box_refused(b, "0 40 multipath 9 a b c d e f g h i 0 0 0", &why), EINVAL);
	assert_non_null(strstr(why, "invalid number of feature args: '9' is not a number from 0 to 8"));
	assert_int_equal(box_refused(b, "0 40 multipath 0 0 1 1 io-affinity 0 1 1 box:a 0", &why), EINVAL);
	assert_non_null(strstr(why, "io-affinity ps: No new/valid CPU mapping found"));
	assert_int_equal(box_refused(b, "0 40 multipath 0 0 1 1 historical-service-time 1 1024 1 1 box:a 1", &why), EINVAL);
	assert_non_null(strstr(why, "path selector constructor failed"));
	assert_int_equal(box_refused(b, "0 40 multipath 0 1 alua 1 1 round-robin 0 1 1 box:a 1", &why), ENODEV);
	assert_non_null(strstr(why, "error attaching hardware handler"));
	assert_int_equal(box_refused(b, "0 40 multipath 3 ndm_checker 500 0 0 0 0", &why), EINVAL);
	assert_non_null(strstr(why, "interval and time-out are both 0, or neither"));
	assert_int_equal(box_refused(b, "0 80 multipath 0 0 1 1 round-robin 0 1 1 box:a 1", &why), EINVAL);
	assert_non_null(strstr(why, "too small for target"));
}

BOX_DEFINE(fail_over)
BOX_DEFINE(not_the_path)
BOX_DEFINE(no_path)
BOX_DEFINE(queueing)
BOX_DEFINE(suspending)
BOX_DEFINE(noflush_to_next_table)
BOX_DEFINE(groups)
BOX_DEFINE(flushes)
BOX_DEFINE(only_when_answered)
BOX_DEFINE(messages)
BOX_DEFINE(checker)
BOX_DEFINE(failback)
BOX_DEFINE(no_waiting)
BOX_DEFINE(other_disk)
BOX_DEFINE(enough_of_waiting)
BOX_DEFINE(refused)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(fail_over),
		BOX_TEST(not_the_path),
		BOX_TEST(no_path),
		BOX_TEST(queueing),
		BOX_TEST(suspending),
		BOX_TEST(noflush_to_next_table),
		BOX_TEST(groups),
		BOX_TEST(flushes),
		BOX_TEST(only_when_answered),
		BOX_TEST(messages),
		BOX_TEST(checker),
		BOX_TEST(failback),
		BOX_TEST(no_waiting),
		BOX_TEST(other_disk),
		BOX_TEST(enough_of_waiting),
		BOX_TEST(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
