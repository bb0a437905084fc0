/*
 * dialect_redis.c: the nearest thing that a Redis has: a stream with a consumer group.
 *
 *   SEND   XADD topic * b body
 *   POP    XREADGROUP GROUP group bench COUNT n BLOCK ms STREAMS topic >
 *   ACK    XACK topic group id [id ...]
 *
 * A batch is as many XADDs in one write. There are no leases: what a consumer took stays pending
 * until it is acknowledged.
 */
#include "bench/wire/dialect_redis.h"

#include "bench/wire/dialect_words.h"
#include "bench/wire/walk.h"

static void put_send(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 5);
    words_put_str(out, "XADD");
    words_put(out, a->topic);
    words_put_str(out, "*");
    words_put_str(out, "b");
    words_put(out, a->body);
}

static void put_pop(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 11);
    words_put_str(out, "XREADGROUP");
    words_put_str(out, "GROUP");
    words_put(out, a->group);
    words_put_str(out, "bench");
    words_put_str(out, "COUNT");
    words_put_int(out, a->count);
    words_put_str(out, "BLOCK");
    words_put_int(out, a->wait_ms);
    words_put_str(out, "STREAMS");
    words_put(out, a->topic);
    words_put_str(out, ">");
}

static void put_ack(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 3 + a->n_receipts);
    words_put_str(out, "XACK");
    words_put(out, a->topic);
    words_put(out, a->group);
    for (size_t i = 0; i < a->n_receipts; i++)
        words_put(out, a->receipts[i]);
}

/* [id, [name, body]] */
static bool message(struct cursor *c, struct taken *m)
{
    struct walk_piece list, id, fields, name, body;
    if (!walk_expect(c, walk_resp, PIECE_LIST, &list) || list.n != 2 ||
        !walk_expect(c, walk_resp, PIECE_BYTES, &id) ||
        !walk_expect(c, walk_resp, PIECE_LIST, &fields) || fields.n != 2 ||
        !walk_expect(c, walk_resp, PIECE_BYTES, &name) ||
        !walk_expect(c, walk_resp, PIECE_BYTES, &body))
        return false;
    *m = (struct taken){id.bytes, body.bytes};
    return true;
}

/* [[topic, [message, ...]]], or null when nothing came in time */
static bool messages(struct slice result, taken_fn fn, void *arg)
{
    struct cursor c = cursor_of(result);
    struct walk_piece topics, topic, name, list;
    bool damaged;
    if (!walk_resp(&c, &topics, &damaged))
        return false;
    if (topics.kind == PIECE_NIL)
        return true;
    if (topics.kind != PIECE_LIST || topics.n != 1 ||
        !walk_expect(&c, walk_resp, PIECE_LIST, &topic) ||
        !walk_expect(&c, walk_resp, PIECE_BYTES, &name) ||
        !walk_expect(&c, walk_resp, PIECE_LIST, &list))
        return false;
    for (int64_t i = 0; i < list.n; i++) {
        struct taken m;
        if (!message(&c, &m))
            return false;
        fn(arg, &m);
    }
    return true;
}

const struct wire_dialect dialect_redis = {
    .name = "redis",
    .redis = true,
    .ordered = true,
    .put = {[ASK_SEND] = put_send, [ASK_POP] = put_pop, [ASK_ACK] = put_ack},
    .next = words_next,
    .messages = messages,
    .number = words_number,
    .bytes = words_bytes,
};
