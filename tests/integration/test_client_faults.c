/*
 * test_client_faults.c: tests libhalfmq against a broker that is faulty: absent, silent, closing in the middle of a
 * reply, sending nonsense. The test itself plays the broker, with a listening socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/fake.h"
#include "tests/lib/still_clock.h"

#define KEEPALIVE_MS 30

static enum hmq_status ping(hmq_client *client, int64_t timeout_ms, hmq_error *err)
{
    hmq_request *request = hmq_request_new("ping");
    enum hmq_status status = hmq_call(client, request, timeout_ms, NULL, err);
    hmq_request_free(request);
    return status;
}

static void ping_async(hmq_client *client, int64_t timeout_ms, struct fake_result *r)
{
    hmq_error err;
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, timeout_ms, fake_on_reply, r, &err), &err);
    hmq_request_free(request);
}

static bool has_failed_twice(void *arg)
{
    struct fake *p = arg;
    return atomic_load(&p->events.failed) > 1;
}

static void test_nobody_there(void **state)
{
    struct fake *p = *state;
    hmq_error err;
    close(p->listener);
    p->listener = -1;
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=5&reconnect_max_ms=20");
    rig_eventually(has_failed_twice, p, "it is tried again");
    assert_int_equal(ping(client, 100, &err), HMQ_EDISCONNECTED);
    assert_non_null(strstr(err.text, "refused"));
    assert_int_equal(hmq_client_wait(client, 10, &err), HMQ_EDISCONNECTED);
    assert_int_equal(atomic_load(&p->events.connected), 0);
    hmq_client_free(client);
}

static void test_no_such_host(void **state)
{
    struct fake *p = *state;
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, "");
    RIG_CHECK(hmq_options_set(o, "servers", "no.such.host.invalid:1", &err), &err);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    assert_int_equal(ping(client, 300, &err), HMQ_EDISCONNECTED);
    hmq_client_free(client);
    RIG_CHECK(hmq_options_set(o, "servers", "a:b:c", &err), &err);
    assert_int_equal(hmq_client_new(o, &client, &err), HMQ_EINVAL);
    hmq_options_free(o);
}

static void test_second_address(void **state)
{
    struct fake *p = *state;
    hmq_client *client = NULL;
    hmq_error err;
    char servers[64];
    hmq_options *o = rig_options_for(p->port, "");
    snprintf(servers, sizeof servers, "127.0.0.1:%u,127.0.0.1:%u", (unsigned)rig_free_port(),
             (unsigned)p->port);
    RIG_CHECK(hmq_options_set(o, "servers", servers, &err), &err);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    fake_answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

/* The first server accepts and closes; the second one works. */
static void test_a_lost_server_is_followed_by_the_next(void **state)
{
    struct fake *p = *state;
    struct fake *second = NULL;
    void *made = NULL;
    hmq_client *client = NULL;
    hmq_error err;
    char servers[64];
    assert_int_equal(fake_start(&made), 0);
    second = made;
    hmq_options *o = rig_options_for(p->port, "?reconnect_min_ms=1&reconnect_max_ms=20");
    snprintf(servers, sizeof servers, "127.0.0.1:%u,127.0.0.1:%u", (unsigned)p->port, (unsigned)second->port);
    RIG_CHECK(hmq_options_set(o, "servers", servers, &err), &err);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    fake_answer_call(p);
    fake_hang_up(p);
    fake_answer_call(second);
    hmq_client_free(client);
    assert_int_equal(fake_stop(&made), 0);
}

static void test_silent_peer(void **state)
{
    struct fake *p = *state;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    fake_answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(ping(client, 400, &err), HMQ_EUNKNOWN); /* it was sent, so the result is unknown */
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    ping_async(client, 400, &r);
    rig_eventually(fake_ended, &r, "the deadline passes");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    hmq_client_free(client);
}

static void test_late_answers_are_nobodys(void **state)
{
    struct fake *p = *state;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    fake_answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(ping(client, 400, &err), HMQ_EUNKNOWN);
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    ping_async(client, RIG_DEADLINE_MS, &r);
    fake_hear(p);
    fake_answer(p); /* a late reply to the first request */
    fake_hear(p);
    fake_answer(p);
    rig_eventually(fake_ended, &r, "the second is answered");
    assert_int_equal(r.last, HMQ_OK);
    assert_int_equal(r.n, 1);
    hmq_client_free(client);
}

