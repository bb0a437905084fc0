/*
 * rows.h: the values of the STATE family, version 1 each (M: 3): encoding a struct into bytes, and decoding it. Those of
 * the directory are in directory.h.
 *
 * Every row begins with its version byte. Slices of a decoded row point into the bytes it was decoded
 * from. Decoders take any bytes: what is damaged is ST_BAD, never a crash.
 *
 * To change a row: raise its version, decode both, keep the old golden bytes in the tests.
 */
#ifndef HALFMQ_STORAGE_ROWS_H
#define HALFMQ_STORAGE_ROWS_H

#include "protocol/base/buf.h"
#include "protocol/base/compress.h"
#include "protocol/filter/filter_kind.h"
#include "protocol/limits.h"
#include "protocol/status.h"

/* Of the M row, and so of the whole store: one of an earlier version is refused. (In version 1 records have no
 * directory; in version 2 topics and groups lack the settings of retention, filters and limits.) */
#define META_VERSION 3

struct meta_row {
    uint64_t index;
    int64_t now_ms;
    uint64_t last_id;  /* of txids and delay tokens */
    uint64_t next_ref; /* ids of topics and of groups on topics */
    uint64_t pending, parked, topics, groups;
    uint64_t young; /* transactions from this id on may be without their rows J, K, W (young.h) */
    uint64_t delayed; /* messages */
    uint64_t pgroups; /* that have settings */
    uint64_t first_offset; /* of the queues of topics that are made from now on: 0, or more after a salvage */
    uint64_t holders;      /* the highest id of a connection that was given a lease */
    uint64_t hidden_from, hidden_to; /* young rows of these ids may be hidden by damage; 0, 0: none is */
};

/* TOPIC_HAS_REMOVED: messages above a floor were removed one by one (removed_row). */
enum topic_flag { TOPIC_HAS_TTL = 1, TOPIC_HAS_REMOVED = 8 };

struct topic_row {
    uint64_t id;
    uint32_t flags;
    enum compress compress; /* decides the family of its records (records.h) */
    uint32_t n_queues;
    uint32_t order_queues; /* ORDER keys keep to the first so many */
    uint32_t turn;         /* the queue that the next message without ORDER or QUEUE goes to */
    int64_t created_ms;
    uint64_t delayed;      /* messages that wait for their time */
    uint64_t purges;       /* how often it was purged */
    int64_t retention_ms;  /* messages older than that are deleted; 0: never for their age */
    uint64_t max_bytes;    /* the oldest messages are deleted beyond so many bytes; 0: never for their size */
    int64_t cut_ms;        /* when its row in the timer index is due, which deletes the oldest messages; 0: none */
    uint16_t classes;      /* bit c: some message has PRIORITY c; the default one has no bit */
    uint64_t removed;      /* how many messages above the floors were removed one by one */
    uint64_t floor[QUEUES_MAX]; /* offsets below are gone: PURGE, retention */
};

/* GROUP_OVERLAPS: its leased runs may lie across each other (storage/group/run.h). GROUP_RANKED: it may have cursors for
 * classes of priority (storage/order/lanes.h). Both stay. */
enum group_flag { GROUP_ORDERED = 1, GROUP_PAUSED = 2, GROUP_OVERLAPS = 4, GROUP_RANKED = 8 };
#define GROUP_FLAGS (GROUP_ORDERED | GROUP_PAUSED | GROUP_OVERLAPS | GROUP_RANKED)

/* A group on a topic. */
struct group_row {
    uint64_t id; /* gt */
    uint64_t topic_id;
    int64_t created_ms;
    int64_t lease_ms;
    uint32_t attempts;
    uint32_t n_backoff;
    int64_t backoff_ms[BACKOFF_STEPS_MAX];
    uint32_t attempt_base; /* its attempt numbers begin behind this (attempts.h) */
    uint32_t flags;        /* enum group_flag */
    uint32_t rate;         /* messages a second, at most; 0: no limit ... */
    int64_t rate_ms;       /* ... since then */
    uint32_t inflight;     /* messages leased at once, at most; 0: no limit */
    uint64_t pause_ref;    /* when GROUP_PAUSED was last set or cleared, in refs; against that of its cgroup_row */
    enum filter_kind filter_kind;
    uint64_t filter_ref;   /* of the filter's last change: its version; 0: it never had one */
    struct slice filter;   /* its text: a||b, or an expression */
};

/* A consumer group by its name. */
struct cgroup_row {
    uint64_t topics; /* on how many it is */
    uint64_t below;  /* its gts with a smaller id are deleted; 0: none is left whose rows would have to go */
    uint64_t pause_ref; /* when the whole group was last paused or resumed, in refs; 0: never */
    bool paused;        /* it was paused then */
    bool has_retry;     /* its topic %RETRY% exists: POP takes from that, too */
};

/* The place of a waiting run among those of its group: they are delivered in this order. Runs from before a SEEK of their
 * queue lie there until their turn comes (run_is_void), so the same messages may wait twice: `since` tells these runs apart. */
