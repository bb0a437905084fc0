/*
 * dialect.h: the requests of the tester and their replies, in three dialects.
 *
 *   struct wire_ask ──► put() ──► bytes ──► broker ──► bytes ──► next() ──► struct answer
 *
 *   rpc     MessagePack-RPC to HalfMQ   dialect_rpc.c     answers carry the id of their request
 *   resp    RESP to HalfMQ              dialect_resp.c    answers come in order
 *   redis   RESP to a Redis             dialect_redis.c   XADD, XREADGROUP, XACK in their places
 *
 * Replies are not unpacked: an answer is a slice of the input, whose end was found (walk.h), and messages are found by
 * walking over it once more. A tester that unpacked every reply would measure itself.
 *
 * speech.h keeps a connection's state in a dialect. To add a way of asking: a line in enum ask_kind, and its
 * function in the table of each dialect that can say it. To add a dialect: a file that fills a struct wire_dialect,
 * and a line in dialects[] (dialects.c).
 */
#ifndef HALFMQ_BENCH_DIALECT_H
#define HALFMQ_BENCH_DIALECT_H

#include "protocol/base/buf.h"
#include "protocol/base/slice.h"
#include "protocol/status.h"

enum ask_kind {
    ASK_SEND, /* topic bodies[0] [order] [dedup] [tag_word] [number] [priority] */
    ASK_MSEND, /* topic bodies */
    ASK_PRODUCE, /* topic batch [queue] [dedup]: a record, as protocol/record/record.h makes it */
    ASK_POP, /* group topic count wait_ms lease_ms */
    ASK_ACK, /* group topic receipts */
    ASK_HALF, /* group (the producers') topic bodies[0] [txid] [checkin_ms] */
    ASK_COMMIT, /* txid */
    ASK_ROLLBACK, /* txid */
    ASK_CHECKS, /* group wait_ms: be asked back; rpc: once, resp: each time again */
    ASK_DECIDE, /* txid, tag: answers a check-back with commit */
    ASK_STREAM, /* group topic count (credit) lease_ms: messages are pushed from then on */
    ASK_CREDIT, /* stream count; is not answered */
    ASK_CLOSE, /* stream */
    ASK_COUNT
};

/* A request. Only the members named beside its kind above are used. All slices are borrowed. */
struct wire_ask {
    enum ask_kind kind;
    uint32_t tag; /* comes back with the answer */
    struct slice topic, group, order, dedup, txid;
    struct slice tag_word, number; /* TAG; PROP n */
    bool has_priority;
    int priority;
    const struct slice *bodies; /* MSEND */
    size_t n_bodies;
    struct slice body, batch;
    bool has_queue;
    uint32_t queue;
    const struct slice *receipts;
    size_t n_receipts;
    uint32_t count;
    int64_t stream;
    int64_t wait_ms, lease_ms, checkin_ms;
};

enum answer_kind {
    ANSWER_DONE, /* result */
    ANSWER_REFUSED, /* text: "CODE why"; busy: it may be asked again */
    ANSWER_CHECK, /* the broker asks back: text is the txid, tag its own id of the question */
    ANSWER_RECORDS, /* a stream delivers a record: pushed */
    ANSWER_ENDED /* a stream ended by itself: text says why */
};

/* A record that a stream delivers. The messages whose bit is set are for this consumer (little-endian words); without
 * bits all are. */
struct pushed {
    struct slice record, bits;
    int64_t queue, attempt;
};

struct answer {
    enum answer_kind kind;
    uint32_t tag;
    bool busy;
    struct slice result; /* one value, a slice of the input */
    struct slice text;
    struct pushed pushed;
};

/* A message that was delivered. */
struct taken {
    struct slice receipt;
    struct slice body;
};

/* Where a batch was stored. */
struct wire_place {
    uint32_t queue, count;
    uint64_t offset; /* of its first message */
};

typedef void (*taken_fn)(void *arg, const struct taken *message);

struct speech;

struct wire_dialect {
    const char *name;
    bool redis;
    bool ordered; /* answers come in order: speech keeps the tags */
    void (*put[ASK_COUNT])(struct buf *out,
                           const struct wire_ask *ask); /* NULL: the dialect has no such request */
    /* Reads one answer. ST_OK: it is in *ret_answer, and took *ret_used bytes. ST_MORE: it is not complete. ST_BAD:
     * the input is not of this dialect. */
    enum status (*next)(struct speech *s, struct slice input, struct answer *ret_answer,
                        size_t *ret_used);
    /* Each reads the result of an answer as one kind of value. False: it is not of that kind. */
    bool (*messages)(struct slice result, taken_fn fn, void *arg);
    bool (*number)(struct slice result, int64_t *ret_n);
    bool (*bytes)(struct slice result, struct slice *ret_bytes);
    bool (*place)(struct slice result, struct wire_place *ret_place); /* NULL: it has no batches */
    bool (*checks)(struct slice result, void (*fn)(void *arg, struct slice txid), void *arg);
};

#endif
