/* where.c: reads messages and asks a filter of them (where.h). */
#include "storage/query/base/where.h"

#define WORK_OPEN 200    /* to find the first record, or what is lost */
#define WORK_MESSAGE 4   /* to decode a message ... */
#define WORK_BYTES 512   /* ... of so many bytes */

static void where_spend(struct where *w, uint64_t work) { w->work -= work < w->work ? work : w->work; }

enum status where_parse(const struct group_row *row, struct filter **ret_f)
{
    char why[16];
    enum status s = filter_parse(row->filter, ret_f, (struct complaint){why, sizeof(why)});
    return s == ST_OK || s == ST_NOMEM ? s : ST_BAD;
}

static bool where_goes_on(const struct where *w) { return w->at < w->end && w->work > 0; }

static enum status where_record(struct where *w, struct slice record, const struct record_header *h, bool *wants)
{
    while (*wants && where_goes_on(w) && w->at - h->base < h->count) {
        struct message m;
        struct filter_subject subject = {&m, w->topic, w->queue, w->at, h->stored_ms};
        uint32_t i = (uint32_t)(w->at - h->base);
        uint64_t work = WORK_MESSAGE + record_bytes(record, h, i).len / WORK_BYTES;
        if (record_message(record, h, i, &m) != ST_OK)
            return ST_DAMAGED;
        struct where_seen seen = {.matches = filter_matches(w->filter, &subject, &work),
                                  .class = m.fields & MSG_PRIORITY ? m.priority : MESSAGE_PRIORITY_DEFAULT,
                                  .offset = w->at++,
                                  .stored_ms = h->stored_ms,
                                  .expires_ms = m.fields & MSG_TTL ? m.expires_ms : INT64_MAX};
        where_spend(w, work);
        *wants = w->put(w->arg, &seen);
    }
    return ST_OK;
}

static enum status where_lost(struct where *w, struct view *v, bool *wants)
{
    uint64_t first = 0, last = 0;
    enum status s = view_find_lost(v, w->topic, w->queue, w->at, &first, &last);
    where_spend(w, WORK_OPEN);
    if (s == ST_BAD) {
        s = ST_DAMAGED;
        last = w->end;
    }
    if (s != ST_DAMAGED)
        return s;
    struct where_seen seen = {
        .matches = true, .class = MESSAGE_PRIORITY_DEFAULT, .stored_ms = INT64_MAX, .expires_ms = INT64_MAX};
    for (; *wants && w->at <= last && w->at < w->end; w->at++) {
        seen.offset = w->at;
        *wants = w->put(w->arg, &seen);
    }
    return ST_OK;
}

enum status where_ask(struct where *w, struct view *v)
{
    struct record_header h = {.count = 0};
    struct kv_iter *it = where_goes_on(w) ? view_log(v, w->queue) : NULL;
    if (!it)
        return where_goes_on(w) ? ST_NOMEM : ST_OK;
    bool wants = true;
    where_spend(w, WORK_OPEN < w->work ? WORK_OPEN : w->work - 1); /* at least one message a call */
    enum status s = ST_OK;
    while (s == ST_OK && wants && where_goes_on(w)) {
        s = records_seek_on(it, v->topic.id, w->queue, w->at, &h);
        bool holds = s == ST_OK && h.base <= w->at;
        if (s == ST_OK || s == ST_DAMAGED)
            s = holds ? where_record(w, kv_iter_value(it), &h, &wants) : ST_DAMAGED;
        if (s == ST_DAMAGED) {
            h.count = 0;
            s = where_lost(w, v, &wants);
        }
    }
    kv_iter_free(it);
    return s == ST_GONE ? ST_OK : s;
}
