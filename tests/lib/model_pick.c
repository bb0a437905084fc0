/* model_pick.c: picks the arguments of the next random command from what the model holds. */
#include "tests/lib/model_pick.h"

#include "tests/lib/model_class.h"

#include <stdio.h>

static int below(struct prng *p, uint64_t n)
{
    return (int)prng_below(p, n);
}

struct pick_choice pick_choice(const struct model *m, struct prng *p, int n_queues)
{
    struct pick_choice c = {.queue = below(p, 3) ? -1 : below(p, (uint64_t)n_queues)};
    c.ttl = below(p, 4) ? -1 : below(p, 300);
    int n = 0;
    if (below(p, 4) == 0 && model_delayed_room(m) > M_TXN_MESSAGES) {
        c.queue = c.queue < 0 ? 0 : c.queue;
        c.delay = below(p, 2) ? 0 : below(p, 300);
        c.at = c.delay ? 0 : m->now_ms - 50 + below(p, 400);
        n = c.at ? snprintf(c.text, sizeof(c.text), " AT %lld", (long long)c.at)
                 : snprintf(c.text, sizeof(c.text), " DELAY %d", (int)c.delay);
    }
    if (c.queue >= 0)
        n += snprintf(c.text + n, sizeof(c.text) - (size_t)n, " QUEUE %d", c.queue);
    else if (below(p, 4))
        c.key = 1 + (uint32_t)below(p, M_KEYS);
    if (c.key)
        n += snprintf(c.text + n, sizeof(c.text) - (size_t)n, " ORDER k%u", c.key);
    /* None with a key: when a group becomes ordered, it may have got a later message of the key first. */
    c.priority = c.key || below(p, 3) ? 4 : (uint32_t)below(p, M_PRIORITIES);
    c.tag = (uint32_t)below(p, M_TAGS + 1);
    if (c.priority != 4)
        n += snprintf(c.text + n, sizeof(c.text) - (size_t)n, " PRIORITY %u", c.priority);
    if (c.tag)
        n += snprintf(c.text + n, sizeof(c.text) - (size_t)n, " TAG tag%u", c.tag);
    if (c.ttl >= 0)
        (void)snprintf(c.text + n, sizeof(c.text) - (size_t)n, " TTL %d", (int)c.ttl);
    return c;
}

struct m_txn *pick_txn(struct model *m, struct prng *p, enum m_fate fate)
{
    int from = below(p, M_TXNS);
    for (int i = 0; i < M_TXNS; i++) {
        struct m_txn *x = &m->txns[(from + i) % M_TXNS];
        if (fate == M_NONE ? x->fate != M_NONE : x->fate == fate)
            return x;
    }
    return NULL;
}

uint32_t pick_txns_free(const struct model *m)
{
    uint32_t n = 0;
    for (int i = 0; i < M_TXNS; i++)
        n += m->txns[i].fate == M_NONE;
    return n;
}

bool pick_anybody_asked(const struct model *m)
{
    for (int i = 0; i < M_TXNS; i++)
        if (m->txns[i].fate == M_PENDING && m->txns[i].checks > 0)
            return true;
    return false;
}

void pick_hurry(struct policy *policy)
{
    policy->checkin_ms = 100;
    policy->check_every_ms = 50;
    policy->check_max = 3;
    policy->txn_timeout_ms = 2000;
    policy->dedup_window_ms = 500;
}

void pick_policy(struct model *m, const struct policy *policy)
{
    m->checkin_ms = policy->checkin_ms;
    m->check_every_ms = policy->check_every_ms;
    m->check_max = policy->check_max;
    m->timeout_ms = policy->txn_timeout_ms;
    m->pgroup_set = false;
}