static void test_connection_lost_after_sending(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=5");
    fake_answer_call(p);
    ping_async(client, RIG_DEADLINE_MS, &r);
    fake_hear(p);
    fake_hang_up(p);
    rig_eventually(fake_ended, &r, "the connection is lost");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    fake_answer_call(p); /* the request is sent again */
    ping_async(client, RIG_DEADLINE_MS, &r);
    fake_hear(p);
    hmq_client_free(client);
}

/* The message that is sent again carries the same DEDUP id. */
static void test_sends_again_with_the_same_dedup(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    char ids[3][64];
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=5");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
              &err);
    for (int i = 0; i < 3; i++) {
        struct slice dedup;
        fake_answer_call(p);
        fake_hear(p);
        assert_true(slice_equal(p->frame.method, SLICE_LIT("send")));
        assert_true(rpc_bytes(rpc_get(p->frame.params, "dedup"), &dedup));
        snprintf(ids[i], sizeof ids[i], "%.*s", (int)dedup.len, (const char *)dedup.data);
        if (i < 2)
            fake_hang_up(p);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_equal(ids[0], ids[2]);
    fake_answer(p);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.last, HMQ_OK);
    hmq_client_stats stats = {.size = sizeof stats};
    hmq_client_stats_get(client, &stats);
    assert_int_equal(stats.resent, 2);
    hmq_client_free(client);
}

static void test_without_dedup_it_is_not_sent_again(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?dedup=no&reconnect_min_ms=1");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
              &err);
    fake_answer_call(p);
    fake_hear(p);
    assert_null(rpc_get(p->frame.params, "dedup"));
    fake_hang_up(p);
    rig_eventually(fake_ended, &r, "the connection is lost");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

static bool is_disconnected(void *arg)
{
    struct fake *p = arg;
    return atomic_load(&p->events.disconnected) > 0;
}

/* After any nonsense the library closes the connection, and the next one works. */
static void test_nonsense(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } nonsense[] = {
        {"-ERR Protocol error\r\n", 21},
        {"\x94\x01\x00\xc0", 4}, /* a part of a reply; then the connection is closed, see below */
        {"\x94\x05\x00\xc0\xc0", 5}, /* type 5 */
        {"\x93\x01\x00\xc0", 4}, /* too few values */
        {"\xdd\xff\xff\xff\xff", 5}, /* an array of four billion */
        {"\x94\x01\x00\xc0\xc6\xff\xff\xff\xff", 9}, /* a body of four gigabytes */
        {"\xc1\xc1\xc1", 3},
    };
    struct fake *p = *state;
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
        atomic_store(&p->events.disconnected, 0);
        hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=5");
        fake_answer_call(p);
        ping_async(client, RIG_DEADLINE_MS, &r);
        fake_hear(p);
        fake_say(p, nonsense[i].bytes, nonsense[i].n);
        shutdown(p->fd, SHUT_WR);
        rig_eventually(is_disconnected, p, "the client hangs up");
        rig_eventually(fake_ended, &r, "the call ends");
        assert_int_equal(r.last, HMQ_EUNKNOWN);
        fake_hang_up(p);
        fake_answer_call(p);
        r.n = 0;
        ping_async(client, RIG_DEADLINE_MS, &r);
        fake_hear(p);
        fake_answer(p);
        rig_eventually(fake_ended, &r, "the next connection works");
        assert_int_equal(r.last, HMQ_OK);
        hmq_client_free(client);
        fake_hang_up(p);
    }
}

