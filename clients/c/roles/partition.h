/*
 * partition.h: how many queues the ORDER keys of a topic keep to, as its TOPIC INFO says: a client that
 * makes batches has to put a key where the broker would.
 *
 *   unknown ──first ORDER message──► asked ──answer──► known ──a batch was refused──► unknown
 *      ▲                               │ error: again after a pause
 *      └───────────────────────────────┘
 *
 * While it is not known, the messages go one by one and the broker picks the queue. At most PARTITIONS
 * topics are remembered; the ORDER messages of others keep to going one by one.
 */
#ifndef HALFMQ_CLIENTS_C_PARTITION_H
#define HALFMQ_CLIENTS_C_PARTITION_H

#include "clients/c/roles/sender.h"

#define PARTITIONS 256

struct partition {
    char *topic; /* NULL: a free place */
    uint32_t order_queues; /* 0: not known */
    bool asking;
    int64_t ask_after_ms;
};

struct partitions {
    struct sender *sender;
    pthread_mutex_t *lock; /* its owner's, for all of this; held by whoever calls */
    struct partition list[PARTITIONS];
};

void partitions_init(struct partitions *ps, struct sender *s, pthread_mutex_t *lock);
void partitions_fini(struct partitions *ps);

/* The queue of the key; -1: not known, or not yet. May ask. */
int64_t partition_queue(struct partitions *ps, const char *topic, struct slice order);

/* It was wrong. */
void partition_forget(struct partitions *ps, const char *topic);

#endif
