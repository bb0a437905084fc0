/*
 * uncompacted.h: a store with a damaged file is served without being compacted.
 *
 *   a compaction reads the damaged block ──► RocksDB takes no more writes ──► the broker ends (status 70),
 *                                                                            and leaves data/uncompacted
 *   the next start finds that file ──► nothing is compacted ──► what is readable is served, the rest is told
 *
 * Without this every start would end in the same compaction. The store grows meanwhile, and looks through more and more
 * files: a replica or a backup should take its place. Whoever deletes the file lets the broker try again.
 *
 * Threads: uncompacted_set may be called by any, also where nothing else can be done any more.
 */
#ifndef HALFMQ_BROKER_UNCOMPACTED_H
#define HALFMQ_BROKER_UNCOMPACTED_H

#include <stdbool.h>

/* data: the data folder. Before anything else here. */
void uncompacted_begin(const char *data);

/* Has an earlier start left the file? Says so in the log. */
bool uncompacted_is_set(void);

/* Leaves the file, if why is what RocksDB says of damage. Returns whether it did. */
bool uncompacted_set(const char *why);

#endif
