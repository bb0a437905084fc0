/*
 * pgroup.h: producer groups: their own settings, how many transactions they have open, and when those who wait for
 * check-backs were told to come again.
 *
 *   row P   settings, while PGROUP SET gave some     rare writes
 *   row Q   open transactions, while there are any   written with each group that changed it
 *   memory  both, without URL and secret, and when takers were told to come again
 *
 * A producer group is not created: any name may be one. In memory it is a copy of its rows, which may be dropped
 * whenever its counts are written.
 */
#ifndef HALFMQ_STORAGE_PGROUP_H
#define HALFMQ_STORAGE_PGROUP_H

#include "storage/disk/pgroup_counts.h"
#include "storage/model/core.h"

/* Finds it in memory, or reads it. ST_IO, ST_NOMEM. */
enum status pgroup_get(struct state *st, struct slice name, struct pgroup **ret_pg) MUST_CHECK;

/* The same, for one that this command has read already. */
struct pgroup *pgroup_of(struct state *st, struct slice name);

/* Its settings as stored; their texts are in hold. ST_GONE: it has none. */
enum status pgroup_settings(struct state *st, struct slice name, struct buf *hold,
                            struct pgroup_row *ret_row) MUST_CHECK;

/* Takes the numbers of the settings into memory; row NULL: it has none. */
void pgroup_keep(struct pgroup *pg, const struct pgroup_row *row);

/* pgroup_touch marks one whose counts have changed, so that its row Q is written with the group; pgroups_save puts the
 * rows of all marked ones. */
void pgroup_touch(struct state *st, struct pgroup *pg);
void pgroups_save(struct state *st);

/* After a group: where there are many in memory, drops all of them. They are read again when they are needed. */
void pgroups_forget(struct state *st);

void pgroups_free(struct state *st);

#endif
