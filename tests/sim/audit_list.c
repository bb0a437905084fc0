/*
 * audit_list.c: compares what lists show with what the oracle says.
 *
 *   TXN LIST       with any filter and COUNT, page by page. A page must have exactly the matching transactions
 *                  between its cursor and the next one, as TXN INFO shows them, in the order of the ids. So a
 *                  listing that goes on while transactions change (the step `list`) does not leave out any
 *                  transaction that was there all the time.
 *   DELAYED LIST   exact, the first due first
 *   PGROUP LIST    the groups with settings or open transactions; PGROUP INFO exact, except for `oldest`
 *   TOPIC INFO     the numbers of queues, messages and delayed messages
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGES_MAX 6
#define INFO_BYTES 800

/* ---- TXN LIST ---- */

void listing_begin(struct w_listing *l)
{
    *l = (struct w_listing){.on = true, .pgroup = -1, .fate = -1};
    if (below(2))
        l->pgroup = below(O_PGROUPS * 3 + 1) / 3;
    if (below(2))
        l->fate = below(O_PARKED + 1);
    if (below(3))
        l->count = 1 + (uint32_t)below(below(2) ? 5 : 300);
    if (w.o.n_txns && below(4) == 0)
        l->cursor = w.o.txns[below(w.o.n_txns)].id + (uint64_t)below(2);
}

static bool listing_fits(const struct w_listing *l, const struct o_txn *x)
{
    return (l->pgroup < 0 || l->pgroup == x->pgroup) && (l->fate < 0 || l->fate == (int)x->fate);
}

static const char *listing_ask(const struct w_listing *l)
{
    static const char *const words[] = {"pending", "committed", "rolledback", "PARKED"};
    char line[160] = "TXN LIST", name[20] = "PGROUP";
    size_t n = strlen(line);
    if (l->pgroup >= 0)
        n += (size_t)snprintf(line + n, sizeof(line) - n, " %s p%d", name, l->pgroup);
    if (l->fate >= 0)
        n += (size_t)snprintf(line + n, sizeof(line) - n, " STATE %s", words[l->fate]);
    if (l->count)
        n += (size_t)snprintf(line + n, sizeof(line) - n, " COUNT %u", l->count);
    if (l->cursor)
        (void)snprintf(line + n, sizeof(line) - n, " CURSOR %llu", (unsigned long long)l->cursor);
    const char *said = world_ask("%s", line);
    world_note("%s -> %.70s", line, said);
    return said;
}

/* The page has no transaction from *at up to that id (0: to the end). Each one there that matches must therefore be
 * forgotten. */
static void listing_skip(const struct w_listing *l, uint32_t *at, uint64_t to)
{
    for (; *at < w.o.n_txns && (to == 0 || w.o.txns[*at].id < to); (*at)++) {
        struct o_txn *x = &w.o.txns[*at];
        if (listing_fits(l, x))
            (void)oracle_known(&w.o, x, "-NOTXN", w.s.policy.txn_outcome_retention_ms);
    }
}

/* Checks one item, "{txid:... }", of a page. */
static void listing_item(const struct w_listing *l, struct o_txn *x, const char *item)
{
    char info[INFO_BYTES];
    size_t len = strcspn(item, "}");
    must(len < sizeof(info) - 1, "a TXN LIST names more than a transaction has");
    memcpy(info, item, len + 1);
    info[len + 1] = 0;
    must(listing_fits(l, x), "a TXN LIST names what does not fit its filters");
    if (oracle_known(&w.o, x, "", w.s.policy.txn_outcome_retention_ms))
        audit_info(x, info);
}

