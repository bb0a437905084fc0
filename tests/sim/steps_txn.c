/* steps_txn.c: the steps of services and members: HALF, decisions, answers to check-backs. */
#include "tests/sim/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const char *said, const char *want)
{
    return strcmp(said, want) == 0;
}

static int64_t keep_ms(void)
{
    return w.s.policy.txn_outcome_retention_ms;
}

/* Picks one of the newest transactions, or any; with `open`, only an open one. NULL: there is none. */
static struct o_txn *any_txn(bool open)
{
    if (w.o.n_txns == 0)
        return NULL;
    uint32_t window = below(3) ? 24 : w.o.n_txns, n = w.o.n_txns < window ? w.o.n_txns : window;
    uint32_t from = (uint32_t)below(n);
    for (uint32_t i = 0; i < n; i++) {
        struct o_txn *x = &w.o.txns[w.o.n_txns - 1 - (from + i) % n];
        if (!open || oracle_open(x))
            return x;
    }
    return NULL;
}

/* ---- HALF ---- */

static const char *do_half(int pgroup, const struct o_part *part, const char *options)
{
    char own[120];
    steps_options(part, own, sizeof(own));
    return world_do("HALF p%d t%d %u%.*s%s%s", pgroup, part->topic, part->serial, (int)part->pad, steps_dots(), own,
                    options);
}

/* True if the HALF was refused because of its topic. */
static bool no_topic(int topic, const char *said)
{
    bool refused = !w.o.topics[topic].there && !w.s.policy.auto_create_topics;
    if (refused)
        must(is(said, "-NOTOPIC"), "a HALF for a topic that is not to be made");
    return refused;
}

static void stored_half(struct o_txn *x, const struct o_part *part, int dedup, const char *said)
{
    if (!w.o.topics[part->topic].there)
        oracle_topic_made(&w.o, part->topic, 4);
    x->parts[x->n++] = *part;
    steps_remember(part->topic, O_HALF, dedup, said);
}

static void open_one(bool plain)
{
    struct o_part part;
    steps_part(&part);
    int g = below(O_PGROUPS), dedup = plain || below(5) ? -1 : below(O_DEDUPS);
    int64_t checkin = policy_of(g).checkin_ms;
    char options[80] = "";
    int n = dedup < 0 ? 0 : snprintf(options, sizeof(options), " DEDUP d%d", dedup);
    if (!plain && below(3) == 0) {
        checkin = below(3) ? below(300) : 900 + below(800); /* around the age at which it is settled */
        (void)snprintf(options + n, sizeof(options) - (size_t)n, " CHECKIN %lld", (long long)checkin);
    }
    if (w.o.n_txns == O_TXNS || w.o.n_delayed > O_DELAYED - 20)
        return;
    const char *said = do_half(g, &part, options);
    if (steps_repeated(part.topic, O_HALF, dedup, said) || no_topic(part.topic, said))
        return;
    uint64_t id = strtoull(said, NULL, 10);
    struct o_txn *x = oracle_opened(&w.o, id, g, checkin, policy_of(g).timeout_ms);
    stored_half(x, &part, dedup, said);
}

void step_half(void)
{
    if (!w.few || below(5) == 0)
        open_one(false);
}

void step_burst(void)
{
    if (w.few || below(4))
        return;
    for (int n = 200 + below(200); n > 0; n--)
        open_one(true);
}

void step_part(void)
{
    struct o_txn *x = any_txn(below(8) > 0);
    if (!x || x->n == O_PARTS)
        return;
    struct o_part part;
    steps_part(&part);
    int g = below(10) ? x->pgroup : below(O_PGROUPS), dedup = below(5) ? -1 : below(O_DEDUPS);
    int64_t checkin = below(4) ? -1 : below(2000);
    char options[120];
    int n = snprintf(options, sizeof(options), " TXN %llu", (unsigned long long)x->id);
    if (dedup >= 0)
        n += snprintf(options + n, sizeof(options) - (size_t)n, " DEDUP d%d", dedup);
    if (checkin >= 0)
        (void)snprintf(options + n, sizeof(options) - (size_t)n, " CHECKIN %lld", (long long)checkin);
    const char *said = do_half(g, &part, options);
    if (steps_repeated(part.topic, O_HALF, dedup, said) || no_topic(part.topic, said) ||
        !oracle_known(&w.o, x, said, keep_ms()))
        return;
    if (g != x->pgroup) {
        must(is(said, "-ERR"), "a HALF joined another group's transaction");
    } else if (x->fate != O_PENDING) {
        must(is(said, "-TXNCONFLICT"), "a HALF joined what is no longer open");
    } else {
        must(strtoull(said, NULL, 10) == x->id, "a HALF answered another transaction");
        stored_half(x, &part, dedup, said);
        if (checkin >= 0)
            oracle_rescheduled(&w.o, x, w.o.now_ms + checkin, policy_of(x->pgroup).check_max);
    }
}

