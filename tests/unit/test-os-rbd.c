/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ceph images as stores, without a Ceph: the table of librbd's calls is ours.  An image is
 * memory, its completions come from a thread of their own and out of order.  The real thing is
 * in tests/interop/rbd.sh.
 */
#include <pthread.h>
#include <unistd.h>

#include "os-harness.h"
#include "lib/os/rbd.h"

#define OBJECT_BYTES ((uint64_t)1 << 20)

/* ---- the cluster ---- */

static struct {
	unsigned char *bytes;
	uint64_t size, features, asked_from, asked_bytes;
	int connect_error, pool_error, image_error, snap_error, io_error, diff_error;
	const char *cache_of_image, *cache_of_pool;
	int handles;				/* clusters, pools, images, watches open */
	bool parent, whole_object, read_only;
	unsigned flushes, thick;
	struct rbd_extent data[4];		/* block status */
	unsigned ndata;
	rbd_update_fn update;
	void *update_arg;
	char settings[4096];			/* "name=value " in order */
	char osd_timeout[16], seen_timeout[16];	/* now; when the image was opened */
} ceph;

struct completion { struct completion *next; void *arg; rbd_done_fn fn; ssize_t result; };

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct completion *stack;		/* last in, first out */
	bool stop;
} back;

static void *back_run(void *arg)
{
	struct completion *c;

	pthread_mutex_lock(&back.lock);
	for (;;) {
		while (!back.stack && !back.stop)
			pthread_cond_wait(&back.more, &back.lock);
		c = back.stack;
		if (!c)
			break;
		back.stack = c->next;
		pthread_mutex_unlock(&back.lock);
		c->fn(c, c->arg);
		pthread_mutex_lock(&back.lock);
	}
	pthread_mutex_unlock(&back.lock);
	return arg;
}

static int complete(rbd_completion completion, ssize_t result)
{
	struct completion *c = completion;

	c->result = ceph.io_error ? ceph.io_error : result;
	pthread_mutex_lock(&back.lock);
	c->next = back.stack;
	back.stack = c;
	pthread_cond_signal(&back.more);
	pthread_mutex_unlock(&back.lock);
	return 0;
}

static int opened(void **handle, int error)
{
	static int thing;

	if (error)
		return error;
	*handle = &thing;
	ceph.handles++;
	return 0;
}

static void shut(void *handle)
{
	ceph.handles -= handle ? 1 : 1000;
}

static int fake_create(rbd_cluster *c, const char *id)
{
	return opened(c, 0);
}

static int fake_conf_read_file(rbd_cluster c, const char *path)
{
	return path && !strcmp(path, "/none") ? -ENOENT : 0;
}

static int fake_conf_set(rbd_cluster c, const char *option, const char *value)
{
	size_t at = strlen(ceph.settings);

	if (!strcmp(option, "no_such"))
		return -ENOENT;
	if (!strcmp(option, "rados_osd_op_timeout"))
		snprintf(ceph.osd_timeout, sizeof ceph.osd_timeout, "%s", value);
	snprintf(ceph.settings + at, sizeof ceph.settings - at, "%s=%s ", option, value);
	return 0;
}

static int fake_conf_get(rbd_cluster c, const char *option, char *value, size_t len)
{
	snprintf(value, len, "%s", strcmp(option, "rados_osd_op_timeout") ? "0" : ceph.osd_timeout);
	return 0;
}

static int fake_conf_parse_argv(rbd_cluster c, int argc, const char **argv) { return 0; }
static int fake_connect(rbd_cluster c) { return ceph.connect_error; }
static int fake_fsid(rbd_cluster c, char *text, size_t len) { return snprintf(text, len, "f"); }

static int fake_pool(rbd_cluster c, const char *name, rbd_pool *p)
{
	return opened(p, ceph.pool_error);
}

static void fake_namespace(rbd_pool p, const char *name) { }
static int64_t fake_pool_id(rbd_pool p) { return 7; }

static int fake_metadata(const char *kept, char *value, size_t *len)
{
	if (!kept)
		return -ENOENT;
	snprintf(value, *len, "%s", kept);
	return 0;
}

