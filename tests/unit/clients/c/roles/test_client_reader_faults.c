/*
 * test_client_reader_faults.c: tests a reader of a queue against a broker that disconnects, refuses and sends damaged
 * records, and when allocations fail: every message is read once and in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "clients/c/wire/request.h"
#include "tests/lib/bare.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/still_clock.h"

#define WINDOW 4000

static struct bare bare;
static hmq_reader *reader;
static uint64_t next; /* the offset that must be read next */
static hmq_error err;

static void start(const char *query)
{
    still_clock_stop();
    next = 0;
    bare_start(&bare, query);
}

static void open_reader(uint64_t offset)
{
    next = offset;
    assert_int_equal(hmq_reader_new(&bare.client, "t", 3, offset, NULL, &reader, NULL), HMQ_OK);
}

static void stop(void)
{
    assert_int_equal(hmq_reader_close(reader, 0, NULL), HMQ_OK);
    bare_stop(&bare);
    still_clock_go();
}

/* Expects a request for a stream from that offset, and accepts it. Returns its credit. */
static int64_t expect_open(uint64_t offset, int64_t stream)
{
    bare_tick(&bare);
    bare_expect(&bare, "stream_queue");
    assert_true(slice_equal(bare_bytes(&bare, "topic"), SLICE_LIT("t")));
    assert_int_equal(bare_int(&bare, "queue"), 3);
    assert_int_equal(bare_int(&bare, "offset"), offset);
    int64_t credit = bare_int(&bare, "credit");
    bare_answer_int(&bare, NULL, stream);
    return credit;
}

static enum hmq_status take(void)
{
    hmq_batch *batch = NULL;
    fault_heap_inside(true);
    enum hmq_status status = hmq_reader_next(reader, 0, &batch, &err);
    fault_heap_inside(false);
    for (size_t i = 0; i < hmq_batch_count(batch); i++) {
        const hmq_message *m = hmq_batch_at(batch, i);
        assert_int_equal(hmq_message_offset(m), next++);
        assert_int_equal(hmq_message_queue(m), 3);
        assert_string_equal(hmq_message_topic(m), "t");
        assert_string_equal(hmq_message_body(m, NULL), "body");
    }
    assert_int_equal(status == HMQ_OK, hmq_batch_count(batch) > 0);
    hmq_batch_free(batch);
    return status;
}

static void expect_nothing(void)
{
    bare_tick(&bare);
    assert_false(bare_hear(&bare));
    assert_int_equal(take(), HMQ_ETIMEDOUT);
}

static void test_pages_in_order(void **state)
{
    (void)state;
    start("");
    open_reader(40);
    assert_int_equal(expect_open(40, 7), 16 << 20);
    expect_nothing();
    bare_say_records(&bare, 7, 0, 40, 3);
    bare_say_records(&bare, 7, 0, 43, 1);
    bare_say_records(&bare, 8, 0, 44, 1); /* for no stream */
    assert_int_equal(take(), HMQ_OK);
    assert_int_equal(next, 43);
    assert_int_equal(take(), HMQ_OK);
    expect_nothing();
    assert_int_equal(next, 44);
    assert_int_equal(hmq_reader_close(reader, 0, NULL), HMQ_OK);
    bare_expect(&bare, "stream_close");
    assert_int_equal(bare_int(&bare, "stream"), 7);
    bare_stop(&bare);
    still_clock_go();
}

/* The reader gives credit for messages that were taken, not for those that have arrived. */
static void test_credit(void **state)
{
    (void)state;
    start("?prefetch_bytes=4000");
    open_reader(0);
    int64_t credit = expect_open(0, 1), given = 0;
    assert_int_equal(credit, WINDOW);
    for (unsigned i = 0; i < 10; i++)
        bare_say_records(&bare, 1, 0, i * 20, 20);
    bare_tick(&bare);
    assert_false(bare_hear(&bare));
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(take(), HMQ_OK);
        while (bare_hear(&bare)) {
            assert_true(bare_is(&bare, "stream_credit"));
            assert_in_range(bare_int(&bare, "credit"), WINDOW / 4, WINDOW);
            given += bare_int(&bare, "credit");
        }
    }
    assert_true(given > 0);
    assert_int_equal(next, 200);
    stop();
}

static void test_goes_on_after_a_lost_connection(void **state)
{
    (void)state;
    start("");
    open_reader(0);
    expect_open(0, 5);
    bare_say_records(&bare, 5, 0, 0, 4);
    bare_reconnect(&bare);
    bare_say_records(&bare, 5, 0, 4, 4); /* of another stream */
    expect_open(4, 2);
    bare_say_records(&bare, 2, 0, 4, 2);
    assert_int_equal(take(), HMQ_OK);
    assert_int_equal(take(), HMQ_OK);
    assert_int_equal(next, 6);
    bare_reconnect(&bare);
    bare_tick(&bare);
    bare_expect(&bare, "stream_queue"); /* lost with its connection */
    bare_reconnect(&bare);
    still_clock_pass(100);
    expect_open(6, 1);
    expect_nothing();
    stop();
}