struct wait_place {
    int64_t due_ms;
    uint32_t queue;
    uint64_t base;
    uint32_t since; /* the attempt number behind which its deliveries count */
};

struct cursor_row {
    int64_t timer_ms; /* due of its row in the timer index; 0: none */
    uint32_t attempt_top; /* the highest attempt number that it has given out, or its base */
    uint64_t purges;  /* of its topic, when it was last looked at: behind the topic's own count all its runs are void */
    uint64_t leased, leased_runs;   /* live messages, and the runs they are in: rows R */
    uint64_t waiting, waiting_runs; /* the same of those that wait for a retry */
    struct wait_place first; /* the first waiting run, while there is one; without its `since` */
    uint64_t skipped, skipped_rows; /* messages that an ordered group has passed over; and the rows Z they are in */
    int64_t rate_free_us; /* when RATE lets the next message go; Unix microseconds; 0: at once */
    bool sought;          /* it has `again` */
    uint32_t n_queues;
    uint64_t next[QUEUES_MAX]; /* never delivered from here on */
    uint64_t again[QUEUES_MAX]; /* messages below it may have been delivered before the last SEEK ... */
    uint32_t again_base[QUEUES_MAX]; /* ... under attempt numbers up to this one */
    uint64_t back[QUEUES_MAX]; /* 0: none is leased; else the first leased run of the queue begins so far before next, plus
                                  1; 1: there or behind it */
    uint64_t skipped_back[QUEUES_MAX]; /* the same of its first row Z; 0: none is skipped */
};

#define SKIP_SPAN COUNT_MAX /* offsets of a row Z; its base is a multiple of this */
#define SKIP_WORDS ((SKIP_SPAN + 63) / 64)

/* Messages that an ordered group has passed over, because their ORDER keys were held. */
struct skip_row {
    uint64_t bits[SKIP_WORDS]; /* not all zero */
};

enum run_state { RUN_LEASED = 1, RUN_WAITING = 2 };

#define RUN_WORDS_MAX ((COUNT_MAX + 63) / 64)

/* A run is what one POP took from one queue, less what was acknowledged: its live messages share
 * state, attempt number and due time. */
struct run_row {
    enum run_state state;
    uint32_t count;   /* 1..COUNT_MAX */
    uint32_t attempt; /* LEASED: of this delivery; WAITING: of the last one */
    uint32_t delivered; /* how often, since the group began or its last SEEK */
    int64_t due_ms;   /* LEASED: the lease ends; WAITING: may go out again */
    uint64_t holder;  /* LEASED: the id of the connection that has it; 0: nobody knows */
    uint64_t bits[RUN_WORDS_MAX]; /* live messages */
};

/* True where it was delivered under a number up to base. (One that was released before anybody received it counts as not
 * delivered under its number.) Where its queue was moved by SEEK, and base is again_base, it means nothing any more. */
static inline bool run_is_void(uint32_t base, uint32_t attempt, uint32_t delivered)
{
    return attempt < base || (attempt == base && delivered > 0);
}

/* The number behind which its deliveries count: it stays the same while a message waits, is delivered, and waits again. */
static inline uint32_t run_since(uint32_t attempt, uint32_t delivered)
{
    return attempt - delivered;
}

/* True where it has no live message; such a row is damaged. */
bool run_row_empty(const struct run_row *r);

enum txn_state { TXN_PENDING = 1, TXN_COMMITTED = 2, TXN_ROLLEDBACK = 3, TXN_PARKED = 4 };

struct txn_row {
    enum txn_state state;
    bool young; /* PENDING, and only as long as the ring has it (young.h) */
    struct slice pgroup;
    int64_t created_ms, decided_ms, next_check_ms, timeout_ms;
    uint32_t checks, n_messages;
    uint64_t bytes;
    struct slice outcome; /* COMMITTED: n_messages x sized text of the id */
    struct slice first;   /* open: its message 0 (half_encode), unless that has a row of its own */
    bool answered; /* the newest ask was answered, so it cannot be taken back */
};

enum pgroup_setting {
    PGROUP_CHECKURL = 1,
    PGROUP_SECRET = 2,
    PGROUP_CHECKIN = 4,
    PGROUP_CHECKEVERY = 8,
    PGROUP_CHECKMAX = 16,
    PGROUP_TIMEOUT = 32
};

/* The settings that a producer group has of its own; for the others the broker's count. */
struct pgroup_row {
    uint32_t set; /* PGROUP_*: which of them it has */
    struct slice checkurl, secret;
    int64_t checkin_ms, check_every_ms, timeout_ms;
    uint32_t check_max;
};

/* How many undecided transactions it has. */
struct pgroup_open_row {
    uint64_t pending, parked;
};

/* A message waiting for its COMMIT, or for its time. */
struct half_row {
    struct slice topic;
    bool has_queue;
    uint32_t queue;
    int64_t ttl_ms; /* -1: none */
    int64_t delay_ms; /* from the COMMIT on; 0: none */
    int64_t at_ms;    /* not before this; 0: none */
    int64_t base_ms; /* the message's times are relative to this */
    struct slice message; /* message_encode; while a row is made: message_encode_head, where ... */
    struct slice body;    /* ... this is the body, which may be large and is not copied; a row that was read has none */
};

