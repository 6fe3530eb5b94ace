/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remote exports as stores: nbdkit and qemu-nbd on the other side, started, killed and
 * replaced by the test.  A server gets its listening socket from us (LISTEN_FDS), so it may
 * be talked to before it has begun.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os-harness.h"
#include "lib/os/nbd.h"

#define SECOND 1000000000ull

static char folder[] = "/tmp/ndm-nbd-XXXXXX";
static char log_text[16384];			/* of warnings; emptied before a test */

static void keep_log(void *arg, enum ndm_level level, const char *line)
{
	size_t at = strlen(log_text);

	if (level <= NDM_LOG_WARNING)
		snprintf(log_text + at, sizeof log_text - at, "%s\n", line);
}

static bool have(const char *tool)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "command -v %s >/dev/null 2>&1", tool);
	return system(cmd) == 0;
}

/* ---- servers ---- */

struct server { pid_t pid; char path[108]; char uri[256]; };

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(path);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* argv[0] with the socket as fd 3; its words go nowhere */
static void server_exec(struct server *s, int fd, const char *const argv[])
{
	char pid[16];
	int null;

	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		if (fd != 3) {
			dup2(fd, 3);
			close(fd);
		}
		snprintf(pid, sizeof pid, "%d", getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	close(fd);
}

static void server_start(struct server *s, const char *name, const char *const argv[])
{
	snprintf(s->path, sizeof s->path, "%s/%s", folder, name);
	snprintf(s->uri, sizeof s->uri, "nbd+unix:///?socket=%s", s->path);
	server_exec(s, listen_at(s->path), argv);
}

static void server_kill(struct server *s, int how)
{
	kill(s->pid, how);
	waitpid(s->pid, NULL, 0);
}

#define NBDKIT(s, name, ...) \
	server_start(s, name, (const char *const[]){ "nbdkit", "-f", __VA_ARGS__, NULL })

static int nbd_setup(void **state)
{
	struct rig *rig;

	rig_setup(state);
	rig = *state;
	rig->world->log.fn = keep_log;
	log_text[0] = '\0';
	return 0;
}

/* ---- everything against a model ---- */

static void do_workout(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);

	workout(s, 100, 1);
	store_put(s);
}

static void test_nbdkit(void **state)
{
	struct server s;
	char spec[300];

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "a", "memory", "4M");
	run(*state, do_workout, s.uri);
	snprintf(spec, sizeof spec, "%s&ndm-connections=4", s.uri);
	run(*state, do_workout, spec);
	server_kill(&s, SIGKILL);

	/* nothing but reads and writes, and short ones */
	NBDKIT(&s, "b", "--filter=fua", "--filter=nozero", "--filter=blocksize-policy",
	       "memory", "4M", "zeromode=none", "blocksize-minimum=1024",
	       "blocksize-preferred=4096", "blocksize-maximum=16384");
	run(*state, do_workout, s.uri);
	server_kill(&s, SIGKILL);
}

static void test_qemu_nbd(void **state)
{
	struct server s;
	char path[128], spec[300];
	int fd;

	if (!have("qemu-nbd"))
		skip();
	snprintf(path, sizeof path, "%s/disk", folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	close(fd);
	server_start(&s, "q", (const char *const[]){ "qemu-nbd", "-f", "raw", "-t", "-e", "8",
					  "--discard=unmap", path, NULL });
	run(*state, do_workout, s.uri);
	snprintf(spec, sizeof spec, "%s&ndm-connections=3", s.uri);
	run(*state, do_workout, spec);
	server_kill(&s, SIGKILL);
	unlink(path);
}

/*
 * By name: "localhost" is ::1 for many, where nobody listens, and then 127.0.0.1; libnbd
 * changes its socket under our watch.
 */
static void test_tcp(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	struct server s;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!have("nbdkit"))
		skip();
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s.uri, sizeof s.uri, "nbd://localhost:%d/?ndm-connections=2", ntohs(a.sin_port));
	server_exec(&s, fd, (const char *const[]){ "nbdkit", "-f", "memory", "4M", NULL });
	run(*state, do_workout, s.uri);
	server_kill(&s, SIGKILL);
}

