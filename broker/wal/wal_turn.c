/* wal_turn.c: takes the next file of the log into use (wal_turn.h). */
#include "broker/wal/wal_turn.h"

#include <errno.h>

/* Says at the end of prev, if there is one, which file comes next, so that a start notices when that is missing. f's header is synced
 * before, or a power cut could leave the word alone. In the other modes that sync would hold up the writer. */
static bool wal_turn_name_next(struct wal *w, struct wal_file *prev, struct wal_file *f)
{
    struct wal_record end = {.kind = WAL_END, .number = f->use.serial, .synced = atomic_load(&w->synced)};
    if (!wal_file_sync(f))
        return false;
    if (!prev)
        return true;
    size_t before = prev->size;
    if (!wal_file_append(prev, &end, false) || !wal_file_sync(prev))
        return false;
    wal_set_resized(w, before, prev->size);
    return true;
}

bool wal_turn(struct wal *w, struct wal_file *prev, bool sync)
{
    pthread_mutex_lock(&w->lock);
    struct wal_file *f = wal_list_pop(&w->spare);
    pthread_mutex_unlock(&w->lock);
    if (!f)
        f = wal_set_new_file(w);
    if (!f)
        return false;
    size_t before = f->size;
    bool begun = w->unsealed ? wal_file_choose(f, ++w->serial, w->last, w->store_id)
                             : wal_file_begin(f, ++w->serial, w->last, w->store_id);
    wal_set_resized(w, before, f->size);
    begun = begun && (!sync || w->unsealed || wal_turn_name_next(w, prev, f));
    int why = errno;
    pthread_mutex_lock(&w->lock);
    if (w->now) {
        if (w->loose) {
            atomic_store(&w->now->unsynced, true);
            atomic_store(&w->behind, true);
        }
        wal_list_push(&w->live, w->now);
    }
    w->now = f;
    /* Files that are held back for a copy do not count: no flush would make them spare. */
    uint64_t live = w->keeps && w->replay_max && w->held == UINT64_MAX ? wal_set_live_bytes(w) : 0;
    if (live > w->replay_max / 4 * 3)
        atomic_store(&w->crowd, live < w->replay_max ? WAL_NEAR : WAL_FULL);
    pthread_mutex_unlock(&w->lock);
    w->loose = false;
    w->asked = false;
    errno = why;
    return begun;
}
