/*
 * loading.h: opens the log and the store, and replays the one into the other, beside the main thread.
 *
 *   main thread     serves HTTP (/readyz: 503, and how far wal_progress is) and sees signals
 *   loading         log and store belong together? ──► open ──► replay ──► load the state ──► `done`
 *                                                       └─ in a thread at nice 10, which RocksDB's threads inherit
 *
 * A replay that is told to stop ends soon. What it has done so far is kept: the next start goes on behind it.
 */
#ifndef HALFMQ_BROKER_LOADING_H
#define HALFMQ_BROKER_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct loading;
struct state;
struct store;
struct wal;

struct loading_options {
    const char *data;     /* the data folder, which the caller has locked */
    size_t memory_bytes;  /* the setting */
    size_t store_bytes;   /* what the store gets of it */
    size_t replay_max;    /* the setting */
    bool salvage;         /* --salvage */
};

/* What there is after loading. Also where it failed, some of it may be there, and has to be closed. */
struct loaded {
    struct wal *wal;
    struct store *store;
    struct state *state;
    bool good;
    char err[1024]; /* why it is not good */
};

/* Starts. done, which outlives it, is activated when everything is loaded or has failed. NULL: err says why. */
struct loading *loading_start(const struct loading_options *opt, struct event *done, char *err, size_t err_size);

/* The log, from the start: wal_progress and wal_stop_replay may be called meanwhile. */
struct wal *loading_wal(struct loading *l);

/* Waits for its thread, and frees l. What was loaded is the caller's from now on. */
void loading_end(struct loading *l, struct loaded *ret_loaded);

#endif