void listing_page(struct w_listing *l)
{
    const char *said = listing_ask(l);
    char *at = NULL;
    uint64_t next = strtoull(said + 1, &at, 10), last = l->cursor;
    uint32_t n = 0, i = 0;
    must(*said == '[' && strncmp(at, " [", 2) == 0,
         "TXN LIST answered something else than a cursor and a list");
    must(next == 0 || next > l->cursor, "the cursor of a TXN LIST does not go on");
    while (i < w.o.n_txns && w.o.txns[i].id < l->cursor)
        i++;
    for (const char *item = at; (item = strstr(item, "{txid:")); item++, n++, i++) {
        uint64_t id = strtoull(item + 6, NULL, 10);
        must(id >= last && (next == 0 || id < next),
             "a TXN LIST is not in order, or names something twice");
        listing_skip(l, &i, id);
        must(i < w.o.n_txns && w.o.txns[i].id == id, "a TXN LIST names what is not there");
        listing_item(l, &w.o.txns[i], item);
        last = id + 1;
    }
    listing_skip(l, &i, next);
    uint32_t count = l->count ? l->count : LIST_COUNT_DEFAULT;
    must(n <= count, "a TXN LIST names more than COUNT");
    must(next == 0 || n == count, "a page of a TXN LIST ends before it is full");
    l->cursor = next;
    l->on = next != 0;
}

static void audit_txn_list(void)
{
    struct w_listing l;
    listing_begin(&l);
    for (int i = 0; l.on && i < PAGES_MAX; i++)
        listing_page(&l);
}

/* ---- DELAYED LIST and TOPIC INFO ---- */

static int by_due(const void *a, const void *b)
{
    const struct o_delayed *const *x = a, *const *y = b;
    if ((*x)->due_ms != (*y)->due_ms)
        return (*x)->due_ms < (*y)->due_ms ? -1 : 1;
    return ((*x)->token > (*y)->token) - ((*x)->token < (*y)->token);
}

static void want_delayed(struct buf *want, const struct o_delayed *d)
{
    const struct o_part *p = &d->part;
    buf_printf(want, "(@%llu %u", (unsigned long long)d->token, p->serial);
    for (uint32_t i = 0; i < p->pad; i++)
        buf_put_u8(want, '.');
    buf_printf(want, " {topic:t%d born:%lld due:%lld", p->topic, (long long)p->born_ms,
               (long long)d->due_ms);
    if (p->queue >= 0)
        buf_printf(want, " queue:%d", p->queue);
    if (p->ttl_ms >= 0)
        buf_printf(want, " ttl:%lld expires:%lld", (long long)p->ttl_ms, (long long)d->expires_ms);
    buf_put_str(want, p->tag ? " tag:g" : "");
    if (p->order >= 0)
        buf_printf(want, " order:k%d", p->order);
    if (d->txid)
        buf_printf(want, " txn:%llu", (unsigned long long)d->txid);
    buf_put_str(want, "} {})");
}

static void must_say(const struct buf *want, const char *said, const char *what)
{
    if (!want->failed && strlen(said) == want->len && memcmp(said, want->data, want->len) == 0)
        return;
    size_t same = 0;
    while (same < want->len && said[same] == (char)want->data[same])
        same++;
    size_t from = same < 20 ? 0 : same - 20;
    world_note("-- should be %.*s", (int)(want->len - from < 100 ? want->len - from : 100),
               (const char *)want->data + from);
    world_note("-- is        %.100s", said + from);
    must(false, what);
}

static void audit_delayed_list(int t)
{
    static const struct o_delayed *waits[O_DELAYED];
    uint32_t n = 0, count = below(2) ? LIST_COUNT_DEFAULT : 1 + (uint32_t)below(20);
    for (uint32_t i = 0; i < w.o.n_delayed; i++)
        if (w.o.delayed[i].there && w.o.delayed[i].part.topic == t)
            waits[n++] = &w.o.delayed[i];
    qsort(waits, n, sizeof(waits[0]), by_due);
    struct buf want;
    buf_init(&want, 0);
    buf_put_str(&want, "[");
    for (uint32_t i = 0; i < n && i < count; i++) {
        buf_put_str(&want, i ? " " : "");
        want_delayed(&want, waits[i]);
    }
    buf_put_str(&want, "]");
    w.s.full = true;
    const char *said = count == LIST_COUNT_DEFAULT
                           ? world_ask("DELAYED LIST t%d", t)
                           : world_ask("DELAYED LIST t%d COUNT %u", t, count);
    w.s.full = false;
    must_say(&want, said, "DELAYED LIST says something else");
    buf_free(&want);
}

