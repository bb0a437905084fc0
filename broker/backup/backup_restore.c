/* backup_restore.c: copies a backup to where a broker starts on it (backup_restore.h). */
#include "broker/backup/backup_restore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/backup/backup_find.h"
#include "broker/backup/backup_verify.h"
#include "broker/base/folder.h"
#include "broker/base/process.h"
#include "broker/wal/wal_look.h"
#include "broker/wal/wal_tie.h"
#include "protocol/limits.h"
#include "storage/store.h"

#define UNFINISHED "restore.tmp"
#define SPARE_BYTES MIB(64) /* a broker needs some room beside what is restored */

struct backup_restoring {
    const char *from, *data;
    struct backup_pace pace;
    struct backup_facts facts;
    struct buf manifest;
    struct cursor files;
    char tmp[PATH_MAX], store[PATH_MAX], wal[PATH_MAX]; /* in tmp */
    int lock;
    bool begun; /* tmp is ours */
    char err[1024];
};

static enum status backup_restore_failed(struct backup_restoring *r, const char *doing, const char *name)
{
    return backup_disk_failed(doing, name, r->err, sizeof r->err);
}

bool backup_restore_unfinished(const char *data, char *err, size_t err_size)
{
    char path[PATH_MAX], left[PATH_MAX], store[PATH_MAX];
    int n = snprintf(left, sizeof left, "%s/" UNFINISHED "/store", data);
    if (n < 0 || n >= PATH_MAX)
        return false;
    (void)snprintf(path, sizeof path, "%.*s/" UNFINISHED, PATH_MAX - 32, data);
    (void)snprintf(store, sizeof store, "%.*s/store", PATH_MAX - 32, data);
    if (access(path, F_OK) != 0)
        return false;
    if (access(left, F_OK) != 0 && access(store, F_OK) == 0 && rmdir(path) == 0)
        return false; /* all of it was moved, and nothing else was left to be done */
    snprintf(err, err_size, "a restore into %s did not end (%s is there): run --restore again", data, path);
    return true;
}

/* What may be in a folder that counts as empty. */
static bool backup_restore_may_be(const char *name)
{
    static const char *const fine[] = {"lock", "lost+found", UNFINISHED};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        if (strcmp(name, fine[i]) == 0)
            return true;
    }
    return false;
}

/* `store` or `wal` beside what was not finished: that restore ended between its last two steps. */
static enum status backup_restore_look(struct backup_restoring *r)
{
    struct backup_names names;
    char *problem = NULL;
    if (!backup_disk_names(r->data, &names))
        return errno == ENOENT ? ST_OK : backup_restore_failed(r, "read", r->data);
    bool unfinished = false;
    for (size_t i = 0; i < names.n; i++)
        unfinished = unfinished || strcmp(names.names[i], UNFINISHED) == 0;
    for (size_t i = 0; i < names.n && !problem; i++) {
        bool left = unfinished && strcmp(names.names[i], "wal") == 0;
        problem = backup_restore_may_be(names.names[i]) || left ? NULL : names.names[i];
    }
    if (problem)
        snprintf(r->err, sizeof r->err, "%s is not empty (%s is there): choose a folder that is empty, or a new one", r->data, problem);
    backup_disk_names_free(&names);
    return problem ? ST_EXISTS : ST_OK;
}

static void backup_restore_tell(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "halfmqd: damaged: %s\n", text);
}

/* Everything that is asked before something is written. */
static enum status backup_restore_prepare(struct backup_restoring *r)
{
    uint64_t bad = 0;
    int a = snprintf(r->tmp, PATH_MAX, "%s/" UNFINISHED, r->data);
    int b = snprintf(r->store, PATH_MAX, "%s/" UNFINISHED "/store", r->data);
    (void)snprintf(r->wal, PATH_MAX, "%s/" UNFINISHED "/wal", r->data);
    errno = ENAMETOOLONG;
    if (a < 0 || b < 0 || b >= PATH_MAX)
        return backup_restore_failed(r, "use", r->data);
    enum status s = backup_restore_look(r);
    if (s == ST_OK)
        s = backup_find_manifest(r->from, &r->manifest, &r->facts, &r->files, r->err, sizeof r->err);
    if (s == ST_OK)
        s = backup_verify(&r->pace, r->from, r->files, backup_restore_tell, NULL, &bad, r->err, sizeof r->err);
    if (s != ST_OK || bad == 0)
        return s;
    snprintf(r->err, sizeof r->err, "the backup in %s is damaged: %llu of its %llu files are not as they were. Nothing was restored",
             r->from, (unsigned long long)bad, (unsigned long long)r->facts.files);
    return ST_DAMAGED;
}

static enum status backup_restore_begin(struct backup_restoring *r)
{
    enum status s = folder_lock(r->data, &r->lock, r->err, sizeof r->err);
    if (s != ST_OK)
        return s;
    r->begun = true;
    char wal[PATH_MAX];
    (void)snprintf(wal, sizeof wal, "%.*s/wal", PATH_MAX - 8, r->data); /* of a restore that did not end */
    if (!backup_disk_remove(wal) || !backup_disk_remove(r->tmp) || mkdir(r->tmp, 0700) != 0 || mkdir(r->store, 0700) != 0 ||
        mkdir(r->wal, 0700) != 0)
        return backup_restore_failed(r, "make", r->tmp);
    errno = folder_sync_of(r->tmp);
    if (errno != 0)
        return backup_restore_failed(r, "sync", r->data);
    if (process_disk_has(r->data, (int64_t)r->facts.bytes + SPARE_BYTES))
        return ST_OK;
    snprintf(r->err, sizeof r->err, "the disk of %s is too full: the backup has %llu MiB, and 64 more are needed", r->data,
             (unsigned long long)(r->facts.bytes / MIB(1)));
    return ST_DISKFULL;
}

