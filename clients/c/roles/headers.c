/* headers.c: joins the options of a send with the message that it is to be like; see headers.h. */
#include "clients/c/roles/headers.h"

static struct slice headers_text(const char *text)
{
    return text ? slice_str(text) : slice_of(NULL, 0);
}

static struct parts_prop headers_own_prop(const hmq_send_options *o, size_t i)
{
    if (i < o->n_props)
        return (struct parts_prop){slice_str(o->props[i].name), slice_str(o->props[i].value)};
    const hmq_prop_bytes *prop = &o->binary_props[i - o->n_props];
    return (struct parts_prop){slice_of(prop->name, prop->name_len), slice_of(prop->value, prop->value_len)};
}

static bool headers_replaced(const hmq_send_options *o, struct slice name)
{
    for (size_t i = 0; i < o->n_props + o->n_binary_props; i++)
        if (slice_equal(headers_own_prop(o, i).name, name))
            return true;
    return false;
}

static bool headers_has_own_keys(const hmq_send_options *o)
{
    return o->key || o->n_keys > 0;
}

struct headers headers_of(const hmq_send_options *o)
{
    const struct hmq_message *like = o->like;
    struct headers h = {.options = o, .like = like, .priority = o->priority, .ttl_ms = o->ttl_ms};
    h.n_keys = o->n_keys + (o->key != NULL);
    h.n_props = o->n_props + o->n_binary_props;
    h.tag = headers_text(o->tag);
    h.order = headers_text(o->order);
    if (!like)
        return h;
    if (!headers_has_own_keys(o))
        h.n_keys = message_n_keys(like);
    if (!o->tag)
        h.tag = headers_text(hmq_message_tag(like));
    if (!o->order && o->queue < 0)
        h.order = message_order(like);
    if (o->priority < 0)
        h.priority = hmq_message_priority(like);
    if (o->ttl_ms == 0)
        h.ttl_ms = message_ttl_ms(like);
    for (size_t i = 0; i < message_n_props(like); i++)
        h.n_props += !headers_replaced(o, message_property(like, i).name);
    return h;
}

struct slice headers_key(const struct headers *h, size_t i)
{
    const hmq_send_options *o = h->options;
    if (h->like && !headers_has_own_keys(o))
        return message_key(h->like, i);
    if (o->key && i == 0)
        return slice_str(o->key);
    return slice_str(o->keys[i - (o->key != NULL)]);
}

bool headers_prop(const struct headers *h, size_t *at, struct parts_prop *ret_prop)
{
    const hmq_send_options *o = h->options;
    size_t n = message_n_props(h->like);
    for (; *at < n; ++*at) {
        *ret_prop = message_property(h->like, *at);
        if (!headers_replaced(o, ret_prop->name)) {
            ++*at;
            return true;
        }
    }
    size_t own = *at - n;
    if (own >= o->n_props + o->n_binary_props)
        return false;
    *ret_prop = headers_own_prop(o, own);
    ++*at;
    return true;
}
