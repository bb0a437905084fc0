/*
 * state.h: the replicated state: everything that two replicas must agree on, and nothing else.
 *
 *   stamp + command ──► state_apply ──► rows touched (in memory) + outcome
 *                          ...
 *                       state_write ──► ONE RocksDB WriteBatch, one sync ──► effects
 *
 * A *group* is what lies between two state_write calls. Inside a group a later command sees what an
 * earlier one did; nobody else sees anything of it before state_write has returned. It is a function
 * of (state, stamp, command): no clock, no randomness, no environment. The same commands and stamps
 * give the same bytes.
 *
 * Threads: one at a time may call state_apply, state_write and the other functions here (the journal's
 * leader, whoever that is). storage/query.h is for all threads.
 *
 * Invariants
 *   1. A command that cannot be done is a reply and changes nothing, not even in part.
 *   2. A group that cannot be written is the end: state_write fails, nothing of it may be acknowledged,
 *      and every later call fails. The process stops, restarts, recovers.
 *   3. The applied index and the last stamp are in each group's batch.
 */
#ifndef HALFMQ_STORAGE_STATE_H
#define HALFMQ_STORAGE_STATE_H

#include "protocol/command/command.h"
#include "protocol/base/compress.h"
#include "protocol/base/reply.h"
#include "storage/disk/news.h"
#include "storage/store.h"

struct state;

/* Settings that replicas must agree on; they travel with the stamp. */
struct policy {
    int64_t dedup_window_ms;
    int64_t txn_outcome_retention_ms;
    int64_t txn_timeout_ms;
    int64_t checkin_ms;
    int64_t check_every_ms;
    uint32_t check_max;
    uint32_t node; /* 0..1023, in transaction ids */
    bool auto_create_topics;
};

struct stamp {
    uint64_t index; /* of the command; ascends by one */
    int64_t now_ms; /* never goes down */
    const struct policy *policy;
};

/* Messages handed out by POP: which, not what. The bytes are read by the I/O thread (query_grants). */
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

/* What a command comes to. Given to state_apply empty (outcome_init), freed by the caller. */
struct outcome {
    struct buf reply;      /* tokens; for POP the array is made by query_grants from the grants */
    struct grant *grants;
    uint32_t n_grants;
    struct buf text;       /* what the grants' topics and bits point into */
    bool nothing;          /* POP, CHECKS: found nothing; the caller may park on parked_on[] */
    int64_t retry_at_ms;   /* with nothing: when time alone may change that; 0: never */
};

void outcome_init(struct outcome *o);
void outcome_free(struct outcome *o);

/* News of a group: who may want to look again. */
#define NEWS_MAX 1024

struct effects {
    uint64_t index;      /* of the last command in the group */
    int64_t now_ms;
    bool written;        /* false: the group changed nothing and nothing was written */
    int64_t next_due_ms; /* earliest row of the timer index; INT64_MAX: none */
    bool pgroups_changed; /* settings of some producer group: query_pgroup_hooks may answer otherwise */
    bool overflow;       /* more than NEWS_MAX keys: wake everybody */
    uint32_t n_keys;
    uint64_t keys[NEWS_MAX];
    uint32_t counts[NEWS_MAX]; /* how many messages, or checks, became ready under that key */
};

/* Figures that only apply knows; ascending but for the gauges. Read by the leader after a group. */
struct tally {
    uint64_t messages_in, bytes_in, messages_out, messages_acked, messages_nacked, messages_dead;
    uint64_t leases_expired, halfs, committed, rolledback, conflicts, checks_asked, dedup_hits;
    uint64_t delayed_expired; /* messages whose TTL was over when their time came */
    uint64_t pending, parked; /* gauges: transactions in that state */
    uint64_t delayed;         /* gauge: messages that wait for their time */
};

/* Loads the state of a store: its own row and the youngest transactions at once, all else when a command first
 * touches it. The store has no other state, and outlives this one. ST_IO, ST_BAD, ST_NOMEM: err says what. */
enum status state_load(struct store *store, struct state **ret_state, char *err, size_t err_size) MUST_CHECK;

/* Forgets all of it. What was written stays in the store; an open group is lost, as if it had never been applied.
 * After state_log without state_settle the store does not have what its log has: then close it, too. NULL: nothing
 * is done. */
void state_drop(struct state *st);

/* Applied index and last stamp, as stored: where the journal's clock and count go on. */
void state_last(const struct state *st, uint64_t *ret_index, int64_t *ret_now_ms);

/* Applies one WRITE or INNER command. Always fills the outcome. */
void state_apply(struct state *st, const struct stamp *stamp, const struct command *cmd,
                 struct outcome *out);

/* True where the group has grown to a size at which it should be written. */
bool state_group_full(const struct state *st);

/* Writes the group: sync true means that it is on disk when this returns ST_OK. ST_IO otherwise, with
 * err; see invariant 2. fx is filled on success. */
enum status state_write(struct state *st, bool sync, struct effects *fx, char *err,
                        size_t err_size) MUST_CHECK;

/* state_write in two halves, for who answers first and indexes then: after state_log the group is on disk and may
 * be acknowledged, but nobody sees it, and nothing may be applied, before state_settle. A failure of either is
 * the end of the store; after a restart the group is there. */
enum status state_log(struct state *st, bool sync, struct effects *fx, char *err, size_t err_size) MUST_CHECK;
enum status state_settle(struct state *st, char *err, size_t err_size) MUST_CHECK;

const struct tally *state_tally(const struct state *st);

#endif
