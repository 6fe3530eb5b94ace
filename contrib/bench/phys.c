/* SPDX-License-Identifier: BSD-2-Clause */
/* phys - what this machine can do at best, per second and per CPU-second
 * (the latter is what stays meaningful while other jobs use the CPUs).
 * Build: gcc -O2 -Wall -o phys phys.c -luring -lpthread */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double wall(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec; }
static double cpu(void) { struct rusage r; getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec); }
static double thr_cpu(void) { struct timespec t; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec; }
#define T 1.0
static void row(const char *name, double n, double w, double c, const char *unit)
{
	printf("| %s | %.0f %s/s | %.0f %s per CPU-s |\n", name, n / w, unit, n / c, unit);
	fflush(stdout);
}

static void do_memcpy(size_t chunk, const char *name)
{
	size_t sz = 256u << 20;
	char *a = malloc(sz), *b = malloc(sz);
	memset(a, 1, sz); memset(b, 2, sz);
	double w = wall(), c = cpu(), n = 0;
	while (wall() - w < T)
		for (size_t i = 0; i + chunk <= (chunk < 65536 ? chunk * 4 : sz); i += chunk) { memcpy(b + i, a + i, chunk); n += (double)chunk; __asm__ volatile("" ::: "memory"); }
	row(name, n / 1048576, wall() - w, cpu() - c, "MiB");
	free(a); free(b);
}

static int sv[2];
static size_t in_sz, out_sz;
static void xread(int f, char *b, size_t n) { while (n) { ssize_t r = recv(f, b, n, 0); if (r <= 0) pthread_exit(NULL); b += r; n -= (size_t)r; } }
static void xwrite(int f, const char *b, size_t n) { while (n) { ssize_t r = send(f, b, n, MSG_NOSIGNAL); if (r <= 0) return; b += r; n -= (size_t)r; } }
static double srv_cpu;
static void *echo(void *a)
{
	char *b = malloc(in_sz + out_sz); (void)a;
	double c = thr_cpu(); double last = c;
	for (;;) {
		size_t n = in_sz; char *p = b;
		while (n) { ssize_t r = recv(sv[1], p, n, 0); if (r <= 0) { srv_cpu = last - c; free(b); return NULL; } p += r; n -= (size_t)r; }
		xwrite(sv[1], b, out_sz);
		last = thr_cpu();
	}
}
static void pair(int tcp)
{
	if (!tcp) { if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv)) exit(1); return; }
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }; socklen_t l = sizeof a; int one = 1;
	int s = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(s, (void *)&a, l) || listen(s, 1) || getsockname(s, (void *)&a, &l)) exit(1);
	sv[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(sv[0], (void *)&a, l)) exit(1);
	sv[1] = accept(s, NULL, NULL); close(s);
	setsockopt(sv[0], IPPROTO_TCP, TCP_NODELAY, &one, 4); setsockopt(sv[1], IPPROTO_TCP, TCP_NODELAY, &one, 4);
}
static void do_echo(int tcp, size_t in, size_t out, const char *name, int bytes)
{
	pthread_t t; char *b = malloc(in + out); memset(b, 0, in + out);
	pair(tcp); in_sz = in; out_sz = out;
	pthread_create(&t, NULL, echo, NULL);
	double w = wall(), n = 0;
	while (wall() - w < T) { xwrite(sv[0], b, in); xread(sv[0], b, out); n++; }
	w = wall() - w;
	close(sv[0]); pthread_join(t, NULL); close(sv[1]);
	row(name, bytes ? n * (double)(in + out) / 1048576 : n, w, srv_cpu, bytes ? "MiB" : "trips");
	free(b);
}

