/* backup_proof.c: goes through the files of a data folder, or a backup, and says what it found (backup_proof.h). */
#include "broker/backup/backup_proof.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/backup/backup_find.h"
#include "broker/backup/backup_restore.h"
#include "broker/backup/backup_verify.h"
#include "broker/base/folder.h"
#include "broker/wal/wal_look.h"
#include "protocol/limits.h"
#include "storage/check/check.h"
#include "storage/store.h"

struct backup_proving {
    const char *data;
    size_t memory_bytes;
    bool is_backup, shows;
    uint64_t damages, files_bytes; /* of the store's files */
    struct backup_pace pace;
    struct backup_facts facts;
    struct buf manifest;
    struct check_sums sums;
    struct wal_seen seen;
    char scratch[PATH_MAX]; /* a copy in which the log is replayed; "": none */
    char err[1024];
};

static void backup_proof_erase(const struct backup_proving *p)
{
    if (p->shows)
        fprintf(stderr, "\r\033[K");
}

static void backup_proof_damage(void *arg, const char *text)
{
    struct backup_proving *p = arg;
    p->damages++;
    backup_proof_erase(p);
    printf("damaged: %s\n", text);
}

static void backup_proof_show(const struct backup_proving *p, const char *what, uint64_t done, uint64_t all)
{
    uint64_t percent = all ? done * 100 / all : 0;
    if (p->shows)
        fprintf(stderr, "\r\033[Kchecking %s: %llu MiB, %llu %%", what, (unsigned long long)(done / MIB(1)),
                (unsigned long long)(percent < 99 ? percent : 99));
}

static void backup_proof_show_files(struct backup_pace *pace)
{
    struct backup_proving *p = (struct backup_proving *)((char *)pace - offsetof(struct backup_proving, pace));
    backup_proof_show(p, "the files", pace->done, pace->all);
}

static void backup_proof_show_store(void *arg, uint64_t bytes)
{
    const struct backup_proving *p = arg;
    backup_proof_show(p, "the store", bytes, p->files_bytes);
}

