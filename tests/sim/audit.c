/*
 * audit.c: compares everything that is stored with what the oracle says.
 *
 *   queues   each message is there once, in its place, with its transaction, visible since its COMMIT
 *   txns     state, asks and times, as TXN INFO shows them
 *   lists    audit_list.c
 *   rows     X Y O K W agree with that, and no row is left of a transaction that was decided
 *
 * Only this file knows the rows (storage/FORMAT.md); change it when they change. The rest of the simulation
 * sees only what clients see.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/model/timer.h"

#define INFOS_MAX 60
#define PAGE_MAX 1000

/* ---- queues ---- */

/* Appends the message exactly as READ should show it. */
static void want_message(struct buf *want, int t, int q, uint32_t at)
{
    const struct o_message *m = &w.o.queues[t][q].messages[at];
    buf_printf(want, "(t%d:%d:%u %u", t, q, at, m->serial);
    for (uint32_t i = 0; i < m->pad; i++)
        buf_put_u8(want, '.');
    buf_printf(want, " {topic:t%d queue:%d offset:%u born:%lld stored:%lld", t, q, at, (long long)m->born_ms,
               (long long)m->stored_ms);
    buf_put_str(want, m->tag ? " tag:g" : "");
    if (m->order >= 0)
        buf_printf(want, " order:k%d", m->order);
    if (m->expires_ms != INT64_MAX)
        buf_printf(want, " expires:%lld", (long long)m->expires_ms);
    if (m->txid)
        buf_printf(want, " txn:%llu", (unsigned long long)m->txid);
    buf_put_str(want, "} {})");
}

/* Checks one page of a queue, from a message on. Returns the number of the next message. */
static uint32_t audit_page(int t, int q, uint32_t from, struct buf *want)
{
    const struct o_queue *oq = &w.o.queues[t][q];
    w.s.full = true;
    const char *at = world_ask("READ t%d %d %u COUNT %d", t, q, from, PAGE_MAX);
    w.s.full = false;
    must(*at == '[', "READ answered something else than messages");
    uint32_t i = from;
    for (at++; i < oq->end && i - from < PAGE_MAX; i++) {
        must(*at == '(', "a message that was published is not there");
        buf_reset(want, KIB(64));
        want_message(want, t, q, i);
        if (strncmp(at, (const char *)want->data, want->len) != 0) {
            world_note("-- should be %.70s", (const char *)want->data);
            world_note("-- is        %.70s", at);
            must(false, "a queue holds something else");
        }
        at += want->len;
        at += *at == ' ' ? 1 : 0;
    }
    must(strcmp(at, "]") == 0, "a queue holds more than was published");
    return i;
}

static void audit_queue(int t, int q)
{
    struct buf want;
    buf_init(&want, 0);
    uint32_t at = 0;
    do
        at = audit_page(t, q, at, &want);
    while (at < w.o.queues[t][q].end);
    buf_free(&want);
}

static void audit_queues(void)
{
    for (int t = 0; t < O_TOPICS; t++) {
        if (!w.o.topics[t].there)
            must(strcmp(world_ask("READ t%d 0 0", t), "-NOTOPIC") == 0, "a topic is there");
        for (int q = 0; w.o.topics[t].there && q < (int)w.o.topics[t].n_queues; q++)
            audit_queue(t, q);
    }
}

/* ---- transactions ---- */

void audit_info(const struct o_txn *x, const char *said)
{
    static const char *const words[] = {
        [O_PENDING] = " state:pending ",
        [O_COMMITTED] = " state:committed ",
        [O_ROLLEDBACK] = " state:rolledback ",
        [O_PARKED] = " state:parked ",
    };
    char pgroup[24];
    (void)snprintf(pgroup, sizeof(pgroup), " pgroup:p%d ", x->pgroup);
    must(strstr(said, words[x->fate]) != NULL, "a transaction is in another state");
    must(strstr(said, pgroup) != NULL, "a transaction is another producer group's");
    must(shell_field(said, "checks") == x->checks, "a transaction has another number of asks");
    must(shell_field(said, "messages") == x->n, "a transaction has another number of messages");
    must(shell_field(said, "created") == x->created_ms && shell_field(said, "timeout") == x->timeout_ms,
         "a transaction has other times");
    must(shell_field(said, "decided") == (oracle_open(x) ? -1 : x->decided_ms), "a transaction was decided at another time");
    if (x->fate == O_PENDING)
        must(shell_field(said, "next_check") == x->next_ms, "a transaction has another next check");
    if (x->fate == O_COMMITTED)
        must(strstr(said, x->ids) != NULL, "a transaction has other ids");
}

