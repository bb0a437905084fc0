/*
 * wal_set.h: the log as its own files see it: the files that it has, and the state that its threads share.
 *
 *   wal.c (opens, closes) ──► wal_append.c (append, sync) ──┬──► wal_turn.c ──┐
 *              ├────────────► wal_replay.c (the start) ─────┘                 ├──► wal_set.c ──► wal_file.c (a file)
 *              │                ├──► wal_find.c ──────────────────────────────┤                   └──► wal_record.c
 *              │                └──► wal_judge.c                              │
 *              └────────────► wal_keeper.c (spare files) ─────────────────────┘
 *              │                └──► wal_salvage.c (--salvage)                │
 *   wal_lost.c (what is lost is set aside) ──► wal_salvage.c
 *   wal_tie.c (does the log belong to the store?) ──► wal_find.c
 *   wal_hold.c (a copy is made of it), wal_look.c (what is in a log that nobody has open)
 *
 * Each file is in one place at a time: `now`, `live` or `spare` (wal.h has the picture). Locks are taken in the order
 * sync_lock, tail_lock, lock.
 */
#ifndef HALFMQ_BROKER_WAL_SET_H
#define HALFMQ_BROKER_WAL_SET_H

#include <pthread.h>

#include "broker/wal/wal_file.h"
#include "broker/wal/wal_note.h"
#include "storage/redo.h"
#include "storage/salvage.h"

struct store;

struct wal_list {
    struct wal_file *first, *end; /* oldest first */
    uint32_t n;
};

/* How long the live files are: near the most that a start may have to replay, or there. */
enum wal_crowd { WAL_ROOM, WAL_NEAR, WAL_FULL };

struct wal {
    struct redo redo;
    size_t segment_bytes, bytes_max, replay_max; /* as in struct wal_options */
    char *path;                      /* of the folder */
    int folder;
    uint64_t store_id;               /* of the store that the log belongs to (wal_tie.h); 0: not tied */
    /* ---- under tail_lock: the writer's, and for a moment those of who syncs beside it ---- */
    pthread_mutex_t tail_lock;
    struct wal_file *now; /* NULL: none yet; not in any list. It changes under `lock`, too */
    uint64_t last, serial;
    bool asked; /* the keeper was told that `now` is half full */
    uint64_t said; /* the last batch of which a record says that it is synced (WAL_SYNCED) */
    bool loose; /* something in `now` may be unsynced */
    uint64_t parts_serial; /* the file that has the parts of a batch that is to come (wal_append.c), ... */
    size_t parts_end;      /* ... and up to where it may grow before the log goes on in another one */
    bool unsealed; /* `now` gets its header only behind its first record (wal_salvage.h) */
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t work; /* the keeper waits here */
    pthread_cond_t room; /* the writer waits here, while `crowd` is WAL_FULL */
    struct wal_list live, spare;
    uint64_t next_name;
    uint64_t bytes; /* of all files */
    bool wanted;    /* the keeper has work */
    uint64_t held;  /* files from this serial on are not used again meanwhile (wal_hold.h); UINT64_MAX: none is held */
    _Atomic enum wal_crowd crowd;
    atomic_bool quiet; /* the keeper waits for the next batch, and not for a pause */
    bool stopping;
    uint64_t n_files, replayed, dropped; /* for wal_figures */
    /* ---- the start's ---- */
    bool salvage, salvaging; /* it may; it does */
    struct wal_note note;    /* of the stop before */
    bool lost_all;           /* the store's log is not there at all */
    struct wal_list lost;    /* to be set aside */
    uint64_t lost_serial, salvaged_to; /* the least serial of those; the last batch that is not lost */
    struct salvage salvage_facts;
    /* ---- any thread ---- */
    atomic_bool stop_replay;
    _Atomic uint64_t replayed_bytes, to_replay_bytes;
    /* ---- whoever syncs: the keeper must not delete the file meanwhile ---- */
    pthread_mutex_t sync_lock;
    bool broken;        /* a sync failed. The kernel reports that once, and may have dropped what it could not write */
    atomic_bool behind; /* a file before `now` may have something unsynced */
    _Atomic uint64_t synced; /* every batch up to this one is synced */
    /* ---- the keeper's ---- */
    struct store *store;
    pthread_t keeper;
    bool keeps;
};

void wal_list_push(struct wal_list *l, struct wal_file *f);
struct wal_file *wal_list_pop(struct wal_list *l); /* NULL: empty */
struct wal_file *wal_list_pop_end(struct wal_list *l); /* the newest; it must not be empty */

/* Makes and counts a new file. NULL: errno says why. Any thread, not under the lock. */
struct wal_file *wal_set_new_file(struct wal *w);

/* Bytes of the live files: a start would have to replay them, and `now`. Under the lock. */
uint64_t wal_set_live_bytes(const struct wal *w);

/* Keeps the sum of all sizes: a file's size was `before`. Any thread, not under the lock. */
void wal_set_resized(struct wal *w, size_t before, size_t after);

/* Puts "cannot <doing>" and the reason, from errno, into err. Returns what a function of struct redo returns then. */
enum status wal_set_failed(const struct wal *w, const char *doing, char *err, size_t err_size);

#endif
