/* dead.c: copies a message to the dead-letter topic of its group (dead.h). */
#include "storage/group/dead.h"

#include <stdio.h>

#include "storage/group/retry.h"
#include "storage/group/ordered.h"
#include "storage/model/log.h"
#include "storage/model/tail.h"

struct slice dead_topic_name(struct slice group, uint8_t *out)
{
    memcpy(out, "%DLQ%", 5);
    memcpy(out + 5, group.data, group.len);
    return slice_of(out, group.len + 5);
}

enum status dead_find(struct state *st, struct slice group, struct topic **ret_t)
{
    uint8_t hold[SYSTEM_NAME_BYTES_MAX];
    return topic_get(st, dead_topic_name(group, hold), ret_t);
}

/* The group's dead-letter topic, made if need be; it has one queue, so that dead letters stay in order. A group that
 * may have messages may give them up, so there is room for its topic when there are TOPICS_MAX others. */
static enum status dead_topic(struct state *st, int64_t now_ms, struct slice group, struct topic **ret_t)
{
    uint8_t hold[NAME_BYTES_MAX + 8];
    struct slice name = dead_topic_name(group, hold);
    static const struct topic_settings set = {.n_queues = 1, .reserved = true};
    enum status s = topic_get(st, name, ret_t);
    return s == ST_GONE ? topic_create(st, now_ms, name, &set, ret_t) : s;
}

/* A message that was redriven, and dies again, keeps its origin. */
static void dead_fill(const struct gt *gt, const struct run *r, struct slice place, struct slice reason,
                      struct message *m)
{
    bool redriven = (m->fields & MSG_ORIGIN) && retry_is_of(gt->topic->name, gt->group);
    m->fields &= ~(uint32_t)MSG_TTL;
    m->fields |= MSG_GROUP | MSG_ORIGIN | MSG_ATTEMPTS | MSG_REASON;
    m->group = gt->group;
    m->origin = redriven ? m->origin : place;
    m->attempts = r->delivered;
    m->reason = reason;
}

/* Takes the message out of the group. */
static void dead_leave(struct state *st, struct gt *gt, struct run *r, uint64_t offset)
{
    if (gt->order)
        ordered_done(st, gt, r->queue, offset);
    run_clear(&gt->runs, r, offset);
    group_dirty(st, gt);
}

enum status dead_letter(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r,
                        uint64_t offset, struct slice reason)
{
    struct topic *dlq = NULL;
    struct message m;
    enum status s = log_read(st, gt->topic, r->queue, offset, &st->props, &m);
    bool expired = s == ST_OK && (m.fields & MSG_TTL) && m.expires_ms <= stamp->now_ms;
    if (expired)
        st->tally.dead_expired++;
    if (s == ST_GONE || s == ST_DAMAGED || expired) { /* purged meanwhile, lost, or too late: there is nothing to keep */
        dead_leave(st, gt, r, offset);
        return ST_OK;
    }
    if (s == ST_OK)
        s = dead_topic(st, stamp->now_ms, gt->group, &dlq);
    if (s != ST_OK)
        return s;
    char origin[NAME_BYTES_MAX + 48];
    int n = snprintf(origin, sizeof(origin), "%.*s:%u:%llu", (int)gt->topic->name.len,
                     (const char *)gt->topic->name.data, r->queue, (unsigned long long)offset);
    dead_fill(gt, r, slice_of(origin, (size_t)n), reason, &m);
    uint64_t at = 0;
    s = tail_append(st, stamp->now_ms, dlq, 0, &m, &at);
    if (s != ST_OK)
        return s;
    dead_leave(st, gt, r, offset);
    st->tally.messages_dead++;
    return ST_OK;
}
