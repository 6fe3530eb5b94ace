/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.c - the messages of a pool.  Each is a transaction of its own, and committed before it
 * is answered.
 *
 * create_snap waits until nothing is under way: what had been written before the message is in
 * the snapshot, whether or not the origin was suspended for it.
 */
#include <strings.h>

#include "thin.h"

bool thin_id_parse(const char *text, uint64_t *id)
{
	return !ndm_arg_u64_plus(text, id) && *id <= THIN_ID_MAX;
}

static int ids_take(struct ndm_target *ti, char **argv, unsigned n, uint64_t *ids)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (!thin_id_parse(argv[1 + i], &ids[i]))
			return ndm_error(ti, -EINVAL, "Message received with invalid device id: %s",
					 argv[1 + i]);
	return 0;
}

/* What fails after it has changed something cannot be left so. */
static int done(struct pool *pool, const char *what, int err)
{
	if (err && pool->pmd->changed)
		pool_failed(pool, what, err);
	return err;
}

static int create_thin(struct ndm_target *ti, struct pool *pool, char **argv)
{
	uint64_t id;
	int err = ids_take(ti, argv, 1, &id);

	if (err)
		return err;
	err = done(pool, "create_thin", pmd_create_thin(pool->pmd, id));
	return err ? ndm_error(ti, err, "Creation of new thinly-provisioned device with id %s failed.",
			       argv[1]) : 0;
}

static int create_snap(struct ndm_target *ti, struct pool *pool, char **argv)
{
	uint64_t ids[2];
	int err = ids_take(ti, argv, 2, ids);

	if (err)
		return err;
	pool_wait_landed(pool);
	err = done(pool, "create_snap", pmd_create_snap(pool->pmd, ids[0], ids[1]));
	return err ? ndm_error(ti, err, "Creation of new snapshot %s of device %s failed.", argv[1],
			       argv[2]) : 0;
}

static int delete(struct ndm_target *ti, struct pool *pool, char **argv)
{
	uint64_t id;
	int err = ids_take(ti, argv, 1, &id);

	if (err)
		return err;
	err = done(pool, "delete", pmd_delete(pool->pmd, id));
	return err ? ndm_error(ti, err, "Deletion of thin device %s failed.", argv[1]) : 0;
}

static int set_transaction_id(struct ndm_target *ti, struct pool *pool, char **argv)
{
	uint64_t from, to;

	if (ndm_arg_u64_plus(argv[1], &from))
		return ndm_error(ti, -EINVAL, "set_transaction_id message: Unrecognised id %s.", argv[1]);
	if (ndm_arg_u64_plus(argv[2], &to))
		return ndm_error(ti, -EINVAL, "set_transaction_id message: Unrecognised new id %s.", argv[2]);
	if (pool->pmd->transaction_id != from)
		return ndm_error(ti, -EINVAL, "Failed to change transaction id from %s to %s: it is %" PRIu64,
				 argv[1], argv[2], pool->pmd->transaction_id);
	pool->pmd->transaction_id = to;
	pool->pmd->changed = true;
	return 0;
}

static int reserve(struct ndm_target *ti, struct pool *pool, char **argv)
{
	int err = pool_commit(pool);

	(void)argv;
	if (!err)
		err = done(pool, "reserve_metadata_snap", pmd_hold(pool->pmd));
	if (err == -EBUSY)
		return ndm_error(ti, err, "Pool metadata snapshot already exists: release this before "
				 "taking another.");
	return err ? ndm_error(ti, err, "reserve_metadata_snap message failed.") : 0;
}

static int release(struct ndm_target *ti, struct pool *pool, char **argv)
{
	int err = done(pool, "release_metadata_snap", pmd_release(pool->pmd));

	(void)argv;
	if (err == -EINVAL)
		return ndm_error(ti, err, "No pool metadata snapshot found: nothing to release.");
	return err ? ndm_error(ti, err, "release_metadata_snap message failed.") : 0;
}

static const struct message {
	const char *word;
	unsigned argc;
	int (*fn)(struct ndm_target *, struct pool *, char **argv);
} messages[] = {
	{ "create_thin", 2, create_thin },
	{ "create_snap", 3, create_snap },
	{ "delete", 2, delete },
	{ "set_transaction_id", 3, set_transaction_id },
	{ "reserve_metadata_snap", 1, reserve },
	{ "release_metadata_snap", 1, release },
	{ 0 }
};

int pool_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct pool_target *pt = ti->private_data;
	struct pool *pool = pt->pool;
	const struct message *m = messages;
	int err;

	(void)reply;
	while (m->word && strcasecmp(m->word, argv[0]))
		m++;
	if (pool->mode >= POOL_OUT_OF_METADATA || pool->owner != pt)
		return ndm_error(ti, -EOPNOTSUPP, "unable to service pool target messages in READ_ONLY or "
				 "FAIL mode");
	if (!m->word)
		return ndm_error(ti, -EINVAL, "Unrecognised thin pool target message received: %s", argv[0]);
	if (argc != m->argc)
		return ndm_error(ti, -EINVAL, "Message received with %u arguments instead of %u.", argc,
				 m->argc);
	ndm_wrlock(&pool->pmd->lock);
	/* what others have changed is not at stake when a message fails */
	err = pool_commit(pool);
	if (!err && pool->mode >= POOL_OUT_OF_METADATA)
		err = -EOPNOTSUPP;
	if (!err)
		err = m->fn(ti, pool, argv);
	if (!err)
		err = pool_commit(pool);
	ndm_rwunlock(&pool->pmd->lock);
	return err;
}
