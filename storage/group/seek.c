/* seek.c: finds where a SEEK goes to, drops the runs and moves the cursors (seek.h). */
#include "storage/group/seek.h"

#include "storage/disk/attempts.h"
#include "storage/group/order.h"
#include "storage/group/ranked.h"
#include "storage/model/log.h"

enum status seek_find(struct state *st, const struct gt *gt, int64_t point, struct seek *ret_seek)
{
    enum status s = ST_OK;
    ret_seek->one = false;
    for (uint32_t q = 0; q < gt->n_queues && s == ST_OK; q++) {
        const struct queue *queue = &gt->topic->queues[q];
        ret_seek->to[q] = point == POINT_LATEST ? queue->end : queue->floor;
        if (point >= 0)
            s = log_offset_at(st, gt->topic, q, point, &ret_seek->to[q]);
    }
    return s;
}

void seek_find_offset(const struct gt *gt, uint32_t queue, uint64_t offset, struct seek *ret_seek)
{
    const struct queue *q = &gt->topic->queues[queue];
    ret_seek->one = true;
    ret_seek->queue = queue;
    ret_seek->to[queue] = offset < q->floor ? q->floor : offset < q->end ? offset : q->end;
}

static void seek_drop_leased(struct gt *gt, uint32_t queue)
{
    struct run *r = NULL;
    while ((r = run_from_queue(&gt->runs, queue)) && r->queue == queue)
        run_drop(&gt->runs, r);
}

static void seek_queue(struct gt *gt, uint32_t queue, uint64_t to)
{
    struct gtq *q = &gt->queues[queue];
    if (gt->attempt_top > gt->attempt_base) { /* some numbers were given out */
        uint64_t top = gt->lanes ? lanes_top(gt->lanes, queue) : 0;
        top = top > q->next ? top : q->next;
        q->again = top > q->again ? top : q->again;
        q->again_base = gt->attempt_top;
        gt->sought = true;
    }
    q->next = to;
    if (gt->lanes)
        lanes_move(gt->lanes, queue, to);
}

enum status seek_go(struct state *st, struct gt *gt, const struct seek *seek)
{
    if (gt->attempt_top > ATTEMPT_BASE_MAX)
        return ST_LIMIT;
    enum status s = group_arm_ready(st, gt);
    if (s == ST_OK && gt->topic->classes)
        s = ranked_load(st, gt, gt->order != NULL);
    if (s != ST_OK)
        return s;
    if (seek->one) {
        seek_drop_leased(gt, seek->queue);
        if (gt->order)
            order_forget(gt->order, seek->queue);
        seek_queue(gt, seek->queue, seek->to[seek->queue]);
    } else {
        group_drop_runs(st, gt);
        for (uint32_t q = 0; q < gt->n_queues; q++)
            seek_queue(gt, q, seek->to[q]);
    }
    group_dirty(st, gt);
    group_arm(st, gt, st->now_ms);
    core_news(st, &gt->news, NEWS_ALL);
    return ST_OK;
}
