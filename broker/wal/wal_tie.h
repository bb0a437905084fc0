/*
 * wal_tie.h: public: ties a log to its store, so that neither is taken without the other.
 *
 *   <data>/store/store.id   "halfmq store <id> <check>", 16 and 8 hexadecimal digits: written after the first start
 *   <data>/wal/NNNNNNNN.wal each header has the id; there is always one once store.id is written
 *
 *   store  log                        start
 *   ─────  ─────────────────────────  ───────────────────────────────────────────────────────
 *   no     none, or without a record  a new store
 *   no     has records                refused: the store is missing (not mounted?). --salvage: made again, if the log has
 *                                     its first group
 *   id     of the same id             goes on
 *   id     none of that id            refused: the log is missing, or of another store. --salvage: goes on without it
 *   no id  any                        goes on, and gets the log's id, or a new one: it is of an earlier build
 */
#ifndef HALFMQ_BROKER_WAL_TIE_H
#define HALFMQ_BROKER_WAL_TIE_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct wal;

/* Before store_open: finds out whether log and store belong together, and which id they have. Changes nothing on disk.
 * ST_BAD: they do not; ST_IO, ST_NOMEM. err has a sentence. */
enum status wal_tie(struct wal *w, const char *store_path, char *err, size_t err_size) MUST_CHECK;

/* After store_open: writes store.id, if it is not there. ST_IO, with err. */
enum status wal_tie_store(struct wal *w, const char *store_path, char *err, size_t err_size) MUST_CHECK;

/* Writes store.id into a folder that is to become a store. ST_IO, with err. */
enum status wal_tie_make(const char *store_path, uint64_t store_id, char *err, size_t err_size) MUST_CHECK;

#endif
