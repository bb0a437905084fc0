/*
 * oracle.h: what must be true of transactions. It is kept as simple as possible: in arrays, without an index,
 * and with no code from storage/.
 *
 *   HALF ─► o_txn, its parts by serial number ─┬─ COMMIT ─► each part once in its topic; the ids never change
 *                                              ├─ ROLLBACK ─► no part is ever visible
 *                                              └─ asks used up, or too old ─► parked
 *
 * A judge function gets a reply of the store. It complains if that reply is not allowed, and otherwise updates
 * the oracle with it. The oracle has no pointers, so a commit group that was lost is undone by copying an older
 * oracle back (oracle_copy).
 */
#ifndef HALFMQ_TESTS_SIM_ORACLE_H
#define HALFMQ_TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/work.h"

#define O_TOPICS 3
#define O_QUEUES 4
#define O_OFFSETS 10800 /* the largest batch, and some messages before and after it */
#define O_STEP_MAX 420 /* messages that a step other than PRODUCE may add to a queue */
#define O_TXNS 1600
#define O_PARTS 5
#define O_PGROUPS 3
#define O_DEDUPS 3
#define O_DELAYED 400
#define O_ORDERS 6
#define O_PAUSE_MAX_MS 3600000
#define O_YOUNG_MS 500
#define O_SETTLED_MAX 256

enum o_cell { O_FRESH, O_LEASED, O_DONE };

struct o_message {
    uint32_t serial;
    uint16_t pad;
    int8_t order; /* -1: none */
    bool tag;
    uint64_t txid; /* 0: sent without a transaction */
    int64_t born_ms, stored_ms, expires_ms, until_ms;
    uint32_t attempt;
    enum o_cell cell; /* for the consumer group */
};

struct o_queue {
    uint32_t end;
    struct o_message messages[O_OFFSETS];
};

/* Each command has ids of its own. */
enum o_command { O_SEND, O_PRODUCE, O_HALF, O_COMMANDS };

struct o_dedup {
    int64_t until_ms;
    bool may_be_gone; /* it had expired before a restart, after which the clock was behind */
    bool outlived;    /* of a HALF: its topic was deleted since */
    char answer[48];
};

struct o_part {
    int topic, queue; /* queue -1: chosen by the ORDER key, or in turn */
    int order;        /* its key, -1: none */
    uint32_t serial, pad;
    bool tag;
    int64_t born_ms, ttl_ms, delay_ms, at_ms; /* ttl_ms -1, delay_ms and at_ms 0: none */
};

/* A message with DELAY or AT that was sent, or whose transaction was committed, and that is not due yet. */
struct o_delayed {
    bool there;
    struct o_part part;
    uint64_t txid, token;
    int64_t due_ms, expires_ms;
};

struct o_topic {
    bool there, grouped; /* the consumer group exists on this topic */
    uint32_t n_queues, turn; /* turn: the queue of the next message without QUEUE or ORDER */
    uint32_t attempt_base, attempt_top; /* of the consumer group: behind the base, up to top; they go on over a deletion */
    struct o_dedup dedups[O_COMMANDS][O_DEDUPS];
};

enum o_fate { O_PENDING, O_COMMITTED, O_ROLLEDBACK, O_PARKED };

/* What its next check does: ask, or park; after a change of check_max it may be either. */
enum o_next { O_ASK, O_PARK, O_EITHER };

struct o_txn {
    uint64_t id;
    enum o_fate fate;
    enum o_next kind;
    int pgroup;
    uint32_t n, checks;
    bool answered; /* the newest ask was answered by UNKNOWN or EXTEND: it cannot be taken back */
    uint32_t touched; /* commit group that set next_ms: a CHECKS in the same group does not see its rows */
    int64_t created_ms, next_ms, timeout_ms, decided_ms;
    bool young;             /* it may be settled in the open commit group, in which a CHECKS does not see its rows */
    bool may_be_gone, gone; /* its outcome may be forgotten by now; it was found to be forgotten */
    struct o_part parts[O_PARTS];
    char ids[32 * O_PARTS];
};

/* A producer group's own settings; 0: none. */
struct o_pgroup {
    int64_t checkin_ms, check_every_ms, timeout_ms;
    uint32_t check_max;
};

