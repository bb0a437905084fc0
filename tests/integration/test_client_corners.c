/*
 * test_client_corners.c: tests libhalfmq in situations that are rare: a process that was frozen, one that has forked,
 * a refused login, late replies, numbers and requests that are too large. The test plays the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/fake.h"
#include "tests/lib/still_clock.h"

static void call_async(hmq_client *client, const char *method, struct fake_result *r)
{
    hmq_error err;
    hmq_request *request = hmq_request_new(method);
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, r, &err), &err);
    hmq_request_free(request);
}

/* To hear a request of this method; it may be behind others. */
static void hear_until(struct fake *p, const char *method)
{
    do
        fake_hear(p);
    while (!slice_equal(p->frame.method, slice_str(method)));
}

static void answer_int(struct fake *p, int64_t n)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_int(&b, n);
    fake_say(p, b.data, b.len);
    buf_free(&b);
}

static void refuse(struct fake *p, const char *code, const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_error(&b, p->frame.id, code, slice_str(text));
    fake_say(p, b.data, b.len);
    buf_free(&b);
}

/* To a process that was stopped for long, it looks as if the clock had jumped. */
static void test_a_frozen_process_keeps_its_connection(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER}, again = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_client *client = fake_client_of(p, "?keepalive_ms=1000");
    fake_answer_call(p);
    call_async(client, "ping", &r);
    fake_hear(p);
    fake_answer(p);
    rig_eventually(fake_ended, &r, "it is answered");
    still_clock_stop();
    still_clock_pass(100000);
    fake_hear(p); /* the I/O thread wakes within a second of the real clock */
    assert_true(slice_equal(p->frame.method, SLICE_LIT("ping")));
    fake_answer(p);
    call_async(client, "topic_list", &again);
    fake_hear(p);
    fake_answer(p);
    rig_eventually(fake_ended, &again, "it is answered on the same connection");
    assert_int_equal(again.last, HMQ_OK);
    assert_int_equal(atomic_load(&p->events.disconnected), 0);
    hmq_client_free(client);
    still_clock_go();
}

/* A child has the socket, too, until it ends or runs another program; the connection ends with the client. */
static void test_a_forked_child_does_not_keep_the_connection(void **state)
{
    struct fake *p = *state;
    hmq_error err;
    char byte;
    hmq_client *client = fake_client_of(p, "");
    fake_answer_call(p);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(p->fd); /* the other side's socket, which an application's child does not have */
        alarm(RIG_DEADLINE_MS / 1000);
        for (;;)
            pause();
    }
    hmq_client_free(client);
    struct timeval soon = {.tv_sec = 10};
    assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    ssize_t n = recv(p->fd, &byte, 1, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(n, 0);
}

struct heard {
    pthread_mutex_t lock;
    char text[HMQ_ERROR_TEXT_SIZE];
};

static void note_trouble(void *arg, enum hmq_event event, const char *text)
{
    struct heard *h = arg;
    pthread_mutex_lock(&h->lock);
    if (event == HMQ_EVENT_TROUBLE)
        snprintf(h->text, sizeof h->text, "%s", text);
    pthread_mutex_unlock(&h->lock);
}

static bool has_heard(void *arg)
{
    struct heard *h = arg;
    pthread_mutex_lock(&h->lock);
    bool yes = h->text[0] != '\0';
    pthread_mutex_unlock(&h->lock);
    return yes;
}

static void test_a_refused_login_is_told(void **state)
{
    struct fake *p = *state;
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, "?user=ann&password=secret");
    hmq_options_set_event_fn(o, note_trouble, &heard);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    fake_answer_call(p);
    fake_hear(p);
    refuse(p, "WRONGPASS", "no such user");
    rig_eventually(has_heard, &heard, "the application is told");
    assert_non_null(strstr(heard.text, "no such user"));
    assert_null(strstr(heard.text, "secret"));
    hmq_client_free(client);
}

static enum hmq_verdict acknowledge(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)m;
    (void)retry;
    return HMQ_ACK;
}

