/*
 * check_group.c: groups on topics: each has its row H, and a cursor within the queues of its topic; its runs R and V, and rows Z, add up to what
 * the cursor says; and a timer for the first of these that is due. Rows that are left over of a deleted topic or group mean nothing
 * (FORMAT.md): a timer must say that they are still to be deleted.
 */
#include "storage/check/check_group.h"

#include "storage/check/check_timer.h"

#include <stdio.h>

#include "storage/disk/directory.h"

struct check_group {
    struct checking *c;
    struct slice group, topic;
    struct group_row row;
    struct topic_row on;
    struct cursor_row cursor;
    int64_t lease_ms;          /* when the first lease ends; INT64_MAX: there is none */
    uint64_t ends[QUEUES_MAX]; /* of the topic's queues; UINT64_MAX: not known */
    char name[2 * CHECK_QUOTED + 32]; /* "group g on topic t" */
};

/* Was the group deleted? Then no count has it any more. */
static bool check_group_deleted(struct check_group *g)
{
    struct checking *c = g->c;
    struct cgroup_row named;
    struct key cgroup = key_cgroup(g->group);
    return check_has(c, &cgroup) && cgroup_decode(buf_slice(&c->value), &named) == ST_OK && named.below > g->row.id;
}

/* Was the topic deleted? Then it is counted until its rows are. */
static bool check_group_without_topic(struct check_group *g)
{
    struct checking *c = g->c;
    struct key topic = key_topic(g->topic);
    return !check_has(c, &topic) || topic_decode(buf_slice(&c->value), &g->on) != ST_OK || g->on.id != g->row.topic_id;
}

/* Where the queue ends. */
static bool check_group_end(struct check_group *g, struct directory *d, uint32_t queue, uint64_t *ret_end)
{
    struct record_info info;
    enum status s = directory_last(d, queue, &info);
    uint64_t floor = g->on.floor[queue];
    *ret_end = s == ST_OK && info.base + info.count > floor ? info.base + info.count : floor;
    if (s == ST_IO || s == ST_NOMEM)
        g->c->failed = s;
    return s == ST_OK || s == ST_GONE;
}

static void check_group_cursors(struct check_group *g)
{
    struct directory d;
    if (!directory_open(&d, g->c->kv, NULL, g->on.id, g->on.compress)) {
        g->c->failed = ST_NOMEM;
        return;
    }
    if (g->cursor.n_queues > g->on.n_queues)
        check_say(g->c, "%s has cursors for %u queues, and the topic has %u", g->name, g->cursor.n_queues, g->on.n_queues);
    for (uint32_t q = 0; q < g->on.n_queues && g->c->failed == ST_OK; q++) {
        if (!check_group_end(g, &d, q, &g->ends[q]))
            g->ends[q] = UINT64_MAX;
        if (q < g->cursor.n_queues && g->cursor.next[q] > g->ends[q])
            check_say(g->c, "%s is at %llu of queue %u, which ends at %llu", g->name, (unsigned long long)g->cursor.next[q], q,
                      (unsigned long long)g->ends[q]);
    }
    directory_close(&d);
}

static uint64_t check_group_bits(const uint64_t *words, size_t n)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits += (uint64_t)__builtin_popcountll(words[i]);
    return bits;
}

/* Behind the last live message of a run. One that was passed over by a group that is not ORDERED any more is as long as a row Z, and
 * may end behind its queue. */
static uint64_t check_group_run_end(uint64_t base, const struct run_row *row)
{
    uint32_t n = row->count;
    while (n > 0 && !(row->bits[(n - 1) / 64] >> ((n - 1) % 64) & 1))
        n--;
    return base + n;
}

