/*
 * test_client_open_faults.c: tests what happens to a delivery between its arrival and its last message. A worker unpacks it
 * when it takes the first one: until then, and while some of its messages were handled and others wait, the consumer is
 * paused or closed, its leases are extended or lost; or the worker finds that the record is damaged, or no memory for it.
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
#include "protocol/record/record.h"
#include "tests/lib/bare.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/still_clock.h"

#define STREAM 7
#define LEASE_MS 1000
#define MOST 64

static struct bare bare;
static hmq_consumer *consumer;
static _Atomic unsigned n_troubles;

/* ---- the handler: it handles so many messages, and is stopped at the next one ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned may, handled;
    bool stopped; /* it is */
    bool faults; /* what the worker allocates from now on counts, and may fail */
    uint64_t offsets[MOST];
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static enum hmq_verdict handle(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    size_t len;
    (void)arg;
    (void)retry;
    pthread_mutex_lock(&gate.lock);
    while (gate.handled >= gate.may) {
        gate.stopped = true;
        pthread_cond_wait(&gate.changed, &gate.lock);
    }
    gate.stopped = false;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(hmq_message_body(messages[i], &len), "body");
        gate.offsets[gate.handled++] = hmq_message_offset(messages[i]);
    }
    fault_heap_inside(gate.faults);
    pthread_mutex_unlock(&gate.lock);
    return HMQ_ACK;
}

static enum hmq_verdict handle_one(void *arg, const hmq_message *m, hmq_retry *retry)
{
    return handle(arg, &m, 1, retry);
}

