/* query_topic.c: answers TOPIC INFO and TOPIC LIST. */
#include <fnmatch.h>
#include <stdio.h>

#include "storage/query/handlers.h"

#include "storage/access/judge.h"
#include "storage/disk/directory.h"
#include "storage/query/base/steps.h"

#define PATTERN_BYTES_MAX 128

#define QUEUE_COST 8 /* of finding a queue's first and last record, in rows that are walked over */

struct topic_info {
    bool begun;
    uint32_t queue; /* the next one to look at */
    uint64_t messages, bytes;
};

/* What a queue has: the messages first .. next-1, in records of so many bytes. */
struct queue_info {
    uint64_t first, next, bytes;
};

/* Each row of the directory has the bytes of all records up to its own. Where a damaged one has not (total is 0), the next
 * record began to count anew, so there may be more than this says. */
static uint64_t topic_bytes(const struct record_info *first, const struct record_info *last, uint64_t floor)
{
    uint64_t gone = floor > first->base ? (uint64_t)first->bytes * (floor - first->base) / first->count : 0;
    if (first->base == last->base)
        return first->bytes - gone;
    bool known = first->total && last->total >= first->total;
    return known ? last->total - first->total + first->bytes - gone : last->total;
}

static enum status topic_queue(struct view *v, struct directory *d, uint32_t queue, struct queue_info *ret_q)
{
    struct record_info first, last;
    uint64_t floor = v->topic.floor[queue];
    *ret_q = (struct queue_info){.first = floor, .next = floor};
    enum status s = directory_last(d, queue, &last);
    if (s != ST_OK || last.base + last.count <= floor)
        return s == ST_GONE ? ST_OK : s;
    ret_q->next = last.base + last.count;
    s = directory_find(d, queue, floor, &first);
    if (s == ST_OK)
        ret_q->bytes = topic_bytes(&first, &last, floor);
    return s == ST_GONE ? ST_OK : s;
}

static enum status topic_queues(struct view *v, struct topic_info *t)
{
    struct directory d;
    struct buf *items = &v->steps->items;
    if (!directory_open(&d, v->kv, v->snap, v->topic.id, v->topic.compress))
        return ST_NOMEM;
    enum status s = ST_OK;
    for (; t->queue < v->topic.n_queues && s == ST_OK; t->queue++) {
        struct queue_info q;
        if (v->budget <= 0) {
            s = ST_BUSY;
            break;
        }
        v->budget -= QUEUE_COST;
        s = topic_queue(v, &d, t->queue, &q);
        if (s != ST_OK)
            break;
        uint64_t removed = v->topic.n_queues == 1 ? v->topic.removed : 0; /* only dead letters are removed one by one */
        uint64_t messages = q.next - q.first > removed ? q.next - q.first - removed : 0;
        t->messages += messages;
        t->bytes += q.bytes;
        reply_map(items, 5);
        reply_field_int(items, "queue", t->queue);
        reply_field_int(items, "first", (int64_t)q.first);
        reply_field_int(items, "next", (int64_t)q.next);
        reply_field_int(items, "messages", (int64_t)messages);
        reply_field_int(items, "bytes", (int64_t)q.bytes);
    }
    directory_close(&d);
    return s;
}

static void topic_put_head(const struct view *v, const struct topic_info *t, struct slice name, struct buf *reply)
{
    reply_map(reply, 12);
    reply_field_bytes(reply, "name", name);
    reply_field_int(reply, "queues", v->topic.n_queues);
    reply_field_int(reply, "order_queues", v->topic.order_queues);
    reply_field_bytes(reply, "compress", slice_str(compress_word(v->topic.compress)));
    reply_field_int(reply, "retention", v->topic.retention_ms);
    reply_field_int(reply, "maxbytes", (int64_t)v->topic.max_bytes);
    reply_field_int(reply, "created", v->topic.created_ms);
    reply_field_int(reply, "messages", (int64_t)t->messages);
    reply_field_int(reply, "delayed", (int64_t)v->topic.delayed);
    reply_bulk_str(reply, "queue");
}

