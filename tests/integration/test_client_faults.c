/*
 * test_client_faults.c: libhalfmq against a peer that is not what it should be: absent, silent, gone in
 * the middle, talking nonsense. The peer is this test: a listening socket and what it chooses to send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/rpc.h"
#include "tests/lib/rig.h"

struct events {
    _Atomic unsigned connected, disconnected, failed, trouble;
};

struct peer {
    int listener, fd;
    uint16_t port;
    struct rpc_reader *reader;
    struct buf in;
    struct rpc_frame frame; /* the last one read, and its length, still in `in` */
    size_t used;
    struct events events;
};

static int start(void **state)
{
    struct peer *p = calloc(1, sizeof *p);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    assert_non_null(p);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->fd = -1;
    assert_int_equal(bind(p->listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(p->listener, 16), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&any, &size), 0);
    p->port = ntohs(any.sin_port);
    buf_init(&p->in, 0);
    *state = p;
    return 0;
}

static void hang_up(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    rpc_reader_free(p->reader);
    p->reader = NULL;
    p->used = 0;
    buf_reset(&p->in, 0);
}

static int stop(void **state)
{
    struct peer *p = *state;
    hang_up(p);
    close(p->listener);
    buf_free(&p->in);
    free(p);
    return 0;
}

static void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, RIG_DEADLINE_MS), 1);
}

static void answer_call(struct peer *p)
{
    wait_readable(p->listener);
    p->fd = accept(p->listener, NULL, NULL);
    assert_true(p->fd >= 0);
    p->reader = rpc_reader_new(1 << 20);
    assert_non_null(p->reader);
}

/* Waits for the next request. */
static void hear(struct peer *p)
{
    char err[128];
    enum status status;
    buf_consume(&p->in, p->used);
    while ((status = rpc_reader_next(p->reader, buf_slice(&p->in), &p->frame, &p->used, err,
                                     sizeof err)) == ST_MORE) {
        wait_readable(p->fd);
        uint8_t *room = buf_room(&p->in, 4096);
        ssize_t n = recv(p->fd, room, 4096, 0);
        assert_true(n > 0);
        buf_added(&p->in, (size_t)n);
    }
    assert_int_equal(status, ST_OK);
}

static void say(struct peer *p, const void *bytes, size_t n)
{
    assert_int_equal(send(p->fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void answer(struct peer *p)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_str(&b, SLICE_LIT("t:0:0"));
    say(p, b.data, b.len);
    buf_free(&b);
}

static void on_event(void *arg, enum hmq_event event, const char *text)
{
    struct events *e = arg;
    assert_non_null(text);
    switch (event) {
    case HMQ_EVENT_CONNECTED: atomic_fetch_add(&e->connected, 1); break;
    case HMQ_EVENT_DISCONNECTED: atomic_fetch_add(&e->disconnected, 1); break;
    case HMQ_EVENT_CONNECT_FAILED: atomic_fetch_add(&e->failed, 1); break;
    case HMQ_EVENT_TROUBLE: atomic_fetch_add(&e->trouble, 1); break;
    }
}

static hmq_client *client_of(struct peer *p, const char *query)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, query);
    hmq_options_set_event_fn(o, on_event, &p->events);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

static enum hmq_status ping(hmq_client *client, int64_t timeout_ms, hmq_error *err)
{
    hmq_request *request = hmq_request_new("ping");
    enum hmq_status status = hmq_call(client, request, timeout_ms, NULL, err);
    hmq_request_free(request);
    return status;
}

struct result {
    pthread_mutex_t lock;
    unsigned n;
    enum hmq_status last;
    char text[HMQ_ERROR_TEXT_SIZE];
};

static void on_reply(void *arg, hmq_reply *reply, const hmq_error *err)
{
    struct result *r = arg;
    pthread_mutex_lock(&r->lock);
    r->n++;
    r->last = err->code;
    snprintf(r->text, sizeof r->text, "%s", err->text);
    pthread_mutex_unlock(&r->lock);
    hmq_reply_free(reply);
}

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    assert_int_equal(id != NULL, err->code == HMQ_OK);
    on_reply(arg, NULL, err);
}

static void ping_async(hmq_client *client, int64_t timeout_ms, struct result *r)
{
    hmq_error err;
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, timeout_ms, on_reply, r, &err), &err);
    hmq_request_free(request);
}

static bool ended(void *arg)
{
    struct result *r = arg;
    pthread_mutex_lock(&r->lock);
    bool yes = r->n > 0;
    pthread_mutex_unlock(&r->lock);
    return yes;
}

static bool has_failed_twice(void *arg)
{
    struct peer *p = arg;
    return atomic_load(&p->events.failed) > 1;
}

