/*
 * test_client_loop.c: tests libhalfmq in the application's own libevent loop: no call blocks the loop, asynchronous
 * calls work in it, also after a reconnect, and functions that close drive the socket themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfmq_libevent.h>

#include "tests/lib/rig.h"

struct app {
    struct spawned *broker;
    struct event_base *base;
    struct hmq_libevent *adapter;
    hmq_client *client;
    unsigned sent, failed;
    _Atomic unsigned handled, checked;
    enum hmq_status blocked;
};

static int start(void **state)
{
    static const char *const flags[] = {"--checkin", "10ms", "--check_every", "50ms", NULL};
    struct app *a = calloc(1, sizeof *a);
    hmq_error err;
    assert_non_null(a);
    a->broker = rig_spawn(flags);
    a->base = event_base_new();
    assert_non_null(a->base);
    hmq_options *o =
        rig_options_for(a->broker->port, "?reconnect_min_ms=5&reconnect_max_ms=50&wait_ms=100&keepalive_ms=0");
    RIG_CHECK(hmq_libevent_new(a->base, o, &a->adapter, &a->client, &err), &err);
    hmq_options_free(o);
    *state = a;
    return 0;
}

static int stop(void **state)
{
    struct app *a = *state;
    hmq_client_free(a->client);
    hmq_libevent_free(a->adapter);
    assert_int_equal(event_base_get_num_events(a->base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(a->base);
    int status = spawn_stop(a->broker);
    spawn_free(a->broker);
    free(a);
    return status;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

/* Runs the loop until holds(a). */
static void turn_until(struct app *a, bool (*holds)(struct app *a), const char *what)
{
    int64_t deadline_ms = spawn_now_ms() + RIG_DEADLINE_MS;
    struct timeval in = {0, 10000};
    struct event *tick = evtimer_new(a->base, on_tick, NULL);
    assert_non_null(tick);
    while (!holds(a)) {
        if (spawn_now_ms() > deadline_ms)
            fail_msg("waited in vain: %s", what);
        evtimer_add(tick, &in);
        event_base_loop(a->base, EVLOOP_ONCE);
    }
    event_free(tick);
}

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    struct app *a = arg;
    a->sent += id != NULL;
    a->failed += err->code != HMQ_OK;
}

static void send_many(struct app *a, hmq_producer *producer, unsigned n)
{
    hmq_error err;
    for (unsigned i = 0; i < n; i++) {
        char body[16];
        int len = snprintf(body, sizeof body, "%u", i);
        RIG_CHECK(hmq_send_async(producer, "t", body, (size_t)len, NULL, RIG_DEADLINE_MS, on_sent,
                                 a, &err),
                  &err);
    }
}

static bool thousand_sent(struct app *a)
{
    return a->sent + a->failed >= 1000;
}

static bool connected(struct app *a)
{
    hmq_client_stats stats = {.size = sizeof stats};
    hmq_client_stats_get(a->client, &stats);
    return stats.connected;
}

static void test_nothing_blocks(void **state)
{
    struct app *a = *state;
    hmq_error err;
    hmq_producer *producer = NULL;
    hmq_batch *batch = NULL;
    const char *topic = "t";
    hmq_request *ping = hmq_request_new("ping");
    assert_int_equal(hmq_call(a->client, ping, 1000, NULL, &err), HMQ_EWOULDBLOCK);
    hmq_request_free(ping);
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    assert_int_equal(hmq_send(producer, "t", "x", 1, NULL, 1000, NULL, &err), HMQ_EWOULDBLOCK);
    assert_int_equal(hmq_pop(a->client, "g", &topic, 1, 1, 0, 1000, &batch, &err), HMQ_EWOULDBLOCK);
    RIG_CHECK(hmq_producer_close(producer, 1000, &err), &err);
}

/* A loop of poll(), which counts how often its timer is set. */
struct poll_loop {
    struct pollfd fds[2];
    int64_t due_ms; /* -1: the timer is not set */
    unsigned n_set;
};

