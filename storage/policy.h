/*
 * policy.h: settings that replicas must agree on, and what the broker that leads knows of its disk. They travel with the
 * stamp of a command (state.h), so that apply asks nobody for them.
 */
#ifndef HALFMQ_STORAGE_POLICY_H
#define HALFMQ_STORAGE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

struct policy {
    int64_t dedup_window_ms;
    int64_t txn_outcome_retention_ms;
    int64_t txn_timeout_ms;
    int64_t checkin_ms;
    int64_t check_every_ms;
    uint32_t check_max;
    int64_t txn_bytes; /* that the messages of a transaction may have together, at most TXN_BYTES_MAX */
    uint32_t node; /* 0..1023, in transaction ids */
    bool auto_create_topics;
    bool auto_create_groups; /* a first POP makes its group */
    bool disk_spent; /* the broker that leads has hardly any disk left: TICK does only what frees some (apply/tick.c) */
};

#endif
