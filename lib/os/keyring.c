/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyring.c - keys and passphrases from where this process can get them:
 *
 *	file PATH, fd NUMBER		all of it
 *	credential NAME			of systemd: a file in $CREDENTIALS_DIRECTORY
 *	exec PROGRAM [ARGUMENT...]	what it prints; no shell, it ends with 0
 *	certificates verity		whose signatures of root digests count (certificates.c)
 *	user, logon ...			keys of the kernel's key service, by request_key(2)
 *
 * "user" keys can be read by any process that may search them; "logon" keys by none, that is
 * their purpose, so they are reported as not there.  All but the last may block: on a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/keyctl.h>

#include "os.h"

#define ARGUMENTS_MAX 32

extern char **environ;

/* As many bytes as there is room for, and how many there are at least. */
static int read_all(int fd, char *out, size_t room)
{
	size_t have = 0;
	ssize_t n;
	char more;

	for (;;) {
		n = have < room ? read(fd, out + have, room - have) : read(fd, &more, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return (int)have;
		have += (size_t)n;
		if (have > room)
			return (int)have;
	}
}

static int read_file(const char *path, void *out, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), n;

	if (fd < 0)
		return -errno;
	n = read_all(fd, out, room);
	close(fd);
	return n;
}

static int read_fd(const char *number, void *out, size_t room)
{
	char *end;
	long fd = strtol(number, &end, 10);

	if (*end || end == number || fd < 0 || fd > INT32_MAX)
		return -EBADF;
	lseek((int)fd, 0, SEEK_SET);		/* a file may be read again, a pipe not */
	return read_all((int)fd, out, room);
}

static int read_credential(const char *name, void *out, size_t room)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char path[1024];

	if (!folder || !*name || strchr(name, '/') || *name == '.')
		return -ENOKEY;
	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	return read_file(path, out, room);
}

/* what a program prints */
static int read_program(const char *command, void *out, size_t room)
{
	char *words = ndm_strdup(command), *argv[ARGUMENTS_MAX + 1], *save = NULL, *word;
	posix_spawn_file_actions_t actions;
	int pipes[2], n = 0, err, status;
	pid_t pid;

	for (word = words ? strtok_r(words, " ", &save) : NULL; word && n < ARGUMENTS_MAX;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	if (!n || *argv[0] != '/' || pipe2(pipes, O_CLOEXEC)) {
		ndm_free(words);
		return -EINVAL;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	err = -posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	n = err ? err : read_all(pipes[0], out, room);
	close(pipes[0]);
	if (!err) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (n >= 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
			n = -ENOKEY;
	}
	ndm_free(words);
	return n;
}

static int read_key(const char *type, const char *description, void *out, size_t room)
{
	long key = syscall(SYS_request_key, type, description, NULL, 0), n;

	if (key >= 0) {
		n = syscall(SYS_keyctl, KEYCTL_READ, key, out, room);
		if (n >= 0)
			return n;
	}
	switch (errno) {
	case EKEYEXPIRED:
	case EKEYREVOKED:
	case EKEYREJECTED:
	case ENOMEM:
		return -errno;
	default:			/* no right, no such key, no key service */
		return -ENOKEY;
	}
}

int keyring_read(struct ndm_world *world, const char *type, const char *description, void *out,
		 size_t bytes)
{
	(void)world;
	if (!strcmp(type, "file"))
		return read_file(description, out, bytes);
	if (!strcmp(type, "fd"))
		return read_fd(description, out, bytes);
	if (!strcmp(type, "credential"))
		return read_credential(description, out, bytes);
	if (!strcmp(type, "exec"))
		return read_program(description, out, bytes);
	if (!strcmp(type, "certificates"))
		return certificates_read(description, out, bytes);
	return read_key(type, description, out, bytes);
}
