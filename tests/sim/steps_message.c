/*
 * steps_message.c: the steps that send and pop messages: SEND, PRODUCE, POP.
 *
 * Each command has DEDUP ids of its own. So here SEND, HALF and PRODUCE also use ids that another of them has used,
 * and must not get its reply.
 */
#include "tests/sim/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/batch.h"

#define DOTS_MAX 5000

static bool is(const char *said, const char *want)
{
    return strcmp(said, want) == 0;
}

/* ---- messages and their options ---- */

const char *steps_dots(void)
{
    static char dots[DOTS_MAX];
    if (!dots[0])
        memset(dots, '.', sizeof(dots) - 1);
    return dots;
}

void steps_part(struct o_part *part)
{
    int t = below(O_TOPICS);
    const struct o_topic *topic = &w.o.topics[t];
    *part = (struct o_part){.topic = t,
                            .queue = -1,
                            .order = -1,
                            .serial = ++w.serial,
                            .tag = below(8) == 0,
                            .born_ms = w.o.now_ms,
                            .ttl_ms = -1};
    int route = below(6);
    if (route < 2)
        part->queue = below(topic->there ? topic->n_queues : O_QUEUES);
    else if (route < 4)
        part->order = below(O_ORDERS);
    if (below(6) == 0)
        part->ttl_ms = 1 + below(5000);
    if (below(12) == 0)
        part->pad =
            4000 + (uint32_t)below(200); /* around the size up to which it is stored in its transaction's row */
    if (below(6) || w.o.n_delayed > O_DELAYED - 60)
        return;
    if (below(2))
        part->delay_ms = 1 + below(4000);
    else
        part->at_ms = w.o.now_ms - 1000 + below(6000);
}

void steps_options(const struct o_part *part, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "%s", part->tag ? " TAG g" : "");
    if (part->queue >= 0)
        n += (size_t)snprintf(out + n, size - n, " QUEUE %d", part->queue);
    if (part->order >= 0)
        n += (size_t)snprintf(out + n, size - n, " ORDER k%d", part->order);
    if (part->ttl_ms >= 0)
        n += (size_t)snprintf(out + n, size - n, " TTL %lld", (long long)part->ttl_ms);
    if (part->delay_ms)
        (void)snprintf(out + n, size - n, " DELAY %lld", (long long)part->delay_ms);
    else if (part->at_ms)
        (void)snprintf(out + n, size - n, " AT %lld", (long long)part->at_ms);
}

/* ---- DEDUP ids ---- */

bool steps_repeated(int topic, enum o_command command, int id, const char *said)
{
    const struct o_topic *t = &w.o.topics[topic];
    const struct o_dedup *d = id < 0 ? NULL : &t->dedups[command][id];
    if (!d || (!t->there && command != O_HALF) || d->until_ms <= w.o.now_ms)
        return false;
    const struct o_txn *x = d->outlived ? oracle_find(&w.o, strtoull(d->answer, NULL, 10)) : NULL;
    bool same = is(said, d->answer), may_be_gone = d->may_be_gone || (d->outlived && !(x && oracle_open(x)));
    must(same || may_be_gone, "another answer to the same DEDUP id");
    return same;
}

void steps_remember(int topic, enum o_command command, int id, const char *said)
{
    if (id < 0)
        return;
    struct o_dedup *d = &w.o.topics[topic].dedups[command][id];
    *d = (struct o_dedup){.until_ms = w.o.now_ms + w.s.policy.dedup_window_ms};
    must(strlen(said) < sizeof(d->answer), "the simulation has no room for an answer");
    memcpy(d->answer, said, strlen(said) + 1);
}

/* ---- SEND ---- */

static void send_one(void)
{
    struct o_part part;
    int dedup = below(4) ? -1 : below(O_DEDUPS);
    char options[120], id[20] = "";
    if (w.o.n_delayed > O_DELAYED - 20)
        return;
    steps_part(&part);
    steps_options(&part, options, sizeof(options));
    if (dedup >= 0)
        (void)snprintf(id, sizeof(id), " DEDUP d%d", dedup);
    const char *said = world_do("SEND t%d %u%.*s%s%s", part.topic, part.serial, (int)part.pad,
                                steps_dots(), options, id);
    if (!w.o.topics[part.topic].there && !w.s.policy.auto_create_topics) {
        must(is(said, "-NOTOPIC"), "a SEND to a topic that is not to be made");
        return;
    }
    if (steps_repeated(part.topic, O_SEND, dedup, said))
        return;
    const char *at = said;
    oracle_placed(&w.o, &part, 0, &at);
    must(!*at, "a SEND was answered more than a place");
    steps_remember(part.topic, O_SEND, dedup, said);
}

/* ---- PRODUCE ---- */

static struct o_part parts[BATCH_COUNT_MAX]; /* of w.sent */

static uint32_t longest(int topic)
{
    uint32_t end = 0;
    for (int q = 0; q < O_QUEUES && w.o.topics[topic].there; q++)
        end = w.o.queues[topic][q].end > end ? w.o.queues[topic][q].end : end;
    return end;
}

