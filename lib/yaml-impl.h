/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-impl.h - what the lib/yaml-*.c files share: a tree of nodes that know where they stand
 * in the file, errors that say so, and the steps from tree to struct ndm_config.
 *
 *	yaml.c          libyaml's events into a tree; ndm_config_parse()
 *	yaml-value.c    texts, numbers, sizes, truth values, mappings with known keys
 *	yaml-args.c     a target's arguments: mapping -> table text, by its descriptor
 *	yaml-multipath.c  the same for multipath
 *	yaml-nest.c     devices written as mappings: volumes inside volumes, secrets, `fast`
 *	yaml-settle.c   what a reload has to see to the end, and tells
 *	yaml-volume.c   volumes: keys, tables, references, order of dependency
 *	yaml-server.c   the server block
 *	yaml-plan.c     from what is to what is wanted
 *	yaml-check.c    would the tables be taken
 *	yaml-schema.c   JSON Schema of all this
 *
 * Nothing here waits but yaml-plan.c and yaml-check.c.
 */
#ifndef NDM_YAML_IMPL_H
#define NDM_YAML_IMPL_H

#include "core.h"

/* Limits: far above what people write, far below what hurts. */
#define YAML_BYTES_MAX	(16u << 20)
#define YAML_DEPTH_MAX	32
#define YAML_NODES_MAX	1000000u /* with every alias counted as what it stands for */
#define YAML_ERRORS_MAX 20

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;	  /* both from 1 */
	bool plain;		  /* SCALAR: without quotes */
	bool is_path;		  /* SCALAR: a file's name, relative or not */
	char *text;		  /* SCALAR */
	struct yaml_node **items; /* LIST; MAP: key, value, key, value */
	unsigned n, room;	  /* of items; in a MAP 2 for each pair */
	uint64_t weight;	  /* nodes in it, aliases expanded */
	struct yaml_node *all;	  /* chain of all nodes of the document */
};

struct yaml {
	const char *path; /* for messages */
	struct ndm_str *why;
	unsigned errors;
	bool no_memory;
	struct yaml_node *all;
	struct ndm_config *config;
	struct yaml_volume *volumes; /* yaml-volume.c, one for each of the file */
	unsigned nvolumes;
};

/* What ndm_config_parse() makes; plan and apply find their own part behind the public one. */
struct yaml_config {
	struct ndm_config config; /* first: one is cast to the other */
	char *path;
};
_Static_assert(offsetof(struct yaml_config, config) == 0, "cast");

/* yaml.c */
void yaml_error(struct yaml *, const struct yaml_node *, const char *fmt, ...)
	ndm_printf_like(3, 4);

/* yaml-value.c */
bool yaml_is_null(const struct yaml_node *);
/* The text of a scalar; says what is wrong and returns NULL where it is none. */
const char *yaml_text(struct yaml *, const struct yaml_node *, const char *what);
int yaml_bool(struct yaml *, const struct yaml_node *, const char *what, bool *);
int yaml_unsigned(struct yaml *, const struct yaml_node *, const char *what, uint64_t max,
		  uint64_t *);
/* A size: the unit of a bare number is `unit` bytes, and the result counts such units, too. */
int yaml_size(struct yaml *, const struct yaml_node *, const char *what, unsigned unit, uint64_t *);
/* the same from a text, for lines of dmsetup; -EINVAL without a word */
int yaml_size_text(const char *, unsigned unit, uint64_t *);
/* a time: a bare number counts `unit` milliseconds, and so does the result */
int yaml_time(struct yaml *, const struct yaml_node *, const char *what, unsigned unit_ms,
	      uint64_t *);
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
bool yaml_want_map(struct yaml *, const struct yaml_node *, const char *what);
/*
 * A key that none of the two lists knows is an error, with a proposal where one is near.
 * known and more end with NULL; more may be NULL.  what: "the server block".
 */
void yaml_check_keys(struct yaml *, const struct yaml_node *map, const char *what,
		     const char *const *known, const char *const *more);
/* The nearest of `known` to a misspelt word, or NULL. */
const char *yaml_nearest(const char *word, const char *const *known, const char *const *more);
/* A list of texts, or one text alone; allocated, n >= 1.  0 or -errno, said. */
int yaml_texts(struct yaml *, const struct yaml_node *, const char *what, char ***, unsigned *n);

/* yaml-args.c: appends the arguments, separated by blanks.  Errors are said. */
struct yaml_args {
	struct yaml *yaml;
	struct ndm_str *out;
	/* a device's name as the table shall have it; also told to the volume's dependencies */
	const char *(*device)(void *arg, const struct yaml_node *, const char *text);
	void *arg;
};
void yaml_args_print(struct yaml_args *, const struct ndm_target_type *, const struct yaml_node *);

/* yaml-multipath.c: `multipath` has a shape of its own */
void yaml_multipath_print(struct yaml_args *, const struct yaml_node *);
extern const char *const yaml_multipath_schema, *const yaml_multipath_definitions;

/*
 * yaml-nest.c: `volumes` with those that stand inside others made volumes, too, or NULL after an
 * error.  All nodes that it makes belong to the document.
 */
struct yaml_node *yaml_nest(struct yaml *, struct yaml_node *volumes,
			    const struct yaml_node *secrets);

/* yaml-settle.c: a look at a device before its reload, and the rest of the work behind it */
struct settle { bool cache; uint64_t dirty; char mode[16]; };
void settle_look(struct ndm_device *, struct settle *);
void settle_finish(struct ndm_loop *, struct ndm_device *, const struct settle *before,
		   uint64_t suspended_ns, struct ndm_str *plan) ndm_waits;

/* yaml-volume.c, yaml-server.c */
void yaml_read_volumes(struct yaml *, const struct yaml_node *);
void yaml_volumes_free(struct yaml *);
void yaml_read_server(struct yaml *, const struct yaml_node *);

#endif
