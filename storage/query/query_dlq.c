/*
 * query_dlq.c: DLQ LIST: a group's dead letters, oldest first, a page at a time. The cursor is the offset of the next one.
 * A page ends before a letter that is damaged, and where that is its first, the reply says so, and from where to go on.
 */
#include "storage/query/handlers.h"
#include "storage/query/base/kept.h"
#include "storage/query/base/steps.h"

struct dlq_list {
    bool begun;
    uint8_t name[SYSTEM_NAME_BYTES_MAX]; /* of the topic */
    struct place p;
    uint64_t at; /* the next letter to look at; at the end the cursor, 0: there is none */
    struct gather g;
};

/* Where there are no dead letters: does the group exist? */
static enum status dlq_group(struct view *v, struct slice group)
{
    struct cgroup_row row = {0};
    struct key key = key_cgroup(group);
    enum status s = view_get(v, &key);
    if (s == ST_OK && cgroup_decode(buf_slice(&v->row), &row) != ST_OK)
        s = view_damaged(v, &key);
    return s == ST_OK && row.topics == 0 ? ST_GONE : s;
}

/* ST_GONE: there is no such group. ST_ERR: the cursor is wrong, and that is answered. */
static enum status dlq_begin(struct view *v, struct dlq_list *l, const struct command *cmd, struct buf *reply)
{
    const struct option *cursor = command_option(cmd, OPT_ID_CURSOR);
    struct slice group = cmd->pos[0];
    char text[80];
    l->begun = true;
    if (cursor && !text_uint(cursor->v, &l->at)) {
        text_quote(cursor->v, 60, text, sizeof(text));
        reply_error(reply, ST_ERR, "CURSOR '%s' is not a number: send 0, then the cursor of the last reply", text);
        return ST_ERR;
    }
    memcpy(l->name, "%DLQ%", 5);
    memcpy(l->name + 5, group.data, group.len);
    l->p.topic = slice_of(l->name, group.len + 5);
    gather_begin(&l->g, &v->steps->items, (uint32_t)command_number(cmd, OPT_ID_COUNT, LIST_COUNT_DEFAULT), v->reply_most);
    enum status s = view_topic(v, l->p.topic);
    if (s != ST_GONE)
        return s;
    v->topic.n_queues = 0;
    return dlq_group(v, group);
}

/* Adds the letter at l->at, which the iterator's record holds. */
static enum status dlq_add(struct view *v, struct dlq_list *l, const struct kv_iter *it, const struct record_header *h)
{
    struct message m;
    if (l->at < h->base || record_message(kv_iter_value(it), h, (uint32_t)(l->at - h->base), &m) != ST_OK)
        return ST_DAMAGED;
    l->p.offset = l->at++;
    l->p.stored_ms = h->stored_ms;
    gather_add(&l->g, &l->p, &m);
    view_spend(v, m.body.len);
    return ST_OK;
}

/* Goes on to the end of the page (ST_OK), of the budget (ST_BUSY), or of the letters (ST_GONE). */
static enum status dlq_walk(struct view *v, struct dlq_list *l, struct kv_iter *it)
{
    struct record_header h = {.count = 0};
    enum status s = ST_OK;
    while (s == ST_OK) {
        if (v->budget-- <= 0)
            return ST_BUSY;
        s = kept_next(v, 0, &l->at);
        if (s == ST_OK && !(h.count && l->at >= h.base && l->at - h.base < h.count)) {
            s = records_seek_on(it, v->topic.id, 0, l->at, &h);
            view_spend(v, s == ST_OK ? kv_iter_value(it).len : 0);
        }
        if (s == ST_OK && gather_full(&l->g)) /* there is a next one */
            return ST_OK;
        if (s == ST_OK)
            s = dlq_add(v, l, it, &h);
    }
    return s;
}

static enum status dlq_page(struct view *v, struct dlq_list *l)
{
    if (v->topic.n_queues == 0) {
        l->at = 0;
        return ST_OK;
    }
    uint64_t floor = v->topic.floor[0];
    l->at = l->at < floor ? floor : l->at;
    struct kv_iter *it = view_log(v, 0);
    enum status s = it ? dlq_walk(v, l, it) : ST_NOMEM;
    kv_iter_free(it);
    if (s == ST_GONE)
        l->at = 0;
    bool ends_there = s == ST_DAMAGED && l->g.n > 0;
    return s == ST_GONE || ends_there ? ST_OK : s;
}

static void dlq_refuse(struct view *v, const struct dlq_list *l, struct buf *reply)
{
    uint64_t first = 0, last = 0;
    enum status s = view_find_lost(v, l->p.topic, 0, l->at, &first, &last);
    if (s == ST_DAMAGED)
        view_refuse_lost(reply, l->p.topic, 0, first, last);
    else
        view_refuse(reply, s == ST_OK || s == ST_GONE || s == ST_BAD ? ST_DAMAGED : s, "store", slice_of(NULL, 0));
}

void query_dlq_list(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct dlq_list *l = steps_own(v, sizeof(*l));
    enum status s = l ? ST_OK : ST_NOMEM;
    if (s == ST_OK && !l->begun)
        s = dlq_begin(v, l, cmd, reply);
    if (s == ST_ERR)
        return;
    if (s == ST_OK && v->steps->phase == STEPS_LOOK) {
        s = dlq_page(v, l);
        if (s == ST_DAMAGED) {
            dlq_refuse(v, l, reply);
            return;
        }
        if (s == ST_OK) {
            reply_array(reply, 2);
            reply_bulk_uint(reply, l->at);
        }
    }
    if (s == ST_OK)
        s = steps_put(v, l->g.n, reply);
    steps_end(v, s, reply, s == ST_GONE ? "group" : "store", cmd->pos[0]);
}