static void audit_topic(int t)
{
    if (!w.o.topics[t].there) {
        must(strcmp(world_ask("DELAYED LIST t%d", t), "-NOTOPIC") == 0,
             "DELAYED LIST of a topic that is not there");
        return;
    }
    audit_delayed_list(t);
    int64_t n_queues = w.o.topics[t].n_queues, messages = 0;
    for (int q = 0; q < (int)n_queues; q++)
        messages += w.o.queues[t][q].end;
    const char *said = world_ask("TOPIC INFO t%d", t);
    must(shell_field(said, "queues") == n_queues && shell_field(said, "order_queues") == n_queues,
         "a topic has another number of queues");
    must(shell_field(said, "messages") == messages, "a topic has another number of messages");
    must(shell_field(said, "delayed") == oracle_waiting(&w.o, t, false),
         "another number of messages is delayed");
}

/* ---- producer groups ---- */

static bool own_settings(const struct o_pgroup *own)
{
    return own->checkin_ms || own->check_every_ms || own->check_max || own->timeout_ms;
}

static uint32_t count_of(int pgroup, enum o_fate fate)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w.o.n_txns; i++)
        n += w.o.txns[i].pgroup == pgroup && w.o.txns[i].fate == fate;
    return n;
}

/* Checks `oldest`. PGROUP INFO need not consider young transactions, and does not consider those whose asks are used
 * up. */
static void judge_oldest(int pgroup, int64_t oldest_ms)
{
    bool is_one = oldest_ms == 0, older = false;
    for (uint32_t i = 0; i < w.o.n_txns; i++) {
        const struct o_txn *x = &w.o.txns[i];
        if (x->pgroup != pgroup || x->fate != O_PENDING)
            continue;
        is_one = is_one || x->created_ms == oldest_ms;
        bool counts = x->kind == O_ASK && !x->young;
        older = older || (counts && (oldest_ms == 0 || x->created_ms < oldest_ms));
    }
    must(is_one, "the oldest transaction of a producer group is none of its pending ones");
    must(!older, "the oldest transaction of a producer group is not the oldest");
}

static void audit_pgroup(int g)
{
    const struct o_pgroup *own = &w.o.pgroups[g];
    struct w_policy p = policy_of(g);
    char set[80] = "";
    (void)snprintf(set, sizeof(set), "%s%s%s%s", own->checkin_ms ? " checkin" : "",
                   own->check_every_ms ? " checkevery" : "", own->check_max ? " checkmax" : "",
                   own->timeout_ms ? " timeout" : "");
    struct buf want;
    buf_init(&want, 0);
    buf_printf(&want,
               "{pgroup:p%d checkurl:null secret:false checkin:%lld checkevery:%lld checkmax:%u "
               "timeout:%lld "
               "set:[%s] pending:%u parked:%u oldest:",
               g, (long long)p.checkin_ms, (long long)p.check_every_ms, p.check_max,
               (long long)p.timeout_ms, set + (set[0] == ' '), count_of(g, O_PENDING),
               count_of(g, O_PARKED));
    const char *said = world_ask("PGROUP INFO p%d", g);
    int64_t oldest_ms = shell_field(said, "oldest");
    buf_printf(&want, "%lld}", (long long)oldest_ms);
    must_say(&want, said, "PGROUP INFO says something else");
    judge_oldest(g, oldest_ms);
    buf_free(&want);
}

static void audit_pgroups(void)
{
    struct buf want;
    buf_init(&want, 0);
    buf_put_str(&want, "[");
    for (int g = 0; g < O_PGROUPS; g++) {
        audit_pgroup(g);
        if (own_settings(&w.o.pgroups[g]) || count_of(g, O_PENDING) || count_of(g, O_PARKED))
            buf_printf(&want, "%sp%d", want.len > 1 ? " " : "", g);
    }
    buf_put_str(&want, "]");
    must_say(&want, world_ask("PGROUP LIST"), "PGROUP LIST says something else");
    buf_free(&want);
}

void audit_lists(void)
{
    audit_txn_list();
    for (int t = 0; t < O_TOPICS; t++)
        audit_topic(t);
    audit_pgroups();
}