static void test_nobody_there(void **state)
{
    struct peer *p = *state;
    hmq_error err;
    close(p->listener);
    p->listener = -1;
    hmq_client *client = client_of(p, "?reconnect_min_ms=5&reconnect_max_ms=20");
    rig_eventually(has_failed_twice, p, "it is tried again");
    assert_int_equal(ping(client, 100, &err), HMQ_EDISCONNECTED);
    assert_non_null(strstr(err.text, "refused"));
    assert_int_equal(hmq_client_wait(client, 10, &err), HMQ_EDISCONNECTED);
    assert_int_equal(atomic_load(&p->events.connected), 0);
    hmq_client_free(client);
}

static void test_no_such_host(void **state)
{
    struct peer *p = *state;
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
    struct peer *p = *state;
    hmq_client *client = NULL;
    hmq_error err;
    char servers[64];
    hmq_options *o = rig_options_for(p->port, "");
    snprintf(servers, sizeof servers, "127.0.0.1:%u,127.0.0.1:%u", (unsigned)rig_free_port(),
             (unsigned)p->port);
    RIG_CHECK(hmq_options_set(o, "servers", servers, &err), &err);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

static void test_silent_peer(void **state)
{
    struct peer *p = *state;
    hmq_error err;
    hmq_client *client = client_of(p, "");
    answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(ping(client, 400, &err), HMQ_EUNKNOWN); /* it was sent: who knows */
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    ping_async(client, 400, &r);
    rig_eventually(ended, &r, "the deadline passes");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    hmq_client_free(client);
}

static void test_late_answers_are_nobodys(void **state)
{
    struct peer *p = *state;
    hmq_error err;
    hmq_client *client = client_of(p, "");
    answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(ping(client, 400, &err), HMQ_EUNKNOWN);
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    ping_async(client, RIG_DEADLINE_MS, &r);
    hear(p);
    answer(p); /* the first one, too late */
    hear(p);
    answer(p);
    rig_eventually(ended, &r, "the second is answered");
    assert_int_equal(r.last, HMQ_OK);
    assert_int_equal(r.n, 1);
    hmq_client_free(client);
}

static void test_connection_lost_after_sending(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_client *client = client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=5");
    answer_call(p);
    ping_async(client, RIG_DEADLINE_MS, &r);
    hear(p);
    hang_up(p);
    rig_eventually(ended, &r, "the connection is lost");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    answer_call(p); /* it comes again */
    ping_async(client, RIG_DEADLINE_MS, &r);
    hear(p);
    hmq_client_free(client);
}

/* The message that is sent again carries the same DEDUP id. */
static void test_sends_again_with_the_same_dedup(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    char ids[3][64];
    hmq_client *client = client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=5");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
              &err);
    for (int i = 0; i < 3; i++) {
        struct slice dedup;
        answer_call(p);
        hear(p);
        assert_true(slice_equal(p->frame.method, SLICE_LIT("send")));
        assert_true(rpc_bytes(rpc_get(p->frame.params, "dedup"), &dedup));
        snprintf(ids[i], sizeof ids[i], "%.*s", (int)dedup.len, (const char *)dedup.data);
        if (i < 2)
            hang_up(p);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_equal(ids[0], ids[2]);
    answer(p);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.last, HMQ_OK);
    hmq_stats stats = {.size = sizeof stats};
    hmq_client_stats(client, &stats);
    assert_int_equal(stats.resent, 2);
    hmq_client_free(client);
}

static void test_without_dedup_it_is_not_sent_again(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = client_of(p, "?dedup=no&reconnect_min_ms=1");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
              &err);
    answer_call(p);
    hear(p);
    assert_null(rpc_get(p->frame.params, "dedup"));
    hang_up(p);
    rig_eventually(ended, &r, "the connection is lost");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

static bool is_disconnected(void *arg)
{
    struct peer *p = arg;
    return atomic_load(&p->events.disconnected) > 0;
}

/* Whatever comes, the connection ends and the next one works. */
static void test_nonsense(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } nonsense[] = {
        {"-ERR Protocol error\r\n", 21},
        {"\x94\x01\x00\xc0", 4}, /* a part of an answer; the end comes below */
        {"\x94\x05\x00\xc0\xc0", 5}, /* type 5 */
        {"\x93\x01\x00\xc0", 4}, /* too few values */
        {"\xdd\xff\xff\xff\xff", 5}, /* an array of four billion */
        {"\x94\x01\x00\xc0\xc6\xff\xff\xff\xff", 9}, /* a body of four gigabytes */
        {"\xc1\xc1\xc1", 3},
    };
    struct peer *p = *state;
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
        atomic_store(&p->events.disconnected, 0);
        hmq_client *client = client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=5");
        answer_call(p);
        ping_async(client, RIG_DEADLINE_MS, &r);
        hear(p);
        say(p, nonsense[i].bytes, nonsense[i].n);
        shutdown(p->fd, SHUT_WR);
        rig_eventually(is_disconnected, p, "the client hangs up");
        rig_eventually(ended, &r, "the call ends");
        assert_int_equal(r.last, HMQ_EUNKNOWN);
        hang_up(p);
        answer_call(p);
        r.n = 0;
        ping_async(client, RIG_DEADLINE_MS, &r);
        hear(p);
        answer(p);
        rig_eventually(ended, &r, "the next connection works");
        assert_int_equal(r.last, HMQ_OK);
        hmq_client_free(client);
        hang_up(p);
    }
}

