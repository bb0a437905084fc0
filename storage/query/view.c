/* view.c: opens views and reads rows and records in them (view.h). */
#include "storage/query/view.h"

#include <stdlib.h>

#include "storage/disk/directory.h"

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

void view_close(struct view *v)
{
    if (!v)
        return;
    kv_snap_free(v->kv, v->snap);
    buf_free(&v->row);
    if (v->steps)
        free(v->steps->own);
    free(v->steps);
    free(v);
}

enum status view_get(struct view *v, const struct key *key)
{
    buf_reset(&v->row, KIB(256));
    return kv_get(v->kv, KV_STATE, v->snap, key_slice(key), &v->row);
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
    return topic_decode(buf_slice(&v->row), &v->topic) == ST_OK ? ST_OK : ST_IO;
}

struct kv_iter *view_log(struct view *v, uint32_t queue)
{
    return records_iter(v->kv, v->snap, v->topic.compress, v->topic.id, queue);
}

struct kv_iter *view_grant(struct view *v, const struct grant *g)
{
    return records_iter(v->kv, v->snap, g->compress, g->topic_id, g->queue);
}

enum status view_ends(struct view *v, uint32_t queue, uint64_t *ret_first, uint64_t *ret_next)
{
    struct directory d;
    if (!directory_open(&d, v->kv, v->snap, v->topic.id, v->topic.compress))
        return ST_NOMEM;
    uint64_t first = v->topic.floor[queue], next = first;
    struct record_info last;
    enum status s = directory_last(&d, queue, &last);
    if (s == ST_OK && last.base + last.count > next)
        next = last.base + last.count;
    directory_close(&d);
    *ret_first = first;
    *ret_next = next;
    return s == ST_GONE ? ST_OK : s;
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
