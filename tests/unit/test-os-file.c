/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files as stores: page cache and O_DIRECT, on tmpfs and on whatever the build folder lies on.
 * The same tests run again with NDM_NO_URING=1.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os-harness.h"
#include "lib/os/file.h"

#define MIB (1u << 20)

static const char *const folders[] = { "/dev/shm", "." };

struct a_file { char path[64]; char spec[80]; };

static void make_file(struct a_file *f, unsigned where, const char *how, off_t bytes)
{
	int fd;

	snprintf(f->path, sizeof f->path, "%s/ndm-test-XXXXXX", folders[where]);
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
	snprintf(f->spec, sizeof f->spec, "file:%s%s", f->path, how);
}

static blkcnt_t blocks_of(const struct a_file *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	return st.st_blocks;
}

/* ---- everything against a model ---- */

static void do_workout(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);

	workout(s, 150, 0);
	workout(s, 150, 24);			/* memory that O_DIRECT cannot take */
	store_put(s);
}

static void test_workout(void **state)
{
	struct a_file f;
	unsigned i;

	for (i = 0; i < 2; i++) {
		make_file(&f, i, "", 4 * MIB);
		run(*state, do_workout, f.spec);
		unlink(f.path);
	}
}

static bool can_direct(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void do_direct(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);

	assert_true(file_of(s)->direct);
	store_put(s);
	do_workout(rig, arg);
}

static void test_direct(void **state)
{
	struct a_file f;

	make_file(&f, 1, "?direct=1", 4 * MIB);
	if (can_direct(f.path))
		run(*state, do_direct, f.spec);
	unlink(f.path);
}

/* the world's switch, and a file's own word against it */
static void do_direct_world(struct rig *rig, void *arg)
{
	struct a_file *f = arg;
	struct ndm_store *s;
	char plain[80];

	ndm_world_os_direct_io(rig->world, true);
	s = open_store(rig, f->path, NDM_OPEN_READ);
	assert_true(file_of(s)->direct);
	store_put(s);
	snprintf(plain, sizeof plain, "file:%s?direct=0", f->path);
	s = open_store(rig, plain, NDM_OPEN_READ);
	assert_false(file_of(s)->direct);
	store_put(s);
	ndm_world_os_direct_io(rig->world, false);
}

static void test_direct_world(void **state)
{
	struct a_file f;

	make_file(&f, 1, "", MIB);
	if (can_direct(f.path))
		run(*state, do_direct_world, &f);
	unlink(f.path);
}

/* ---- reads that are lent, writes that are taken ---- */

static void lent_heard(struct ndm_bio *bio)
{
	*(bool *)bio->owner = true;
}

static bool lent(struct ndm_store *s, uint64_t sector, uint64_t nr, struct ndm_loan *loan)
{
	static char buf[MIB];
	struct iovec iov = { buf, sizeof buf };
	bool done = false;
	struct ndm_bio bio = { .op = NDM_READ, .store = s, .sector = sector, .nr = nr, .loan = loan,
			       .data = { &iov, 1, 0 }, .done = lent_heard, .owner = &done };

	*loan = (struct ndm_loan){ 0 };
	ndm_submit(&bio);
	while (!done)				/* it goes to the engine: the loop must turn */
		ndm_sleep(s->loop, 1000);
	assert_int_equal(bio.error, 0);
	return loan->at != NULL;
}

static int keep(struct ndm_source *source, void *to, size_t bytes)
{
	source->taken = true;
	memset(to, 'k', bytes);
	return 0;
}

static int taken(struct ndm_store *s, uint64_t sector, uint64_t nr)
{
	struct ndm_source source = { .take = keep };
	bool done = false;
	struct ndm_bio bio = { .op = NDM_WRITE, .store = s, .sector = sector, .nr = nr,
			       .source = &source, .done = lent_heard, .owner = &done };

	ndm_submit(&bio);
	assert_true(done);			/* or the bytes would not be there any more */
	assert_true(source.taken || bio.error);
	return bio.error;
}