static void poll_loop_watch(void *arg, int fd, int want_read, int want_write)
{
    struct poll_loop *l = arg;
    int i = l->fds[0].fd == fd || (l->fds[0].fd < 0 && l->fds[1].fd != fd) ? 0 : 1;
    l->fds[i].fd = want_read || want_write ? fd : -1;
    l->fds[i].events = (short)((want_read ? POLLIN : 0) | (want_write ? POLLOUT : 0));
}

static void poll_loop_deadline(void *arg, int64_t in_ms)
{
    struct poll_loop *l = arg;
    l->due_ms = in_ms < 0 ? -1 : spawn_now_ms() + in_ms;
    l->n_set++;
}

static void poll_loop_turn(struct poll_loop *l, hmq_client *client)
{
    int64_t left_ms = l->due_ms - spawn_now_ms();
    (void)poll(l->fds, 2, l->due_ms < 0 || left_ms > 100 ? 100 : left_ms < 0 ? 0 : (int)left_ms);
    for (int i = 0; i < 2; i++) {
        struct pollfd seen = l->fds[i];
        if (seen.fd >= 0 && (seen.revents & POLLOUT))
            hmq_client_writable(client, seen.fd);
        if (seen.fd >= 0 && (seen.revents & (POLLIN | POLLHUP | POLLERR)))
            hmq_client_readable(client, seen.fd);
    }
    if (l->due_ms >= 0 && spawn_now_ms() >= l->due_ms) {
        l->due_ms = -1;
        hmq_client_timeout(client);
    }
}

static void on_pinged(void *arg, hmq_reply *reply, const hmq_error *err)
{
    struct app *a = arg;
    a->sent += err->code == HMQ_OK;
    a->failed += err->code != HMQ_OK;
    hmq_reply_free(reply);
}

/* Setting a timer costs most loops a system call: it is done where the one that is set ends too late, not for each request. */
static void test_timer_is_set_rarely(void **state)
{
    struct app *a = *state;
    struct poll_loop l = {.fds = {{.fd = -1}, {.fd = -1}}, .due_ms = -1};
    hmq_loop loop = {sizeof loop, &l, poll_loop_watch, poll_loop_deadline};
    hmq_client *client = NULL;
    unsigned set_before = 0;
    hmq_error err;
    hmq_options *o = rig_options_for(a->broker->port, "");
    RIG_CHECK(hmq_client_new_loop(o, &loop, &client, &err), &err);
    hmq_options_free(o);
    hmq_request *ping = hmq_request_new("ping");
    for (unsigned i = 0; i < 110; i++) {
        int64_t give_up_ms = spawn_now_ms() + RIG_DEADLINE_MS;
        set_before = i == 10 ? l.n_set : set_before; /* it is connected */
        RIG_CHECK(hmq_call_async(client, ping, RIG_DEADLINE_MS, on_pinged, a, &err), &err);
        while (a->sent + a->failed <= i && spawn_now_ms() < give_up_ms)
            poll_loop_turn(&l, client);
    }
    assert_int_equal(a->sent, 110);
    assert_true(l.n_set - set_before < 50);
    hmq_request_free(ping);
    hmq_client_free(client);
}

static void test_asynchronous(void **state)
{
    struct app *a = *state;
    hmq_producer *producer = NULL;
    hmq_error err;
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    send_many(a, producer, 1000);
    turn_until(a, thousand_sent, "all are sent");
    assert_int_equal(a->sent, 1000);
    RIG_CHECK(hmq_producer_close(producer, 1000, &err), &err);
}

