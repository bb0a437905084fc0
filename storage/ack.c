/*
 * ack.c: ACK, NACK, EXTEND, REJECT and the broker's own RELEASE: what happens to what POP handed out.
 *
 * A receipt counts while its lease holds: same attempt, not acknowledged, lease not over - over is over,
 * whether the timer has been there yet or not.
 */
#include "storage/group.h"
#include "storage/handlers.h"

/* The group on the receipt's topic, and the message's run; *ret_run NULL where the lease is lost. */
static enum status receipt_find(struct state *st, const struct stamp *stamp, struct slice group,
                                struct slice receipt, struct message_id *ret_id, struct gt **ret_gt,
                                struct run **ret_run)
{
    bool parsed = text_receipt(receipt, ret_id);
    assert(parsed); /* command parsing saw to it */
    *ret_run = NULL;
    enum status s = gt_get(st, group, ret_id->topic, ret_gt);
    if (s != ST_OK)
        return s;
    *ret_run = gt_leased(*ret_gt, ret_id, stamp->now_ms);
    return ST_OK;
}

static void ack_no_group(struct outcome *out, struct slice group)
{
    char name[160];
    text_quote(group, 130, name, sizeof(name));
    reply_error(&out->reply, ST_NOGROUP, "no group '%s'", name);
}

/* True where a missing (group, topic) is the group missing altogether; then it has been answered. */
static bool ack_group_missing(struct state *st, struct outcome *out, struct slice group)
{
    bool exists = false;
    enum status s = group_exists(st, group, &exists);
    if (s != ST_OK)
        state_fail(out, s, "looking for the group");
    else if (!exists)
        ack_no_group(out, group);
    return s != ST_OK || !exists;
}

void apply_ack(struct state *st, const struct stamp *stamp, const struct command *cmd,
               struct outcome *out)
{
    int64_t acked = 0;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        struct message_id id;
        struct gt *gt = NULL;
        struct run *r = NULL;
        enum status s = receipt_find(st, stamp, cmd->pos[0], cmd->rest[i], &id, &gt, &r);
        if (s == ST_GONE && i == 0 && ack_group_missing(st, out, cmd->pos[0]))
            return;
        if (s != ST_OK && s != ST_GONE) {
            st->sick = st->sick || acked > 0; /* half of it is done: the group must not be written */
            state_fail(out, s, "ACK");
            return;
        }
        if (!r)
            continue;
        run_clear(&gt->runs, st, r, id.offset);
        gt_dirty(st, gt);
        acked++;
    }
    st->tally.messages_acked += (uint64_t)acked;
    reply_int(&out->reply, acked);
}

/* NACK, EXTEND and REJECT begin alike: a receipt with a lease, or an answer why not. */
static struct run *ack_one(struct state *st, const struct stamp *stamp, const struct command *cmd,
                           struct outcome *out, struct message_id *ret_id, struct gt **ret_gt)
{
    struct run *r = NULL;
    enum status s = receipt_find(st, stamp, cmd->pos[0], cmd->pos[1], ret_id, ret_gt, &r);
    if (s == ST_GONE && ack_group_missing(st, out, cmd->pos[0]))
        return NULL;
    if (s != ST_OK && s != ST_GONE) {
        state_fail(out, s, cmd->info->words);
        return NULL;
    }
    if (!r) {
        char text[200];
        text_quote(cmd->pos[1], 180, text, sizeof(text));
        reply_error(&out->reply, ST_STALE, "the lease of %s is lost: it ended, or was given up", text);
    } else if (r->live > 1 && st->runs > 2 * st->runs_max) { /* it would have to be cut in pieces */
        reply_error(&out->reply, ST_BUSY, "too many messages are leased and not yet acknowledged");
        r = NULL;
    }
    return r;
}

static struct slice ack_reason(const struct command *cmd, struct slice otherwise)
{
    const struct option *o = command_option(cmd, OPT_ID_REASON);
    return o ? o->v : otherwise;
}

static void ack_end(struct state *st, const struct stamp *stamp, struct gt *gt, enum status s,
                    const char *doing, struct outcome *out)
{
    if (s != ST_OK) {
        st->sick = st->sick || s == ST_NOMEM;
        state_fail(out, s, doing);
        return;
    }
    gt_arm(st, gt, stamp->now_ms);
    reply_ok(&out->reply);
}

void apply_nack(struct state *st, const struct stamp *stamp, const struct command *cmd,
                struct outcome *out)
{
    struct message_id id;
    struct gt *gt = NULL;
    struct run *r = ack_one(st, stamp, cmd, out, &id, &gt);
    if (!r)
        return;
    int64_t pause = command_number(cmd, OPT_ID_DELAY, gt_backoff(gt, r->attempt));
    enum status s = gt_failed(st, stamp, gt, r, id.offset, stamp->now_ms + pause,
                              ack_reason(cmd, slice_of(NULL, 0)));
    st->tally.messages_nacked += s == ST_OK;
    ack_end(st, stamp, gt, s, "NACK", out);
}

void apply_reject(struct state *st, const struct stamp *stamp, const struct command *cmd,
                  struct outcome *out)
{
    struct message_id id;
    struct gt *gt = NULL;
    struct run *r = ack_one(st, stamp, cmd, out, &id, &gt);
    if (!r)
        return;
    enum status s = gt_dead(st, stamp, gt, r, id.offset, ack_reason(cmd, SLICE_LIT("rejected")));
    ack_end(st, stamp, gt, s, "REJECT", out);
}

void apply_extend(struct state *st, const struct stamp *stamp, const struct command *cmd,
                  struct outcome *out)
{
    struct message_id id;
    struct gt *gt = NULL;
    struct run *r = ack_one(st, stamp, cmd, out, &id, &gt);
    if (!r)
        return;
    int64_t dur = 0;
    bool parsed = text_duration(cmd->pos[2], &dur);
    assert(parsed);
    r = run_isolate(&gt->runs, st, r, id.offset);
    if (r) {
        run_move(&gt->runs, r, RUN_LEASED, r->attempt, stamp->now_ms + dur);
        gt_dirty(st, gt);
    }
    ack_end(st, stamp, gt, r ? ST_OK : ST_NOMEM, "EXTEND", out);
}

void apply_release(struct state *st, const struct stamp *stamp, const struct command *cmd,
                   struct outcome *out)
{
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        struct message_id id;
        struct gt *gt = NULL;
        struct run *r = NULL;
        if (receipt_find(st, stamp, cmd->pos[0], cmd->rest[i], &id, &gt, &r) != ST_OK || !r)
            continue;
        r = run_isolate(&gt->runs, st, r, id.offset);
        if (!r)
            continue; /* no memory: its lease will end by itself */
        /* It never reached anybody, so its attempt number is still unused. */
        run_move(&gt->runs, r, RUN_WAITING, r->attempt - 1, stamp->now_ms);
        gt_dirty(st, gt);
        state_news(st, &gt->news, 1);
    }
    reply_ok(&out->reply);
}
