/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state-file.c - a device as a file of the state folder, for people and for ndmd.
 *
 *	# a device of ndmd(8): read when it starts
 *	uuid: TEXT			only where there is one
 *	minor: NUMBER
 *	suspended: yes			only when it is
 *	read_only: yes			likewise
 *	read_ahead: SECTORS		where it is not 256
 *	geometry: C H S START		where one was set
 *	table:				not for a device without one
 *	0 2048 linear /srv/a.img 0
 *
 * The file is called as the device is, with bytes that a terminal or a shell would mind as
 * %XX, and ".dm".  Tables name what is below them by path and by name and not by number: numbers
 * are this process's.  What a file says is checked as any table is.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define SUFFIX ".dm"
#define MAPPER "/dev/mapper/"

/* ---- names ---- */

static bool is_plain(unsigned char c, bool first)
{
	return c > ' ' && c != 0x7f && c != '%' && c != '/' && !(first && c == '.');
}

static void encode(const char *text, struct ndm_str *out)
{
	const char *p;

	for (p = text; *p; p++)
		if (is_plain((unsigned char)*p, p == text))
			ndm_str_put(out, p, 1);
		else
			ndm_printf(out, "%%%02X", (unsigned char)*p);
}

/* In place; false: not what encode() writes. */
static bool decode(char *text)
{
	char *to = text, hex[3] = "", *end;

	for (; *text; to++) {
		if (*text != '%') {
			*to = *text++;
			continue;
		}
		if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
			return false;
		memcpy(hex, text + 1, 2);
		*to = (char)strtoul(hex, &end, 16);
		if (!*to)
			return false;
		text += 3;
	}
	*to = '\0';
	return true;
}

char *state_file_name(const char *device)
{
	struct ndm_str s = { 0 };

	encode(device, &s);
	ndm_printf(&s, SUFFIX);
	if (s.len < 255 && s.text)
		return s.text;
	ndm_str_free(&s);
	return NULL;
}

char *state_device_name(const char *file)
{
	size_t n = strlen(file), suffix = strlen(SUFFIX);
	char *name;

	if (*file == '.' || n <= suffix || strcmp(file + n - suffix, SUFFIX))
		return NULL;
	name = strndup(file, n - suffix);
	if (name && decode(name) && strlen(name) < NDM_NAME_BYTES)
		return name;
	free(name);
	return NULL;
}

/* ---- reading ---- */

static int yes(const char *key, const char *value, bool *flag, struct ndm_str *why)
{
	*flag = !strcmp(value, "yes");
	if (*flag || !strcmp(value, "no"))
		return 0;
	ndm_printf(why, "'%s' is yes or no, not '%.80s'", key, value);
	return -EINVAL;
}

static int take_minor(const char *value, long *minor, struct ndm_str *why)
{
	uint64_t n;

	if (ndm_arg_u64(value, &n) || n >= 1u << 20) {
		ndm_printf(why, "'minor' is a number below 1048576, not '%.80s'", value);
		return -EINVAL;
	}
	*minor = (long)n;
	return 0;
}

static int take_geometry(const char *value, struct state_device *dev, struct ndm_str *why)
{
	unsigned long long g[4];
	int used = 0, i;

	if (sscanf(value, "%llu %llu %llu %llu%n", &g[0], &g[1], &g[2], &g[3], &used) < 4 ||
	    value[used]) {
		ndm_printf(why, "'geometry' is four numbers, not '%.80s'", value);
		return -EINVAL;
	}
	for (i = 0; i < 4; i++)
		dev->geometry[i] = g[i];
	return 0;
}

static int take_read_ahead(const char *value, uint64_t *sectors, struct ndm_str *why)
{
	if (!ndm_arg_u64(value, sectors))
		return 0;
	ndm_printf(why, "'read_ahead' is a number of sectors, not '%.80s'", value);
	return -EINVAL;
}

