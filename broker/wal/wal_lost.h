/*
 * wal_lost.h: public: what the log has lost, at a start with --salvage.
 *
 *   store_replay ──► wal_lost ──► state_load, state_salvage: the group with which the log goes on ──► wal_lost_set_aside
 *
 * wal_salvage.h shows what happens to the files. Thread: the one that loads.
 */
#ifndef HALFMQ_BROKER_WAL_LOST_H
#define HALFMQ_BROKER_WAL_LOST_H

#include "storage/salvage.h"

struct wal;

/* After the replay: what is lost; NULL: nothing is. Otherwise the next batch that is appended is the salvage's. */
const struct salvage *wal_lost(const struct wal *w);

/* Behind that batch: sets the lost files aside, and says in the broker's log what may be missing. jump: how many offsets
 * are left out. ST_IO, ST_NOMEM, with err. */
enum status wal_lost_set_aside(struct wal *w, uint64_t jump, char *err, size_t err_size) MUST_CHECK;

#endif
