/* fit.c: decides whether a message can travel in a batch, and turns a message into a parcel and back. */
#include "clients/c/roles/fit.h"

#include "protocol/base/text.h"

#define NUMBERS_BYTES_MAX 64 /* of the varints of a message and its one-byte fields */
#define SIZE_BYTES_MAX 10 /* the length before a text */

static bool plain(const hmq_send_options *o)
{
    return !o->dedup && o->queue < 0 && o->priority < 0 && o->delay_ms == 0 && o->at_ms == 0;
}

static bool short_text(const char *text, struct slice *ret_s)
{
    struct slice s = slice_str(text);
    if (s.len < 1 || s.len > KEY_BYTES_MAX)
        return false;
    *ret_s = s;
    return true;
}

static bool fit_keys(const hmq_send_options *o, struct message *m)
{
    size_t n = o->n_keys + (o->key != NULL);
    if (n > KEYS_MAX)
        return false;
    if (n > 0)
        m->fields |= MSG_KEY;
    if (o->key && !short_text(o->key, &m->keys[m->n_keys++]))
        return false;
    for (size_t i = 0; i < o->n_keys; i++)
        if (!short_text(o->keys[i], &m->keys[m->n_keys++]))
            return false;
    return true;
}

static bool fit_props(const hmq_send_options *o, struct buf *props, struct message *m)
{
    size_t total = 0;
    if (o->n_props > PROPS_MAX)
        return false;
    for (size_t i = 0; i < o->n_props; i++) {
        struct slice name, value = slice_str(o->props[i].value);
        if (!short_text(o->props[i].name, &name))
            return false;
        total += name.len + value.len;
        if (total > PROPS_BYTES_MAX)
            return false;
        buf_put_sized(props, name);
        buf_put_sized(props, value);
    }
    if (o->n_props > 0)
        m->fields |= MSG_PROPS;
    m->n_props = (uint32_t)o->n_props;
    m->props = buf_slice(props);
    return !props->failed;
}

static bool fit_rest(const hmq_send_options *o, struct message *m)
{
    if (o->tag) {
        m->fields |= MSG_TAG;
        m->tag = slice_str(o->tag);
        if (!text_name_ok(m->tag, true))
            return false;
    }
    if (o->order) {
        m->fields |= MSG_ORDER;
        if (!short_text(o->order, &m->order))
            return false;
    }
    if (o->ttl_ms) {
        m->fields |= MSG_TTL;
        m->expires_ms = o->ttl_ms; /* relative: the record says that it is stored at 0 */
    }
    return o->ttl_ms >= 0 && o->ttl_ms <= DURATION_MS_MAX;
}

bool fit_message(const struct parcel *p, const hmq_send_options *o, struct buf *props,
                 struct message *ret_m)
{
    if (!plain(o) || p->len > FIT_BODY_MAX)
        return false;
    *ret_m = (struct message){.body = slice_of(p->body, p->len)};
    return fit_keys(o, ret_m) && fit_rest(o, ret_m) && fit_props(o, props, ret_m);
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
    const struct parts *p = &m->parts;
    *ret_options = (hmq_send_options)HMQ_SEND_OPTIONS;
    ret_options->keys = p->keys;
    ret_options->n_keys = p->n_keys;
    ret_options->tag = p->tag;
    ret_options->order = p->order;
    ret_options->props = p->props;
    ret_options->n_props = p->n_props;
    if (p->fields & MSG_TTL)
        ret_options->ttl_ms = p->expires_ms;
    *ret_parcel = (struct parcel){.method = "send",
                                  .topic = p->topic,
                                  .body = p->body,
                                  .len = p->len,
                                  .options = ret_options};
}
