/*
 * use.h: what a user uses now: connections, commands a second, bytes a second. The bounds themselves are rules of the user
 * (conns, rate, bytes); this counts, for all threads together.
 *
 *   rate:n   a second's worth may come at once; then one each 1/n s          (at: when what came would be done at that pace)
 *   bytes:n  the same, but a request that begins within the bound is taken whole, and the next ones wait for it
 *
 * A use lives as long as somebody has it, and a while longer, so that requests over HTTP count, of which each is alone.
 *
 * Threads: any.
 */
#ifndef HALFMQ_BROKER_USE_H
#define HALFMQ_BROKER_USE_H

#include <pthread.h>
#include <stdatomic.h>

#include "protocol/base/hash.h"
#include "protocol/base/slice.h"

struct use {
    struct hash_node node;
    uint32_t refs; /* under the table's lock */
    atomic_uint_fast64_t conns;
    _Atomic int64_t rate_at_ns, bytes_at_ns; /* monotonic */
    size_t name_len;
    uint8_t name[];
};

struct uses {
    pthread_mutex_t lock;
    struct hash by_name;
};

/* 0, or an errno. */
int uses_init(struct uses *us);
void uses_fini(struct uses *us);

/* That user's, which the caller has until use_release. NULL: no memory. */
struct use *use_of(struct uses *us, struct slice name);
void use_release(struct uses *us, struct use *u); /* NULL: nothing is done */

/* Counts a connection, unless there are `most` already (0: no bound). */
bool use_connects(struct use *u, uint64_t most);
void use_leaves(struct use *u);

/* Counts a command of so many bytes. 0: it may be done; else in how many milliseconds it may, and nothing was counted. */
int64_t use_spend(struct use *u, uint64_t rate, uint64_t bytes_rate, size_t bytes, int64_t now_ns);

#endif