static void test_refused(void **state)
{
    (void)state;
    start("");
    open_reader(0);
    bare_tick(&bare);
    bare_expect(&bare, "stream_queue");
    bare_refuse(&bare, "NOTOPIC", "no topic 't'");
    still_clock_pass(10000);
    bare_tick(&bare);
    assert_false(bare_hear(&bare)); /* not before the error was reported */
    assert_int_equal(take(), HMQ_ENOTOPIC);
    assert_string_equal(err.text, "no topic 't'");
    bare_tick(&bare);
    bare_expect(&bare, "stream_queue");
    bare_refuse(&bare, "BUSY", "too much to do"); /* this error is temporary */
    expect_nothing();
    still_clock_pass(10000);
    expect_open(0, 1);
    stop();
}

static void test_ended_by_the_broker(void **state)
{
    struct buf b;
    (void)state;
    start("");
    open_reader(0);
    expect_open(0, 9);
    bare_say_records(&bare, 9, 0, 0, 2);
    buf_init(&b, 0);
    rpc_put_notify(&b, "stream_end");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    pair_int(&b, "stream", 9);
    rpc_put_str(&b, SLICE_LIT("error"));
    rpc_put_list(&b, 2);
    rpc_put_str(&b, SLICE_LIT("NOTOPIC"));
    rpc_put_str(&b, SLICE_LIT("the topic was deleted"));
    bare_say(&bare, buf_slice(&b));
    buf_free(&b);
    assert_int_equal(take(), HMQ_OK); /* the messages that had arrived */
    assert_int_equal(take(), HMQ_ENOTOPIC);
    still_clock_pass(100);
    expect_open(2, 10);
    stop();
}

static void say_damaged(int64_t stream)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_notify(&b, "records");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    pair_int(&b, "stream", stream);
    pair_text(&b, "record", "this is no record");
    bare_say(&bare, buf_slice(&b));
    buf_free(&b);
}

static void test_damaged_and_doubled_records(void **state)
{
    (void)state;
    start("");
    open_reader(0);
    expect_open(0, 1);
    bare_say_records(&bare, 1, 0, 0, 5);
    say_damaged(1);
    bare_expect(&bare, "stream_close");
    still_clock_pass(100);
    expect_open(5, 2);
    bare_say_records(&bare, 2, 0, 4, 5); /* begins too early */
    bare_expect(&bare, "stream_close");
    still_clock_pass(200);
    expect_open(5, 3);
    bare_say_records(&bare, 3, 0, 5, 1);
    assert_int_equal(take(), HMQ_OK);
    assert_int_equal(take(), HMQ_OK);
    assert_int_equal(next, 6);
    stop();
}

static void test_close_while_it_asks(void **state)
{
    (void)state;
    start("");
    open_reader(0);
    bare_tick(&bare);
    bare_expect(&bare, "stream_queue");
    assert_int_equal(hmq_reader_close(reader, 0, NULL), HMQ_ETIMEDOUT);
    bare_answer_int(&bare, NULL, 1); /* for no request */
    bare_stop(&bare);
    still_clock_go();
}

/* ---- while memory runs out ---- */

#define STORED 60

static int64_t stream, n_streams;
static uint64_t at; /* the offset that the stream sends next */

static void hear(void)
{
    if (bare_is(&bare, "stream_queue")) {
        assert_int_equal(stream, 0); /* the one before was closed */
        at = (uint64_t)bare_int(&bare, "offset");
        stream = ++n_streams;
        bare_answer_int(&bare, NULL, stream);
    } else if (bare_is(&bare, "stream_close")) {
        assert_int_equal(bare_int(&bare, "stream"), stream);
        stream = 0;
    } else {
        assert_true(bare_is(&bare, "stream_credit"));
    }
}

static bool life(uint64_t n, bool forever)
{
    stream = n_streams = 0;
    start("?prefetch_bytes=500");
    fault_heap_fail(n, forever);
    fault_heap_inside(true);
    enum hmq_status status = hmq_reader_new(&bare.client, "t", 3, 0, NULL, &reader, NULL);
    fault_heap_inside(false);
    bool fired = status != HMQ_OK;
    if (fired) {
        assert_int_equal(status, HMQ_ENOMEM);
        fault_heap_fail(0, false);
        open_reader(0);
    }
    bare.inside = fault_heap_inside;
    for (unsigned turn = 0; next < STORED; turn++, still_clock_pass(500)) {
        assert_true(turn < 200);
        if (turn >= 40 && fault_heap_fired()) {
            fired = true;
            fault_heap_fail(0, false);
        }
        bare_tick(&bare);
        while (bare_hear(&bare))
            hear();
        if (stream && at < STORED) {
            bare_say_records(&bare, stream, 0, at, 4);
            at += 4;
        }
        (void)take();
    }
    fired = fired || fault_heap_fired();
    fault_heap_fail(0, false);
    stop();
    return fired;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    assert_false(life(0, false));
    uint64_t n = 1;
    for (; life(n, false); n++)
        (void)life(n, true);
    assert_true(n > 30); /* there are at least so many allocations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_in_order),
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_goes_on_after_a_lost_connection),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ended_by_the_broker),
        cmocka_unit_test(test_damaged_and_doubled_records),
        cmocka_unit_test(test_close_while_it_asks),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