/* Mostly a few messages, sometimes some hundreds, and rarely as many as a batch may have. */
static uint32_t any_count(int topic)
{
    static const uint32_t most = O_OFFSETS - O_STEP_MAX;
    uint32_t kind = (uint32_t)below(120), n = 1 + (uint32_t)below(12);
    if (kind == 0)
        n = below(2) ? BATCH_COUNT_MAX : 1 + (uint32_t)below(BATCH_COUNT_MAX);
    else if (kind < 8)
        n = 1 + (uint32_t)below(600);
    return longest(topic) + n <= most ? n : 1;
}

/* The ORDER key of a message of a batch: the same for all, for some, or several that belong to one queue (rarely one
 * that does not, which is an error). */
static int any_order(int topic, int kind, int key)
{
    int other = below(O_ORDERS);
    bool together = oracle_home(&w.o, topic, other) == oracle_home(&w.o, topic, key);
    switch (kind) {
    case 0: return key;
    case 1: return below(2) ? key : -1;
    case 2: return together || below(40) == 0 ? other : key;
    default: return -1;
    }
}

static void any_batch(int topic, uint32_t n)
{
    int kind = below(6), key = below(O_ORDERS);
    bool ttls = below(3) == 0;
    for (uint32_t i = 0; i < n; i++)
        parts[i] = (struct o_part){.topic = topic,
                                   .queue = -1,
                                   .order = any_order(topic, kind, key),
                                   .serial = ++w.serial,
                                   .pad = below(40) ? 0 : (uint32_t)below(200),
                                   .tag = below(8) == 0,
                                   .born_ms = w.o.now_ms - (below(4) ? 0 : below(1000)),
                                   .ttl_ms = ttls && below(3) == 0 ? 1 + below(5000) : -1};
}

/* The queue of the first ORDER key in the batch; -1: it has none. */
static int home_of(int topic, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (parts[i].order >= 0)
            return (int)oracle_home(&w.o, topic, parts[i].order);
    return -1;
}

static void lay_out(struct batch *b, uint32_t n)
{
    char key[8], body[240];
    for (uint32_t i = 0; i < n; i++) {
        const struct o_part *p = &parts[i];
        int len = snprintf(body, sizeof(body), "%u%.*s", p->serial, (int)p->pad, steps_dots());
        struct message m = {.body = slice_of(body, (size_t)len),
                            .born_ms = p->born_ms - w.o.now_ms};
        if (p->tag) {
            m.fields |= MSG_TAG;
            m.tag = SLICE_LIT("g");
        }
        if (p->order >= 0) {
            m.fields |= MSG_ORDER;
            m.order = slice_of(key, (size_t)snprintf(key, sizeof(key), "k%d", p->order));
        }
        if (p->ttl_ms >= 0) {
            m.fields |= MSG_TTL;
            m.expires_ms = p->ttl_ms;
        }
        batch_add(b, m);
    }
}

static const char *do_produce(int topic, uint32_t n, int queue, int dedup)
{
    char name[8], number[8], id[8], line[80];
    struct batch b;
    struct slice words[7] = {SLICE_LIT("PRODUCE"),
                             slice_of(name, (size_t)snprintf(name, sizeof(name), "t%d", topic))};
    size_t n_words = 3;
    batch_init(&b);
    lay_out(&b, n);
    words[2] = batch_end(&b);
    if (queue >= 0) {
        words[n_words++] = SLICE_LIT("QUEUE");
        words[n_words++] = slice_of(number, (size_t)snprintf(number, sizeof(number), "%d", queue));
    }
    if (dedup >= 0) {
        words[n_words++] = SLICE_LIT("DEDUP");
        words[n_words++] = slice_of(id, (size_t)snprintf(id, sizeof(id), "d%d", dedup));
    }
    (void)snprintf(line, sizeof(line), "PRODUCE t%d (%u from %u on)%s%s%s%s", topic, n,
                   parts[0].serial, queue >= 0 ? " QUEUE " : "", queue >= 0 ? number : "",
                   dedup >= 0 ? " DEDUP " : "", dedup >= 0 ? id : "");
    const char *said = world_words(words, n_words, line);
    batch_free(&b);
    return said;
}

/* True if the ORDER key of some message of the batch belongs to another queue. */
static bool misplaced(int topic, uint32_t n, int queue)
{
    bool wrong = false;
    for (uint32_t i = 0; i < n; i++)
        wrong = wrong ||
                (parts[i].order >= 0 && queue != (int)oracle_home(&w.o, topic, parts[i].order));
    return wrong;
}