/* The ranges of messages that are known to be damaged, and not deleted meanwhile. */
static void topic_put_damaged(const struct view *v, struct slice name, struct buf *reply)
{
    struct damage_range r;
    struct buf texts;
    size_t n = 0, at = 0;
    buf_init(&texts, 0);
    while (kv_damaged_range(v->kv, v->topic.id, &at, &r)) {
        char text[NAME_BYTES_MAX + 64];
        if (r.queue >= v->topic.n_queues || r.last < v->topic.floor[r.queue])
            continue;
        (void)snprintf(text, sizeof text, "%.*s:%u:%llu-%llu", (int)name.len, (const char *)name.data, r.queue,
                       (unsigned long long)r.first, (unsigned long long)r.last);
        reply_bulk_str(&texts, text);
        n++;
    }
    reply_bulk_str(reply, "damaged");
    reply_array(reply, texts.failed ? 0 : n);
    if (!texts.failed)
        buf_put_slice(reply, buf_slice(&texts));
    buf_free(&texts);
}

void query_topic_info(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)hint;
    struct topic_info *t = steps_own(v, sizeof(*t));
    enum status s = t ? ST_OK : ST_NOMEM;
    if (s == ST_OK && !t->begun) {
        t->begun = true;
        buf_init(&v->steps->items, REPLY_BYTES_MAX);
        s = view_topic(v, cmd->pos[0]);
    }
    if (s == ST_OK && v->steps->phase == STEPS_LOOK) {
        s = topic_queues(v, t);
        if (s == ST_OK)
            topic_put_head(v, t, cmd->pos[0], reply);
    }
    if (s == ST_OK)
        s = steps_put(v, v->topic.n_queues, reply);
    if (s == ST_OK)
        reply_field_int(reply, "bytes", (int64_t)t->bytes);
    if (s == ST_OK)
        topic_put_damaged(v, cmd->pos[0], reply);
    steps_end(v, s, reply, s == ST_GONE ? "topic" : "store", cmd->pos[0]);
}

/* Names are at most NAME_BYTES_MAX long and patterns are bounded, so matching is too. */
static bool topic_matches(struct slice name, const char *pattern)
{
    char text[NAME_BYTES_MAX + 16];
    if (!pattern[0])
        return true;
    if (name.len >= sizeof(text))
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = 0;
    return fnmatch(pattern, text, 0) == 0;
}

/* An item of TOPIC LIST: a topic whose name matches the pattern. */
static enum status topic_name(struct view *v, const void *arg, struct kv_iter *it, struct buf *out)
{
    struct slice name = slice_of(kv_iter_key(it).data + 1, kv_iter_key(it).len - 1);
    if (!topic_matches(name, arg) || (v->user && !judge_topic(v->user, name)))
        return ST_GONE;
    if (out)
        reply_bulk(out, name);
    return ST_OK;
}

void query_topic_list(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)hint;
    char pattern[PATTERN_BYTES_MAX + 1] = "";
    if (cmd->n_pos > 0 && cmd->pos[0].len > PATTERN_BYTES_MAX) {
        reply_error(reply, ST_ERR, "the pattern is too long: %zu bytes, at most %d", cmd->pos[0].len,
                    PATTERN_BYTES_MAX);
        return;
    }
    if (cmd->n_pos > 0 && cmd->pos[0].len)
        memcpy(pattern, cmd->pos[0].data, cmd->pos[0].len);
    struct key prefix;
    key_begin(&prefix, 'T');
    enum status s = steps_list(v, &prefix, topic_name, pattern, reply);
    if (s == ST_GONE) {
        reply_array(reply, 0);
        s = ST_OK;
    }
    steps_end(v, s, reply, "store", slice_of(NULL, 0));
}
