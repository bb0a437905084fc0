/*
 * ack.c: ACK, NACK, EXTEND, REJECT and the broker's own RELEASE and SKIP: what becomes of messages that POP delivered.
 *
 * Which messages a receipt still holds is in model/lease.h.
 */
#include "storage/apply/handlers.h"
#include "storage/group/group.h"
#include "storage/group/dead.h"
#include "storage/group/lease.h"
#include "storage/group/limit.h"

/* Finds the group on the receipt's topic, and the message's run; *ret_run is NULL where the lease is lost. */
static enum status ack_find(struct state *st, const struct stamp *stamp, struct slice group,
                            struct slice receipt, struct message_id *ret_id, struct gt **ret_gt,
                            struct run **ret_run)
{
    bool parsed = text_receipt(receipt, ret_id);
    assert(parsed); /* command parsing has checked it */
    *ret_run = NULL;
    enum status s = group_get(st, group, ret_id->topic, ret_gt);
    if (s != ST_OK)
        return s;
    *ret_run = lease_find(*ret_gt, ret_id, stamp->now_ms);
    return ST_OK;
}

/* Finds the group on the topic of a receipt of a range. *ret_gt: NULL, or what was found for a receipt of the same command,
 * of that topic: mostly all are of one. */
static enum status ack_find_range(struct state *st, struct slice group, struct slice receipt,
                                  struct message_id *ret_first, uint64_t *ret_last, struct gt **ret_gt)
{
    bool parsed = text_receipt_range(receipt, ret_first, ret_last);
    assert(parsed);
    if (*ret_gt && slice_equal((*ret_gt)->topic->name, ret_first->topic))
        return ST_OK;
    *ret_gt = NULL;
    return group_get(st, group, ret_first->topic, ret_gt);
}

static void ack_no_group(struct outcome *out, struct slice group)
{
    char name[160];
    text_quote(group, 130, name, sizeof(name));
    reply_error(&out->reply, ST_NOGROUP, "no group '%s'", name);
}

/* Called where the group is not on the topic. True: it is on no topic, or cannot be read; that is answered. */
static bool ack_group_missing(struct state *st, struct outcome *out, struct slice group)
{
    bool exists = false;
    enum status s = group_exists(st, group, &exists);
    if (s != ST_OK)
        core_fail(out, s, "looking for the group");
    else if (!exists)
        ack_no_group(out, group);
    return s != ST_OK || !exists;
}

/* True where the receipts name more messages than one command may look for. That needs many ranges. */
static bool ack_too_many(const struct command *cmd)
{
    uint64_t named = 0;
    for (uint32_t i = 0; cmd->n_rest > ACK_MESSAGES_MAX / COUNT_MAX && i < cmd->n_rest; i++) {
        struct message_id first;
        uint64_t last = 0;
        bool parsed = text_receipt_range(cmd->rest[i], &first, &last);
        assert(parsed);
        named += last - first.offset + 1;
    }
    return named > ACK_MESSAGES_MAX;
}

void apply_ack(struct state *st, const struct stamp *stamp, const struct command *cmd,
               struct outcome *out)
{
    uint64_t acked = 0;
    if (ack_too_many(cmd)) {
        reply_error(&out->reply, ST_LIMIT, "ACK acknowledges at most %d messages: nothing was done", ACK_MESSAGES_MAX);
        return;
    }
    struct gt *gt = NULL;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        struct message_id first;
        uint64_t last = 0;
        enum status s = ack_find_range(st, cmd->pos[0], cmd->rest[i], &first, &last, &gt);
        if (s == ST_GONE && i == 0 && ack_group_missing(st, out, cmd->pos[0]))
            return;
        bool unread = s != ST_OK && s != ST_GONE;
        if (unread && acked > 0)
            break; /* the reply says how many were acknowledged: those before this one */
        if (unread) {
            core_fail(out, s, "ACK");
            return;
        }
        if (s == ST_OK)
            acked += lease_ack(st, gt, &first, last, stamp->now_ms);
    }
    st->tally.messages_acked += acked;
    reply_int(&out->reply, (int64_t)acked);
}

