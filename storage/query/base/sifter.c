/*
 * sifter.c: looks through messages with the filters of groups (query.h, sift.h).
 *
 *   topic after topic of the POP     its group has no FILTER WHERE there: next
 *     queue after queue              from the cursor on; each queue has its share of the messages that may be looked at
 *       record after record          a step may end behind any message, and the next one goes on there in a newer view
 *
 * Between two steps the topic may be purged, deleted, or its records may go by retention: so its row is read again in each
 * step. The group's filter may change: its version is in each range, so whoever uses the range will see.
 */
#include "storage/query/base/view.h"

#include <stdlib.h>

#include "protocol/filter/filter.h"
#include "storage/disk/directory.h"
#include "storage/sift.h"

#define STEP_WORK 10000   /* of filter_matches, about 50 ns each, so a step takes less than a millisecond, or one message */
#define WORK_MESSAGE 4    /* to decode one ... */
#define WORK_BYTES 512    /* ... and so many bytes of it */
#define WORK_QUEUE 40     /* to find out where a queue ends */
#define WORK_OPEN 200     /* to read a group's rows, or the first record of a queue */

struct sifter {
    const struct command *cmd;
    struct buf found;
    uint32_t want;     /* messages that match, for all topics together */
    uint32_t matched;  /* in the topics that are done */
    uint32_t examined;
    uint32_t topic;    /* cmd->rest, at work */
    bool begun;        /* ... and its rows were read */
    bool filters;      /* some topic has a filter */
    bool all;          /* everything was looked at, up to the end of each queue */
    uint64_t work;     /* left in this step */
    /* ---- the topic at work ---- */
    struct filter *filter;
    struct sift_range range; /* its gt, filter_ref, and the queue at work */
    uint64_t topic_id;
    uint32_t n_queues;
    uint64_t at;             /* the next message of the queue */
    size_t range_at;         /* in found */
    bool in_range;
    uint32_t queue_matched, queue_left; /* how many of the queue match; how many more may be looked at */
    uint32_t topic_matched;
    uint32_t n_next;
    uint64_t *next; /* where each queue begins */
};

