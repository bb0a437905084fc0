/*
 * test_client_keep_faults.c: tests kept messages, batch consumers, subscriptions and copies where there is no memory: each
 * call fails as a whole and can be made again, and nothing is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>

#include "clients/c/consumer/consumer_inner.h"
#include "clients/c/wire/unpack.h"
#include "protocol/record/record.h"
#include "tests/lib/bare.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/still_clock.h"

#define STREAM 7

static struct bare bare;
static const char *topic = "t";
static _Atomic(const hmq_message *) kept;
static atomic_uint told;

static enum hmq_verdict keep(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)retry;
    assert_int_equal(hmq_message_keep(m, NULL), HMQ_OK);
    kept = m;
    return HMQ_ACK;
}

static enum hmq_verdict keep_first(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    assert_int_equal(n, 1);
    return keep(arg, messages[0], retry);
}

static void on_ended(void *arg, const hmq_error *err)
{
    (void)arg;
    assert_int_equal(err->code, HMQ_OK);
    told++;
}

static void on_copy(void *arg, const char *name, const void *body, size_t len)
{
    atomic_uint *n = arg;
    (void)name;
    (void)body;
    (void)len;
    ++*n;
}

static void fail_from(uint64_t n)
{
    fault_heap_fail(n, true);
    fault_heap_inside(true);
}

static void fail_no_more(void)
{
    fault_heap_inside(false);
    fault_heap_fail(0, false);
}

/* Makes a consumer of batches, while the n-th allocation and all later ones fail, for each n. */
static hmq_consumer *new_consumer(void)
{
    hmq_consumer *consumer = NULL;
    for (uint64_t n = 1; !consumer; n++) {
        fail_from(n);
        enum hmq_status status =
            hmq_consumer_new_batch(&bare.client, "g", &topic, 1, keep_first, NULL, NULL, &consumer, NULL);
        fail_no_more();
        assert_true(status == HMQ_OK || status == HMQ_ENOMEM || status == HMQ_ESYSTEM);
        assert_int_equal(status == HMQ_OK, consumer != NULL);
    }
    return consumer;
}

static void receive_one(hmq_consumer *consumer, uint64_t offset)
{
    kept = NULL;
    bare_say_records(&bare, STREAM, 1, offset, 1);
    while (!kept)
        sched_yield();
    bool returned = false;
    while (!returned) {
        sched_yield();
        pthread_mutex_lock(&consumer->lock);
        returned = consumer->n_running == 0;
        pthread_mutex_unlock(&consumer->lock);
    }
}

static enum hmq_status end_without_memory(enum hmq_verdict verdict, hmq_ended_fn fn)
{
    fail_from(1);
    enum hmq_status status = hmq_message_end(kept, verdict, NULL, fn, NULL, NULL);
    fail_no_more();
    return status;
}

static void hear(const char *method)
{
    do
        assert_true(bare_hear(&bare));
    while (bare_is(&bare, "stream_credit"));
    assert_true(bare_is(&bare, method));
}

static void test_ending_without_memory(void **state)
{
    (void)state;
    still_clock_stop();
    bare_start(&bare, "");
    hmq_consumer *consumer = new_consumer();
    bare_tick(&bare);
    bare_expect(&bare, "stream_group");
    bare_answer_int(&bare, NULL, STREAM);
    receive_one(consumer, 0);
    assert_int_equal(end_without_memory(HMQ_NACK, on_ended), HMQ_ENOMEM);
    assert_int_equal(end_without_memory(HMQ_REJECT, NULL), HMQ_ENOMEM);
    assert_int_equal(end_without_memory(HMQ_ACK, on_ended), HMQ_ENOMEM);
    assert_int_equal(hmq_message_lost(kept), 0);
    assert_int_equal(told, 0);
    assert_int_equal(hmq_message_end(kept, HMQ_NACK, NULL, on_ended, NULL, NULL), HMQ_OK);
    hear("nack");
    bare_answer_text(&bare, "OK");
    assert_int_equal(told, 1);
    receive_one(consumer, 1);
    assert_int_equal(end_without_memory(HMQ_ACK, NULL), HMQ_OK); /* it is queued, and sent when there is memory */
    still_clock_pass(1000);
    bare_tick(&bare);
    hear("ack");
    bare_answer_int(&bare, NULL, 1);
    assert_int_equal(hmq_consumer_close(consumer, 0, NULL), HMQ_ETIMEDOUT); /* the broker does not reply */
    bare_stop(&bare);
    still_clock_go();
}

static void test_subscribing_without_memory(void **state)
{
    (void)state;
    const char *topics[] = {"a", "b"};
    atomic_uint calls = 0;
    hmq_subscription *subscription = NULL;
    still_clock_stop();
    bare_start(&bare, "");
    for (uint64_t n = 1; !subscription; n++) {
        fail_from(n);
        enum hmq_status status = hmq_subscription_new(&bare.client, topics, 2, on_copy, &calls, &subscription, NULL);
        fail_no_more();
        assert_int_equal(status, subscription ? HMQ_OK : HMQ_ENOMEM);
    }
    fail_from(1);
    bare_tick(&bare);
    fail_no_more();
    assert_false(bare_hear(&bare));
    still_clock_pass(2000);
    bare_tick(&bare); /* it is tried again */
    bare_expect(&bare, "subscribe");
    bare_answer_int(&bare, NULL, 2);
    assert_int_equal(calls, 1);
    bare_reconnect(&bare);
    bare_tick(&bare);
    bare_expect(&bare, "subscribe");
    bare_refuse(&bare, "LIMIT", "too many");
    still_clock_pass(2000);
    bare_tick(&bare);
    bare_expect(&bare, "subscribe");
    assert_int_equal(hmq_subscription_close(subscription, NULL), HMQ_OK);
    bare_stop(&bare);
    still_clock_go();
}

static struct hmq_batch *batch_new(void)
{
    struct buf record, starts;
    struct message m = {.fields = MSG_ORDER, .order = SLICE_LIT("o"), .body = SLICE_LIT("body")};
    struct record_header h = {.count = 1};
    struct origin from = {.topic = SLICE_LIT("t")};
    struct hmq_batch *batch = NULL;
    buf_init(&record, 0);
    buf_init(&starts, 0);
    record_begin(&record);
    record_add(&record, &starts, &m, 5);
    record_end(&record, &starts, &h);
    assert_int_equal(unpack_record(buf_slice(&record), &from, &batch), HMQ_OK);
    buf_free(&record);
    buf_free(&starts);
    return batch;
}

static void test_copying_without_memory(void **state)
{
    (void)state;
    struct hmq_batch *batch = batch_new();
    hmq_producer *producer = NULL;
    enum hmq_status status = HMQ_ENOMEM;
    bare_start(&bare, "");
    assert_int_equal(hmq_producer_new(&bare.client, NULL, &producer, NULL), HMQ_OK);
    for (uint64_t n = 1; status == HMQ_ENOMEM; n++) {
        fail_from(n);
        status = hmq_send_batch(producer, "to", 0, batch, 0, NULL, NULL);
        fail_no_more();
        assert_true(n < 50);
    }
    assert_int_equal(status, HMQ_ETIMEDOUT); /* it would have been sent */
    hmq_batch_free(batch);
    assert_int_equal(hmq_producer_close(producer, 0, NULL), HMQ_OK);
    bare_stop(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ending_without_memory),
        cmocka_unit_test(test_subscribing_without_memory),
        cmocka_unit_test(test_copying_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
