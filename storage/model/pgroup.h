/*
 * pgroup.h: producer groups: settings of their own, how many transactions they have open, and what those
 * who wait for check-backs were told.
 *
 *   row P   settings, while PGROUP SET gave some     rare writes
 *   row Q   open transactions, while there are any   written with each group that changed it
 *   memory  both, without URL and secret, and when takers were told to come again
 *
 * A producer group needs no creation: any name may be one. In memory it is a copy, read at first touch, and
 * may be forgotten at any time when it is written.
 */
#ifndef HALFMQ_STORAGE_PGROUP_H
#define HALFMQ_STORAGE_PGROUP_H

#include "storage/disk/pgroup_counts.h"
#include "storage/model/core.h"

/* Reads it where it is not in memory. ST_IO, ST_NOMEM. */
enum status pgroup_get(struct state *st, struct slice name, struct pgroup **ret_pg) MUST_CHECK;

/* One that was read by this command already. */
struct pgroup *pgroup_of(struct state *st, struct slice name);

/* Its settings as stored; their texts are in hold. ST_GONE: it has none. */
enum status pgroup_settings(struct state *st, struct slice name, struct buf *hold,
                            struct pgroup_row *ret_row) MUST_CHECK;

/* Takes the numbers of the settings into memory; row NULL: it has none. */
void pgroup_keep(struct pgroup *pg, const struct pgroup_row *row);

/* open has changed: its Q row goes out with the group; pgroups_save puts those of all now. */
void pgroup_touch(struct state *st, struct pgroup *pg);
void pgroups_save(struct state *st);

void pgroups_free(struct state *st);

#endif