static void test_answers_byte_by_byte(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct buf b;
    hmq_client *client = fake_client_of(p, "");
    fake_answer_call(p);
    ping_async(client, RIG_DEADLINE_MS, &r);
    fake_hear(p);
    buf_init(&b, 0);
    rpc_put_notify(&b, "news"); /* the library ignores it */
    rpc_put_list(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_str(&b, SLICE_LIT("PONG"));
    for (size_t i = 0; i < b.len; i++)
        fake_say(p, b.data + i, 1);
    rig_eventually(fake_ended, &r, "it is answered");
    assert_int_equal(r.last, HMQ_OK);
    buf_free(&b);
    hmq_client_free(client);
}

static void test_wrong_answers(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    struct buf b;
    hmq_client *client = fake_client_of(p, "");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    fake_answer_call(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
              &err);
    fake_hear(p);
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_list(&b, 0); /* no id */
    fake_say(p, b.data, b.len);
    rig_eventually(fake_ended, &r, "it is answered");
    assert_int_equal(r.last, HMQ_EPROTO);
    buf_free(&b);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

/* The library replies with an error to a request of the broker that it does not serve. */
static void test_unserved_requests(void **state)
{
    struct fake *p = *state;
    struct buf b;
    hmq_client *client = fake_client_of(p, "");
    fake_answer_call(p);
    static const char *const methods[] = {"check", "dance"};
    for (size_t i = 0; i < 2; i++) {
        buf_init(&b, 0);
        rpc_put_request(&b, 77 + i, methods[i]);
        rpc_put_list(&b, 0);
        fake_say(p, b.data, b.len);
        buf_free(&b);
        fake_hear(p);
        assert_int_equal(p->frame.type, RPC_RESPONSE);
        assert_int_equal(p->frame.id, 77 + i);
        assert_non_null(p->frame.error);
    }
    hmq_client_free(client);
}

static bool has_answer(void *arg)
{
    hmq_client_stats s = {.size = sizeof s};
    assert_int_equal(hmq_client_stats_get(arg, &s), HMQ_OK);
    return s.responses == 1;
}

/* Each look at it takes the client's clock past the next step. */
static bool is_disconnected_in_time(void *arg)
{
    still_clock_pass(KEEPALIVE_MS);
    return is_disconnected(arg);
}

/* The clock stands still, so that a broker that is late, because the machine is busy, is not one that is silent. */
static void test_keepalive(void **state)
{
    struct fake *p = *state;
    hmq_error err;
    still_clock_stop();
    hmq_client *client = fake_client_of(p, "?keepalive_ms=30&reconnect_min_ms=1");
    fake_answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    still_clock_pass(KEEPALIVE_MS);
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("ping")));
    fake_answer(p);
    rig_eventually(has_answer, client, "the answer is read");
    still_clock_pass(KEEPALIVE_MS);
    fake_hear(p); /* it is sent again; after this the broker is silent */
    assert_true(slice_equal(p->frame.method, SLICE_LIT("ping")));
    assert_false(is_disconnected(p));
    rig_eventually(is_disconnected_in_time, p, "the silent peer is given up");
    hmq_client_free(client);
}

static int stop(void **state)
{
    still_clock_go();
    return fake_stop(state);
}

static void test_login_comes_first(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct slice value;
    hmq_client *client = fake_client_of(p, "?user=ann&password=secret");
    ping_async(client, RIG_DEADLINE_MS, &r);
    fake_answer_call(p);
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("auth")));
    assert_true(rpc_bytes(rpc_get(p->frame.params, "user"), &value));
    assert_true(slice_equal(value, SLICE_LIT("ann")));
    assert_true(rpc_bytes(rpc_get(p->frame.params, "pass"), &value));
    assert_true(slice_equal(value, SLICE_LIT("secret")));
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("ping")));
    hmq_client_free(client);
    assert_int_equal(r.n, 1); /* its callback has run */
    assert_int_equal(r.last, HMQ_EUNKNOWN);
}

static void test_bounds_of_the_client(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_error err;
    hmq_request *request = hmq_request_new("ping");
    hmq_client *client = fake_client_of(p, "?max_pending=2");
    for (int i = 0; i < 2; i++)
        RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    assert_int_equal(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err),
                     HMQ_EAGAIN);
    assert_int_equal(hmq_call(client, request, RIG_DEADLINE_MS, NULL, &err), HMQ_EAGAIN);
    assert_int_equal(hmq_client_flush(client, 10, &err), HMQ_ETIMEDOUT);
    hmq_client_free(client);
    assert_int_equal(r.n, 2);
    hmq_request_free(request);
}

static void test_bounds_of_a_producer(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?max_inflight=2&block_when_full=no&max_batch_bytes=1");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    fake_answer_call(p);
    for (int i = 0; i < 2; i++)
        RIG_CHECK(
            hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
            &err);
    assert_int_equal(
        hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
        HMQ_EAGAIN);
    fake_hear(p);
    fake_answer(p);
    rig_eventually(fake_ended, &r, "one is answered");
    assert_int_equal(hmq_producer_flush(producer, 10, &err), HMQ_ETIMEDOUT);
    assert_int_equal(hmq_producer_close(producer, 10, &err), HMQ_ETIMEDOUT);
    assert_int_equal(r.n, 2); /* hmq_producer_close ended the other call */
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    hmq_client_free(client);
}

