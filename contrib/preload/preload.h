/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * preload.h - the parts of libndm-preload: paths that are ours, talk with ndmd, data of nodes,
 * and the functions of the C library that are stood in for.
 */
#ifndef NDM_PRELOAD_H
#define NDM_PRELOAD_H

#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What a path means to us. */
enum place {
	PLACE_OTHER,		/* not ours */
	PLACE_DIR,		/* /dev/mapper */
	PLACE_CONTROL,		/* /dev/mapper/control */
	PLACE_NODE,		/* /dev/mapper/NAME, /dev/dm-N */
	PLACE_PROC_DEVICES,
	PLACE_PROC_MISC,
	PLACE_SYS_DEVICE,	/* /sys/dev/block/MAJOR:MINOR */
	PLACE_SYS_NAME,		/* .../dm/name */
	PLACE_SYS_UUID,		/* .../dm/uuid */
	PLACE_SYS_READ_AHEAD,	/* .../bdi/read_ahead_kb */
};

struct spot {
	enum place place;
	char name[DM_NAME_LEN];		/* of a node, where a name was given */
	unsigned major, minor;		/* of a device, where numbers were given */
	int link;			/* the path is that of a link to a node: /dev/VG/LV */
};

/* A descriptor that is ours. */
struct held {
	struct spot spot;
	int has_data;			/* is a connection to an export of `bytes` */
	uint64_t bytes, position;
};

/* ndm-preload.c */
int held_get(int fd, struct held *held);
void held_move(int fd, uint64_t position);

/* nbd.c: the commands have NBD's numbers */
enum nbd_command {
	NBD_DO_READ = 0, NBD_DO_WRITE = 1, NBD_DO_FLUSH = 3, NBD_DO_TRIM = 4, NBD_DO_ZEROES = 6,
};
int nbd_connect(const char *device, uint64_t *bytes, unsigned *flags);
ssize_t nbd_transfer(int fd, enum nbd_command command, uint64_t device_bytes, uint64_t offset,
		     size_t length_bytes, void *data);

/* data.c: what BLKZEROOUT and BLKDISCARD want, of bytes; 0, or -1 with errno */
int data_range(int fd, enum nbd_command command, const uint64_t range[2]);
/* data.c: a FILE */
void *data_stream(int fd, const char *mode);

/* paths.c */
void spot_parse(const char *path, struct spot *spot);
int spot_stat(const struct spot *spot, struct stat *st);
int spot_readlink(const struct spot *spot, char *buffer, size_t length_bytes);
char *spot_content(const struct spot *spot);
char *spot_names(void);

/* talk.c */
int talk_connect(void);
int talk_frame(int fd, uint32_t command, const void *body, uint32_t length_bytes, void **answer,
	       uint32_t *answer_bytes);
int talk_ioctl(int fd, unsigned command, struct dm_ioctl *dmi);
int talk_own(uint32_t command, const char *text, char **answer);
int talk_status(const struct spot *spot, struct dm_ioctl *dmi);
int talk_read_ahead(const struct spot *spot, const unsigned *set, unsigned *sectors);
uint64_t talk_size(const struct spot *spot);

#endif
