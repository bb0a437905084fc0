/* backup_take.c: makes one backup, step by step (backup_take.h). */
#include "broker/backup/backup_take.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/folder.h"
#include "broker/base/log.h"
#include "broker/wal/wal_hold.h"
#include "storage/store.h"

#define NICE 19
#define FOLDER_MODE 0700

/* One that is under way. Paths and descriptors are of its folders; -1: not open. */
struct backup_taking {
    const struct backup_job *job;
    struct backup_pace pace;
    struct backup_facts facts;
    struct buf files; /* lines of the manifest */
    char checkpoint[PATH_MAX], tmp[PATH_MAX], path[PATH_MAX];
    int tmp_fd, store_fd, wal_fd;
    bool holds;
    char *err;
    size_t err_size;
};

static enum status backup_take_failed(struct backup_taking *t, const char *doing, const char *name)
{
    return backup_disk_failed(doing, name, t->err, t->err_size);
}

/* Its processor and its disk are those that nobody else wants just now. If one of these fails, that is fine. */
static void backup_take_slow_down(void)
{
    enum { IO_WHO_PROCESS = 1, IO_BEST_EFFORT_LAST = 2 << 13 | 7 };
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    (void)syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, IO_BEST_EFFORT_LAST);
}

static bool backup_take_paths(struct backup_taking *t)
{
    const struct backup_job *job = t->job;
    int a = snprintf(t->checkpoint, PATH_MAX, "%s/" BACKUP_CHECKPOINT, job->data);
    int b = snprintf(t->tmp, PATH_MAX, "%s/" BACKUP_TMP_PREFIX "%s" BACKUP_TMP_SUFFIX, job->dir, job->name);
    int c = snprintf(t->path, PATH_MAX, "%s/%s", job->dir, job->name);
    errno = ENAMETOOLONG;
    return a > 0 && a < PATH_MAX - 8 && b > 0 && b < PATH_MAX - 8 && c > 0 && c < PATH_MAX - 8;
}

