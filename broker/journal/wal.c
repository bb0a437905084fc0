/*
 * wal.c: append and sync (wal.h). wal_replay.c reads the log at the start, wal_keeper.c makes spares.
 *
 * One file at a time is `now`. It is the writer's; that it changes is seen by others under the lock. In the
 * mode fsync=always each file is synced when the writer leaves it. In the others it may not be: it is marked,
 * and `behind` says that such a file exists, so that the first synced append after it syncs those first.
 */
#include "broker/journal/wal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/folder.h"
#include "broker/journal/wal_inner.h"
#include "protocol/limits.h"

#define FOLDER_MODE 0750

void wal_list_push(struct wal_list *l, struct wal_file *f)
{
    f->next = NULL;
    if (l->first)
        l->end->next = f;
    else
        l->first = f;
    l->end = f;
    l->n++;
}

struct wal_file *wal_list_pop(struct wal_list *l)
{
    struct wal_file *f = l->first;
    if (f) {
        l->first = f->next;
        f->next = NULL;
        l->n--;
    }
    return f;
}

enum status wal_failed(const struct wal *w, const char *doing, char *err, size_t err_size)
{
    snprintf(err, err_size, "cannot %s in %s: %s", doing, w->opt.path, strerror(errno));
    return errno == ENOMEM ? ST_NOMEM : ST_IO;
}

struct wal_file *wal_new_file(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t name = w->next_name++;
    w->figures.segments++;
    pthread_mutex_unlock(&w->lock);
    struct wal_file *f = wal_file_open(w->folder, name, true);
    if (!f) {
        pthread_mutex_lock(&w->lock);
        w->figures.segments--;
        pthread_mutex_unlock(&w->lock);
    }
    return f;
}

void wal_resized(struct wal *w, size_t before, size_t after)
{
    if (before == after)
        return;
    pthread_mutex_lock(&w->lock);
    w->bytes += after;
    w->bytes -= before;
    pthread_mutex_unlock(&w->lock);
}

/* ---- append ---- */

static void wake_keeper(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    w->wanted = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* From now to the next file. A spare one is mostly there; where it is not, one that grows will do. */
static bool wal_turn(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    struct wal_file *f = wal_list_pop(&w->spare);
    pthread_mutex_unlock(&w->lock);
    if (!f)
        f = wal_new_file(w);
    if (!f)
        return false;
    size_t before = f->size;
    bool begun = wal_file_begin(f, ++w->serial, w->last);
    wal_resized(w, before, f->size);
    pthread_mutex_lock(&w->lock);
    if (w->now) {
        if (w->loose) {
            atomic_store(&w->now->unsynced, true);
            atomic_store(&w->behind, true);
        }
        wal_list_push(&w->live, w->now);
    }
    w->now = f;
    pthread_mutex_unlock(&w->lock);
    w->loose = false;
    w->asked = false;
    return begun;
}

static bool wal_full(const struct wal *w, size_t bytes)
{
    const struct wal_file *f = w->now;
    size_t room = f->size > w->opt.segment_bytes ? f->size : w->opt.segment_bytes;
    return f->at > WAL_HEADER_BYTES && f->at + bytes > room;
}

/* The oldest that may have something unsynced, of those up to serial. */
static struct wal_file *first_unsynced(struct wal *w, uint64_t serial)
{
    pthread_mutex_lock(&w->lock);
    struct wal_file *f = w->live.first;
    while (f && (f->serial > serial || !atomic_load(&f->unsynced)))
        f = f->next;
    if (!f) {
        const struct wal_file *left = w->live.first;
        while (left && !atomic_load(&left->unsynced))
            left = left->next;
        atomic_store(&w->behind, left != NULL);
    }
    pthread_mutex_unlock(&w->lock);
    return f;
}

/* Under sync_lock. Where one has failed no other may succeed: it would vouch for what the first one lost. */
static bool sync_file(struct wal *w, struct wal_file *f)
{
    if (w->broken)
        errno = EIO;
    else if (!wal_file_sync(f))
        w->broken = true;
    return !w->broken;
}

/* Files before now. Under sync_lock: a file whose mark is gone is synced when the lock is. */
static bool sync_behind(struct wal *w, uint64_t serial)
{
    for (struct wal_file *f = first_unsynced(w, serial); f; f = first_unsynced(w, serial)) {
        atomic_store(&f->unsynced, false);
        if (!sync_file(w, f))
            return false;
    }
    return true;
}

/* The lock is free but while fsync=interval goes over into fsync=always, or the keeper looks at its list. */
static bool wal_sync_append(struct wal *w)
{
    pthread_mutex_lock(&w->sync_lock);
    bool synced = !atomic_load(&w->behind) || sync_behind(w, UINT64_MAX);
    synced = synced && sync_file(w, w->now);
    int why = errno;
    pthread_mutex_unlock(&w->sync_lock);
    errno = why;
    if (!synced)
        return false;
    w->loose = false;
    atomic_store(&w->now->unsynced, false);
    return true;
}

static enum status wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err,
                              size_t err_size)
{
    struct wal *w = self;
    assert(number > w->last);
    if ((!w->now || wal_full(w, wal_record_size(batch.len))) && !wal_turn(w))
        return wal_failed(w, "begin another file of the log", err, err_size);
    struct wal_file *f = w->now;
    size_t before = f->size;
    if (!wal_file_append(f, number, w->last, batch))
        return wal_failed(w, "write the log", err, err_size);
    wal_resized(w, before, f->size);
    w->last = number;
    if (!w->asked && f->at > w->opt.segment_bytes / 2) {
        w->asked = true;
        wake_keeper(w);
    }
    if (sync)
        return wal_sync_append(w) ? ST_OK : wal_failed(w, "sync the log", err, err_size);
    w->loose = true;
    atomic_store(&f->unsynced, true);
    return ST_OK;
}