static void test_reconnects(void **state)
{
    struct app *a = *state;
    hmq_producer *producer = NULL;
    hmq_error err;
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    turn_until(a, connected, "connected");
    send_many(a, producer, 500);
    event_base_loop(a->base, EVLOOP_ONCE);
    spawn_kill(a->broker);
    send_many(a, producer, 500);
    event_base_loop(a->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    spawn_again(a->broker);
    turn_until(a, thousand_sent, "all are sent");
    assert_int_equal(a->sent, 1000);
    RIG_CHECK(hmq_producer_close(producer, 1000, &err), &err);
}

/* Closing and flushing on the loop's thread drive the socket themselves. */
static void test_flush_on_the_loop_thread(void **state)
{
    struct app *a = *state;
    hmq_producer *producer = NULL;
    hmq_error err;
    RIG_CHECK(hmq_client_wait(a->client, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    send_many(a, producer, 100);
    RIG_CHECK(hmq_producer_flush(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(a->sent, 100);
    send_many(a, producer, 100);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(a->sent, 200);
}

static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct app *a = arg;
    (void)retry;
    atomic_fetch_add(&a->handled, hmq_message_id(m) != NULL);
    return HMQ_ACK;
}

static bool all_handled(struct app *a)
{
    return atomic_load(&a->handled) >= 1000;
}

static void test_consumer(void **state)
{
    struct app *a = *state;
    hmq_producer *producer = NULL;
    hmq_consumer *consumer = NULL;
    hmq_error err;
    const char *topic = "t";
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_consumer_new(a->client, "g", &topic, 1, on_message, a, NULL, &consumer, &err),
              &err);
    send_many(a, producer, 1000);
    turn_until(a, all_handled, "all are handled");
    RIG_CHECK(hmq_consumer_close(consumer, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(atomic_load(&a->handled), 1000);
}

static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    struct app *a = arg;
    (void)check;
    atomic_fetch_add(&a->checked, 1);
    return HMQ_COMMIT;
}

static void on_half(void *arg, hmq_txid txid, const hmq_error *err)
{
    struct app *a = arg;
    assert_int_equal(err->code, HMQ_OK);
    a->sent += txid != 0;
}

static bool was_checked(struct app *a)
{
    return a->sent > 0 && atomic_load(&a->checked) > 0;
}

static void test_checks(void **state)
{
    struct app *a = *state;
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    RIG_CHECK(hmq_txn_producer_new(a->client, "pg", on_check, a, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_txn_half_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_half, a, &err),
              &err);
    turn_until(a, was_checked, "the broker asks");
    RIG_CHECK(hmq_txn_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

static void *ping_in_thread(void *arg)
{
    struct app *a = arg;
    hmq_request *ping = hmq_request_new("ping");
    enum hmq_status status = hmq_call(a->client, ping, RIG_DEADLINE_MS, NULL, NULL);
    hmq_request_free(ping);
    atomic_store(&a->handled, 1);
    a->blocked = status;
    return NULL;
}

static bool thread_done(struct app *a)
{
    return atomic_load(&a->handled) == 1;
}

/* Another thread may make a blocking call; the loop goes on meanwhile. */
static void test_blocking_from_another_thread(void **state)
{
    struct app *a = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ping_in_thread, a), 0);
    turn_until(a, thread_done, "the call of the other thread");
    pthread_join(thread, NULL);
    assert_int_equal(a->blocked, HMQ_OK);
}

static void close_inside(void *arg, const char *id, const hmq_error *err)
{
    struct app *a = arg;
    (void)id;
    (void)err;
    a->blocked = hmq_client_flush(a->client, 1000, NULL);
    a->sent = 1000;
}

static void test_flush_in_a_callback(void **state)
{
    struct app *a = *state;
    hmq_producer *producer = NULL;
    hmq_error err;
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, close_inside, a, &err),
              &err);
    RIG_CHECK(hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
    turn_until(a, thousand_sent, "the callback ran");
    assert_true(a->blocked == HMQ_EWOULDBLOCK || a->blocked == HMQ_OK);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

static hmq_reader *reader;

/* Takes the messages that have arrived, without waiting. */
static bool hundred_read(struct app *a)
{
    hmq_batch *batch = NULL;
    while (hmq_reader_next(reader, 0, &batch, NULL) == HMQ_OK) {
        atomic_fetch_add(&a->handled, (unsigned)hmq_batch_count(batch));
        hmq_batch_free(batch);
    }
    return atomic_load(&a->handled) >= 100;
}

/* A reader can be used between turns of the loop; if it waits, it drives the socket itself. */
static void test_reader(void **state)
{
    struct app *a = *state;
    hmq_error err;
    hmq_batch *batch = NULL;
    hmq_request *create = hmq_request_new("topic_create");
    hmq_request_put_text(create, "name", "t");
    hmq_request_put_int(create, "queues", 1);
    RIG_CHECK(hmq_call_async(a->client, create, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
    RIG_CHECK(hmq_client_flush(a->client, RIG_DEADLINE_MS, &err), &err);
    hmq_request_free(create);
    RIG_CHECK(hmq_reader_new(a->client, "t", 0, 0, NULL, &reader, &err), &err);
    hmq_producer *producer = NULL;
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    send_many(a, producer, 100);
    turn_until(a, hundred_read, "all is read");
    assert_int_equal(atomic_load(&a->handled), 100);
    send_many(a, producer, 1);
    RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err);
    assert_int_equal(hmq_message_offset(hmq_batch_at(batch, 0)), 100);
    hmq_batch_free(batch);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

#define FAR_MS (3600 * 1000) /* longer than the test may take */

static void *interrupt_later(void *arg)
{
    for (int i = 0; i < 20; i++)
        spawn_pause(); /* so that the loop thread waits by then; where it does not, it is no test, but no failure either */
    hmq_reader_interrupt(arg);
    return NULL;
}

static enum hmq_verdict keep_silent(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct app *a = arg;
    (void)m;
    (void)retry;
    atomic_fetch_add(&a->handled, 1);
    for (int i = 0; i < 20; i++)
        spawn_pause();
    return HMQ_KEEP; /* so that nothing is sent to the broker, whose reply would end the wait */
}

static bool one_sent(struct app *a)
{
    return a->sent > 0;
}

static bool one_handled(struct app *a)
{
    return atomic_load(&a->handled) > 0;
}

/* The loop thread waits in a function of the library, and what ends that happens on another thread, not on the socket. */
static void test_woken_by_another_thread(void **state)
{
    struct app *a = *state;
    hmq_reader *silent = NULL;
    hmq_consumer *consumer = NULL;
    hmq_batch *batch = NULL;
    hmq_error err;
    pthread_t thread;
    const char *topic = "t";
    hmq_producer *producer = NULL;
    RIG_CHECK(hmq_producer_new(a->client, NULL, &producer, &err), &err);
    send_many(a, producer, 1);
    turn_until(a, one_sent, "the topic is there");
    RIG_CHECK(hmq_reader_new(a->client, topic, 0, 1000, NULL, &silent, &err), &err); /* nothing will ever be there */
    assert_int_equal(pthread_create(&thread, NULL, interrupt_later, silent), 0);
    assert_int_equal(hmq_reader_next(silent, FAR_MS, &batch, &err), HMQ_EINTERRUPTED);
    pthread_join(thread, NULL);
    RIG_CHECK(hmq_reader_close(silent, FAR_MS, &err), &err);
    RIG_CHECK(hmq_consumer_new(a->client, "g", &topic, 1, keep_silent, a, NULL, &consumer, &err), &err);
    turn_until(a, one_handled, "it is handled");
    RIG_CHECK(hmq_consumer_pause(consumer, FAR_MS, &err), &err);
    RIG_CHECK(hmq_consumer_close(consumer, FAR_MS, &err), &err);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_blocks),
        TEST(test_timer_is_set_rarely),
        TEST(test_asynchronous),
        TEST(test_reconnects),
        TEST(test_flush_on_the_loop_thread),
        TEST(test_consumer),
        TEST(test_reader),
        TEST(test_checks),
        TEST(test_blocking_from_another_thread),
        TEST(test_flush_in_a_callback),
        TEST(test_woken_by_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
