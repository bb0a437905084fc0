/* query_delay.c: DELAYED LIST: a topic's delayed messages, those due first at the front. */
#include "storage/query/emit.h"
#include "storage/query/handlers.h"

#define DELAYED_KEY_BYTES 25 /* L, topic u64, due u64, token u64 */

static enum status delayed_row(struct buf *items, struct slice key, struct slice value)
{
    struct half_row half;
    struct message m;
    if (key.len != DELAYED_KEY_BYTES || half_decode(value, &half) != ST_OK ||
        message_decode(half.message, half.base_ms, &m) != ST_OK)
        return ST_BAD;
    emit_delayed(items, key_read_u64(key.data + 17), (int64_t)key_read_u64(key.data + 9), &half, &m);
    return items->failed ? ST_NOMEM : ST_OK;
}

/* Writes at most count of them, and fewer where they are large. */
static enum status delayed_rows(struct view *v, uint32_t count, struct buf *items, uint32_t *ret_n)
{
    struct key prefix = key_of_id('L', v->topic.id);
    struct kv_iter *it = view_rows(v, &prefix);
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    uint32_t n = 0;
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        if (n == count || items->len >= v->reply_most)
            break;
        s = delayed_row(items, kv_iter_key(it), kv_iter_value(it));
        if (s == ST_BAD)
            s = kv_damaged_row(v->kv, kv_iter_key(it));
        n++;
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    *ret_n = n;
    return s;
}

void query_delayed_list(struct view *v, const struct command *cmd, struct buf *reply,
                        struct query_hint *hint)
{
    (void)hint;
    uint32_t n = 0;
    struct buf items;
    buf_init(&items, REPLY_BYTES_MAX);
    enum status s = view_topic(v, cmd->pos[0]);
    if (s == ST_OK)
        s = delayed_rows(v, (uint32_t)command_number(cmd, OPT_ID_COUNT, LIST_COUNT_DEFAULT), &items, &n);
    if (s == ST_OK) {
        reply_array(reply, n);
        buf_put_slice(reply, buf_slice(&items));
    } else {
        view_refuse(reply, s, s == ST_GONE ? "topic" : "store", cmd->pos[0]);
    }
    buf_free(&items);
}