struct oracle {
    struct o_pgroup pgroups[O_PGROUPS];
    int64_t now_ms;
    uint32_t group;
    uint64_t last_id;
    uint32_t n_txns, n_delayed;
    struct o_works works;
    struct o_topic topics[O_TOPICS];
    struct o_queue queues[O_TOPICS][O_QUEUES];
    struct o_delayed delayed[O_DELAYED]; /* by token */
    struct o_txn txns[O_TXNS]; /* by id */
};

/* Reports a complaint. Does not return. */
extern void (*oracle_complain)(const char *what);

/* Complains if holds is false. */
void must(bool holds, const char *what);

void oracle_copy(struct oracle *to, const struct oracle *from);

/* Called after an older oracle was copied back: what a compaction may have dropped meanwhile stays dropped. */
void oracle_keep_gone(struct oracle *o, const struct oracle *lost);

/* Judges the id of a message that is visible now, or the token ("@12") of one with DELAY or AT. */
void oracle_placed(struct oracle *o, const struct o_part *part, uint64_t txid, const char **at);

/* How many messages of a topic are delayed; with `due`, only those whose time has come. */
uint32_t oracle_waiting(const struct oracle *o, int topic, bool due);

/* Judges a delayed message that is visible in its topic now, with that id. */
void oracle_fired(struct oracle *o, struct o_delayed *d, const char *id);

/* Removes delayed messages of the topic that had expired before they were due. listed: the reply of DELAYED LIST;
 * quiet: no message that is due may be in it. */
void oracle_dropped(struct oracle *o, int topic, const char *listed, bool quiet);

/* When a message that is sent now expires; INT64_MAX: never. */
int64_t oracle_expiry(const struct oracle *o, const struct o_part *part);

/* Judges the id ("t1:0:5") of a message that was stored, and moves *at behind it. */
void oracle_stored(struct oracle *o, const struct o_part *part, uint64_t txid, int64_t expires_ms,
                   const char **at);

/* The queue of an ORDER key (protocol/PROTOCOL.md, PRODUCE). A topic that does not exist yet will have 4 queues. */
uint32_t oracle_home(const struct oracle *o, int topic, int order);

/* Judges the reply to PRODUCE: the whole batch is stored in that place, without gaps. queue -1: QUEUE was not given. */
void oracle_produced(struct oracle *o, const struct o_part *parts, uint32_t n, int queue, const char *said);
void oracle_topic_made(struct oracle *o, int topic, uint32_t n_queues);
void oracle_topic_deleted(struct oracle *o, int topic);
bool oracle_grouped(const struct oracle *o); /* the consumer group exists */
struct o_message *oracle_message(struct oracle *o, int topic, int queue, uint32_t offset);

/* NULL: no reply has named this txid. */
struct o_txn *oracle_find(struct oracle *o, uint64_t id);
bool oracle_open(const struct o_txn *x); /* pending or parked */

struct o_txn *oracle_opened(struct oracle *o, uint64_t id, int pgroup, int64_t checkin_ms, int64_t timeout_ms);

/* Judges whether the reply may be, or must be, -NOTXN. True: the transaction is known, the reply must be about it. */
bool oracle_known(struct oracle *o, struct o_txn *x, const char *said, int64_t keep_ms);

/* Called at the end of a commit group that is not empty: up to 256 young transactions may have been settled. */
void oracle_settle(struct oracle *o);

/* Notes which outcomes are old enough to be forgotten. */
void oracle_age(struct oracle *o, int64_t keep_ms);

void oracle_committed(struct oracle *o, struct o_txn *x, const char *ids);
void oracle_rolledback(struct oracle *o, struct o_txn *x);

/* Notes the time of its next check. */
void oracle_rescheduled(struct oracle *o, struct o_txn *x, int64_t next_ms, uint32_t check_max);

/* Judges a check of the transaction that CHECKS returned. */
void oracle_asked(struct oracle *o, struct o_txn *x, uint32_t attempt, int64_t check_every_ms, uint32_t check_max);

/* Called after a CHECKS. all: it returned fewer checks than COUNT, so it must not have left one out. */
void oracle_asked_all(struct oracle *o, int pgroup, uint32_t check_max, bool all);

/* The ask was taken back by UNASK. */
void oracle_unasked(struct oracle *o, struct o_txn *x, uint32_t attempt, uint32_t check_max);

/* True if it may be parked by now; *ret_sure: if it must be. */
bool oracle_parks(const struct oracle *o, const struct o_txn *x, uint32_t check_max, bool *ret_sure);

#endif
