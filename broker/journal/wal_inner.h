/* wal_inner.h: what wal.c (append, sync), wal_replay.c (the start) and wal_keeper.c (spares) share. */
#ifndef HALFMQ_BROKER_WAL_INNER_H
#define HALFMQ_BROKER_WAL_INNER_H

#include <pthread.h>

#include "broker/journal/wal.h"
#include "broker/journal/wal_file.h"

struct wal_list {
    struct wal_file *first, *end; /* oldest first */
    uint32_t n;
};

struct wal {
    struct redo redo;
    struct wal_options opt;
    char *path; /* opt's */
    int folder;
    /* ---- the writer's ---- */
    struct wal_file *now; /* NULL: none yet; not in any list */
    uint64_t last, serial;
    bool asked; /* the keeper knows that now is half full */
    bool loose; /* something in now may be unsynced */
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t work; /* the keeper waits here */
    struct wal_list live, spare;
    uint64_t next_name;
    uint64_t bytes; /* of all files */
    bool wanted, stopping;
    struct wal_figures figures;
    /* ---- a sync goes through files that the keeper must not take away ---- */
    pthread_mutex_t sync_lock;
    bool broken;        /* a sync failed: the kernel may have dropped what it could not write, and says so once */
    atomic_bool behind; /* a file before now may have something unsynced */
    /* ---- the keeper's ---- */
    struct state *state;
    pthread_t keeper;
    bool keeps;
};

void wal_list_push(struct wal_list *l, struct wal_file *f);
struct wal_file *wal_list_pop(struct wal_list *l); /* NULL: empty */

/* A file that is not there yet; counted. NULL: errno. Any thread, under no lock. */
struct wal_file *wal_new_file(struct wal *w);

/* f's size was `before`: keeps the sum. Any thread, under no lock. */
void wal_resized(struct wal *w, size_t before, size_t after);

enum status wal_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                       size_t err_size);
enum status wal_failed(const struct wal *w, const char *doing, char *err, size_t err_size); /* with errno */

#endif
