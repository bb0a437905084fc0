/*
 * test_client_window.c: tests how many messages a consumer holds: more while its handlers are fast, fewer while
 * they are slow, whatever the time without messages. The clock moves only by the time that handlers take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "clients/c/consumer/consumer_inner.h"
#include "protocol/limits.h"
#include "tests/lib/bare.h"
#include "tests/lib/still_clock.h"

#define STREAM 7
#define FIRST 16 /* the window at the start */

static struct bare bare;
static hmq_consumer *consumer;
static int64_t credit; /* what the broker may still send */
static uint64_t offset;
static _Atomic int64_t handler_ms;

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)m;
    (void)retry;
    still_clock_pass(handler_ms);
    return HMQ_ACK;
}

static hmq_batch_fn batch_handler; /* NULL: handle */
static size_t memory; /* that the client may take; 0: any */

static void start(const char *query)
{
    const char *topic = "t";
    still_clock_stop();
    handler_ms = 0;
    offset = 0;
    bare_start(&bare, query);
    bare.client.memory = memory > 0 ? memory_new(memory) : NULL;
    enum hmq_status status =
        batch_handler ? hmq_consumer_new_batch(&bare.client, "g", &topic, 1, batch_handler, NULL, NULL, &consumer, NULL)
                      : hmq_consumer_new(&bare.client, "g", &topic, 1, handle, NULL, NULL, &consumer, NULL);
    assert_int_equal(status, HMQ_OK);
    bare_tick(&bare);
    bare_expect(&bare, "stream_group");
    credit = bare_int(&bare, "credit");
    bare_answer_int(&bare, NULL, STREAM);
}

static void stop(void)
{
    assert_int_equal(hmq_consumer_close(consumer, 0, NULL), HMQ_ETIMEDOUT); /* the broker does not reply */
    memory_drop(bare.client.memory);
    bare_stop(&bare);
    still_clock_go();
}

static uint64_t handled(void)
{
    hmq_consumer_stats stats = {.size = sizeof stats};
    hmq_consumer_stats_get(consumer, &stats);
    return stats.handled;
}

/* Large ones are of whole TAKEs. */
static void hear_credit(void)
{
    int64_t n = bare_int(&bare, "credit");
    assert_true(n > 0 && (n < COUNT_MAX || n % COUNT_MAX == 0));
    credit += n;
}

static void hear_all(void)
{
    bare_tick(&bare);
    while (bare_hear(&bare)) {
        if (bare_is(&bare, "stream_credit")) {
            hear_credit();
        } else {
            assert_true(bare_is(&bare, "ack") || bare_is(&bare, "extend"));
            bare_answer_int(&bare, NULL, 1);
        }
        bare_tick(&bare);
    }
}

/* Sends a message, and waits until it is handled. */
static void send_one(void)
{
    assert_true(credit-- > 0);
    bare_say_records(&bare, STREAM, 1, offset++, 1);
    while (handled() < offset)
        sched_yield();
}

/* Sends n messages; the handler takes each_ms for each. */
static void work(unsigned n, int64_t each_ms)
{
    handler_ms = each_ms;
    while (n-- > 0) {
        send_one();
        hear_all();
    }
}

/* Without messages the whole window is given as credit, except up to a quarter that is not worth a request. */
static void expect_window(size_t n)
{
    assert_int_equal(consumer->n_held, 0);
    assert_int_equal(consumer->window, n);
    assert_int_equal(consumer->credit, credit);
}

static void test_grows_while_handlers_are_fast(void **state)
{
    (void)state;
    start("?prefetch=100");
    expect_window(FIRST);
    assert_int_equal(credit, FIRST);
    work(FIRST, 1);
    expect_window(2 * FIRST);
    work(2 * FIRST, 1);
    expect_window(4 * FIRST);
    work(4 * FIRST, 1);
    expect_window(100);
    work(100, 1);
    expect_window(100); /* and it does not grow further */
    assert_in_range(credit, 75, 100);
    stop();
    start("?prefetch=4");
    expect_window(4);
    work(50, 0);
    expect_window(4);
    assert_in_range(credit, 3, 4);
    stop();
}

static void test_stays_in_between(void **state)
{
    (void)state;
    start("?prefetch=1000");
    for (unsigned i = 0; i < 4; i++) {
        work(FIRST, 50);
        expect_window(FIRST);
    }
    stop();
}

