/*
 * model.c: the model of topics, delayed messages, groups and pops: judges what the store answered, and applies it
 * to the model.
 */
#include "tests/lib/model.h"

#include "tests/lib/model_class.h"
#include "tests/lib/model_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*model_complain)(const char *what);

static void must(bool holds, const char *what)
{
    if (!holds)
        model_complain(what);
}

/* ---- ids ---- */

static void parse_id(const char *id, int *topic, int *queue, uint32_t *offset)
{
    unsigned t = 0, q = 0, o = 0;
    must(sscanf(id, "t%u:%u:%u", &t, &q, &o) == 3, "an id is not topic:queue:offset");
    must(t < M_TOPICS && q < M_QUEUES && o < M_OFFSETS, "an id is out of all bounds");
    *topic = (int)t;
    *queue = (int)q;
    *offset = o;
}

static int64_t expiry(const struct model *m, int64_t ttl_ms)
{
    return ttl_ms < 0 ? INT64_MAX : m->now_ms + ttl_ms;
}

void model_stored(struct model *m, int topic, int queue, uint32_t serial, int64_t ttl_ms, const char *id)
{
    int t = 0, q = 0;
    uint32_t offset = 0;
    parse_id(id, &t, &q, &offset);
    must(t == topic, "stored in another topic");
    if (!m->topics[t].there)
        model_topic_made(m, t, 4);
    struct m_queue *mq = &m->topics[t].queues[q];
    must(q < (int)m->topics[t].n_queues, "stored in a queue that is not there");
    must(queue < 0 || queue == q, "stored in another queue than was asked for");
    must(offset == mq->end, "the offset is not the next of its queue");
    mq->messages[mq->end++] = (struct m_message){serial, m->group, m->now_ms, expiry(m, ttl_ms), M_WHOLE};
}

/* ---- delayed messages ---- */

void model_delayed(struct model *m, int topic, int queue, uint32_t serial, int64_t ttl_ms, int64_t due_ms,
                   const char *token)
{
    uint64_t id = *token == '@' ? strtoull(token + 1, NULL, 10) : 0;
    must(id > m->last_id, "a token does not ascend");
    m->last_id = id;
    if (!m->topics[topic].there)
        model_topic_made(m, topic, 4);
    for (int i = 0; i < M_DELAYED; i++) {
        if (m->delayed[i].token)
            continue;
        m->delayed[i] = (struct m_delayed){id, topic, queue, serial, expiry(m, ttl_ms), due_ms};
        return;
    }
    model_complain("the test has no room for a delayed message");
}

uint32_t model_delayed_room(const struct model *m)
{
    uint32_t n = 0;
    for (int i = 0; i < M_DELAYED; i++)
        n += m->delayed[i].token == 0;
    return n;
}

/* Sorts by due time, then by the order in which they were sent. */
static bool before(const struct m_delayed *a, const struct m_delayed *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->token < b->token;
}

struct m_delayed *model_delayed_next(struct model *m, int topic, const struct m_delayed *after)
{
    struct m_delayed *next = NULL;
    for (int i = 0; i < M_DELAYED; i++) {
        struct m_delayed *d = &m->delayed[i];
        bool meant = d->token && (topic < 0 || d->topic == topic) && (!after || before(after, d));
        if (meant && (!next || before(d, next)))
            next = d;
    }
    return next;
}

/* What a TICK does: stores all messages that are due and have not expired, in a commit group of their own. */
static void fire(struct model *m)
{
    m->group++;
    for (struct m_delayed *d = model_delayed_next(m, -1, NULL); d; d = model_delayed_next(m, -1, NULL)) {
        struct m_queue *mq = &m->topics[d->topic].queues[d->queue];
        if (d->due_ms > m->now_ms)
            break;
        d->token = 0;
        if (d->expires_ms <= m->now_ms)
            continue;
        must(mq->end < M_OFFSETS, "the test has no room for a message");
        mq->messages[mq->end++] = (struct m_message){d->serial, m->group, m->now_ms, d->expires_ms, M_WHOLE};
    }
}

