/* wal_salvage.c: keeps, reads and sets aside files of the log that cannot be replayed (wal_salvage.h). */
#include "broker/wal/wal_salvage.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/base/log.h"

bool wal_salvage_covers(const struct wal_file *s, const struct wal_file *f)
{
    if (!s->salvaged || f->use.serial == 0 || f->use.serial >= s->use.serial)
        return false;
    return f->use.serial >= s->lost || (f->store && f->store != s->store);
}

bool wal_salvage_set_aside(struct wal *w, struct wal_file *f)
{
    char from[WAL_NAME_BYTES], to[WAL_NAME_BYTES] = "";
    wal_file_name(f, from);
    size_t size = f->size;
    if (!wal_file_sync(f)) {
        int why = errno;
        wal_file_free(f);
        errno = why;
        return false;
    }
    if (!wal_file_set_aside(w->folder, f, to))
        return false;
    log_event(LOG_WARN, "a file of the log is set aside and never read again", " file=%s/%s was=%s bytes=%zu", w->path,
              to, from, size);
    pthread_mutex_lock(&w->lock);
    w->bytes -= size;
    w->n_files--;
    w->dropped++;
    pthread_mutex_unlock(&w->lock);
    return true;
}

bool wal_salvage_resume(struct wal *w, struct wal_found *all, uint64_t after)
{
    const struct wal_file *s = NULL;
    for (size_t i = 0; i < all->n; i++)
        s = all->files[i]->salvaged && all->files[i]->before <= after ? all->files[i] : s;
    bool done = true;
    for (size_t i = 0; s && done && i < all->n; i++) {
        if (!wal_salvage_covers(s, all->files[i]))
            continue;
        done = wal_salvage_set_aside(w, all->files[i]);
        all->files[i] = NULL;
    }
    wal_found_close_gaps(all);
    return done;
}

void wal_salvage_take_foreign(struct wal *w, struct wal_found *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct wal_file *f = all->files[i];
        if (f->store == 0 || f->store == w->store_id)
            continue;
        wal_list_push(&w->lost, f);
        all->files[i] = NULL;
    }
    wal_found_close_gaps(all);
}

/* Finds the batches of a lost file, from byte `at` on. */
static bool wal_salvage_look(struct wal *w, struct wal_file *f, size_t at)
{
    struct salvage *lost = &w->salvage_facts;
    struct wal_record r;
    uint8_t *bytes = wal_file_read(f);
    if (!bytes)
        return false;
    struct slice all = slice_of(bytes, f->size);
    while (f->use.serial > 0 && wal_record_find(&f->use, all, &at, &r)) {
        at += r.whole ? r.size : 8;
        if (r.kind == WAL_BATCH && r.number > w->last && r.whole)
            salvage_look(lost, r.batch);
    }
    free(bytes);
    return true;
}

bool wal_salvage_keep(struct wal *w, struct wal_found *all, size_t first, bool ended_in_it, const struct wal_judge *j)
{
    struct salvage *lost = &w->salvage_facts;
    uint64_t serial = 0;
    bool known = (ended_in_it || first == all->n) && !w->lost_all && !j->missing && !j->headless && !j->cut;
    lost->index = j->most > j->synced ? j->most : j->synced;
    w->lost_serial = w->serial + 1;
    for (size_t i = 0; i < all->n; i++) {
        struct wal_file *f = all->files[i];
        if (i < first && !f->damaged)
            continue;
        size_t at = i == first && ended_in_it ? j->at : f->at;
        if (!wal_salvage_look(w, f, at))
            return false;
        all->files[i] = NULL;
        wal_list_push(&w->lost, f);
        lost->bytes += f->size - (at < f->size ? at : f->size);
        known = known && !f->damaged && (serial == 0 || f->use.serial == serial + 1);
        serial = f->use.serial;
        w->lost_serial = serial && serial < w->lost_serial ? serial : w->lost_serial;
    }
    lost->bytes = known ? lost->bytes : SALVAGE_BYTES_UNKNOWN;
    w->salvaging = w->unsealed = true;
    return true;
}
