/*
 * test_storage_model.c: runs random commands on the store and compares each reply with a simple model
 * (tests/lib/model.h), and between commit groups everything that is stored. Groups have random lengths; there are
 * random steps of time, restarts, reads that fail or find damage during a command, and writes that fail and lose their
 * group, records that are damaged for good. Little is in memory, so topics are unloaded and runs wait on disk.
 *
 *   SEEDS=n         how many histories (some dozens by default)
 *   HALFMQ_SEED=n   the first of them; a failure prints its seed, which repeats it with SEEDS=1
 *   TRACE=1         prints every command and its reply
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/model.h"
#include "tests/lib/model_check.h"
#include "tests/lib/model_class.h"
#include "tests/lib/model_filter.h"
#include "tests/lib/model_grants.h"
#include "tests/lib/model_harm.h"
#include "tests/lib/model_order.h"
#include "tests/lib/model_keep.h"
#include "tests/lib/model_pick.h"
#include "tests/lib/model_users.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell_check.h"
#include "tests/lib/sifting.h"

#define GROUPS_A_SEED 120
#define SEEDS_DEFAULT 30

static struct world {
    struct shell s;
    struct model m, saved;
    struct prng p;
    uint64_t seed;
    uint32_t step;
    bool faulty; /* a read may have failed: a command may reply with that error, and has then done nothing */
    bool ended;  /* the group is to be written now */
    bool trace;
    bool unharmed;
    const char *doing;
    struct buf said;
} w;

static void complain(const char *what)
{
    (void)fprintf(stderr, "HALFMQ_SEED=%llu SEEDS=1, step %u, %s: %s; answer: %s\n",
                  (unsigned long long)w.seed, w.step, w.doing, what, (const char *)w.said.data);
    abort();
}

static void must(bool holds, const char *what)
{
    if (!holds)
        complain(what);
}

static int below(uint64_t n)
{
    return (int)prng_below(&w.p, n);
}

/* ---- talking to the store ---- */

static const struct outcome *last_outcome(void)
{
    return shell_outcome(&w.s, w.s.n - 1);
}

#define is(said, want) (strcmp((said), (want)) == 0)

/* The reply to the last command as text ("" for a POP that got messages). */
static const char *answer_of(const char *line)
{
    buf_reset(&w.said, (size_t)1 << 20);
    if (last_outcome()->n_grants == 0)
        shell_render(&w.said, buf_slice(&last_outcome()->reply), false);
    buf_put_u8(&w.said, 0);
    if (w.trace)
        (void)fprintf(stderr, "%u  %s -> %s\n", w.m.group, line, (const char *)w.said.data);
    return (const char *)w.said.data;
}

