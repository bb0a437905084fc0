/*
 * test_client_lanes.c: tests when a batch of hmq_send_async is sent, and how many messages it has: by their number, by
 * bytes, by linger_ms, and by requests under way. The clock is stopped, so nothing is sent by chance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "clients/c/roles/fit.h"
#include "clients/c/roles/lanes.h"
#include "tests/lib/bare.h"
#include "tests/lib/still_clock.h"

static struct bare bare;
static hmq_producer *producer;
static unsigned told; /* of the callbacks, each with an id */

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    (void)arg;
    assert_non_null(id);
    assert_int_equal(err->code, HMQ_OK);
    told++;
}

static void start(const char *query)
{
    still_clock_stop();
    told = 0;
    bare_start(&bare, query);
    assert_int_equal(hmq_producer_new(&bare.client, NULL, &producer, NULL), HMQ_OK);
}

static void stop(void)
{
    assert_false(bare_hear(&bare));
    assert_int_equal(hmq_producer_close(producer, 0, NULL), HMQ_OK);
    bare_stop(&bare);
    still_clock_go();
}

static void send_for(const char *topic, size_t len, int64_t timeout_ms, const hmq_send_options *o)
{
    static const char body[FIT_BODY_MAX + 1];
    enum hmq_status status =
        hmq_send_async(producer, topic, body, len, o, timeout_ms, on_sent, NULL, NULL);
    assert_int_equal(status, HMQ_OK);
}

static void send_many(const char *topic, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        send_for(topic, 1, 60000, NULL);
}

static void expect_nothing(void)
{
    bare_tick(&bare);
    assert_false(bare_hear(&bare));
}

static void expect_send(void)
{
    bare_tick(&bare);
    bare_expect(&bare, "send");
}

static void expect_batch(unsigned n)
{
    bare_tick(&bare);
    bare_expect(&bare, "produce");
    assert_int_equal(bare_count(&bare), n);
}

static void answer(void)
{
    if (bare_is(&bare, "produce"))
        bare_answer_place(&bare, 0, 0, bare_count(&bare));
    else
        bare_answer_text(&bare, "t:0:0");
}

static void test_a_lone_message_does_not_wait(void **state)
{
    (void)state;
    start("");
    for (unsigned i = 0; i < 3; i++) {
        send_many("t", 1);
        expect_send();
        answer();
    }
    assert_int_equal(told, 3);
    stop();
}

/* Without linger_ms: messages that come while a request is under way are sent as one batch after its reply. */
static void test_gathers_while_one_is_under_way(void **state)
{
    (void)state;
    start("");
    send_many("t", 1);
    expect_send();
    send_many("t", 50);
    expect_nothing();
    answer();
    expect_batch(50);
    send_many("t", 7); /* the batch is under way as well */
    expect_nothing();
    answer();
    expect_batch(7);
    answer();
    send_many("t", 1); /* now no request is under way */
    expect_send();
    answer();
    assert_int_equal(told, 1 + 50 + 7 + 1);
    stop();
}

/* Messages that come before the next turn of the driver are sent as one batch. */
static void test_gathers_what_comes_at_once(void **state)
{
    (void)state;
    start("");
    send_many("t", 20);
    expect_batch(20);
    answer();
    assert_int_equal(told, 20);
    stop();
}

static void test_a_slow_answer_is_not_waited_for(void **state)
{
    (void)state;
    start("");
    send_many("t", 1);
    expect_send();
    uint64_t first = bare.frame.id;
    send_many("t", 2);
    still_clock_pass(LANES_MS - 1);
    send_many("t", 2);
    expect_nothing();
    still_clock_pass(1); /* since the first of the four */
    expect_batch(4);
    answer();
    bare.frame.id = first;
    bare_answer_text(&bare, "t:0:0");
    assert_int_equal(told, 5);
    stop();
}

/* What is worth a request leaves after any answer: messages in flight do not wait until nothing is under way. */
static void test_an_eighth_of_a_batch_leaves_after_any_answer(void **state)
{
    (void)state;
    start("");
    send_many("t", 1);
    expect_send();
    uint64_t first = bare.frame.id; /* stays under way */
    send_many("t", LANES_COUNT);
    expect_batch(LANES_COUNT);
    for (unsigned i = 0; i < 8; i++)
        send_for("t", 1024, 60000, NULL);
    expect_nothing();
    answer();
    expect_batch(8);
    send_many("t", 8); /* not worth one */
    answer();
    expect_nothing();
    bare.frame.id = first;
    bare_answer_text(&bare, "t:0:0");
    expect_batch(8);
    answer();
    assert_int_equal(told, 1 + LANES_COUNT + 8 + 8);
    stop();
}