/* ---- limits come from the server; long requests are cut ---- */

static void do_limits(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char *wrote = malloc(1 << 20), *got = malloc(1 << 20);
	size_t i;

	assert_int_equal(s->limits.logical_block_bytes, 1024);
	assert_int_equal(s->limits.physical_block_bytes, 4096);
	assert_int_equal(s->limits.max_sectors, 32);
	assert_true(s->limits.extents);
	assert_int_equal(s->nr, 8192);
	for (i = 0; i < 1 << 20; i++)
		wrote[i] = (unsigned char)(i >> 9 ^ i);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 1024, 2048, wrote), 0);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 1024, 2048, got), 0);
	assert_memory_equal(wrote, got, 1 << 20);
	free(wrote);
	free(got);
	store_put(s);
}

static void test_limits(void **state)
{
	struct server s;

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "l", "--filter=blocksize-policy", "memory", "4M", "blocksize-minimum=1024",
	       "blocksize-preferred=4096", "blocksize-maximum=16384",
	       "blocksize-error-policy=error");
	run(*state, do_limits, s.uri);
	server_kill(&s, SIGKILL);
}

static void do_extents(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char *buf = malloc(65536);
	char text[256];

	memset(buf, 1, 65536);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 1024, 128, buf), 0);
	assert_int_equal(extents_text(s, 0, s->nr, text, sizeof text), 0);
	assert_string_equal(text, "0+1024 hole|zero, 1024+128 data, 1152+7040 hole|zero");
	/* data have a connection of their own by now, which cannot be asked for it */
	while (((struct nbd_store *)s)->nready < 2)
		ndm_sleep(rig->loop, SECOND / 1000);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 2048, 128, buf), 0);
	assert_int_equal(extents_text(s, 0, s->nr, text, sizeof text), 0);
	assert_string_equal(text, "0+1024 hole|zero, 1024+128 data, 1152+896 hole|zero, 2048+128 data, "
			    "2176+6016 hole|zero");
	assert_int_equal(ndm_rw(s, NDM_CACHE, 0, 0, 8, NULL), 0);
	free(buf);
	store_put(s);
}

static void test_extents(void **state)
{
	struct server s;

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "e", "memory", "4M");
	run(*state, do_extents, s.uri);
	server_kill(&s, SIGKILL);
}

/* ---- errors of the server, and an export that may not be written ---- */

static void do_errors(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);
	unsigned char buf[4096] = { 0 };

	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 8, buf), -ENOSPC);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 8, buf), 0);
	assert_true(os_store_up(s));
	store_put(s);
}

static void test_errors(void **state)
{
	struct server s;

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "r", "--filter=error", "memory", "4M", "error-pread=ENOSPC",
	       "error-pread-rate=100%");
	run(*state, do_errors, s.uri);
	server_kill(&s, SIGKILL);
}

static void do_read_only(struct rig *rig, void *arg)
{
	struct ndm_store *s;
	unsigned char buf[512];
	char said[512];

	assert_int_equal(open_error(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE, said, sizeof said),
			 -EROFS);
	assert_string_equal(said, "the export may not be written");
	s = open_store(rig, arg, NDM_OPEN_READ);
	assert_true(s->limits.read_only);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 1, buf), -EIO);
	store_put(s);
}

static void test_read_only(void **state)
{
	struct server s;

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "o", "-r", "memory", "1M");
	run(*state, do_read_only, s.uri);
	server_kill(&s, SIGKILL);
}

static void do_refused(struct rig *rig, void *arg)
{
	struct { const char *spec; const char *word; } wrong[] = {
		{ "nbd+unix:///?socket=/nowhere/at/all", "No such file" },
		{ "nbd://[::1/x", "" },
		{ "nbd+carrier-pigeon://x", "" },
		{ "nbd://localhost/?ndm-connections=0", "ndm-connections is a number from" },
		{ "nbd://localhost/?ndm-connections=17", "ndm-connections is a number" },
		{ "nbd://localhost/?a=b&ndm-timeout=-5", "'ndm-timeout=-5' is no option" },
		{ "nbd://localhost/?ndm-speed=9&x=y", "'ndm-speed=9' is no option" },
	};
	char said[512];
	unsigned i;

	(void)arg;
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_true(open_error(rig, wrong[i].spec, NDM_OPEN_READ, said, sizeof said) < 0);
		assert_int_not_equal(strlen(said), 0);
		assert_non_null(strstr(said, wrong[i].word));
	}
}