static enum status wal_sync(void *self, char *err, size_t err_size)
{
    struct wal *w = self;
    pthread_mutex_lock(&w->sync_lock);
    pthread_mutex_lock(&w->lock);
    struct wal_file *now = w->now;
    uint64_t serial = now ? now->serial : 0;
    pthread_mutex_unlock(&w->lock);
    bool synced = sync_behind(w, serial);
    if (synced && now && atomic_exchange(&now->unsynced, false))
        synced = sync_file(w, now);
    enum status s = synced ? ST_OK : wal_failed(w, "sync the log", err, err_size);
    pthread_mutex_unlock(&w->sync_lock);
    return s;
}

/* ---- opening, closing ---- */

const struct redo *wal_redo(struct wal *w)
{
    return &w->redo;
}

/* The folder, and that it is there after a power cut; whoever made it may have ended before that. */
static bool open_folder(struct wal *w)
{
    if (mkdir(w->opt.path, FOLDER_MODE) != 0 && errno != EEXIST)
        return false;
    w->folder = open(w->opt.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->folder < 0)
        return false;
    errno = folder_sync_of(w->opt.path);
    return errno == 0;
}

enum status wal_open(const struct wal_options *opt, struct wal **ret_w, char *err, size_t err_size)
{
    assert(opt->segment_bytes >= WAL_SEGMENT_MIN && opt->segment_bytes <= UINT32_MAX);
    struct wal *w = calloc(1, sizeof *w);
    if (!w) {
        snprintf(err, err_size, "no memory to open %s", opt->path);
        return ST_NOMEM;
    }
    w->opt = *opt;
    w->path = strdup(opt->path);
    w->opt.path = w->path ? w->path : "";
    w->folder = -1;
    w->next_name = 1;
    w->redo = (struct redo){.self = w, .append = wal_append, .sync = wal_sync, .replay = wal_replay};
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->sync_lock, NULL);
    pthread_cond_init(&w->work, NULL);
    if (!w->path)
        errno = ENOMEM;
    if (w->path && open_folder(w)) {
        *ret_w = w;
        return ST_OK;
    }
    enum status s = wal_failed(w, "keep the log", err, err_size);
    wal_close(w);
    return s;
}

static void free_all(struct wal_list *l)
{
    struct wal_file *f = NULL;
    while ((f = wal_list_pop(l)))
        wal_file_free(f);
}

void wal_close(struct wal *w)
{
    if (!w)
        return;
    assert(!w->keeps);
    free_all(&w->live);
    free_all(&w->spare);
    wal_file_free(w->now);
    if (w->folder >= 0)
        close(w->folder);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->sync_lock);
    pthread_cond_destroy(&w->work);
    free(w->path);
    free(w);
}

void wal_figures(struct wal *w, struct wal_figures *ret_figures)
{
    *ret_figures = (struct wal_figures){0};
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    *ret_figures = w->figures;
    ret_figures->spare = w->spare.n;
    ret_figures->bytes = w->bytes;
    pthread_mutex_unlock(&w->lock);
}
