/* check_pgroup.h: how many transactions each producer group has open: rows Q against rows X. */
#ifndef HALFMQ_STORAGE_CHECK_PGROUP_H
#define HALFMQ_STORAGE_CHECK_PGROUP_H

#include "protocol/base/hash.h"
#include "storage/check/check_base.h"

/* All zero: none. Bounds: as many as producer groups with open transactions. */
struct check_pgroups {
    struct hash by_name;
};

/* Counts an open transaction. */
void check_pgroups_count(struct checking *c, struct check_pgroups *all, struct slice name, bool parked);

/* Compares with rows Q, and frees. */
void check_pgroups_compare(struct checking *c, struct check_pgroups *all);
void check_pgroups_free(struct check_pgroups *all);

#endif