static void test_refused(void **state)
{
	run(*state, do_refused, NULL);
}

/* ---- nobody answers ---- */

static void do_silent(struct rig *rig, void *arg)
{
	char said[512], spec[300];
	uint64_t start = ndm_now(rig->loop);

	snprintf(spec, sizeof spec, "nbd+unix:///?socket=%s&ndm-connect-timeout=150", (char *)arg);
	assert_int_equal(open_error(rig, spec, NDM_OPEN_READ, said, sizeof said), -ETIMEDOUT);
	assert_string_equal(said, "no answer within 150 ms");
	assert_true(ndm_now(rig->loop) - start >= SECOND / 10);
}

static void test_silent(void **state)
{
	char path[108];
	int fd;

	snprintf(path, sizeof path, "%s/silent", folder);
	fd = listen_at(path);
	run(*state, do_silent, path);
	close(fd);
}

/* ---- TLS ---- */

static void make_keys(char *psk)
{
	char cmd[512];

	snprintf(psk, 128, "%s/keys.psk", folder);
	snprintf(cmd, sizeof cmd, "psktool -u alice -p %s >/dev/null 2>&1", psk);
	assert_int_equal(system(cmd), 0);
}

static void do_tls_refused(struct rig *rig, void *arg)
{
	char said[512];

	assert_true(open_error(rig, arg, NDM_OPEN_READ, said, sizeof said) < 0);
	assert_int_not_equal(strlen(said), 0);
}

static void test_tls(void **state)
{
	struct server s;
	char psk[128], opt[160], spec[512];

	if (!have("nbdkit") || !have("psktool"))
		skip();
	make_keys(psk);
	snprintf(opt, sizeof opt, "--tls-psk=%s", psk);
	NBDKIT(&s, "t", "--tls=require", opt, "memory", "4M");
	snprintf(spec, sizeof spec,
		 "nbds+unix://alice@/?ndm-connections=2&socket=%s&tls-psk-file=%s", s.path, psk);
	run(*state, do_workout, spec);
	snprintf(spec, sizeof spec, "nbds+unix://mallory@/?socket=%s&tls-psk-file=%s", s.path, psk);
	run(*state, do_tls_refused, spec);
	run(*state, do_tls_refused, s.uri);
	server_kill(&s, SIGKILL);
}

/* ---- going away and coming back ---- */

struct ups { struct ndm_link_watch watch; struct ndm_waitq q; unsigned up, down; };

static void up_or_down(struct ndm_link_watch *w, struct ndm_store *s, bool up)
{
	struct ups *u = (struct ups *)w;

	assert_int_equal(os_store_up(s), up);
	u->up += up;
	u->down += !up;
	ndm_wake_all(&u->q);
}

struct flight { struct ndm_bio bio; struct many *m; struct iovec iov; unsigned char buf[512]; };
struct many { struct ndm_waitq q; unsigned left; int error; };

static void flight_end(struct ndm_bio *bio)
{
	struct many *m = bio->owner;

	m->error = bio->error;
	m->left--;
	ndm_wake_all(&m->q);
}

static void fly(struct ndm_store *s, struct flight *f, unsigned n, struct many *m)
{
	unsigned i;

	*m = (struct many){ .left = n };
	ndm_waitq_init(&m->q, s->loop);
	for (i = 0; i < n; i++) {
		f[i].iov = (struct iovec){ f[i].buf, sizeof f[i].buf };
		f[i].bio = (struct ndm_bio){
			.op = NDM_READ, .store = s, .sector = i, .nr = 1, .owner = m,
			.data = { .iov = &f[i].iov, .iovcnt = 1 }, .done = flight_end,
		};
		ndm_submit(&f[i].bio);
	}
}

struct reconnect { struct server server; char *spec; };