static int take_uuid(char *value, struct state_device *dev, struct ndm_str *why)
{
	if (!*value || !decode(value) || strlen(value) >= NDM_UUID_BYTES) {
		ndm_printf(why, "'uuid' is 1 to %d bytes", NDM_UUID_BYTES - 1);
		return -EINVAL;
	}
	dev->uuid = value;
	return 0;
}

static int take_line(char *line, struct state_device *dev, struct ndm_str *why)
{
	char *value = strchr(line, ':');

	if (!*line || *line == '#')
		return 0;
	if (!value) {
		ndm_printf(why, "'%.80s' is not KEY: VALUE", line);
		return -EINVAL;
	}
	*value++ = '\0';
	value += strspn(value, " \t");
	if (!strcmp(line, "uuid"))
		return take_uuid(value, dev, why);
	if (!strcmp(line, "minor"))
		return take_minor(value, &dev->minor, why);
	if (!strcmp(line, "suspended"))
		return yes(line, value, &dev->suspended, why);
	if (!strcmp(line, "read_only"))
		return yes(line, value, &dev->read_only, why);
	if (!strcmp(line, "read_ahead"))
		return take_read_ahead(value, &dev->read_ahead, why);
	if (!strcmp(line, "geometry"))
		return take_geometry(value, dev, why);
	ndm_printf(why, "there is no key '%.80s'", line);
	return -EINVAL;
}

int state_parse(char *text, struct state_device *dev, struct ndm_str *why)
{
	char *line;
	int err = 0;

	*dev = (struct state_device){ .minor = -1, .read_ahead = NDM_READ_AHEAD };
	while (!err && text && (line = strsep(&text, "\n"))) {
		if (strcmp(line, "table:")) {
			err = take_line(line, dev, why);
			continue;
		}
		err = ndm_table_parse(text ? text : line + strlen(line), &dev->lines, &dev->n, why);
		if (!err && !dev->n) {
			ndm_printf(why, "the table has no lines: the file was cut off");
			err = -EINVAL;
		}
		break;
	}
	if (err)
		state_parsed_free(dev);
	return err;
}

void state_parsed_free(struct state_device *dev)
{
	ndm_free(dev->lines);
	*dev = (struct state_device){ .minor = -1 };
}

void state_restore(struct ndm_device *dev, const struct state_device *want)
{
	ndm_device_set_read_ahead(dev, want->read_ahead);
	ndm_device_set_geometry(dev, want->geometry);	/* an impossible one is left out */
}

bool state_names_device(const char **args, char name[NDM_NAME_BYTES])
{
	const char *p = *args, *at;
	size_t n;

	for (;;) {
		p += strspn(p, " \t");
		if (!*p)
			return false;
		at = !strncmp(p, MAPPER, strlen(MAPPER)) ? p + strlen(MAPPER) :
		     !strncmp(p, "dev:", 4) ? p + 4 : NULL;
		for (n = 0; *p && *p != ' ' && *p != '\t'; p++) {
			if (*p == '\\' && p[1])
				p++;
			if (at && p >= at && n < NDM_NAME_BYTES - 1)
				name[n++] = *p;
		}
		*args = p;
		if (!at)
			continue;
		name[n] = '\0';
		return true;
	}
}

/* ---- writing ---- */

static void put_backing(struct ndm_str *out, const char *backings, const char *word, size_t bytes)
{
	const char *line, *end;

	for (line = backings; line && *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (strncmp(line, word, bytes) || line[bytes] != '\t')
			continue;
		line += bytes + 1;
		ndm_table_put_word(out, line, (size_t)(end - line));
		return;
	}
	ndm_str_put(out, word, bytes);
}

/* One word of a table as a target prints it: numbers of devices become what they stand for. */
static void put_name(struct ndm_context *ctx, struct ndm_str *out, const char *backings,
		     const char *word, size_t bytes)
{
	unsigned major, minor;
	struct ndm_device_info info;
	struct ndm_device *dev;
	int used = 0;

	if (sscanf(word, "%u:%u%n", &major, &minor, &used) < 2 || (size_t)used != bytes)
		ndm_str_put(out, word, bytes);
	else if (major == NDM_VIRTUAL_MAJOR)
		put_backing(out, backings, word, bytes);
	else if (major == NDM_MAJOR && (dev = ndm_device_by_minor(ctx, minor))) {
		ndm_device_info(dev, &info);
		ndm_printf(out, MAPPER);
		ndm_table_put_word(out, info.name, strlen(info.name));
	} else {
		ndm_str_put(out, word, bytes);
	}
}

