/*
 * sifter.c: looks through messages with the filters of groups (query.h, sift.h).
 *
 *   topic after topic of the POP     its group has no FILTER WHERE there: next
 *     want after want                where to begin in which queue: as apply has said, or as the group's cursors say
 *       message after message        a step may end behind any of them; the next one goes on there, in a newer view
 *
 * Each want has an equal share of the messages that may be looked at. Where the next want is in the same queue, the first
 * ends where that begins.
 *
 * Between two steps the topic may be purged, deleted, or its records may go by retention: so its row is read again in each
 * step. The group's filter may change: its version is in each range, so whoever uses the range will see.
 */
#include "storage/query/base/view.h"

#include <stdlib.h>

#include "storage/disk/directory.h"
#include "storage/query/base/where.h"
#include "storage/sift.h"

#define STEP_WORK 10000 /* as where.work: a step takes less than a millisecond, or one message */
#define WORK_WANT 40    /* to find out where a queue ends */
#define WORK_ROWS 400   /* to read the rows of a topic and its group */

struct sifter {
    const struct command *cmd;
    struct slice asked; /* struct sift_want each, by topic; empty: the group's cursors count */
    struct buf found;
    uint32_t count;    /* of those that match: no more are wanted */
    uint32_t matched;  /* of all topics that are done */
    uint32_t examined;
    uint32_t n_ranges;
    uint32_t topic;    /* in cmd->rest, at work */
    bool begun;        /* ... and its rows were read */
    bool filters;      /* some topic has a filter */
    bool all;          /* everything was looked at, up to the end of each queue */
    uint64_t work;     /* left in this step */
    /* ---- the topic at work ---- */
    struct filter *filter;
    uint64_t gt, filter_ref, topic_id;
    struct buf wants;      /* struct sift_want each */
    uint32_t n_wants, want; /* want: at work ... */
    bool in_range;          /* ... and begun */
    uint64_t at;            /* the next message */
    size_t range_at;        /* in found */
    uint32_t range_matched, range_left; /* how many match; how many more may be looked at */
    uint32_t topic_matched;
};

