/*
 * test_client_consumer.c: tests the consumer of libhalfmq: verdicts, leases, closing, and brokers that are killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"

#define BODIES 4000

static struct spawned *broker;
static hmq_client *client;

/* What the handler has received, and what it should do. */
struct desk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned counts[BODIES]; /* by body */
    unsigned distinct, calls, running, attempt;
    bool hold; /* handlers wait until this is false */
    enum hmq_verdict verdict; /* for first attempts */
    int64_t delay_ms;
};

static int start(void **state)
{
    (void)state;
    broker = rig_spawn(NULL);
    client = rig_connect(broker, "?wait_ms=200");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hmq_client_free(client);
    int status = spawn_stop(broker);
    spawn_free(broker);
    return status;
}

static struct desk *desk_new(void)
{
    struct desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    return d;
}

static void desk_free(struct desk *d)
{
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct desk *d = arg;
    size_t which = strtoul(hmq_message_body(m, NULL), NULL, 10) % BODIES;
    enum hmq_verdict verdict = HMQ_ACK;
    pthread_mutex_lock(&d->lock);
    d->calls++;
    d->running++;
    d->distinct += d->counts[which]++ == 0;
    d->attempt = hmq_message_attempt(m);
    if (d->attempt == 1)
        verdict = d->verdict;
    pthread_cond_broadcast(&d->changed);
    while (d->hold)
        pthread_cond_wait(&d->changed, &d->lock);
    d->running--;
    if (d->delay_ms)
        retry->delay_ms = d->delay_ms;
    snprintf(retry->reason, sizeof retry->reason, "a reason");
    pthread_mutex_unlock(&d->lock);
    return verdict;
}

static unsigned read_desk(struct desk *d, const unsigned *field)
{
    pthread_mutex_lock(&d->lock);
    unsigned n = *field;
    pthread_mutex_unlock(&d->lock);
    return n;
}

struct wish {
    struct desk *desk;
    const unsigned *field;
    unsigned at_least;
};

static bool reached(void *arg)
{
    struct wish *w = arg;
    return read_desk(w->desk, w->field) >= w->at_least;
}

static void wait_for(struct desk *d, const unsigned *field, unsigned at_least, const char *what)
{
    struct wish w = {d, field, at_least};
    rig_eventually(reached, &w, what);
}

