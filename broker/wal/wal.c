/*
 * wal.c: opens and closes the log, and starts and stops its thread. wal_set.h shows which files stand below it.
 */
#include "broker/wal/wal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/folder.h"
#include "broker/base/log.h"
#include "broker/wal/wal_append.h"
#include "broker/wal/wal_keeper.h"
#include "broker/wal/wal_replay.h"
#include "broker/wal/wal_set.h"

#define FOLDER_MODE 0750

const struct redo *wal_redo(struct wal *w)
{
    return &w->redo;
}

/* Makes the folder and syncs the one above, so that it is there after a power cut. It does so also where the folder
 * exists: an earlier process may have made it and ended before the sync. */
static bool wal_open_folder(struct wal *w)
{
    if (mkdir(w->path, FOLDER_MODE) != 0 && errno != EEXIST)
        return false;
    w->folder = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->folder < 0)
        return false;
    errno = folder_sync_of(w->path);
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
    w->segment_bytes = opt->segment_bytes / WAL_BLOCK_BYTES * WAL_BLOCK_BYTES;
    w->bytes_max = opt->bytes_max;
    w->replay_max = opt->replay_max;
    w->salvage = opt->salvage;
    w->path = strdup(opt->path);
    w->folder = -1;
    w->next_name = 1;
    w->held = UINT64_MAX;
    w->redo = (struct redo){.self = w, .append = wal_append, .sync = wal_sync, .replay = wal_replay, .crowded = wal_crowded,
                             .part = wal_append_part, .has_parts = wal_append_has_parts, .parts_end = wal_append_end_parts};
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->sync_lock, NULL);
    pthread_mutex_init(&w->tail_lock, NULL);
    bool made = clock_cond_new(&w->work) && clock_cond_new(&w->room);
    if (!w->path || !made)
        errno = ENOMEM;
    if (w->path && made && wal_open_folder(w)) {
        *ret_w = w;
        return ST_OK;
    }
    enum status s = wal_set_failed(w, "keep the log", err, err_size);
    wal_close(w);
    return s;
}

void wal_stop_replay(struct wal *w)
{
    atomic_store(&w->stop_replay, true);
}

enum status wal_keep(struct wal *w, struct store *s)
{
    assert(!w->keeps);
    w->store = s;
    w->wanted = w->live.n > 0; /* there may be more of them than one after a replay */
    w->keeps = pthread_create(&w->keeper, NULL, wal_keeper, w) == 0;
    return w->keeps ? ST_OK : ST_NOMEM;
}

void wal_rest(struct wal *w)
{
    if (!w || !w->keeps)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->keeper, NULL);
    w->keeps = w->stopping = false;
}

static void wal_free_all(struct wal_list *l)
{
    struct wal_file *f = NULL;
    while ((f = wal_list_pop(l)))
        wal_file_free(f);
}

void wal_leave_note(struct wal *w)
{
    if (!w || !w->now || w->broken)
        return;
    const struct wal_note note = {.last = w->last, .serial = w->now->use.serial, .at = wal_block_up(w->now->at)};
    if (!wal_note_write(w->folder, &note))
        log_text(LOG_WARN, "cannot note where the log ends: the next start cannot tell damage there from a power cut");
}

void wal_close(struct wal *w)
{
    if (!w)
        return;
    assert(!w->keeps);
    wal_free_all(&w->live);
    wal_free_all(&w->spare);
    wal_free_all(&w->lost);
    wal_file_free(w->now);
    if (w->folder >= 0)
        close(w->folder);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->sync_lock);
    pthread_mutex_destroy(&w->tail_lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->room);
    free(w->path);
    free(w);
}

void wal_figures(struct wal *w, struct wal_figures *ret_figures)
{
    *ret_figures = (struct wal_figures){0};
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    *ret_figures = (struct wal_figures){.segments = w->n_files,
                                        .spare = w->spare.n,
                                        .bytes = w->bytes,
                                        .replayed = w->replayed,
                                        .dropped = w->dropped};
    pthread_mutex_unlock(&w->lock);
}

struct wal_progress wal_progress(const struct wal *w)
{
    if (!w)
        return (struct wal_progress){0};
    return (struct wal_progress){.done = atomic_load(&w->replayed_bytes), .all = atomic_load(&w->to_replay_bytes)};
}
