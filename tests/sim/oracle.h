/*
 * oracle.h: what must be true of transactions, kept as plainly as can be: arrays, no index, nothing
 * shared with storage/.
 *
 *   HALF ─► o_txn, its parts by serial number ─┬─ COMMIT ─► each part once in its topic, ids for ever
 *                                              ├─ ROLLBACK ─► nothing, for ever
 *                                              └─ asks used up, too old ─► parked
 *
 * A judge takes what the store answered, complains where that is not allowed, and goes on from it. The
 * oracle has no pointers, so that a group that was lost is undone by copying it back (oracle_copy).
 */
#ifndef HALFMQ_TESTS_SIM_ORACLE_H
#define HALFMQ_TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define O_TOPICS 3
#define O_QUEUES 4
#define O_OFFSETS 10800 /* a batch of the most messages, and some before and behind it */
#define O_STEP_MAX 420 /* messages that a step other than PRODUCE may bring to a queue */
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

struct o_dedup {
    int64_t until_ms;
    bool may_be_gone; /* it was over once, before a restart with a slower clock */
    char answer[32];
};

struct o_part {
    int topic, queue; /* queue -1: by its ORDER key, or in turn */
    int order;        /* its key, -1: none */
    uint32_t serial, pad;
    bool tag;
    int64_t born_ms, ttl_ms, delay_ms, at_ms; /* ttl_ms -1, delay_ms and at_ms 0: none */
};

/* A message with DELAY or AT whose transaction was committed (or of a SEND): it waits for its time. */
struct o_delayed {
    bool there;
    struct o_part part;
    uint64_t txid, token;
    int64_t due_ms, expires_ms;
};

struct o_topic {
    bool there, grouped; /* the consumer group is on it */
    uint32_t n_queues, turn; /* turn: the queue of the next one that names none */
    struct o_dedup dedups[O_DEDUPS];
};

enum o_fate { O_PENDING, O_COMMITTED, O_ROLLEDBACK, O_PARKED };

/* What its next check is for: to ask, to park; after a change of check_max it may be either. */
enum o_next { O_ASK, O_PARK, O_EITHER };

struct o_txn {
    uint64_t id;
    enum o_fate fate;
    enum o_next kind;
    int pgroup;
    uint32_t n, checks;
    bool answered; /* the newest ask was, by UNKNOWN or EXTEND: it cannot be taken back */
    uint32_t touched; /* group that set next_ms: rows of the open group are not seen by a CHECKS in it */
    int64_t created_ms, next_ms, timeout_ms, decided_ms;
    bool young;             /* it may get its rows in the open group, where a CHECKS does not see them */
    bool may_be_gone, gone; /* its outcome was old enough to be forgotten; was found forgotten */
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
    struct o_topic topics[O_TOPICS];
    struct o_queue queues[O_TOPICS][O_QUEUES];
    struct o_delayed delayed[O_DELAYED]; /* by token */
    struct o_txn txns[O_TXNS]; /* by id */
};

/* Where complaints go: does not return. */
extern void (*oracle_complain)(const char *what);

/* Complains unless it holds. */
void must(bool holds, const char *what);

void oracle_copy(struct oracle *to, const struct oracle *from);

/* After oracle_copy back: what compactions may have dropped meanwhile does not come back. */
void oracle_keep_gone(struct oracle *o, const struct oracle *lost);

/* A message is visible, or has been told its token ("@12"), by the time of its DELAY or AT. */
void oracle_placed(struct oracle *o, const struct o_part *part, uint64_t txid, const char **at);

/* How many messages of a topic still wait; those that have waited long enough, if due. */
uint32_t oracle_waiting(const struct oracle *o, int topic, bool due);

/* A delayed message is in its topic now, at id. */
void oracle_fired(struct oracle *o, struct o_delayed *d, const char *id);

/* Some delayed messages of the topic had expired when their time came. listed: what still waits, as DELAYED
 * LIST answers it; quiet: all that is due must be gone. */
void oracle_dropped(struct oracle *o, int topic, const char *listed, bool quiet);

/* When a message of now expires; INT64_MAX: never. */
int64_t oracle_expiry(const struct oracle *o, const struct o_part *part);

/* A message that expires then has got this id ("t1:0:5"); *at is moved behind it. */
void oracle_stored(struct oracle *o, const struct o_part *part, uint64_t txid, int64_t expires_ms,
                   const char **at);

/* The queue that an ORDER key keeps to (protocol/PROTOCOL.md, PRODUCE); a topic that is still to be made has 4. */
uint32_t oracle_home(const struct oracle *o, int topic, int order);

/* A batch of one topic was answered with a place: all of it lies there, side by side. queue -1: none was given. */
void oracle_produced(struct oracle *o, const struct o_part *parts, uint32_t n, int queue, const char *said);
void oracle_topic_made(struct oracle *o, int topic, uint32_t n_queues);
void oracle_topic_deleted(struct oracle *o, int topic);
bool oracle_grouped(const struct oracle *o); /* the consumer group exists */
struct o_message *oracle_message(struct oracle *o, int topic, int queue, uint32_t offset);

/* NULL: never issued, as far as anybody was told. */
struct o_txn *oracle_find(struct oracle *o, uint64_t id);
bool oracle_open(const struct o_txn *x); /* pending or parked */

struct o_txn *oracle_opened(struct oracle *o, uint64_t id, int pgroup, int64_t checkin_ms, int64_t timeout_ms);

/* Judges an answer that is -NOTXN or not; true where the transaction is to be answered for. */
bool oracle_known(struct oracle *o, struct o_txn *x, const char *said, int64_t keep_ms);

/* A group with commands in it ends: up to 256 of the young ones are none any more. */
void oracle_settle(struct oracle *o);

/* Notes which outcomes are old enough to be forgotten. */
void oracle_age(struct oracle *o, int64_t keep_ms);

void oracle_committed(struct oracle *o, struct o_txn *x, const char *ids);
void oracle_rolledback(struct oracle *o, struct o_txn *x);

/* Its next check was set. */
void oracle_rescheduled(struct oracle *o, struct o_txn *x, int64_t next_ms, uint32_t check_max);

/* It was asked about. */
void oracle_asked(struct oracle *o, struct o_txn *x, uint32_t attempt, int64_t check_every_ms, uint32_t check_max);

/* After a CHECKS. all: it got fewer than it wanted, and so must have left nobody out. */
void oracle_asked_all(struct oracle *o, int pgroup, uint32_t check_max, bool all);

/* The ask was not handed over. */
void oracle_unasked(struct oracle *o, struct o_txn *x, uint32_t attempt, uint32_t check_max);

/* The rules say that it is to be parked now; sure: without any doubt. */
bool oracle_parks(const struct oracle *o, const struct o_txn *x, uint32_t check_max, bool *ret_sure);

#endif
