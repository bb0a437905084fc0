/*
 * desk.h: orders on their way through the service.
 *
 *   feeder ──half──► broker ──txid──► ready ──► clerk: up to a hundred in one database transaction,
 *     ▲ again ◄── half failed, or too late ◄──────┘    then commit or rollback of each at the broker
 *
 * Limit: at most DESK_MAX orders are under way, from the feeder to the end of the clerk's work.
 */
#ifndef DEMO_DESK_H
#define DEMO_DESK_H

#include <halfmq.h>
#include <pthread.h>

#include "store.h"

#define DESK_MAX 400
#define BATCH_MAX 100

struct slip {
    struct desk *desk;
    uint32_t order;
    hmq_txid txid; /* 0: the half message failed */
    struct slip *next;
};

struct desk {
    const struct shop *shop;
    const char *db_path;
    hmq_txn_producer *producer;
    unsigned forget_percent; /* decisions that are not told to the broker */
    uint32_t n_orders;
    unsigned char
        *done; /* by order; read and written before the threads start, then by the feeder */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slip *ready, **ready_end; /* half messages with a reply */
    struct slip *again; /* orders that need a new half message */
    size_t open;
    bool stopping, failed;
};

/* n_orders, shop, db_path and producer are set. False: no memory. */
bool desk_init(struct desk *d);
void desk_fini(struct desk *d);

void *desk_feeder(void *desk); /* threads */
void *desk_clerk(void *desk);
void desk_stop(struct desk *d);

#endif
