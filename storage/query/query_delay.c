/* query_delay.c: DELAYED LIST: a topic's delayed messages, those due first at the front. */
#include "storage/query/handlers.h"
#include "storage/query/base/steps.h"

#define DELAYED_KEY_BYTES 25 /* L, topic u64, due u64, token u64 */

struct delayed_list {
    bool begun;
    struct gather g;
};

static enum status delayed_row(struct view *v, void *arg, const struct kv_iter *it, struct gather *g)
{
    (void)arg;
    struct slice key = kv_iter_key(it), value = kv_iter_value(it);
    struct half_row half;
    struct message m;
    view_spend(v, value.len);
    if (key.len != DELAYED_KEY_BYTES || half_decode(value, &half) != ST_OK ||
        message_decode(half.message, half.base_ms, &m) != ST_OK)
        return kv_damaged_row(v->kv, key);
    emit_delayed(g->items, key_read_u64(key.data + 17), (int64_t)key_read_u64(key.data + 9), &half, &m);
    g->n++;
    return ST_OK;
}

static enum status delayed_begin(struct view *v, const struct command *cmd, struct delayed_list *l)
{
    l->begun = true;
    gather_begin(&l->g, &v->steps->items, (uint32_t)command_number(cmd, OPT_ID_COUNT, LIST_COUNT_DEFAULT), v->reply_most);
    return view_topic(v, cmd->pos[0]);
}

void query_delayed_list(struct view *v, const struct command *cmd, struct buf *reply,
                        struct query_hint *hint)
{
    struct delayed_list *l = steps_own(v, sizeof(*l));
    enum status s = l ? ST_OK : ST_NOMEM;
    if (s == ST_OK && !l->begun)
        s = delayed_begin(v, cmd, l);
    if (s == ST_OK && v->steps->phase == STEPS_LOOK) {
        struct key prefix = key_of_id('L', v->topic.id);
        s = steps_gather(v, view_rows(v, &prefix), delayed_row, NULL, &l->g);
    }
    hint->cut = l && gather_is_cut(&l->g);
    if (s == ST_OK)
        s = steps_put(v, l->g.n, reply);
    steps_end(v, s, reply, s == ST_GONE ? "topic" : "store", cmd->pos[0]);
}