static void do_reconnect(struct rig *rig, void *arg)
{
	struct reconnect *rc = arg;
	struct ndm_store *s = open_store(rig, rc->spec, NDM_OPEN_READ | NDM_OPEN_WRITE);
	struct flight *f = calloc(32, sizeof *f);
	struct ups u = { .watch = { .fn = up_or_down } };
	struct many m;
	unsigned char buf[512] = { 7 };

	ndm_waitq_init(&u.q, rig->loop);
	os_store_watch(s, &u.watch);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 1000, 1, buf), 0);

	/* in flight when the server dies: all end, and later ones at once */
	fly(s, f, 32, &m);			/* each read takes the server a minute */
	server_kill(&rc->server, SIGKILL);
	while (m.left)
		ndm_wait(&m.q);
	assert_int_equal(m.error, -ENOTCONN);
	while (!u.down)
		ndm_wait(&u.q);
	assert_false(os_store_up(s));
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 1, buf), -ENOTCONN);
	assert_int_equal(ndm_flush(s), -ENOTCONN);
	assert_non_null(strstr(log_text, "connection lost"));

	/* a server of the wrong size is not believed */
	NBDKIT(&rc->server, "c", "memory", "2M");
	while (!strstr(log_text, "it had 4194304 bytes, now 2097152"))
		ndm_sleep(rig->loop, SECOND / 100);
	assert_false(os_store_up(s));
	assert_int_equal(u.up, u.down - 1);	/* one whose handshake the dead server had answered */
	server_kill(&rc->server, SIGKILL);

	/* the right one is; but what was not flushed may be lost, and that is said, once */
	NBDKIT(&rc->server, "c", "memory", "4M");
	while (!os_store_up(s))
		ndm_wait(&u.q);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_flush(s), -EIO);
	assert_int_equal(ndm_flush(s), 0);

	/* flushed, or never written, there is nothing to complain of */
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_flush(s), 0);
	server_kill(&rc->server, SIGKILL);
	while (os_store_up(s))
		ndm_wait(&u.q);
	NBDKIT(&rc->server, "c", "memory", "4M");
	while (!os_store_up(s))
		ndm_wait(&u.q);
	assert_int_equal(ndm_flush(s), 0);
	os_store_unwatch(s, &u.watch);
	store_put(s);
	free(f);
}

static void test_reconnect(void **state)
{
	struct reconnect rc;
	char spec[300];

	if (!have("nbdkit"))
		skip();
	NBDKIT(&rc.server, "c", "--filter=delay", "memory", "4M", "delay-read=60");
	rc.spec = rc.server.uri;
	snprintf(spec, sizeof spec, "%s", rc.server.uri);
	rc.spec = spec;
	run(*state, do_reconnect, &rc);
	server_kill(&rc.server, SIGKILL);
}

/* The same with several connections, of which all die. */
static void test_reconnect_many(void **state)
{
	struct reconnect rc;
	char spec[300];

	if (!have("nbdkit"))
		skip();
	NBDKIT(&rc.server, "c", "--filter=delay", "memory", "4M", "delay-read=60");
	snprintf(spec, sizeof spec, "%s&ndm-connections=4", rc.server.uri);
	rc.spec = spec;
	run(*state, do_reconnect, &rc);
	server_kill(&rc.server, SIGKILL);
}

/* ---- one connection of several dies: its requests end, the others' go on, it comes back ---- */