/* ---- DEDUP ---- */

/* True if the transaction of that id is known to be open. */
static bool is_open(const struct model *m, const char *id)
{
    for (int i = 0; i < M_TXNS; i++)
        if (m->txns[i].id == strtoull(id, NULL, 10))
            return m->txns[i].fate == M_PENDING || m->txns[i].fate == M_PARKED;
    return false;
}

bool model_repeated(struct model *m, int topic, enum m_command command, int dedup, const char *said)
{
    const struct m_topic *t = &m->topics[topic];
    const struct m_dedup *d = dedup < 0 ? NULL : &t->dedups[command][dedup];
    if (!d || d->until_ms <= m->now_ms || (!t->there && command != M_HALF))
        return false;
    bool same = strcmp(said, d->answer) == 0;
    must(same || (d->outlived && !is_open(m, d->answer)), "another answer to the same DEDUP id");
    return same;
}

void model_remember(struct model *m, int topic, enum m_command command, int dedup, const char *said)
{
    if (dedup < 0)
        return;
    struct m_dedup *d = &m->topics[topic].dedups[command][dedup];
    *d = (struct m_dedup){.until_ms = m->now_ms + m->dedup_window_ms};
    must(strlen(said) < sizeof(d->answer), "the test has no room for an answer");
    memcpy(d->answer, said, strlen(said) + 1);
}

/* ---- topics ---- */

void model_topic_made(struct model *m, int topic, uint32_t n_queues)
{
    struct m_topic *t = &m->topics[topic];
    must(!t->there, "made a topic that was there");
    t->there = true;
    t->n_queues = t->order_queues = n_queues;
    t->retention_ms = t->max_bytes = 0;
    t->harmed = false;
    memset(t->queues, 0, sizeof(t->queues));
    memset(t->dedups, 0, sizeof(t->dedups[0]) * M_HALF); /* an open transaction outlives its topic, ids of messages do not */
}

void model_purge(struct model *m, int topic)
{
    for (int q = 0; q < M_QUEUES; q++) {
        struct m_queue *mq = &m->topics[topic].queues[q];
        mq->floor = mq->end;
        for (int g = 0; g < M_GROUPS; g++)
            for (uint32_t o = 0; o < mq->end; o++)
                m->gts[g][topic].cells[q][o].state = M_DONE;
    }
}

void model_topic_delete(struct model *m, int topic)
{
    m->topics[topic].there = false;
    for (int d = 0; d < M_DEDUPS; d++)
        m->topics[topic].dedups[M_HALF][d].outlived = true;
    for (int i = 0; i < M_DELAYED; i++)
        if (m->delayed[i].topic == topic)
            m->delayed[i].token = 0;
    for (int g = 0; g < M_GROUPS; g++)
        m->gts[g][topic].there = false;
}

/* ---- groups ---- */

void model_group_made(struct model *m, int group, int topic, enum m_from from, uint32_t attempts,
                      int64_t lease_ms)
{
    struct m_gt *gt = &m->gts[group][topic];
    must(!gt->there, "made a group that was there");
    uint32_t top = gt->top;
    *gt = (struct m_gt){.there = true, .attempts = attempts, .base = top, .top = top, .lease_ms = lease_ms};
    for (int q = 0; q < M_QUEUES; q++) {
        const struct m_queue *mq = &m->topics[topic].queues[q];
        uint32_t begin = from == M_LATEST ? mq->end : mq->floor;
        for (uint32_t o = 0; o < M_OFFSETS; o++)
            gt->cells[q][o].attempt = top;
        for (uint32_t o = 0; o < begin; o++)
            gt->cells[q][o].state = M_DONE;
    }
}

void model_group_delete(struct model *m, int group)
{
    for (int t = 0; t < M_TOPICS; t++)
        m->gts[group][t].there = false;
    m->dead[group] = 0;
}

