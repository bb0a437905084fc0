/* query_log.c: READ and GET: messages by offset, by id. */
#include "storage/query/handlers.h"

#include "storage/query/base/gather.h"
#include "storage/query/base/kept.h"
#include "storage/query/base/locate.h"

/* Gathers messages of a record from *from on, and moves it behind what was looked at. */
static enum status log_gather_record(struct view *v, struct gather *g, struct place *p, struct slice record,
                                     const struct record_header *h, uint64_t *from)
{
    uint64_t end = h->base + h->count;
    enum status s = kept_next(v, p->queue, from);
    p->stored_ms = h->stored_ms;
    while (s == ST_OK && *from < end && !gather_full(g)) {
        struct message m;
        if (record_message(record, h, (uint32_t)(*from - h->base), &m) != ST_OK)
            return ST_DAMAGED;
        p->offset = *from;
        gather_add(g, p, &m);
        (*from)++;
        s = kept_next(v, p->queue, from);
    }
    return s;
}

/* Moves the iterator to the record behind the one that it stands on, or, where messages were removed, to that of *from. */
static enum status log_next_record(const struct view *v, struct kv_iter *it, uint32_t queue, uint64_t from,
                                   struct record_header *h)
{
    if (v->topic.flags & TOPIC_HAS_REMOVED)
        return records_seek_on(it, v->topic.id, queue, from, h);
    kv_iter_next(it);
    return records_header(it, h);
}

/* Gathers messages from *from on, which is not below the floor, and moves it behind them. ST_DAMAGED: it ended at messages
 * that cannot be read. */
static enum status log_read_queue(struct view *v, struct gather *g, struct place *p, uint64_t *from)
{
    struct kv_iter *it = view_log(v, p->queue);
    if (!it)
        return ST_NOMEM;
    struct record_header h = {.count = 0};
    enum status s = kept_next(v, p->queue, from);
    if (s == ST_OK)
        s = records_seek(it, v->topic.id, p->queue, *from, &h);
    while (s == ST_OK && !gather_full(g)) {
        s = h.base <= *from ? log_gather_record(v, g, p, kv_iter_value(it), &h, from) : ST_DAMAGED;
        if (s == ST_OK && !gather_full(g))
            s = log_next_record(v, it, p->queue, *from, &h);
    }
    kv_iter_free(it);
    return s == ST_GONE ? ST_OK : s;
}

/* Answers a READ: with what can be read before the first damage, or, where that comes first, with what is damaged. */
static void log_answer_read(struct view *v, struct gather *g, const struct place *p, uint64_t from, enum status s,
                            struct buf *reply)
{
    uint64_t first = 0, last = 0;
    if (s == ST_DAMAGED && g->n > 0)
        s = ST_OK;
    else if (s == ST_DAMAGED)
        s = view_find_lost(v, p->topic, p->queue, from, &first, &last);
    if (s != ST_DAMAGED) {
        gather_end(g, s == ST_GONE ? ST_OK : s == ST_BAD ? ST_DAMAGED : s, reply);
        return;
    }
    view_refuse_lost(reply, p->topic, p->queue, first, last);
    buf_free(g->items);
}

void query_read(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    uint64_t queue = 0, offset = 0;
    struct position at;
    bool parsed = text_uint(cmd->pos[1], &queue) && position_parse(cmd->pos[2], &at);
    assert(parsed);
    enum status s = view_topic(v, cmd->pos[0]);
    if (s != ST_OK) {
        view_refuse(reply, s, "topic", cmd->pos[0]);
        return;
    }
    if (queue >= v->topic.n_queues) {
        reply_error(reply, ST_ERR, "queue %llu does not exist: the topic has queues 0 to %u",
                    (unsigned long long)queue, v->topic.n_queues - 1);
        return;
    }
    s = locate_position(v, (uint32_t)queue, &at, &offset);
    if (s != ST_OK) {
        view_refuse(reply, s, "store", cmd->pos[0]);
        return;
    }
    hint->at = offset;
    hint->fixed = at.kind == POSITION_BEFORE_END;
    struct gather g;
    struct buf items;
    struct place p = {.topic = cmd->pos[0], .queue = (uint32_t)queue};
    gather_begin(&g, &items, (uint32_t)command_number(cmd, OPT_ID_COUNT, 1), v->reply_most);
    s = log_read_queue(v, &g, &p, &offset);
    bool empty = g.n == 0, cut = gather_is_cut(&g);
    log_answer_read(v, &g, &p, offset, s, reply);
    hint->nothing = empty && !reply_is_error(buf_slice(reply), NULL);
    hint->key = news_key(NEWS_TOPIC, cmd->pos[0], slice_of(NULL, 0));
    hint->cut = cut;
}

/* Reads one message of v->topic; *ret_it stands on its record, and the caller frees it. ST_GONE: there is none.
 * ST_DAMAGED: it cannot be read. */
static enum status log_read_one(struct view *v, uint32_t queue, uint64_t offset, struct kv_iter **ret_it,
                                struct record_header *ret_h, struct message *ret_m)
{
    if (queue >= v->topic.n_queues || offset < v->topic.floor[queue])
        return ST_GONE;
    uint64_t kept = offset;
    enum status s = kept_next(v, queue, &kept);
    if (s != ST_OK || kept != offset)
        return s == ST_OK ? ST_GONE : s;
    struct kv_iter *it = view_log(v, queue);
    if (!it)
        return ST_NOMEM;
    s = records_seek(it, v->topic.id, queue, offset, ret_h);
    if (s == ST_OK && offset < ret_h->base)
        s = ST_DAMAGED;
    if (s == ST_OK && record_message(kv_iter_value(it), ret_h, (uint32_t)(offset - ret_h->base), ret_m) != ST_OK)
        s = ST_DAMAGED;
    if (s == ST_OK)
        *ret_it = it;
    else
        kv_iter_free(it);
    return s;
}

/* Answers that a message of v->topic could not be read; ST_GONE, as it turns out: with null. */
static void log_refuse_one(struct view *v, const struct message_id *id, enum status s, struct buf *reply)
{
    uint64_t first = 0, last = 0;
    if (s == ST_DAMAGED)
        s = view_find_lost(v, id->topic, id->queue, id->offset, &first, &last);
    if (s == ST_BAD) {
        s = ST_DAMAGED;
        first = last = id->offset;
    }
    if (s == ST_GONE)
        reply_null(reply);
    else if (s == ST_DAMAGED)
        view_refuse_lost(reply, id->topic, id->queue, first, last);
    else
        view_refuse(reply, s, "store", id->topic);
}

void query_get(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct message_id id;
    bool parsed = text_id(cmd->pos[0], &id);
    assert(parsed);
    struct kv_iter *it = NULL;
    struct record_header h;
    struct message m;
    enum status s = view_topic(v, id.topic);
    bool there = s == ST_OK;
    if (there)
        s = log_read_one(v, id.queue, id.offset, &it, &h, &m);
    if (s == ST_OK && record_verify(kv_iter_value(it), &h) != ST_OK)
        s = ST_DAMAGED;
    if (!there && s != ST_GONE) {
        view_refuse(reply, s, "store", id.topic);
    } else if (s != ST_OK) {
        log_refuse_one(v, &id, s, reply);
    } else {
        struct place p = {id.topic, id.queue, id.offset, h.stored_ms, 0, 0, {0}};
        emit_message(reply, &p, &m);
    }
    kv_iter_free(it);
}
