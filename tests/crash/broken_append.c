/*
 * broken_append.c: makes halfmqd-broken lose acknowledged messages when it is killed.
 *
 *   store ──► wal_append ──► [ the newest HELD groups, in memory ] ──► the log's files
 *                └─► "on disk", which is not true for those
 *
 * halfmqd-broken is halfmqd, linked with --wrap=wal_append and --wrap=wal_sync. `make bench-broken` shows that
 * halfmq-bench verify notices the loss; otherwise nobody could trust it when it reports no loss.
 *
 * A stop syncs the log, so only a kill loses messages. Groups are written to the log in their order, so the store is
 * consistent after the restart.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/wal/wal_append.h"

#define HELD 16

struct held_group {
    uint64_t number;
    uint8_t *bytes;
    size_t len;
    bool sync;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the syncer's thread uses it as well */
static struct held_group held[HELD];                     /* under lock, with n_held; oldest first */
static size_t n_held;

enum status __real_wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size);
enum status __wrap_wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size);
enum status __real_wal_sync(void *self, char *err, size_t err_size);
enum status __wrap_wal_sync(void *self, char *err, size_t err_size);

static enum status write_oldest(void *self, char *err, size_t err_size)
{
    struct held_group g = held[0];
    memmove(held, held + 1, --n_held * sizeof *held);
    enum status s = __real_wal_append(self, g.number, slice_of(g.bytes, g.len), g.sync, err, err_size);
    free(g.bytes);
    return s;
}

enum status __wrap_wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size)
{
    struct held_group g = {.number = number, .bytes = malloc(batch.len), .len = batch.len, .sync = sync};
    if (!g.bytes)
        return ST_NOMEM;
    memcpy(g.bytes, batch.data, batch.len);
    pthread_mutex_lock(&lock);
    enum status s = n_held == HELD ? write_oldest(self, err, err_size) : ST_OK;
    held[n_held++] = g;
    pthread_mutex_unlock(&lock);
    return s;
}

enum status __wrap_wal_sync(void *self, char *err, size_t err_size)
{
    enum status s = ST_OK;
    pthread_mutex_lock(&lock);
    while (n_held > 0 && s == ST_OK)
        s = write_oldest(self, err, err_size);
    pthread_mutex_unlock(&lock);
    return s == ST_OK ? __real_wal_sync(self, err, err_size) : s;
}
