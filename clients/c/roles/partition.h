/*
 * partition.h: over how many queues a topic spreads its ORDER keys, as its TOPIC INFO says. A client that makes
 * batches must put a key into the queue where the broker would put it.
 *
 *   unknown ──first ORDER message──► asked ──answer──► known ──a batch was refused──► unknown
 *      ▲                               │ error: again after a pause
 *      └───────────────────────────────┘
 *
 * While it is not known, ORDER messages are sent one by one and the broker picks the queue. At most PARTITIONS
 * topics are remembered; of other topics they are always sent one by one.
 *
 * All under the sender's lock.
 */
#ifndef HALFMQ_CLIENTS_C_PARTITION_H
#define HALFMQ_CLIENTS_C_PARTITION_H

#include "clients/c/roles/sender.h"

#define PARTITIONS 256

struct partition {
    char *topic; /* NULL: free */
    uint32_t order_queues; /* 0: not known */
    bool asking;
    int64_t ask_after_ms;
};

struct partitions {
    struct sender *sender;
    struct partition list[PARTITIONS];
};

void partitions_init(struct partitions *ps, struct sender *s);
void partitions_fini(struct partitions *ps);

/* The queue of the key; -1: not known. May ask the broker. */
int64_t partition_queue(struct partitions *ps, const char *topic, struct slice order);

/* Asks again before the next ORDER message: a batch was refused. */
void partition_forget(struct partitions *ps, const char *topic);

#endif
