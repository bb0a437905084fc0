/*
 * dialect_rpc.c: MessagePack-RPC, as protocol/PROTOCOL.md 7 describes it.
 *
 *   ask      [0, tag, method, {name: value, ...}]     answer   [1, tag, nil | [code, text], result]
 *   pushed   [2, "records", {...}]                    [2, "stream_end", {...}]
 *   checked  [0, id, "check", [{"txid": ..., ...}]]   decided  [1, id, nil, "commit"]
 */
#include "bench/wire/dialect_rpc.h"

#include <string.h>

#include "bench/wire/speech.h"
#include "protocol/rpc/rpc.h"

static void dialect_rpc_put_name(struct buf *out, const char *name)
{
    rpc_put_str(out, slice_str(name));
}

static void dialect_rpc_put_text(struct buf *out, const char *name, struct slice text)
{
    dialect_rpc_put_name(out, name);
    rpc_put_str(out, text);
}

static void dialect_rpc_put_number(struct buf *out, const char *name, int64_t n)
{
    dialect_rpc_put_name(out, name);
    rpc_put_int(out, n);
}

static void dialect_rpc_put_body(struct buf *out, struct slice body)
{
    dialect_rpc_put_name(out, "body");
    rpc_put_bin(out, body);
}

static void dialect_rpc_put_list(struct buf *out, const char *name, const struct slice *items, size_t n,
                                 void (*put_item)(struct buf *, struct slice))
{
    dialect_rpc_put_name(out, name);
    rpc_put_list(out, n);
    for (size_t i = 0; i < n; i++)
        put_item(out, items[i]);
}

static void dialect_rpc_put_head(struct buf *out, const struct wire_ask *a, const char *method, size_t pairs)
{
    rpc_put_request(out, a->tag, method);
    rpc_put_map(out, pairs);
}

static void dialect_rpc_put_label(struct buf *out, const struct wire_ask *a)
{
    if (a->tag_word.len > 0)
        dialect_rpc_put_text(out, "tag", a->tag_word);
    if (a->number.len > 0) {
        dialect_rpc_put_name(out, "prop");
        rpc_put_map(out, 1);
        dialect_rpc_put_text(out, "n", a->number);
    }
    if (a->has_priority)
        dialect_rpc_put_number(out, "priority", a->priority);
}

static void dialect_rpc_put_send(struct buf *out, const struct wire_ask *a)
{
    size_t label = 0u + (a->tag_word.len > 0) + (a->number.len > 0) + a->has_priority;
    dialect_rpc_put_head(out, a, "send", 2u + (a->order.len > 0) + (a->dedup.len > 0) + label);
    dialect_rpc_put_text(out, "topic", a->topic);
    dialect_rpc_put_body(out, a->body);
    if (a->order.len > 0)
        dialect_rpc_put_text(out, "order", a->order);
    if (a->dedup.len > 0)
        dialect_rpc_put_text(out, "dedup", a->dedup);
    if (label > 0)
        dialect_rpc_put_label(out, a);
}

static void dialect_rpc_put_msend(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "msend", 2);
    dialect_rpc_put_text(out, "topic", a->topic);
    dialect_rpc_put_list(out, "body", a->bodies, a->n_bodies, rpc_put_bin);
}

static void dialect_rpc_put_produce(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "produce", 2u + a->has_queue + (a->dedup.len > 0));
    dialect_rpc_put_text(out, "topic", a->topic);
    dialect_rpc_put_name(out, "batch");
    rpc_put_bin(out, a->batch);
    if (a->has_queue)
        dialect_rpc_put_number(out, "queue", a->queue);
    if (a->dedup.len > 0)
        dialect_rpc_put_text(out, "dedup", a->dedup);
}

static void dialect_rpc_put_stream(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "stream_group", 4);
    dialect_rpc_put_text(out, "group", a->group);
    dialect_rpc_put_number(out, "credit", a->count);
    dialect_rpc_put_list(out, "topic", &a->topic, 1, rpc_put_str);
    dialect_rpc_put_number(out, "lease", a->lease_ms);
}