static int fake_pool_metadata(rbd_pool p, const char *key, char *value, size_t *len)
{
	return fake_metadata(ceph.cache_of_pool, value, len);
}

static int fake_image_metadata(rbd_image i, const char *key, char *value, size_t *len)
{
	return fake_metadata(ceph.cache_of_image, value, len);
}

static int fake_open(rbd_pool p, const char *name, rbd_image *i, const char *snap)
{
	snprintf(ceph.seen_timeout, sizeof ceph.seen_timeout, "%s", ceph.osd_timeout);
	return opened(i, ceph.image_error);
}

static int fake_open_read_only(rbd_pool p, const char *name, rbd_image *i, const char *snap)
{
	ceph.read_only = true;
	return opened(i, ceph.image_error);
}

static int fake_snap_set(rbd_image i, const char *snap) { return ceph.snap_error; }

static int fake_close(rbd_image i)
{
	snprintf(ceph.seen_timeout, sizeof ceph.seen_timeout, "%s", ceph.osd_timeout);
	shut(i);
	return 0;
}

static int fake_stat(rbd_image i, struct rbd_info *info, size_t len)
{
	if (len != 160)				/* sizeof (rbd_image_info_t) of librbd 16 */
		return -EINVAL;
	info->size = ceph.size;
	info->object_bytes = OBJECT_BYTES;
	return 0;
}

static int fake_size(rbd_image i, uint64_t *bytes) { *bytes = ceph.size; return 0; }
static int fake_id(rbd_image i, char *id, size_t len) { snprintf(id, len, "abc"); return 0; }
static int fake_features(rbd_image i, uint64_t *f) { *f = ceph.features; return 0; }
static int fake_flags(rbd_image i, uint64_t *f) { *f = 0; return 0; }

static int fake_parent(rbd_image i, char *a, size_t al, char *b, size_t bl, char *c, size_t cl)
{
	return ceph.parent ? 0 : -ENOENT;
}

static int fake_watch(rbd_image i, uint64_t *handle, rbd_update_fn fn, void *arg)
{
	ceph.update = fn;
	ceph.update_arg = arg;
	*handle = 5;
	ceph.handles++;
	return 0;
}

static int fake_unwatch(rbd_image i, uint64_t handle)
{
	ceph.handles -= handle == 5 ? 1 : 1000;
	return 0;
}

static int fake_diff(rbd_image i, const char *from, uint64_t at, uint64_t bytes, uint8_t parent,
		     uint8_t whole_object, rbd_diff_fn fn, void *arg)
{
	unsigned n;
	int err = ceph.diff_error;

	ceph.asked_from = at;
	ceph.asked_bytes = bytes;
	ceph.whole_object = whole_object;
	for (n = 0; !err && n < ceph.ndata; n++)
		err = fn(ceph.data[n].offset, ceph.data[n].bytes, 1, arg);
	return err;
}

static int fake_completion(void *arg, rbd_done_fn fn, rbd_completion *out)
{
	struct completion *c = calloc(1, sizeof *c);

	c->arg = arg;
	c->fn = fn;
	*out = c;
	return 0;
}

static ssize_t fake_result(rbd_completion c) { return ((struct completion *)c)->result; }
static void fake_release(rbd_completion c) { free(c); }

static ssize_t move(const struct iovec *iov, int n, uint64_t at, bool in)
{
	ssize_t moved = 0;
	int i;

	for (i = 0; i < n; i++) {
		size_t len = iov[i].iov_len;

		if (at + len > ceph.size)
			len = ceph.size > at ? ceph.size - at : 0;
		if (in)
			memcpy(ceph.bytes + at, iov[i].iov_base, len);
		else
			memcpy(iov[i].iov_base, ceph.bytes + at, len);
		at += len;
		moved += (ssize_t)len;
	}
	return moved;
}

static int fake_readv(rbd_image i, const struct iovec *iov, int n, uint64_t at, rbd_completion c)
{
	return complete(c, move(iov, n, at, false));
}