static int print_lines(struct ndm_context *ctx, const struct ndm_target_status *list, unsigned n,
		       struct ndm_str *out)
{
	struct ndm_str backings = { 0 };
	size_t from, bytes;
	const char *p;
	unsigned i;
	int err = 0;

	ndm_context_backings(ctx, &backings);
	ndm_printf(out, "table:\n");
	for (i = 0; i < n && !err; i++) {
		ndm_printf(out, "%llu %llu %s", (unsigned long long)list[i].start,
			   (unsigned long long)list[i].nr, list[i].type);
		from = out->len;
		for (p = list[i].text ? list[i].text : ""; *p; p += bytes) {
			ndm_str_put(out, " ", 1);
			p += strspn(p, " ");
			bytes = strcspn(p, " ");
			put_name(ctx, out, backings.text, p, bytes);
		}
		if (memchr(out->text + from, '#', out->len - from) ||
		    memchr(out->text + from, '\n', out->len - from))
			err = -EILSEQ;		/* where a line ends */
		ndm_printf(out, "\n");
	}
	ndm_str_free(&backings);
	return err;
}

static bool same_lines(const struct ndm_target_status *a, unsigned na,
		       const struct ndm_target_status *b, unsigned nb)
{
	unsigned i;

	for (i = 0; i < na && i < nb; i++)
		if (strcmp(a[i].text ? a[i].text : "", b[i].text ? b[i].text : ""))
			return false;
	return na == nb;
}

static void print_memory(struct ndm_device *dev, struct ndm_str *out)
{
	struct ndm_device_memory m;

	ndm_device_recall(dev, &m);
	if (m.read_ahead != NDM_READ_AHEAD)
		ndm_printf(out, "read_ahead: %llu\n", (unsigned long long)m.read_ahead);
	if (m.geometry[0] || m.geometry[1] || m.geometry[2] || m.geometry[3])
		ndm_printf(out, "geometry: %llu %llu %llu %llu\n",
			   (unsigned long long)m.geometry[0], (unsigned long long)m.geometry[1],
			   (unsigned long long)m.geometry[2], (unsigned long long)m.geometry[3]);
}

int state_print(struct ndm_context *ctx, struct ndm_device *dev, struct ndm_str *out)
{
	struct ndm_target_status *open = NULL, *hidden = NULL;
	struct ndm_device_info info;
	unsigned n = 0, nhidden = 0;
	bool read_only = false;
	int err;

	err = ndm_device_status(dev, NDM_STATUS_TABLE, NDM_STATUS_SHOWKEYS | NDM_STATUS_NOFLUSH,
				false, &open, &n, &read_only);
	if (!err)
		err = ndm_device_status(dev, NDM_STATUS_TABLE, NDM_STATUS_NOFLUSH, false, &hidden,
					&nhidden, NULL);
	if (!err && !same_lines(open, n, hidden, nhidden))
		err = -EACCES;
	if (err)
		goto out;
	ndm_device_info(dev, &info);
	ndm_printf(out, "# a device of ndmd(8): read when it starts\n");
	if (*info.uuid) {
		ndm_printf(out, "uuid: ");
		encode(info.uuid, out);
		ndm_printf(out, "\n");
	}
	ndm_printf(out, "minor: %u\n", info.minor);
	if (info.flags & NDM_DEVICE_SUSPENDED)
		ndm_printf(out, "suspended: yes\n");
	if (read_only)
		ndm_printf(out, "read_only: yes\n");
	print_memory(dev, out);
	if (n)
		err = print_lines(ctx, open, n, out);
out:
	ndm_target_status_free(open, n);
	ndm_target_status_free(hidden, nhidden);
	return err;
}
