/*
 * wal_salvage.h: what the log has lost is set aside, and the log goes on without it (--salvage).
 *
 *   serial 7 │ 8: records 101 102 ???? 105 │ 9: 106 107          what can be replayed ends with 102
 *
 *   1. 101 and 102 are in the store's files                       replay, as always, and a flush
 *   2. serial 10: before 102, records 108: the salvage            storage/salvage.h; synced, then its header is
 *      header: salvage, `lost` 8                                  written and synced
 *   3. serials 8 and 9 become *.lost
 *
 * Before the header of 10 is there, nothing has changed: a start is refused as before. From then on, each start sees what
 * is to be set aside: the serials from `lost` on before that file's, and files of another store. So it does not matter
 * where this ends, or whether the next start says --salvage.
 */
#ifndef HALFMQ_BROKER_WAL_SALVAGE_H
#define HALFMQ_BROKER_WAL_SALVAGE_H

#include "broker/wal/wal_find.h"
#include "broker/wal/wal_judge.h"

/* Did a salvage, whose file is s, set f aside? */
bool wal_salvage_covers(const struct wal_file *s, const struct wal_file *f);

/* Renames f, which is synced before, and says so in the log. Frees it. False: errno says why. */
bool wal_salvage_set_aside(struct wal *w, struct wal_file *f);

/* At each start: sets aside what an earlier salvage left to be set aside. `after`: as in redo.replay. False: errno. */
bool wal_salvage_resume(struct wal *w, struct wal_found *all, uint64_t after);

/* Before a replay with --salvage: takes the files of other stores out of all. */
void wal_salvage_take_foreign(struct wal *w, struct wal_found *all);

/* After a replay that came to the end of what can be replayed: takes damaged files and those from `first` on out of all,
 * to be set aside by wal_lost_set_aside, and finds out what was in them. ended_in_it: the replay ended in the first of
 * those, at byte j->at. False: errno says why. */
bool wal_salvage_keep(struct wal *w, struct wal_found *all, size_t first, bool ended_in_it, const struct wal_judge *j);

#endif
