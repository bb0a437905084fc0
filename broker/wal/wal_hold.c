/* wal_hold.c: keeps files of the log from being used again while they are copied (wal_hold.h). */
#include "broker/wal/wal_hold.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/wal/wal_append.h"
#include "broker/wal/wal_set.h"

void wal_release(struct wal *w, uint64_t serial)
{
    pthread_mutex_lock(&w->lock);
    w->held = serial;
    w->wanted = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

enum status wal_hold(struct wal *w, struct wal_hold *ret_hold, char *err, size_t err_size)
{
    struct wal_end end = {0};
    pthread_mutex_lock(&w->lock);
    assert(w->held == UINT64_MAX);
    w->held = 0;
    pthread_mutex_unlock(&w->lock);
    enum status s = wal_sync_to(w, &end, err, err_size);
    *ret_hold = (struct wal_hold){.last = end.last, .serial = end.serial, .at = end.at};
    if (s != ST_OK)
        wal_release(w, UINT64_MAX);
    return s;
}

static void wal_hold_add(struct wal_held_file *files, size_t *n, const struct wal_file *f, const struct wal_hold *h,
                         uint64_t after)
{
    if (f->use.serial > h->serial)
        return;
    if (f->before <= after)
        *n = 0; /* what is before this one is not needed */
    bool last = f->use.serial == h->serial;
    size_t size = last ? f->promised : f->size;
    files[(*n)++] = (struct wal_held_file){.name = f->name, .serial = f->use.serial, .bytes = last ? h->at : f->size,
                                           .size = size > h->at || !last ? size : h->at};
}

enum status wal_held(struct wal *w, const struct wal_hold *h, uint64_t after, struct wal_held_file **ret_files,
                     size_t *ret_n)
{
    *ret_n = 0;
    pthread_mutex_lock(&w->tail_lock); /* the size of `now` changes under it */
    pthread_mutex_lock(&w->lock);
    *ret_files = calloc(w->live.n + 1, sizeof **ret_files);
    if (*ret_files) {
        for (const struct wal_file *f = w->live.first; f; f = f->next)
            wal_hold_add(*ret_files, ret_n, f, h, after);
        if (w->now)
            wal_hold_add(*ret_files, ret_n, w->now, h, after);
    }
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_unlock(&w->tail_lock);
    return *ret_files ? ST_OK : ST_NOMEM;
}
