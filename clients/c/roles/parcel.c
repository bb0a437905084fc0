/*
 * parcel.c: a message as a frame: `send` and `half` with all their options.
 *
 * The number of pairs comes before them, so every option is looked at twice: counted, then written. FIELDS lists
 * the options that are a name and one value.
 */
#include "clients/c/roles/parcel.h"

#include <inttypes.h>
#include <stdio.h>

#include "clients/c/roles/headers.h"
#include "clients/c/wire/request.h"
#include "clients/c/wire/sized.h"
#include "protocol/limits.h"

#define USUAL_BYTES 120 /* of what stands beside the body */

/* A parcel with its options as they are sent, defaults applied. */
struct letter {
    const struct parcel *parcel;
    hmq_send_options o;
    struct headers headers; /* of o */
    char dedup[DEDUP_SIZE], txid[24];
};

/* TEXT(name, value): left out where NULL. BYTES(name, slice): the same. INT(name, value, absent): left out where it is
 * absent. */
#define FIELDS(TEXT, BYTES, INT)             \
    TEXT("pgroup", l->parcel->pgroup)        \
    TEXT("topic", l->parcel->topic)          \
    TEXT("txn", l->txid[0] ? l->txid : NULL) \
    BYTES("tag", l->headers.tag)             \
    BYTES("order", l->headers.order)         \
    TEXT("dedup", l->o.dedup)                \
    INT("queue", l->o.queue, -1)             \
    INT("priority", l->headers.priority, -1) \
    INT("delay", l->o.delay_ms, 0)           \
    INT("at", l->o.at_ms, 0)                 \
    INT("ttl", l->headers.ttl_ms, 0)         \
    INT("checkin", l->o.checkin_ms, 0)

static size_t parcel_count_pairs(const struct letter *l)
{
    size_t n = 1; /* the body */
#define TEXT(name, value) n += (value) != NULL;
#define BYTES(name, slice) n += (slice).data != NULL;
#define INT(name, value, absent) n += (value) != (absent);
    FIELDS(TEXT, BYTES, INT)
#undef TEXT
#undef BYTES
#undef INT
    return n + (l->headers.n_keys > 0) + (l->headers.n_props > 0);
}

static void parcel_put_bytes(struct buf *b, const char *name, struct slice s)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_str(b, s);
}

static void parcel_put_keys(struct buf *b, const struct headers *h)
{
    if (h->n_keys == 0)
        return;
    rpc_put_str(b, SLICE_LIT("key"));
    rpc_put_list(b, h->n_keys);
    for (size_t i = 0; i < h->n_keys; i++)
        rpc_put_str(b, headers_key(h, i));
}

static void parcel_put_props(struct buf *b, const struct headers *h)
{
    struct parts_prop prop;
    if (h->n_props == 0)
        return;
    rpc_put_str(b, SLICE_LIT("prop"));
    rpc_put_map(b, h->n_props);
    for (size_t at = 0; headers_prop(h, &at, &prop);) {
        rpc_put_str(b, prop.name);
        rpc_put_str(b, prop.value);
    }
}

static void parcel_put_pairs(struct buf *b, const struct letter *l)
{
#define TEXT(name, value) \
    if (value)            \
        pair_text(b, name, value);
#define INT(name, value, absent) \
    if ((value) != (absent))     \
        pair_int(b, name, value);
#define BYTES(name, slice) \
    if ((slice).data)      \
        parcel_put_bytes(b, name, slice);
    FIELDS(TEXT, BYTES, INT)
#undef TEXT
#undef BYTES
#undef INT
    parcel_put_keys(b, &l->headers);
    parcel_put_props(b, &l->headers);
    pair_bin(b, "body", l->parcel->body, l->parcel->len);
}

/* The caller's options, of whatever size they were in its version of the header. */
static bool parcel_read_options(hmq_send_options *to, const hmq_send_options *from)
{
    *to = (hmq_send_options)HMQ_SEND_OPTIONS;
    if (!from)
        return true;
    return sized_read(to, sizeof *to, from, offsetof(hmq_send_options, checkin_ms));
}

static enum hmq_status parcel_check(const struct parcel *p, const hmq_send_options *o,
                                    hmq_error *err)
{
    if (!p->topic || (!p->body && p->len > 0))
        return error_set(err, HMQ_EINVAL,
                         "a message needs a topic, and a body where its length is not 0");
    if (p->len > BODY_BYTES_CEILING)
        return error_set(err, HMQ_ETOOBIG, "a body of %zu bytes: no broker takes more than %ld",
                         p->len, BODY_BYTES_CEILING);
    for (size_t i = 0; i < o->n_keys; i++)
        if (!o->keys || !o->keys[i])
            return error_set(err, HMQ_EINVAL, "send_options: key %zu is NULL", i);
    for (size_t i = 0; i < o->n_props; i++)
        if (!o->props || !o->props[i].name || !o->props[i].value)
            return error_set(err, HMQ_EINVAL, "send_options: property %zu has no name or no value",
                             i);
    for (size_t i = 0; i < o->n_binary_props; i++)
        if (!o->binary_props || !o->binary_props[i].name || (!o->binary_props[i].value && o->binary_props[i].value_len))
            return error_set(err, HMQ_EINVAL, "send_options: binary property %zu has no name or no value", i);
    return HMQ_OK;
}

enum hmq_status parcel_options(const struct parcel *p, hmq_send_options *ret_options,
                               hmq_error *err)
{
    if (!parcel_read_options(ret_options, p->options))
        return error_set(err, HMQ_EINVAL, "send_options: start from HMQ_SEND_OPTIONS, of a header no newer than the library");
    return parcel_check(p, ret_options, err);
}

/* Applies what the sender decides: the DEDUP id, the txid as text, the first check-back. */
static void parcel_number(struct sender *s, struct letter *l)
{
    bool half = l->parcel->pgroup != NULL;
    if (!l->o.dedup && s->dedup) {
        sender_dedup(s, l->dedup);
        l->o.dedup = l->dedup;
    }
    if (l->parcel->txid)
        snprintf(l->txid, sizeof l->txid, "%" PRIu64, l->parcel->txid);
    if (!half || l->parcel->txid)
        l->o.checkin_ms = 0;
    else if (l->o.checkin_ms == 0)
        l->o.checkin_ms = s->checkin_ms;
}

enum hmq_status parcel_encode(struct sender *s, const struct parcel *p, struct call *call,
                              hmq_error *err)
{
    struct letter l = {.parcel = p};
    enum hmq_status status = parcel_options(p, &l.o, err);
    if (status != HMQ_OK)
        return status;
    parcel_number(s, &l);
    l.headers = headers_of(&l.o);
    (void)buf_room(&call->frame, p->len + USUAL_BYTES); /* one allocation instead of three; a failure stays in it */
    request_begin(call, p->method, parcel_count_pairs(&l));
    parcel_put_pairs(&call->frame, &l);
    if (l.o.dedup) /* sent after others of its sequence, it would be out of order */
        call->repeat = l.headers.order.data || l.o.queue >= 0 ? CALL_AGAIN : CALL_AGAIN_BUSY;
    if (call->frame.over)
        return error_set(err, HMQ_ETOOBIG, "the message is larger than %ld bytes", REQUEST_BYTES_MAX);
    return call->frame.failed ? error_plain(err, HMQ_ENOMEM) : HMQ_OK;
}