static void test_answers_byte_by_byte(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct buf b;
    hmq_client *client = client_of(p, "");
    answer_call(p);
    ping_async(client, RIG_DEADLINE_MS, &r);
    hear(p);
    buf_init(&b, 0);
    rpc_put_notify(&b, "news"); /* is ignored */
    rpc_put_list(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_str(&b, SLICE_LIT("PONG"));
    for (size_t i = 0; i < b.len; i++)
        say(p, b.data + i, 1);
    rig_eventually(ended, &r, "it is answered");
    assert_int_equal(r.last, HMQ_OK);
    buf_free(&b);
    hmq_client_free(client);
}

static void test_wrong_answers(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    struct buf b;
    hmq_client *client = client_of(p, "");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    answer_call(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
              &err);
    hear(p);
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_list(&b, 0); /* no id */
    say(p, b.data, b.len);
    rig_eventually(ended, &r, "it is answered");
    assert_int_equal(r.last, HMQ_EPROTO);
    buf_free(&b);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
}

/* A request of the broker that nobody here serves is answered with an error. */
static void test_unserved_requests(void **state)
{
    struct peer *p = *state;
    struct buf b;
    hmq_client *client = client_of(p, "");
    answer_call(p);
    static const char *const methods[] = {"check", "dance"};
    for (size_t i = 0; i < 2; i++) {
        buf_init(&b, 0);
        rpc_put_request(&b, 77 + i, methods[i]);
        rpc_put_list(&b, 0);
        say(p, b.data, b.len);
        buf_free(&b);
        hear(p);
        assert_int_equal(p->frame.type, RPC_RESPONSE);
        assert_int_equal(p->frame.id, 77 + i);
        assert_non_null(p->frame.error);
    }
    hmq_client_free(client);
}

static void test_keepalive(void **state)
{
    struct peer *p = *state;
    hmq_client *client = client_of(p, "?keepalive_ms=30&reconnect_min_ms=1");
    answer_call(p);
    hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("ping")));
    answer(p);
    hear(p); /* and again; then nothing is said any more */
    rig_eventually(is_disconnected, p, "the silent peer is given up");
    hmq_client_free(client);
}

static void test_login_comes_first(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct slice value;
    hmq_client *client = client_of(p, "?user=ann&password=secret");
    ping_async(client, RIG_DEADLINE_MS, &r);
    answer_call(p);
    hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("auth")));
    assert_true(rpc_bytes(rpc_get(p->frame.params, "user"), &value));
    assert_true(slice_equal(value, SLICE_LIT("ann")));
    assert_true(rpc_bytes(rpc_get(p->frame.params, "pass"), &value));
    assert_true(slice_equal(value, SLICE_LIT("secret")));
    hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("ping")));
    hmq_client_free(client);
    assert_int_equal(r.n, 1); /* its callback has run */
    assert_int_equal(r.last, HMQ_EUNKNOWN);
}

static void test_bounds_of_the_client(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_error err;
    hmq_request *request = hmq_request_new("ping");
    hmq_client *client = client_of(p, "?max_pending=2");
    for (int i = 0; i < 2; i++)
        RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, on_reply, &r, &err), &err);
    assert_int_equal(hmq_call_async(client, request, RIG_DEADLINE_MS, on_reply, &r, &err),
                     HMQ_EAGAIN);
    assert_int_equal(hmq_call(client, request, RIG_DEADLINE_MS, NULL, &err), HMQ_EAGAIN);
    assert_int_equal(hmq_client_flush(client, 10, &err), HMQ_ETIMEDOUT);
    hmq_client_free(client);
    assert_int_equal(r.n, 2);
    hmq_request_free(request);
}

static void test_bounds_of_a_producer(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = client_of(p, "?max_inflight=2&block_when_full=no");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    answer_call(p);
    for (int i = 0; i < 2; i++)
        RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
                  &err);
    assert_int_equal(
        hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
        HMQ_EAGAIN);
    hear(p);
    answer(p);
    rig_eventually(ended, &r, "one is answered");
    assert_int_equal(hmq_producer_flush(producer, 10, &err), HMQ_ETIMEDOUT);
    assert_int_equal(hmq_producer_close(producer, 10, &err), HMQ_ETIMEDOUT);
    assert_int_equal(r.n, 2); /* closing ended the other one */
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    hmq_client_free(client);
}

static void test_a_full_producer_waits(void **state)
{
    struct peer *p = *state;
    struct result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_client *client = client_of(p, "?max_inflight=1");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    answer_call(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
              &err);
    assert_int_equal(hmq_send_async(producer, "t", "x", 1, NULL, 20, on_sent, &r, &err),
                     HMQ_EAGAIN);
    hear(p);
    answer(p);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, &r, &err),
              &err);
    hear(p);
    answer(p);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(r.n, 2);
    hmq_client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_there),
        TEST(test_no_such_host),
        TEST(test_second_address),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