static void do_lend(struct rig *rig, void *arg)
{
	struct a_file *f = arg;
	struct ndm_store *s = open_store(rig, f->spec, NDM_OPEN_READ | NDM_OPEN_WRITE);
	struct ndm_loan loan;
	char *bytes = malloc(4 * MIB);
	unsigned i;

	/* tasks run: what is lent might not last */
	assert_false(rig->loop->lending);
	rig->loop->lending = true;
	assert_false(lent(s, 0, 128, &loan));	/* a hole */
	assert_int_equal(taken(s, 0, 128), -EOPNOTSUPP);
	assert_int_equal(blocks_of(f), 0);
	memset(bytes, 'x', 4 * MIB);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 4 * MIB / 512, bytes), 0);
	for (i = 0; i < 250 && !lent(s, 7, 128, &loan); i++)
		;				/* it is looked at now and then only */
	assert_true(i < 250 && (i > 0 || !file_of(s)->memory));
	assert_int_equal(loan.offset, 7 * 512);
	assert_memory_equal(loan.at, bytes, 128 * 512);
	assert_true(lent(s, 7, 1, &loan) == file_of(s)->memory);
	rig->loop->lending = false;
	assert_false(lent(s, 7, 128, &loan));
	rig->loop->lending = true;
	assert_int_equal(taken(s, 8, 128), file_of(s)->memory ? 0 : -EOPNOTSUPP);
	if (file_of(s)->memory) {
		assert_int_equal(ndm_rw(s, NDM_READ, 0, 7, 130, bytes), 0);
		assert_int_equal(bytes[511], 'x');
		assert_int_equal(bytes[512], 'k');
		assert_int_equal(bytes[129 * 512 - 1], 'k');
		assert_int_equal(bytes[129 * 512], 'x');
		assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 0, MIB / 512, NULL), 0);
		assert_false(lent(s, 0, 128, &loan));
		assert_int_equal(taken(s, 0, 128), -EOPNOTSUPP);
		assert_int_equal(blocks_of(f), 3 * MIB / 512);
	}
	rig->loop->lending = false;
	free(bytes);
	store_put(s);
}

static void test_lend(void **state)
{
	struct a_file f;
	unsigned i;

	for (i = 0; i < 2; i++) {
		make_file(&f, i, "?direct=0", 4 * MIB);
		run(*state, do_lend, &f);
		unlink(f.path);
	}
}

/* ---- a block device, where one may be made (root, and a kernel with loop devices) ---- */

struct a_disk { struct a_file file; int control, fd, n; char path[32], spec[48]; };

static bool disk_make(struct a_disk *d)
{
	int backing;

	d->control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	d->n = d->control < 0 ? -1 : ioctl(d->control, LOOP_CTL_GET_FREE);
	if (d->n < 0)
		goto no_control;
	snprintf(d->path, sizeof d->path, "/dev/loop%d", d->n);
	d->fd = open(d->path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		goto no_control;
	make_file(&d->file, 1, "", 4 * MIB);
	backing = open(d->file.path, O_RDWR | O_CLOEXEC);
	if (ioctl(d->fd, LOOP_SET_FD, backing))
		goto no_disk;
	close(backing);
	return true;
no_disk:
	close(backing);
	close(d->fd);
	unlink(d->file.path);
no_control:
	if (d->control >= 0)
		close(d->control);
	return false;
}

static void disk_remove(struct a_disk *d)
{
	ioctl(d->fd, LOOP_CLR_FD, 0);
	close(d->fd);
	close(d->control);
	unlink(d->file.path);
}

static void do_disk(struct rig *rig, void *arg)
{
	struct a_disk *d = arg;
	struct ndm_store *s = open_store(rig, d->path, NDM_OPEN_READ | NDM_OPEN_WRITE), *again;
	blkcnt_t full;
	unsigned char *buf = malloc(MIB);

	assert_int_equal(s->major, 7);
	assert_int_equal(s->minor, d->n);
	assert_int_equal(s->nr, 8192);
	assert_true(s->limits.logical_block_bytes >= 512);
	assert_false(s->limits.extents);
	again = open_store(rig, d->spec, NDM_OPEN_READ);
	assert_true(store_same(s, again));	/* another spelling of the same disk */
	store_put(again);
	memset(buf, 0x33, MIB);
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 0, 2048, buf), 0);
	full = blocks_of(&d->file);
	assert_true(full >= 2048);
	if (s->limits.max_discard_sectors) {
		assert_int_equal(ndm_rw(s, NDM_DISCARD, NDM_FUA, 0, 2048, NULL), 0);
		assert_true(blocks_of(&d->file) <= full - 2048);
	}
	free(buf);
	store_put(s);
}

static void test_disk(void **state)
{
	struct a_disk d;

	if (!disk_make(&d))
		skip();
	snprintf(d.spec, sizeof d.spec, "file:%s?direct=0", d.path);
	run(*state, do_disk, &d);
	run(*state, do_workout, d.path);
	snprintf(d.spec, sizeof d.spec, "file:%s?direct=1", d.path);
	run(*state, do_direct, d.spec);
	disk_remove(&d);
}

/* ---- what is not in the page cache comes through the engine ---- */

