/* wal_replay.h: replay of struct redo (storage/redo.h): finds the log's files and reads what counts in them. */
#ifndef HALFMQ_BROKER_WAL_REPLAY_H
#define HALFMQ_BROKER_WAL_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/redo.h"

/* self is a struct wal that was opened and not appended to. Once. */
enum status wal_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                       size_t err_size);

struct wal;
struct wal_seen;

/* For wal_look.h: reads what a start would, and changes nothing. */
enum status wal_replay_look(struct wal *w, uint64_t after, redo_take_fn *take, void *arg, struct wal_seen *ret_seen, char *err,
                            size_t err_size);

#endif