/* ---- decisions ---- */

/* A receipt that is given with COMMIT. */
struct receipt {
    bool given, holds;
    int topic, queue;
    uint32_t offset;
    char text[40];
};

static bool topics_there(const struct o_txn *x)
{
    bool there = true;
    for (uint32_t i = 0; i < x->n; i++)
        there = there && w.o.topics[x->parts[i].topic].there;
    return there || w.s.policy.auto_create_topics;
}

static void commit(uint64_t id, const struct receipt *r)
{
    char ack[60] = "";
    if (r->given)
        (void)snprintf(ack, sizeof(ack), " ACK c %s", r->text);
    const char *said = world_do("COMMIT %llu%s", (unsigned long long)id, ack);
    struct o_txn *x = oracle_find(&w.o, id);
    if (!oracle_known(&w.o, x, said, keep_ms()))
        return;
    if (x->fate == O_COMMITTED)
        must(is(said, x->ids), "a repeated COMMIT answered other ids");
    else if (x->fate == O_ROLLEDBACK)
        must(is(said, "-TXNCONFLICT"), "a COMMIT went against a ROLLBACK");
    else if (r->given && !oracle_grouped(&w.o))
        must(is(said, "-NOGROUP"), "a COMMIT with receipts of no group");
    else if (r->given && !r->holds)
        must(is(said, "-STALE"), "a COMMIT with a stale receipt");
    else if (!topics_there(x))
        must(is(said, "-NOTOPIC"), "a COMMIT for a topic that is not to be made");
    else {
        oracle_committed(&w.o, x, said);
        struct o_message *m = r->given ? oracle_message(&w.o, r->topic, r->queue, r->offset) : NULL;
        if (m)
            m->cell = O_DONE;
    }
}

static void rollback(uint64_t id)
{
    const char *said = world_do("ROLLBACK %llu", (unsigned long long)id);
    struct o_txn *x = oracle_find(&w.o, id);
    if (!oracle_known(&w.o, x, said, keep_ms()))
        return;
    must(is(said, x->fate == O_COMMITTED ? "-TXNCONFLICT" : "OK"), "a ROLLBACK was answered otherwise");
    oracle_rolledback(&w.o, x);
}

static void extend(uint64_t id)
{
    int64_t ms = below(4) ? below(2000) : below(100000);
    const char *said = world_do("TXN EXTEND %llu %lld", (unsigned long long)id, (long long)ms);
    struct o_txn *x = oracle_find(&w.o, id);
    if (!oracle_known(&w.o, x, said, keep_ms()))
        return;
    must(is(said, x->fate == O_PENDING ? "OK" : "-TXNCONFLICT"), "TXN EXTEND was answered otherwise");
    if (x->fate == O_PENDING)
        oracle_rescheduled(&w.o, x, w.o.now_ms + ms, policy_of(x->pgroup).check_max);
}

static void unknown(uint64_t id)
{
    const char *said = world_do("UNKNOWN %llu", (unsigned long long)id);
    struct o_txn *x = oracle_find(&w.o, id);
    if (!oracle_known(&w.o, x, said, keep_ms()))
        return;
    must(is(said, "OK"), "UNKNOWN was refused");
    if (x && x->fate == O_PENDING && x->checks > 0)
        x->answered = true;
}

static const struct receipt no_receipt;

void step_commit(void)
{
    struct o_txn *x = any_txn(true);
    if (x)
        commit(x->id, &no_receipt);
}

void step_rollback(void)
{
    struct o_txn *x = any_txn(true);
    if (x)
        rollback(x->id);
}

void step_again(void)
{
    struct o_txn *x = any_txn(false);
    if (!x)
        return;
    if (below(3) == 0 ? x->fate == O_COMMITTED : x->fate != O_COMMITTED)
        rollback(x->id);
    else
        commit(x->id, &no_receipt);
}