static int backup_take_folder(const struct backup_taking *t, const char *name)
{
    if (mkdirat(t->tmp_fd, name, FOLDER_MODE) != 0)
        return -1;
    return openat(t->tmp_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The folders that it is made in, empty. */
static enum status backup_take_prepare(struct backup_taking *t)
{
    if (!backup_take_paths(t))
        return backup_take_failed(t, "use", t->job->dir);
    errno = folder_make(t->job->dir);
    if (errno != 0)
        return backup_take_failed(t, "make", t->job->dir);
    if (access(t->path, F_OK) == 0) {
        snprintf(t->err, t->err_size, "there is a backup of that name: choose another, or BACKUP DELETE %s first", t->job->name);
        return ST_EXISTS;
    }
    if (!backup_disk_remove(t->checkpoint) || !backup_disk_remove(t->tmp) || mkdir(t->tmp, FOLDER_MODE) != 0)
        return backup_take_failed(t, "make", t->tmp);
    t->tmp_fd = backup_disk_open(t->tmp);
    t->store_fd = t->tmp_fd >= 0 ? backup_take_folder(t, "store") : -1;
    t->wal_fd = t->store_fd >= 0 ? backup_take_folder(t, "wal") : -1;
    return t->wal_fd >= 0 ? ST_OK : backup_take_failed(t, "make", t->tmp);
}

static enum status backup_take_note(struct backup_taking *t, const char *folder, const char *name, uint64_t bytes,
                                    uint64_t digest)
{
    struct backup_file f = {.bytes = bytes, .digest = digest};
    int n = snprintf(f.name, sizeof f.name, "%s/%s", folder, name);
    if (n > 0 && n < (int)sizeof f.name)
        backup_manifest_add(&t->files, &f);
    if (n > 0 && n < (int)sizeof f.name && !t->files.failed)
        return ST_OK;
    snprintf(t->err, t->err_size, "no memory for the list of files, or a file has a name that is too long");
    return ST_NOMEM;
}

/* ---- the log ---- */

static enum status backup_take_log_file(struct backup_taking *t, int from, const struct wal_held_file *f)
{
    char name[48];
    uint64_t bytes = 0, digest = 0;
    (void)snprintf(name, sizeof name, "%08llu.wal", (unsigned long long)f->name);
    enum status s = backup_disk_copy(&t->pace, from, name, t->wal_fd, name, f->bytes, f->size, &bytes, &digest, t->err,
                                     t->err_size);
    return s == ST_OK ? backup_take_note(t, "wal", name, bytes, digest) : s;
}

static enum status backup_take_log(struct backup_taking *t, const struct wal_hold *hold, uint64_t after)
{
    char path[PATH_MAX];
    struct wal_held_file *files = NULL;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%.*s/wal", PATH_MAX - 8, t->job->data);
    int from = backup_disk_open(path);
    if (from < 0)
        return backup_take_failed(t, "open", path);
    enum status s = wal_held(t->job->wal, hold, after, &files, &n);
    if (s != ST_OK)
        snprintf(t->err, t->err_size, "no memory for the list of files");
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        wal_release(t->job->wal, files[i].serial); /* those before this one */
        s = backup_take_log_file(t, from, &files[i]);
    }
    free(files);
    close(from);
    return s;
}

/* ---- the store ---- */

/* Moves a file of the checkpoint. On another file system it is copied, and its digest is known then. */
static enum status backup_take_move(struct backup_taking *t, int from, const char *name)
{
    uint64_t bytes = 0, digest = 0;
    struct stat st;
    if (renameat(from, name, t->store_fd, name) == 0) {
        bool is_linked = fstatat(t->store_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1;
        t->facts.linked += is_linked;
        return ST_OK;
    }
    if (errno != EXDEV)
        return backup_take_failed(t, "move", name);
    enum status s = backup_disk_copy(&t->pace, from, name, t->store_fd, name, UINT64_MAX, 0, &bytes, &digest, t->err,
                                     t->err_size);
    return s == ST_OK ? backup_take_note(t, "store", name, bytes, digest) : s;
}

/* Reads what was moved, which is synced, too: links are on disk already, and what the checkpoint wrote may not be. */
static enum status backup_take_read(struct backup_taking *t, const char *name)
{
    uint64_t bytes = 0, digest = 0;
    int fd = openat(t->store_fd, name, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fdatasync(fd) == 0;
    if (!synced)
        return backup_take_failed(t, "sync", name);
    close(fd);
    enum status s = backup_disk_read(&t->pace, t->store_fd, name, &bytes, &digest, t->err, t->err_size);
    return s == ST_OK ? backup_take_note(t, "store", name, bytes, digest) : s;
}

static enum status backup_take_each(struct backup_taking *t, const struct backup_names *names)
{
    enum status s = ST_OK;
    int from = backup_disk_open(t->checkpoint);
    if (from < 0)
        return backup_take_failed(t, "open", t->checkpoint);
    size_t copied = t->files.len;
    for (size_t i = 0; s == ST_OK && i < names->n; i++)
        s = backup_take_move(t, from, names->names[i]);
    bool moved = t->files.len == copied; /* all of it is on one file system */
    for (size_t i = 0; s == ST_OK && moved && i < names->n; i++)
        s = backup_take_read(t, names->names[i]);
    close(from);
    return s;
}

static enum status backup_take_store(struct backup_taking *t)
{
    struct backup_names names;
    if (!backup_disk_names(t->checkpoint, &names))
        return backup_take_failed(t, "read", t->checkpoint);
    enum status s = backup_take_each(t, &names);
    backup_disk_names_free(&names);
    return s;
}

/* ---- the end ---- */

static enum status backup_take_write_manifest(struct backup_taking *t)
{
    struct buf out;
    backup_manifest_begin(&out);
    backup_manifest_end(&out, buf_slice(&t->files), &t->facts);
    if (out.failed) {
        buf_free(&out);
        snprintf(t->err, t->err_size, "no memory for the manifest");
        return ST_NOMEM;
    }
    int fd = openat(t->tmp_fd, BACKUP_MANIFEST, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0;
    for (size_t done = 0; good && done < out.len;) {
        ssize_t n = write(fd, out.data + done, out.len - done);
        good = n > 0;
        done += good ? (size_t)n : 0;
    }
    good = good && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    buf_free(&out);
    errno = why;
    return good ? ST_OK : backup_take_failed(t, "write", BACKUP_MANIFEST);
}

static enum status backup_take_publish(struct backup_taking *t)
{
    enum status s = backup_take_write_manifest(t);
    if (s != ST_OK)
        return s;
    if (fsync(t->store_fd) != 0 || fsync(t->wal_fd) != 0 || fsync(t->tmp_fd) != 0)
        return backup_take_failed(t, "sync", t->tmp);
    if (rename(t->tmp, t->path) != 0)
        return backup_take_failed(t, "make", t->path);
    errno = folder_sync_of(t->path);
    if (errno == 0)
        return ST_OK;
    s = backup_take_failed(t, "sync", t->job->dir);
    (void)backup_disk_remove(t->path);
    return s;
}

static enum status backup_take_copy(struct backup_taking *t)
{
    struct wal_hold hold = {0};
    uint64_t index = 0;
    enum status s = wal_hold(t->job->wal, &hold, t->err, t->err_size);
    t->holds = s == ST_OK;
    if (s == ST_OK)
        s = store_checkpoint(t->job->store, t->checkpoint, &index, t->err, t->err_size);
    if (s == ST_OK)
        s = backup_take_log(t, &hold, index);
    if (t->holds)
        wal_release(t->job->wal, UINT64_MAX);
    t->facts.index = index > hold.last ? index : hold.last;
    return s == ST_OK ? backup_take_store(t) : s;
}

static void backup_take_clean(struct backup_taking *t, bool taken)
{
    char half[PATH_MAX + 8];
    (void)snprintf(half, sizeof half, "%s.tmp", t->checkpoint); /* RocksDB's, of a checkpoint that failed */
    const int fds[] = {t->tmp_fd, t->store_fd, t->wal_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    if (t->checkpoint[0] && !(backup_disk_remove(t->checkpoint) && backup_disk_remove(half)))
        log_event(LOG_WARN, "what a backup has left cannot be deleted", " path=%s", BACKUP_CHECKPOINT);
    if (t->tmp[0] && !taken)
        (void)backup_disk_remove(t->tmp);
    buf_free(&t->files);
    backup_disk_end(&t->pace);
}

enum status backup_take(const struct backup_job *job, struct backup_facts *ret_facts, char *err, size_t err_size)
{
    struct backup_taking t = {.job = job, .tmp_fd = -1, .store_fd = -1, .wal_fd = -1, .err = err, .err_size = err_size};
    t.pace = (struct backup_pace){.slow = true, .stop = job->stop, .keep_bytes = job->keep_bytes};
    t.facts.created_ms = clock_wall_ms();
    (void)snprintf(t.facts.name, sizeof t.facts.name, "%s", job->name);
    backup_manifest_begin(&t.files);
    backup_take_slow_down();
    enum status s = backup_disk_begin(&t.pace, err, err_size);
    if (s == ST_OK)
        s = backup_take_prepare(&t);
    if (s == ST_OK)
        s = backup_take_copy(&t);
    if (s == ST_OK)
        s = backup_take_publish(&t);
    backup_take_clean(&t, s == ST_OK);
    *ret_facts = t.facts;
    return s;
}
