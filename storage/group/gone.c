/* gone.c: deletes topics and consumer groups at once, and the rows of what was on them in steps (gone.h). */
#include "storage/group/gone.h"

#include "storage/model/drop.h"
#include "storage/model/timer.h"

#define GONE_RETRY_MS 1000
#define GONE_LOOKED_MAX 2000 /* rows that one step looks at */

/* What is left to do, as the timer row says it: the id of the topic, or the id below which gts of the group are gone; its
 * name; and the name, of a group or a topic, from which to go on. */
struct gone {
    uint64_t id;
    struct slice name, from;
};

static struct slice gone_what(const struct gone *g, struct key *hold)
{
    hold->len = 0;
    key_u64(hold, g->id);
    key_name(hold, g->name);
    key_bytes(hold, g->from);
    return key_slice(hold);
}

static bool gone_parse(struct slice what, struct gone *ret_g)
{
    const uint8_t *zero = what.len > 8 ? memchr(what.data + 8, 0, what.len - 8) : NULL;
    if (!zero)
        return false;
    ret_g->id = key_read_u64(what.data);
    ret_g->name = slice_of(what.data + 8, (size_t)(zero - what.data) - 8);
    ret_g->from = slice_of(zero + 1, what.len - (size_t)(zero + 1 - what.data));
    return true;
}

/* Goes on from `from` with the next TICK; after a failed read, in a second. */
static void gone_later(struct state *st, enum timer_kind kind, const struct gone *g, struct slice from, enum status s)
{
    struct gone rest = {g->id, g->name, from};
    struct key hold;
    st->sick = st->sick || s == ST_NOMEM; /* when it is done must not depend on the memory */
    timer_put(st, st->now_ms + (s == ST_OK ? 0 : GONE_RETRY_MS), kind, gone_what(&rest, &hold));
}

/* Erases what a group has on the topic; its row H names it, and goes. */
static enum status gone_on_topic(struct state *st, const struct gone *g, struct slice group)
{
    struct group_row row;
    enum status s = group_read(st, group, g->name, &row);
    if (s == ST_OK && row.topic_id == g->id)
        return group_erase(st, group, g->name, &row);
    if (s != ST_OK && s != ST_GONE)
        return s;
    struct key hang = key_topic_group(g->id, group);
    core_del(st, &hang);
    return ST_OK;
}

/* Erases what the group has on a topic, unless it was created since. */
static enum status gone_of_group(struct state *st, const struct gone *g, struct slice topic)
{
    struct group_row row;
    enum status s = group_read(st, g->name, topic, &row);
    if (s == ST_OK && row.id < g->id)
        return group_erase(st, g->name, topic, &row);
    return s == ST_GONE ? ST_OK : s;
}

typedef enum status gone_fn(struct state *st, const struct gone *g, struct slice other);

/* Does it for all rows from prefix + g->from on, as far as one step goes. True: all of them are done; otherwise a timer
 * goes on. unseen: the open commit group has put rows that the store does not have yet, so a timer looks for them. */
static bool gone_scan(struct state *st, enum timer_kind kind, const struct gone *g, const struct key *prefix,
                      gone_fn *erase, bool unseen)
{
    struct key from = *prefix, to = key_after(prefix), at = {.len = 0};
    key_bytes(&from, g->from);
    key_bytes(&at, g->from);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    enum status s = it ? ST_OK : ST_NOMEM;
    uint32_t looked = 0;
    for (it ? kv_iter_first(it) : (void)0; it && kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        at.len = 0;
        key_bytes(&at, slice_of(key.data + prefix->len, key.len - prefix->len));
        if (st->gone_left == 0 || looked++ == GONE_LOOKED_MAX)
            break;
        s = erase(st, g, key_slice(&at));
        if (s != ST_OK)
            break;
        st->gone_left--;
    }
    bool more = it && kv_iter_valid(it);
    if (it && s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    bool all = !more && !unseen && s == ST_OK;
    if (!all)
        gone_later(st, kind, g, unseen ? g->from : key_slice(&at), s);
    return all;
}

static bool gone_scan_topic(struct state *st, const struct gone *g, bool unseen)
{
    struct key prefix = key_of_id('H', g->id);
    return gone_scan(st, TIMER_TOPIC_GONE, g, &prefix, gone_on_topic, unseen);
}

static bool gone_scan_group(struct state *st, const struct gone *g, bool unseen)
{
    struct key prefix = key_group_prefix(g->name);
    return gone_scan(st, TIMER_GROUP_GONE, g, &prefix, gone_of_group, unseen);
}

/* Erases the gts that the open commit group has made, whose rows the store does not have yet. False: not all. */
static bool gone_born(struct state *st, const struct gone *g, const struct gt *born)
{
    for (const struct gt *gt = born, *next; gt; gt = next) {
        next = gt->born_next;
        if (gt->gone)
            continue;
        uint8_t group[NAME_BYTES_MAX];
        memcpy(group, gt->group.data, gt->group.len);
        struct group_row row = {.id = gt->id, .topic_id = g->id, .attempt_base = gt->attempt_base};
        enum status s = st->gone_left ? group_erase(st, slice_of(group, gt->group.len), g->name, &row) : ST_BUSY;
        st->sick = st->sick || s == ST_NOMEM;
        if (s != ST_OK)
            return false;
        st->gone_left--;
    }
    return true;
}

void gone_topic(struct state *st, struct topic *t)
{
    uint8_t name[SYSTEM_NAME_BYTES_MAX];
    memcpy(name, t->name.data, t->name.len);
    struct gone g = {.id = t->id, .name = slice_of(name, t->name.len)};
    const struct gt *born = t->born_group == st->group ? t->born : NULL;
    drop_topic(st, t);
    (void)gone_scan_topic(st, &g, !gone_born(st, &g, born));
}

/* No row of a gt with a smaller id is left, so `below` need not be remembered any more. */
static void gone_finish(struct state *st, struct cgroup *cg, uint64_t below)
{
    if (cg->row.below != below)
        return;
    cg->row.below = 0;
    cgroup_dirty(st, cg);
}

enum status gone_group(struct state *st, struct slice group)
{
    struct cgroup *cg = NULL;
    enum status s = cgroup_get(st, group, &cg);
    if (s != ST_OK || cg->row.topics == 0)
        return s == ST_OK ? ST_GONE : s;
    assert(st->meta.groups >= cg->row.topics);
    st->meta.groups -= cg->row.topics;
    cg->row.topics = 0;
    cg->row.has_retry = false;
    cg->row.paused = false;
    cg->row.below = core_next_ref(st); /* also marks meta as changed */
    cgroup_dirty(st, cg);
    struct gone g = {.id = cg->row.below, .name = group};
    if (gone_scan_group(st, &g, cg->born_group == st->group))
        gone_finish(st, cg, g.id);
    return ST_OK;
}

void gone_tick_topic(struct state *st, struct slice what)
{
    struct gone g;
    if (gone_parse(what, &g))
        (void)gone_scan_topic(st, &g, false);
}

void gone_tick_group(struct state *st, struct slice what)
{
    struct gone g;
    struct cgroup *cg = NULL;
    if (!gone_parse(what, &g) || !gone_scan_group(st, &g, false))
        return;
    enum status s = cgroup_get(st, g.name, &cg);
    if (s == ST_OK)
        gone_finish(st, cg, g.id);
    else
        gone_later(st, TIMER_GROUP_GONE, &g, slice_of(NULL, 0), s);
}