/* Rows R, or V: how many live messages and rows. */
static bool check_group_runs(struct check_group *g, char kind, enum run_state state, uint64_t *ret_live, uint64_t *ret_rows)
{
    struct slice key, value;
    struct run_row row;
    struct key prefix = key_of_id(kind, g->row.id);
    *ret_live = *ret_rows = 0;
    struct kv_iter *it = check_rows(g->c, &prefix);
    for (; check_row(g->c, it, &key, &value); kv_iter_next(it)) {
        size_t place = kind == 'R' ? 9 : 17; /* of queue and base in the key */
        if (key.len < place + 12 || run_decode(value, &row) != ST_OK)
            continue;
        uint32_t queue = key_read_u32(key.data + place);
        uint64_t base = key_read_u64(key.data + place + 4);
        ++*ret_rows;
        *ret_live += check_group_bits(row.bits, (row.count + 63) / 64);
        if (kind == 'R' && row.due_ms < g->lease_ms)
            g->lease_ms = row.due_ms;
        bool beyond = queue >= g->on.n_queues || check_group_run_end(base, &row) > g->ends[queue];
        if (row.state != state || run_row_empty(&row) || beyond)
            check_say(g->c, "%s has a run %u:%llu-%llu that %s", g->name, queue, (unsigned long long)base,
                      (unsigned long long)(base + row.count - 1), beyond ? "its queue does not have" : "is not what its key says");
    }
    return check_rows_end(g->c, it);
}

static bool check_group_skipped(struct check_group *g, uint64_t *ret_live, uint64_t *ret_rows)
{
    struct slice key, value;
    struct skip_row row;
    struct key prefix = key_of_id('Z', g->row.id);
    *ret_live = *ret_rows = 0;
    struct kv_iter *it = check_rows(g->c, &prefix);
    for (; check_row(g->c, it, &key, &value); kv_iter_next(it)) {
        ++*ret_rows;
        if (skip_decode(value, &row) == ST_OK)
            *ret_live += check_group_bits(row.bits, SKIP_WORDS);
    }
    return check_rows_end(g->c, it);
}

static void check_group_sum(struct check_group *g, const char *what, uint64_t said, uint64_t there)
{
    if (said != there)
        check_say(g->c, "%s counts %llu %s, and has %llu", g->name, (unsigned long long)said, what, (unsigned long long)there);
}

/* Behind a PURGE that it has not seen yet, and behind a SEEK, runs may be void and are counted or not. */
static void check_group_sums(struct check_group *g)
{
    uint64_t live = 0, rows = 0;
    bool exact = g->cursor.purges == g->on.purges && !g->cursor.sought;
    if (check_group_runs(g, 'R', RUN_LEASED, &live, &rows) && exact) {
        check_group_sum(g, "leased messages", g->cursor.leased, live);
        check_group_sum(g, "leased runs", g->cursor.leased_runs, rows);
    }
    if (check_group_runs(g, 'V', RUN_WAITING, &live, &rows) && exact) {
        check_group_sum(g, "messages that wait for a retry", g->cursor.waiting, live);
        check_group_sum(g, "runs that wait for a retry", g->cursor.waiting_runs, rows);
    }
    if (check_group_skipped(g, &live, &rows) && exact) {
        check_group_sum(g, "messages that it has passed over", g->cursor.skipped, live);
        check_group_sum(g, "rows of messages that it has passed over", g->cursor.skipped_rows, rows);
    }
}

/* What is leased, or waits until later, has a timer that fires by then. */
static void check_group_timer(struct check_group *g)
{
    const struct cursor_row *cursor = &g->cursor;
    struct key what = {.len = 0};
    key_name(&what, g->group);
    key_bytes(&what, g->topic);
    if (cursor->timer_ms && !check_timer_has(g->c, TIMER_GT, cursor->timer_ms, key_slice(&what)))
        check_say(g->c, "%s has no timer for its leases", g->name);
    if (cursor->purges != g->on.purges || cursor->sought)
        return;
    int64_t due_ms = cursor->leased_runs ? g->lease_ms : INT64_MAX;
    if (cursor->waiting_runs && cursor->first.due_ms > g->c->meta.now_ms && cursor->first.due_ms < due_ms)
        due_ms = cursor->first.due_ms;
    if (due_ms < INT64_MAX && (cursor->timer_ms == 0 || cursor->timer_ms > due_ms))
        check_say(g->c, "%s has messages that are due before its timer", g->name);
}

