/* group_seek.c: GROUP SEEK, and what it would do (DRYRUN). */
#include "storage/apply/group_options.h"
#include "storage/apply/handlers.h"
#include "storage/group/seek.h"

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
