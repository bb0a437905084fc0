/* model_check.c: asks the store for topics, groups and transactions, and compares the answers with the model. */
#include "tests/lib/model_check.h"

#include "tests/lib/model_users.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The model of the present check. */
static struct model *m;
static struct shell *s;
static struct prng *p;
static const char *answer;

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "the store answers: %s\n", answer ? answer : "");
    model_complain(what);
}

static bool same(const char *said, const char *want)
{
    return strcmp(said, want) == 0;
}

static const char *ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *ask(const char *fmt, ...)
{
    char line[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    answer = shell_do(s, "%s", line);
    return answer;
}

/* The messages from an offset on, up to what is lost or the end. Returns where that is. */
static uint32_t check_whole(int t, uint32_t q, uint32_t from)
{
    const struct m_queue *mq = &m->topics[t].queues[q];
    struct buf want;
    uint32_t o = from;
    buf_init(&want, 0);
    buf_put_u8(&want, '[');
    for (; o < mq->end && mq->messages[o].harm != M_LOST; o++)
        buf_printf(&want, "%st%d:%u:%u=%u", o > from ? " " : "", t, q, o, mq->messages[o].serial);
    buf_put_str(&want, "]");
    buf_put_u8(&want, 0);
    must(same(ask("READ t%d %u %u COUNT 1000", t, q, from), (const char *)want.data), "a queue holds something else");
    buf_free(&want);
    return o;
}

/* What is lost from an offset on: READ says so, and where to go on. Returns where that is. */
static uint32_t check_lost(int t, uint32_t q, uint32_t from)
{
    const struct m_queue *mq = &m->topics[t].queues[q];
    unsigned topic = 0, queue = 0, first = 0, last = 0, next = 0;
    s->full = true;
    const char *said = ask("READ t%d %u %u COUNT 1000", t, q, from);
    s->full = false;
    must(sscanf(said, "-DAMAGED t%u:%u:%u-%u cannot be read: the first offset behind it is %u", &topic, &queue, &first,
                &last, &next) == 5,
         "READ does not say what is lost");
    must(topic == (unsigned)t && queue == q && first <= from && last >= from && next == last + 1 && next <= mq->end,
         "READ says that something else is lost");
    for (uint32_t o = first; o <= last && o < M_OFFSETS; o++)
        must(o < mq->floor || mq->messages[o].harm == M_LOST, "READ says that what is whole is lost");
    return next;
}

static void check_queue(int t, uint32_t q)
{
    const struct m_queue *mq = &m->topics[t].queues[q];
    for (uint32_t o = mq->floor; o < mq->end;)
        o = mq->messages[o].harm == M_LOST ? check_lost(t, q, o) : check_whole(t, q, o);
    (void)check_whole(t, q, mq->end);
    if (mq->floor == mq->end)
        return;
    uint32_t o = mq->floor + (uint32_t)prng_below(p, mq->end - mq->floor);
    char want[40];
    (void)snprintf(want, sizeof(want), "t%d:%u:%u=%u", t, q, o, mq->messages[o].serial);
    must(same(ask("GET t%d:%u:%u", t, q, o), mq->messages[o].harm == M_LOST ? "-DAMAGED" : want), "GET answers otherwise");
}

static void check_delayed(int t)
{
    struct buf want;
    buf_init(&want, 0);
    buf_put_u8(&want, '[');
    const struct m_delayed *first = model_delayed_next(m, t, NULL);
    for (const struct m_delayed *d = first; d; d = model_delayed_next(m, t, d))
        buf_printf(&want, "%s@%llu=%u", d == first ? "" : " ", (unsigned long long)d->token, d->serial);
    buf_put_str(&want, "]");
    buf_put_u8(&want, 0);
    must(same(ask("DELAYED LIST t%d", t), (const char *)want.data), "other messages are delayed");
    buf_free(&want);
}

static void check_lag(int g)
{
    const char *said = ask("LAG g%d", g);
    for (int t = 0; t < M_TOPICS; t++) {
        uint32_t ready = 0, inflight = 0, delayed = 0;
        char name[20];
        (void)snprintf(name, sizeof(name), "topic:t%d ", t);
        const char *at = strstr(said, name);
        must((at != NULL) == m->gts[g][t].there, "LAG knows other groups");
        if (!at)
            continue;
        model_lag(m, g, t, &ready, &inflight, &delayed);
        if (m->gts[g][t].filtered) { /* only POP looks for what matches */
            must(shell_field(at, "inflight") == inflight && shell_field(at, "delayed") == delayed, "LAG has other figures");
            continue;
        }
        must(shell_field(at, "ready") == ready && shell_field(at, "inflight") == inflight &&
                 shell_field(at, "delayed") == delayed && shell_field(at, "dead") == m->dead[g] &&
                 shell_field(at, "lag") == (int64_t)ready + inflight + delayed,
             "LAG has other figures");
    }
}

/* All pages of TXN LIST together must have the pending transactions, oldest first. */
static void check_txn_list(void)
{
    unsigned long long cursor = 0, last = 0;
    uint32_t n = 0;
    do {
        const char *said = ask("TXN LIST PGROUP pg STATE pending COUNT %d CURSOR %llu", 3, cursor);
        for (const char *at = said; (at = strstr(at, "{txid:")); n++) {
            unsigned long long id = strtoull(at += 6, NULL, 10);
            must(id > last, "TXN LIST goes back");
            last = id;
            for (int i = 0; i < M_TXNS; i++)
                must(m->txns[i].id != id || m->txns[i].fate == M_PENDING, "TXN LIST knows another state");
        }
        cursor = strtoull(said + 1, NULL, 10);
    } while (cursor);
    uint32_t pending = 0;
    for (int i = 0; i < M_TXNS; i++)
        pending += m->txns[i].fate == M_PENDING;
    must(n == pending, "TXN LIST names another number");
}

static void check_txns(void)
{
    static const char *const words[] = {"", "state:pending ", "state:committed ", "state:rolledback ",
                                        "state:parked "};
    uint64_t pending = 0, parked = m->parked_forgotten;
    for (int i = 0; i < M_TXNS; i++) {
        struct m_txn *x = &m->txns[i];
        if (x->fate == M_NONE)
            continue;
        const char *said = ask("TXN INFO %llu", (unsigned long long)x->id);
        must(strstr(said, words[x->fate]) != NULL, "a transaction is in another state");
        must(shell_field(said, "checks") == x->checks && shell_field(said, "messages") == x->n,
             "a transaction has other figures");
        pending += x->fate == M_PENDING;
        parked += x->fate == M_PARKED;
        if (x->fate == M_PENDING || prng_below(p, 4))
            continue;
        m->parked_forgotten += x->fate == M_PARKED;
        *x = (struct m_txn){0}; /* makes room for another one */
    }
    const char *said = ask("PGROUP INFO pg");
    must((uint64_t)shell_field(said, "pending") == pending && (uint64_t)shell_field(said, "parked") == parked,
         "the producer group has other figures");
    must(shell_field(said, "checkin") == m->checkin_ms && shell_field(said, "checkevery") == m->check_every_ms &&
             shell_field(said, "checkmax") == m->check_max && shell_field(said, "timeout") == m->timeout_ms,
         "the producer group has other settings");
    must(same(ask("PGROUP LIST"), pending + parked > 0 || m->pgroup_set ? "[pg]" : "[]"),
         "other producer groups are listed");
    check_txn_list();
    must(state_tally(s->st)->pending == pending, "another number of transactions is pending");
}

void model_check(struct model *model, struct shell *store, struct prng *prng)
{
    m = model;
    s = store;
    p = prng;
    for (int t = 0; t < M_TOPICS; t++) {
        for (uint32_t q = 0; m->topics[t].there && q < m->topics[t].n_queues; q++)
            check_queue(t, q);
        if (m->topics[t].there)
            check_delayed(t);
        if (!m->topics[t].there)
            must(same(ask("READ t%d 0 0", t), "-NOTOPIC"), "a topic is there");
    }
    for (int g = 0; g < M_GROUPS; g++)
        check_lag(g);
    check_txns();
    must(state_tally(s->st)->delayed == M_DELAYED - model_delayed_room(m), "another number is delayed");
    model_users_check(m, s);
}