struct sifter *sifter_new(const struct command *cmd, struct slice asked)
{
    struct sifter *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->cmd = cmd;
    s->asked = asked;
    s->count = (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
    s->all = true;
    buf_init(&s->found, MIB(1));
    buf_init(&s->wants, MIB(1));
    return s;
}

void sifter_want_more(struct sifter *s, const struct command *cmd)
{
    s->count += (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
}

void sifter_free(struct sifter *s)
{
    if (!s)
        return;
    free(s->filter);
    buf_free(&s->found);
    buf_free(&s->wants);
    free(s);
}

struct slice sifter_found(const struct sifter *s)
{
    return s->found.failed ? slice_of(NULL, 0) : buf_slice(&s->found);
}

bool sifter_saw_all(const struct sifter *s)
{
    return s->all;
}

bool sifter_filters(const struct sifter *s)
{
    return s->filters;
}

static void sifter_spend(struct sifter *s, uint64_t work) { s->work -= work < s->work ? work : s->work; }

/* ---- what is wanted of a topic ---- */

static void sifter_want(struct sifter *s, uint32_t queue, uint64_t at)
{
    struct sift_want w = {s->topic, queue, at};
    buf_put(&s->wants, &w, sizeof(w));
    s->n_wants++;
}

static struct sift_want sifter_want_at(const struct sifter *s, uint32_t i)
{
    struct sift_want w;
    memcpy(&w, s->wants.data + i * sizeof(w), sizeof(w));
    return w;
}

/* Takes those that apply has asked for. */
static void sifter_asked(struct sifter *s)
{
    struct sift_want w;
    for (; s->asked.len >= sizeof(w); s->asked = slice_of(s->asked.data + sizeof(w), s->asked.len - sizeof(w))) {
        memcpy(&w, s->asked.data, sizeof(w));
        if (w.topic > s->topic)
            break;
        if (w.topic == s->topic && w.queue < QUEUES_MAX)
            sifter_want(s, w.queue, w.at);
    }
}

/* Takes the group's cursors. */
static enum status sifter_cursors(struct sifter *s, struct view *v)
{
    struct key key = key_cursor(s->gt);
    struct cursor_row row;
    enum status st = view_get(v, &key);
    if (st != ST_OK)
        return st;
    if (cursor_decode(buf_slice(&v->row), &row) != ST_OK)
        return view_damaged(v, &key);
    for (uint32_t q = 0; q < v->topic.n_queues; q++)
        sifter_want(s, q, q < row.n_queues ? row.next[q] : 0);
    return ST_OK;
}

/* Parses the filter of the group. ST_GONE: it has no FILTER WHERE. */
static enum status sifter_group(struct sifter *s, struct view *v)
{
    struct key key = key_group(s->cmd->pos[0], s->cmd->rest[s->topic]);
    struct group_row row;
    enum status st = view_get(v, &key);
    if (st != ST_OK)
        return st;
    if (group_decode(buf_slice(&v->row), &row) != ST_OK)
        return view_damaged(v, &key);
    if (row.filter_kind != FILTER_WHERE || row.topic_id != s->topic_id)
        return ST_GONE;
    s->gt = row.id;
    s->filter_ref = row.filter_ref;
    s->filters = true;
    st = where_parse(&row, &s->filter);
    return st == ST_BAD ? view_damaged(v, &key) : st;
}

static int sifter_order(const void *x, const void *y)
{
    const struct sift_want *a = x, *b = y;
    if (a->queue != b->queue)
        return a->queue < b->queue ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Reads the rows of the topic at work, and of its group. ST_GONE: nothing is to be looked at there. */
static enum status sifter_begin_topic(struct sifter *s, struct view *v)
{
    bool asked = s->asked.len > 0;
    buf_reset(&s->wants, 0);
    s->n_wants = s->want = s->topic_matched = 0;
    s->in_range = false;
    sifter_spend(s, WORK_ROWS);
    sifter_asked(s);
    enum status st = asked && !s->n_wants ? ST_GONE : view_topic(v, s->cmd->rest[s->topic]);
    if (st != ST_OK)
        return st;
    s->topic_id = v->topic.id;
    st = sifter_group(s, v);
    if (st == ST_OK && !asked)
        st = sifter_cursors(s, v);
    if (st == ST_OK && s->wants.failed)
        st = ST_NOMEM;
    if (st == ST_OK && s->n_wants > 1)
        qsort(s->wants.data, s->n_wants, sizeof(struct sift_want), sifter_order);
    return st;
}

/* ---- messages ---- */

static bool sifter_full(const struct sifter *s)
{
    return s->range_left == 0 || s->matched + s->range_matched >= s->count;
}

static bool sifter_put(void *arg, const struct where_seen *seen)
{
    struct sifter *s = arg;
    sift_range_add(&s->found, s->range_at, seen->matches);
    s->range_matched += seen->matches;
    s->range_left--;
    s->examined++;
    return !sifter_full(s);
}

/* Goes on with the want at work, up to `end`. */
static enum status sifter_ask(struct sifter *s, struct view *v, uint32_t queue, uint64_t end)
{
    struct where w = {.filter = s->filter,
                      .topic = s->cmd->rest[s->topic],
                      .queue = queue,
                      .at = s->at,
                      .end = end,
                      .work = s->work,
                      .put = sifter_put,
                      .arg = s};
    enum status st = where_ask(&w, v);
    s->at = w.at;
    s->work = w.work;
    return st;
}

/* ---- wants ---- */

/* Those that are left share what may be looked at. */
static void sifter_begin_range(struct sifter *s, uint32_t queue, uint64_t from)
{
    uint32_t left = SIFT_MESSAGES_MAX - s->examined, wants = s->n_wants - s->want;
    struct sift_range r = {.gt = s->gt, .filter_ref = s->filter_ref, .queue = queue, .from = from};
    s->in_range = true;
    s->at = from;
    s->range_at = sift_range_begin(&s->found, &r);
    s->n_ranges++;
    s->range_matched = 0;
    s->range_left = left / wants ? left / wants : 1;
}

/* Where the want at work ends: with its queue, or where the next want begins. */
static enum status sifter_end(struct sifter *s, struct directory *d, uint64_t *ret_end)
{
    struct sift_want w = sifter_want_at(s, s->want);
    struct record_info last;
    sifter_spend(s, WORK_WANT);
    enum status st = directory_last(d, w.queue, &last);
    *ret_end = st == ST_OK ? last.base + last.count : 0;
    if (st == ST_OK && s->want + 1 < s->n_wants) {
        struct sift_want next = sifter_want_at(s, s->want + 1);
        if (next.queue == w.queue && next.at < *ret_end)
            *ret_end = next.at;
    }
    return st == ST_GONE ? ST_OK : st;
}

/* Looks at the messages of a want. ST_BUSY: it is not done in this step. */
static enum status sifter_do_want(struct sifter *s, struct view *v, struct directory *d)
{
    struct sift_want w = sifter_want_at(s, s->want);
    uint64_t end = 0, floor = w.queue < v->topic.n_queues ? v->topic.floor[w.queue] : UINT64_MAX;
    enum status st = sifter_end(s, d, &end);
    uint64_t from = w.at < floor ? floor : w.at;
    if (st != ST_OK || (!s->in_range && from >= end))
        return st;
    if (!s->in_range && (s->examined >= SIFT_MESSAGES_MAX || s->n_ranges == SIFT_RANGES_MAX)) {
        s->all = false;
        return ST_OK;
    }
    if (!s->in_range)
        sifter_begin_range(s, w.queue, from);
    bool gone = s->at < floor; /* since the last step; apply will see that, too */
    if (!gone && !sifter_full(s))
        st = sifter_ask(s, v, w.queue, end);
    if (st != ST_OK)
        return st;
    if (!gone && s->at < end && !sifter_full(s) && s->work == 0)
        return ST_BUSY;
    s->all = s->all && s->at >= end;
    s->topic_matched += s->range_matched;
    s->in_range = false;
    return ST_OK;
}

static enum status sifter_do_wants(struct sifter *s, struct view *v)
{
    struct directory d;
    enum status st = view_topic(v, s->cmd->rest[s->topic]);
    if (st == ST_OK && v->topic.id != s->topic_id)
        st = ST_GONE;
    if (st != ST_OK)
        return st;
    if (!directory_open(&d, v->kv, v->snap, s->topic_id, v->topic.compress))
        return ST_NOMEM;
    for (; s->want < s->n_wants && st == ST_OK; s->want += st == ST_OK)
        st = s->work > 0 ? sifter_do_want(s, v, &d) : ST_BUSY;
    directory_close(&d);
    return st;
}

/* Looks at a topic. ST_BUSY: it is not done in this step. */
static enum status sifter_do_topic(struct sifter *s, struct view *v)
{
    enum status st = s->begun ? ST_OK : sifter_begin_topic(s, v);
    if (st == ST_OK) {
        s->begun = true;
        st = sifter_do_wants(s, v);
    }
    if (st == ST_BUSY)
        return st;
    s->matched += s->topic_matched;
    s->begun = false;
    free(s->filter);
    s->filter = NULL;
    return st == ST_GONE ? ST_OK : st;
}

enum status sifter_step(struct sifter *s, struct view *v)
{
    enum status st = ST_OK;
    s->work = STEP_WORK;
    for (; st == ST_OK && s->topic < s->cmd->n_rest && s->matched < s->count; s->topic += st == ST_OK)
        st = s->work > 0 ? sifter_do_topic(s, v) : ST_BUSY;
    if (st != ST_BUSY)
        s->all = s->all && st == ST_OK && s->topic == s->cmd->n_rest;
    return s->found.failed ? ST_NOMEM : st;
}
