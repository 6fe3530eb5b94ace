/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h - what one ndmd hands to the next: numbers and texts in a row, and descriptors.
 *
 * image.c packs devices, parcel.c connections; takeover.c sends and receives.  Both processes
 * are on one machine, mostly of one version, and the reader believes nothing: a cut or twisted
 * image is an error.
 */
#ifndef NDM_SERVER_IMAGE_H
#define NDM_SERVER_IMAGE_H

#include <ndm.h>

struct ndmd;
struct worker;

struct image {
	struct ndm_str bytes;
	int *fds;
	unsigned nfds, fds_cap;
	bool no_memory;
};

struct image_reader {
	const char *at, *end;
	bool bad;				/* more was asked for than there is */
};

void image_put_number(struct image *, uint64_t);
void image_put_raw(struct image *, const void *, size_t bytes);
void image_put(struct image *, const void *, size_t bytes);	/* with its length in front */
void image_put_text(struct image *, const char *);	/* NULL is kept apart from "" */
void image_put_fd(struct image *, int fd);	/* borrowed */
void image_free(struct image *);		/* descriptors are not closed */

uint64_t image_number(struct image_reader *);
const char *image_bytes(struct image_reader *, size_t *bytes);
const char *image_text(struct image_reader *);

/* Devices; first loop.  why: what cannot be handed over. */
int image_check_devices(struct ndmd *, struct ndm_str *why) ndm_waits;
int image_pack_devices(struct ndmd *, struct image *, struct ndm_str *why) ndm_waits;
/* What the targets of a suspended device know; then all of it goes in front of the image. */
int image_recall(struct ndm_device *, struct image *memories, struct ndm_str *why) ndm_waits;
void image_put_in_front(struct image *, struct image *memories);
void image_remove_deferred(struct ndmd *) ndm_waits;	/* when all clients are there */
int image_make_devices(struct ndmd *, struct image_reader *, struct ndm_str *why) ndm_waits;

/* parcel.c */
/* The connections of a worker, on its thread, all quiet; afterwards they are gone from there. */
void parcel_pack(struct worker *, struct image *);
/* First loop: all of a parcel, each on the worker of its device, parked. */
int parcel_unpack(struct ndmd *, struct image_reader *, const int *fds, unsigned nfds,
		  struct ndm_str *why) ndm_waits;
void parcel_park(struct worker *);		/* nothing is read any more */
void parcel_unpark(struct worker *);		/* all goes on */
bool parcel_quiet(struct worker *);		/* parked, and no request is below */

#endif
