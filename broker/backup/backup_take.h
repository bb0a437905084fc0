/*
 * backup_take.h: makes one backup.
 *
 *   1. wal_hold            from here on nothing that was acknowledged leaves store and log
 *   2. store_checkpoint    <data>/backup.tmp: the state after command S, as links where the file system has them
 *   3. the log from S on   copied to <dir>/.halfmq-NAME.tmp/wal; files that were copied may be used again
 *   4. the checkpoint      moved to  <dir>/.halfmq-NAME.tmp/store; copied, if that is another file system
 *   5. each file read      for the manifest; it is synced
 *   6. backup.manifest     synced, and the folders
 *   7. rename              to <dir>/NAME: the backup is there
 *
 * A failure, or a stop, before 7 leaves nothing; what a SIGKILL leaves is deleted at the next start (backup_find.h). All files
 * that have been written are on disk before 7.
 *
 * Thread: one of its own, which is made slow here. One backup at a time.
 */
#ifndef HALFMQ_BROKER_BACKUP_TAKE_H
#define HALFMQ_BROKER_BACKUP_TAKE_H

#include "broker/backup/backup_disk.h"
#include "broker/backup/backup_manifest.h"

struct store;
struct wal;

#define BACKUP_CHECKPOINT "backup.tmp"     /* below the data folder */
#define BACKUP_TMP_PREFIX ".halfmq-"       /* of what is not finished, in the folder of backups */
#define BACKUP_TMP_SUFFIX ".tmp"

struct backup_job {
    const char *data;  /* the data folder */
    const char *dir;   /* where backups are kept; is made */
    const char *name;
    struct store *store;
    struct wal *wal;
    int64_t keep_bytes; /* of each disk, for others */
    atomic_bool *stop;
};

/* ST_EXISTS, ST_DISKFULL, ST_BUSY (stopped), ST_DAMAGED, ST_IO, ST_NOMEM, with err. */
enum status backup_take(const struct backup_job *job, struct backup_facts *ret_facts, char *err, size_t err_size) MUST_CHECK;

#endif