static int64_t stream_named(struct fake *p)
{
    int64_t stream = 0;
    assert_true(rpc_int(rpc_get(p->frame.params, "stream"), &stream));
    return stream;
}

/* The broker opened a stream that nobody waits for any more: it would lease messages to nobody. */
static void test_a_stream_that_comes_late_is_closed(void **state)
{
    struct fake *p = *state;
    const char *topic = "t";
    hmq_consumer *consumer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?call_timeout_ms=100");
    RIG_CHECK(hmq_consumer_new(client, "g", &topic, 1, acknowledge, NULL, NULL, &consumer, &err), &err);
    fake_answer_call(p);
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("stream_group")));
    uint64_t late = p->frame.id;
    fake_hear(p); /* it is tried again */
    assert_true(slice_equal(p->frame.method, SLICE_LIT("stream_group")));
    p->frame.id = late;
    answer_int(p, 71);
    hear_until(p, "stream_close");
    assert_int_equal(stream_named(p), 71);
    (void)hmq_consumer_close(consumer, 0, &err);
    hmq_client_free(client);
}

static void test_a_reader_that_is_gone_closes_its_stream(void **state)
{
    struct fake *p = *state;
    hmq_reader *reader = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    RIG_CHECK(hmq_reader_new(client, "t", 0, 0, NULL, &reader, &err), &err);
    fake_answer_call(p);
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("stream_queue")));
    assert_int_equal(hmq_reader_close(reader, 0, &err), HMQ_ETIMEDOUT);
    answer_int(p, 72);
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, SLICE_LIT("stream_close")));
    assert_int_equal(stream_named(p), 72);
    hmq_client_free(client);
}

struct popper {
    hmq_client *client;
    enum hmq_status status;
};

static void *pop_for_ever(void *arg)
{
    struct popper *popper = arg;
    const char *topic = "t";
    hmq_batch *batch = NULL;
    hmq_error err;
    popper->status = hmq_pop(popper->client, "g", &topic, 1, 1, INT64_MAX, INT64_MAX, &batch, &err);
    hmq_batch_free(batch);
    return NULL;
}

static void test_waiting_for_ever_is_no_overflow(void **state)
{
    struct fake *p = *state;
    struct popper popper = {.client = fake_client_of(p, "")};
    pthread_t thread;
    struct buf b;
    assert_int_equal(pthread_create(&thread, NULL, pop_for_ever, &popper), 0);
    fake_answer_call(p);
    fake_hear(p);
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_list(&b, 0);
    fake_say(p, b.data, b.len);
    buf_free(&b);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(popper.status, HMQ_OK);
    hmq_client_free(popper.client);
}

/* Trying it again would never help, so it must not look as if it would. */
static void test_a_request_that_is_too_large_is_not_retryable(void **state)
{
    struct fake *p = *state;
    size_t len = 80u << 20;
    char *large = calloc(1, len + 1);
    assert_non_null(large);
    memset(large, 'x', len);
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    hmq_request *request = hmq_request_new("send");
    hmq_request_put_text(request, "topic", "t");
    hmq_request_put_bytes(request, "body", large, len);
    enum hmq_status status = hmq_call(client, request, RIG_DEADLINE_MS, NULL, &err);
    hmq_request_free(request);
    assert_int_equal(status, HMQ_ETOOBIG);
    const char *receipt = large;
    status = hmq_ack(client, "g", &receipt, 1, RIG_DEADLINE_MS, NULL, &err);
    assert_int_equal(status, HMQ_ETOOBIG);
    hmq_producer *producer = NULL;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.key = large;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    assert_int_equal(hmq_send(producer, "t", "x", 1, &o, RIG_DEADLINE_MS, NULL, &err), HMQ_ETOOBIG);
    assert_int_equal(hmq_send_async(producer, "t", "x", 1, &o, RIG_DEADLINE_MS, NULL, NULL, &err), HMQ_ETOOBIG);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
    free(large);
}

/* ---- freeing ---- */

