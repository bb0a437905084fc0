/*
 * backup.h: BACKUP name, BACKUP LIST, BACKUP DELETE name.
 *
 *   loop ── backup_submit ──► a thread of its own ── client.post ──► the loop: the reply
 *
 * Each request has a thread, for it reads and writes files, and a backup takes as long as the disk needs: one BACKUP at a time,
 * and REQUESTS_MAX others; more are BUSY. backup_take.h shows what a backup does, backup_manifest.h what is in it.
 *
 * Threads: submit and figures from any; new, stop and free from the main one.
 */
#ifndef HALFMQ_BROKER_BACKUP_H
#define HALFMQ_BROKER_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

struct backup;
struct entry;
struct store;
struct wal;

struct backup_options {
    const char *data; /* the data folder; both outlive it */
    const char *dir;  /* the setting backup_dir; "": backups in the data folder */
    struct store *store;
    struct wal *wal;
    int64_t disk_reserve_bytes; /* is kept free on the data folder's disk */
};

/* Deletes what a killed broker has left. NULL: no memory, or a path is too long. */
struct backup *backup_new(const struct backup_options *opt);

/* Does what the entry's command says, fills in its answer, and hands it back by its owner's post. False: too many are under
 * way, or there is no thread for it: *ret_text says which (BUSY); e stays the caller's. */
bool backup_submit(struct backup *b, struct entry *e, const char **ret_text) MUST_CHECK;

/* Makes what is under way end soon, without a backup; later requests are BUSY. */
void backup_stop(struct backup *b);

/* Waits for that, and frees. Before the store is closed. NULL is fine. */
void backup_free(struct backup *b);

/* For INFO. */
struct backup_figures {
    bool under_way;
    int64_t last_ms; /* when the last one began; 0: there was none */
    int64_t last_took_ms;
    bool last_failed;
};
void backup_figures(struct backup *b, struct backup_figures *ret_figures);

#endif
