/*
 * test_client_stream_faults.c: tests a consumer when allocations fail: the n-th one, for every n, alone or with all
 * later ones for a long time. The fake broker here counts leases, attempts and credit as the real one does. Whatever
 * fails, each message is handled in the end (it is redelivered when its lease expires), the broker never sends more
 * than the credit, no stream stays open when another one is opened, and nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/consumer/consumer_inner.h"
#include "clients/c/wire/clock.h"
#include "tests/lib/bare.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/spawn.h"
#include "tests/lib/still_clock.h"

#define STORED 30 /* messages; the last few are sent when the consumer is about to be closed */
#define LATE 8
#define LEASE_MS 1000
#define STEP_MS 300
#define STEPS_MAX 100

enum place { READY, LEASED, DONE };

struct stored {
    enum place place;
    unsigned attempt;
    int64_t until_ms;
};

static struct bare bare;
static hmq_consumer *consumer;
static struct stored stored[STORED];
static unsigned n_stored;
static int64_t stream, next_stream, credit; /* stream 0: none */

/* ---- the handler, which the test can stop ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold;
    bool held; /* it is */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hold(bool yes)
{
    pthread_mutex_lock(&gate.lock);
    gate.hold = yes;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    pthread_mutex_lock(&gate.lock);
    gate.held = true;
    while (gate.hold)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.held = false;
    pthread_mutex_unlock(&gate.lock);
    fault_heap_inside(true); /* the allocations that the worker makes after the handler count */
    snprintf(retry->reason, sizeof retry->reason, "not yet");
    bool first = hmq_message_attempt(m) == 1 && hmq_message_offset(m) < STORED - LATE;
    uint64_t kind = first ? hmq_message_offset(m) % 7 : 0;
    return kind == 3 ? HMQ_NACK : kind == 5 ? HMQ_KEEP : HMQ_ACK;
}

/* True if the worker has nothing to do, or if the test has stopped its handler. */
static bool is_settled(void)
{
    bool busy = false;
    pthread_mutex_lock(&consumer->lock);
    for (struct delivery *d = TAILQ_FIRST(&consumer->deliveries); d; d = TAILQ_NEXT(d, link))
        for (size_t i = 0; i < d->n; i++)
            busy = busy || !d->items || d->items[i].state < HELD_ENDING;
    pthread_mutex_unlock(&consumer->lock);
    pthread_mutex_lock(&gate.lock);
    busy = busy && !(gate.hold && gate.held);
    pthread_mutex_unlock(&gate.lock);
    return !busy;
}

static void settle(void)
{
    while (!is_settled())
        sched_yield();
}

/* ---- the broker ---- */

static void end_leases(void)
{
    for (unsigned i = 0; i < n_stored; i++)
        if (stored[i].place == LEASED && stored[i].until_ms <= clock_ms())
            stored[i].place = READY;
}

/* Sets place and time of the leased messages that a receipt names. Returns how many these are. */
static int64_t settle_receipt(struct slice receipt, enum place place, int64_t until_ms)
{
    char text[64], *end = NULL;
    int64_t n = 0;
    assert_true(receipt.len < sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)receipt.len, (const char *)receipt.data);
    assert_memory_equal(text, "t:0:", 4);
    unsigned long from = strtoul(text + 4, &end, 10), to = from;
    if (*end == '-')
        to = strtoul(end + 1, &end, 10);
    assert_int_equal(*end, '#');
    unsigned long attempt = strtoul(end + 1, NULL, 10);
    assert_true(from <= to && to < n_stored);
    for (unsigned long i = from; i <= to; i++) {
        if (stored[i].place != LEASED || stored[i].attempt != attempt)
            continue;
        stored[i].place = place;
        stored[i].until_ms = until_ms;
        n++;
    }
    return n;
}

static void hear_ack(void)
{
    const struct rpc_value *list = rpc_get(bare.frame.params, "receipt");
    struct slice receipt;
    int64_t n = 0;
    for (size_t i = 0; i < rpc_len(list); i++) {
        assert_true(rpc_bytes(rpc_at(list, i), &receipt));
        n += settle_receipt(receipt, DONE, 0);
    }
    bare_answer_int(&bare, NULL, n);
}

static void hear_extend(void)
{
    int64_t until_ms = clock_ms() + bare_int(&bare, "dur");
    int64_t n = settle_receipt(bare_bytes(&bare, "receipt"), LEASED, until_ms);
    if (n > 0)
        bare_answer_int(&bare, NULL, n);
    else
        bare_refuse(&bare, "STALE", "no such lease");
}

static void hear_open(void)
{
    assert_int_equal(stream, 0); /* the stream before was closed */
    assert_int_equal(bare_int(&bare, "lease"), LEASE_MS);
    stream = ++next_stream;
    credit = bare_int(&bare, "credit");
    bare_answer_int(&bare, NULL, stream);
}

static void hear_note(void)
{
    bool ours = bare_int(&bare, "stream") == stream;
    if (bare_is(&bare, "stream_credit") && ours)
        credit += bare_int(&bare, "credit");
    else if (bare_is(&bare, "stream_close") && ours)
        stream = credit = 0;
}