/* Handlers that take no time are given more messages soon: a few milliseconds later there may be none left. */
static void test_grows_at_once(void **state)
{
    (void)state;
    start("?prefetch=10000");
    work(FIRST - 1, 0);
    work(1, 1);
    expect_window(8 * FIRST);
    work(8 * FIRST, 0);
    expect_window(8 * 64 * FIRST);
    work(1000, 1);
    expect_window(8 * 64 * FIRST);
    stop();
    start("?prefetch=10000");
    work(FIRST, 0);
    expect_window(64 * FIRST);
    work(64 * FIRST, 1);
    expect_window(64 * FIRST);
    stop();
}

/* The broker has not answered the first acknowledgement, and the others wait for that: they are held, but the handler
 * has done all it had to. */
static void test_acknowledged_messages_are_outside(void **state)
{
    (void)state;
    start("?prefetch=1000");
    for (unsigned i = 0; i < FIRST; i++)
        send_one();
    bare_tick(&bare);
    assert_int_equal(consumer->n_held, FIRST - 1);
    assert_int_equal(consumer->window, 1000);
    assert_int_equal(consumer->credit, 1000 - (FIRST - 1));
    stop();
}

/* No more than prefetch are held, and as soon as acknowledgements are under way there is room for many at once. */
static void test_gives_no_credit_for_a_few(void **state)
{
    (void)state;
    start("?prefetch=16");
    for (unsigned i = 0; i < FIRST; i++)
        send_one();
    bare_tick(&bare);
    assert_int_equal(consumer->credit, 0); /* though there is room for one */
    assert_true(bare_hear(&bare) && bare_is(&bare, "ack"));
    bare_answer_int(&bare, NULL, 1);
    assert_int_equal(consumer->n_held, 0);
    assert_int_equal(consumer->credit, FIRST);
    stop();
}

/* Lets the window grow with fast messages. */
static void grow(void)
{
    start("?prefetch=1000");
    work(FIRST - 1, 0);
    work(1, 1);
    expect_window(8 * FIRST);
}

static void test_shrinks_while_they_are_slow(void **state)
{
    (void)state;
    grow();
    work(8 * FIRST, 20);
    expect_window(4 * FIRST); /* 128 of them took 2,560 ms */
    work(8 * FIRST, 20);
    expect_window(4 * FIRST); /* 64 messages take less time */
    work(8 * FIRST, 50);
    expect_window(2 * FIRST);
    work(10 * FIRST, 1000);
    expect_window(FIRST); /* and it does not shrink further */
    assert_in_range(credit, 3 * FIRST / 4, FIRST);
    work(FIRST - 1, 0);
    work(1, 1);
    expect_window(8 * FIRST); /* fast again */
    stop();
}

/* The window shrinks after a few messages whose handler takes seconds, not only after a whole large window. */
static void test_shrinks_soon(void **state)
{
    (void)state;
    grow();
    work(FIRST, 1000);
    expect_window(4 * FIRST);
    work(FIRST, 1000);
    expect_window(2 * FIRST);
    stop();
}

/* The time without any message does not count as slow. */
static void test_idle_time_does_not_count(void **state)
{
    (void)state;
    grow();
    for (unsigned i = 0; i < 8 * FIRST; i++) {
        still_clock_pass(5000);
        work(1, 0);
    }
    expect_window(1000); /* handling took no time */
    stop();
}

static enum hmq_verdict handle_many(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    return handle(arg, n > 0 ? messages[0] : NULL, retry);
}

/* A batch handler is to find whole batches, and the next ones beside them, however slow it is. */
static void test_has_room_for_batches(void **state)
{
    (void)state;
    batch_handler = handle_many;
    start("?batch_count=200&workers=2");
    expect_window(800);
    assert_int_equal(credit, 800);
    stop();
    start("?batch_count=200&workers=8&prefetch=1000");
    expect_window(1000);
    work(100, 1000);
    expect_window(1000); /* it is as small as it may be */
    stop();
    batch_handler = NULL;
}

/* With the settings that ship, as many small messages as a consumer may hold. */
static void test_small_messages_take_little_memory(void **state)
{
    (void)state;
    memory = 8u << 20;
    start("?prefetch=10000");
    work(FIRST, 0);
    work(64 * FIRST, 0);
    expect_window(10000);
    assert_in_range(credit, 9000, 10000);
    stop();
    memory = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_while_handlers_are_fast),
        cmocka_unit_test(test_grows_at_once),
        cmocka_unit_test(test_acknowledged_messages_are_outside),
        cmocka_unit_test(test_gives_no_credit_for_a_few),
        cmocka_unit_test(test_stays_in_between),
        cmocka_unit_test(test_shrinks_while_they_are_slow),
        cmocka_unit_test(test_shrinks_soon),
        cmocka_unit_test(test_idle_time_does_not_count),
        cmocka_unit_test(test_has_room_for_batches),
        cmocka_unit_test(test_small_messages_take_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