static void test_linger(void **state)
{
    (void)state;
    start("?linger_ms=40");
    send_many("t", 1);
    still_clock_pass(39);
    send_many("t", 1);
    expect_nothing();
    still_clock_pass(1);
    expect_batch(2);
    send_many("t", 3); /* a request under way makes no difference */
    answer();
    expect_nothing();
    still_clock_pass(39);
    expect_nothing();
    still_clock_pass(1);
    expect_batch(3);
    answer();
    assert_int_equal(told, 5);
    stop();
}

static void test_closed_by_count(void **state)
{
    (void)state;
    start("?linger_ms=10000");
    send_many("t", LANES_COUNT - 1);
    expect_nothing();
    send_many("t", 1);
    expect_batch(LANES_COUNT);
    answer();
    send_many("t", 2 * LANES_COUNT + 1);
    expect_batch(LANES_COUNT);
    answer();
    expect_batch(LANES_COUNT);
    answer();
    expect_nothing(); /* the last one waits for linger_ms */
    still_clock_pass(10000);
    expect_send();
    answer();
    assert_int_equal(told, 3 * LANES_COUNT + 1);
    stop();
}

/* Sends messages of 1,000 bytes until a batch is sent. Returns the size of its record. */
static size_t bytes_of_batch(void)
{
    for (unsigned n = 1; n < 1000; n++) {
        send_for("t", 1000, 60000, NULL);
        bare_tick(&bare);
        if (!bare_hear(&bare))
            continue;
        assert_true(bare_is(&bare, "produce"));
        assert_int_equal(bare_count(&bare), n);
        size_t bytes = bare_bytes(&bare, "batch").len;
        answer();
        assert_int_equal(told, n);
        return bytes;
    }
    fail_msg("no batch left");
    return 0;
}

static void test_closed_by_bytes(void **state)
{
    (void)state;
    start("?linger_ms=10000");
    size_t bytes = bytes_of_batch();
    assert_in_range(bytes, LANES_BYTES, LANES_BYTES + 1500);
    stop();
    start("?linger_ms=10000&max_batch_bytes=5000");
    bytes = bytes_of_batch();
    assert_in_range(bytes, 5000, 5000 + 1500);
    stop();
}

/* A body that is too large for a batch is sent alone, after buffered messages of its topic and before later ones. */
static void test_a_large_one_keeps_its_place(void **state)
{
    (void)state;
    start("?linger_ms=10000");
    send_many("t", 3);
    send_many("u", 2);
    send_for("t", FIT_BODY_MAX + 1, 60000, NULL);
    send_many("t", 4);
    still_clock_pass(10000);
    bool other = false;
    expect_batch(3);
    answer();
    expect_send();
    assert_int_equal(bare_bytes(&bare, "body").len, FIT_BODY_MAX + 1);
    answer();
    for (unsigned i = 0; i < 2; i++) { /* of two topics, in whichever order */
        bare_expect(&bare, "produce");
        bool u = slice_equal(bare_bytes(&bare, "topic"), SLICE_LIT("u"));
        assert_int_equal(bare_count(&bare), u ? 2 : 4);
        other = other || u;
        answer();
    }
    assert_true(other);
    assert_int_equal(told, 10);
    stop();
}

/* The messages of a batch share a deadline, so messages with a much later one are sent in another batch. */
static void test_deadlines_apart(void **state)
{
    (void)state;
    start("?linger_ms=10000");
    for (unsigned i = 0; i < 3; i++)
        send_for("t", 1, 60000 + i * 50, NULL);
    expect_nothing();
    send_for("t", 1, 90000, NULL);
    expect_batch(3);
    answer();
    still_clock_pass(10000);
    expect_send();
    answer();
    assert_int_equal(told, 4);
    stop();
}

static void test_a_topic_does_not_wait_for_another(void **state)
{
    (void)state;
    start("");
    send_many("t", 1);
    expect_send();
    send_many("u", 1);
    expect_send();
    answer();
    bare.frame.id--; /* t's */
    answer();
    assert_int_equal(told, 2);
    stop();
}

/* Closing sends the messages that wait for linger_ms. */
static void test_flush(void **state)
{
    (void)state;
    start("?linger_ms=10000");
    send_many("t", 5);
    expect_nothing();
    assert_int_equal(hmq_producer_flush(producer, 0, NULL), HMQ_ETIMEDOUT);
    expect_batch(5);
    answer();
    assert_int_equal(told, 5);
    stop();
}