static void do_cold(struct rig *rig, void *arg)
{
	struct a_file *f = arg;
	struct ndm_store *s = open_store(rig, f->spec, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char *wrote = malloc(MIB), *got = malloc(MIB);
	struct iovec iov[64];
	struct ndm_data data = { .iov = iov, .iovcnt = 64 };
	size_t i;

	for (i = 0; i < MIB; i++)
		wrote[i] = (unsigned char)(i * 7 + i / 4096);
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 8, MIB / 512 - 8, wrote), 0);
	for (i = 0; i < 64; i++)		/* more pieces than one call takes */
		iov[i] = (struct iovec){ got + i * 4096, 4096 };
	iov[0].iov_len = 4096;
	posix_fadvise(file_of(s)->fd, 0, 0, POSIX_FADV_DONTNEED);
	assert_int_equal(ndm_rw_data(s, NDM_READ, 0, 8, 64 * 8, &data), 0);
	assert_memory_equal(got, wrote, 64 * 4096);
	posix_fadvise(file_of(s)->fd, 0, MIB / 2, POSIX_FADV_DONTNEED);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 8, MIB / 512 - 8, got), 0);
	assert_memory_equal(got, wrote, MIB - 4096);
	assert_int_equal(ndm_rw(s, NDM_CACHE, 0, 0, MIB / 512, NULL), 0);
	store_put(s);
	free(wrote);
	free(got);
}

static void test_cold(void **state)
{
	struct a_file f;

	make_file(&f, 1, "", MIB);
	run(*state, do_cold, &f);
	unlink(f.path);
}

/* ---- space ---- */

static void do_space(struct rig *rig, void *arg)
{
	struct a_file *f = arg;
	struct ndm_store *s = open_store(rig, f->spec, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char *buf = malloc(MIB), *zero = calloc(1, MIB);
	blkcnt_t full, half;
	int err;

	memset(buf, 0x5a, MIB);
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 0, 2048, buf), 0);
	full = blocks_of(f);
	assert_true(full >= 2048);
	if (s->limits.max_discard_sectors) {
		assert_int_equal(ndm_rw(s, NDM_DISCARD, NDM_FUA, 0, 1024, NULL), 0);
		half = blocks_of(f);
		assert_true(half <= full - 1024);
		assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1024, buf), 0);
		assert_memory_equal(buf, zero, MIB / 2);

		/* zeroes that punch, however large, give space back */
		assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_FAST, 1024, 512, NULL), 0);
		assert_true(blocks_of(f) <= half - 512);
	}
	/* zeroes that must not punch allocate */
	assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_NOUNMAP | NDM_FUA, 0, 2048, NULL), 0);
	assert_true(blocks_of(f) >= 2048);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 2048, buf), 0);
	assert_memory_equal(buf, zero, MIB);
	/* FAST either works or says so at once: tmpfs has no quick way to allocated zeroes */
	err = ndm_rw(s, NDM_ZEROES, NDM_NOUNMAP | NDM_FAST, 0, 2048, NULL);
	assert_true(err == 0 || err == -EOPNOTSUPP);
	assert_true(!file_of(s)->memory || err == -EOPNOTSUPP);
	store_put(s);
	free(buf);
	free(zero);
}

static void test_space(void **state)
{
	struct a_file f;
	unsigned i;

	for (i = 0; i < 2; i++) {
		make_file(&f, i, "", MIB);
		run(*state, do_space, &f);
		unlink(f.path);
	}
}

static void do_extents(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char *buf = malloc(65536);	/* a task's own stack is no longer than that */
	char text[512];

	memset(buf, 1, 65536);
	assert_int_equal(extents_text(s, 0, 8192, text, sizeof text), 0);
	assert_string_equal(text, "0+8192 hole|zero");
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 1024, 128, buf), 0);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 8192 - 128, 128, buf), 0);
	assert_int_equal(extents_text(s, 0, 8192, text, sizeof text), 0);
	assert_string_equal(text, "0+1024 hole|zero, 1024+128 data, 1152+6912 hole|zero, "
				  "8064+128 data");
	assert_int_equal(extents_text(s, 1030, 20, text, sizeof text), 0);
	assert_string_equal(text, "1030+20 data");
	assert_int_equal(extents_text(s, 1100, 100, text, sizeof text), 0);
	assert_string_equal(text, "1100+52 data, 1152+48 hole|zero");
	store_put(s);
	free(buf);
}

static void test_extents(void **state)
{
	struct a_file f;
	unsigned i;

	for (i = 0; i < 2; i++) {
		make_file(&f, i, "", 4 * MIB);
		run(*state, do_extents, f.spec);
		unlink(f.path);
	}
}

/* ---- durability ---- */

struct many { unsigned left; struct ndm_waitq q; int error; };

static void many_end(struct ndm_bio *bio)
{
	struct many *m = bio->owner;

	if (bio->error)
		m->error = bio->error;
	m->left--;
	ndm_wake_all(&m->q);
}