static void let(unsigned may)
{
    pthread_mutex_lock(&gate.lock);
    gate.may = may;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_until_stopped(void)
{
    bool stopped = false;
    while (!stopped) {
        pthread_mutex_lock(&gate.lock);
        stopped = gate.stopped && gate.handled == gate.may;
        pthread_mutex_unlock(&gate.lock);
        sched_yield();
    }
}

static void wait_until_handled(unsigned n)
{
    bool all = false;
    while (!all) {
        pthread_mutex_lock(&consumer->lock);
        pthread_mutex_lock(&gate.lock);
        all = gate.handled == n && consumer->n_running == 0;
        pthread_mutex_unlock(&gate.lock);
        pthread_mutex_unlock(&consumer->lock);
        sched_yield();
    }
}

/* Waits until the workers have dropped what they could not unpack. */
static void wait_until_held(size_t n)
{
    bool held = false;
    while (!held) {
        pthread_mutex_lock(&consumer->lock);
        held = consumer->n_held == n;
        pthread_mutex_unlock(&consumer->lock);
        sched_yield();
    }
}

static size_t n_unpacked(void)
{
    size_t n = 0;
    pthread_mutex_lock(&consumer->lock);
    for (struct delivery *d = TAILQ_FIRST(&consumer->deliveries); d; d = TAILQ_NEXT(d, link))
        n += d->items != NULL;
    pthread_mutex_unlock(&consumer->lock);
    return n;
}

static void assert_handled(unsigned n)
{
    assert_int_equal(gate.handled, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(gate.offsets[i], i);
}

/* ---- the broker ---- */

static void on_event(void *arg, enum hmq_event event, const char *text)
{
    (void)arg;
    assert_int_equal(event, HMQ_EVENT_TROUBLE);
    assert_non_null(strstr(text, "damaged"));
    atomic_fetch_add(&n_troubles, 1);
}

static void open_stream(int64_t id)
{
    bare_tick(&bare);
    do
        assert_true(bare_hear(&bare));
    while (!bare_is(&bare, "stream_group"));
    bare_answer_int(&bare, NULL, id);
}

/* Hears all that the client says; answers, and counts the messages that are named by these: */
static struct heard {
    unsigned acks, nacks, extends, closes;
    bool stale; /* what to answer EXTEND */
} heard;

static unsigned count_receipt(struct slice receipt)
{
    char text[64], *end = NULL;
    snprintf(text, sizeof text, "%.*s", (int)receipt.len, (const char *)receipt.data);
    assert_memory_equal(text, "t:0:", 4);
    unsigned long from = strtoul(text + 4, &end, 10), to = *end == '-' ? strtoul(end + 1, NULL, 10) : from;
    return (unsigned)(to - from + 1);
}

static void hear_acks(void)
{
    const struct rpc_value *list = rpc_get(bare.frame.params, "receipt");
    struct slice receipt;
    unsigned n = 0;
    for (size_t i = 0; i < rpc_len(list); i++) {
        assert_true(rpc_bytes(rpc_at(list, i), &receipt));
        n += count_receipt(receipt);
    }
    heard.acks += n;
    bare_answer_int(&bare, NULL, n);
}

static void hear_extend(void)
{
    unsigned n = count_receipt(bare_bytes(&bare, "receipt"));
    heard.extends += n;
    if (heard.stale)
        bare_refuse(&bare, "STALE", "no such lease");
    else
        bare_answer_int(&bare, NULL, n);
}

static void hear_all(void)
{
    bare_tick(&bare);
    while (bare_hear(&bare)) {
        if (bare_is(&bare, "ack"))
            hear_acks();
        else if (bare_is(&bare, "extend"))
            hear_extend();
        else if (bare_is(&bare, "stream_close"))
            heard.closes++;
        else if (bare_is(&bare, "nack")) {
            heard.nacks += count_receipt(bare_bytes(&bare, "receipt"));
            bare_answer_text(&bare, "OK");
        } else if (bare_is(&bare, "ping"))
            bare_answer_text(&bare, "PONG");
        else
            assert_true(bare_is(&bare, "stream_credit"));
    }
}

/* ---- one test ---- */

static void start(const char *query)
{
    const char *topic = "t";
    memset(&heard, 0, sizeof heard);
    gate.may = gate.handled = 0;
    gate.stopped = gate.faults = false;
    atomic_store(&n_troubles, 0);
    still_clock_stop();
    bare_start(&bare, query);
    bare.client.options->event_fn = on_event;
    enum hmq_status status =
        strstr(query, "batch") ? hmq_consumer_new_batch(&bare.client, "g", &topic, 1, handle, NULL, NULL, &consumer, NULL)
                               : hmq_consumer_new(&bare.client, "g", &topic, 1, handle_one, NULL, NULL, &consumer, NULL);
    assert_int_equal(status, HMQ_OK);
    open_stream(STREAM);
}

static void stop(enum hmq_status status)
{
    assert_int_equal(hmq_consumer_close(consumer, 0, NULL), status);
    bare_stop(&bare);
    still_clock_go();
}

#define ONE_BY_ONE "?lease_ms=1000"

/* A record of n messages, whose last one is not whole; or one that was changed on its way. */
static void say_damaged(uint64_t base, uint32_t n, bool malformed)
{
    struct buf record, starts;
    struct message m = {.body = SLICE_LIT("body")};
    struct record_header h = {.count = n, .base = base, .stored_ms = 5};
    buf_init(&record, 0);
    buf_init(&starts, 0);
    record_begin(&record);
    for (uint32_t i = 0; i < n; i++)
        record_add(&record, &starts, &m, 5);
    if (malformed)
        record.data[record.len - 5]++; /* the length of the last body */
    record_end(&record, &starts, &h);
    if (!malformed)
        record.data[record.len / 2] ^= 1;
    bare_say_record(&bare, STREAM, 1, buf_slice(&record));
    buf_free(&record);
    buf_free(&starts);
}

/* The worker finds it: what came before is handled, nothing of the record is, its stream is given up, and the application is
 * told so on the driver's thread. */
static void damaged(bool malformed)
{
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 3);
    say_damaged(3, 4, malformed);
    wait_until_stopped();
    assert_int_equal(consumer->n_held, 7); /* it is counted with what its head says */
    assert_int_equal(n_troubles, 0);
    let(3);
    wait_until_handled(3);
    while (atomic_load(&n_troubles) == 0) {
        hear_all();
        sched_yield();
    }
    hear_all();
    assert_int_equal(n_troubles, 1);
    assert_int_equal(heard.closes, 1);
    assert_int_equal(heard.acks, 3);
    assert_handled(3);
    assert_int_equal(consumer->n_held, 0);
    assert_int_equal(consumer->held_bytes, 0);
    assert_int_equal(consumer->stats.received, 3);
    still_clock_pass(5000);
    open_stream(STREAM + 1); /* another one, after a pause */
    bare_say_records(&bare, STREAM + 1, 2, 3, 4);
    let(7);
    wait_until_handled(7);
    assert_handled(7);
    stop(HMQ_ETIMEDOUT); /* the broker does not reply */
}

static void test_a_worker_finds_a_damaged_record(void **state)
{
    (void)state;
    damaged(false);
}

static void test_a_worker_finds_a_malformed_message(void **state)
{
    (void)state;
    damaged(true);
}

/* A record whose stream was given up, or whose connection was lost, before a worker finds that it is damaged, does no harm
 * to the stream that is open by then. */
static void test_a_damaged_record_of_an_earlier_stream(void **state)
{
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 1);
    say_damaged(1, 4, false);
    wait_until_stopped();
    bare_reconnect(&bare);
    open_stream(STREAM);
    let(1);
    wait_until_held(0);
    bare_tick(&bare);
    assert_int_equal(n_troubles, 1);
    assert_int_equal(consumer->stream, STREAM);
    assert_int_equal(consumer->given_up, 0);
    bare_say_records(&bare, STREAM, 1, 1, 2);
    let(3);
    wait_until_handled(3);
    assert_handled(3);
    stop(HMQ_ETIMEDOUT);
}