static void test_a_full_producer_waits(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?max_inflight=1");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    fake_answer_call(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
              &err);
    assert_int_equal(hmq_send_async(producer, "t", "x", 1, NULL, 20, fake_on_sent, &r, &err),
                     HMQ_EAGAIN);
    fake_hear(p);
    fake_answer(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
              &err);
    fake_hear(p);
    fake_answer(p);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.n, 2);
    hmq_client_free(client);
}

/* Three quarters of the room are free, and still the message does not fit. */
static void test_a_large_message_waits_until_its_deadline(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static char body[600 * 1024];
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?max_inflight_bytes=1048576");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    fake_answer_call(p);
    RIG_CHECK(hmq_send_async(producer, "t", body, sizeof body, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err),
              &err);
    assert_int_equal(hmq_send_async(producer, "t", body, sizeof body, NULL, 20, fake_on_sent, &r, &err),
                     HMQ_EAGAIN);
    fake_hear(p);
    fake_answer(p);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.n, 1);
    hmq_client_free(client);
}

struct sent_again {
    hmq_producer *producer;
    const char *body;
    size_t len;
    _Atomic int status; /* of the send that the callback tries; -1: it has not run */
    struct fake_result r;
};

static void send_again(void *arg, const char *id, const hmq_error *err)
{
    struct sent_again *again = arg;
    hmq_error ignored;
    (void)id;
    (void)err;
    atomic_store(&again->status, (int)hmq_send_async(again->producer, "t", again->body, again->len, NULL,
                                                     RIG_DEADLINE_MS, fake_on_sent, &again->r, &ignored));
}

static bool has_sent_again(void *arg)
{
    struct sent_again *again = arg;
    return atomic_load(&again->status) >= 0;
}