bool model_group_there(const struct model *m, int group)
{
    bool there = false;
    for (int t = 0; t < M_TOPICS; t++)
        there = there || m->gts[group][t].there;
    return there;
}

static bool expired(const struct model *m, int topic, int queue, uint32_t offset)
{
    return m->topics[topic].queues[queue].messages[offset].expires_ms <= m->now_ms;
}

/* A message that has expired, or is lost, is no dead letter. */
static bool buried(const struct model *m, int topic, int queue, uint32_t offset)
{
    return !expired(m, topic, queue, offset) && m->topics[topic].queues[queue].messages[offset].harm != M_LOST;
}

static void settle_one(struct model *m, int group, int topic, int queue, uint32_t offset)
{
    struct m_gt *gt = &m->gts[group][topic];
    struct m_cell *c = &gt->cells[queue][offset];
    bool dies = c->attempt - gt->base >= gt->attempts;
    m->dead[group] += dies && buried(m, topic, queue, offset);
    m->cut = m->cut || (dies && m->topics[topic].queues[queue].messages[offset].harm == M_LOST);
    c->state = dies ? M_DONE : model_failed(m, group, topic, queue, offset);
}

/* The lease that is over and ended first. False: there is none. */
static bool first_over(const struct model *m, int group, int topic, int *ret_queue, uint32_t *ret_offset)
{
    int64_t first = INT64_MAX;
    for (int q = 0; q < M_QUEUES; q++) {
        for (uint32_t o = 0; o < m->topics[topic].queues[q].end; o++) {
            const struct m_cell *c = &m->gts[group][topic].cells[q][o];
            if (c->state != M_LEASED || c->due_ms > m->now_ms || c->due_ms >= first)
                continue;
            first = c->due_ms;
            *ret_queue = q;
            *ret_offset = o;
        }
    }
    return first < INT64_MAX;
}

/* Handles expired leases: the messages become ready again, or go to the dead letters. */
static void settle(struct model *m, int group, int topic)
{
    int queue = 0;
    uint32_t offset = 0;
    while (m->gts[group][topic].there && first_over(m, group, topic, &queue, &offset))
        settle_one(m, group, topic, queue, offset);
}

void model_pop_begin(struct model *m, struct m_pop *p, int group, int topic)
{
    *p = (struct m_pop){.group = group, .topic = topic, .lowest_waiting = M_PRIORITIES};
    settle(m, group, topic);
    const struct m_gt *gt = &m->gts[group][topic];
    for (int q = 0; q < M_QUEUES; q++) {
        for (uint32_t o = 0; o < m->topics[topic].queues[q].end; o++) {
            const struct m_cell *c = &gt->cells[q][o];
            bool fresh = c->state == M_FRESH && model_wants(m, group, topic, q, o);
            bool waits = c->state == M_WAITING && c->due_ms <= m->now_ms;
            if (expired(m, topic, q, o) || (gt->ordered && !model_may_go(m, group, topic, q, o)))
                continue;
            p->fresh += fresh;
            p->waiting += waits;
            uint32_t priority = model_priority(m, topic, q, o);
            p->lowest_waiting = waits && priority < p->lowest_waiting ? priority : p->lowest_waiting;
        }
    }
}

/* Takes a fresh message. They are delivered in order, so those before it must have expired. */
static void take_fresh(struct model *m, struct m_pop *p, int queue, uint32_t offset)
{
    struct m_gt *gt = &m->gts[p->group][p->topic];
    for (uint32_t o = 0; o < offset; o++) {
        struct m_cell *before = &gt->cells[queue][o];
        if (before->state != M_FRESH || !model_wants(m, p->group, p->topic, queue, o))
            continue;
        if (model_priority(m, p->topic, queue, o) != model_priority(m, p->topic, queue, offset))
            continue;
        must(gt->ordered || gt->loose || expired(m, p->topic, queue, o), "a message was passed over");
        before->state = gt->ordered || gt->loose ? M_FRESH : M_DONE;
    }
    must(model_wants(m, p->group, p->topic, queue, offset), "popped what its filter drops");
    if (gt->ordered)
        model_went(m, p->group, p->topic, queue, offset);
    model_class_took(m, p, queue, offset, true);
    p->took_fresh++;
}

