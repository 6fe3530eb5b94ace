/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret.c - passphrases: from a key file (all of it, byte for byte), from standard input (a
 * line), or from the terminal without echo.  They live in locked memory and are wiped.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

void secret_free(struct secret *s)
{
	ndm_luks_secret_free(s->bytes, s->room);
	*s = (struct secret){ 0 };
}

static int secret_grow(struct secret *s, size_t room)
{
	char *more;

	if (room <= s->room)
		return 0;
	more = ndm_luks_secret(room);
	if (!more) {
		say("Not enough memory.");
		return -ENOMEM;
	}
	if (s->n)
		memcpy(more, s->bytes, s->n);
	ndm_luks_secret_free(s->bytes, s->room);
	s->bytes = more;
	s->room = room;
	return 0;
}

/* Up to `most` bytes, or to the end of a line where `line` says so. */
static int secret_from_fd(int fd, bool line, size_t most, struct secret *s)
{
	ssize_t got;
	int err = secret_grow(s, PASSPHRASE_MAX);

	while (!err && s->n < most) {
		size_t want = line ? 1 : s->room - s->n;

		if (want > most - s->n)
			want = most - s->n;
		if (!want || s->n == s->room) {
			err = secret_grow(s, 2 * s->room);
			continue;
		}
		got = read(fd, s->bytes + s->n, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = -errno;
			say("Error reading passphrase: %s.", strerror(-err));
		}
		if (got <= 0 || (line && s->bytes[s->n] == '\n'))
			break;
		s->n += got;
	}
	return err;
}

/* ---- key files ---- */

static int skip_bytes(int fd, uint64_t bytes)
{
	char scrap[4096];

	if (!bytes || lseek(fd, bytes, SEEK_SET) >= 0)
		return 0;
	while (bytes) {
		ssize_t got = read(fd, scrap, bytes < sizeof scrap ? bytes : sizeof scrap);

		if (got <= 0) {
			say("Cannot seek to requested keyfile offset.");
			return -EINVAL;
		}
		bytes -= got;
	}
	explicit_bzero(scrap, sizeof scrap);
	return 0;
}

static int secret_from_file(struct cs *cs, const char *file, enum cs_option offset,
			    enum cs_option size, struct secret *s)
{
	bool standard = !strcmp(file, "-");
	int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC), err;
	size_t most = number(cs, size, KEYFILE_MAX + 1ull);

	if (fd < 0) {
		err = -errno;
		say("Failed to open key file.");
		return err == -ENOENT ? -EINVAL : err;
	}
	err = skip_bytes(fd, number(cs, offset, 0));
	err = err ? err : secret_from_fd(fd, false, most, s);
	if (!err && given(cs, size) && s->n < most) {
		say("Cannot read requested amount of data.");
		err = -EINVAL;
	} else if (!err && s->n > KEYFILE_MAX) {
		say("Maximum keyfile size exceeded.");
		err = -EINVAL;
	}
	if (!standard)
		close(fd);
	return err;
}

/* ---- the terminal ---- */

static int secret_from_terminal(const char *prompt, struct secret *s)
{
	struct termios before, silent;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		fd = dup(STDIN_FILENO);
	if (fd < 0 || tcgetattr(fd, &before)) {
		if (fd >= 0)
			close(fd);
		say("Nothing to read a passphrase from.");
		return -EINVAL;
	}
	silent = before;
	silent.c_lflag &= ~ECHO;
	fputs(prompt, stderr);
	fflush(stderr);
	tcsetattr(fd, TCSAFLUSH, &silent);
	err = secret_from_fd(fd, true, PASSPHRASE_MAX, s);
	tcsetattr(fd, TCSAFLUSH, &before);
	fputc('\n', stderr);
	close(fd);
	return err;
}

static int secret_typed(const char *prompt, bool verify, struct secret *s)
{
	struct secret again = { 0 };
	int err = secret_from_terminal(prompt, s);

	if (err || !verify)
		return err;
	err = secret_from_terminal("Verify passphrase: ", &again);
	if (!err && (again.n != s->n || memcmp(again.bytes, s->bytes, s->n))) {
		say("Passphrases do not match.");
		err = -EPERM;
	}
	secret_free(&again);
	return err;
}

/* ---- what the actions call ---- */

int secret_read(struct cs *cs, const char *prompt, bool verify, const char *file,
		enum cs_option offset, enum cs_option size, struct secret *s)
{
	int err;

	*s = (struct secret){ 0 };
	if (file)
		err = secret_from_file(cs, file, offset, size, s);
	else if (isatty(STDIN_FILENO))
		err = secret_typed(prompt, verify || given(cs, CS_VERIFY), s);
	else
		err = secret_from_fd(STDIN_FILENO, true, PASSPHRASE_MAX, s);
	if (!err)
		err = secret_grow(s, 1);	/* an empty one is legal, and has an address */
	if (err)
		secret_free(s);
	return err;
}

int secret_for(struct cs *cs, const char *device, struct secret *s)
{
	char *prompt = text_format("Enter passphrase for %s: ", device);
	int err = prompt ? secret_read(cs, prompt, false, text(cs, CS_KEY_FILE), CS_KEYFILE_OFFSET,
				       CS_KEYFILE_SIZE, s) : -ENOMEM;

	free(prompt);
	return err;
}

int secret_new(struct cs *cs, const char *prompt, const char *file, struct secret *s)
{
	return secret_read(cs, prompt, true, file, CS_NEW_KEYFILE_OFFSET, CS_NEW_KEYFILE_SIZE, s);
}

/* A wrong passphrase that was typed may be typed again. */
bool secret_may_ask_again(const struct cs *cs, int err, unsigned tries)
{
	return err == -EPERM && !given(cs, CS_KEY_FILE) && isatty(STDIN_FILENO) &&
	       tries < number(cs, CS_TRIES, 3);
}

int confirm(struct cs *cs, const char *question)
{
	char answer[16] = "";

	if (cs->batch || !isatty(STDIN_FILENO))
		return 0;
	fprintf(stderr, "\nWARNING!\n========\n%s\n\nAre you sure? (Type 'yes' in capital letters): ",
		question);
	if (!fgets(answer, sizeof answer, stdin) || strcmp(answer, "YES\n")) {
		say("Operation aborted.");
		return -EPERM;
	}
	return 0;
}
