/*
 * outcome.h: what goes into the state with a command, and what comes out: of a command, and of a group.
 *
 *   stamp, command ──► state_apply ──► outcome: reply, or grants     once a command
 *                      state_write ──► effects: news, tally          once a group
 */
#ifndef HALFMQ_STORAGE_OUTCOME_H
#define HALFMQ_STORAGE_OUTCOME_H

#include "protocol/base/compress.h"
#include "protocol/base/reply.h"
#include "storage/policy.h"

struct stamp {
    uint64_t index; /* of the command; ascends by one */
    int64_t now_ms; /* never goes down */
    const struct policy *policy;
};

/* Which messages a POP has leased. The I/O thread reads their bytes afterwards (query_grants). */
struct grant {
    struct slice topic; /* borrowed from the outcome's text */
    uint64_t topic_id;
    enum compress compress; /* the topic's */
    uint32_t queue;
    uint32_t count;   /* offsets base .. base+count-1 ... */
    uint64_t base;
    uint64_t *bits;   /* ... of which those whose bit is set were granted; NULL: all */
    uint32_t attempt;
    int64_t lease_until_ms;
};

#define GRANTS_MAX 1024

/* Transactions of more than that are long: to decide (out->too_long), and to ask about (query_check_begin). */
#define LONG_TXN_BYTES (1024 * 1024)
#define LONG_TXN_MESSAGES 200

/* The result of a command. state_apply is given an empty one (outcome_init); the caller frees it. */
struct outcome {
    struct buf reply;      /* tokens; for POP the array is made by query_grants from the grants */
    struct grant *grants;
    uint32_t n_grants;
    int64_t popped_ms;     /* when they were leased */
    bool by_class;         /* POP: some topic has priorities, and the group goes by them */
    bool in_order;         /* POP: the group is ORDERED on some topic, and comes back to records that it has taken from */
    struct buf text;       /* what the grants' topics and bits point into; with sift: struct sift_want each */
    bool too_long;         /* not applied: it belongs into another group (state_spare); there may be an answer for who
                            * cannot wait for that */
    bool no_memory;        /* memory ran out: the state gives up the group (state.h) */
    bool more;             /* TAKE: there is more at once, but only part of a record would have been taken */
    bool nothing;          /* POP, CHECKS: nothing was found; the caller may wait for news and try again */
    bool by_ack;           /* POP, with nothing: what is leased may keep others from being delivered, so that an ACK lets
                            * them go: keys of an ORDERED group, or INFLIGHT */
    bool sift;             /* with nothing: there are messages of which nobody knows whether they match (sift.h): look
                              at them, and try again with what was found */
    int64_t retry_at_ms;   /* where nothing is set: when to try again without news; 0: only for news. Of TICK: not 0
                              where more is due already */
};

void outcome_init(struct outcome *o);
void outcome_free(struct outcome *o);

/* Keys of news (news_key) in one group: those who wait for one of them should try again. */
#define NEWS_MAX 1024

struct effects {
    uint64_t index;      /* of the last command in the group */
    int64_t now_ms;
    bool written;        /* false: the group changed nothing and nothing was written */
    int64_t next_due_ms; /* earliest row of the timer index; INT64_MAX: none */
    bool pgroups_changed; /* settings of a producer group changed: ask query_pgroup_hooks again */
    bool users_changed;  /* rows of users changed: ask query_users again */
    bool overflow;       /* more than NEWS_MAX keys: wake everybody */
    uint32_t n_keys;
    uint64_t keys[NEWS_MAX];
    uint32_t counts[NEWS_MAX]; /* how many messages, or checks, became ready under that key */
};

/* Figures that only apply knows. All but the gauges only grow. The leader reads them after a group. */
struct tally {
    uint64_t messages_in, bytes_in, messages_out, messages_acked, messages_nacked, messages_dead;
    uint64_t messages_skipped; /* by groups, because they are damaged */
    uint64_t leases_expired, halfs, committed, rolledback, conflicts, checks_asked, dedup_hits;
    uint64_t timers_postponed; /* what was due by time, could not be done and is tried again later */
    uint64_t dead_expired;    /* messages whose TTL was over when they would have become dead letters */
    uint64_t messages_removed, bytes_removed; /* by RETENTION and MAXBYTES */
    uint64_t delayed_expired; /* messages whose TTL was over when their time came */
    uint64_t pending, parked; /* gauges: transactions in that state */
    uint64_t delayed;         /* gauge: messages that wait for their time */
};

#endif