void model_popped(struct model *m, struct m_pop *p, int queue, uint32_t offset, uint32_t attempt,
                  int64_t until_ms, int64_t lease_ms)
{
    struct m_gt *gt = &m->gts[p->group][p->topic];
    must(queue < M_QUEUES && offset < m->topics[p->topic].queues[queue].end, "popped what is not there");
    struct m_cell *c = &gt->cells[queue][offset];
    must(!expired(m, p->topic, queue, offset), "popped what has expired");
    if (c->state == M_DONE && gt->filtered && m->topics[p->topic].queues[queue].messages[offset].harm == M_LOST) {
        *c = (struct m_cell){M_LEASED, attempt, until_ms}; /* nobody knows whether it matches: it counts as if it did */
        gt->top = attempt > gt->top ? attempt : gt->top;
        p->took_lost++;
        return;
    }
    must(c->state != M_DONE, "popped what was acknowledged, dropped or dead");
    must(c->state != M_LEASED, "popped what another holds");
    must(c->state == M_FRESH || c->due_ms <= m->now_ms, "popped before its time");
    must(!gt->ordered || model_may_go(m, p->group, p->topic, queue, offset), "popped what another of its key holds up");
    must(attempt == c->attempt + 1, "the attempt number does not follow");
    must(attempt - gt->base <= gt->attempts, "popped once too often");
    gt->top = attempt > gt->top ? attempt : gt->top;
    must(until_ms == m->now_ms + (lease_ms ? lease_ms : gt->lease_ms), "the lease is of another length");
    if (c->state == M_FRESH)
        take_fresh(m, p, queue, offset);
    else
        p->took_waiting++;
    *c = (struct m_cell){M_LEASED, attempt, until_ms};
}

/* The highest priority of messages that a POP cannot know yet, as they came with the open commit group: it waits for them,
 * since they go first. Whether their filter matches does not count. */
static uint32_t highest_unknown(const struct model *m, const struct m_pop *p)
{
    uint32_t highest = 0;
    for (int q = 0; q < M_QUEUES; q++) {
        const struct m_queue *mq = &m->topics[p->topic].queues[q];
        for (uint32_t o = 0; o < mq->end; o++) {
            uint32_t priority = model_priority(m, p->topic, q, o);
            highest = mq->messages[o].group == m->group && priority > highest ? priority : highest;
        }
    }
    return highest;
}

/* A POP of a group with a filter has got less than there is, which it may where it got anything at all: it does not look
 * at more messages then. What came with the open commit group, be it messages or the group, cannot be looked at yet. The
 * oldest go first all the same. */
static void judge_less(const struct model *m, const struct m_pop *p)
{
    const struct m_gt *gt = &m->gts[p->group][p->topic];
    uint32_t highest = highest_unknown(m, p);
    for (int q = 0; q < M_QUEUES; q++) {
        const struct m_queue *mq = &m->topics[p->topic].queues[q];
        for (uint32_t o = 0; o < mq->end; o++) {
            bool goes = gt->cells[q][o].state == M_FRESH && !expired(m, p->topic, q, o) &&
                        (!gt->ordered || model_may_go(m, p->group, p->topic, q, o));
            bool known = mq->messages[o].group < m->group && gt->born < m->group &&
                         (gt->ordered || model_priority(m, p->topic, q, o) >= highest);
            must(!goes || !known || p->any, "a POP got nothing, and left what matches behind");
        }
    }
    if (!gt->ordered && !gt->loose)
        model_class_left(m, p);
}