static void hear(void)
{
    if (bare.frame.type == RPC_NOTIFY)
        hear_note();
    else if (bare_is(&bare, "stream_group"))
        hear_open();
    else if (bare_is(&bare, "ack"))
        hear_ack();
    else if (bare_is(&bare, "extend"))
        hear_extend();
    else if (bare_is(&bare, "nack")) {
        (void)settle_receipt(bare_bytes(&bare, "receipt"), READY, 0);
        bare_answer_text(&bare, "OK");
    } else {
        assert_true(bare_is(&bare, "ping"));
        bare_answer_text(&bare, "PONG");
    }
}

/* Leases messages that are ready, from i on, and sends them as one record. Returns how many. */
static unsigned grant(unsigned i)
{
    unsigned n = 0, attempt = stored[i].attempt;
    while (i + n < n_stored && n < 5 && n < credit && stored[i + n].place == READY &&
           stored[i + n].attempt == attempt) {
        struct stored *s = &stored[i + n++];
        *s = (struct stored){LEASED, attempt + 1, clock_ms() + LEASE_MS};
    }
    return n;
}

/* False: there is no credit, or no message. */
static bool send_some(void)
{
    end_leases();
    for (unsigned i = 0; stream && i < n_stored; i++) {
        unsigned n = grant(i);
        if (n == 0)
            continue;
        credit -= n;
        bare_say_records(&bare, stream, stored[i].attempt, i, n);
        return true;
    }
    return false;
}

/* Runs the client and the broker until neither sends anything. */
static void serve(void)
{
    do {
        settle();
        bare_tick(&bare);
        while (bare_hear(&bare)) {
            hear();
            settle();
            bare_tick(&bare);
        }
    } while (send_some());
}

/* ---- one run ---- */

/* Makes the consumer. True: an allocation failed; from here on they succeed. */
static bool make_consumer(void)
{
    const char *topic = "t";
    fault_heap_inside(true);
    enum hmq_status status =
        hmq_consumer_new(&bare.client, "g", &topic, 1, handle, NULL, NULL, &consumer, NULL);
    fault_heap_inside(false);
    if (status == HMQ_OK)
        return false;
    assert_true(fault_heap_fired());
    fault_heap_fail(0, false);
    assert_int_equal(
        hmq_consumer_new(&bare.client, "g", &topic, 1, handle, NULL, NULL, &consumer, NULL),
        HMQ_OK);
    return true;
}

static unsigned count(enum place place)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_stored; i++)
        n += stored[i].place == place;
    return n;
}

/* Lets allocations succeed again. */
static void memory_is_back(bool *ret_fired)
{
    if (!fault_heap_fired())
        return;
    *ret_fired = true;
    fault_heap_fail(0, false);
}

/* Stops the handler for longer than half of the lease, so that it is extended; then handles all messages. */
static void consume(bool *ret_fired)
{
    n_stored = STORED - LATE;
    hold(true);
    for (unsigned step = 0; count(DONE) < n_stored; step++) {
        if (step == STEPS_MAX)
            fail_msg("%u of %u messages are done", count(DONE), n_stored);
        if (step == 4)
            hold(false);
        if (step >= 12)
            memory_is_back(ret_fired);
        serve();
        still_clock_pass(STEP_MS);
    }
}

static _Atomic bool closed;

static void *close_it(void *arg)
{
    (void)arg;
    fault_heap_inside(true);
    assert_int_equal(hmq_consumer_close(consumer, 600000, NULL), HMQ_OK);
    atomic_store(&closed, true);
    return NULL;
}

/* Closes the consumer: the worker's message is handled, the waiting ones are requeued. */
static void drain(bool *ret_fired)
{
    pthread_t closer;
    unsigned turns = 0;
    hold(true);
    n_stored = STORED;
    for (unsigned step = 0; step < 5; step++, still_clock_pass(100))
        serve();
    atomic_store(&closed, false);
    assert_int_equal(pthread_create(&closer, NULL, close_it, NULL), 0);
    hold(false);
    while (!atomic_load(&closed)) {
        bare_tick(&bare);
        while (bare_hear(&bare))
            hear();
        if (++turns >= 10)
            memory_is_back(ret_fired);
        still_clock_pass(10);
        spawn_pause(); /* for the thread that closes */
    }
    pthread_join(closer, NULL);
    while (bare_hear(&bare)) /* a note that closes a stream which was given up: the consumer waits for no reply to it */
        hear();
    assert_int_equal(stream, 0);
}

/* Runs the whole test once. True: an allocation failed. */
static bool life(uint64_t n, bool forever)
{
    memset(stored, 0, sizeof stored);
    stream = next_stream = credit = 0;
    n_stored = 0;
    still_clock_stop();
    bare_start(&bare, "?prefetch=12&lease_ms=1000");
    bare.inside = fault_heap_inside;
    fault_heap_fail(n, forever);
    bool fired = make_consumer();
    consume(&fired);
    drain(&fired);
    fired = fired || fault_heap_fired();
    fault_heap_fail(0, false);
    if (!fired)
        assert_int_equal(count(LEASED), 0); /* each message was acknowledged or requeued */
    bare_stop(&bare);
    still_clock_go();
    return fired;
}

static void test_each_message_is_done_with(void **state)
{
    (void)state;
    assert_false(life(0, false));
    uint64_t n = 1;
    for (; life(n, false); n++)
        (void)life(n, true);
    assert_true(n > 50); /* there are at least so many allocations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_message_is_done_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
