/*
 * wal_append.c: a record at the end of the log, and that it is on disk.
 *
 * One file at a time is `now`. It is the writer's; that it changes is seen by others under the lock. In the
 * mode fsync=always each file is synced when the writer leaves it. In the others it may not be: it is marked,
 * and `behind` says that such a file exists, so that the first synced append after it syncs those first.
 */
#include "broker/journal/wal_append.h"

#include <assert.h>
#include <errno.h>

#include "broker/journal/wal_set.h"

static void wal_append_wake_keeper(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    w->wanted = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* From now to the next file. A spare one is mostly there; where it is not, one that grows will do. */
static bool wal_append_turn(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    struct wal_file *f = wal_list_pop(&w->spare);
    pthread_mutex_unlock(&w->lock);
    if (!f)
        f = wal_set_new_file(w);
    if (!f)
        return false;
    size_t before = f->size;
    bool begun = wal_file_begin(f, ++w->serial, w->last);
    wal_set_resized(w, before, f->size);
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

static bool wal_append_full(const struct wal *w, size_t bytes)
{
    const struct wal_file *f = w->now;
    size_t room = f->size > w->segment_bytes ? f->size : w->segment_bytes;
    return f->at > WAL_HEADER_BYTES && f->at + bytes > room;
}

/* The oldest that may have something unsynced, of those up to serial. */
static struct wal_file *wal_append_first_unsynced(struct wal *w, uint64_t serial)
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
static bool wal_append_sync_file(struct wal *w, struct wal_file *f)
{
    if (w->broken)
        errno = EIO;
    else if (!wal_file_sync(f))
        w->broken = true;
    return !w->broken;
}

/* Files before now. Under sync_lock: a file whose mark is gone is synced when the lock is. */
static bool wal_append_sync_behind(struct wal *w, uint64_t serial)
{
    for (struct wal_file *f = wal_append_first_unsynced(w, serial); f; f = wal_append_first_unsynced(w, serial)) {
        atomic_store(&f->unsynced, false);
        if (!wal_append_sync_file(w, f))
            return false;
    }
    return true;
}

/* The lock is free but while fsync=interval goes over into fsync=always, or the keeper looks at its list. */
static bool wal_append_sync(struct wal *w)
{
    pthread_mutex_lock(&w->sync_lock);
    bool synced = !atomic_load(&w->behind) || wal_append_sync_behind(w, UINT64_MAX);
    synced = synced && wal_append_sync_file(w, w->now);
    int why = errno;
    pthread_mutex_unlock(&w->sync_lock);
    errno = why;
    if (!synced)
        return false;
    w->loose = false;
    atomic_store(&w->now->unsynced, false);
    return true;
}

enum status wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size)
{
    struct wal *w = self;
    assert(number > w->last);
    if ((!w->now || wal_append_full(w, wal_record_size(batch.len))) && !wal_append_turn(w))
        return wal_set_failed(w, "begin another file of the log", err, err_size);
    struct wal_file *f = w->now;
    size_t before = f->size;
    if (!wal_file_append(f, number, w->last, batch))
        return wal_set_failed(w, "write the log", err, err_size);
    wal_set_resized(w, before, f->size);
    w->last = number;
    if (!w->asked && f->at > w->segment_bytes / 2) {
        w->asked = true;
        wal_append_wake_keeper(w);
    }
    if (sync)
        return wal_append_sync(w) ? ST_OK : wal_set_failed(w, "sync the log", err, err_size);
    w->loose = true;
    atomic_store(&f->unsynced, true);
    return ST_OK;
}

enum status wal_sync(void *self, char *err, size_t err_size)
{
    struct wal *w = self;
    pthread_mutex_lock(&w->sync_lock);
    pthread_mutex_lock(&w->lock);
    struct wal_file *now = w->now;
    uint64_t serial = now ? now->serial : 0;
    pthread_mutex_unlock(&w->lock);
    bool synced = wal_append_sync_behind(w, serial);
    if (synced && now && atomic_exchange(&now->unsynced, false))
        synced = wal_append_sync_file(w, now);
    enum status s = synced ? ST_OK : wal_set_failed(w, "sync the log", err, err_size);
    pthread_mutex_unlock(&w->sync_lock);
    return s;
}
