/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parity.c - Reed-Solomon parity over data and tree, made and checked.
 *
 * Round r has the codewords of all bytes of blocks r, r + rounds, r + 2 rounds, ...; the blocks
 * are those of the data and then those of the hash device from the start of the tree (see
 * targets/verity/repair.c).
 */
#include <errno.h>
#include <string.h>

#include <ndm-luks.h>
#include <ndm-target.h>
#include <ndm-verity.h>

#include "lib/kit/fec.h"
#include "lib/verity/inside.h"

struct round {
	struct ndm_verity_job *job;
	struct ndm_rs *rs;
	unsigned n;			/* blocks of a round */
	size_t bs;
	uint8_t *blocks, *parity;	/* n and roots of them */
};

static int round_read(struct round *r, uint64_t number)
{
	struct ndm_verity_job *job = r->job;
	uint64_t block, data = job->super.data_blocks;
	unsigned i;
	int err = 0;

	for (i = 0; i < r->n && !err; i++) {
		uint8_t *to = r->blocks + i * r->bs;

		block = number + i * job->fec_rounds;
		if (block < data)
			err = job->data->read(job->data, block * r->bs, to, r->bs);
		else if (block < job->fec_blocks)
			err = job->hash->read(job->hash, (block - data + job->tree.start) * r->bs, to, r->bs);
		else
			memset(to, 0, r->bs);
	}
	return err ? verity_fail(job, err, "Reading what FEC covers: %s.", strerror(-err)) : 0;
}

static void word_gather(const struct round *r, size_t k, uint8_t *word)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		word[i] = r->blocks[i * r->bs + k];
}

static int round_make(struct round *r)
{
	uint8_t word[NDM_RS_BYTES];
	size_t k;

	for (k = 0; k < r->bs; k++) {
		word_gather(r, k, word);
		ndm_rs_encode(r->rs, word, r->parity + k * r->rs->roots);
	}
	return 0;
}

static int round_check(struct round *r)
{
	uint8_t word[NDM_RS_BYTES];
	size_t k;
	int n;

	for (k = 0; k < r->bs; k++) {
		word_gather(r, k, word);
		memcpy(word + r->n, r->parity + k * r->rs->roots, r->rs->roots);
		n = ndm_rs_decode(r->rs, word, NULL, 0);
		if (n < 0)
			return verity_fail(r->job, -EPERM, "Unrepairable errors with FEC device.");
		r->job->fec_errors += n;
	}
	return 0;
}

static int rounds(struct ndm_verity_job *job, bool make)
{
	struct round r = { .job = job, .n = NDM_RS_BYTES - job->fec_roots,
			   .bs = job->super.data_block_bytes };
	uint64_t i, at = job->fec_offset;
	size_t bytes = r.bs * job->fec_roots;
	int err = 0;

	r.blocks = ndm_calloc(NDM_RS_BYTES, r.bs);
	r.rs = ndm_zalloc(sizeof *r.rs);
	if (!r.blocks || !r.rs) {
		ndm_free(r.blocks);
		ndm_free(r.rs);
		return verity_fail(job, -ENOMEM, "Not enough memory.");
	}
	r.parity = r.blocks + r.n * r.bs;
	ndm_rs_init(r.rs, job->fec_roots);
	job->fec_errors = 0;
	for (i = 0; i < job->fec_rounds && !err; i++, at += bytes) {
		err = round_read(&r, i);
		if (!err && make) {
			err = round_make(&r);
			err = err ? err : job->fec->write(job->fec, at, r.parity, bytes);
		} else if (!err) {
			err = job->fec->read(job->fec, at, r.parity, bytes);
			err = err ? err : round_check(&r);
		}
		if (err && err != -EPERM)
			verity_fail(job, err, "FEC area: %s.", strerror(-err));
	}
	ndm_free(r.blocks);
	ndm_free(r.rs);
	return err;
}

int ndm_verity_fec_make(struct ndm_verity_job *job)
{
	int err = rounds(job, true);

	return err ? err : job->fec->sync(job->fec);
}

int ndm_verity_fec_check(struct ndm_verity_job *job)
{
	return rounds(job, false);
}