static int fake_writev(rbd_image i, const struct iovec *iov, int n, uint64_t at, rbd_completion c)
{
	move(iov, n, at, true);
	return complete(c, 0);
}

static int fake_discard(rbd_image i, uint64_t at, uint64_t bytes, rbd_completion c)
{
	memset(ceph.bytes + at, 0, bytes);
	return complete(c, 0);
}

static int fake_zeroes(rbd_image i, uint64_t at, size_t bytes, rbd_completion c, int flags, int op)
{
	memset(ceph.bytes + at, 0, bytes);
	ceph.thick += flags == RBD_ZEROES_THICK;
	return complete(c, 0);
}

static int fake_flush(rbd_image i, rbd_completion c)
{
	ceph.flushes++;
	return complete(c, 0);
}

static const struct rbd_api fake = {
	fake_create, fake_conf_read_file, fake_conf_parse_argv, fake_conf_set, fake_conf_get,
	fake_connect, fake_fsid, shut, fake_pool, shut, fake_namespace, fake_pool_id,
	fake_pool_metadata, fake_open, fake_open_read_only, fake_snap_set, fake_close, fake_stat,
	fake_size, fake_id, fake_features, fake_flags, fake_parent, fake_image_metadata,
	fake_watch, fake_unwatch, fake_diff, fake_completion, fake_result, fake_release,
	fake_readv, fake_writev, fake_discard, fake_zeroes, fake_flush,
};

/* ---- around each test ---- */

static char log_text[4096];

static void keep_log(void *arg, enum ndm_level level, const char *line)
{
	size_t at = strlen(log_text);

	if (level <= NDM_LOG_WARNING)
		snprintf(log_text + at, sizeof log_text - at, "%s\n", line);
}

static int ceph_setup(void **state)
{
	struct os_world *w;

	rig_setup(state);
	w = os_world((*(struct rig **)state)->world);
	w->base.log.fn = keep_log;
	log_text[0] = '\0';
	w->rbd = ndm_zalloc(sizeof *w->rbd);
	*w->rbd = fake;
	memset(&ceph, 0, sizeof ceph);
	strcpy(ceph.osd_timeout, "0");
	ceph.size = 4 * OBJECT_BYTES;
	ceph.bytes = calloc(1, 2 * ceph.size);
	memset(&back, 0, sizeof back);
	pthread_mutex_init(&back.lock, NULL);
	pthread_cond_init(&back.more, NULL);
	return pthread_create(&back.thread, NULL, back_run, NULL);
}

static int ceph_teardown(void **state)
{
	pthread_mutex_lock(&back.lock);
	back.stop = true;
	pthread_cond_signal(&back.more);
	pthread_mutex_unlock(&back.lock);
	pthread_join(back.thread, NULL);
	free(ceph.bytes);
	return rig_teardown(state);
}

#define RW (NDM_OPEN_READ | NDM_OPEN_WRITE)

/* ---- tests ---- */

static void do_workout(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, "rbd:p/i", RW);

	assert_int_equal(s->nr, 4 * OBJECT_BYTES / NDM_SECTOR_BYTES);
	workout(s, 200, 1);
	assert_true(ceph.flushes > 0);
	assert_true(ceph.thick > 0);
	store_put(s);
	assert_int_equal(ceph.handles, 0);
}

static void do_options(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(
		rig, "rbd:p\\/q/i:conf=/c:mon_host=h\\:1:rados_osd_op_timeout=7:"
		"ndm-connect-timeout=2500:rbd_cache=false", RW);

	assert_non_null(strstr(ceph.settings, "mon_host=h:1 "));
	/* what was asked for comes first, what must be has the last word */
	assert_non_null(strstr(strstr(ceph.settings, "mon_host="), "rbd_cache=false"));
	assert_string_equal(ceph.seen_timeout, "3");	/* patience while it opens */
	assert_string_equal(ceph.osd_timeout, "7");	/* and the administrator's word later */
	ceph.seen_timeout[0] = '\0';
	store_put(s);
	assert_string_equal(ceph.seen_timeout, "3");	/* closing is bounded, too */
	assert_int_equal(ceph.handles, 0);
}

