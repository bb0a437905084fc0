/* view.c: opens views and reads rows and records in them (view.h). */
#include "storage/query/base/view.h"

#include <stdlib.h>

void view_ask_clients(struct view *v, query_clients_fn *fn, void *arg)
{
    v->clients = fn;
    v->clients_arg = arg;
}

struct view *view_open(struct store *s)
{
    struct view *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->kv = s->kv;
    v->snap = kv_snapshot(s->kv);
    v->reply_most = REPLY_BYTES_SOFT;
    buf_init(&v->row, REQUEST_BYTES_MAX + MIB(1));
    if (v->snap)
        return v;
    free(v);
    return NULL;
}

void view_limit_replies(struct view *v, size_t most)
{
    v->reply_most = most < REPLY_BYTES_SOFT ? most : REPLY_BYTES_SOFT;
}

void view_keep_records(struct view *v, struct record_cache *c)
{
    v->records = c;
}

size_t view_held(const struct view *v)
{
    return v->steps ? v->steps->items.size : 0;
}

void view_close(struct view *v)
{
    if (!v)
        return;
    for (int i = 0; i < VIEW_PLACES; i++)
        kv_iter_free(v->places[i].it);
    kv_snap_free(v->kv, v->snap);
    buf_free(&v->row);
    if (v->steps) {
        buf_free(&v->steps->items);
        free(v->steps->own);
    }
    free(v->steps);
    free(v->lost);
    free(v);
}

enum status view_get(struct view *v, const struct key *key)
{
    buf_reset(&v->row, KIB(256));
    return kv_get(v->kv, KV_STATE, v->snap, key_slice(key), &v->row);
}

enum status view_damaged(struct view *v, const struct key *key)
{
    return kv_damaged_row(v->kv, key_slice(key));
}

struct kv_iter *view_rows(struct view *v, const struct key *prefix)
{
    struct key to = key_after(prefix);
    return kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(prefix), key_slice(&to));
}

enum status view_topic(struct view *v, struct slice name)
{
    struct key key = key_topic(name);
    enum status s = view_get(v, &key);
    if (s != ST_OK)
        return s;
    return topic_decode(buf_slice(&v->row), &v->topic) == ST_OK ? ST_OK : view_damaged(v, &key);
}

struct kv_iter *view_log(struct view *v, uint32_t queue)
{
    return records_iter(v->kv, v->snap, v->topic.compress, v->topic.id, queue);
}

struct kv_iter *view_grant(struct view *v, const struct grant *g)
{
    return records_iter(v->kv, v->snap, g->compress, g->topic_id, g->queue);
}

enum status view_find_lost(struct view *v, struct slice topic, uint32_t queue, uint64_t offset, uint64_t *ret_first,
                           uint64_t *ret_last)
{
    struct lost_where w = {.kv = v->kv,
                           .snap = v->snap,
                           .topic = v->topic.id,
                           .queue = queue,
                           .compress = v->topic.compress,
                           .name = topic};
    return lost_find(&w, offset, ret_first, ret_last);
}

/* Without memory it is not noted: the messages stay leased, and are found damaged once more when they are delivered
 * again. */
static void view_note_lost(struct view *v, const struct grant *g, uint64_t first, uint64_t last)
{
    if (v->n_lost == v->lost_size) {
        uint32_t size = v->lost_size ? 2 * v->lost_size : 4;
        struct lost *lost = realloc(v->lost, size * sizeof(*lost));
        if (!lost)
            return;
        v->lost = lost;
        v->lost_size = size;
    }
    v->lost[v->n_lost++] = (struct lost){g, first, last};
}

/* True where offset was purged since it was granted; *ret_last: what else was. */
static enum status view_purged(struct view *v, const struct grant *g, uint64_t offset, bool *ret_purged,
                               uint64_t *ret_last)
{
    enum status s = view_topic(v, g->topic);
    bool gone = s == ST_GONE || (s == ST_OK && v->topic.id != g->topic_id);
    *ret_purged = gone || (s == ST_OK && offset < v->topic.floor[g->queue]);
    if (*ret_purged)
        *ret_last = gone ? UINT64_MAX : v->topic.floor[g->queue] - 1;
    return *ret_purged ? ST_OK : s;
}

enum status view_skip(struct view *v, const struct grant *g, uint64_t offset, uint64_t *ret_last)
{
    bool purged = false;
    uint64_t first = 0, end = g->base + g->count;
    enum status s = view_purged(v, g, offset, &purged, ret_last);
    if (s == ST_OK && !purged) {
        s = view_find_lost(v, g->topic, g->queue, offset, &first, ret_last);
        if (s == ST_GONE || s == ST_BAD) { /* it was granted, so it was there */
            *ret_last = end - 1;
            s = kv_damaged_record(v->kv, NULL, g->topic, g->topic_id, g->queue, offset, *ret_last);
        }
    }
    if (s != ST_DAMAGED)
        return s;
    view_note_lost(v, g, offset, *ret_last < end ? *ret_last : end - 1);
    return ST_OK;
}

uint32_t view_lost(const struct view *v, const struct lost **ret_lost)
{
    *ret_lost = v->lost;
    return v->n_lost;
}

void view_refuse_lost(struct buf *reply, struct slice topic, uint32_t queue, uint64_t first, uint64_t last)
{
    char name[160];
    text_quote(topic, 135, name, sizeof(name));
    reply_error(reply, ST_DAMAGED, "%s:%u:%llu-%llu cannot be read: the first offset behind it is %llu", name, queue,
                (unsigned long long)first, (unsigned long long)last, (unsigned long long)last + 1);
}

void view_refuse(struct buf *reply, enum status s, const char *what, struct slice name)
{
    char text[160];
    text_quote(name, 135, text, sizeof(text));
    if (s == ST_GONE && what[0] == 't')
        reply_error(reply, ST_NOTOPIC, "no topic '%s': SEND to it or TOPIC CREATE it first", text);
    else if (s == ST_GONE)
        reply_error(reply, ST_NOGROUP, "no group '%s'", text);
    else if (s == ST_NOMEM)
        reply_error(reply, ST_BUSY, "no memory to read: try again");
    else if (s == ST_DAMAGED)
        reply_error(reply, s, "a row of the store is damaged: see the broker's log");
    else
        reply_error(reply, ST_ERR, "the store cannot be read now: try again");
}