/* The n-th allocation of the worker fails, for each that it needs to unpack a record: the record is dropped, and its stream
 * given up; the leases end. */
static void test_no_memory_to_unpack(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (uint64_t n = 1; n <= 12; n++) {
        start("?lease_ms=1000&prefetch=64");
        gate.faults = true;
        bare_say_records(&bare, STREAM, 1, 0, 1);
        bare_say_records(&bare, STREAM, 1, 1, 5);
        wait_until_stopped();
        fault_heap_fail(n, false);
        let(6);
        bool over = false;
        while (!over) {
            pthread_mutex_lock(&consumer->lock);
            over = consumer->n_held == consumer->n_acks && consumer->n_running == 0;
            pthread_mutex_unlock(&consumer->lock);
            sched_yield();
        }
        fault_heap_fail(0, false);
        hear_all();
        if (gate.handled == 1) {
            failed++;
            assert_int_equal(heard.closes, 1);
            assert_int_equal(consumer->stats.received, 1);
            assert_int_equal(n_troubles, 0); /* the broker is not to blame */
        }
        stop(gate.handled == 1 ? HMQ_OK : HMQ_ETIMEDOUT); /* no stream is left */
    }
    assert_true(failed >= 2); /* the messages, and what is known of them */
}

/* Some messages of a delivery were handled: the others stay, in their order. */
static void test_paused_in_the_middle(void **state)
{
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 10);
    bare_say_records(&bare, STREAM, 1, 10, 10);
    let(4);
    wait_until_stopped();
    assert_int_equal(hmq_consumer_pause(consumer, 0, NULL), HMQ_ETIMEDOUT); /* the handler has the fifth */
    let(MOST);
    wait_until_handled(5);
    hear_all();
    assert_int_equal(heard.acks, 5);
    assert_int_equal(n_unpacked(), 1);
    assert_int_equal(consumer->n_held, 15);
    assert_int_equal(hmq_consumer_resume(consumer, NULL), HMQ_OK);
    wait_until_handled(20);
    assert_handled(20);
    stop(HMQ_ETIMEDOUT);
}

/* Those that no handler has begun are requeued, whether they are unpacked or not. */
static void test_closed_in_the_middle(void **state)
{
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 10);
    bare_say_records(&bare, STREAM, 1, 10, 10);
    let(4);
    wait_until_stopped();
    assert_int_equal(n_unpacked(), 1);
    assert_int_equal(hmq_consumer_pause(consumer, 0, NULL), HMQ_ETIMEDOUT);
    let(MOST);
    wait_until_handled(5);
    hear_all();
    assert_int_equal(hmq_consumer_close(consumer, 0, NULL), HMQ_ETIMEDOUT);
    assert_handled(5);
    assert_int_equal(heard.acks, 5);
    bare_stop(&bare);
    still_clock_go();
}

static void *close_it(void *arg)
{
    *(enum hmq_status *)arg = hmq_consumer_close(consumer, 600000, NULL);
    return NULL;
}

/* The same while the handler has a message, which is acknowledged. */
static void test_the_rest_is_requeued(void **state)
{
    pthread_t closer;
    enum hmq_status status = HMQ_EUNKNOWN;
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 10);
    bare_say_records(&bare, STREAM, 1, 10, 10);
    let(4);
    wait_until_stopped();
    assert_int_equal(pthread_create(&closer, NULL, close_it, &status), 0);
    while (heard.nacks < 15) {
        hear_all();
        sched_yield();
    }
    let(MOST);
    while (heard.acks < 5) {
        hear_all();
        sched_yield();
    }
    bool drained = false;
    while (!drained) {
        hear_all();
        pthread_mutex_lock(&bare.client.lock);
        drained = TAILQ_EMPTY(&bare.client.services);
        pthread_mutex_unlock(&bare.client.lock);
        sched_yield();
    }
    pthread_join(closer, NULL);
    assert_int_equal(status, HMQ_OK);
    assert_handled(5);
    assert_int_equal(heard.acks, 5);
    assert_int_equal(heard.nacks, 15);
    bare_stop(&bare);
    still_clock_go();
}

