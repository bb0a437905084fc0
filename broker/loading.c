/*
 * loading.c: opens the log and the store in threads of their own (loading.h).
 *
 * RocksDB's threads inherit the priority of the thread that opens the database. A flush may take seconds, while clients
 * wait for a sync; at nice 10 the kernel then gives the flush a tenth, where both want the same processor. An ordinary
 * process cannot raise a priority again, so that thread does nothing else; the replay, for which everybody waits, runs
 * at normal priority.
 */
#include "broker/loading.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "broker/base/clock.h"
#include "broker/base/folder.h"
#include "broker/base/log.h"
#include "broker/base/process.h"
#include "broker/wal/wal.h"
#include "broker/wal/wal_lost.h"
#include "broker/wal/wal_tie.h"
#include "broker/manifest.h"
#include "broker/uncompacted.h"
#include "storage/salvage.h"
#include "storage/state.h"

#define STORE_NICE 10

struct loading {
    size_t store_bytes;
    bool salvage;
    char store_path[PATH_MAX];
    struct event *done;
    pthread_t thread;
    struct loaded loaded; /* the thread's, until it has ended; but wal is there from the start */
};

/* A file of the log is small compared to the write buffers whose groups it holds and to what may be replayed, and large
 * compared to a group. */
static struct wal_options loading_wal_options(const struct loading_options *opt, const char *path)
{
    size_t memory = opt->memory_bytes, bytes = memory / 64;
    bytes = bytes > opt->replay_max / 8 ? opt->replay_max / 8 : bytes;
    bytes = bytes < MIB(1) ? MIB(1) : bytes > MIB(16) ? MIB(16) : bytes;
    return (struct wal_options){.path = path, .segment_bytes = bytes, .bytes_max = memory / 2,
                                .replay_max = opt->replay_max, .salvage = opt->salvage};
}

/* Is called by any thread that reads. */
static void loading_tell_damage(void *arg, const char *text)
{
    char quoted[700];
    (void)arg;
    log_event(LOG_ERROR, "stored bytes are damaged, and are not served", " what=%s",
              log_quote(text, quoted, sizeof quoted));
}

/* A quarter of the open files that the process may have; 0: that is more than enough. */
static uint32_t loading_files_max(void)
{
    int64_t limit = process_raise_fds(0); /* raises nothing */
    return limit > 0 && limit < 65536 ? (uint32_t)limit / 4 : 0;
}

static void *loading_open_files(void *arg)
{
    struct loading *l = arg;
    struct loaded *d = &l->loaded;
    const struct store_options opt = {.path = l->store_path,
                                      .files_max = loading_files_max(),
                                      .uncompacted = uncompacted_is_set(),
                                      .salvage = l->salvage,
                                      .memory_bytes = l->store_bytes,
                                      .redo = wal_redo(d->wal),
                                      .damaged = loading_tell_damage};
    /* Linux keeps the nice value for each thread. If this fails, all have the same priority; that is fine. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + STORE_NICE);
    manifest_mend(l->store_path);
    return store_open_files(&opt, &d->store, d->err, sizeof d->err) == ST_OK ? l : NULL;
}

static bool loading_open_behind(struct loading *l)
{
    pthread_t thread;
    void *opened = NULL;
    if (pthread_create(&thread, NULL, loading_open_files, l) != 0) {
        snprintf(l->loaded.err, sizeof l->loaded.err, "no thread to open the store");
        return false;
    }
    pthread_join(thread, &opened);
    return opened != NULL;
}

/* RocksDB makes its folder, but does not sync the one above. */
static bool loading_sync_entry(struct loading *l)
{
    int failure = folder_sync_of(l->store_path);
    if (failure != 0)
        snprintf(l->loaded.err, sizeof l->loaded.err, "cannot sync the data folder: %s", strerror(failure));
    return failure == 0;
}

/* Where the log has lost something, the store goes on without it. */
static bool loading_salvage(struct loading *l)
{
    struct loaded *d = &l->loaded;
    const struct salvage *lost = wal_lost(d->wal);
    uint64_t jump = 0;
    if (l->salvage && !lost)
        log_text(LOG_INFO, "there is nothing to salvage: the log is whole");
    return !lost || (state_salvage(d->state, lost, clock_wall_ms(), &jump, d->err, sizeof d->err) == ST_OK &&
                     wal_lost_set_aside(d->wal, jump, d->err, sizeof d->err) == ST_OK);
}

/* What RocksDB compacts meanwhile may be damaged, and then it takes no more batches. */
static bool loading_replay(struct loading *l)
{
    struct loaded *d = &l->loaded;
    bool done = store_replay(d->store, d->err, sizeof d->err) == ST_OK;
    size_t len = strlen(d->err);
    if (!done && uncompacted_set(d->err))
        (void)snprintf(d->err + len, sizeof d->err - len, "; start again: what is readable is served then");
    return done;
}

static void *loading_run(void *arg)
{
    struct loading *l = arg;
    struct loaded *d = &l->loaded;
    size_t n = sizeof d->err;
    d->good = wal_tie(d->wal, l->store_path, d->err, n) == ST_OK && loading_open_behind(l) &&
              loading_replay(l) && state_load(d->store, &d->state, d->err, n) == ST_OK &&
              loading_salvage(l) && wal_tie_store(d->wal, l->store_path, d->err, n) == ST_OK && loading_sync_entry(l);
    if (d->good && wal_keep(d->wal, d->store) != ST_OK) {
        d->good = false;
        snprintf(d->err, n, "no thread for the log");
    }
    event_active(l->done, EV_TIMEOUT, 0);
    return NULL;
}

static bool loading_paths(struct loading *l, const char *data, char wal_path[static PATH_MAX])
{
    int n = snprintf(l->store_path, PATH_MAX, "%s/store", data);
    if (n < 0 || n >= PATH_MAX)
        return false;
    (void)snprintf(wal_path, PATH_MAX, "%s/wal", data);
    folder_close_to_others(l->store_path);
    folder_close_to_others(wal_path);
    return true;
}

static bool loading_begin(struct loading *l, const struct loading_options *opt, char *err, size_t err_size)
{
    char wal_path[PATH_MAX];
    if (!loading_paths(l, opt->data, wal_path)) {
        snprintf(err, err_size, "the path of the data folder is too long: choose another --data");
        return false;
    }
    const struct wal_options wal_opt = loading_wal_options(opt, wal_path);
    if (wal_open(&wal_opt, &l->loaded.wal, err, err_size) != ST_OK)
        return false;
    if (pthread_create(&l->thread, NULL, loading_run, l) == 0)
        return true;
    snprintf(err, err_size, "no thread to open the store");
    wal_close(l->loaded.wal);
    return false;
}

struct loading *loading_start(const struct loading_options *opt, struct event *done, char *err, size_t err_size)
{
    struct loading *l = calloc(1, sizeof *l);
    if (!l) {
        snprintf(err, err_size, "no memory to open the store");
        return NULL;
    }
    l->done = done;
    l->store_bytes = opt->store_bytes;
    l->salvage = opt->salvage;
    if (loading_begin(l, opt, err, err_size))
        return l;
    free(l);
    return NULL;
}

struct wal *loading_wal(struct loading *l)
{
    return l->loaded.wal;
}

void loading_end(struct loading *l, struct loaded *ret_loaded)
{
    pthread_join(l->thread, NULL);
    *ret_loaded = l->loaded;
    free(l);
}
