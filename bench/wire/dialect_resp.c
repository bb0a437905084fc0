/*
 * dialect_resp.c: HalfMQ's text dialect. Check-backs are polled with CHECKS, whose reply is an array of JSON texts.
 */
#include "bench/wire/dialect_resp.h"

#include <cjson/cJSON.h>

#include "bench/wire/dialect_words.h"
#include "bench/wire/walk.h"

static size_t resp_label_words(const struct wire_ask *a)
{
    return (a->tag_word.len > 0 ? 2u : 0) + (a->number.len > 0 ? 3u : 0) + (a->has_priority ? 2u : 0);
}

static void resp_put_label(struct buf *out, const struct wire_ask *a)
{
    if (a->tag_word.len > 0) {
        words_put_str(out, "TAG");
        words_put(out, a->tag_word);
    }
    if (a->number.len > 0) {
        words_put_str(out, "PROP");
        words_put_str(out, "n");
        words_put(out, a->number);
    }
    if (a->has_priority) {
        words_put_str(out, "PRIORITY");
        words_put_int(out, a->priority);
    }
}

static void resp_put_send(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 3u + (a->order.len > 0 ? 2u : 0) + (a->dedup.len > 0 ? 2u : 0) + resp_label_words(a));
    words_put_str(out, "SEND");
    words_put(out, a->topic);
    words_put(out, a->body);
    if (a->order.len > 0) {
        words_put_str(out, "ORDER");
        words_put(out, a->order);
    }
    if (a->dedup.len > 0) {
        words_put_str(out, "DEDUP");
        words_put(out, a->dedup);
    }
    resp_put_label(out, a);
}

static void resp_put_msend(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 2 + a->n_bodies);
    words_put_str(out, "MSEND");
    words_put(out, a->topic);
    for (size_t i = 0; i < a->n_bodies; i++)
        words_put(out, a->bodies[i]);
}

static void resp_put_pop(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 9);
    words_put_str(out, "POP");
    words_put(out, a->group);
    words_put(out, a->topic);
    words_put_str(out, "COUNT");
    words_put_int(out, a->count);
    words_put_str(out, "WAIT");
    words_put_int(out, a->wait_ms);
    words_put_str(out, "LEASE");
    words_put_int(out, a->lease_ms);
}

static void resp_put_ack(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 2 + a->n_receipts);
    words_put_str(out, "ACK");
    words_put(out, a->group);
    for (size_t i = 0; i < a->n_receipts; i++)
        words_put(out, a->receipts[i]);
}

static void resp_put_half(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 4u + (a->txid.len > 0 ? 2u : 0) + (a->checkin_ms > 0 ? 2u : 0));
    words_put_str(out, "HALF");
    words_put(out, a->group);
    words_put(out, a->topic);
    words_put(out, a->body);
    if (a->txid.len > 0) {
        words_put_str(out, "TXN");
        words_put(out, a->txid);
    }
    if (a->checkin_ms > 0) {
        words_put_str(out, "CHECKIN");
        words_put_int(out, a->checkin_ms);
    }
}

static void resp_put_commit(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 2);
    words_put_str(out, "COMMIT");
    words_put(out, a->txid);
}

static void resp_put_rollback(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 2);
    words_put_str(out, "ROLLBACK");
    words_put(out, a->txid);
}

static void resp_put_checks(struct buf *out, const struct wire_ask *a)
{
    words_begin(out, 6);
    words_put_str(out, "CHECKS");
    words_put(out, a->group);
    words_put_str(out, "COUNT");
    words_put_int(out, a->count);
    words_put_str(out, "WAIT");
    words_put_int(out, a->wait_ms);
}

/* [receipt, body, attributes, properties] */
static bool resp_message(struct cursor *c, struct taken *m)
{
    struct walk_piece list, receipt, body;
    if (!walk_expect(c, walk_resp, PIECE_LIST, &list) || list.n != 4 ||
        !walk_expect(c, walk_resp, PIECE_BYTES, &receipt) ||
        !walk_expect(c, walk_resp, PIECE_BYTES, &body))
        return false;
    *m = (struct taken){receipt.bytes, body.bytes};
    for (int rest = 0; rest < 2; rest++) {
        if (!walk_over(c, walk_resp))
            return false;
    }
    return true;
}

static bool resp_messages(struct slice result, taken_fn fn, void *arg)
{
    struct cursor c = cursor_of(result);
    struct walk_piece list;
    if (!walk_expect(&c, walk_resp, PIECE_LIST, &list))
        return false;
    for (int64_t i = 0; i < list.n; i++) {
        struct taken m;
        if (!resp_message(&c, &m))
            return false;
        fn(arg, &m);
    }
    return true;
}

/* One check: a JSON object, of which the txid is wanted. */
static bool resp_check(struct slice json, void (*fn)(void *arg, struct slice txid), void *arg)
{
    cJSON *check = cJSON_ParseWithLength((const char *)json.data, json.len);
    const char *txid = cJSON_GetStringValue(cJSON_GetObjectItem(check, "txid"));
    if (txid)
        fn(arg, slice_str(txid));
    cJSON_Delete(check);
    return txid != NULL;
}

static bool resp_checks(struct slice result, void (*fn)(void *arg, struct slice txid), void *arg)
{
    struct cursor c = cursor_of(result);
    struct walk_piece list, json;
    if (!walk_expect(&c, walk_resp, PIECE_LIST, &list))
        return false;
    for (int64_t i = 0; i < list.n; i++) {
        if (!walk_expect(&c, walk_resp, PIECE_BYTES, &json) || !resp_check(json.bytes, fn, arg))
            return false;
    }
    return true;
}

const struct wire_dialect dialect_resp = {
    .name = "resp",
    .ordered = true,
    .put = {[ASK_SEND] = resp_put_send,
            [ASK_MSEND] = resp_put_msend,
            [ASK_POP] = resp_put_pop,
            [ASK_ACK] = resp_put_ack,
            [ASK_HALF] = resp_put_half,
            [ASK_COMMIT] = resp_put_commit,
            [ASK_ROLLBACK] = resp_put_rollback,
            [ASK_CHECKS] = resp_put_checks,
            [ASK_DECIDE] = resp_put_commit},
    .next = words_next,
    .messages = resp_messages,
    .number = words_number,
    .bytes = words_bytes,
    .checks = resp_checks,
};
