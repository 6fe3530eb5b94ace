/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.h - a small NBD client: one request at a time, without TLS.  For what the client programs
 * themselves must read and write, headers mostly; data in bulk is not its trade.
 */
#ifndef NDM_CLIENT_NBD_H
#define NDM_CLIENT_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd {
	int fd;
	uint64_t bytes;
	uint32_t block_bytes;		/* requests are multiples of it */
	bool read_only, zeroes, flush;
	uint64_t cookie;
};

/* nbd+unix:///EXPORT?socket=PATH, nbd://HOST[:PORT]/EXPORT.  0 or -errno, said. */
int nbdc_connect(struct nbd *, const char *uri);
void nbdc_close(struct nbd *);
bool nbdc_is_uri(const char *text);
/* of any offset and length; partial blocks are read, changed and written */
int nbdc_read(struct nbd *, uint64_t offset, void *, size_t bytes);
int nbdc_write(struct nbd *, uint64_t offset, const void *, size_t bytes);
int nbdc_write_zeroes(struct nbd *, uint64_t offset, uint64_t bytes);	/* whole blocks */
int nbdc_flush(struct nbd *);

#endif
