/* lag_where.c: asks the filters of groups for LAG (lag_where.h). */
#include "storage/query/lag_where.h"

#include <stdlib.h>

#include "storage/query/base/where.h"

#define WORK_ROW 30 /* so much work takes as long as a row of the step's budget */
#define WORK_PARSE 200

/* What the messages of a queue are counted with. */
struct lag_where {
    struct lag_fresh *f;
    uint64_t from[CLASSES_MAX]; /* the group's cursors */
    int64_t now_ms;
};

static void lag_where_from(struct lag_where *lw, const struct lag_queue *q)
{
    struct lag_fresh *f = lw->f;
    uint64_t first = UINT64_MAX;
    for (uint8_t c = 0; c < CLASSES_MAX; c++) {
        bool there = c == MESSAGE_PRIORITY_DEFAULT || f->t->classes & (1U << c);
        lw->from[c] = lag_fresh_from(f, q, c);
        first = there && lw->from[c] < first ? lw->from[c] : first;
    }
    f->at = f->at == UINT64_MAX ? first : f->at;
}

void lag_where_pause(struct lag_fresh *f)
{
    free(f->filter);
    f->filter = NULL;
}

static bool lag_where_goes_on(const struct lag_fresh *f, const struct lag_queue *q)
{
    return f->at < q->end && f->examined < LAG_EXAMINED_MAX && f->where_work < LAG_WHERE_WORK;
}

static bool lag_where_put(void *arg, const struct where_seen *seen)
{
    struct lag_where *lw = arg;
    struct lag_fresh *f = lw->f;
    if (seen->matches && seen->offset >= lw->from[seen->class] && seen->expires_ms > lw->now_ms) {
        f->ready++;
        f->oldest_ms = seen->stored_ms < f->oldest_ms ? seen->stored_ms : f->oldest_ms;
    }
    return ++f->examined < LAG_EXAMINED_MAX;
}

/* Gets the filter and v->topic ready. */
static enum status lag_where_begin(struct view *v, struct lag_fresh *f)
{
    enum status s = f->filter ? ST_OK : where_parse(f->row, &f->filter);
    if (s == ST_OK && v->topic.id != f->t->id)
        s = view_topic(v, slice_of(f->t->name, f->t->name_len));
    return s;
}

/* Asks about as many as this step has work for. */
static enum status lag_where_ask(struct view *v, struct lag_where *lw, const struct lag_queue *q)
{
    struct lag_fresh *f = lw->f;
    uint64_t left = LAG_WHERE_WORK - f->where_work, step = (uint64_t)(v->budget > 0 ? v->budget : 1) * WORK_ROW;
    uint64_t most = step < left ? step : left;
    struct where w = {.filter = f->filter,
                      .topic = slice_of(f->t->name, f->t->name_len),
                      .queue = f->queue,
                      .at = f->at,
                      .end = q->end,
                      .work = most,
                      .put = lag_where_put,
                      .arg = lw};
    enum status s = where_ask(&w, v);
    f->at = w.at;
    f->where_work += most - w.work;
    v->budget -= (int32_t)((most - w.work) / WORK_ROW) + 1;
    return s;
}

enum status lag_where_queue(struct view *v, struct lag_topics *ts, struct lag_fresh *f)
{
    const struct lag_queue *q = lag_queue_of(ts, f->t, f->queue);
    struct lag_where lw = {.f = f, .now_ms = v->now_ms};
    lag_where_from(&lw, q);
    enum status s = lag_where_goes_on(f, q) ? lag_where_begin(v, f) : ST_OK;
    if (s == ST_OK && lag_where_goes_on(f, q))
        s = lag_where_ask(v, &lw, q);
    if (s == ST_OK && lag_where_goes_on(f, q))
        return ST_BUSY;
    if (s != ST_OK)
        return s;
    f->unexamined += f->at < q->end ? q->end - f->at : 0;
    f->at = UINT64_MAX;
    return ST_OK;
}