static void dialect_rpc_put_credit(struct buf *out, const struct wire_ask *a)
{
    rpc_put_notify(out, "stream_credit");
    rpc_put_map(out, 2);
    dialect_rpc_put_number(out, "stream", a->stream);
    dialect_rpc_put_number(out, "credit", a->count);
}

static void dialect_rpc_put_close(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "stream_close", 1);
    dialect_rpc_put_number(out, "stream", a->stream);
}

static void dialect_rpc_put_pop(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "pop", 5);
    dialect_rpc_put_text(out, "group", a->group);
    dialect_rpc_put_list(out, "topic", &a->topic, 1, rpc_put_str);
    dialect_rpc_put_number(out, "count", a->count);
    dialect_rpc_put_number(out, "wait", a->wait_ms);
    dialect_rpc_put_number(out, "lease", a->lease_ms);
}

static void dialect_rpc_put_ack(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "ack", 2);
    dialect_rpc_put_text(out, "group", a->group);
    dialect_rpc_put_list(out, "receipt", a->receipts, a->n_receipts, rpc_put_str);
}

static void dialect_rpc_put_half(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "half", 3u + (a->txid.len > 0) + (a->checkin_ms > 0));
    dialect_rpc_put_text(out, "pgroup", a->group);
    dialect_rpc_put_text(out, "topic", a->topic);
    dialect_rpc_put_body(out, a->body);
    if (a->txid.len > 0)
        dialect_rpc_put_text(out, "txn", a->txid);
    if (a->checkin_ms > 0)
        dialect_rpc_put_number(out, "checkin", a->checkin_ms);
}

static void dialect_rpc_put_commit(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "commit", 1);
    dialect_rpc_put_text(out, "txid", a->txid);
}

static void dialect_rpc_put_rollback(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "rollback", 1);
    dialect_rpc_put_text(out, "txid", a->txid);
}

static void dialect_rpc_put_checks(struct buf *out, const struct wire_ask *a)
{
    dialect_rpc_put_head(out, a, "checks_serve", 1);
    dialect_rpc_put_text(out, "pgroup", a->group);
}

static void dialect_rpc_put_decide(struct buf *out, const struct wire_ask *a)
{
    rpc_put_result(out, a->tag);
    rpc_put_str(out, SLICE_LIT("commit"));
}

/* [code, text] as "CODE text". */
static bool dialect_rpc_refusal(struct speech *s, struct cursor *c, struct answer *a)
{
    struct walk_piece code, text;
    if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &code) ||
        !walk_expect(c, walk_msgpack, PIECE_BYTES, &text))
        return false;
    buf_reset(&s->spare, 4096);
    buf_put_slice(&s->spare, code.bytes);
    buf_put_str(&s->spare, " ");
    buf_put_slice(&s->spare, text.bytes);
    a->kind = ANSWER_REFUSED;
    a->text = buf_slice(&s->spare);
    a->busy = speech_busy(a->text);
    return true;
}

static bool dialect_rpc_response(struct speech *s, struct cursor *c, struct answer *a)
{
    struct walk_piece error;
    bool damaged;
    if (!walk_msgpack(c, &error, &damaged))
        return false;
    if (error.kind == PIECE_LIST)
        return error.n == 2 && dialect_rpc_refusal(s, c, a);
    a->kind = ANSWER_DONE;
    a->result = slice_of(c->at, cursor_left(c));
    return error.kind == PIECE_NIL;
}

/* The map of parameters, which may be the only element of a list. */
static bool dialect_rpc_params(struct cursor *c, struct walk_piece *ret_map)
{
    bool in_list = cursor_left(c) > 0 && (*c->at & 0xf0) == 0x90;
    struct walk_piece list;
    if (in_list && (!walk_expect(c, walk_msgpack, PIECE_LIST, &list) || list.n != 1))
        return false;
    return walk_expect(c, walk_msgpack, PIECE_LIST, ret_map);
}

