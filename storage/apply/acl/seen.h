/* seen.h: what a command names and only the store knows whose it is: may the command's user see it (access/judge.h)? */
#ifndef HALFMQ_STORAGE_SEEN_H
#define HALFMQ_STORAGE_SEEN_H

#include "storage/model/core.h"

/* txn_get. ST_GONE also where it belongs to a producer group that the user may not see. */
enum status seen_txn(struct state *st, const struct stamp *stamp, const struct command *cmd, uint64_t txid,
                     struct buf *hold, struct txn_row *ret_row) MUST_CHECK;

/* May the user see a delayed message? ST_OK; ST_GONE: no, or it is not waiting; ST_IO, ST_NOMEM. */
enum status seen_delayed(struct state *st, const struct command *cmd, uint64_t token) MUST_CHECK;

#endif
