/*
 * check.h: public: reads all of a store that nobody has open, and proves it. Nothing is changed.
 *
 *   rows       each key and value can be read                                            check_rows.c
 *   topics     for each queue: directory rows in a row without gaps, a record for each and none without; each
 *              message can be read, and has its rows E and I, of which there are no more; rows d, L, H     check_topic.c
 *   groups     cursors within their queues; runs add up to what the cursor says               check_group.c
 *   txns       rows X, Y, J, K, W and O fit each other; counts of producer groups             check_txn.c
 *   counts     the store's own row counts what is there                                       check.c
 *
 * The order is that of the key space as far as it goes, so that everything is read once and in order; only index rows are
 * looked up one by one. What is kept in memory: eight bytes a topic, and the database's cache.
 *
 * Where something cannot be read, counts that it belongs to are not compared: one damage is one line.
 *
 * What only the log has is replayed first, into a copy. The files alone are not a state of which all rules are true: a compaction
 * drops rows that the log has made meaningless since (disk/stale.h).
 */
#ifndef HALFMQ_STORAGE_CHECK_H
#define HALFMQ_STORAGE_CHECK_H

#include "storage/check/check_facts.h"

/* ST_OK: everything was read, as far as it can be; damages tells whether all of it is sound. ST_BAD: no store, or one of
 * another version; ST_IO, ST_NOMEM; with err. A store that cannot be opened for damage is one damage. */
enum status store_check(const struct check_options *opt, struct check_sums *ret_sums, char *err, size_t err_size) MUST_CHECK;

#endif