static void ack_stale(const struct command *cmd, struct outcome *out)
{
    char text[200];
    text_quote(cmd->pos[1], 180, text, sizeof(text));
    reply_error(&out->reply, ST_STALE,
                "the receipt %s is stale: its lease expired, or the message was acknowledged or requeued", text);
}

static void ack_crowded(struct outcome *out)
{
    reply_error(&out->reply, ST_BUSY, "the group has %d leases on this topic that are not acknowledged yet",
                2 * LEASES_MAX);
}

/* How NACK and REJECT begin: finds the run of a receipt whose lease holds. NULL: there is none, and that is
 * answered. */
static struct run *ack_one(struct state *st, const struct stamp *stamp, const struct command *cmd,
                           struct outcome *out, struct message_id *ret_id, struct gt **ret_gt)
{
    struct run *r = NULL;
    enum status s = ack_find(st, stamp, cmd->pos[0], cmd->pos[1], ret_id, ret_gt, &r);
    if (s == ST_GONE && ack_group_missing(st, out, cmd->pos[0]))
        return NULL;
    if (r)
        s = group_arm_ready(st, *ret_gt);
    if (s != ST_OK && s != ST_GONE) {
        core_fail(out, s, cmd->info->words);
        return NULL;
    }
    if (!r) {
        ack_stale(cmd, out);
    } else if (r->live > 1 && !lease_room_to_cut(*ret_gt)) { /* its run would have to be cut */
        ack_crowded(out);
        r = NULL;
    }
    return r;
}

static struct slice ack_reason(const struct command *cmd, struct slice otherwise)
{
    const struct option *o = command_option(cmd, OPT_ID_REASON);
    return o && o->v.len ? o->v : otherwise;
}

static void ack_end(struct state *st, const struct stamp *stamp, struct gt *gt, enum status s,
                    const char *doing, struct outcome *out)
{
    if (s != ST_OK) {
        st->sick = st->sick || s == ST_NOMEM;
        core_fail(out, s, doing);
        return;
    }
    group_arm(st, gt, stamp->now_ms);
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
    int64_t pause = command_number(cmd, OPT_ID_DELAY, lease_backoff(gt, r));
    enum status s = lease_failed(st, stamp, gt, r, id.offset, stamp->now_ms + pause,
                              ack_reason(cmd, SLICE_LIT("not acknowledged")));
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
    enum status s = dead_letter(st, stamp, gt, r, id.offset, ack_reason(cmd, SLICE_LIT("rejected")));
    ack_end(st, stamp, gt, s, "REJECT", out);
}

/* True where the receipt would cut a run, and there are too many runs already. */
static bool ack_extend_crowded(const struct stamp *stamp, struct gt *gt, const struct message_id *first, uint64_t last)
{
    uint64_t from = lease_from(gt, first);
    if (lease_room_to_cut(gt))
        return false;
    for (struct run *r; (r = lease_next(gt, first, last, stamp->now_ms, &from));)
        if (run_live_in(r, first->offset, last) < r->live)
            return true;
    return false;
}

void apply_extend(struct state *st, const struct stamp *stamp, const struct command *cmd,
                  struct outcome *out)
{
    struct message_id first;
    uint64_t last = 0;
    struct gt *gt = NULL;
    int64_t dur = 0;
    bool parsed = text_duration(cmd->pos[2], &dur);
    assert(parsed);
    enum status s = ack_find_range(st, cmd->pos[0], cmd->pos[1], &first, &last, &gt);
    if (s == ST_GONE && ack_group_missing(st, out, cmd->pos[0]))
        return;
    if (s != ST_OK && s != ST_GONE) {
        core_fail(out, s, "EXTEND");
        return;
    }
    if (s == ST_GONE || lease_held(gt, &first, last, stamp->now_ms) == 0) {
        ack_stale(cmd, out);
        return;
    }
    if (ack_extend_crowded(stamp, gt, &first, last)) {
        ack_crowded(out);
        return;
    }
    s = group_arm_ready(st, gt);
    if (s != ST_OK) {
        core_fail(out, s, "EXTEND");
        return;
    }
    uint64_t from = lease_from(gt, &first);
    for (struct run *r; s == ST_OK && (r = lease_next(gt, &first, last, stamp->now_ms, &from));) {
        r = run_cut(&gt->runs, r, first.offset, last);
        if (r)
            run_extend(&gt->runs, r, stamp->now_ms + dur);
        else
            s = ST_NOMEM;
        group_dirty(st, gt);
    }
    ack_end(st, stamp, gt, s, "EXTEND", out);
}