static void test_a_callback_sends_more_than_fits(void **state)
{
    struct fake *p = *state;
    static char body[600 * 1024];
    struct sent_again again = {.body = body, .len = sizeof body, .status = -1,
                               .r = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?max_inflight_bytes=1048576");
    RIG_CHECK(hmq_producer_new(client, NULL, &again.producer, &err), &err);
    fake_answer_call(p);
    RIG_CHECK(hmq_send_async(again.producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, send_again, &again, &err), &err);
    RIG_CHECK(hmq_send_async(again.producer, "t", body, sizeof body, NULL, RIG_DEADLINE_MS, fake_on_sent, &again.r,
                             &err), &err);
    fake_hear(p);
    fake_answer(p);
    rig_eventually(has_sent_again, &again, "the callback comes back");
    assert_int_equal(atomic_load(&again.status), HMQ_EAGAIN);
    fake_hear(p);
    fake_answer(p);
    RIG_CHECK(hmq_producer_close(again.producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

/* The client's limits make a producer wait, too, where block_when_full says so. */
static void test_a_full_client_makes_a_producer_wait(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER}, pinged = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?max_pending=1");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    fake_answer_call(p);
    ping_async(client, RIG_DEADLINE_MS, &pinged);
    assert_int_equal(hmq_send_async(producer, "t", "x", 1, NULL, 20, fake_on_sent, &r, &err), HMQ_EAGAIN);
    fake_hear(p);
    fake_answer(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err), &err);
    fake_hear(p);
    fake_answer(p);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.n, 1);
    hmq_client_free(client);
}

/* What ends work is never held up: a decision is made though producer and client are full. */
static void test_decisions_pass_the_limits(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER}, pinged = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?max_pending=1&max_inflight=1&block_when_full=no");
    RIG_CHECK(hmq_txn_producer_new(client, "pg", NULL, NULL, NULL, &producer, &err), &err);
    fake_answer_call(p);
    for (hmq_txid txid = 5000000000; txid < 5000000003; txid++)
        RIG_CHECK(hmq_txn_decide_async(producer, txid, HMQ_COMMIT, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request *request = hmq_request_new("ping");
    assert_int_equal(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &pinged, &err), HMQ_EAGAIN);
    hmq_request_free(request);
    for (int i = 0; i < 3; i++) {
        fake_hear(p);
        assert_true(slice_equal(p->frame.method, SLICE_LIT("commit")));
        fake_answer(p);
    }
    RIG_CHECK(hmq_txn_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.n, 3);
    hmq_client_free(client);
}

/* ---- closing while other threads wait ---- */

enum wait_kind { WAIT_SEND, WAIT_FLUSH, WAIT_NEXT, WAIT_CALL, WAIT_CLIENT, WAIT_KINDS };

struct waiting {
    enum wait_kind kind;
    hmq_client *client;
    hmq_producer *producer;
    hmq_reader *reader;
    _Atomic pid_t tid; /* 0: it does not run yet */
    enum hmq_status status;
    pthread_t thread;
};

static void *wait_in_a_function(void *arg)
{
    struct waiting *w = arg;
    hmq_error err;
    hmq_batch *batch = NULL;
    atomic_store(&w->tid, gettid());
    if (w->kind == WAIT_SEND)
        w->status = hmq_send(w->producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, NULL, &err);
    else if (w->kind == WAIT_FLUSH)
        w->status = hmq_producer_flush(w->producer, RIG_DEADLINE_MS, &err);
    else if (w->kind == WAIT_NEXT)
        w->status = hmq_reader_next(w->reader, RIG_DEADLINE_MS, &batch, &err);
    else if (w->kind == WAIT_CALL)
        w->status = ping(w->client, RIG_DEADLINE_MS, &err);
    else
        w->status = hmq_client_flush(w->client, RIG_DEADLINE_MS, &err);
    return NULL;
}

/* The thread sleeps, and there is nothing but the function that it could sleep in. */
static bool waits_inside(void *arg)
{
    struct waiting *w = arg;
    char path[64], line[256] = "";
    pid_t tid = atomic_load(&w->tid);
    if (tid == 0)
        return false;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    const char *state = strrchr(line, ')');
    return read && state && state[2] == 'S';
}

static void begin_to_wait(struct waiting *w, enum wait_kind kind)
{
    w->kind = kind;
    assert_int_equal(pthread_create(&w->thread, NULL, wait_in_a_function, w), 0);
    rig_eventually(waits_inside, w, "the thread waits");
}

static void test_closing_wakes_those_who_wait(void **state)
{
    struct fake *p = *state;
    hmq_error err;
    for (int round = 0; round < 20; round++) {
        struct waiting w[WAIT_KINDS] = {0};
        hmq_client *client = fake_client_of(p, "");
        hmq_producer *producer = NULL;
        hmq_reader *reader = NULL;
        RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
        RIG_CHECK(hmq_reader_new(client, "t", 0, 0, NULL, &reader, &err), &err);
        fake_answer_call(p);
        RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
        for (int i = 0; i < WAIT_KINDS; i++) {
            w[i] = (struct waiting){.client = client, .producer = producer, .reader = reader};
            begin_to_wait(&w[i], (enum wait_kind)i);
        }
        (void)hmq_reader_close(reader, 0, &err); /* it may not have asked for a stream yet */
        assert_int_equal(hmq_producer_close(producer, 0, &err), HMQ_ETIMEDOUT);
        hmq_client_free(client);
        for (int i = 0; i < WAIT_KINDS; i++) {
            assert_int_equal(pthread_join(w[i].thread, NULL), 0);
            if (w[i].status != HMQ_EUNKNOWN)
                assert_int_equal(w[i].status, HMQ_ECLOSED);
        }
        fake_hang_up(p);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_there),
        TEST(test_no_such_host),
        TEST(test_second_address),
        TEST(test_a_lost_server_is_followed_by_the_next),
        TEST(test_silent_peer),
        TEST(test_late_answers_are_nobodys),
        TEST(test_connection_lost_after_sending),
        TEST(test_sends_again_with_the_same_dedup),
        TEST(test_without_dedup_it_is_not_sent_again),
        TEST(test_nonsense),
        TEST(test_answers_byte_by_byte),
        TEST(test_wrong_answers),
        TEST(test_unserved_requests),
        TEST(test_keepalive),
        TEST(test_login_comes_first),
        TEST(test_bounds_of_the_client),
        TEST(test_bounds_of_a_producer),
        TEST(test_a_full_producer_waits),
        TEST(test_a_large_message_waits_until_its_deadline),
        TEST(test_a_callback_sends_more_than_fits),
        TEST(test_a_full_client_makes_a_producer_wait),
        TEST(test_decisions_pass_the_limits),
        TEST(test_closing_wakes_those_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