static void refused(struct rig *rig, const char *spec, int err, const char *word)
{
	char said[512];

	assert_int_equal(open_error(rig, spec, RW, said, sizeof said), err);
	if (!strstr(said, word))
		fail_msg("%s: '%s' does not say '%s'", spec, said, word);
	assert_int_equal(ceph.handles, 0);
}

static void do_refusals(struct rig *rig, void *arg)
{
	static const char *const wrong[] = { "rbd:", "rbd:p", "rbd:p/", "rbd:/i", "rbd:p//i",
					     "rbd:p/i@", "rbd:p/n/i/x", "rbd:p@s", "rbd:p/i@s@t" };
	unsigned i;

	for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
		refused(rig, wrong[i], -EINVAL, "rbd:POOL/IMAGE");
	refused(rig, "rbd:p/i:conf", -EINVAL, "OPTION=VALUE");
	refused(rig, "rbd:p/i:", -EINVAL, "OPTION=VALUE");
	refused(rig, "rbd:p/i:=x", -EINVAL, "OPTION=VALUE");
	refused(rig, "rbd:p/i:conf=/none", -ENOENT, "/none cannot be read");
	refused(rig, "rbd:p/i:no_such=1", -EINVAL, "no option 'no_such'");
	refused(rig, "rbd:p/i:rbd_cache=true", -EINVAL, "rbd_cache stays off");
	refused(rig, "rbd:p/i:ndm-connect-timeout=0", -EINVAL, "milliseconds");
	refused(rig, "rbd:p/i@s", -EROFS, "snapshot may not be written");
	ceph.connect_error = -ETIMEDOUT;
	refused(rig, "rbd:p/i:ndm-connect-timeout=1500", -ETIMEDOUT,
		"no monitor of the Ceph cluster has answered within 2 s");
	ceph.connect_error = -EACCES;
	refused(rig, "rbd:p/i:id=u", -EACCES, "does not let client.u in");
	ceph.connect_error = 0;
	ceph.pool_error = -ENOENT;
	refused(rig, "rbd:p/i", -ENOENT, "no pool 'p'");
	ceph.pool_error = 0;
	ceph.image_error = -ENOENT;
	refused(rig, "rbd:p/n/i", -ENOENT, "pool 'p' has no image 'i' in its namespace n");
	ceph.image_error = -ETIMEDOUT;
	refused(rig, "rbd:p/i", -ETIMEDOUT, "no OSD of the Ceph cluster has answered");
	ceph.image_error = 0;
	ceph.cache_of_pool = "true";
	refused(rig, "rbd:p/i", -EINVAL, "rbd config pool set p rbd_cache false");
	ceph.cache_of_image = "true";
	refused(rig, "rbd:p/i", -EINVAL, "rbd config image set p/i rbd_cache false");
	ceph.cache_of_image = "false";		/* the image's word counts */
	store_put(open_store(rig, "rbd:p/i", RW));
}

static void do_snapshot(struct rig *rig, void *arg)
{
	unsigned char sector[NDM_SECTOR_BYTES];
	struct ndm_store *s = open_store(rig, "rbd:p/i@s", RW);
	char said[256];

	assert_non_null(strstr(log_text, "may not be written"));
	assert_true(ceph.read_only);
	assert_true(s->limits.read_only);
	memset(ceph.bytes, 7, sizeof sector);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, sector), 0);
	assert_int_equal(sector[511], 7);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 1, sector), -EIO);
	assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 0, 8, NULL), -EIO);
	store_put(s);
	ceph.snap_error = -ENOENT;
	assert_int_equal(open_error(rig, "rbd:p/i@s", NDM_OPEN_READ, said, sizeof said), -ENOENT);
	assert_string_equal(said, "image 'i' has no snapshot 's'");
	assert_int_equal(ceph.handles, 0);
}

