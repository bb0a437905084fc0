/*
 * ledger.h: what a consumer group received, order by order.
 *
 * A message may be delivered more than once (an acknowledgement can get lost). It is the same message as
 * long as its id is the same. Two different ids for one order would mean that the order was published
 * twice; `ids` counts them.
 */
#ifndef DEMO_LEDGER_H
#define DEMO_LEDGER_H

#include <halfmq.h>
#include <pthread.h>
#include <stdbool.h>

struct entry {
    uint32_t queue;
    uint64_t offset;
    uint32_t ids, deliveries;
    int64_t total_cents;
};

struct ledger {
    const char *group;
    uint32_t n_orders;
    struct entry *entries; /* by order; [0] is not used */
    pthread_mutex_t lock;
    uint32_t orders; /* entries with at least one message */
    uint64_t deliveries; /* with redeliveries */
    uint64_t strange; /* messages that are not one of our orders */
    hmq_client *client;
    hmq_consumer *consumer;
};

/* Starts to consume. False: it failed, and the reason was printed. */
bool ledger_start(struct ledger *l, const char *group, uint32_t n_orders, const char *uri);

/* Stops the consumer and frees all but the entries. */
bool ledger_stop(struct ledger *l);
void ledger_free(struct ledger *l);

uint32_t ledger_orders(struct ledger *l);

#endif
