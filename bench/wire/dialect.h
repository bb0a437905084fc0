/*
 * dialect.h: the same requests in three tongues, and what comes back.
 *
 *   struct wire_ask ──► put() ──► bytes ──► broker ──► bytes ──► next() ──► struct answer
 *
 *   rpc     MessagePack-RPC to HalfMQ   dialect_rpc.c     answers carry the id of their request
 *   resp    RESP to HalfMQ              dialect_resp.c    answers come in order
 *   redis   RESP to a Redis             dialect_redis.c   XADD, XREADGROUP, XACK in their places
 *
 * Nothing here builds a value for what comes in: an answer is a slice of the input whose end was
 * found (walk.h), and who wants a message out of it walks it once more. A tester that unpacks
 * everything measures itself.
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
    ASK_SEND, /* topic bodies[0] [order] [dedup] */
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

/* What is not named behind its kind above is not looked at. All slices are borrowed. */
struct wire_ask {
    enum ask_kind kind;
    uint32_t tag; /* comes back with the answer */
    struct slice topic, group, order, dedup, txid;
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
    ANSWER_RECORDS, /* a stream brings: pushed */
    ANSWER_ENDED /* a stream ended by itself: text says why */
};

/* A record, of which those messages are meant whose bit is set (little-endian words); no bits: all. */
struct pushed {
    struct slice record, bits;
    int64_t queue, attempt;
};

struct answer {
    enum answer_kind kind;
    uint32_t tag;
    bool busy;
    struct slice result; /* one value, as it stands in the input */
    struct slice text;
    struct pushed pushed;
};

/* A message that was taken. */
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
                           const struct wire_ask *ask); /* NULL: it has no words for it */
    /* ST_OK: *ret_answer, and *ret_used bytes are done with. ST_MORE. ST_BAD: what came makes no
     * sense. */
    enum status (*next)(struct speech *s, struct slice input, struct answer *ret_answer,
                        size_t *ret_used);
    /* Of an answer's result. False: it is not of that shape. */
    bool (*messages)(struct slice result, taken_fn fn, void *arg);
    bool (*number)(struct slice result, int64_t *ret_n);
    bool (*bytes)(struct slice result, struct slice *ret_bytes);
    bool (*place)(struct slice result, struct wire_place *ret_place); /* NULL: it has no batches */
    bool (*checks)(struct slice result, void (*fn)(void *arg, struct slice txid), void *arg);
};

#endif