/* Each file is read a second time, and may have changed since. */
static enum status backup_restore_copy(struct backup_restoring *r)
{
    struct backup_file f;
    struct cursor at = r->files;
    enum status s = ST_OK;
    int from = backup_disk_open(r->from), to = backup_disk_open(r->tmp);
    if (from < 0 || to < 0)
        s = backup_restore_failed(r, "open", from < 0 ? r->from : r->tmp);
    while (s == ST_OK && backup_manifest_next(&at, &f)) {
        uint64_t bytes = 0, digest = 0;
        s = backup_disk_copy(&r->pace, from, f.name, to, f.name, UINT64_MAX, 0, &bytes, &digest, r->err, sizeof r->err);
        if (s == ST_OK && (bytes != f.bytes || digest != f.digest)) {
            snprintf(r->err, sizeof r->err, "%s in %s changed while it was copied", f.name, r->from);
            s = ST_DAMAGED;
        }
    }
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return s;
}

/* Store and log end with the command that the manifest names; then they get their new id. */
static enum status backup_restore_tie(struct backup_restoring *r)
{
    uint64_t index = 0, id = 0;
    struct wal_seen seen;
    enum status s = store_look(r->store, &index, r->err, sizeof r->err);
    if (s == ST_OK)
        s = wal_look(r->wal, index, NULL, NULL, &seen, r->err, sizeof r->err);
    if (s != ST_OK)
        return s;
    if (seen.damaged || seen.last != r->facts.index) {
        snprintf(r->err, sizeof r->err, "the backup in %s does not have what it says: %s", r->from,
                 seen.damaged ? seen.text : "its log ends with another command than its manifest says");
        return ST_DAMAGED;
    }
    while (id == 0) {
        if (getrandom(&id, sizeof id, 0) < 0)
            return backup_restore_failed(r, "make", "an id for the store");
    }
    if (!wal_look_adopt(r->wal, id))
        return backup_restore_failed(r, "write", r->wal);
    return wal_tie_make(r->store, id, r->err, sizeof r->err);
}

static bool backup_restore_sync(const char *path)
{
    int fd = backup_disk_open(path);
    bool good = fd >= 0 && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return good;
}

/* The log first: a start that finds it without a store is refused. */
static enum status backup_restore_publish(struct backup_restoring *r)
{
    char store[PATH_MAX], wal[PATH_MAX];
    (void)snprintf(store, sizeof store, "%.*s/store", PATH_MAX - 8, r->data);
    (void)snprintf(wal, sizeof wal, "%.*s/wal", PATH_MAX - 8, r->data);
    if (!backup_restore_sync(r->store) || !backup_restore_sync(r->wal) || !backup_restore_sync(r->tmp))
        return backup_restore_failed(r, "sync", r->tmp);
    if (rename(r->wal, wal) != 0 || !backup_restore_sync(r->data) || rename(r->store, store) != 0 ||
        !backup_restore_sync(r->data))
        return backup_restore_failed(r, "make", r->data);
    r->begun = false;
    if (rmdir(r->tmp) != 0 || !backup_restore_sync(r->data))
        return backup_restore_failed(r, "delete", r->tmp);
    return ST_OK;
}

static enum status backup_restore_run(struct backup_restoring *r)
{
    enum status s = backup_disk_begin(&r->pace, r->err, sizeof r->err);
    if (s == ST_OK)
        s = backup_restore_prepare(r);
    if (s == ST_OK)
        s = backup_restore_begin(r);
    if (s == ST_OK)
        s = backup_restore_copy(r);
    if (s == ST_OK)
        s = backup_restore_tie(r);
    return s == ST_OK ? backup_restore_publish(r) : s;
}

/* The folder was empty, so all of it is ours. UNFINISHED last: while it is there, the next --restore deletes a log that
 * is left. */
static void backup_restore_undo(const struct backup_restoring *r)
{
    static const char *const moved[] = {"store", "wal"};
    bool good = true;
    for (size_t i = 0; i < sizeof moved / sizeof *moved && good; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%.*s/%s", PATH_MAX - 8, r->data, moved[i]);
        good = backup_disk_remove(path);
    }
    if (good)
        (void)backup_disk_remove(r->tmp);
}

int backup_restore(const char *from, const char *data)
{
    struct backup_restoring *r = calloc(1, sizeof *r);
    if (!r) {
        fprintf(stderr, "halfmqd: no memory\n");
        return 1;
    }
    r->from = from;
    r->data = data;
    r->lock = -1;
    buf_init(&r->manifest, 0);
    umask(077); /* RocksDB's files, too */
    enum status s = backup_restore_run(r);
    if (s != ST_OK && r->begun)
        backup_restore_undo(r);
    if (s == ST_OK)
        printf("restored %s into %s: %llu files, %llu bytes, up to command %llu\n", r->facts.name, data,
               (unsigned long long)r->facts.files, (unsigned long long)r->facts.bytes, (unsigned long long)r->facts.index);
    else
        fprintf(stderr, "halfmqd: cannot restore: %s\n", r->err);
    backup_disk_end(&r->pace);
    buf_free(&r->manifest);
    if (r->lock >= 0)
        close(r->lock);
    free(r);
    return s == ST_OK && fflush(stdout) == 0 ? 0 : 1;
}