/* TXN MESSAGES has the messages in the order of the HALFs: without ids while it is open, with those that COMMIT answered
 * afterwards. One that is gone by then has no body. */
static void audit_messages(const struct o_txn *x)
{
    const char *at = world_ask("TXN MESSAGES %llu", (unsigned long long)x->id), *ids = x->ids;
    for (uint32_t i = 0; i < x->n && x->fate != O_ROLLEDBACK; i++) {
        size_t len = x->fate == O_COMMITTED ? strcspn(++ids, " ]") : 4;
        must(strncmp(++at, x->fate == O_COMMITTED ? ids : "null", len) == 0 && at[len] == '=', "TXN MESSAGES has another id");
        at += len + 1;
        unsigned long serial = strtoul(at, NULL, 10);
        bool gone = x->fate == O_COMMITTED && strncmp(at, "null", 4) == 0;
        must(gone || serial == x->parts[i].serial, "TXN MESSAGES has another message");
        at += strcspn(at, " ]");
        ids += x->fate == O_COMMITTED ? len : 0;
    }
    must(strcmp(at, x->n && x->fate != O_ROLLEDBACK ? "]" : "[]") == 0, "TXN MESSAGES has more");
}

static void audit_txn(struct o_txn *x)
{
    const char *said = world_ask("TXN INFO %llu", (unsigned long long)x->id);
    if (!oracle_known(&w.o, x, said, w.s.policy.txn_outcome_retention_ms))
        return;
    audit_info(x, said);
    audit_messages(x);
}

static void audit_txns(void)
{
    uint64_t pending = 0, parked = 0;
    uint32_t from = w.o.n_txns > INFOS_MAX ? (uint32_t)below(w.o.n_txns - INFOS_MAX) : 0;
    for (uint32_t i = 0; i < w.o.n_txns; i++) {
        pending += w.o.txns[i].fate == O_PENDING;
        parked += w.o.txns[i].fate == O_PARKED;
        if (i - from < INFOS_MAX)
            audit_txn(&w.o.txns[i]);
    }
    const struct tally *tally = state_tally(w.s.st);
    must(tally->pending == pending, "another number of transactions is pending");
    must(tally->parked == parked, "another number of transactions is parked");
}

/* ---- rows ---- */

/* The rows that were found of each transaction. */
static struct found {
    bool open, young, check, check_timer, timeout, by_age;
    uint32_t messages;
    bool inline_first;
} found[O_TXNS];

static uint64_t number(const uint8_t *at)
{
    return key_read_u64(at);
}

static void row_open(struct slice key, struct slice value, bool compacted)
{
    struct txn_row row;
    must(txn_decode(value, &row) == ST_OK, "a row X cannot be read");
    struct o_txn *x = oracle_find(&w.o, number(key.data + 1));
    bool open = x && oracle_open(x);
    if (row.young && !open) { /* it stays after the decision, until a compaction */
        must(!compacted || number(key.data + 1) >= w.s.st->meta.young, "a compaction left a young row");
        return;
    }
    must(open, "a row X was left behind");
    found[x - w.o.txns] = (struct found){.open = true, .young = row.young, .inline_first = row.first.len > 0};
}

static void row_outcome(struct slice key, struct slice value, bool compacted)
{
    struct txn_row row;
    must(txn_decode(value, &row) == ST_OK, "a row O cannot be read");
    struct o_txn *x = oracle_find(&w.o, number(key.data + 1));
    must(x && !oracle_open(x), "there is an outcome of what is not decided");
    int64_t keep = w.s.policy.txn_outcome_retention_ms;
    /* The store may keep outcomes longer than a short retention. */
    bool old = row.decided_ms + (keep < 20000 ? 20000 : keep) <= w.o.now_ms;
    must(!compacted || !old, "a compaction left an outcome that may be forgotten");
}