uint32_t model_pop_end(struct model *m, struct m_pop *p, uint32_t wanted)
{
    uint32_t ready = p->waiting + p->fresh, got = p->took_waiting + p->took_fresh + p->took_lost;
    if (m->cut && got <= wanted)
        return got;
    const struct m_gt *filtered = &m->gts[p->group][p->topic];
    if (filtered->filtered && (p->took_lost || got < (wanted < ready ? wanted : ready))) {
        must(got <= wanted, "POP handed out too many");
        if (got < wanted)
            judge_less(m, p);
        return got;
    }
    must(got == (wanted < ready ? wanted : ready), "POP handed out more or fewer than it should");
    const struct m_gt *gt = &m->gts[p->group][p->topic];
    must(p->took_fresh == 0 || p->took_waiting == p->waiting || gt->loose || !gt->ordered,
         "a fresh one came before a waiting one");
    if (!gt->ordered && !gt->loose)
        model_class_left(m, p);
    return got;
}

bool model_leased(const struct model *m, int group, int topic, int queue, uint32_t offset,
                  uint32_t attempt)
{
    const struct m_gt *gt = &m->gts[group][topic];
    if (!gt->there || offset >= m->topics[topic].queues[queue].end)
        return false;
    const struct m_cell *c = &gt->cells[queue][offset];
    return c->state == M_LEASED && c->attempt == attempt && m->now_ms < c->due_ms;
}

void model_ack(struct model *m, int group, int topic, int queue, uint32_t offset)
{
    m->gts[group][topic].cells[queue][offset].state = M_DONE;
}

void model_reject(struct model *m, int group, int topic, int queue, uint32_t offset)
{
    m->gts[group][topic].cells[queue][offset].state = M_DONE;
    m->dead[group] += buried(m, topic, queue, offset);
}

void model_nack(struct model *m, int group, int topic, int queue, uint32_t offset, int64_t delay_ms)
{
    struct m_cell *c = &m->gts[group][topic].cells[queue][offset];
    if (c->attempt - m->gts[group][topic].base >= m->gts[group][topic].attempts) {
        model_reject(m, group, topic, queue, offset);
        return;
    }
    c->state = model_failed(m, group, topic, queue, offset);
    c->due_ms = m->now_ms + delay_ms;
}

void model_extend(struct model *m, int group, int topic, int queue, uint32_t offset, int64_t ms)
{
    m->gts[group][topic].cells[queue][offset].due_ms = m->now_ms + ms;
}

void model_release(struct model *m, int group, int topic, int queue, uint32_t offset)
{
    struct m_cell *c = &m->gts[group][topic].cells[queue][offset];
    *c = (struct m_cell){model_failed(m, group, topic, queue, offset), c->attempt - 1, m->now_ms};
}

void model_lag(const struct model *m, int group, int topic, uint32_t *ret_ready, uint32_t *ret_inflight,
               uint32_t *ret_delayed)
{
    *ret_ready = *ret_inflight = *ret_delayed = 0;
    for (int q = 0; q < M_QUEUES; q++) {
        for (uint32_t o = 0; o < m->topics[topic].queues[q].end; o++) {
            const struct m_cell *c = &m->gts[group][topic].cells[q][o];
            bool due = c->due_ms <= m->now_ms;
            if (expired(m, topic, q, o))
                continue;
            bool fresh = c->state == M_FRESH, wanted = !fresh || model_wants(m, group, topic, q, o);
            *ret_ready += wanted && (fresh || (c->state != M_DONE && due));
            *ret_inflight += c->state == M_LEASED && !due;
            *ret_delayed += c->state == M_WAITING && !due;
        }
    }
}

/* ---- transactions ---- */