static void expect_hang_up(struct fake *p)
{
    struct timeval soon = {.tv_sec = RIG_DEADLINE_MS / 1000};
    char bytes[4096];
    ssize_t n;
    assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    while ((n = recv(p->fd, bytes, sizeof bytes, 0)) > 0)
        ;
    assert_int_equal(n, 0);
}

/* The client goes on for those that use it, and ends with the last of them. */
static void test_a_client_is_freed_before_its_producers(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const char *topic = "t";
    hmq_producer *producer = NULL;
    hmq_reader *reader = NULL;
    hmq_consumer *consumer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, "");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_reader_new(client, "t", 0, 0, NULL, &reader, &err), &err);
    RIG_CHECK(hmq_consumer_new(client, "g", &topic, 1, acknowledge, NULL, NULL, &consumer, &err), &err);
    fake_answer_call(p);
    hmq_client_free(client);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, fake_on_sent, &r, &err), &err);
    hear_until(p, "send");
    fake_answer(p);
    rig_eventually(fake_ended, &r, "it is sent");
    assert_int_equal(r.last, HMQ_OK);
    (void)hmq_consumer_close(consumer, 0, &err);
    (void)hmq_reader_close(reader, 0, &err);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    expect_hang_up(p);
}

struct suicide {
    hmq_client *client;
    struct fake_result other; /* of a request that is under way then */
};

static void free_client(void *arg, hmq_reply *reply, const hmq_error *err)
{
    struct suicide *s = arg;
    (void)err;
    hmq_reply_free(reply);
    hmq_client_free(s->client);
}

static void test_a_client_is_freed_in_a_callback(void **state)
{
    struct fake *p = *state;
    struct suicide s = {.other = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, ""); /* no events: they would come when the test is over */
    RIG_CHECK(hmq_client_new(o, &s.client, &err), &err);
    hmq_options_free(o);
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(s.client, request, RIG_DEADLINE_MS, free_client, &s, &err), &err);
    hmq_request_free(request);
    fake_answer_call(p);
    fake_hear(p);
    call_async(s.client, "topic_list", &s.other);
    fake_answer(p);
    rig_eventually(fake_ended, &s.other, "the other request is told");
    if (s.other.last != HMQ_EUNKNOWN)
        assert_int_equal(s.other.last, HMQ_ECLOSED);
    expect_hang_up(p);
}

static void watch(void *arg, int fd, int want_read, int want_write)
{
    unsigned *calls = arg;
    (void)fd;
    (void)want_read;
    (void)want_write;
    (*calls)++;
}

static void set_deadline(void *arg, int64_t in_ms)
{
    unsigned *calls = arg;
    (void)in_ms;
    (*calls)++;
}

/* It is gone when the loop's call returns in which the callback ran. */
static void test_a_client_is_freed_in_a_callback_of_a_loop(void **state)
{
    struct fake *p = *state;
    struct suicide s = {.other = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    unsigned calls = 0;
    hmq_loop loop = HMQ_LOOP;
    hmq_error err;
    loop.arg = &calls;
    loop.watch = watch;
    loop.deadline = set_deadline;
    hmq_options *o = rig_options_for(p->port, "");
    RIG_CHECK(hmq_client_new_loop(o, &loop, &s.client, &err), &err);
    hmq_options_free(o);
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(s.client, request, 0, free_client, &s, &err), &err);
    hmq_request_free(request);
    call_async(s.client, "topic_list", &s.other);
    hmq_client_timeout(s.client);
    assert_int_equal(s.other.n, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_a_frozen_process_keeps_its_connection),
        TEST(test_a_forked_child_does_not_keep_the_connection),
        TEST(test_a_refused_login_is_told),
        TEST(test_a_stream_that_comes_late_is_closed),
        TEST(test_a_reader_that_is_gone_closes_its_stream),
        TEST(test_waiting_for_ever_is_no_overflow),
        TEST(test_a_request_that_is_too_large_is_not_retryable),
        TEST(test_a_client_is_freed_before_its_producers),
        TEST(test_a_client_is_freed_in_a_callback),
        TEST(test_a_client_is_freed_in_a_callback_of_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