/* "check", [{"txid": ..., ...}]; other values of the map are skipped. */
static bool dialect_rpc_question(struct cursor *c, struct answer *a)
{
    struct walk_piece method, map, name, value;
    if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &method) || !dialect_rpc_params(c, &map))
        return false;
    a->kind = ANSWER_CHECK;
    for (int64_t i = 0; i < map.n / 2; i++) {
        if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &name))
            return false;
        if (!slice_equal(name.bytes, SLICE_LIT("txid"))) {
            if (!walk_over(c, walk_msgpack))
                return false;
            continue;
        }
        if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &value))
            return false;
        a->text = value.bytes;
    }
    return slice_equal(method.bytes, SLICE_LIT("check")) && a->text.len > 0;
}

/* One pair of a notification's map; unknown names are skipped. */
static bool dialect_rpc_pushed_pair(struct cursor *c, struct answer *a)
{
    struct walk_piece name, value;
    if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &name))
        return false;
    struct slice *bytes = slice_equal(name.bytes, SLICE_LIT("record")) ? &a->pushed.record
                          : slice_equal(name.bytes, SLICE_LIT("bits")) ? &a->pushed.bits
                                                                       : NULL;
    int64_t *number = slice_equal(name.bytes, SLICE_LIT("queue"))     ? &a->pushed.queue
                      : slice_equal(name.bytes, SLICE_LIT("attempt")) ? &a->pushed.attempt
                                                                      : NULL;
    if (!bytes && !number)
        return walk_over(c, walk_msgpack);
    if (!walk_expect(c, walk_msgpack, bytes ? PIECE_BYTES : PIECE_INT, &value))
        return false;
    if (bytes)
        *bytes = value.bytes;
    else
        *number = value.n;
    return true;
}

/* "records", {...} or "stream_end", {...}: what follows the 2. */
static bool dialect_rpc_notification(struct cursor *c, struct answer *a)
{
    struct walk_piece method, map;
    if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &method) || !dialect_rpc_params(c, &map))
        return false;
    a->kind = slice_equal(method.bytes, SLICE_LIT("records")) ? ANSWER_RECORDS : ANSWER_ENDED;
    a->text = method.bytes;
    for (int64_t i = 0; i < map.n / 2; i++) {
        if (!dialect_rpc_pushed_pair(c, a))
            return false;
    }
    return a->kind == ANSWER_ENDED || a->pushed.record.len > 0;
}

static enum status dialect_rpc_next(struct speech *s, struct slice input, struct answer *ret_answer,
                                    size_t *ret_used)
{
    struct answer a = {0};
    struct walk_piece frame, type, id;
    size_t len;
    enum status st = walk_value(&s->walk, walk_msgpack, input, &len);
    if (st != ST_OK)
        return st;
    struct cursor c = cursor_of(slice_of(input.data, len));
    if (!walk_expect(&c, walk_msgpack, PIECE_LIST, &frame) ||
        !walk_expect(&c, walk_msgpack, PIECE_INT, &type))
        return ST_BAD;
    bool notified = type.n == RPC_NOTIFY;
    if (frame.n != (notified ? 3 : 4) ||
        (!notified && !walk_expect(&c, walk_msgpack, PIECE_INT, &id)))
        return ST_BAD;
    a.tag = notified ? 0 : (uint32_t)id.n;
    if (!(notified                 ? dialect_rpc_notification(&c, &a)
          : type.n == RPC_RESPONSE ? dialect_rpc_response(s, &c, &a)
          : dialect_rpc_question(&c, &a)))
        return ST_BAD;
    *ret_answer = a;
    *ret_used = len;
    return ST_OK;
}

/* {"id": receipt, "body": body, "attributes": ..., "properties": ...} */
static bool dialect_rpc_message(struct cursor *c, struct taken *m)
{
    struct walk_piece map, name, value;
    if (!walk_expect(c, walk_msgpack, PIECE_LIST, &map))
        return false;
    for (int64_t i = 0; i < map.n / 2; i++) {
        if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &name))
            return false;
        struct slice *wanted = slice_equal(name.bytes, SLICE_LIT("id"))     ? &m->receipt
                               : slice_equal(name.bytes, SLICE_LIT("body")) ? &m->body
                                                                            : NULL;
        if (!wanted) {
            if (!walk_over(c, walk_msgpack))
                return false;
            continue;
        }
        if (!walk_expect(c, walk_msgpack, PIECE_BYTES, &value))
            return false;
        *wanted = value.bytes;
    }
    return m->receipt.len > 0;
}

