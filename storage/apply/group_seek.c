/*
 * group_seek.c: moves groups: GROUP SEEK, and what it would do (DRYRUN); ADVANCE.
 *
 * ADVANCE moves the cursors of a group with a FILTER over messages that do not match, where nobody asks for the group's
 * messages. The broker submits it (broker/advancer.h), with what was found out in a view (storage/query/advance.c):
 *
 *   queue    x  x  x  x  M  x  x  x        x: does not match   M: does
 *   cursor   ▲           │                 stretch: 0..3 do not match
 *            └─────────► ▲
 *
 * A stretch is used where the filter is still of the version that was asked, and the cursor is in it; otherwise nothing is
 * done, and nothing is lost. A group that goes by PRIORITY has a cursor for each class, and a stretch concerns one of
 * them. One with a single cursor for all classes takes only stretches that concern all.
 */
#include "storage/apply/group_options.h"
#include "storage/apply/handlers.h"
#include "storage/group/ranked.h"
#include "storage/group/seek.h"
#include "storage/sift.h"

/* Finds where the command wants to go to. False: nowhere, and that is answered. */
static bool group_seek_find(struct state *st, const struct command *cmd, struct outcome *out, const struct gt *gt,
                            struct seek *ret_seek)
{
    int64_t point = 0;
    if (cmd->n_pos > 2) {
        bool read = command_point(cmd->pos[2], &point);
        assert(read);
        enum status s = seek_find(st, gt, point, ret_seek);
        if (s != ST_OK)
            core_fail(out, s, "GROUP SEEK");
        return s == ST_OK;
    }
    uint32_t queue = (uint32_t)command_number(cmd, OPT_ID_QUEUE, 0);
    if (queue >= gt->n_queues) {
        reply_error(&out->reply, ST_ERR, "queue %u does not exist: the topic has %u", queue, gt->n_queues);
        return false;
    }
    seek_find_offset(gt, queue, (uint64_t)command_number(cmd, OPT_ID_OFFSET, 0), ret_seek);
    return true;
}

/* A queue that moves: where from, where to, and how many messages it has from there on. */
static void group_seek_put_queue(struct buf *r, const struct gt *gt, uint32_t q, uint64_t to)
{
    reply_map(r, 4);
    reply_field_int(r, "queue", q);
    reply_field_int(r, "next", (int64_t)gt->queues[q].next);
    reply_field_int(r, "to", (int64_t)to);
    reply_field_int(r, "ready", (int64_t)(gt->topic->queues[q].end - to));
}

static void group_seek_put(struct buf *r, struct gt *gt, const struct seek *seek)
{
    uint64_t ready = 0, leased = 0;
    uint32_t from = seek->one ? seek->queue : 0, to = seek->one ? seek->queue + 1 : gt->n_queues;
    for (uint32_t q = from; q < to; q++) {
        ready += gt->topic->queues[q].end - seek->to[q];
        leased += run_leased_of(&gt->runs, q);
    }
    reply_map(r, 5);
    reply_field_bytes(r, "group", gt->group);
    reply_field_bytes(r, "topic", gt->topic->name);
    reply_field_int(r, "ready", (int64_t)ready);
    reply_field_int(r, "stale", (int64_t)leased);
    reply_bulk_str(r, "queue");
    reply_array(r, to - from);
    for (uint32_t q = from; q < to; q++)
        group_seek_put_queue(r, gt, q, seek->to[q]);
}

void apply_group_seek(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    struct seek seek;
    struct gt *gt = group_options_find(st, cmd, out);
    if (!gt || !group_seek_find(st, cmd, out, gt, &seek))
        return;
    if (command_has(cmd, OPT(DRYRUN))) {
        group_seek_put(&out->reply, gt, &seek);
        return;
    }
    enum status s = seek_go(st, gt, &seek);
    if (s == ST_OK)
        reply_ok(&out->reply);
    else if (s != ST_LIMIT)
        core_fail(out, s, "GROUP SEEK");
    else
        reply_error(&out->reply, ST_LIMIT, "the group has used up its attempt numbers on this topic: nothing was done");
}

/* ---- ADVANCE ---- */

static void advance_class(struct state *st, struct gt *gt, const struct sift_stretch *s)
{
    struct class_lane *lanes = gt->lanes && ranked(gt) ? gt->lanes->of[s->class] : NULL;
    const struct queue *q = &gt->topic->queues[s->queue];
    if (!lanes)
        return;
    uint64_t at = lanes[s->queue].next > q->floor ? lanes[s->queue].next : q->floor;
    if (at < s->from || at >= s->to || s->to > q->end)
        return;
    lanes_pass(gt->lanes, s->class, s->queue, s->to);
    group_dirty(st, gt);
}

static void advance_default(struct state *st, struct gt *gt, const struct sift_stretch *s)
{
    struct gtq *gq = &gt->queues[s->queue];
    const struct queue *q = &gt->topic->queues[s->queue];
    uint64_t at = gq->next > q->floor ? gq->next : q->floor;
    if (at < s->from || at >= s->to || s->to > q->end || (s->class != SIFT_ANY_CLASS && !ranked(gt)))
        return;
    gq->next = s->to;
    group_dirty(st, gt);
}

static void advance_all(struct state *st, struct gt *gt, struct slice stretches)
{
    struct cursor c = cursor_of(stretches);
    struct sift_stretch s;
    while (sift_stretch_next(&c, &s)) {
        if (s.gt != gt->id || s.filter_ref != gt->filter_ref || s.queue >= gt->n_queues)
            continue;
        if (s.class == SIFT_ANY_CLASS || s.class == MESSAGE_PRIORITY_DEFAULT)
            advance_default(st, gt, &s);
        else if (s.class < CLASSES_MAX)
            advance_class(st, gt, &s);
    }
}

void apply_advance(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    struct gt *gt = NULL;
    enum status s = group_get(st, cmd->pos[0], cmd->rest[0], &gt);
    bool filters = s == ST_OK && gt->filter_kind != FILTER_NONE;
    if (filters && ranked(gt))
        s = ranked_load(st, gt, false);
    if (s != ST_OK && s != ST_GONE) {
        core_fail(out, s, "ADVANCE");
        return;
    }
    if (filters)
        advance_all(st, gt, cmd->sifted);
    reply_ok(&out->reply);
}