static bool backup_proof_path(const struct backup_proving *p, const char *name, char out[static PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", p->data, name);
    return n > 0 && n < PATH_MAX;
}

static bool backup_proof_has(const struct backup_proving *p, const char *name)
{
    char path[PATH_MAX];
    return backup_proof_path(p, name, path) && access(path, F_OK) == 0;
}

static enum status backup_proof_files(struct backup_proving *p)
{
    struct cursor at;
    uint64_t bad = 0;
    enum status s = backup_find_manifest(p->data, &p->manifest, &p->facts, &at, p->err, sizeof p->err);
    if (s == ST_BAD) {
        backup_proof_damage(p, p->err);
        return ST_OK;
    }
    if (s == ST_OK)
        s = backup_disk_begin(&p->pace, p->err, sizeof p->err);
    p->pace.all = p->facts.bytes;
    p->pace.show = backup_proof_show_files;
    return s == ST_OK ? backup_verify(&p->pace, p->data, at, backup_proof_damage, p, &bad, p->err, sizeof p->err) : s;
}

/* So that one can tell how far the check is. */
static void backup_proof_measure(struct backup_proving *p, const char *store)
{
    struct backup_names names;
    if (!backup_disk_names(store, &names))
        return;
    for (size_t i = 0; i < names.n; i++) {
        char path[PATH_MAX];
        struct stat st;
        int n = snprintf(path, sizeof path, "%s/%s", store, names.names[i]);
        if (n > 0 && n < PATH_MAX && stat(path, &st) == 0)
            p->files_bytes += (uint64_t)st.st_size;
    }
    backup_disk_names_free(&names);
}

/* Tables and blobs are never written to, so a link does. */
static bool backup_proof_is_fixed(const char *name)
{
    size_t n = strlen(name);
    return (n > 4 && strcmp(name + n - 4, ".sst") == 0) || (n > 5 && strcmp(name + n - 5, ".blob") == 0);
}

static bool backup_proof_is_needed(const char *name)
{
    return strncmp(name, "LOG", 3) != 0 && strcmp(name, "LOCK") != 0 && strncmp(name, "store.id", 8) != 0;
}

/* Makes the copy: links to what never changes, and the rest, which is small. */
static enum status backup_proof_copy(struct backup_proving *p, const char *store)
{
    const char *tmp = getenv("TMPDIR");
    struct backup_names names = {0};
    char real[PATH_MAX];
    uint64_t bytes = 0, digest = 0;
    (void)snprintf(p->scratch, sizeof p->scratch, "%s/halfmq-check-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    if (!realpath(store, real) || !mkdtemp(p->scratch)) {
        enum status s = backup_disk_failed("make", p->scratch, p->err, sizeof p->err);
        p->scratch[0] = '\0';
        return s;
    }
    int from = backup_disk_open(store), to = backup_disk_open(p->scratch);
    enum status s = from >= 0 && to >= 0 && backup_disk_names(store, &names) ? ST_OK
                                                                             : backup_disk_failed("read", store, p->err, sizeof p->err);
    for (size_t i = 0; s == ST_OK && i < names.n; i++) {
        char path[PATH_MAX + 64];
        const char *name = names.names[i];
        (void)snprintf(path, sizeof path, "%s/%.60s", real, name);
        if (backup_proof_is_fixed(name) && symlinkat(path, to, name) != 0)
            s = backup_disk_failed("link", name, p->err, sizeof p->err);
        else if (!backup_proof_is_fixed(name) && backup_proof_is_needed(name))
            s = backup_disk_copy(&p->pace, from, name, to, name, UINT64_MAX, 0, &bytes, &digest, p->err, sizeof p->err);
    }
    backup_disk_names_free(&names);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return s;
}

static enum status backup_proof_replay(void *arg, uint64_t after, redo_take_fn *take, void *take_arg, char *err, size_t err_size)
{
    const struct backup_proving *p = arg;
    struct wal_seen seen;
    char wal[PATH_MAX];
    if (!backup_proof_path(p, "wal", wal))
        return ST_IO;
    return wal_look(wal, after, take, take_arg, &seen, err, err_size);
}

/* What the log has behind the files belongs to what is checked, where it can be read. */
static enum status backup_proof_with_log(struct backup_proving *p, const char *store, struct check_options *opt)
{
    char wal[PATH_MAX], why[600];
    uint64_t index = 0;
    if (store_look(store, &index, why, sizeof why) != ST_OK || !backup_proof_path(p, "wal", wal))
        return ST_OK; /* the check will say why */
    enum status s = wal_look(wal, index, NULL, NULL, &p->seen, p->err, sizeof p->err);
    if (s != ST_OK || p->seen.groups == 0)
        return s;
    s = backup_proof_copy(p, store);
    opt->path = p->scratch;
    opt->replay = backup_proof_replay;
    return s;
}

static enum status backup_proof_store(struct backup_proving *p)
{
    char store[PATH_MAX], current[PATH_MAX];
    if (!backup_proof_path(p, "store", store) || !backup_proof_path(p, "store/CURRENT", current)) {
        snprintf(p->err, sizeof p->err, "the path %s is too long", p->data);
        return ST_IO;
    }
    if (access(current, F_OK) != 0) {
        backup_proof_damage(p, "the store is missing: there is no store/CURRENT");
        return ST_OK;
    }
    backup_proof_measure(p, store);
    struct check_options opt = {.path = store, .memory_bytes = p->memory_bytes, .damage = backup_proof_damage,
                                .progress = backup_proof_show_store, .arg = p};
    enum status s = p->pace.piece ? ST_OK : backup_disk_begin(&p->pace, p->err, sizeof p->err);
    if (s == ST_OK)
        s = backup_proof_with_log(p, store, &opt);
    if (s == ST_OK)
        s = store_check(&opt, &p->sums, p->err, sizeof p->err);
    if (p->scratch[0] && !backup_disk_remove(p->scratch))
        fprintf(stderr, "halfmqd: cannot delete %s\n", p->scratch);
    return s;
}

static void backup_proof_tell_log(struct backup_proving *p)
{
    const struct wal_seen *seen = &p->seen;
    char text[300];
    if (seen->damaged)
        backup_proof_damage(p, seen->text);
    if (seen->headless) {
        snprintf(text, sizeof text, "%llu files of the log have no sound header", (unsigned long long)seen->headless);
        backup_proof_damage(p, text);
    }
    if (seen->skipped) {
        snprintf(text, sizeof text, "the log cannot be read at %llu places; the store has what was there",
                 (unsigned long long)seen->skipped);
        backup_proof_damage(p, text);
    }
    if (seen->ends_early && !seen->damaged) {
        snprintf(text, sizeof text, "the log ends before the place where it ended at the last stop (%llu bytes behind its last whole "
                 "record); the store has what was there", (unsigned long long)seen->dropped);
        backup_proof_damage(p, text);
    }
    if (p->is_backup && p->facts.index && seen->last != p->facts.index) {
        snprintf(text, sizeof text, "the backup ends with command %llu, and its manifest says %llu",
                 (unsigned long long)seen->last, (unsigned long long)p->facts.index);
        backup_proof_damage(p, text);
    }
}

static enum status backup_proof_log(struct backup_proving *p)
{
    char path[PATH_MAX];
    if (!backup_proof_path(p, "wal", path)) {
        snprintf(p->err, sizeof p->err, "the path %s is too long", p->data);
        return ST_IO;
    }
    enum status s = wal_look(path, p->sums.index, NULL, NULL, &p->seen, p->err, sizeof p->err);
    if (s == ST_OK && p->seen.files == 0 && p->sums.index)
        backup_proof_damage(p, "the log is missing: there is no file of it");
    if (s == ST_OK)
        backup_proof_tell_log(p);
    return s;
}

static void backup_proof_summary(const struct backup_proving *p)
{
    const struct check_sums *s = &p->sums;
    backup_proof_erase(p);
    printf("checked %s: %llu topics, %llu messages in %llu records, %llu delayed, %llu groups on topics, %llu open "
           "transactions, %llu rows\n",
           p->data, (unsigned long long)s->topics, (unsigned long long)s->messages, (unsigned long long)s->records,
           (unsigned long long)s->delayed, (unsigned long long)s->groups, (unsigned long long)s->transactions,
           (unsigned long long)s->rows);
    printf("the store's files have everything up to command %llu, the log %llu groups behind it, up to command %llu; behind its "
           "last whole record are %llu bytes\n",
           (unsigned long long)s->index, (unsigned long long)p->seen.groups, (unsigned long long)p->seen.last,
           (unsigned long long)p->seen.dropped);
    if (p->damages)
        printf("%llu damages\n", (unsigned long long)p->damages);
    else
        printf("no damage\n");
}

/* Nobody may change what is read. Where it says that somebody does, err has a sentence. */
static enum status backup_proof_begin(struct backup_proving *p, int *ret_lock)
{
    struct stat st;
    if (stat(p->data, &st) != 0 || !S_ISDIR(st.st_mode)) {
        snprintf(p->err, sizeof p->err, "there is no folder %s", p->data);
        return ST_IO;
    }
    p->is_backup = backup_proof_has(p, BACKUP_MANIFEST);
    if (!p->is_backup && !backup_proof_has(p, "store") && !backup_proof_has(p, "wal")) {
        snprintf(p->err, sizeof p->err, "%s is neither a data folder nor a backup", p->data);
        return ST_IO;
    }
    if (!p->is_backup && backup_restore_unfinished(p->data, p->err, sizeof p->err))
        return ST_IO;
    return folder_lock_if_there(p->data, ret_lock, p->err, sizeof p->err);
}

int backup_proof(const char *data, size_t memory_bytes)
{
    struct backup_proving *p = calloc(1, sizeof *p);
    int lock = -1;
    if (!p) {
        fprintf(stderr, "halfmqd: no memory\n");
        return 1;
    }
    p->data = data;
    p->memory_bytes = memory_bytes;
    p->shows = isatty(STDERR_FILENO) == 1;
    buf_init(&p->manifest, 0);
    enum status s = backup_proof_begin(p, &lock);
    if (s == ST_OK && p->is_backup)
        s = backup_proof_files(p);
    if (s == ST_OK)
        s = backup_proof_store(p);
    if (s == ST_OK)
        s = backup_proof_log(p);
    if (s == ST_OK)
        backup_proof_summary(p);
    else
        fprintf(stderr, "halfmqd: cannot check: %s\n", p->err);
    int code = s == ST_OK && p->damages == 0 && fflush(stdout) == 0 ? 0 : 1;
    backup_disk_end(&p->pace);
    buf_free(&p->manifest);
    if (lock >= 0)
        close(lock);
    free(p);
    return code;
}
