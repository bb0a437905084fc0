/*
 * wal_look.h: public: what is in a log that nobody has open, read as a start would read it. Nothing is changed.
 */
#ifndef HALFMQ_BROKER_WAL_LOOK_H
#define HALFMQ_BROKER_WAL_LOOK_H

#include "broker/wal/wal_seen.h"
#include "storage/redo.h"

/* after: the last batch that the store has. take may be NULL; else it gets each batch behind that, and what it answers ends
 * the look (its err is ours). A folder that is not there has no files. ST_IO, ST_NOMEM, with err. */
enum status wal_look(const char *path, uint64_t after, redo_take_fn *take, void *arg, struct wal_seen *ret_seen, char *err,
                     size_t err_size) MUST_CHECK;

/* Makes the log in this folder belong to the store with that id, whatever it belonged to. Nobody has it open. False: errno. */
bool wal_look_adopt(const char *path, uint64_t store_id) MUST_CHECK;

#endif
