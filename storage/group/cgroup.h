/*
 * cgroup.h: a consumer group by its name, whatever topics it is on: row S.
 *
 *   S group → on how many topics it is, and `below`: gts (group.h) of the group with a smaller id are deleted
 *
 * GROUP DELETE sets `below` behind all ids, and with that every gt of the group is gone, however many there are; their
 * rows are deleted in steps (gone.h). Whether a group exists is one look at this row.
 *
 * In memory while a gt of the group is, or the open commit group has touched it.
 */
#ifndef HALFMQ_STORAGE_CGROUP_H
#define HALFMQ_STORAGE_CGROUP_H

#include "storage/model/core.h"

struct cgroup {
    struct hash_node node; /* first; by the name */
    struct slice name;     /* owned */
    struct cgroup_row row;
    uint32_t n_gts;        /* in memory */
    bool touched, dirty;   /* on the list of those that the open group has touched; its row has changed */
    struct cgroup *next_touched;
    uint64_t born_group; /* the commit group that made its youngest gt */
};

/* Finds it in memory, or reads it. One that does not exist is on no topic. ST_IO, ST_NOMEM. */
enum status cgroup_get(struct state *st, struct slice name, struct cgroup **ret_cg) MUST_CHECK;

/* Its row has changed, and is written with the commit group. */
void cgroup_dirty(struct state *st, struct cgroup *cg);

/* A gt of the group comes into memory, or leaves it. */
static inline void cgroup_hold(struct cgroup *cg)
{
    cg->n_gts++;
}
void cgroup_release(struct state *st, struct cgroup *cg);

/* Puts the rows of those that were changed, and frees those that nobody holds. */
void cgroups_save(struct state *st);

void cgroups_free(struct state *st);

#endif