struct sifter *sifter_new(const struct command *cmd)
{
    struct sifter *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->cmd = cmd;
    s->want = (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
    s->all = true;
    buf_init(&s->found, MIB(1));
    return s;
}

void sifter_want_more(struct sifter *s, const struct command *cmd)
{
    s->want += (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
}

void sifter_free(struct sifter *s)
{
    if (!s)
        return;
    free(s->filter);
    free(s->next);
    buf_free(&s->found);
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

/* ---- the group ---- */

/* Parses the filter of the group's row, which is in v->row. ST_GONE: it has no FILTER WHERE. */
static enum status sifter_group(struct sifter *s, struct view *v, const struct key *key)
{
    struct group_row row;
    char why[16];
    if (group_decode(buf_slice(&v->row), &row) != ST_OK)
        return view_damaged(v, key);
    if (row.filter_kind != FILTER_WHERE || row.topic_id != s->topic_id)
        return ST_GONE;
    s->range = (struct sift_range){.gt = row.id, .filter_ref = row.filter_ref};
    s->filters = true;
    enum status st = filter_parse(row.filter, &s->filter, (struct complaint){why, sizeof(why)});
    return st == ST_OK || st == ST_NOMEM ? st : view_damaged(v, key);
}

static enum status sifter_cursor(struct sifter *s, struct view *v)
{
    struct key key = key_cursor(s->range.gt);
    struct cursor_row row;
    enum status st = view_get(v, &key);
    if (st != ST_OK)
        return st;
    if (cursor_decode(buf_slice(&v->row), &row) != ST_OK)
        return view_damaged(v, &key);
    free(s->next);
    s->n_next = row.n_queues;
    s->next = malloc(row.n_queues * sizeof(*s->next));
    if (!s->next)
        return ST_NOMEM;
    memcpy(s->next, row.next, row.n_queues * sizeof(*s->next));
    return ST_OK;
}

/* Reads the rows of the topic at work, and of its group. ST_GONE: nothing is to be looked at there. */
static enum status sifter_begin_topic(struct sifter *s, struct view *v)
{
    struct slice name = s->cmd->rest[s->topic];
    struct key group = key_group(s->cmd->pos[0], name);
    sifter_spend(s, WORK_OPEN);
    enum status st = view_topic(v, name);
    if (st != ST_OK)
        return st;
    s->topic_id = v->topic.id;
    s->n_queues = v->topic.n_queues;
    st = view_get(v, &group);
    if (st == ST_OK)
        st = sifter_group(s, v, &group);
    if (st == ST_OK)
        st = sifter_cursor(s, v);
    s->topic_matched = 0;
    s->in_range = false;
    return st;
}

/* ---- messages ---- */

static bool sifter_queue_full(const struct sifter *s)
{
    return s->queue_left == 0 || s->matched + s->queue_matched >= s->want;
}

static void sifter_put(struct sifter *s, bool matches)
{
    sift_range_add(&s->found, s->range_at, matches);
    s->queue_matched += matches;
    s->queue_left--;
    s->examined++;
    s->at++;
}

/* Looks at the messages of a record, as far as it may. */
static enum status sifter_record(struct sifter *s, struct slice record, const struct record_header *h)
{
    while (s->at - h->base < h->count && !sifter_queue_full(s) && s->work > 0) {
        struct message m;
        struct filter_subject subject = {&m, s->cmd->rest[s->topic], s->range.queue, s->at, h->stored_ms};
        uint32_t i = (uint32_t)(s->at - h->base);
        uint64_t work = WORK_MESSAGE;
        if (record_message(record, h, i, &m) != ST_OK)
            return ST_DAMAGED;
        bool matches = filter_matches(s->filter, &subject, &work);
        sifter_spend(s, work + record_bytes(record, h, i).len / WORK_BYTES);
        sifter_put(s, matches);
    }
    return ST_OK;
}

/* Messages that cannot be read. */
static enum status sifter_lost(struct sifter *s, struct view *v)
{
    uint64_t first = 0, last = 0;
    enum status st = view_find_lost(v, s->cmd->rest[s->topic], s->range.queue, s->at, &first, &last);
    sifter_spend(s, WORK_OPEN);
    if (st != ST_DAMAGED)
        return st;
    while (s->at <= last && !sifter_queue_full(s))
        sifter_put(s, true);
    return ST_OK;
}

/* Goes on in the queue at work, which has messages up to `end`. */
static enum status sifter_messages(struct sifter *s, struct view *v, uint64_t end)
{
    struct record_header h;
    struct kv_iter *it = view_log(v, s->range.queue);
    if (!it)
        return ST_NOMEM;
    sifter_spend(s, WORK_OPEN);
    enum status st = records_seek(it, s->topic_id, s->range.queue, s->at, &h);
    while (st == ST_OK || st == ST_DAMAGED) {
        bool holds = st == ST_OK && h.base <= s->at;
        st = holds ? sifter_record(s, kv_iter_value(it), &h) : ST_DAMAGED;
        if (st == ST_DAMAGED) {
            h.count = 0;
            st = sifter_lost(s, v);
        }
        if (st != ST_OK || s->work == 0 || sifter_queue_full(s) || s->at >= end)
            break;
        st = records_seek_on(it, s->topic_id, s->range.queue, s->at, &h);
    }
    kv_iter_free(it);
    return st == ST_GONE ? ST_OK : st;
}

/* ---- queues ---- */

/* Begins with a queue that has messages from `from` on. Those that are left may be looked at in equal shares. */
static void sifter_begin_queue(struct sifter *s, uint64_t from)
{
    uint32_t left = SIFT_MESSAGES_MAX - s->examined, queues = s->n_queues - s->range.queue;
    s->in_range = true;
    s->at = s->range.from = from;
    s->range_at = sift_range_begin(&s->found, &s->range);
    s->queue_matched = 0;
    s->queue_left = left / queues ? left / queues : 1;
}

/* Where the queue at work goes on, and where it ends. */
static enum status sifter_bounds(struct sifter *s, struct view *v, struct directory *d, uint64_t *ret_end)
{
    uint32_t q = s->range.queue;
    struct record_info last;
    uint64_t next = q < s->n_next ? s->next[q] : 0, floor = v->topic.floor[q];
    sifter_spend(s, WORK_QUEUE);
    enum status st = directory_last(d, q, &last);
    *ret_end = st == ST_OK ? last.base + last.count : floor;
    next = next < floor ? floor : next;
    if (st != ST_OK && st != ST_GONE)
        return st;
    if (!s->in_range && next < *ret_end && s->examined < SIFT_MESSAGES_MAX)
        sifter_begin_queue(s, next);
    else if (!s->in_range)
        s->all = s->all && next >= *ret_end;
    return ST_OK;
}

/* Looks at a queue. ST_BUSY: it is not done in this step. */
static enum status sifter_queue(struct sifter *s, struct view *v, struct directory *d)
{
    uint64_t end = 0;
    enum status st = sifter_bounds(s, v, d, &end);
    if (st != ST_OK || !s->in_range)
        return st;
    bool gone = s->at < v->topic.floor[s->range.queue]; /* since the last step; apply will see that, too */
    if (!gone && s->at < end && !sifter_queue_full(s))
        st = sifter_messages(s, v, end);
    if (st != ST_OK)
        return st;
    if (!gone && s->at < end && !sifter_queue_full(s) && s->work == 0)
        return ST_BUSY;
    s->all = s->all && s->at >= end;
    s->topic_matched += s->queue_matched;
    s->in_range = false;
    return ST_OK;
}

static enum status sifter_queues(struct sifter *s, struct view *v)
{
    struct directory d;
    enum status st = view_topic(v, s->cmd->rest[s->topic]);
    if (st == ST_OK && v->topic.id != s->topic_id)
        st = ST_GONE;
    if (st != ST_OK)
        return st;
    if (!directory_open(&d, v->kv, v->snap, s->topic_id, v->topic.compress))
        return ST_NOMEM;
    for (; s->range.queue < s->n_queues && st == ST_OK; s->range.queue += st == ST_OK) {
        st = s->work > 0 ? sifter_queue(s, v, &d) : ST_BUSY;
    }
    directory_close(&d);
    return st;
}

/* Looks at a topic. ST_BUSY: it is not done in this step. */
static enum status sifter_topic(struct sifter *s, struct view *v)
{
    enum status st = s->begun ? ST_OK : sifter_begin_topic(s, v);
    if (st == ST_OK) {
        s->begun = true;
        st = sifter_queues(s, v);
    }
    if (st == ST_BUSY)
        return st;
    s->matched += s->topic_matched;
    s->topic_matched = 0;
    s->begun = false;
    free(s->filter);
    s->filter = NULL;
    return st == ST_GONE ? ST_OK : st;
}

enum status sifter_step(struct sifter *s, struct view *v)
{
    enum status st = ST_OK;
    s->work = STEP_WORK;
    for (; st == ST_OK && s->topic < s->cmd->n_rest && s->matched < s->want; s->topic += st == ST_OK) {
        st = s->work > 0 ? sifter_topic(s, v) : ST_BUSY;
    }
    if (st != ST_OK || s->topic < s->cmd->n_rest)
        s->all = s->all && st == ST_BUSY;
    return s->found.failed ? ST_NOMEM : st;
}