static uint64_t x = 88172645463325252ull;
static uint64_t rnd(void) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; return x; }
static void do_pread(const char *path, size_t bs, size_t size)
{
	int fd = open(path, O_RDWR); char *b = aligned_alloc(4096, bs); char nm[80]; if (fd < 0) { perror(path); exit(1); }
	double w = wall(), c = cpu(), n = 0;
	while (wall() - w < T) for (int i = 0; i < 64; i++) { if (pread(fd, b, bs, (off_t)(rnd() % (size / bs) * bs)) < 0) exit(1); n++; }
	snprintf(nm, sizeof nm, "pread %zuk random", bs >> 10); row(nm, n, wall() - w, cpu() - c, "ops");
	w = wall(); c = cpu(); n = 0;
	while (wall() - w < T) for (int i = 0; i < 64; i++) { if (pwrite(fd, b, bs, (off_t)(rnd() % (size / bs) * bs)) < 0) exit(1); n++; }
	snprintf(nm, sizeof nm, "pwrite %zuk random", bs >> 10); row(nm, n, wall() - w, cpu() - c, "ops");
	close(fd); free(b);
}
static void do_uring(const char *path, size_t bs, size_t size, unsigned qd, int batch, unsigned flags)
{
	struct io_uring r; int fd = open(path, O_RDWR); char *b = aligned_alloc(4096, bs * qd), nm[96];
	if (io_uring_queue_init(qd * 2, &r, flags)) { printf("| io_uring | not available | |\n"); return; }
	double w = wall(), c = cpu(), n = 0; unsigned fl = 0;
	struct io_uring_cqe *q;
	while (wall() - w < T) {
		unsigned add = 0;
		while (fl < qd) { struct io_uring_sqe *s = io_uring_get_sqe(&r); io_uring_prep_read(s, fd, b + (size_t)fl * bs, (unsigned)bs, rnd() % (size / bs) * bs); fl++; add++; }
		io_uring_submit_and_wait(&r, batch ? qd : 1);
		unsigned h, k = 0; io_uring_for_each_cqe(&r, h, q) { if (q->res != (int)bs) { fprintf(stderr, "res %d\n", q->res); exit(1); } k++; }
		io_uring_cq_advance(&r, k); fl -= k; n += k;
	}
	snprintf(nm, sizeof nm, "io_uring read %zuk QD%u%s", bs >> 10, qd, flags & IORING_SETUP_SQPOLL ? " sqpoll" : ""); row(nm, n, wall() - w, cpu() - c, "ops");
	io_uring_queue_exit(&r); close(fd); free(b);
}
static void *noop(void *a) { return a; }
int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/dev/shm"; char path[256]; size_t size = 256u << 20;
	snprintf(path, sizeof path, "%s/phys.%d", dir, (int)getpid());
	printf("| what | rate | per CPU-second |\n|---|---|---|\n");
	do_memcpy(1 << 20, "memcpy 1M blocks over 256M (memory)");
	do_memcpy(4096, "memcpy 4k (in cache)");
	do_echo(0, 28, 16, "unix socket trip 28 B -> 16 B (server side CPU)", 0);
	do_echo(0, 28, 4112, "unix socket trip 28 B -> 4 KiB+16", 0);
	do_echo(1, 28, 16, "TCP 127.0.0.1 trip 28 B -> 16 B", 0);
	do_echo(1, 28, 4112, "TCP 127.0.0.1 trip 28 B -> 4 KiB+16", 0);
	do_echo(0, 28, (1 << 20) + 16, "unix socket send 1M replies", 1);
	do_echo(1, 28, (1 << 20) + 16, "TCP send 1M replies", 1);
	int fd = open(path, O_CREAT | O_RDWR, 0600); char *b = calloc(1, 1 << 20); memset(b, 7, 1 << 20);
	for (size_t i = 0; i < size >> 20; i++) if (write(fd, b, 1 << 20) < 0) exit(1);
	close(fd);
	do_pread(path, 4096, size); do_pread(path, 1 << 20, size);
	do_uring(path, 4096, size, 1, 1, 0); do_uring(path, 4096, size, 32, 1, 0); do_uring(path, 1 << 20, size, 4, 1, 0);
	unlink(path);
	double w = wall(), c = cpu(), n = 0; while (wall() - w < T) { pthread_t t; pthread_create(&t, NULL, noop, NULL); pthread_join(t, NULL); n++; }
	row("pthread_create + join", n, wall() - w, cpu() - c, "threads");
	return 0;
}