static void do_extents(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, "rbd:p/i", RW);
	char text[512];

	/* half a sector at 100.5, and two that touch; asked from the middle of an object */
	ceph.data[0] = (struct rbd_extent){ OBJECT_BYTES + 100 * 512 + 256, 256 };
	ceph.data[1] = (struct rbd_extent){ 2 * OBJECT_BYTES, 512 };
	ceph.data[2] = (struct rbd_extent){ 2 * OBJECT_BYTES + 512, OBJECT_BYTES - 512 };
	ceph.ndata = 3;
	assert_int_equal(extents_text(s, 2048 + 50, 6000, text, sizeof text), 0);
	assert_string_equal(text, "2098+50 hole|zero, 2148+1 data, 2149+1947 hole|zero, "
			    "4096+2048 data, 6144+1954 hole|zero");
	assert_int_equal(ceph.asked_from, OBJECT_BYTES);
	assert_int_equal(ceph.asked_bytes, (6000 + 50) * 512);
	assert_false(ceph.whole_object);
	ceph.diff_error = -EIO;			/* not known is data */
	assert_int_equal(extents_text(s, 0, 64, text, sizeof text), 0);
	assert_string_equal(text, "0+64 data");
	store_put(s);

	ceph.diff_error = 0;
	ceph.features = RBD_FAST_DIFF;
	s = open_store(rig, "rbd:p/i", RW);
	assert_int_equal(extents_text(s, 0, 2048, text, sizeof text), 0);
	assert_true(ceph.whole_object);
	store_put(s);

	ceph.parent = true;
	ceph.asked_bytes = 0;
	s = open_store(rig, "rbd:p/i", RW);
	assert_int_equal(extents_text(s, 0, 8192, text, sizeof text), 0);
	assert_string_equal(text, "0+8192 data");
	assert_int_equal(ceph.asked_bytes, 0);
	store_put(s);
}

static void do_faults(struct rig *rig, void *arg)
{
	unsigned char two[2 * NDM_SECTOR_BYTES];
	struct ndm_store *s = open_store(rig, "rbd:p/i", RW);

	ceph.io_error = -ETIMEDOUT;
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 2, two), -ETIMEDOUT);
	assert_int_equal(ndm_flush(s), -ETIMEDOUT);
	assert_string_equal(log_text, "");
	ceph.io_error = -ESHUTDOWN;
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 2, two), -ESHUTDOWN);
	assert_non_null(strstr(log_text, "blocklisted"));
	log_text[0] = '\0';
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 2, two), -ESHUTDOWN);
	assert_string_equal(log_text, "");	/* said once */
	ceph.io_error = 0;
	assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_FAST | NDM_NOUNMAP, 0, 8, NULL), -EOPNOTSUPP);
	ceph.size = NDM_SECTOR_BYTES;		/* shrunk: half of it is there */
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 2, two), -EIO);
	store_put(s);
}

static void do_resize(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, "rbd:p/i", RW);
	uint64_t nr = s->nr;

	ceph.size *= 2;
	ceph.update(ceph.update_arg);
	assert_int_equal(s->nr, nr);		/* it is a message, and comes in its turn */
	while (s->nr == nr)
		ndm_yield(rig->loop);
	assert_int_equal(s->nr, 2 * nr);
	ceph.size *= 2;
	ceph.update(ceph.update_arg);		/* under way while it is closed */
	store_put(s);
	assert_int_equal(ceph.handles, 0);
}

static void do_same(struct rig *rig, void *arg)
{
	struct ndm_store *a = open_store(rig, "rbd:p/i", RW);
	struct ndm_store *b = open_store(rig, "rbd:p/i:id=other", RW);
	struct ndm_store *c = open_store(rig, "rbd:p/i@s", NDM_OPEN_READ);

	assert_true(a != b);
	assert_true(store_same(a, b));
	assert_false(store_same(a, c));
	store_put(a);
	store_put(b);
	store_put(c);
}

#define TEST(name) \
	static void test_##name(void **state) { run(*state, do_##name, NULL); }
TEST(workout)
TEST(options)
TEST(refusals)
TEST(snapshot)
TEST(extents)
TEST(faults)
TEST(resize)
TEST(same)

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, ceph_setup, ceph_teardown)
	const struct CMUnitTest tests[] = {
		T(workout), T(options), T(refusals), T(snapshot), T(extents), T(faults),
		T(resize), T(same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
