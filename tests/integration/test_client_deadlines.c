/*
 * test_client_deadlines.c: tests that what has a timeout in libhalfmq ends in time, whatever the broker and the
 * application's callbacks do, and not before that of which it says that it has happened. The test plays the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/lib/fake.h"

/* A callback that runs until the test lets it return. */
struct hold {
    _Atomic unsigned entered, left;
    _Atomic bool open, sigterm_blocked;
};

static bool is_entered(void *arg)
{
    struct hold *h = arg;
    return atomic_load(&h->entered) > 0;
}

static bool is_left(void *arg)
{
    struct hold *h = arg;
    return atomic_load(&h->left) > 0;
}

static bool is_open(void *arg)
{
    struct hold *h = arg;
    return atomic_load(&h->open);
}

static void stay(struct hold *h)
{
    int64_t deadline_ms = spawn_now_ms() + RIG_DEADLINE_MS / 4; /* a test that fails ends */
    atomic_fetch_add(&h->entered, 1);
    while (!is_open(h) && spawn_now_ms() < deadline_ms)
        spawn_pause();
    atomic_fetch_add(&h->left, 1);
}

/* ---- check-backs ---- */

static enum hmq_decision stay_in_check(void *arg, const hmq_check *check)
{
    struct hold *h = arg;
    sigset_t now;
    assert_int_equal(hmq_check_txid(check), 4294967297);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    atomic_store(&h->sigterm_blocked, sigismember(&now, SIGTERM));
    stay(h);
    return HMQ_COMMIT;
}

static void put_pair(struct buf *b, const char *name, const char *text)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_str(b, slice_str(text));
}

/* Answers checks_serve, and asks about a transaction. */
static void serve_and_check(struct fake *p)
{
    struct buf b;
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("checks_serve")));
    fake_answer(p);
    buf_init(&b, 0);
    rpc_put_request(&b, 9, "check");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    put_pair(&b, "pgroup", "pg");
    put_pair(&b, "txid", "4294967297");
    fake_say(p, b.data, b.len);
    buf_free(&b);
}

/* The client says that it serves no more, by a notification: there is no time left for a reply. */
static void test_closing_abandons_a_check_that_hangs(void **state)
{
    struct fake *p = *state;
    struct hold hold = {0};
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?check_workers=3");
    RIG_CHECK(hmq_txn_producer_new(client, "pg", stay_in_check, &hold, NULL, &producer, &err), &err);
    fake_answer_call(p);
    serve_and_check(p);
    rig_eventually(is_entered, &hold, "the check is asked");
    assert_int_equal(hmq_txn_producer_close(producer, 50, &err), HMQ_ETIMEDOUT);
    assert_false(is_left(&hold));
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("checks_unserve")));
    hmq_client_free(client);
    assert_false(is_left(&hold));
    atomic_store(&hold.open, true); /* it comes back to an object that is gone */
    rig_eventually(is_left, &hold, "the callback returns");
}

/* A process that a handler starts can be told to end. */
static void test_workers_have_the_signals_of_their_maker(void **state)
{
    struct fake *p = *state;
    struct hold hold = {.open = true, .sigterm_blocked = true};
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    RIG_CHECK(hmq_txn_producer_new(client, "pg", stay_in_check, &hold, NULL, &producer, &err), &err);
    fake_answer_call(p);
    serve_and_check(p);
    rig_eventually(is_left, &hold, "the check is asked");
    assert_false(atomic_load(&hold.sigterm_blocked));
    fake_hear(p);
    assert_int_equal(p->frame.type, RPC_RESPONSE);
    fake_hang_up(p); /* there is nobody to answer checks_unserve */
    RIG_CHECK(hmq_txn_producer_close(producer, 0, &err), &err);
    hmq_client_free(client);
}

/* ---- flushing ---- */

static void stay_in_reply(void *arg, hmq_reply *reply, const hmq_error *err)
{
    (void)err;
    stay(arg);
    hmq_reply_free(reply);
}

static void test_a_flush_waits_for_the_last_callback(void **state)
{
    struct fake *p = *state;
    struct hold hold = {0};
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, stay_in_reply, &hold, &err), &err);
    hmq_request_free(request);
    fake_answer_call(p);
    fake_hear(p);
    fake_answer(p);
    rig_eventually(is_entered, &hold, "the callback runs");
    assert_int_equal(hmq_client_flush(client, 20, &err), HMQ_ETIMEDOUT);
    assert_false(is_left(&hold));
    atomic_store(&hold.open, true);
    RIG_CHECK(hmq_client_flush(client, RIG_DEADLINE_MS, &err), &err);
    assert_true(is_left(&hold));
    hmq_client_free(client);
}

/* ---- the application's loop ---- */

static void watch_nothing(void *arg, int fd, int want_read, int want_write)
{
    (void)arg;
    (void)fd;
    (void)want_read;
    (void)want_write;
}

static void count_deadlines(void *arg, int64_t in_ms)
{
    unsigned *n = arg;
    (void)in_ms;
    (*n)++;
}

/* An asynchronous call does not drive the loop: it answers HMQ_EAGAIN where it would have to wait. */
static void test_an_asynchronous_send_does_not_hold_the_loop(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    unsigned turns = 0;
    hmq_loop loop = HMQ_LOOP;
    hmq_producer *producer = NULL;
    hmq_client *client = NULL;
    hmq_error err;
    loop.arg = &turns;
    loop.watch = watch_nothing;
    loop.deadline = count_deadlines;
    hmq_options *o = rig_options_for(p->port, "?max_inflight=1");
    RIG_CHECK(hmq_client_new_loop(o, &loop, &client, &err), &err);
    RIG_CHECK(hmq_producer_new(client, o, &producer, &err), &err);
    hmq_options_free(o);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err), &err);
    unsigned before = turns;
    assert_int_equal(hmq_send_async(producer, "t", "x", 1, NULL, 500, fake_on_sent, &r, &err), HMQ_EAGAIN);
    assert_int_equal(turns, before);
    (void)hmq_producer_close(producer, 0, &err);
    assert_int_equal(r.n, 1);
    hmq_client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_closing_abandons_a_check_that_hangs),
        TEST(test_workers_have_the_signals_of_their_maker),
        TEST(test_a_flush_waits_for_the_last_callback),
        TEST(test_an_asynchronous_send_does_not_hold_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
