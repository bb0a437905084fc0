/*
 * slots.h: the connections of one loop, by number.
 *
 *   slot 0: conn, generation 7 │ slot 1: free, generation 3, next free 4 │ ...
 *
 * An entry in the journal may outlive its connection. So it names the connection by slot and generation, never by
 * pointer: conn_at (conn.h) finds it, or finds out that it has been freed.
 *
 * Threads: the loop's own. It holds the lock while it changes the array or a connection's name, and reads without;
 * other threads read under the lock (clients.h).
 */
#ifndef HALFMQ_BROKER_SLOTS_H
#define HALFMQ_BROKER_SLOTS_H

#include <pthread.h>
#include <stdint.h>

#include "protocol/status.h"

struct conn;

struct conn_slot {
    struct conn *conn; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct slots {
    pthread_mutex_t lock;
    struct conn_slot *slot;
    uint32_t size;
    uint32_t free; /* the first free one; UINT32_MAX: none */
    uint32_t n; /* connections */
};

void slots_init(struct slots *ss);
void slots_fini(struct slots *ss); /* all connections have gone */

/* Puts c into a free slot. ST_NOMEM. */
enum status slots_take(struct slots *ss, struct conn *c, uint32_t *ret_slot, uint32_t *ret_generation) MUST_CHECK;
void slots_release(struct slots *ss, uint32_t slot);

#endif