/* Applies the line in the open group. Returns its reply as text ("" for a POP that got messages). */
static const char *apply(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *apply(const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    shell_add(&w.s, "%s", line);
    return answer_of(line);
}

/* True if a read failed during the command: the reply says so and nothing was done, or the group is given up. */
static bool faulted(const char *said)
{
    bool yes = w.faulty && (w.s.st->sick || is(said, "-ERR") || is(said, "-BUSY") || is(said, "-DAMAGED"));
    w.ended = w.ended || yes;
    return yes;
}

/* True where a read may have failed during a command that then does less, and says so: the group is given up. */
static bool less_was_done(const char *said)
{
    if (w.faulty)
        w.ended = w.s.st->sick = true;
    return w.faulty || faulted(said);
}

/* ---- producing ---- */

static void do_send(void)
{
    int t = below(M_TOPICS), dedup = below(4) ? -1 : below(M_DEDUPS), n = 0;
    struct m_topic *topic = &w.m.topics[t];
    struct pick_choice c = pick_choice(&w.m, &w.p, topic->there ? (int)topic->n_queues : 4);
    char options[60] = "";
    if (dedup >= 0)
        n = snprintf(options, sizeof(options), " DEDUP d%d", dedup);
    if (below(3) == 0)
        (void)snprintf(options + n, sizeof(options) - (size_t)n, " KEY k%d", below(5));
    uint32_t serial = ++w.m.serial;
    model_key(&w.m, serial, c.key);
    model_rank(&w.m, serial, c.priority, c.tag);
    const char *said = apply("SEND t%d %u%s%s", t, serial, c.text, options);
    if (faulted(said))
        return;
    if (model_repeated(&w.m, t, M_SEND, dedup, said))
        return;
    int64_t due_ms = c.delay ? w.m.now_ms + c.delay : c.at;
    if (due_ms > w.m.now_ms)
        model_delayed(&w.m, t, c.queue, serial, c.ttl, due_ms, said);
    else
        model_stored(&w.m, t, c.queue, serial, c.ttl, said);
    model_remember(&w.m, t, M_SEND, dedup, said);
}

static void do_cancel(void)
{
    struct m_delayed *d = model_delayed_next(&w.m, -1, NULL);
    for (int skip = below(4); d && skip > 0; skip--)
        d = model_delayed_next(&w.m, -1, d);
    unsigned long long token = d ? d->token : w.m.last_id + TXID_MIN;
    const char *said = apply("DELAYED CANCEL @%llu", token);
    if (faulted(said))
        return;
    must(is(said, d ? "1" : "0"), "DELAYED CANCEL was answered otherwise");
    if (d)
        d->token = 0;
}

static void do_msend(void)
{
    int t = below(M_TOPICS), n = 1 + below(6), at = 0;
    char bodies[100];
    uint32_t first = w.m.serial + 1;
    for (int i = 0; i < n; i++)
        at += snprintf(bodies + at, sizeof(bodies) - (size_t)at, " %u", ++w.m.serial);
    const char *said = apply("MSEND t%d%s", t, bodies);
    if (faulted(said))
        return;
    for (int i = 0; i < n; i++) {
        said += strcspn(said, "t");
        model_stored(&w.m, t, -1, first + (uint32_t)i, -1, said++);
    }
}

/* Sends a batch of pick_batch. */
static const char *apply_batch(int t, int n, int queue, int64_t ttl, int dedup)
{
    struct batch b;
    struct slice words[7] = {SLICE_LIT("PRODUCE")};
    char topic[8], place[12], id[8], line[80];
    pick_batch(&w.m, &w.p, &b, n, ttl);
    (void)snprintf(topic, sizeof(topic), "t%d", t);
    (void)snprintf(place, sizeof(place), "%d", queue);
    (void)snprintf(id, sizeof(id), "d%d", dedup);
    words[1] = slice_str(topic);
    words[2] = batch_end(&b);
    size_t at = 3;
    if (queue >= 0)
        words[at++] = SLICE_LIT("QUEUE"), words[at++] = slice_str(place);
    if (dedup >= 0)
        words[at++] = SLICE_LIT("DEDUP"), words[at++] = slice_str(id);
    shell_add_words(&w.s, words, at);
    batch_free(&b);
    (void)snprintf(line, sizeof(line), "PRODUCE %s (%d) %s %s", topic, n, place, id);
    return answer_of(line);
}

static void do_produce(void)
{
    int t = below(M_TOPICS), n = 1 + below(6), dedup = below(4) ? -1 : below(M_DEDUPS);
    struct m_topic *topic = &w.m.topics[t];
    int queue = below(2) ? -1 : below(topic->there ? topic->n_queues : 4);
    int64_t ttl = below(3) ? -1 : below(300);
    uint32_t first = w.m.serial + 1;
    const char *said = apply_batch(t, n, queue, ttl, dedup);
    if (faulted(said))
        return;
    if (model_repeated(&w.m, t, M_PRODUCE, dedup, said))
        return;
    int64_t q = shell_field(said, "queue"), base = shell_field(said, "offset");
    must(q >= 0 && base >= 0 && shell_field(said, "count") == n, "PRODUCE was answered otherwise");
    for (int i = 0; i < n; i++) {
        char id[24];
        (void)snprintf(id, sizeof(id), "t%d:%d:%d", t, (int)q, (int)base + i);
        model_stored(&w.m, t, queue, first + (uint32_t)i, i % 2 ? -1 : ttl, id);
    }
    model_remember(&w.m, t, M_PRODUCE, dedup, said);
}

/* ---- transactions ---- */

static void do_half(void)
{
    struct m_txn *x = below(3) ? NULL : pick_txn(&w.m, &w.p, M_NONE);
    int t = below(M_TOPICS), checkin = below(2) ? -1 : below(200), dedup = below(4) ? -1 : below(M_DEDUPS), n = 0;
    struct pick_choice c = pick_choice(&w.m, &w.p, 1);
    char options[60] = "", joins[40] = "";
    if ((!x && pick_txns_free(&w.m) == 0) || (x && x->n == M_TXN_MESSAGES))
        return;
    if (checkin >= 0)
        n = snprintf(options, sizeof(options), " CHECKIN %d", checkin);
    if (dedup >= 0)
        (void)snprintf(options + n, sizeof(options) - (size_t)n, " DEDUP d%d", dedup);
    if (x)
        (void)snprintf(joins, sizeof(joins), " TXN %llu", (unsigned long long)x->id);
    uint32_t serial = ++w.m.serial;
    model_key(&w.m, serial, c.key);
    model_rank(&w.m, serial, c.priority, c.tag);
    const char *said = apply("HALF pg t%d %u%s%s%s", t, serial, c.text, options, joins);
    if (faulted(said) || model_repeated(&w.m, t, M_HALF, dedup, said))
        return;
    if (x && x->fate != M_PENDING) {
        must(is(said, "-TXNCONFLICT"), "a HALF joined what is no longer open");
        return;
    }
    if (!w.m.topics[t].there)
        model_topic_made(&w.m, t, 4);
    uint64_t id = strtoull(said, NULL, 10);
    if (!x)
        x = model_txn_new(&w.m, id, checkin < 0 ? w.m.checkin_ms : checkin, w.m.timeout_ms);
    else if (checkin >= 0)
        x->next_ms = w.m.now_ms + checkin, x->touched = w.m.group, x->answered = true;
    must(id == x->id, "a HALF answered another transaction");
    x->halfs[x->n++] = (struct m_half){t, c.queue, serial, c.ttl, c.delay, c.at};
    model_remember(&w.m, t, M_HALF, dedup, said);
}

static void do_commit(void)
{
    struct m_txn *x = pick_txn(&w.m, &w.p, below(3) ? M_PENDING : M_NONE);
    struct pick_receipt r = {.holds = true};
    char ack[80] = "";
    if (!x || model_delayed_room(&w.m) < M_TXN_MESSAGES)
        return;
    if (below(3) == 0) {
        pick_receipt(&w.m, &w.p, &r);
        (void)snprintf(ack, sizeof(ack), " ACK g%d %s", r.group, r.text);
    }
    const char *said = apply("COMMIT %llu%s", (unsigned long long)x->id, ack);
    if (faulted(said))
        return;
    if (x->fate == M_COMMITTED)
        must(is(said, x->ids), "a repeated COMMIT answered other ids");
    else if (x->fate == M_ROLLEDBACK)
        must(is(said, "-TXNCONFLICT"), "a COMMIT went against a ROLLBACK");
    else if (*ack && !model_group_there(&w.m, r.group))
        must(is(said, "-NOGROUP"), "a COMMIT with receipts of no group");
    else if (!r.holds)
        must(is(said, "-STALE"), "a COMMIT with a stale receipt");
    else {
        model_committed(&w.m, x, said);
        if (*ack)
            model_ack(&w.m, r.group, r.topic, r.queue, r.offset);
    }
}

static void do_rollback(void)
{
    struct m_txn *x = pick_txn(&w.m, &w.p, below(2) ? M_PENDING : M_NONE);
    if (!x)
        return;
    const char *said = apply("ROLLBACK %llu", (unsigned long long)x->id);
    if (faulted(said))
        return;
    must(is(said, x->fate == M_COMMITTED ? "-TXNCONFLICT" : "OK"), "a ROLLBACK was answered otherwise");
    if (x->fate != M_COMMITTED)
        x->fate = M_ROLLEDBACK;
}

static void do_extend_txn(void)
{
    struct m_txn *x = pick_txn(&w.m, &w.p, below(4) ? M_PENDING : M_NONE);
    int ms = below(300);
    const char *said = x ? apply("TXN EXTEND %llu %d", (unsigned long long)x->id, ms) : NULL;
    if (!said || faulted(said))
        return;
    must(is(said, x->fate == M_PENDING ? "OK" : "-TXNCONFLICT"), "TXN EXTEND was answered otherwise");
    if (x->fate == M_PENDING)
        x->next_ms = w.m.now_ms + ms, x->touched = w.m.group, x->answered = true;
}

static void do_unknown(void)
{
    struct m_txn *x = pick_txn(&w.m, &w.p, M_PENDING);
    const char *said = x ? apply("UNKNOWN %llu", (unsigned long long)x->id) : NULL;
    if (!said || faulted(said))
        return;
    must(is(said, "OK"), "UNKNOWN was refused");
    x->answered = x->answered || x->checks > 0;
}

static void do_checks(void)
{
    uint32_t count = 1 + (uint32_t)below(5);
    const char *said = apply("CHECKS pg COUNT %u", count);
    if (!less_was_done(said))
        model_asked(&w.m, said, count);
}

static void do_unask(void)
{
    struct m_txn *x = pick_txn(&w.m, &w.p, M_PENDING);
    if (!x || x->checks == 0)
        return;
    uint32_t attempt = below(3) ? x->checks : x->checks + 1;
    const char *said = apply("UNASK %llu-%u", (unsigned long long)x->id, attempt);
    must(w.faulty || is(said, "OK"), "UNASK was refused");
    if (w.faulty) /* it replies OK in any case */
        w.ended = w.s.st->sick = true;
    else
        model_unasked(&w.m, x, attempt);
}

/* ---- the producer group's settings ---- */

static void do_pgroup_set(void)
{
    int which = below(4), n = which == 2 ? 1 + below(4) : 20 + below(200);
    static const char *const names[] = {"CHECKIN", "CHECKEVERY", "CHECKMAX", "TIMEOUT"};
    if (which == 2 && pick_anybody_asked(&w.m))
        return;
    if (faulted(apply("PGROUP SET pg %s %d", names[which], which == 3 ? n * 10 : n)))
        return;
    w.m.pgroup_set = true;
    switch (which) {
    case 0: w.m.checkin_ms = n; break;
    case 1: w.m.check_every_ms = n; break;
    case 2: w.m.check_max = (uint32_t)n; break;
    default: w.m.timeout_ms = n * 10;
    }
}

static void do_pgroup_delete(void)
{
    if (pick_anybody_asked(&w.m) && w.m.check_max != w.s.policy.check_max)
        return;
    if (!faulted(apply("PGROUP DELETE pg")))
        pick_policy(&w.m, &w.s.policy);
}

/* ---- consuming ---- */

static void group_create(int g, int t, int attempts, bool ordered, bool filtered)
{
    int lease = 1 + below(500);
    enum m_from from = below(2) ? M_EARLIEST : M_LATEST;
    struct m_filter filter;
    model_filter_pick(&filter, &w.p);
    const char *tags = "";
    uint32_t wanted = filtered || below(2) ? 0 : model_tags_pick(&w.p, &tags);
    const char *said = apply("GROUP CREATE g%d t%d FROM %s ATTEMPTS %d LEASE %d%s%s", g, t,
                             from == M_LATEST ? "latest" : "earliest", attempts, lease, ordered ? " ORDERED" : "",
                             filtered ? filter.text : tags);
    if (faulted(said))
        return;
    bool there = w.m.topics[t].there, exists = there && w.m.gts[g][t].there;
    must(is(said, !there ? "-NOTOPIC" : exists ? "-EXISTS" : "OK"), "GROUP CREATE was answered otherwise");
    if (there && !exists)
        model_group_made(&w.m, g, t, from, (uint32_t)attempts, lease), w.m.gts[g][t].ordered = ordered;
    if (there && !exists && filtered)
        model_filter_set(&w.m, &w.m.gts[g][t], &filter);
    if (there && !exists)
        w.m.gts[g][t].tags = wanted;
}

static void do_pop(void)
{
    int g = below(M_GROUPS), t1 = below(M_TOPICS), t2 = below(3) ? -1 : below(M_TOPICS);
    uint32_t count = below(3) ? 1 + (uint32_t)below(4) : 1 + (uint32_t)below(40);
    int64_t lease = below(2) ? 0 : 1 + below(400);
    char more[60] = "";
    t2 = t2 == t1 ? -1 : t2;
    if (w.seed % 2 && !w.m.gts[g][t1].there) /* in every other history most groups are ordered */
        group_create(g, t1, ATTEMPTS_DEFAULT, true, false);
    if (w.ended)
        return;
    int n = t2 < 0 ? 0 : snprintf(more, sizeof(more), " t%d", t2);
    if (lease)
        (void)snprintf(more + n, sizeof(more) - (size_t)n, " LEASE %d", (int)lease);
    char line[120];
    (void)snprintf(line, sizeof(line), "POP g%d t%d%s COUNT %u", g, t1, more, count);
    sifting_add(&w.s, line, below(2));
    const char *said = answer_of(line);
    if (less_was_done(said))
        return;
    if (!w.m.topics[t1].there || (t2 >= 0 && !w.m.topics[t2].there)) {
        must(is(said, "-NOTOPIC"), "a POP of a topic that is not there");
        return;
    }
    uint32_t left = count, unjudged = 0;
    for (int i = 0; i < 2; i++) {
        int t = i ? t2 : t1;
        if (t >= 0 && !w.m.gts[g][t].there)
            model_group_made(&w.m, g, t, M_EARLIEST, ATTEMPTS_DEFAULT, LEASE_MS_DEFAULT);
    }
    for (int i = 0; i < 2 && left > 0 && (i ? t2 : t1) >= 0; i++) {
        struct m_pop pop;
        model_pop_begin(&w.m, &pop, g, i ? t2 : t1);
        uint32_t others = model_grants(&w.m, &pop, last_outcome(), lease);
        left -= model_pop_end(&w.m, &pop, left);
        unjudged = i ? 0 : others;
    }
    must(unjudged == 0, "a POP went on to the next topic for nothing");
}

static void do_ack(void)
{
    struct pick_receipt r[3];
    char text[140] = "";
    int n = 1 + below(3), at = 0, acked = 0;
    pick_receipt(&w.m, &w.p, &r[0]);
    for (int i = 0; i < n; i++) {
        if (i)
            pick_receipt(&w.m, &w.p, &r[i]);
        at += snprintf(text + at, sizeof(text) - (size_t)at, " %s", r[i].text);
    }
    const char *said = apply("ACK g%d%s", r[0].group, text);
    if (less_was_done(said))
        return;
    if (!model_group_there(&w.m, r[0].group)) {
        must(is(said, "-NOGROUP"), "an ACK to no group");
        return;
    }
    for (int i = 0; i < n; i++) {
        if (!model_leased(&w.m, r[0].group, r[i].topic, r[i].queue, r[i].offset, r[i].attempt))
            continue;
        model_ack(&w.m, r[0].group, r[i].topic, r[i].queue, r[i].offset);
        acked++;
    }
    must(strtol(said, NULL, 10) == acked && *said != '-', "another number was acknowledged");
}

/* Judges the reply to NACK, EXTEND or REJECT. True: the command was done. */
static bool done_with(const struct pick_receipt *r, const char *said)
{
    if (faulted(said))
        return false;
    const char *want = r->holds ? "OK" : model_group_there(&w.m, r->group) ? "-STALE" : "-NOGROUP";
    must(is(said, want), "a receipt was judged otherwise");
    return r->holds;
}

static void do_nack(void)
{
    struct pick_receipt r;
    int delay = below(2) ? -1 : below(300);
    char option[30] = "";
    pick_receipt(&w.m, &w.p, &r);
    if (delay >= 0)
        (void)snprintf(option, sizeof(option), " DELAY %d", delay);
    if (done_with(&r, apply("NACK g%d %s%s", r.group, r.text, option)))
        model_nack(&w.m, r.group, r.topic, r.queue, r.offset, delay < 0 ? 0 : delay);
}

static void do_extend(void)
{
    struct pick_receipt r;
    int ms = below(500);
    pick_receipt(&w.m, &w.p, &r);
    if (done_with(&r, apply("EXTEND g%d %s %d", r.group, r.text, ms)))
        model_extend(&w.m, r.group, r.topic, r.queue, r.offset, ms);
}

static void do_reject(void)
{
    struct pick_receipt r;
    pick_receipt(&w.m, &w.p, &r);
    const char *said = apply("REJECT g%d %s", r.group, r.text);
    /* REJECT copies the message; in the open group only the last record of a queue can be read. */
    bool unwritten = r.holds && w.m.topics[r.topic].queues[r.queue].messages[r.offset].group == w.m.group;
    if (unwritten && is(said, "-BUSY"))
        return;
    if (done_with(&r, said))
        model_reject(&w.m, r.group, r.topic, r.queue, r.offset);
}

static void do_range(void)
{
    struct pick_range x;
    pick_range(&w.m, &w.p, &x);
    int what = below(3), ms = below(500);
    static const char *const lines[] = {"ACK g%d %s", "EXTEND g%d %s %d", "RELEASE g%d %s"};
    if (w.faulty && what == 2)
        return; /* it replies OK in any case */
    char line[80];
    if (what == 1)
        (void)snprintf(line, sizeof(line), lines[1], x.r.group, x.text, ms);
    else
        (void)snprintf(line, sizeof(line), what ? lines[2] : lines[0], x.r.group, x.text);
    const char *said = apply("%s", line);
    if (what == 0 ? less_was_done(said) : faulted(said))
        return;
    must(is(said, pick_range_wanted(&w.m, &x, what)), "a range was judged otherwise");
    pick_range_done(&w.m, &x, what, ms);
}

static void do_release(void)
{
    struct pick_receipt r;
    pick_receipt(&w.m, &w.p, &r);
    if (w.faulty)
        return; /* it replies OK in any case */
    must(is(apply("RELEASE g%d %s", r.group, r.text), "OK"), "RELEASE was refused");
    if (r.holds)
        model_release(&w.m, r.group, r.topic, r.queue, r.offset);
}

static void do_topic_create(void)
{
    int t = below(M_TOPICS);
    struct m_setting c = model_setting(&w.p, true);
    const char *said = apply("TOPIC CREATE t%d%s", t, c.text);
    if (!faulted(said))
        model_topic_created(&w.m, t, &c, said);
}

static void do_topic_set(void)
{
    int t = below(M_TOPICS);
    struct m_setting c = model_setting(&w.p, false);
    const char *said = apply("TOPIC SET t%d%s", t, c.text);
    if (!faulted(said))
        model_topic_set(&w.m, t, &c, said);
}

static void topic_delete(int t)
{
    const char *said = apply("TOPIC DELETE t%d", t);
    if (faulted(said))
        return;
    must(is(said, w.m.topics[t].there ? "OK" : "-NOTOPIC"), "TOPIC DELETE was answered otherwise");
    model_topic_delete(&w.m, t);
}

static void do_topic_delete(void)
{
    if (!w.faulty) /* it is done then, too, but it takes a while until a group is on no topic (gone.h) */
        topic_delete(below(M_TOPICS));
}

static void do_purge(void)
{
    int t = below(M_TOPICS);
    const char *said = apply("TOPIC PURGE t%d", t);
    if (faulted(said))
        return;
    must(is(said, w.m.topics[t].there ? "OK" : "-NOTOPIC"), "TOPIC PURGE was answered otherwise");
    if (w.m.topics[t].there)
        model_purge(&w.m, t);
}

static void do_group_create(void)
{
    group_create(below(M_GROUPS), below(M_TOPICS), 1 + below(4), below(2), below(3) == 0);
}

static void do_switch(void)
{
    int g = below(M_GROUPS), t = below(M_TOPICS), on = below(3) > 0;
    uint32_t cursors[M_QUEUES];
    model_cursors(&w.s, g, t, cursors);
    const char *said = apply("GROUP SET g%d t%d ORDERED%s", g, t, on ? "" : " no");
    if (less_was_done(said) || !w.m.topics[t].there || !w.m.gts[g][t].there)
        return;
    must(is(said, "OK"), "GROUP SET was refused");
    model_switch(&w.m, g, t, on, cursors);
}

static void do_group_delete(void)
{
    int g = below(M_GROUPS);
    bool there = model_group_there(&w.m, g) || w.m.dead[g] > 0; /* a group that has only dead letters has those */
    const char *said = w.faulty ? NULL : apply("GROUP DELETE g%d", g);
    if (!said || faulted(said))
        return;
    must(is(said, there ? "OK" : "-NOGROUP"), "GROUP DELETE was answered otherwise");
    if (there)
        model_group_delete(&w.m, g);
}

static void do_user(void)
{
    struct m_user_choice c = model_user_pick(&w.p);
    const char *said = apply("ACL %s", c.text);
    if (!w.faulty || !less_was_done(said))
        model_user_done(&w.m, &c, said);
}

static const struct {
    int weight;
    void (*run)(void);
    const char *name;
} commands[] = {
    {20, do_send, "SEND"},
    {6, do_msend, "MSEND"},
    {6, do_produce, "PRODUCE"},
    {3, do_cancel, "DELAYED CANCEL"},
    {10, do_half, "HALF"},
    {7, do_commit, "COMMIT"},
    {4, do_rollback, "ROLLBACK"},
    {2, do_extend_txn, "TXN EXTEND"},
    {6, do_checks, "CHECKS"},
    {2, do_unask, "UNASK"},
    {1, do_unknown, "UNKNOWN"},
    {1, do_pgroup_set, "PGROUP SET"},
    {1, do_pgroup_delete, "PGROUP DELETE"},
    {24, do_pop, "POP"},
    {16, do_ack, "ACK"},
    {7, do_nack, "NACK"},
    {4, do_extend, "EXTEND"},
    {7, do_range, "a range"},
    {3, do_reject, "REJECT"},
    {3, do_release, "RELEASE"},
    {2, do_topic_create, "TOPIC CREATE"},
    {2, do_topic_set, "TOPIC SET"},
    {1, do_topic_delete, "TOPIC DELETE"},
    {1, do_purge, "TOPIC PURGE"},
    {4, do_group_create, "GROUP CREATE"},
    {2, do_switch, "GROUP SET"},
    {1, do_group_delete, "GROUP DELETE"},
    {2, do_user, "ACL"},
};

static void do_any(void)
{
    int total = 0;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        total += commands[i].weight;
    int at = below((uint64_t)total);
    size_t i = 0;
    while (at >= commands[i].weight)
        at -= commands[i++].weight;
    w.step++;
    w.doing = commands[i].name;
    commands[i].run();
}

/* ---- between groups ---- */

static void check(void)
{
    w.doing = "checking";
    model_check(&w.m, &w.s, &w.p);
}

/* Nothing is damaged for good in an unharmed history, so --check must not say so. */
static void reopen(void)
{
    if (w.unharmed)
        shell_sound(&w.s);
    else
        must((shell_close(&w.s), shell_open(&w.s)), "the store does not open");
    /* Time may have passed without a write; the store's time must have moved on all the same. */
    must(w.s.now_ms == w.m.now_ms, "time went back");
}

/* The same without the store: what is in memory is only a copy of what is stored. */
static void reload(void)
{
    must(shell_reload(&w.s), "the state does not load");
    must(w.s.now_ms == w.m.now_ms, "time went back");
}

/* Undoes the lost group in the model too, except for counters that are used for names. */
static void lose_group(bool store_dead)
{
    uint32_t group = w.m.group, serial = w.m.serial;
    int64_t now = w.m.now_ms;
    w.m = w.saved;
    w.m.group = group;
    w.m.serial = serial;
    w.m.now_ms = now;
    (store_dead || below(2) ? reopen : reload)();
}

static void one_group(void)
{
    w.saved = w.m;
    w.m.group++;
    w.ended = w.faulty = false;
    w.s.st->lru.bytes_max = (size_t)below(3) * (below(2) ? 2000 : 100000); /* little is in memory, or much */
    w.s.st->wait_window = 1 + (uint32_t)below(below(2) ? 3 : 40);
    for (int t = 0; t < M_TOPICS; t++)
        for (int q = 0; q < M_QUEUES; q++)
            if (w.m.topics[t].queues[q].end > M_OFFSETS - 110 && w.m.topics[t].there)
                topic_delete(t);
    w.faulty = below(20) == 0;
    bool damage = w.faulty && model_harm_read(&w.s, &w.p);
    for (int n = damage ? 1 : 1 + below(below(4) ? 4 : 10); n > 0 && !w.ended; n--)
        do_any();
    w.s.st->sick = w.s.st->sick || damage;
    bool lost = below(30) == 0;
    w.doing = "writing";
    if (lost)
        kv_fault(w.s.st->kv, below(2) ? KV_OP_WRITE : KV_OP_SYNC, 1);
    bool written = shell_write(&w.s);
    must(written || lost || w.faulty, "a group was not written");
    model_harm_over(&w.s);
    if (!written)
        lose_group(lost);
    if (below(12) == 0 && !w.unharmed)
        (below(6) ? model_harm : model_user_harm)(&w.m, &w.s, &w.p);
}

static void pass_time(void)
{
    int64_t ms = below(3) ? below(60) : below(400);
    w.s.now_ms += ms;
    w.m.now_ms = w.s.now_ms;
    if (below(3) == 0)
        return; /* the timer is late */
    w.doing = "TICK";
    shell_pass(&w.s, 0);
    must(w.s.status == ST_OK, "a TICK was not written");
    model_pass(&w.m);
    model_kept(&w.m, &w.s);
    if (below(4) == 0)
        check();
    if (below(25) == 0)
        reopen();
}

static void one_history(uint64_t seed)
{
    w.seed = seed;
    w.p = prng_history(seed);
    w.step = 0;
    shell_start(&w.s);
    pick_hurry(&w.s.policy);
    w.s.sync = true;
    w.unharmed = seed % 3 == 0;
    w.m = (struct model){.now_ms = w.s.now_ms, .dedup_window_ms = 500};
    pick_policy(&w.m, &w.s.policy);
    for (int i = 0; i < GROUPS_A_SEED; i++) {
        one_group();
        if (below(6) == 0)
            reload();
        pass_time();
    }
    shell_pass(&w.s, 0);
    model_pass(&w.m);
    model_kept(&w.m, &w.s);
    check();
    shell_stop(&w.s);
}

static void histories(void **state)
{
    (void)state;
    const char *text = getenv("SEEDS");
    uint64_t n = text ? strtoull(text, NULL, 10) : SEEDS_DEFAULT, first = prng_start().state;
    model_complain = complain;
    w.trace = getenv("TRACE") != NULL;
    buf_init(&w.said, 0);
    for (uint64_t i = 0; i < n; i++)
        one_history(first + i);
    buf_free(&w.said);
}

int main(void)
{
    /* There are hundreds of restarts, so the folder is in memory if possible. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