static void any_receipt(struct receipt *r)
{
    *r = (struct receipt){.given = true, .topic = below(O_TOPICS), .queue = below(O_QUEUES)};
    uint32_t attempt = 1, among = 0;
    bool leased = below(8) > 0;
    for (int t = 0; t < O_TOPICS && leased; t++)
        for (int q = 0; q < O_QUEUES; q++)
            for (uint32_t i = 0; i < w.o.queues[t][q].end; i++) {
                const struct o_message *m = oracle_message(&w.o, t, q, i);
                if (!m || m->cell != O_LEASED || below(++among) > 0)
                    continue;
                r->topic = t, r->queue = q, r->offset = i;
                attempt = m->attempt;
            }
    attempt += below(12) == 0;
    const struct o_message *m = oracle_message(&w.o, r->topic, r->queue, r->offset);
    r->holds = m && m->cell == O_LEASED && m->attempt == attempt && w.o.now_ms < m->until_ms;
    (void)snprintf(r->text, sizeof(r->text), "t%d:%d:%u#%u", r->topic, r->queue, r->offset, attempt);
}

void step_commit_ack(void)
{
    struct o_txn *x = any_txn(below(5) > 0);
    struct receipt r;
    if (!x)
        return;
    any_receipt(&r);
    commit(x->id, &r);
}

void step_ack(void)
{
    struct receipt r;
    any_receipt(&r);
    const char *said = world_do("ACK c %s", r.text);
    if (!oracle_grouped(&w.o)) {
        must(is(said, "-NOGROUP"), "an ACK to no group");
        return;
    }
    must(is(said, r.holds ? "1" : "0"), "another number was acknowledged");
    struct o_message *m = r.holds ? oracle_message(&w.o, r.topic, r.queue, r.offset) : NULL;
    if (m)
        m->cell = O_DONE;
}

void step_extend(void)
{
    struct o_txn *x = any_txn(below(4) > 0);
    if (x)
        extend(x->id);
}

void step_nonsense(void)
{
    uint64_t id = w.n_ghosts && below(2) ? w.ghosts[below(w.n_ghosts < W_GHOSTS ? w.n_ghosts : W_GHOSTS)]
                                         : w.o.last_id + 1 + (uint64_t)below(5000);
    switch (below(4)) {
    case 0: commit(id, &no_receipt); break;
    case 1: rollback(id); break;
    case 2: extend(id); break;
    default: unknown(id);
    }
}

/* ---- members ---- */

static const struct w_ask *any_ask(void)
{
    uint32_t n = w.n_asked < W_INBOX ? w.n_asked : W_INBOX;
    if (n == 0)
        return NULL;
    uint32_t back = (uint32_t)below(below(2) ? n : n < 4 ? n : 4);
    return &w.inbox[(w.n_asked - 1 - back) % W_INBOX];
}

void step_answer(void)
{
    const struct w_ask *ask = any_ask();
    if (!ask)
        return;
    bool truth = ask->txid % 3 > 0; /* the outcome in the service's database */
    int kind = below(20);
    if (kind < 5)
        unknown(ask->txid);
    else if (kind < 7)
        extend(ask->txid);
    else if (truth == (kind < 18)) /* the last two give the wrong answer */
        commit(ask->txid, &no_receipt);
    else
        rollback(ask->txid);
}

void step_unask(void)
{
    const struct w_ask *ask = any_ask();
    if (!ask)
        return;
    must(is(world_do("UNASK %llu-%u", (unsigned long long)ask->txid, ask->attempt), "OK"), "UNASK was refused");
    struct o_txn *x = oracle_find(&w.o, ask->txid);
    if (x)
        oracle_unasked(&w.o, x, ask->attempt, policy_of(x->pgroup).check_max);
}

void step_poll(void)
{
    int64_t retry_ms = 0;
    (void)world_checks(below(O_PGROUPS), 1 + (uint32_t)below(below(2) ? 3 : 60), 0, &retry_ms);
}

void step_come_and_go(void)
{
    struct w_taker *taker = &w.takers[below(O_PGROUPS)];
    *taker = (struct w_taker){.there = !taker->there};
    world_note("-- members %s", taker->there ? "come" : "go");
}

void step_wait(void)
{
    world_wait(below(O_PGROUPS));
}