/* A delivery that waits, and is not unpacked, is extended at half of its lease as others are. */
static void waiting_is_extended(bool paused)
{
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 1);
    bare_say_records(&bare, STREAM, 1, 1, 10);
    wait_until_stopped();
    if (paused)
        assert_int_equal(hmq_consumer_pause(consumer, 0, NULL), HMQ_ETIMEDOUT);
    assert_int_equal(n_unpacked(), 1);
    for (unsigned i = 1; i <= 5; i++) {
        still_clock_pass(LEASE_MS / 2);
        hear_all();
        assert_int_equal(heard.extends, 11 * i);
        assert_int_equal(n_unpacked(), 2);
    }
    let(MOST);
    if (paused) {
        wait_until_handled(1);
        assert_int_equal(hmq_consumer_resume(consumer, NULL), HMQ_OK);
    }
    wait_until_handled(11);
    assert_handled(11);
    stop(HMQ_ETIMEDOUT);
}

static void test_what_waits_is_extended(void **state)
{
    (void)state;
    waiting_is_extended(false);
    waiting_is_extended(true);
}

/* The same where it is damaged: that is found then. */
static void test_what_waits_is_damaged(void **state)
{
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 1);
    say_damaged(1, 10, true);
    bare_say_records(&bare, STREAM, 1, 1, 3);
    wait_until_stopped();
    still_clock_pass(LEASE_MS / 2);
    hear_all();
    assert_int_equal(n_troubles, 1);
    assert_int_equal(heard.extends, 4);
    assert_int_equal(heard.closes, 1);
    let(MOST);
    wait_until_handled(4);
    assert_handled(4);
    stop(HMQ_ETIMEDOUT);
}

/* The leases are lost while the third of ten messages is handled: the others are dropped, and nothing is said of them. */
static void test_leases_are_lost_in_the_middle(void **state)
{
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 10);
    let(2);
    wait_until_stopped();
    hear_all();
    heard.stale = true;
    still_clock_pass(LEASE_MS / 2);
    hear_all();
    assert_int_equal(heard.extends, 8);
    assert_int_equal(consumer->stats.lost, 8);
    let(MOST);
    wait_until_held(0);
    hear_all();
    assert_handled(3);
    assert_int_equal(heard.acks, 3);
    assert_int_equal(consumer->stats.lost, 8);
    assert_int_equal(heard.nacks, 0);
    stop(HMQ_ETIMEDOUT);
}

/* A whole delivery whose lease has ended before a worker came to it: as the client was stopped, say. */
static void test_a_lease_ends_unseen(void **state)
{
    (void)state;
    start(ONE_BY_ONE);
    bare_say_records(&bare, STREAM, 1, 0, 1);
    bare_say_records(&bare, STREAM, 1, 1, 10);
    wait_until_stopped();
    still_clock_pass(LEASE_MS);
    let(MOST);
    wait_until_held(0);
    assert_handled(1);
    assert_int_equal(consumer->stats.lost, 10);
    stop(HMQ_ETIMEDOUT);
}

/* A batch takes the end of a delivery, whole ones, and the beginning of another one, which goes on with the next batch. */
static void test_a_batch_of_many_deliveries(void **state)
{
    (void)state;
    start("?lease_ms=1000&batch_count=10");
    for (unsigned i = 0; i < 60; i += 4)
        bare_say_records(&bare, STREAM, 1, i, 4);
    let(MOST);
    wait_until_handled(60);
    assert_handled(60);
    hear_all();
    assert_int_equal(heard.acks, 60);
    assert_int_equal(consumer->n_held, 0);
    assert_true(TAILQ_EMPTY(&consumer->deliveries));
    stop(HMQ_ETIMEDOUT);
}

/* More messages than there is room for: those beyond are requeued at once, which needs their receipts. */
static void test_more_than_there_is_room_for(void **state)
{
    (void)state;
    start("?lease_ms=1000&prefetch=6");
    bare_say_records(&bare, STREAM, 1, 0, 4);
    bare_say_records(&bare, STREAM, 1, 4, 6);
    hear_all();
    assert_int_equal(heard.nacks, 4);
    let(MOST);
    wait_until_handled(6);
    assert_handled(6);
    stop(HMQ_ETIMEDOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_finds_a_damaged_record),
        cmocka_unit_test(test_a_worker_finds_a_malformed_message),
        cmocka_unit_test(test_a_damaged_record_of_an_earlier_stream),
        cmocka_unit_test(test_no_memory_to_unpack),
        cmocka_unit_test(test_paused_in_the_middle),
        cmocka_unit_test(test_closed_in_the_middle),
        cmocka_unit_test(test_the_rest_is_requeued),
        cmocka_unit_test(test_what_waits_is_extended),
        cmocka_unit_test(test_what_waits_is_damaged),
        cmocka_unit_test(test_leases_are_lost_in_the_middle),
        cmocka_unit_test(test_a_lease_ends_unseen),
        cmocka_unit_test(test_a_batch_of_many_deliveries),
        cmocka_unit_test(test_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
