/*
 * group_set.c: GROUP SET, GROUP PAUSE and GROUP RESUME.
 *
 * Settings count from the next POP on: what is leased keeps its lease, and what waits for a retry its pause. A pause of a
 * group on one topic and of the whole group: what was said last counts (limit.h), so either writes one row, on however
 * many topics the group is.
 */
#include "storage/apply/group_options.h"
#include "storage/apply/handlers.h"
#include "storage/group/ordered_switch.h"

#define PAUSE_TELL_MAX 256 /* topics whose waiting consumers are told one by one */

static struct group_settings group_set_now(const struct gt *gt)
{
    struct group_settings set = {.lease_ms = gt->lease_ms,
                                 .attempts = gt->attempts,
                                 .n_backoff = gt->n_backoff,
                                 .ordered = gt->flags & GROUP_ORDERED,
                                 .rate = gt->rate,
                                 .inflight = gt->inflight};
    memcpy(set.backoff_ms, gt->backoff_ms, sizeof(set.backoff_ms));
    return set;
}

/* RATE counts anew from here on; the same one again goes on counting. */
static void group_set_rate(struct state *st, struct gt *gt, int64_t now_ms, uint32_t rate)
{
    if (rate == gt->rate)
        return;
    gt->rate = rate;
    gt->rate_ms = rate ? now_ms : 0;
    gt->rate_free_us = rate ? now_ms * 1000 : 0;
    group_dirty(st, gt);
}

void apply_group_set(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    struct gt *gt = group_options_find(st, cmd, out);
    if (!gt)
        return;
    struct group_settings set = group_set_now(gt);
    group_options_read(cmd, &set);
    enum status s = command_has(cmd, OPT(ORDERED)) ? ordered_switch(st, gt, set.ordered) : ST_OK;
    if (s == ST_OK && command_has(cmd, OPT(FILTER)))
        s = group_set_filter(st, gt, &set);
    if (s == ST_BUSY) {
        reply_error(&out->reply, s, "too many messages of the group are leased or wait for a retry, at most %d: nothing was done",
                    ORDERED_HELD_MAX);
        return;
    }
    if (s != ST_OK) {
        core_fail(out, s, "GROUP SET");
        return;
    }
    gt->lease_ms = set.lease_ms;
    gt->attempts = set.attempts;
    gt->n_backoff = set.n_backoff;
    memcpy(gt->backoff_ms, set.backoff_ms, sizeof(gt->backoff_ms));
    gt->inflight = set.inflight;
    group_set_rate(st, gt, stamp->now_ms, set.rate);
    group_save(st, gt);
    core_news(st, &gt->news, NEWS_ALL);
    reply_ok(&out->reply);
}

/* Those that wait for the group on any topic look again. Where it is on many topics, or the open commit group has put
 * it on one, all that wait for anything do. */
static void pause_tell_all(struct state *st, const struct cgroup *cg)
{
    struct key prefix = key_group_prefix(cg->name), to = key_after(&prefix);
    bool few = cg->row.topics <= PAUSE_TELL_MAX && cg->born_group != st->group;
    struct kv_iter *it = few ? kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&prefix), key_slice(&to)) : NULL;
    uint32_t n = 0;
    for (it ? kv_iter_first(it) : (void)0; it && kv_iter_valid(it) && n < PAUSE_TELL_MAX; kv_iter_next(it), n++) {
        struct slice key = kv_iter_key(it);
        struct slice topic = slice_of(key.data + prefix.len, key.len - prefix.len);
        struct news_slot slot = {.key = news_key(NEWS_GROUP, cg->name, topic)};
        core_news(st, &slot, NEWS_ALL);
    }
    bool all = it && !kv_iter_valid(it) && kv_iter_status(it) == ST_OK;
    kv_iter_free(it);
    st->fx.overflow = st->fx.overflow || !all;
}

static void pause_topic(struct state *st, const struct command *cmd, struct outcome *out, bool on)
{
    struct gt *gt = group_options_find(st, cmd, out);
    if (!gt)
        return;
    gt->flags = on ? gt->flags | GROUP_PAUSED : gt->flags & ~(uint32_t)GROUP_PAUSED;
    gt->pause_ref = core_next_ref(st);
    group_save(st, gt);
    if (!on)
        core_news(st, &gt->news, NEWS_ALL);
    reply_ok(&out->reply);
}

static void pause_group(struct state *st, const struct command *cmd, struct outcome *out, bool on)
{
    struct cgroup *cg = NULL;
    char name[160];
    enum status s = cgroup_get(st, cmd->pos[0], &cg);
    if (s != ST_OK) {
        core_fail(out, s, cmd->info->words);
        return;
    }
    if (cg->row.topics == 0) {
        text_quote(cmd->pos[0], 135, name, sizeof(name));
        reply_error(&out->reply, ST_NOGROUP, "no group '%s'", name);
        return;
    }
    cg->row.paused = on;
    cg->row.pause_ref = core_next_ref(st);
    cgroup_dirty(st, cg);
    if (!on)
        pause_tell_all(st, cg);
    reply_ok(&out->reply);
}

static void pause_apply(struct state *st, const struct command *cmd, struct outcome *out, bool on)
{
    if (cmd->n_pos > 1)
        pause_topic(st, cmd, out, on);
    else
        pause_group(st, cmd, out, on);
}

void apply_group_pause(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    pause_apply(st, cmd, out, true);
}

void apply_group_resume(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    pause_apply(st, cmd, out, false);
}
