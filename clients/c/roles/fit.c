/* fit.c: decides whether a message can travel in a batch, and turns a message into a parcel and back. */
#include "clients/c/roles/fit.h"

#include "clients/c/roles/headers.h"
#include "protocol/base/text.h"

#define NUMBERS_BYTES_MAX 64 /* of the varints of a message and its one-byte fields */
#define SIZE_BYTES_MAX 10 /* the length before a text */

static bool fit_is_plain(const hmq_send_options *o, const struct headers *h)
{
    return !o->dedup && o->queue < 0 && h->priority < 0 && o->delay_ms == 0 && o->at_ms == 0;
}

static bool fit_short(struct slice s)
{
    return s.len >= 1 && s.len <= KEY_BYTES_MAX;
}

static bool fit_keys(const struct headers *h, struct message *m)
{
    if (h->n_keys > KEYS_MAX)
        return false;
    if (h->n_keys > 0)
        m->fields |= MSG_KEY;
    for (; m->n_keys < h->n_keys; m->n_keys++) {
        m->keys[m->n_keys] = headers_key(h, m->n_keys);
        if (!fit_short(m->keys[m->n_keys]))
            return false;
    }
    return true;
}

static bool fit_props(const struct headers *h, struct buf *props, struct message *m)
{
    size_t total = 0;
    struct parts_prop prop;
    if (h->n_props > PROPS_MAX)
        return false;
    for (size_t at = 0; headers_prop(h, &at, &prop);) {
        total += prop.name.len + prop.value.len;
        if (!fit_short(prop.name) || total > PROPS_BYTES_MAX)
            return false;
        buf_put_sized(props, prop.name);
        buf_put_sized(props, prop.value);
    }
    if (h->n_props > 0)
        m->fields |= MSG_PROPS;
    m->n_props = (uint32_t)h->n_props;
    m->props = buf_slice(props);
    return !props->failed;
}

static bool fit_rest(const struct headers *h, struct message *m)
{
    if (h->tag.data) {
        m->fields |= MSG_TAG;
        m->tag = h->tag;
        if (!text_name_ok(m->tag, true))
            return false;
    }
    if (h->order.data) {
        m->fields |= MSG_ORDER;
        m->order = h->order;
        if (!fit_short(m->order))
            return false;
    }
    if (h->ttl_ms) {
        m->fields |= MSG_TTL;
        m->expires_ms = h->ttl_ms; /* relative: the record says that it is stored at 0 */
    }
    return h->ttl_ms >= 0 && h->ttl_ms <= DURATION_MS_MAX;
}

static bool fit_headers(const struct headers *h, struct buf *props, struct message *m)
{
    return fit_keys(h, m) && fit_rest(h, m) && fit_props(h, props, m);
}

bool fit_message(const struct parcel *p, const hmq_send_options *o, struct buf *props,
                 struct message *ret_m)
{
    struct headers h = headers_of(o);
    if (!fit_is_plain(o, &h) || p->len > FIT_BODY_MAX)
        return false;
    message_clear(ret_m);
    ret_m->body = slice_of(p->body, p->len);
    return fit_headers(&h, props, ret_m);
}

bool fit_bare(const struct parcel *p, struct message *ret_m)
{
    if (p->options || !p->topic || !p->body || p->len > FIT_BODY_MAX)
        return false;
    /* Only what is read of a message without fields: clearing the whole of it takes a tenth of what sending it takes. */
    ret_m->fields = 0;
    ret_m->born_ms = 0;
    ret_m->n_keys = ret_m->n_props = 0;
    ret_m->tag.len = ret_m->order.len = ret_m->props.len = 0;
    ret_m->body = slice_of(p->body, p->len);
    return true;
}

bool fit_copy(const struct hmq_message *m, const hmq_send_options *o, int64_t now_ms, struct buf *props,
              struct message *ret_m)
{
    size_t len;
    struct headers h = headers_of(o);
    *ret_m = (struct message){0};
    ret_m->body.data = hmq_message_body(m, &len);
    ret_m->body.len = len;
    int64_t age_ms = now_ms - hmq_message_born_ms(m);
    age_ms = age_ms < 0 ? 0 : age_ms < DURATION_MS_MAX ? age_ms : DURATION_MS_MAX;
    ret_m->born_ms = -age_ms; /* relative as well */
    return fit_headers(&h, props, ret_m);
}

size_t fit_bytes(const struct message *m)
{
    size_t bytes = NUMBERS_BYTES_MAX + m->tag.len + m->order.len + m->props.len + m->body.len;
    for (uint32_t i = 0; i < m->n_keys; i++)
        bytes += SIZE_BYTES_MAX + m->keys[i].len;
    return bytes;
}

void fit_parcel(const struct hmq_message *m, hmq_send_options *ret_options,
                struct parcel *ret_parcel)
{
    *ret_options = (hmq_send_options)HMQ_SEND_OPTIONS;
    ret_options->like = m;
    *ret_parcel = (struct parcel){.method = "send",
                                  .topic = m->batch->topic,
                                  .body = m->body,
                                  .len = m->len,
                                  .options = ret_options};
}