/* Where a delayed message is. */
struct token_row {
    uint64_t topic_id;
    int64_t due_ms;
};

/* The highest attempt number of the deleted groups of a bucket. */
struct attempts_row {
    uint32_t top;
};

/* A row of the timer index that could not be done when it was due. Others have an empty value. */
struct timer_row {
    uint32_t postponed; /* how often; 0: never */
    int64_t first_ms;   /* when it was due at first */
};

#define REMOVED_BITS 1024
#define REMOVED_WORDS (REMOVED_BITS / 64)

/* Which of REMOVED_BITS neighbouring messages were removed one by one. */
struct removed_row {
    uint64_t bits[REMOVED_WORDS];
};

/* The messages of one PRIORITY in a record. */
struct class_row {
    uint64_t before; /* how many of the queue's messages of this class lie before it, of those since the last PURGE */
    uint32_t count;  /* in the record; at least one */
};

/* Where a group is with the messages of one PRIORITY. */
struct class_cursor_row {
    uint32_t n_queues;
    uint64_t next[QUEUES_MAX]; /* those below were delivered */
};

struct dedup_row {
    int64_t expires_ms;
    struct slice answer;
};

struct dedup_half_row {
    int64_t expires_ms;
    uint64_t txid;
    uint64_t topic_id; /* that it had then */
};

void meta_encode(struct buf *b, const struct meta_row *r);
enum status meta_decode(struct slice bytes, struct meta_row *ret_r) MUST_CHECK;
/* Is a young row of that id, which has no outcome, an open transaction? */
bool meta_young_counts(const struct meta_row *r, uint64_t txid);
bool meta_hides(const struct meta_row *r, uint64_t txid);
void topic_encode(struct buf *b, const struct topic_row *r);
enum status topic_decode(struct slice bytes, struct topic_row *ret_r) MUST_CHECK;
void group_encode(struct buf *b, const struct group_row *r);
enum status group_decode(struct slice bytes, struct group_row *ret_r) MUST_CHECK;
void cgroup_encode(struct buf *b, const struct cgroup_row *r);
enum status cgroup_decode(struct slice bytes, struct cgroup_row *ret_r) MUST_CHECK;
void cursor_encode(struct buf *b, const struct cursor_row *r);
enum status cursor_decode(struct slice bytes, struct cursor_row *ret_r) MUST_CHECK;
void run_encode(struct buf *b, const struct run_row *r);
enum status run_decode(struct slice bytes, struct run_row *ret_r) MUST_CHECK;
void skip_encode(struct buf *b, const struct skip_row *r);
enum status skip_decode(struct slice bytes, struct skip_row *ret_r) MUST_CHECK;
void txn_encode(struct buf *b, const struct txn_row *r);
enum status txn_decode(struct slice bytes, struct txn_row *ret_r) MUST_CHECK;
void pgroup_encode(struct buf *b, const struct pgroup_row *r);
enum status pgroup_decode(struct slice bytes, struct pgroup_row *ret_r) MUST_CHECK;
void pgroup_open_encode(struct buf *b, const struct pgroup_open_row *r);
enum status pgroup_open_decode(struct slice bytes, struct pgroup_open_row *ret_r) MUST_CHECK;
/* Without the bytes of r->body, which come last. */
void half_encode(struct buf *b, const struct half_row *r);
enum status half_decode(struct slice bytes, struct half_row *ret_r) MUST_CHECK;
void token_encode(struct buf *b, const struct token_row *r);
enum status token_decode(struct slice bytes, struct token_row *ret_r) MUST_CHECK;
void attempts_encode(struct buf *b, const struct attempts_row *r);
enum status attempts_decode(struct slice bytes, struct attempts_row *ret_r) MUST_CHECK;
void removed_encode(struct buf *b, const struct removed_row *r);
enum status removed_decode(struct slice bytes, struct removed_row *ret_r) MUST_CHECK;
void class_encode(struct buf *b, const struct class_row *r);
enum status class_decode(struct slice bytes, struct class_row *ret_r) MUST_CHECK;
void class_cursor_encode(struct buf *b, const struct class_cursor_row *r);
enum status class_cursor_decode(struct slice bytes, struct class_cursor_row *ret_r) MUST_CHECK;
void timer_encode(struct buf *b, const struct timer_row *r);
enum status timer_decode(struct slice bytes, struct timer_row *ret_r) MUST_CHECK;
void dedup_encode(struct buf *b, const struct dedup_row *r);
enum status dedup_decode(struct slice bytes, struct dedup_row *ret_r) MUST_CHECK;
void dedup_half_encode(struct buf *b, const struct dedup_half_row *r);
enum status dedup_half_decode(struct slice bytes, struct dedup_half_row *ret_r) MUST_CHECK;

#endif
