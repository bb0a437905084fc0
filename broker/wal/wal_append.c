/*
 * wal_append.c: writes a record at the end of the log, and syncs it.
 *
 * One file at a time is `now`, and only the writer appends to it; when it changes, that happens under the lock. With
 * fsync=always each file is synced by the time the writer leaves it. In the other modes it may not be: then the file is
 * marked `unsynced`, and `behind` says that there is such a file, so that the next synced append syncs those first.
 *
 *   │ synced record ░░░░░░░│ unsynced │ unsynced ░░░░│ ...     ░ up to the next block: what was synced shares its
 *   └──── block ───────────┴──── block ──────────────┘           blocks with nothing that is written later
 *
 * Parts (redo.part) are in the file of the batch that refers to them: from the first one on the file may grow, instead of
 * being left, until that batch is written or so much came in between that they are given up.
 *
 * Who syncs beside the writer moves the end to the next block before, under tail_lock.
 */
#include "broker/wal/wal_append.h"

#include <assert.h>
#include <errno.h>

#include "broker/base/clock.h"
#include "broker/wal/wal_turn.h"
#include "protocol/limits.h"

#define WAIT_MS 1000
#define PARTS_BETWEEN ((size_t)MIB(32)) /* of other groups, between the first part and the batch */

static void wal_append_wake_keeper(struct wal *w, bool wanted)
{
    pthread_mutex_lock(&w->lock);
    w->wanted = w->wanted || wanted;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

static bool wal_append_full(const struct wal *w, size_t bytes)
{
    const struct wal_file *f = w->now;
    size_t room = f->size > w->segment_bytes ? f->size : w->segment_bytes;
    room = w->parts_serial == f->use.serial && w->parts_end > room ? w->parts_end : room;
    return f->at > WAL_HEADER_BYTES && wal_block_up(f->at + bytes) + WAL_END_BYTES > room;
}

/* The oldest file up to `serial` that may have something unsynced; NULL: there is none. */
static struct wal_file *wal_append_first_unsynced(struct wal *w, uint64_t serial)
{
    pthread_mutex_lock(&w->lock);
    struct wal_file *f = w->live.first;
    while (f && (f->use.serial > serial || !atomic_load(&f->unsynced)))
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

/* Under sync_lock. After one sync has failed, all fail: a success would say that what was lost then is on disk. */
static bool wal_append_sync_file(struct wal *w, struct wal_file *f)
{
    if (w->broken)
        errno = EIO;
    else if (!wal_file_sync(f))
        w->broken = true;
    return !w->broken;
}

/* Syncs the files before `now`, up to `serial`. Under sync_lock: who finds a mark gone may have to wait for this lock
 * until the file is synced. */
static bool wal_append_sync_behind(struct wal *w, uint64_t serial)
{
    for (struct wal_file *f = wal_append_first_unsynced(w, serial); f; f = wal_append_first_unsynced(w, serial)) {
        atomic_store(&f->unsynced, false);
        if (!wal_append_sync_file(w, f))
            return false;
    }
    return true;
}

/* Syncs all up to `number`, which is the last one of `now`. sync_lock is mostly free: others take it only while
 * fsync=interval becomes always, and where the keeper deletes. */
static bool wal_append_sync(struct wal *w, uint64_t number)
{
    pthread_mutex_lock(&w->sync_lock);
    atomic_store(&w->now->unsynced, false);
    bool synced = !atomic_load(&w->behind) || wal_append_sync_behind(w, UINT64_MAX);
    synced = synced && wal_append_sync_file(w, w->now);
    int why = errno;
    if (synced)
        atomic_store(&w->synced, number);
    pthread_mutex_unlock(&w->sync_lock);
    errno = why;
    return synced;
}

/* Under tail_lock. */
static enum status wal_append_write(struct wal *w, const struct wal_record *r, bool sync, char *err, size_t err_size)
{
    if ((!w->now || wal_append_full(w, wal_record_size(r->batch.len))) && !wal_turn(w, w->now, sync))
        return wal_set_failed(w, "begin another file of the log", err, err_size);
    struct wal_file *f = w->now;
    size_t before = f->size;
    if (!wal_file_append(f, r, sync))
        return wal_set_failed(w, "write the log", err, err_size);
    wal_set_resized(w, before, f->size);
    w->last = r->number;
    w->loose = !sync;
    atomic_store(&f->unsynced, true);
    bool half = !w->asked && f->at > w->segment_bytes / 2;
    if (half || atomic_load_explicit(&w->quiet, memory_order_relaxed)) {
        atomic_store(&w->quiet, false);
        w->asked = w->asked || half;
        wal_append_wake_keeper(w, half);
    }
    return ST_OK;
}

/* From here on the log goes on behind a salvage, whose group was synced just now. */
static bool wal_append_seal(struct wal *w)
{
    w->now->salvaged = true;
    w->now->lost = w->lost_serial;
    w->unsealed = !(wal_file_write_headers(w->now) && wal_file_sync(w->now));
    return !w->unsealed;
}

bool wal_crowded(void *self)
{
    const struct wal *w = self;
    return atomic_load_explicit(&w->crowd, memory_order_relaxed) != WAL_ROOM;
}

/* Waits until the keeper has had the store flush, where a start would have to replay too much otherwise. Where that
 * fails, the log gets longer. */
static void wal_append_wait(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    w->wanted = true;
    pthread_cond_signal(&w->work);
    while (atomic_load(&w->crowd) == WAL_FULL && w->keeps && !w->stopping)
        clock_wait(&w->room, &w->lock, WAIT_MS);
    pthread_mutex_unlock(&w->lock);
}

enum status wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size)
{
    struct wal *w = self;
    struct wal_record r = {.number = number, .batch = batch, .synced = atomic_load(&w->synced)};
    assert(number > w->last);
    if (atomic_load_explicit(&w->crowd, memory_order_relaxed) == WAL_FULL)
        wal_append_wait(w); /* not under tail_lock: the keeper takes it, too */
    pthread_mutex_lock(&w->tail_lock);
    enum status s = wal_append_write(w, &r, sync, err, err_size);
    pthread_mutex_unlock(&w->tail_lock);
    if (s == ST_OK && sync && !wal_append_sync(w, number))
        return wal_set_failed(w, "sync the log", err, err_size);
    if (s == ST_OK && w->unsealed && !wal_append_seal(w))
        return wal_set_failed(w, "begin another file of the log", err, err_size);
    return s;
}

/* ---- parts ---- */

/* Under tail_lock. The file that all parts go to, of `whole` bytes in all; where there is not enough room, the next one. */
static bool wal_append_begin_parts(struct wal *w, size_t whole, bool sync)
{
    w->parts_serial = 0;
    if ((!w->now || wal_append_full(w, whole)) && !wal_turn(w, w->now, sync))
        return false;
    w->parts_serial = w->now->use.serial;
    w->parts_end = w->now->at + 2 * whole + PARTS_BETWEEN; /* each is filled up to the next block, and has a head */
    return true;
}

enum status wal_append_part(void *self, struct slice bytes, size_t whole, bool sync, uint64_t *ret_at, char *err,
                            size_t err_size)
{
    struct wal *w = self;
    struct wal_record r = {.kind = WAL_PART, .batch = bytes, .synced = atomic_load(&w->synced)};
    if (w->unsealed)
        return ST_BUSY;
    if (atomic_load_explicit(&w->crowd, memory_order_relaxed) == WAL_FULL)
        wal_append_wait(w);
    pthread_mutex_lock(&w->tail_lock);
    bool begun = !whole || wal_append_begin_parts(w, whole, sync);
    bool room = begun && w->now && w->parts_serial == w->now->use.serial &&
                !wal_append_full(w, wal_record_size(bytes.len));
    enum status s = begun ? ST_BUSY : wal_set_failed(w, "begin another file of the log", err, err_size);
    if (room) {
        r.number = w->last;
        *ret_at = w->now->at;
        s = wal_append_write(w, &r, sync, err, err_size);
    }
    pthread_mutex_unlock(&w->tail_lock);
    if (s == ST_OK && sync && !wal_append_sync(w, r.number))
        return wal_set_failed(w, "sync the log", err, err_size);
    return s;
}

bool wal_append_has_parts(void *self, size_t bytes)
{
    struct wal *w = self;
    pthread_mutex_lock(&w->tail_lock);
    size_t beside = 4 * WAL_BLOCK_BYTES; /* what who syncs beside the writer may add until the batch comes */
    bool has = w->now && w->parts_serial == w->now->use.serial && !wal_append_full(w, wal_record_size(bytes) + beside);
    pthread_mutex_unlock(&w->tail_lock);
    return has;
}

void wal_append_end_parts(void *self)
{
    struct wal *w = self;
    pthread_mutex_lock(&w->tail_lock);
    w->parts_serial = 0;
    pthread_mutex_unlock(&w->tail_lock);
}

/* ---- ---- */

void wal_append_say_synced(struct wal *w)
{
    pthread_mutex_lock(&w->tail_lock);
    struct wal_file *f = w->now;
    uint64_t synced = atomic_load(&w->synced);
    bool empty = !f || f->last != w->last || f->at == WAL_HEADER_BYTES;
    if (!empty && w->said < w->last && synced == w->last && !wal_append_full(w, wal_record_size(0))) {
        const struct wal_record r = {.kind = WAL_SYNCED, .number = w->last, .synced = synced};
        size_t before = f->size;
        f->at = wal_block_up(f->at);
        (void)wal_file_append(f, &r, true); /* if this fails, the next record is written over it */
        wal_set_resized(w, before, f->size);
        w->said = w->last;
    }
    if (empty || w->said == w->last || wal_append_full(w, wal_record_size(0)))
        atomic_store(&w->quiet, true);
    pthread_mutex_unlock(&w->tail_lock);
}

enum status wal_sync_to(struct wal *w, struct wal_end *ret_end, char *err, size_t err_size)
{
    pthread_mutex_lock(&w->sync_lock);
    pthread_mutex_lock(&w->tail_lock);
    struct wal_file *now = w->now;
    uint64_t serial = now ? now->use.serial : 0, last = w->last;
    if (now)
        now->at = wal_block_up(now->at);
    *ret_end = (struct wal_end){.last = last, .serial = serial, .at = now ? now->at : 0};
    pthread_mutex_unlock(&w->tail_lock);
    bool synced = wal_append_sync_behind(w, serial);
    if (synced && now && atomic_exchange(&now->unsynced, false))
        synced = wal_append_sync_file(w, now);
    if (synced && last > atomic_load(&w->synced))
        atomic_store(&w->synced, last);
    enum status s = synced ? ST_OK : wal_set_failed(w, "sync the log", err, err_size);
    pthread_mutex_unlock(&w->sync_lock);
    return s;
}

enum status wal_sync(void *self, char *err, size_t err_size)
{
    struct wal_end end;
    return wal_sync_to(self, &end, err, err_size);
}