void pick_batch(struct model *m, struct prng *p, struct batch *b, int n, int64_t ttl)
{
    batch_init(b);
    for (int i = 0; i < n; i++) {
        char serial[12];
        (void)snprintf(serial, sizeof(serial), "%u", ++m->serial);
        struct message msg = {.body = slice_str(serial), .n_keys = i % 2 ? 1 : 0, .keys = {SLICE_LIT("k1")}};
        uint32_t priority = below(p, 2) ? 4 : (uint32_t)below(p, M_PRIORITIES), tag = (uint32_t)below(p, M_TAGS + 1);
        char name[8];
        (void)snprintf(name, sizeof(name), "tag%u", tag);
        model_rank(m, m->serial, priority, tag);
        msg.priority = (uint8_t)priority;
        msg.tag = slice_str(name);
        msg.fields = (i % 2 ? MSG_KEY : 0) | (tag ? MSG_TAG : 0) | (priority == 4 ? 0 : MSG_PRIORITY) | (ttl >= 0 && i % 2 == 0 ? MSG_TTL : 0);
        msg.expires_ms = ttl;
        batch_add(b, msg);
    }
}

static bool find_leased(const struct model *m, struct prng *p, struct pick_receipt *r)
{
    uint32_t skip = (uint32_t)below(p, 200);
    for (int round = 0; round < 2; round++)
        for (int g = 0; g < M_GROUPS; g++)
            for (int t = 0; t < M_TOPICS; t++)
                for (int q = 0; m->gts[g][t].there && q < M_QUEUES; q++)
                    for (uint32_t o = 0; o < m->topics[t].queues[q].end; o++) {
                        const struct m_cell *c = &m->gts[g][t].cells[q][o];
                        if (c->state != M_LEASED || skip-- > 0)
                            continue;
                        *r = (struct pick_receipt){g, t, q, o, c->attempt, false, ""};
                        return true;
                    }
    return false;
}

void pick_receipt(const struct model *m, struct prng *p, struct pick_receipt *r)
{
    if (below(p, 10) == 0 || !find_leased(m, p, r))
        *r = (struct pick_receipt){below(p, M_GROUPS), below(p, M_TOPICS), below(p, M_QUEUES), (uint32_t)below(p, 20),
                              1 + (uint32_t)below(p, 3), false, ""};
    if (below(p, 12) == 0)
        r->attempt += 1 + (uint32_t)below(p, 2);
    if (below(p, 12) == 0) /* one from before the group was deleted */
        r->attempt = 1 + (uint32_t)below(p, r->attempt);
    r->holds = model_leased(m, r->group, r->topic, r->queue, r->offset, r->attempt);
    (void)snprintf(r->text, sizeof(r->text), "t%d:%d:%u#%u", r->topic, r->queue, r->offset, r->attempt);
}

void pick_range(const struct model *m, struct prng *p, struct pick_range *x)
{
    pick_receipt(m, p, &x->r);
    uint32_t before = (uint32_t)below(p, 6);
    x->first = x->r.offset > before ? x->r.offset - before : 0;
    x->last = x->r.offset + (uint32_t)below(p, 6);
    x->held = 0;
    for (uint32_t o = x->first; o <= x->last && o < M_OFFSETS; o++)
        x->held += model_leased(m, x->r.group, x->r.topic, x->r.queue, o, x->r.attempt);
    (void)snprintf(x->text, sizeof(x->text), "t%d:%d:%u-%u#%u", x->r.topic, x->r.queue, x->first, x->last,
                   x->r.attempt);
}

const char *pick_range_wanted(const struct model *m, struct pick_range *x, int what)
{
    (void)snprintf(x->acked, sizeof x->acked, "%u", x->held);
    if (what == 2)
        return "OK";
    if (!model_group_there(m, x->r.group))
        return "-NOGROUP";
    return what == 0 ? x->acked : x->held ? "OK" : "-STALE";
}

void pick_range_done(struct model *m, const struct pick_range *x, int what, int64_t ms)
{
    for (uint32_t o = x->first; o <= x->last && o < M_OFFSETS; o++) {
        if (!model_leased(m, x->r.group, x->r.topic, x->r.queue, o, x->r.attempt))
            continue;
        if (what == 0)
            model_ack(m, x->r.group, x->r.topic, x->r.queue, o);
        else if (what == 1)
            model_extend(m, x->r.group, x->r.topic, x->r.queue, o, ms);
        else
            model_release(m, x->r.group, x->r.topic, x->r.queue, o);
    }
}