static void do_one_of_many(struct rig *rig, void *arg)
{
	struct ndm_store *s = open_store(rig, arg, NDM_OPEN_READ | NDM_OPEN_WRITE);
	struct nbd_store *st = (struct nbd_store *)s;
	struct ups u = { .watch = { .fn = up_or_down } };
	struct flight *f = calloc(30, sizeof *f);
	unsigned char buf[512] = { 3 };
	struct many m;
	unsigned i, lost = 0;

	os_store_watch(s, &u.watch);
	ndm_waitq_init(&u.q, rig->loop);
	while (st->nready < 4)			/* and one that is for block status */
		ndm_sleep(rig->loop, SECOND / 1000);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 0, 1, buf), 0);
	fly(s, f, 30, &m);
	assert_int_equal(st->conns[0].nin_flight, 0);
	for (i = 1; i < 4; i++)			/* the least busy gets the next: ten for each */
		assert_int_equal(st->conns[i].nin_flight, 10);
	assert_int_equal(shutdown(nbd_aio_get_fd(st->conns[1].h), SHUT_RDWR), 0);
	while (m.left)
		ndm_wait(&m.q);
	for (i = 0; i < 30; i++) {
		assert_true(f[i].bio.error == 0 || f[i].bio.error == -ENOTCONN);
		lost += f[i].bio.error != 0;
	}
	assert_int_equal(lost, 10);
	assert_int_equal(u.down, 0);
	/* the server is alive, so nothing can be lost */
	assert_int_equal(ndm_flush(s), 0);
	while (st->nready < 4)
		ndm_sleep(rig->loop, SECOND / 100);
	/* the first one goes with the last of the others: what hangs together is lost together */
	for (i = 1; i < 4; i++)
		assert_int_equal(shutdown(nbd_aio_get_fd(st->conns[i].h), SHUT_RDWR), 0);
	while (!u.down)
		ndm_wait(&u.q);
	assert_int_equal(st->nready, 0);
	while (!os_store_up(s))
		ndm_wait(&u.q);
	assert_int_equal(u.down, 1);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	os_store_unwatch(s, &u.watch);
	store_put(s);
	free(f);
}

static void test_one_of_many(void **state)
{
	struct server s;
	char spec[300];

	if (!have("nbdkit"))
		skip();
	/* one thread each: Debian's nbdkit aborts when a client leaves several that answer */
	NBDKIT(&s, "m", "-t", "1", "--filter=delay", "memory", "4M", "delay-read=200ms");
	snprintf(spec, sizeof spec, "%s&ndm-connections=3", s.uri);
	run(*state, do_one_of_many, spec);
	server_kill(&s, SIGKILL);
}

/* ---- a server that is stopped: the connection is there, the answers are not ---- */

static void do_stopped(struct rig *rig, void *arg)
{
	struct server *server = arg;
	struct ups u = { .watch = { .fn = up_or_down } };
	struct ndm_store *s;
	unsigned char buf[512];
	char spec[300];

	snprintf(spec, sizeof spec, "%s&ndm-timeout=200&ndm-connect-timeout=500", server->uri);
	s = open_store(rig, spec, NDM_OPEN_READ);
	ndm_waitq_init(&u.q, rig->loop);
	os_store_watch(s, &u.watch);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	kill(server->pid, SIGSTOP);
	assert_int_equal(waitpid(server->pid, NULL, WUNTRACED), server->pid);
	do					/* another connection may just have come up */
		assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), -ENOTCONN);
	while (!u.down);
	assert_int_equal(u.down, 1);
	assert_non_null(strstr(log_text, "was not answered within 200 ms"));
	kill(server->pid, SIGCONT);
	while (!u.up)
		ndm_wait(&u.q);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	os_store_unwatch(s, &u.watch);
	store_put(s);
}

static void test_stopped(void **state)
{
	struct server s;

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "s", "memory", "1M");
	run(*state, do_stopped, &s);
	server_kill(&s, SIGKILL);
}

/* closed while it tries to connect: nothing is left behind */
static void do_close_while_down(struct rig *rig, void *arg)
{
	struct server *server = arg;
	struct ndm_store *s = open_store(rig, server->uri, NDM_OPEN_READ);
	struct ups u = { .watch = { .fn = up_or_down } };

	ndm_waitq_init(&u.q, rig->loop);
	os_store_watch(s, &u.watch);
	server_kill(server, SIGKILL);
	while (!u.down)
		ndm_wait(&u.q);
	ndm_sleep(rig->loop, SECOND / 4);
	store_put(s);
}

static void test_close_while_down(void **state)
{
	struct server s;

	if (!have("nbdkit"))
		skip();
	NBDKIT(&s, "d", "memory", "1M");
	run(*state, do_close_while_down, &s);
}

static int folder_make(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);		/* as every host does */
	return !mkdtemp(folder);
}

static int folder_remove(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nbdkit, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_qemu_nbd, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_tcp, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_limits, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_extents, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_errors, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_read_only, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_refused, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_silent, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_tls, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_reconnect, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_reconnect_many, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_one_of_many, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_stopped, nbd_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_close_while_down, nbd_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
