/* backup_find.c: lists, deletes, cleans up (backup_find.h). */
#include "broker/backup/backup_find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/backup/backup_disk.h"
#include "broker/backup/backup_take.h"
#include "broker/base/folder.h"
#include "broker/base/log.h"
#include "protocol/base/reply.h"
#include "protocol/limits.h"

#define READ_STEP ((size_t)KIB(64))

static bool backup_find_read(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_room(out, READ_STEP);
        ssize_t n = room ? read(fd, room, READ_STEP) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && room;
        buf_added(out, (size_t)n);
    }
}

enum status backup_find_manifest(const char *path, struct buf *out, struct backup_facts *ret_facts,
                                 struct cursor *ret_at, char *err, size_t err_size)
{
    char name[PATH_MAX], why[200];
    int n = snprintf(name, sizeof name, "%s/" BACKUP_MANIFEST, path);
    errno = ENAMETOOLONG;
    int fd = n > 0 && n < PATH_MAX ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        bool none = errno == ENOENT || errno == ENOTDIR;
        enum status s = backup_disk_failed("open", name, err, err_size);
        if (none)
            snprintf(err, err_size, "%s is not a backup: it has no " BACKUP_MANIFEST, path);
        return none ? ST_BAD : s;
    }
    buf_init(out, BACKUP_MANIFEST_BYTES_MAX);
    bool read = backup_find_read(fd, out);
    close(fd);
    if (!read && out->failed) {
        snprintf(err, err_size, "%s is too large, or there is no memory for it", name);
        return ST_NOMEM;
    }
    if (!read)
        return backup_disk_failed("read", name, err, err_size);
    enum status s = backup_manifest_open(buf_slice(out), ret_facts, ret_at, why, sizeof why);
    if (s != ST_OK)
        snprintf(err, err_size, "%s %s", name, why);
    return s;
}

/* Appends the map of one backup. False: it is none. */
static bool backup_find_one(const char *dir, const char *name, struct buf *reply)
{
    char path[PATH_MAX], err[512];
    struct buf bytes;
    struct backup_facts f;
    struct cursor at;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    buf_init(&bytes, 0);
    bool is_one = backup_name_ok(slice_str(name)) && n > 0 && n < PATH_MAX &&
                  backup_find_manifest(path, &bytes, &f, &at, err, sizeof err) == ST_OK;
    buf_free(&bytes);
    if (!is_one)
        return false;
    reply_map(reply, 6);
    reply_field_bytes(reply, "name", slice_str(name));
    reply_field_bytes(reply, "path", slice_str(path));
    reply_field_int(reply, "bytes", (int64_t)f.bytes);
    reply_field_int(reply, "files", (int64_t)f.files);
    reply_field_int(reply, "index", (int64_t)f.index);
    reply_field_int(reply, "created", f.created_ms);
    return true;
}

enum status backup_find_all(const char *dir, struct buf *reply, char *err, size_t err_size)
{
    struct backup_names names;
    if (!backup_disk_names(dir, &names)) {
        if (errno != ENOENT)
            return backup_disk_failed("read", dir, err, err_size);
        reply_array(reply, 0);
        return ST_OK;
    }
    struct buf maps;
    size_t found = 0;
    buf_init(&maps, 0);
    for (size_t i = 0; i < names.n && found < BACKUP_FIND_MAX; i++)
        found += backup_find_one(dir, names.names[i], &maps);
    backup_disk_names_free(&names);
    reply_array(reply, found);
    buf_put_slice(reply, buf_slice(&maps));
    bool failed = maps.failed || reply->failed;
    buf_free(&maps);
    if (!failed)
        return ST_OK;
    snprintf(err, err_size, "no memory for the list");
    return ST_NOMEM;
}

enum status backup_find_delete(const char *dir, const char *name, char *err, size_t err_size)
{
    char path[PATH_MAX - 64], manifest[PATH_MAX], aside[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path) {
        errno = ENAMETOOLONG;
        return backup_disk_failed("delete", name, err, err_size);
    }
    (void)snprintf(manifest, sizeof manifest, "%s/" BACKUP_MANIFEST, path);
    (void)snprintf(aside, sizeof aside, "%.*s/" BACKUP_TMP_PREFIX "deleted" BACKUP_TMP_SUFFIX, PATH_MAX - 64, dir);
    if (access(manifest, F_OK) != 0) {
        snprintf(err, err_size, "there is no backup %s: BACKUP LIST shows them", name);
        return ST_ERR;
    }
    /* First it is no backup any more, then its files go: it is there whole, or not at all. */
    if (!backup_disk_remove(aside) || rename(path, aside) != 0 || folder_sync_of(path) != 0 || !backup_disk_remove(aside))
        return backup_disk_failed("delete", path, err, err_size);
    return ST_OK;
}

static void backup_find_drop(const char *path)
{
    char quoted[PATH_MAX], reason[128];
    struct stat st;
    if (lstat(path, &st) != 0)
        return;
    if (backup_disk_remove(path))
        log_event(LOG_INFO, "deleted what was left of a backup that was not finished", " path=%s",
                  log_quote(path, quoted, sizeof quoted));
    else
        log_event(LOG_WARN, "cannot delete what was left of a backup that was not finished", " path=%s reason=%s",
                  log_quote(path, quoted, sizeof quoted), log_quote(strerror(errno), reason, sizeof reason));
}

static bool backup_find_is_tmp(const char *name)
{
    size_t n = strlen(name), head = strlen(BACKUP_TMP_PREFIX), tail = strlen(BACKUP_TMP_SUFFIX);
    return n > head + tail && memcmp(name, BACKUP_TMP_PREFIX, head) == 0 &&
           strcmp(name + n - tail, BACKUP_TMP_SUFFIX) == 0;
}

void backup_find_leftovers(const char *data, const char *dir)
{
    static const char *const ours[] = {BACKUP_CHECKPOINT, BACKUP_CHECKPOINT BACKUP_TMP_SUFFIX};
    char path[PATH_MAX];
    struct backup_names names;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", data, ours[i]);
        if (n > 0 && n < PATH_MAX)
            backup_find_drop(path);
    }
    if (!backup_disk_names(dir, &names))
        return;
    for (size_t i = 0; i < names.n; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", dir, names.names[i]);
        if (n > 0 && n < PATH_MAX && backup_find_is_tmp(names.names[i]))
            backup_find_drop(path);
    }
    backup_disk_names_free(&names);
}