static void row_message(struct slice key)
{
    struct o_txn *x = oracle_find(&w.o, number(key.data + 1));
    must(x && oracle_open(x), "a row Y was left behind");
    found[x - w.o.txns].messages++;
}

static void row_check(struct slice key)
{
    struct o_txn *x = oracle_find(&w.o, number(key.data + key.len - 8));
    char name[8];
    must(x && x->fate == O_PENDING, "a row K was left behind");
    (void)snprintf(name, sizeof(name), "Kp%d", x->pgroup);
    must(key.len == 20 && memcmp(key.data, name, 4) == 0, "a row K is in another group's place");
    must((int64_t)number(key.data + 4) == x->next_ms && x->kind != O_PARK, "a row K was left behind when it moved");
    found[x - w.o.txns].check = true;
}

static void row_pending(struct slice key)
{
    struct o_txn *x = oracle_find(&w.o, number(key.data + key.len - 8));
    char name[8];
    must(x && x->fate == O_PENDING, "a row J was left behind");
    (void)snprintf(name, sizeof(name), "Jp%d", x->pgroup);
    must(key.len == 12 && memcmp(key.data, name, 4) == 0, "a row J is in another group's place");
    found[x - w.o.txns].by_age = true;
}

static void row_timer(struct slice key)
{
    if (key.len != 18 || key.data[1] != TIMER_TXN)
        return;
    struct o_txn *x = oracle_find(&w.o, number(key.data + 10));
    int64_t due = (int64_t)number(key.data + 2);
    must(x && x->fate == O_PENDING, "a row W was left behind");
    must(due == x->timeout_ms || due == x->next_ms, "a row W was left behind when it moved");
    if (due == x->timeout_ms)
        found[x - w.o.txns].timeout = true;
    if (due == x->next_ms)
        found[x - w.o.txns].check_timer = true;
}

/* Checks that every row that a transaction should have is there. */
static void rows_of(const struct o_txn *x, const struct found *f)
{
    must(f->open, "an open transaction has no row X");
    must(f->messages == x->n - (f->inline_first ? 1 : 0), "a message of an open transaction is lost");
    must(!f->young || (!f->check && !f->check_timer && !f->timeout && !f->by_age), "a young transaction has rows");
    if (f->young || x->fate != O_PENDING)
        return;
    must(f->by_age, "a pending transaction that is not among those of its group");
    must(f->timeout, "a transaction without a timer for its timeout");
    must(f->check || f->check_timer, "a transaction that nobody will be asked about");
}

static void audit_rows(bool compacted)
{
    static const uint8_t end[1] = {0xff};
    memset(found, 0, w.o.n_txns * sizeof(found[0]));
    struct kv_iter *it = kv_iter_new(w.s.st->kv, KV_STATE, NULL, SLICE_LIT("X"), slice_of(end, 1));
    must(it != NULL, "no iterator");
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it)) {
        if (kv_iter_key(it).data[0] == 'X')
            row_open(kv_iter_key(it), kv_iter_value(it), compacted);
        else if (kv_iter_key(it).data[0] == 'Y')
            row_message(kv_iter_key(it));
    }
    kv_iter_free(it);
    it = kv_iter_new(w.s.st->kv, KV_STATE, NULL, SLICE_LIT("J"), SLICE_LIT("X"));
    must(it != NULL, "no iterator");
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        switch (key.data[0]) {
        case 'J': row_pending(key); break;
        case 'K': row_check(key); break;
        case 'O': row_outcome(key, kv_iter_value(it), compacted); break;
        case 'W': row_timer(key); break;
        default: break;
        }
    }
    kv_iter_free(it);
    for (uint32_t i = 0; i < w.o.n_txns; i++)
        if (oracle_open(&w.o.txns[i]))
            rows_of(&w.o.txns[i], &found[i]);
}

void audit(bool compacted)
{
    world_write();
    audit_queues();
    audit_txns();
    audit_lists();
    audit_rows(compacted);
}