/* ---- deadlines ---- */

struct results {
    unsigned n;
    enum hmq_status last;
};

static void on_result(void *arg, const char *id, const hmq_error *err)
{
    struct results *r = arg;
    (void)id;
    r->n++;
    r->last = err->code;
}

static void send_with_result(size_t len, int64_t timeout_ms, const char *order, struct results *r)
{
    static const char body[FIT_BODY_MAX + 1];
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.order = order;
    assert_int_equal(hmq_send_async(producer, "t", body, len, &o, timeout_ms, on_result, r, NULL), HMQ_OK);
}

/* A message whose timeout is shorter than linger_ms is sent while half of its time is left. */
static void test_linger_leaves_time_for_the_reply(void **state)
{
    (void)state;
    static const size_t lens[] = {1, FIT_BODY_MAX + 1};
    for (size_t i = 0; i < 2; i++) {
        struct results r = {0};
        start("?linger_ms=10000");
        send_with_result(lens[i], 1000, NULL, &r);
        still_clock_pass(499);
        expect_nothing();
        still_clock_pass(1);
        expect_send();
        answer();
        assert_int_equal(r.n, 1);
        assert_int_equal(r.last, HMQ_OK);
        stop();
    }
}

/* The one that is due first decides, though another one opened the batch. */
static void test_linger_follows_the_shortest_timeout(void **state)
{
    (void)state;
    struct results r = {0};
    start("?linger_ms=10000");
    send_with_result(1, 200, NULL, &r);
    send_with_result(1, 120, NULL, &r);
    still_clock_pass(59);
    expect_nothing();
    still_clock_pass(1);
    expect_batch(2);
    answer();
    assert_int_equal(r.n, 2);
    stop();
}

/* What waits behind a request of its ORDER key ends at its deadline, though that request is not answered. */
static void test_a_message_that_waits_for_its_turn_ends_in_time(void **state)
{
    (void)state;
    struct results first = {0}, second = {0};
    start("");
    send_with_result(1, 60000, "k", &first);
    bare_tick(&bare);
    for (unsigned i = 0; i < 2; i++) { /* the message itself, and over how many queues its topic spreads keys */
        assert_true(bare_hear(&bare));
        if (bare_is(&bare, "topic_info"))
            bare_answer_int(&bare, "order_queues", 4);
        else
            answer();
    }
    send_with_result(1, 60000, "k", &first);
    expect_send();
    send_with_result(1, 1000, "k", &second);
    still_clock_pass(999);
    expect_nothing();
    assert_int_equal(second.n, 0);
    still_clock_pass(1);
    expect_nothing();
    assert_int_equal(second.n, 1);
    assert_int_equal(second.last, HMQ_ETIMEDOUT);
    answer();
    assert_int_equal(first.n, 2);
    stop();
}

/* A batch that is refused while the producer closes is not sent again message by message: nobody would wait for that. */
static void test_a_closing_producer_sends_nothing_again(void **state)
{
    (void)state;
    struct results r = {0};
    start("?linger_ms=10000");
    send_with_result(1, 60000, NULL, &r);
    send_with_result(1, 60000, NULL, &r);
    still_clock_pass(10000);
    expect_batch(2);
    struct sender *s = (struct sender *)(void *)producer; /* the sender is its first member */
    pthread_mutex_lock(&s->lock);
    s->closing = true; /* as hmq_producer_close does before it takes the requests back */
    pthread_mutex_unlock(&s->lock);
    bare_refuse(&bare, "ERR", "one of them is wrong");
    expect_nothing();
    assert_int_equal(r.n, 2);
    assert_int_equal(r.last, HMQ_ECLOSED);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lone_message_does_not_wait),
        cmocka_unit_test(test_gathers_while_one_is_under_way),
        cmocka_unit_test(test_gathers_what_comes_at_once),
        cmocka_unit_test(test_a_slow_answer_is_not_waited_for),
        cmocka_unit_test(test_an_eighth_of_a_batch_leaves_after_any_answer),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_closed_by_count),
        cmocka_unit_test(test_closed_by_bytes),
        cmocka_unit_test(test_a_large_one_keeps_its_place),
        cmocka_unit_test(test_deadlines_apart),
        cmocka_unit_test(test_a_topic_does_not_wait_for_another),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_linger_leaves_time_for_the_reply),
        cmocka_unit_test(test_linger_follows_the_shortest_timeout),
        cmocka_unit_test(test_a_message_that_waits_for_its_turn_ends_in_time),
        cmocka_unit_test(test_a_closing_producer_sends_nothing_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
