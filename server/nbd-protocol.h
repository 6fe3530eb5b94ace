/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-protocol.h - numbers of the NBD protocol, and big-endian loads and stores.
 *
 * Names are the protocol document's with NBD_ in front; all integers on the wire are
 * big-endian and have no alignment.
 */
#ifndef NDM_SERVER_NBD_PROTOCOL_H
#define NDM_SERVER_NBD_PROTOCOL_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NBD_MAGIC		UINT64_C(0x4e42444d41474943)	/* "NBDMAGIC" */
#define NBD_IHAVEOPT		UINT64_C(0x49484156454F5054)	/* "IHAVEOPT" */
#define NBD_OPTION_REPLY	UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC	0x25609513u
#define NBD_EXT_REQUEST_MAGIC	0x21e41c71u
#define NBD_SIMPLE_MAGIC	0x67446698u
#define NBD_CHUNK_MAGIC		0x668e33efu
#define NBD_EXT_CHUNK_MAGIC	0x6e8a278cu

enum {				/* sizes on the wire, in bytes */
	NBD_GREETING_BYTES = 18,
	NBD_OPTION_BYTES = 16,
	NBD_OPTION_REPLY_BYTES = 20,
	NBD_REQUEST_BYTES = 28,
	NBD_EXT_REQUEST_BYTES = 32,
	NBD_SIMPLE_BYTES = 16,
	NBD_CHUNK_BYTES = 20,
	NBD_EXT_CHUNK_BYTES = 32,
	NBD_STRING_MAX = 4096,
};

enum { NBD_FIXED_NEWSTYLE = 1, NBD_NO_ZEROES = 2 };	/* handshake flags, of both sides */

enum nbd_option {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
	NBD_OPT_EXTENDED_HEADERS = 11,
};

enum nbd_reply {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
	NBD_REP_META_CONTEXT = 4,
};

#define NBD_REP_ERR_UNSUP		0x80000001u
#define NBD_REP_ERR_POLICY		0x80000002u
#define NBD_REP_ERR_INVALID		0x80000003u
#define NBD_REP_ERR_PLATFORM		0x80000004u
#define NBD_REP_ERR_TLS_REQD		0x80000005u
#define NBD_REP_ERR_UNKNOWN		0x80000006u
#define NBD_REP_ERR_SHUTDOWN		0x80000007u
#define NBD_REP_ERR_TOO_BIG		0x80000009u
#define NBD_REP_ERR_EXT_HEADER_REQD	0x8000000au

enum nbd_info { NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE };

enum {					/* transmission flags */
	NBD_FLAG_HAS_FLAGS = 1 << 0,
	NBD_FLAG_READ_ONLY = 1 << 1,
	NBD_FLAG_SEND_FLUSH = 1 << 2,
	NBD_FLAG_SEND_FUA = 1 << 3,
	NBD_FLAG_ROTATIONAL = 1 << 4,
	NBD_FLAG_SEND_TRIM = 1 << 5,
	NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
	NBD_FLAG_SEND_DF = 1 << 7,
	NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
	NBD_FLAG_SEND_CACHE = 1 << 10,
	NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
	NBD_FLAG_BLOCK_STATUS_PAYLOAD = 1 << 12,
};

enum nbd_command {
	NBD_CMD_READ,
	NBD_CMD_WRITE,
	NBD_CMD_DISC,
	NBD_CMD_FLUSH,
	NBD_CMD_TRIM,
	NBD_CMD_CACHE,
	NBD_CMD_WRITE_ZEROES,
	NBD_CMD_BLOCK_STATUS,
};

enum {					/* command flags */
	NBD_CMD_FLAG_FUA = 1 << 0,
	NBD_CMD_FLAG_NO_HOLE = 1 << 1,
	NBD_CMD_FLAG_DF = 1 << 2,
	NBD_CMD_FLAG_REQ_ONE = 1 << 3,
	NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
	NBD_CMD_FLAG_PAYLOAD_LEN = 1 << 5,
};

enum { NBD_CHUNK_FLAG_DONE = 1 };

enum nbd_chunk {
	NBD_CHUNK_NONE = 0,
	NBD_CHUNK_OFFSET_DATA = 1,
	NBD_CHUNK_OFFSET_HOLE = 2,
	NBD_CHUNK_BLOCK_STATUS = 5,
	NBD_CHUNK_BLOCK_STATUS_EXT = 6,
	NBD_CHUNK_ERROR = 0x8001,
};

enum nbd_error {
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_EOVERFLOW = 75,
	NBD_ENOTSUP = 95,
	NBD_ESHUTDOWN = 108,
};

enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 };	/* base:allocation */

static inline uint16_t nbd_get16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return be16toh(v);
}

static inline uint32_t nbd_get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return be32toh(v);
}

static inline uint64_t nbd_get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return be64toh(v);
}

static inline uint8_t *nbd_put16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof v);
	return p + sizeof v;
}

static inline uint8_t *nbd_put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof v);
	return p + sizeof v;
}

static inline uint8_t *nbd_put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof v);
	return p + sizeof v;
}

#endif