static bool dialect_rpc_messages(struct slice result, taken_fn fn, void *arg)
{
    struct cursor c = cursor_of(result);
    struct walk_piece list;
    if (!walk_expect(&c, walk_msgpack, PIECE_LIST, &list))
        return false;
    for (int64_t i = 0; i < list.n; i++) {
        struct taken m = {0};
        if (!dialect_rpc_message(&c, &m))
            return false;
        fn(arg, &m);
    }
    return true;
}

static bool dialect_rpc_number(struct slice result, int64_t *ret_n)
{
    struct cursor c = cursor_of(result);
    struct walk_piece p;
    if (!walk_expect(&c, walk_msgpack, PIECE_INT, &p))
        return false;
    *ret_n = p.n;
    return true;
}

static bool dialect_rpc_bytes(struct slice result, struct slice *ret_bytes)
{
    struct cursor c = cursor_of(result);
    struct walk_piece p;
    if (!walk_expect(&c, walk_msgpack, PIECE_BYTES, &p))
        return false;
    *ret_bytes = p.bytes;
    return true;
}

/* {"queue": q, "offset": of the first, "count": n}; other names are skipped. */
static bool dialect_rpc_place(struct slice result, struct wire_place *ret_place)
{
    struct cursor c = cursor_of(result);
    struct walk_piece map, name, value;
    int64_t queue = -1, offset = -1, count = -1;
    if (!walk_expect(&c, walk_msgpack, PIECE_LIST, &map))
        return false;
    for (int64_t i = 0; i < map.n / 2; i++) {
        if (!walk_expect(&c, walk_msgpack, PIECE_BYTES, &name))
            return false;
        int64_t *wanted = slice_equal(name.bytes, SLICE_LIT("queue"))    ? &queue
                          : slice_equal(name.bytes, SLICE_LIT("offset")) ? &offset
                          : slice_equal(name.bytes, SLICE_LIT("count"))  ? &count
                                                                         : NULL;
        if (wanted ? !walk_expect(&c, walk_msgpack, PIECE_INT, &value)
            : !walk_over(&c, walk_msgpack))
            return false;
        if (wanted)
            *wanted = value.n;
    }
    if (queue < 0 || queue > UINT32_MAX || offset < 0 || count < 0 || count > UINT32_MAX)
        return false;
    *ret_place = (struct wire_place){(uint32_t)queue, (uint32_t)count, (uint64_t)offset};
    return true;
}

/* The reply to checks_serve is OK; the checks arrive as requests of the broker. */
static bool dialect_rpc_checks(struct slice result, void (*fn)(void *arg, struct slice txid), void *arg)
{
    (void)result, (void)fn, (void)arg;
    return true;
}

const struct wire_dialect dialect_rpc = {
    .name = "rpc",
    .put = {[ASK_SEND] = dialect_rpc_put_send,
            [ASK_MSEND] = dialect_rpc_put_msend,
            [ASK_PRODUCE] = dialect_rpc_put_produce,
            [ASK_STREAM] = dialect_rpc_put_stream,
            [ASK_CREDIT] = dialect_rpc_put_credit,
            [ASK_CLOSE] = dialect_rpc_put_close,
            [ASK_POP] = dialect_rpc_put_pop,
            [ASK_ACK] = dialect_rpc_put_ack,
            [ASK_HALF] = dialect_rpc_put_half,
            [ASK_COMMIT] = dialect_rpc_put_commit,
            [ASK_ROLLBACK] = dialect_rpc_put_rollback,
            [ASK_CHECKS] = dialect_rpc_put_checks,
            [ASK_DECIDE] = dialect_rpc_put_decide},
    .next = dialect_rpc_next,
    .messages = dialect_rpc_messages,
    .number = dialect_rpc_number,
    .bytes = dialect_rpc_bytes,
    .place = dialect_rpc_place,
    .checks = dialect_rpc_checks,
};