struct m_txn *model_txn_new(struct model *m, uint64_t id, int64_t checkin_ms, int64_t timeout_ms)
{
    must(id > m->last_id, "a transaction id does not ascend");
    m->last_id = id;
    for (int i = 0; i < M_TXNS; i++) {
        struct m_txn *x = &m->txns[i];
        if (x->fate != M_NONE)
            continue;
        *x = (struct m_txn){.fate = M_PENDING, .id = id, .next_ms = m->now_ms + checkin_ms};
        x->timeout_ms = m->now_ms + timeout_ms;
        x->touched = m->group;
        return x;
    }
    model_complain("the test has no room for a transaction");
    return NULL;
}

/* "[t0:1:2 t1:0:0]": the ids in the order of the HALFs. */
void model_committed(struct model *m, struct m_txn *x, const char *ids)
{
    const char *at = ids + 1;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct m_half *h = &x->halfs[i];
        int queue = m->topics[h->topic].there && h->queue >= (int)m->topics[h->topic].n_queues ? -1 : h->queue;
        int64_t due_ms = h->delay_ms ? m->now_ms + h->delay_ms : h->at_ms;
        if (due_ms > m->now_ms)
            model_delayed(m, h->topic, queue, h->serial, h->ttl_ms, due_ms, at);
        else
            model_stored(m, h->topic, queue, h->serial, h->ttl_ms, at);
        at += strcspn(at, " ]");
        must(*at++ == (i + 1 < x->n ? ' ' : ']'), "a transaction was published in part");
    }
    must(strlen(ids) < sizeof(x->ids), "the test has no room for these ids");
    memcpy(x->ids, ids, strlen(ids) + 1);
    x->fate = M_COMMITTED;
}

static bool due_for_asking(const struct model *m, const struct m_txn *x)
{
    return x->fate == M_PENDING && x->checks < m->check_max && x->next_ms <= m->now_ms;
}

static void asked(struct model *m, struct m_txn *x, uint32_t attempt)
{
    must(due_for_asking(m, x), "asked about a transaction that was not due");
    x->checks++;
    x->answered = false;
    must(attempt == x->checks, "an ask has the wrong number");
    x->next_ms = m->now_ms + m->check_every_ms * x->checks;
    x->touched = m->group;
}

void model_asked(struct model *m, const char *said, uint32_t count)
{
    uint32_t n = 0;
    for (const char *at = said; (at = strstr(at, "{txid:")); n++) {
        struct m_txn *x = NULL;
        uint64_t id = strtoull(at += 6, NULL, 10);
        unsigned attempt = 0;
        for (int i = 0; i < M_TXNS; i++)
            x = m->txns[i].fate != M_NONE && m->txns[i].id == id ? &m->txns[i] : x;
        must(x && sscanf(at, "%*u pgroup:pg attempt:%u", &attempt) == 1,
             "asked about a transaction that is not there");
        if (x)
            asked(m, x, attempt);
    }
    must(n <= count, "more asks than wanted");
    for (int i = 0; i < M_TXNS && n < count; i++) {
        const struct m_txn *x = &m->txns[i];
        /* A row that was written in the same commit group is found only by the next CHECKS. */
        must(!due_for_asking(m, x) || x->touched == m->group, "a transaction that was due was not asked");
    }
}

void model_unasked(struct model *m, struct m_txn *x, uint32_t attempt)
{
    if (x->answered || attempt != x->checks)
        return;
    x->checks--;
    x->next_ms = m->now_ms;
    x->touched = m->group;
}

void model_pass(struct model *m)
{
    fire(m);
    for (int g = 0; g < M_GROUPS; g++)
        for (int t = 0; t < M_TOPICS; t++)
            settle(m, g, t);
    m->gave_up = m->cut;
    m->cut = false;
    for (int i = 0; i < M_TXNS; i++) {
        struct m_txn *x = &m->txns[i];
        bool asked_out = x->checks >= m->check_max && x->next_ms <= m->now_ms;
        if (x->fate == M_PENDING && (asked_out || x->timeout_ms <= m->now_ms))
            x->fate = M_PARKED;
    }
}