static void many_flushes(struct ndm_store *s, struct many *m)
{
	struct ndm_bio bio[20];
	unsigned i;

	*m = (struct many){ .left = 20 };
	ndm_waitq_init(&m->q, s->loop);
	for (i = 0; i < 20; i++) {
		bio[i] = (struct ndm_bio){
			.op = NDM_FLUSH, .store = s, .done = many_end, .owner = m,
		};
		ndm_submit(&bio[i]);
	}
	while (m->left)
		ndm_wait(&m->q);
}

static void do_flush(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char buf[4096] = { 1 };
	struct many m;

	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 8, buf), 0);
	many_flushes(s, &m);
	assert_int_equal(m.error, 0);

	/* what the kernel says once, we say for ever */
	assert_int_equal(file_synced(file_of(s), -EIO), -EIO);
	many_flushes(s, &m);
	assert_int_equal(m.error, -EIO);
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 0, 8, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 8, buf), 0);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 8, buf), 0);
	store_put(s);
}

static void test_flush(void **state)
{
	struct a_file f;

	make_file(&f, 1, "", MIB);
	run(*state, do_flush, f.spec);
	unlink(f.path);
}

/* ---- refusals ---- */

static void do_read_only(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ);
	unsigned char buf[512];

	assert_true(s->limits.read_only);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 1, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 0, 1, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_ZEROES, 0, 0, 1, NULL), -EIO);
	assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 0, 1, NULL), -EIO);
	assert_int_equal(ndm_flush(s), 0);
	store_put(s);
}

static void test_read_only(void **state)
{
	struct a_file f;

	make_file(&f, 0, "", MIB);
	run(*state, do_read_only, f.spec);
	unlink(f.path);
}

/* Shorter than it was: what is gone is an error, what is left is not. */
static void do_truncated(struct rig *rig, void *arg)
{
	struct a_file *f = arg;
	struct ndm_store *s = open_store(rig, f->spec, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char buf[8192];

	assert_int_equal(s->nr, 2048);
	assert_int_equal(truncate(f->path, MIB / 2), 0);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 16, buf), 0);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 1024, 16, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 1016, 16, buf), -EIO);
	store_put(s);
}

static void test_truncated(void **state)
{
	struct a_file f;
	unsigned i;

	for (i = 0; i < 2; i++) {
		make_file(&f, i, "", MIB + 511);	/* rounded down */
		run(*state, do_truncated, &f);
		unlink(f.path);
	}
}

static void do_refused(struct rig *rig, void *arg)
{
	struct a_file *f = arg;
	char said[256], fifo[80], spec[96];

	assert_int_equal(open_error(rig, "/nowhere/at", NDM_OPEN_READ, said, sizeof said),
			 -ENOENT);
	assert_int_equal(open_error(rig, "file:", NDM_OPEN_READ, said, sizeof said), -ENOENT);
	assert_string_equal(said, "the name of the file is empty");
	assert_int_equal(open_error(rig, "/", NDM_OPEN_READ, said, sizeof said), -ENOTBLK);
	assert_string_equal(said, "/ is neither a regular file nor a block device");
	snprintf(fifo, sizeof fifo, "%s.fifo", f->path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(open_error(rig, fifo, NDM_OPEN_READ, said, sizeof said), -ENOTBLK);
	unlink(fifo);
	snprintf(spec, sizeof spec, "%s?colour=red", f->spec);
	assert_int_equal(open_error(rig, spec, NDM_OPEN_READ, said, sizeof said), -EINVAL);
	assert_non_null(strstr(said, "colour=red"));
	if (geteuid() == 0) {			/* root may write anything */
		assert_int_equal(chmod(f->path, 0444), 0);
		assert_int_equal(seteuid(65534), 0);
	} else {
		assert_int_equal(chmod(f->path, 0444), 0);
	}
	assert_int_equal(open_error(rig, f->path, NDM_OPEN_READ | NDM_OPEN_WRITE, said,
				    sizeof said), -EACCES);
	assert_non_null(strstr(said, "may not be written"));
	assert_int_equal(open_error(rig, f->path, NDM_OPEN_READ, said, sizeof said), 0);
	if (geteuid() != getuid())
		assert_int_equal(seteuid(getuid()), 0);
}

static void test_refused(void **state)
{
	struct a_file f;

	make_file(&f, 0, "", MIB);
	run(*state, do_refused, &f);
	unlink(f.path);
}

/* A name is a name: no option is looked for in a plain path. */
static void do_plain(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);

	assert_int_equal(s->nr, 2048);
	store_put(s);
}

static void test_plain(void **state)
{
	struct a_file f;
	char odd[80];

	make_file(&f, 0, "", MIB);
	snprintf(odd, sizeof odd, "%s?direct=1", f.path);
	assert_int_equal(rename(f.path, odd), 0);
	run(*state, do_plain, odd);
	unlink(odd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_workout, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_direct, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_direct_world, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_lend, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_disk, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_cold, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_space, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_extents, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_flush, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_read_only, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_truncated, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_refused, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_plain, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