static void produce(const struct w_sent *b)
{
    for (uint32_t i = 0; i < b->n; i++) /* after a restart the clock may be behind the time of lost messages */
        parts[i].born_ms = parts[i].born_ms < w.o.now_ms ? parts[i].born_ms : w.o.now_ms;
    uint32_t n_queues = w.o.topics[b->topic].there ? w.o.topics[b->topic].n_queues : 4;
    const char *said = do_produce(b->topic, b->n, b->queue, b->dedup);
    if (!w.o.topics[b->topic].there && !w.s.policy.auto_create_topics) {
        must(is(said, "-NOTOPIC"), "a batch for a topic that is not to be made");
        return;
    }
    if (steps_repeated(b->topic, O_PRODUCE, b->dedup, said))
        return;
    if (b->queue >= (int)n_queues || misplaced(b->topic, b->n, b->queue)) {
        must(is(said, "-ERR"), "a batch was stored where it does not belong");
        return;
    }
    oracle_produced(&w.o, parts, b->n, b->queue, said);
    steps_remember(b->topic, O_PRODUCE, b->dedup, said);
}

static void produce_one(void)
{
    struct w_sent b = {
        .topic = below(O_TOPICS), .queue = -1, .dedup = below(2) ? -1 : below(O_DEDUPS)};
    if (w.sent.n && below(4) == 0) { /* pretends that the reply was lost, and sends it again */
        if (longest(w.sent.topic) + w.sent.n <= O_OFFSETS - O_STEP_MAX)
            produce(&w.sent);
        return;
    }
    b.n = any_count(b.topic);
    any_batch(b.topic, b.n);
    uint32_t n_queues = w.o.topics[b.topic].there ? w.o.topics[b.topic].n_queues : 4;
    b.queue = below(8) ? home_of(b.topic, b.n) : -1;
    if (b.queue < 0 && below(3) == 0)
        b.queue = below(n_queues + 1);
    w.sent = b;
    produce(&b);
}

/* Sends single messages and batches, so that both are in one commit group and in the same queue. */
static void send_some(void)
{
    for (int n = 3 + below(10); n > 0; n--)
        if (below(3))
            send_one();
        else
            produce_one();
}

void step_send(void)
{
    if (below(6))
        send_one();
    else
        send_some();
}

void step_produce(void)
{
    produce_one();
}

/* ---- POP ---- */

static bool ready(const struct o_message *m)
{
    bool free = m->cell == O_FRESH || (m->cell == O_LEASED && m->until_ms <= w.o.now_ms);
    return free && m->expires_ms > w.o.now_ms;
}

static uint32_t all_ready(int topic)
{
    uint32_t n = 0;
    for (int q = 0; q < O_QUEUES; q++)
        for (uint32_t i = 0; i < w.o.queues[topic][q].end; i++)
            n += ready(&w.o.queues[topic][q].messages[i]);
    return n;
}

static void popped(int topic, const struct grant *g, uint64_t offset)
{
    struct o_message *m = oracle_message(&w.o, topic, (int)g->queue, (uint32_t)offset);
    must(m != NULL, "popped what is not there");
    must(m->cell != O_DONE, "popped what was acknowledged");
    must(ready(m), "popped what another holds, or what has expired");
    struct o_topic *t = &w.o.topics[topic];
    must(g->attempt == (m->attempt ? m->attempt : t->attempt_base) + 1, "the attempt number does not follow");
    t->attempt_top = g->attempt > t->attempt_top ? g->attempt : t->attempt_top;
    m->cell = O_LEASED;
    m->attempt = g->attempt;
    m->until_ms = g->lease_until_ms;
}

/* Checks that no message was delivered before an earlier one of its queue. So the order of a key is kept. */
static void judge_turn(const struct o_queue *oq)
{
    bool passed = false;
    for (uint32_t i = 0; i < oq->end; i++) {
        const struct o_message *m = &oq->messages[i];
        must(!passed || m->attempt == 0, "POP passed over an earlier message of its queue");
        passed = passed || (m->cell == O_FRESH && m->expires_ms > w.o.now_ms);
    }
}

void step_pop(void)
{
    int t = below(O_TOPICS);
    uint32_t count = 1 + (uint32_t)below(below(4) ? 6 : 1000), got = 0, want = 0;
    if (!w.o.topics[t].there)
        return;
    if (!w.o.topics[t].grouped) {
        must(is(world_do("GROUP CREATE c t%d ATTEMPTS 10000", t), "OK"),
             "the consumer group was not made");
        w.o.topics[t].grouped = true;
    }
    want = all_ready(t);
    (void)world_do("POP c t%d COUNT %u LEASE %d", t, count, 1 + below(3000));
    const struct outcome *out = shell_outcome(&w.s, w.s.n - 1);
    for (uint32_t i = 0; i < out->n_grants; i++) {
        const struct grant *g = &out->grants[i];
        for (uint32_t k = 0; k < g->count; k++) {
            if (g->bits && !((g->bits[k / 64] >> (k % 64)) & 1))
                continue;
            popped(t, g, g->base + k);
            got++;
        }
    }
    must(got == (want < count ? want : count), "POP handed out more or fewer than it should");
    for (int q = 0; q < O_QUEUES; q++)
        judge_turn(&w.o.queues[t][q]);
}
