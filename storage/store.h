/*
 * store.h: the database: what lives as long as the process.
 *
 *   store_open_files ──► store_replay: the log (redo.h) ──┬─► view_open: any thread, of what is written      (query.h)
 *                                                         └─► state_load: commands, by one thread at a time  (state.h)
 *   store_open     does both
 *   store_apply    a finished write batch of another store goes into this one
 *
 * A store has at most one state loaded. While it has one, only the state writes. Without one, store_apply may:
 * the replay does so at the start, and a store that follows another one will. The batches of one store, applied in
 * order to another, make the same rows.
 *
 * Threads: open, close and apply from one at a time; the others from any.
 */
#ifndef HALFMQ_STORAGE_STORE_H
#define HALFMQ_STORAGE_STORE_H

#include <stdatomic.h>

#include "storage/redo.h"

/* Its fields are for storage/ only. */
struct store {
    struct kv *kv;
    char *path;
    size_t memory_bytes;
    atomic_uint_fast64_t stored; /* what store_stored answered last */
    const struct redo *redo;
};

struct store_options {
    const char *path;        /* folder of the database; is created */
    uint32_t files_max;      /* open ones, about; 0: as many as the store would like */
    bool uncompacted;        /* a file is damaged: nothing is compacted, and no space is given back */
    bool salvage;            /* goes on where the log needs a row that is damaged; that message is damaged, too */
    size_t memory_bytes;     /* budget: caches, write buffers, and what a state keeps in memory */
    const struct redo *redo; /* the log to write to; NULL: the database's own (redo.h). Outlives the store. */
    /* Is told, once each, what was found damaged (disk/damage.h). Any thread. May be NULL. */
    void (*damaged)(void *arg, const char *text);
    void *damaged_arg;
};

/* Opens or creates the database and brings it up to the end of the log. On failure err says what happened and what
 * to do. The lock on the folder is RocksDB's. ST_BUSY: another process holds it; ST_IO, ST_NOMEM, ST_BAD. */
enum status store_open(const struct store_options *opt, struct store **ret_store, char *err,
                       size_t err_size) MUST_CHECK;

/* store_open in two steps: opens or creates the database; only store_replay and store_close may follow. ... */
enum status store_open_files(const struct store_options *opt, struct store **ret_store, char *err,
                             size_t err_size) MUST_CHECK;

/* ... Brings it up to the end of the log, if it has one. A long replay flushes on its way, so that a kill does not lose
 * all of its work. ST_BUSY: the log was told to stop; what was replayed so far is
 * kept, and the next start goes on behind it. In any case but ST_OK only store_close may follow. */
enum status store_replay(struct store *s, char *err, size_t err_size) MUST_CHECK;

/* With a redo log: puts what is in memory into files, and waits for that. ST_IO, with err: not all of it is in files.
 * Any thread. */
enum status store_flush(struct store *s, char *err, size_t err_size) MUST_CHECK;

/*
 * Makes a folder, which must not be there, with a database that is the state after one certain command: *ret_index, and
 * every command up to it. It may be older than what is written, but not than what store_stored says: a log has the rest.
 * Nothing is flushed. Files that never change are links to those of the store where the file system has links, so it is
 * quick and takes hardly any space. Who moves the folder, and where to, is not the store's business: a backup does, and a
 * replica that has to catch up may. With a redo log only. ST_DISKFULL, ST_IO, ST_DAMAGED (what is in files cannot be opened),
 * ST_NOMEM, with err; the folder may be there then. Any thread.
 */
enum status store_checkpoint(struct store *s, const char *path, uint64_t *ret_index, char *err,
                             size_t err_size) MUST_CHECK;

/* The index of the last command that a database in a folder has, which nobody has open. Changes nothing in it. ST_DAMAGED,
 * ST_BAD (not a store, or of another version), ST_IO, ST_NOMEM, with err. */
enum status store_look(const char *path, uint64_t *ret_index, char *err, size_t err_size) MUST_CHECK;

/* Its state was dropped and its views are closed. NULL: nothing is done. */
void store_close(struct store *s);

/* Puts a finished write batch into the database, as redo.append was given it. No state may be loaded. The caller
 * keeps it in a log: the store's own log does not get it. ST_DAMAGED, with err: it refers to parts of a log (redo.part), or to a row
 * that cannot be read; a log whose batches go to others offers no parts. ST_IO: the store is dead, with err. */
enum status store_apply(struct store *s, struct slice batch, char *err, size_t err_size) MUST_CHECK;

/* The index of the last command that the database's files have: the redo log may forget batches up to it. Where that
 * cannot be read: the last one that was known, 0 at first. */
uint64_t store_stored(struct store *s);

/* For fsync=interval: everything written before is on disk when this returns ST_OK. ST_IO, with err: the store is
 * dead. */
enum status store_sync(struct store *s, char *err, size_t err_size) MUST_CHECK;

/* True where the next writes may have to wait for the database to flush its write buffers (disk/kv_stall.h), or the
 * log for the same (redo.h). The thread
 * that writes, between two groups. */
bool store_stalls(struct store *s);

/* True while so much waits for a flush that large writes should wait, too (kv_is_crowded). Any thread. */
bool store_is_crowded(struct store *s);

/*
 * Gives the disk space of deleted messages back, a round at a time (disk/kv_space.h). urgent: the disk is full. room: how
 * many bytes a round may write before it has freed any. True: there is more to do. store_freed: was something deleted
 * since the last round that is worth one; store_freed_much: so much by retention that the round should not wait? One thread
 * at a time, beside the one that writes.
 */
bool store_freed(const struct store *s, bool urgent);
bool store_freed_much(const struct store *s);
bool store_give_back(struct store *s, bool urgent, uint64_t room);

/* Gives the disk space of stale rows back (disk/kv_stale.h), of one table at most. True: there may be more. The thread
 * that calls store_give_back. */
bool store_give_back_stale(struct store *s);

/* May RocksDB compact by itself? Not while the disk is nearly full: compactions that wait for room would keep those
 * waiting that give space back. The thread that calls store_give_back. */
void store_compact_alone(struct store *s, bool allowed);

/* Ends a round that is under way, and makes all later ones do nothing. Any thread. */
void store_give_back_stop(struct store *s);

/* How many records and rows were found damaged since store_open. Any thread. */
uint64_t store_damaged(const struct store *s);

/* Bytes of memory that caches and write buffers hold now. */
size_t store_memory(const struct store *s);

#endif