static void release(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    d->hold = false;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static hmq_consumer *consume(struct desk *d, const char *topic, const char *query)
{
    hmq_consumer *consumer = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(broker->port, query);
    RIG_CHECK(hmq_consumer_new(client, "g", &topic, 1, handle, d, o, &consumer, &err), &err);
    hmq_options_free(o);
    return consumer;
}

static void close_consumer(hmq_consumer *consumer)
{
    hmq_error err;
    RIG_CHECK(hmq_consumer_close(consumer, RIG_DEADLINE_MS, &err), &err);
}

static void put_numbers(const char *topic, int from, int to)
{
    char body[16];
    for (int i = from; i < to; i++) {
        snprintf(body, sizeof body, "%d", i);
        rig_put(client, topic, body);
    }
}

/* ready + inflight + delayed of the group on the topic; -1: it has none. */
static int64_t lag_of(const char *topic, const char *what)
{
    hmq_reply *rows = rig_ask(client, "lag", (const char *[]){"group", "g", NULL});
    int64_t lag = -1;
    for (size_t i = 0; i < hmq_reply_len(rows); i++) {
        const hmq_reply *row = hmq_reply_at(rows, i);
        if (strcmp(hmq_reply_text(hmq_reply_get(row, "topic")), topic) == 0)
            lag = hmq_reply_int(hmq_reply_get(row, what), -1);
    }
    hmq_reply_free(rows);
    return lag;
}

static void test_each_message_once(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    hmq_consumer *consumer = consume(d, "once", "?workers=4&prefetch=50&wait_ms=200");
    put_numbers("once", 0, 1000); /* the topic is created after its consumer */
    wait_for(d, &d->distinct, 1000, "all are handled");
    close_consumer(consumer);
    assert_int_equal(d->calls, 1000);
    assert_int_equal(lag_of("once", "lag"), 0);
    desk_free(d);
}

/* Messages of batches are acknowledged out of order, as ranges with gaps between them. */
static void test_batches_and_many_workers(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    hmq_producer *producer = NULL;
    hmq_error err;
    char body[16];
    hmq_consumer *consumer = consume(d, "batches", "?workers=4");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    for (int i = 0; i < BODIES; i++) {
        int n = snprintf(body, sizeof body, "%d", i);
        RIG_CHECK(hmq_send_async(producer, "batches", body, (size_t)n, NULL, RIG_DEADLINE_MS, NULL,
                                 NULL, &err),
                  &err);
    }
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    wait_for(d, &d->distinct, BODIES, "all are handled");
    hmq_consumer_stats stats = {.size = sizeof stats};
    hmq_consumer_stats_get(consumer, &stats);
    assert_int_equal(stats.lost, 0);
    close_consumer(consumer);
    assert_int_equal(d->calls, BODIES);
    assert_int_equal(lag_of("batches", "lag"), 0);
    desk_free(d);
}

static void test_nack_comes_again(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    d->verdict = HMQ_NACK;
    d->delay_ms = 20;
    put_numbers("again", 0, 10);
    hmq_consumer *consumer = consume(d, "again", "?workers=2&wait_ms=200");
    wait_for(d, &d->calls, 20, "all came twice");
    close_consumer(consumer);
    assert_int_equal(d->calls, 20);
    assert_int_equal(d->attempt, 2);
    assert_int_equal(lag_of("again", "lag"), 0);
    desk_free(d);
}

static void test_reject_goes_to_the_dead_letters(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    d->verdict = HMQ_REJECT;
    put_numbers("dead", 0, 3);
    hmq_consumer *consumer = consume(d, "dead", "?wait_ms=200");
    wait_for(d, &d->calls, 3, "all are handled");
    close_consumer(consumer);
    assert_int_equal(lag_of("dead", "dead"), 3);
    assert_int_equal(lag_of("dead", "lag"), 0);
    desk_free(d);
}

static void test_keep_leaves_it_alone(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    d->verdict = HMQ_KEEP;
    put_numbers("kept", 0, 1);
    hmq_consumer *consumer = consume(d, "kept", "?lease_ms=1000&wait_ms=200");
    wait_for(d, &d->calls, 2, "the lease ended and it came again");
    close_consumer(consumer);
    assert_int_equal(d->attempt, 2);
    desk_free(d);
}

static bool extended_twice(void *arg)
{
    hmq_consumer_stats stats = {.size = sizeof stats};
    hmq_consumer_stats_get(arg, &stats);
    return stats.extended >= 4; /* two messages held, twice each */
}

/* The leases of a message whose handler takes several times the lease, and of a message that waits for a handler, are
 * extended. */
static void test_leases_are_extended(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    d->hold = true;
    put_numbers("slow", 0, 2);
    hmq_consumer *consumer = consume(d, "slow", "?lease_ms=4000&wait_ms=200");
    wait_for(d, &d->running, 1, "a handler runs");
    rig_eventually(extended_twice, consumer, "leases are extended");
    release(d);
    wait_for(d, &d->calls, 2, "both are handled");
    hmq_consumer_stats stats = {.size = sizeof stats};
    hmq_consumer_stats_get(consumer, &stats);
    assert_int_equal(stats.lost, 0);
    close_consumer(consumer);
    assert_int_equal(d->calls, 2);
    assert_int_equal(lag_of("slow", "lag"), 0);
    desk_free(d);
}

static void *close_in_thread(void *arg)
{
    close_consumer(arg);
    return NULL;
}

/* hmq_consumer_close waits for the running handler and acknowledges its message. The waiting messages are requeued at
 * once: otherwise their lease of an hour would keep them from the next consumer. */
static void test_drains_on_close(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    pthread_t closer;
    d->hold = true;
    put_numbers("drained", 0, 10);
    hmq_consumer *consumer = consume(d, "drained", "?lease_ms=3600000&wait_ms=200");
    wait_for(d, &d->running, 1, "a handler runs");
    assert_int_equal(pthread_create(&closer, NULL, close_in_thread, consumer), 0);
    release(d);
    pthread_join(closer, NULL);
    hmq_consumer *next = consume(d, "drained", "?wait_ms=200");
    wait_for(d, &d->distinct, 10, "the rest is handled");
    close_consumer(next);
    assert_int_equal(d->calls, 10); /* no message was handled twice */
    assert_int_equal(lag_of("drained", "lag"), 0);
    desk_free(d);
}

static void test_close_without_a_broker(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    hmq_error err;
    put_numbers("alone", 0, 5);
    hmq_consumer *consumer = consume(d, "alone", "?wait_ms=200");
    wait_for(d, &d->calls, 5, "all are handled");
    spawn_kill(broker);
    enum hmq_status status = hmq_consumer_close(consumer, 100, &err);
    assert_true(status == HMQ_OK || status == HMQ_ETIMEDOUT);
    spawn_again(broker);
    desk_free(d);
}

/* Each message is handled at least once, although the broker is killed again and again, and in the end the group has
 * no lag. */
static bool nothing_left(void *arg)
{
    return lag_of(arg, "lag") == 0;
}

static void test_consumes_while_the_broker_dies(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    char topic[] = "killed";
    hmq_consumer *consumer = consume(d, topic, "?workers=2&prefetch=64&lease_ms=1000&wait_ms=200");
    for (int round = 0; round < 4; round++) {
        put_numbers(topic, round * 500, round * 500 + 500);
        wait_for(d, &d->distinct, (unsigned)(round * 500 + 100), "some are handled");
        spawn_kill(broker);
        spawn_again(broker);
    }
    wait_for(d, &d->distinct, 2000, "all are handled");
    rig_eventually(nothing_left, topic, "all are acknowledged");
    close_consumer(consumer);
    desk_free(d);
}

static void test_bounded_by_count(void **state)
{
    (void)state;
    struct desk *d = desk_new();
    d->hold = true;
    put_numbers("bounded", 0, 40);
    hmq_consumer *consumer = consume(d, "bounded", "?workers=2&prefetch=7&wait_ms=50");
    wait_for(d, &d->running, 2, "the workers are busy");
    hmq_consumer_stats stats = {.size = sizeof stats};
    for (int i = 0; i < 20; i++) {
        hmq_consumer_stats_get(consumer, &stats);
        assert_true(stats.held <= 7);
        spawn_pause();
    }
    release(d);
    wait_for(d, &d->distinct, 40, "all are handled");
    close_consumer(consumer);
    assert_int_equal(d->calls, 40);
    desk_free(d);
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    hmq_consumer *consumer = NULL;
    hmq_error err;
    const char *topics[] = {"a", NULL};
    assert_int_equal(hmq_consumer_new(client, "g", topics, 2, handle, NULL, NULL, &consumer, &err),
                     HMQ_EINVAL);
    assert_int_equal(hmq_consumer_new(client, NULL, topics, 1, handle, NULL, NULL, &consumer, &err),
                     HMQ_EINVAL);
    assert_int_equal(hmq_consumer_new(client, "g", topics, 0, handle, NULL, NULL, &consumer, &err),
                     HMQ_EINVAL);
    assert_int_equal(hmq_consumer_new(client, "g", topics, 1, NULL, NULL, NULL, &consumer, &err),
                     HMQ_EINVAL);
    assert_null(consumer);
    RIG_CHECK(hmq_consumer_close(NULL, 0, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_message_once),
        cmocka_unit_test(test_batches_and_many_workers),
        cmocka_unit_test(test_nack_comes_again),
        cmocka_unit_test(test_reject_goes_to_the_dead_letters),
        cmocka_unit_test(test_keep_leaves_it_alone),
        cmocka_unit_test(test_leases_are_extended),
        cmocka_unit_test(test_drains_on_close),
        cmocka_unit_test(test_bounded_by_count),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_close_without_a_broker),
        cmocka_unit_test(test_consumes_while_the_broker_dies),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
