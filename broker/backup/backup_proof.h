/*
 * backup_proof.h: --check --data DIR: reads all of a data folder that no broker uses, or of a backup, and proves it.
 *
 *   a backup       each file against the manifest                                   backup_verify.h
 *   the store      every record and row, and what one row says of others            storage/check/check.h
 *   the log        what a start would replay; whether its end is where the last stop left it      wal/wal_look.h
 *
 * Nothing is changed. Where the log has more than the store's files, it is replayed in a copy of the store below TMPDIR (/tmp), whose
 * tables are links. Memory: half of the setting, at most.
 */
#ifndef HALFMQ_BROKER_BACKUP_PROOF_H
#define HALFMQ_BROKER_BACKUP_PROOF_H

#include <stddef.h>

/* Writes a line a damage and a summary to standard output, and to a terminal how far it is. Returns the exit status: 0 where
 * all is sound, or 1. */
int backup_proof(const char *data, size_t memory_bytes);

#endif
