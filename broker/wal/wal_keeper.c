/*
 * wal_keeper.c: the keeper thread: it has a spare file ready before the writer needs one.
 *
 *   woken when `now` is half full: 1. live files whose batches the store's files hold become spare
 *                                  2. if there is no spare file: makes one, filled with zeros
 *                                  3. with more than half of replay_max in live files: has the store flush, and 1
 *                                     again; at three quarters the journal's writer thread leads, since appends wait
 *                                     at the whole
 *                                  4. while there are more than four times bytes_max bytes and two spare files: deletes
 *                                     one
 *
 *   a pause in what is written:    says in the log that everything before is synced (WAL_SYNCED)
 *
 * The store's write buffers bound the live files, too. With fsync=always a small batch takes a whole block in the log, which
 * is several times what it takes in those buffers: files that were used so once will be used so again.
 */
#include "broker/wal/wal_keeper.h"

#include <errno.h>
#include <sys/resource.h>

#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/wal/wal_append.h"
#include "broker/wal/wal_set.h"
#include "storage/store.h"

#define PAUSE_MS 500
#define KEEPER_NICE 10 /* Linux keeps it for each thread */
#define BLOCK_TIMES 4 /* that much longer than its batches the log may be for good */

static void wal_keeper_warn(const char *what)
{
    char quoted[128];
    log_event(LOG_WARN, what, " reason=%s", log_quote(strerror(errno), quoted, sizeof quoted));
}

/* Makes live files spare, the oldest first, as long as the store's files hold all batches up to `stored` and nobody copies
 * them. */
static void wal_keeper_gather(struct wal *w, uint64_t stored)
{
    for (;;) {
        pthread_mutex_lock(&w->lock);
        bool over = w->live.first && w->live.first->last <= stored && w->live.first->use.serial < w->held;
        struct wal_file *f = over ? wal_list_pop(&w->live) : NULL;
        pthread_mutex_unlock(&w->lock);
        if (!f)
            return;
        atomic_store(&f->unsynced, false);
        size_t before = f->size;
        /* If one of these fails the file is longer than needed, or grows with each record, no more. */
        (void)(wal_file_cut(f, w->segment_bytes) && wal_file_fill(f, w->segment_bytes));
        wal_set_resized(w, before, f->size);
        pthread_mutex_lock(&w->lock);
        wal_list_push(&w->spare, f);
        pthread_mutex_unlock(&w->lock);
    }
}

static void wal_keeper_make_spare(struct wal *w)
{
    struct wal_file *f = wal_set_new_file(w);
    bool filled = f && wal_file_fill(f, w->segment_bytes);
    if (f)
        wal_set_resized(w, 0, f->size);
    if (!filled)
        wal_keeper_warn("cannot make a file of the log ahead");
    if (!f)
        return;
    pthread_mutex_lock(&w->lock);
    wal_list_push(&w->spare, f);
    pthread_mutex_unlock(&w->lock);
}

/* Deletes a spare file. Under sync_lock, so that nobody syncs it meanwhile; later nobody finds it in a list. False:
 * there are not too many. */
static bool wal_keeper_drop_one(struct wal *w)
{
    pthread_mutex_lock(&w->sync_lock);
    pthread_mutex_lock(&w->lock);
    bool many = w->bytes > BLOCK_TIMES * w->bytes_max && w->spare.n > 1;
    struct wal_file *f = many ? wal_list_pop(&w->spare) : NULL;
    if (f) {
        w->bytes -= f->size;
        w->n_files--;
    }
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_unlock(&w->sync_lock);
    if (f && !wal_file_remove(w->folder, f))
        wal_keeper_warn("cannot delete a file of the log");
    return f != NULL;
}

/* With half of what may be there, so that as much is left for what comes during the flush. */
static void wal_keeper_bound(struct wal *w)
{
    char err[256] = "", quoted[300];
    pthread_mutex_lock(&w->lock);
    uint64_t live = wal_set_live_bytes(w);
    bool held = w->held != UINT64_MAX;
    pthread_mutex_unlock(&w->lock);
    if (w->replay_max == 0 || (!held && live <= w->replay_max / 2))
        return;
    if (!held && store_flush(w->store, err, sizeof err) != ST_OK)
        log_event(LOG_WARN, "the log gets longer than it should: the store cannot be flushed", " reason=%s",
                  log_quote(err, quoted, sizeof quoted));
    wal_keeper_gather(w, store_stored(w->store));
    pthread_mutex_lock(&w->lock); /* whether it worked or not: nobody waits longer */
    atomic_store(&w->crowd, WAL_ROOM);
    pthread_cond_broadcast(&w->room);
    pthread_mutex_unlock(&w->lock);
}

static void wal_keeper_tend(struct wal *w)
{
    wal_keeper_gather(w, store_stored(w->store));
    pthread_mutex_lock(&w->lock);
    bool none = w->spare.n == 0;
    pthread_mutex_unlock(&w->lock);
    if (none)
        wal_keeper_make_spare(w);
    wal_keeper_bound(w);
    while (wal_keeper_drop_one(w))
        continue;
}

/* Waits for work, under the lock. When nothing is written meanwhile, says in the log that what is there is synced. */
static void wal_keeper_wait(struct wal *w, uint64_t *seen)
{
    if (atomic_load(&w->quiet)) {
        pthread_cond_wait(&w->work, &w->lock);
        return;
    }
    clock_wait(&w->work, &w->lock, PAUSE_MS);
    if (w->wanted || w->stopping)
        return;
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_lock(&w->tail_lock);
    bool paused = *seen == w->last;
    *seen = w->last;
    pthread_mutex_unlock(&w->tail_lock);
    if (paused)
        wal_append_say_synced(w);
    pthread_mutex_lock(&w->lock);
}

void *wal_keeper(void *arg)
{
    struct wal *w = arg;
    uint64_t seen = 0;
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + KEEPER_NICE); /* if not, that is fine */
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        if (!w->wanted) {
            wal_keeper_wait(w, &seen);
            continue;
        }
        w->wanted = false;
        pthread_mutex_unlock(&w->lock);
        wal_keeper_tend(w);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}
