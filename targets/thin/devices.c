/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * devices.c - the devices of a pool: made, copied, deleted; and metadata snapshots.
 *
 * A snapshot of a device is a second entry with the root of the same tree, which then has one
 * reference more.  What one of them changes from then on copies the nodes on its way.
 */
#include "thin.h"

struct details { uint64_t mapped, transaction_id; uint32_t created, snapshotted; };

static void details_encode(const struct details *d, uint8_t value[24])
{
	le64_put(value, d->mapped);
	le64_put(value + 8, d->transaction_id);
	le32_put(value + 16, d->created);
	le32_put(value + 20, d->snapshotted);
}

static int details_read(struct pmd *p, uint64_t id, struct details *d)
{
	uint8_t value[24];
	int err = meta_btree_lookup(&p->details, p->details_root, &id, value);

	if (err)
		return err;
	d->mapped = le64_get(value);
	d->transaction_id = le64_get(value + 8);
	d->created = le32_get(value + 16);
	d->snapshotted = le32_get(value + 20);
	return 0;
}

static int details_put(struct pmd *p, uint64_t id, const struct details *d)
{
	uint8_t value[24];

	details_encode(d, value);
	return meta_btree_insert(&p->details, &p->details_root, &id, value, NULL);
}

/* those of open devices that have changed; part of a commit */
int pmd_details_write(struct pmd *p)
{
	struct thin_dev *td;
	int err = 0;

	for (td = p->devs; td && !err; td = td->next) {
		struct details d = { td->mapped, td->transaction_id, td->created, td->snapshotted };

		if (td->changed)
			err = details_put(p, td->id, &d);
	}
	return err;
}

/* ---- open ones ---- */

static struct thin_dev *dev_find(struct pmd *p, uint64_t id)
{
	struct thin_dev *td = p->devs;

	while (td && td->id != id)
		td = td->next;
	return td;
}

int thin_dev_open(struct pmd *p, uint64_t id, struct thin_dev **out)
{
	struct thin_dev *td = dev_find(p, id);
	struct details d;
	int err;

	if (!td) {
		err = details_read(p, id, &d);
		if (err)
			return err;
		td = patient_zalloc(p->loop, sizeof *td);
		if (!td)
			return -ENOMEM;
		*td = (struct thin_dev){ .pmd = p, .id = id, .mapped = d.mapped,
					 .transaction_id = d.transaction_id, .created = d.created,
					 .snapshotted = d.snapshotted, .next = p->devs };
		ndm_ranges_init(&td->ranges, p->loop);
		p->devs = td;
	}
	td->opens++;
	*out = td;
	return 0;
}

/* One that has changed stays until a commit has written its details: the caller sees to it. */
void thin_dev_close(struct thin_dev *td)
{
	struct thin_dev **p = &td->pmd->devs;

	if (--td->opens)
		return;
	while (*p != td)
		p = &(*p)->next;
	*p = td->next;
	ndm_free(td);
}

/* ---- made, copied, deleted ---- */

static int must_not_exist(struct pmd *p, uint64_t id)
{
	struct details d;
	int err = details_read(p, id, &d);

	if (err == -ENODATA)
		return 0;
	return err ? err : -EEXIST;
}

int pmd_create_thin(struct pmd *p, uint64_t id)
{
	struct details d = { .transaction_id = p->transaction_id, .created = p->time,
			     .snapshotted = p->time };
	uint8_t value[8];
	uint64_t root;
	int err = must_not_exist(p, id);

	if (err)
		return err;
	p->changed = true;
	err = meta_btree_empty(&p->bottom, &root);
	le64_put(value, root);
	if (!err)
		err = meta_btree_insert(&p->tops, &p->mapping_root, &id, value, NULL);
	return err ? err : details_put(p, id, &d);
}

/* the origin, open or not: how much it maps, and that it was copied now */
static int origin_stamp(struct pmd *p, uint64_t id, uint64_t *mapped)
{
	struct thin_dev *td = dev_find(p, id);
	struct details d;
	int err;

	if (td) {
		*mapped = td->mapped;
		td->snapshotted = p->time;
		td->changed = true;
		return 0;
	}
	err = details_read(p, id, &d);
	if (err)
		return err;
	*mapped = d.mapped;
	d.snapshotted = p->time;
	return details_put(p, id, &d);
}

int pmd_create_snap(struct pmd *p, uint64_t id, uint64_t origin)
{
	struct details d = { .transaction_id = p->transaction_id };
	uint8_t value[8];
	int err = must_not_exist(p, id);

	if (!err)
		err = meta_btree_lookup(&p->tops, p->mapping_root, &origin, value);
	if (err)
		return err;
	p->changed = true;
	p->time++;
	err = meta_inc(p->m, le64_get(value));
	if (!err)
		err = meta_btree_insert(&p->tops, &p->mapping_root, &id, value, NULL);
	if (!err)
		err = origin_stamp(p, origin, &d.mapped);
	d.created = d.snapshotted = p->time;
	return err ? err : details_put(p, id, &d);
}

int pmd_delete(struct pmd *p, uint64_t id)
{
	struct details d;
	int err;

	if (dev_find(p, id))
		return -EBUSY;
	err = details_read(p, id, &d);
	if (err)
		return err;
	p->changed = true;
	err = meta_btree_remove(&p->details, &p->details_root, &id);
	return err ? err : meta_btree_remove(&p->tops, &p->mapping_root, &id);
}

/* ---- metadata snapshots: a copy of the superblock, whose trees have one reference more ---- */

int pmd_hold(struct pmd *p)
{
	struct meta_block *super, *copy;
	int err;

	if (p->held_root)
		return -EBUSY;
	err = meta_read(p->m, 0, &thin_super_type, &super);
	if (err)
		return err;
	p->changed = true;
	err = meta_block_new(p->m, &thin_super_type, &copy);
	if (!err) {
		memcpy(copy->data, super->data, META_BLOCK_BYTES);
		memset(copy->data + 64, 0, 256);	/* both space maps: not those of the copy */
		p->held_root = copy->nr;
		meta_put(p->m, copy);
		err = meta_inc(p->m, p->mapping_root);
	}
	meta_put(p->m, super);
	return err ? err : meta_inc(p->m, p->details_root);
}

int pmd_release(struct pmd *p)
{
	uint64_t held = p->held_root, mappings, details;
	struct meta_block *copy;
	int err;

	if (!held)
		return -EINVAL;
	err = meta_read(p->m, held, &thin_super_type, &copy);
	if (err)
		return err;
	mappings = le64_get(copy->data + 320);
	details = le64_get(copy->data + 328);
	meta_put(p->m, copy);
	p->changed = true;
	p->held_root = 0;
	err = meta_btree_del(&p->mappings, mappings);
	if (!err)
		err = meta_btree_del(&p->details, details);
	return err ? err : meta_dec(p->m, held);
}
