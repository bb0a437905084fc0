/*
 * test_client_take_faults.c: tests messages that a consumer takes while it is being closed. They are requeued; where
 * there is no memory for that, they are dropped, and redelivered when their leases expire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/c/consumer/consumer_inner.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_take.h"
#include "clients/c/wire/unpack.h"
#include "protocol/record/record.h"
#include "tests/lib/bare.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/still_clock.h"

#define MESSAGES 3

static struct bare bare;
static hmq_consumer *consumer;

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)m;
    (void)retry;
    return HMQ_ACK;
}

static struct hmq_batch *batch_new(void)
{
    struct buf record, starts;
    struct message m = {.body = SLICE_LIT("body")};
    struct record_header h = {.count = MESSAGES};
    struct origin from = {.topic = SLICE_LIT("t"), .attempt = 1};
    struct hmq_batch *batch = NULL;
    buf_init(&record, 0);
    buf_init(&starts, 0);
    record_begin(&record);
    for (int i = 0; i < MESSAGES; i++)
        record_add(&record, &starts, &m, 5);
    record_end(&record, &starts, &h);
    assert_int_equal(unpack_record(buf_slice(&record), &from, &batch), HMQ_OK);
    buf_free(&record);
    buf_free(&starts);
    return batch;
}

/* The state in which hmq_consumer_close leaves it while it waits. */
static void begin_to_drain(void)
{
    pthread_mutex_lock(&consumer->lock);
    consumer->state = CONSUMER_DRAINING;
    pthread_mutex_unlock(&consumer->lock);
}

/* Takes a batch while the n-th allocation and all later ones fail. */
static enum hmq_status take_without_memory(uint64_t n)
{
    struct hmq_batch *batch = batch_new();
    fault_heap_fail(n, true);
    fault_heap_inside(true);
    struct delivery *d = delivery_new(consumer, batch, true);
    pthread_mutex_lock(&consumer->lock);
    if (d)
        assert_int_equal(take_delivery(d), HMQ_OK);
    pthread_mutex_unlock(&consumer->lock);
    fault_heap_inside(false);
    fault_heap_fail(0, false);
    if (!d)
        hmq_batch_free(batch);
    return d ? HMQ_OK : HMQ_ENOMEM;
}

static void test_messages_that_cannot_be_requeued_are_dropped(void **state)
{
    const char *topic = "t";
    (void)state;
    still_clock_stop();
    bare_start(&bare, "");
    assert_int_equal(hmq_consumer_new(&bare.client, "g", &topic, 1, handle, NULL, NULL, &consumer, NULL), HMQ_OK);
    begin_to_drain();
    assert_int_equal(take_without_memory(1), HMQ_ENOMEM);
    assert_int_equal(take_without_memory(2), HMQ_OK);
    assert_int_equal(consumer->n_held, 0);
    assert_int_equal(consumer->stats.returned, MESSAGES);
    assert_int_equal(hmq_consumer_close(consumer, 0, NULL), HMQ_OK);
    bare_stop(&bare);
    still_clock_go();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_that_cannot_be_requeued_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
