/* query_topic.c: answers TOPIC INFO and TOPIC LIST. */
#include <fnmatch.h>

#include "storage/query/handlers.h"
#include "storage/query/steps.h"

#define PATTERN_BYTES_MAX 128

static enum status topic_queues(struct view *v, struct buf *items, uint64_t *ret_messages)
{
    *ret_messages = 0;
    for (uint32_t q = 0; q < v->topic.n_queues; q++) {
        uint64_t first = 0, next = 0;
        enum status s = view_ends(v, q, &first, &next);
        if (s != ST_OK)
            return s;
        *ret_messages += next - first;
        reply_map(items, 4);
        reply_field_int(items, "queue", q);
        reply_field_int(items, "first", (int64_t)first);
        reply_field_int(items, "next", (int64_t)next);
        reply_field_int(items, "messages", (int64_t)(next - first));
    }
    return items->failed ? ST_NOMEM : ST_OK;
}

void query_topic_info(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)hint;
    struct buf items;
    uint64_t messages = 0;
    buf_init(&items, REPLY_BYTES_MAX);
    enum status s = view_topic(v, cmd->pos[0]);
    if (s == ST_OK)
        s = topic_queues(v, &items, &messages);
    if (s != ST_OK) {
        view_refuse(reply, s, "topic", cmd->pos[0]);
    } else {
        reply_map(reply, 8);
        reply_field_bytes(reply, "name", cmd->pos[0]);
        reply_field_int(reply, "queues", v->topic.n_queues);
        reply_field_int(reply, "order_queues", v->topic.order_queues);
        reply_field_bytes(reply, "compress", slice_str(compress_word(v->topic.compress)));
        reply_field_int(reply, "created", v->topic.created_ms);
        reply_field_int(reply, "messages", (int64_t)messages);
        reply_field_int(reply, "delayed", (int64_t)v->topic.delayed);
        reply_bulk_str(reply, "queue");
        reply_array(reply, v->topic.n_queues);
        buf_put_slice(reply, buf_slice(&items));
    }
    buf_free(&items);
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
    (void)v;
    struct slice name = slice_of(kv_iter_key(it).data + 1, kv_iter_key(it).len - 1);
    if (!topic_matches(name, arg))
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