/* What RELEASE gives back: the receipts of one run that lie one behind the other, at once. A POP by PRIORITY, or of an ORDERED
 * group, leases messages that lie between others: single receipts of one run, which would cut it into as many runs. */
struct release {
    struct slice topic; /* of the receipt before */
    struct gt *gt;      /* NULL: the group is not there */
    struct run *r;      /* NULL: nothing of it is to be given back */
    uint64_t bits[RUN_WORDS_MAX];
};

/* Nobody has received these messages, so their attempt number has not been used. r NULL: memory ran out. */
static void ack_release_run(struct state *st, const struct stamp *stamp, const struct command *cmd, struct gt *gt, struct run *r)
{
    uint32_t live = r ? r->live : 0;
    core_news(st, &gt->news, live);
    limit_gave_back(st, gt, command_number(cmd, OPT_ID_AT, 0), stamp->now_ms, live);
    if (!r || lease_wait(st, gt, r, r->attempt - 1, stamp->now_ms) != ST_OK)
        st->sick = true;
    group_dirty(st, gt);
}

/* Gives back what was collected. */
static void ack_release_collected(struct state *st, const struct stamp *stamp, const struct command *cmd, struct release *c)
{
    if (c->r)
        ack_release_run(st, stamp, cmd, c->gt, run_cut_bits(&c->gt->runs, c->r, c->bits));
    c->r = NULL;
}

/* Collects the messages in first..last of a run. */
static void ack_release_collect(struct state *st, const struct stamp *stamp, const struct command *cmd, struct release *c,
                            struct run *r, uint64_t first, uint64_t last)
{
    if (c->r != r) {
        ack_release_collected(st, stamp, cmd, c);
        memset(c->bits, 0, sizeof(c->bits));
        c->r = r;
    }
    uint64_t from = first > r->base ? first - r->base : 0, to = last - r->base < r->count ? last - r->base : r->count - 1;
    for (uint64_t i = from; i <= to; i++)
        c->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void ack_release_receipt(struct state *st, const struct stamp *stamp, const struct command *cmd, struct release *c,
                            const struct message_id *first, uint64_t last)
{
    struct gt *gt = c->gt;
    uint64_t from = lease_from(gt, first);
    for (struct run *r; (r = lease_next(gt, first, last, stamp->now_ms, &from));) {
        if (gt->runs.overlap)
            ack_release_collect(st, stamp, cmd, c, r, first->offset, last);
        else
            ack_release_run(st, stamp, cmd, gt, run_cut(&gt->runs, r, first->offset, last));
    }
}

void apply_release(struct state *st, const struct stamp *stamp, const struct command *cmd,
                   struct outcome *out)
{
    struct release c = {.gt = NULL};
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        struct message_id first;
        uint64_t last = 0;
        bool parsed = text_receipt_range(cmd->rest[i], &first, &last);
        assert(parsed);
        (void)parsed;
        if (i == 0 || !slice_equal(first.topic, c.topic)) {
            ack_release_collected(st, stamp, cmd, &c);
            c.topic = first.topic;
            enum status s = group_get(st, cmd->pos[0], first.topic, &c.gt);
            st->sick = st->sick || s == ST_NOMEM;
            c.gt = s == ST_OK ? c.gt : NULL;
        }
        if (c.gt)
            ack_release_receipt(st, stamp, cmd, &c, &first, last);
    }
    ack_release_collected(st, stamp, cmd, &c);
    reply_ok(&out->reply);
}

/* The group goes on behind messages that cannot be read: nobody could be delivered them, however often. */
void apply_skip(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        struct message_id first;
        uint64_t last = 0;
        struct gt *gt = NULL;
        enum status s = ack_find_range(st, cmd->pos[0], cmd->rest[i], &first, &last, &gt);
        st->sick = st->sick || s == ST_NOMEM; /* what is skipped must not depend on the memory */
        if (s == ST_OK)
            st->tally.messages_skipped += lease_ack(st, gt, &first, last, stamp->now_ms);
    }
    reply_ok(&out->reply);
}