/* Rows of a gt that is no more: a timer goes on deleting them. */
static void check_group_left_over(struct check_group *g)
{
    struct checking *c = g->c;
    char group[CHECK_QUOTED], topic[CHECK_QUOTED];
    if (c->blind || check_timer_gone(c, TIMER_TOPIC_GONE, g->row.topic_id, g->topic, g->group) ||
        check_timer_gone(c, TIMER_GROUP_GONE, g->row.id, g->group, g->topic))
        return;
    check_say(c, "group %s on topic %s is left over of a deleted one, and nothing deletes it", check_quote(g->group, group),
              check_quote(g->topic, topic));
}

static void check_group_one_group(struct check_group *g)
{
    char group[CHECK_QUOTED], topic[CHECK_QUOTED];
    struct checking *c = g->c;
    struct key member = key_topic_group(g->on.id, g->group), cursor = key_cursor(g->row.id);
    (void)snprintf(g->name, sizeof g->name, "group %s on topic %s", check_quote(g->group, group), check_quote(g->topic, topic));
    c->sums.groups++;
    if (!check_has(c, &member))
        check_say(c, "%s is not in the topic's list", g->name);
    if (!check_has(c, &cursor)) {
        check_say(c, "%s has no cursor", g->name);
        return;
    }
    if (cursor_decode(buf_slice(&c->value), &g->cursor) != ST_OK)
        return; /* the first pass has told it */
    g->lease_ms = INT64_MAX;
    check_group_cursors(g);
    check_group_sums(g);
    check_group_timer(g);
}

/* A group's row S says on how many topics it is. */
static void check_group_cgroup(struct checking *c, struct slice group, uint64_t topics)
{
    struct cgroup_row row = {0};
    char quoted[CHECK_QUOTED];
    struct key key = key_cgroup(group);
    if (topics == 0)
        return;
    if (!check_has(c, &key))
        check_say(c, "group %s is on %llu topics, and has no row of its own", check_quote(group, quoted), (unsigned long long)topics);
    else if (cgroup_decode(buf_slice(&c->value), &row) == ST_OK && row.topics != topics)
        check_say(c, "group %s counts %llu topics, and is on %llu", check_quote(group, quoted), (unsigned long long)row.topics,
                  (unsigned long long)topics);
}

void check_group_all(struct checking *c)
{
    struct check_group g = {.c = c};
    struct key prefix;
    struct slice key, value;
    char last[KEY_SIZE];
    size_t last_len = 0;
    uint64_t topics = 0;
    key_begin(&prefix, 'G');
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        const uint8_t *zero = memchr(key.data, 0, key.len);
        if (!zero || group_decode(value, &g.row) != ST_OK)
            continue;
        g.group = slice_of(key.data + 1, (size_t)(zero - key.data) - 1);
        g.topic = slice_of(zero + 1, key.len - (size_t)(zero - key.data) - 1);
        if (!slice_equal(g.group, slice_of(last, last_len))) {
            check_group_cgroup(c, slice_of(last, last_len), topics);
            topics = 0;
            last_len = g.group.len < sizeof last ? g.group.len : 0;
            memcpy(last, g.group.data, last_len);
        }
        bool deleted = check_group_deleted(&g), left_over = check_group_without_topic(&g);
        topics += !deleted;
        c->left_over += !deleted && left_over;
        if (deleted || left_over)
            check_group_left_over(&g);
        else
            check_group_one_group(&g);
    }
    check_group_cgroup(c, slice_of(last, last_len), topics);
    (void)check_rows_end(c, it);
}
