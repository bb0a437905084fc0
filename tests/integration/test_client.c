/*
 * test_client.c: tests libhalfmq against a broker: any command, producing, plain consuming; from several
 * threads, and while the broker is killed.
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
#include <time.h>

#include "tests/lib/rig.h"
#include "tests/lib/prng.h"

static struct spawned *broker;
static hmq_client *client;

static int start(void **state)
{
    (void)state;
    broker = rig_spawn(NULL);
    client = rig_connect(broker, "");
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

/* ---- any command ---- */

static void test_any_command(void **state)
{
    (void)state;
    hmq_error err;
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    hmq_reply *reply = rig_ask(client, "ping", NULL);
    assert_string_equal(hmq_reply_text(reply), "PONG");
    hmq_reply_free(reply);
    const char *create[] = {"name", "three", "queues", "3", NULL};
    hmq_reply_free(rig_ask(client, "topic_create", create));
    const char *info[] = {"name", "three", NULL};
    reply = rig_ask(client, "topic_info", info);
    assert_int_equal(hmq_reply_type(reply), HMQ_MAP);
    hmq_reply_free(reply);
}

static enum hmq_status ask_status(const char *method, const char *name, const char *value,
                                  hmq_error *err)
{
    hmq_request *request = hmq_request_new(method);
    if (name)
        hmq_request_put_text(request, name, value);
    enum hmq_status status = hmq_call(client, request, HMQ_DEFAULT, NULL, err);
    hmq_request_free(request);
    return status;
}

static void test_errors_have_codes_and_texts(void **state)
{
    (void)state;
    hmq_error err;
    assert_int_equal(ask_status("topic_info", "name", "nowhere", &err), HMQ_ENOTOPIC);
    assert_int_equal(err.code, HMQ_ENOTOPIC);
    assert_non_null(strstr(err.text, "nowhere"));
    assert_int_equal(ask_status("group_info", "group", "nobody", &err), HMQ_ENOGROUP);
    assert_int_equal(ask_status("commit", "txid", "4294967297", &err), HMQ_ENOTXN);
    assert_int_equal(ask_status("topic_create", "name", "no/slash", &err), HMQ_EBADNAME);
    assert_int_equal(ask_status("fly", NULL, NULL, &err), HMQ_EREFUSED);
    assert_int_equal(ask_status("commit", NULL, NULL, &err), HMQ_EREFUSED);
    assert_true(strlen(err.text) > 5);
    assert_int_equal(ask_status("commit", "txid", NULL, &err), HMQ_EINVAL);
    assert_int_equal(ask_status("", NULL, NULL, &err), HMQ_EINVAL);
}

static void test_several_bodies_at_once(void **state)
{
    (void)state;
    const void *bodies[] = {"one", "", "three\0"};
    const size_t lens[] = {3, 0, 6};
    hmq_request *request = hmq_request_new("msend");
    hmq_reply *reply = NULL;
    hmq_error err;
    hmq_request_put_text(request, "topic", "several");
    hmq_request_put_bytes_list(request, "body", bodies, lens, 3);
    RIG_CHECK(hmq_call(client, request, HMQ_DEFAULT, &reply, &err), &err);
    assert_int_equal(hmq_reply_len(reply), 3);
    hmq_reply_free(reply);
    hmq_request_free(request);
}

struct answers {
    pthread_mutex_t lock;
    unsigned good, bad;
};

static void count_reply(void *arg, hmq_reply *reply, const hmq_error *err)
{
    struct answers *a = arg;
    pthread_mutex_lock(&a->lock);
    a->good += err->code == HMQ_OK && reply;
    a->bad += err->code != HMQ_OK;
    pthread_mutex_unlock(&a->lock);
    hmq_reply_free(reply);
}

static void test_asynchronous_calls(void **state)
{
    (void)state;
    struct answers a = {PTHREAD_MUTEX_INITIALIZER, 0, 0};
    hmq_request *ping = hmq_request_new("ping"), *wrong = hmq_request_new("nonsense");
    hmq_error err;
    for (int i = 0; i < 500; i++) {
        RIG_CHECK(hmq_call_async(client, ping, RIG_DEADLINE_MS, count_reply, &a, &err), &err);
        RIG_CHECK(hmq_call_async(client, wrong, RIG_DEADLINE_MS, count_reply, &a, &err), &err);
    }
    RIG_CHECK(hmq_client_flush(client, RIG_DEADLINE_MS, &err), &err);
    hmq_request_free(ping);
    hmq_request_free(wrong);
    pthread_mutex_lock(&a.lock);
    assert_int_equal(a.good, 500);
    assert_int_equal(a.bad, 500);
    pthread_mutex_unlock(&a.lock);
}

static void block_in_callback(void *arg, hmq_reply *reply, const hmq_error *err)
{
    _Atomic int *result = arg;
    (void)err;
    hmq_reply_free(reply);
    atomic_store(result, (int)ask_status("ping", NULL, NULL, NULL));
}

static bool is_set(void *arg)
{
    return atomic_load((_Atomic int *)arg) >= 0;
}

static void test_blocking_in_a_callback(void **state)
{
    (void)state;
    static _Atomic int result;
    atomic_store(&result, -1);
    hmq_request *ping = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, ping, RIG_DEADLINE_MS, block_in_callback, &result, NULL),
              NULL);
    hmq_request_free(ping);
    rig_eventually(is_set, &result, "the callback ran");
    assert_int_equal(atomic_load(&result), HMQ_EWOULDBLOCK);
}

/* ---- producing ---- */

static void test_send_and_pop(void **state)
{
    (void)state;
    hmq_producer *producer = NULL;
    hmq_error err;
    char id[HMQ_ID_SIZE];
    hmq_prop prop = {"trace", "abc"};
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.key = "k";
    o.tag = "red";
    o.queue = 2;
    o.props = &prop;
    o.n_props = 1;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send(producer, "sent", "a\0b", 3, &o, HMQ_DEFAULT, id, &err), &err);
    assert_string_equal(id, "sent:2:0");
    RIG_CHECK(hmq_send(producer, "sent", NULL, 0, &o, HMQ_DEFAULT, NULL, &err), &err);
    assert_int_equal(hmq_send(producer, "no/slash", "x", 1, NULL, HMQ_DEFAULT, id, &err),
                     HMQ_EBADNAME);
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, &err), &err);

    const char *topic = "sent";
    hmq_batch *batch = NULL;
    size_t len;
    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 10, 0, 5000, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 2);
    const hmq_message *m = hmq_batch_at(batch, 0);
    assert_string_equal(hmq_message_id(m), "sent:2:0");
    assert_string_equal(hmq_message_receipt(m), "sent:2:0#1");
    assert_memory_equal(hmq_message_body(m, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_string_equal(hmq_message_key(m, 0), "k");
    assert_string_equal(hmq_message_tag(m), "red");
    assert_string_equal(hmq_message_prop(m, "trace"), "abc");
    assert_string_equal(hmq_message_topic(m), "sent");
    assert_int_equal(hmq_message_queue(m), 2);
    assert_int_equal(hmq_message_attempt(m), 1);
    assert_true(hmq_message_stored_ms(m) > 1500000000000);
    assert_true(hmq_message_lease_until_ms(m) > hmq_message_stored_ms(m));
    hmq_batch_free(batch);
}

static void test_ack_nack_extend_reject(void **state)
{
    (void)state;
    const char *topic = "handled";
    hmq_batch *batch = NULL;
    hmq_error err;
    size_t count = 9;
    for (int i = 0; i < 4; i++)
        rig_put(client, topic, "x");
    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 4, 1000, HMQ_DEFAULT, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 4);
    const char *receipts[4];
    for (size_t i = 0; i < 4; i++)
        receipts[i] = hmq_message_receipt(hmq_batch_at(batch, i));
    RIG_CHECK(hmq_ack(client, "g", receipts, 2, HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 2);
    RIG_CHECK(hmq_ack(client, "g", receipts, 2, HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 0);
    RIG_CHECK(hmq_extend(client, "g", receipts[2], 60000, HMQ_DEFAULT, &err), &err);
    RIG_CHECK(hmq_nack(client, "g", receipts[2], 0, "not now", HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_extend(client, "g", receipts[2], 60000, HMQ_DEFAULT, &err), HMQ_ESTALE);
    RIG_CHECK(hmq_reject(client, "g", receipts[3], "never", HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_nack(client, "g", "nonsense", 0, NULL, HMQ_DEFAULT, &err), HMQ_EREFUSED);
    hmq_batch_free(batch);
    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 4, RIG_DEADLINE_MS, HMQ_DEFAULT, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 1);
    assert_int_equal(hmq_message_attempt(hmq_batch_at(batch, 0)), 2);
    hmq_batch_free(batch);
    topic = "nothing here";
    assert_int_equal(hmq_pop(client, "g", &topic, 1, 4, 0, HMQ_DEFAULT, &batch, &err),
                     HMQ_EBADNAME);
    topic = "nothing";
    assert_int_equal(hmq_pop(client, "g", &topic, 1, 4, 0, HMQ_DEFAULT, &batch, &err),
                     HMQ_ENOTOPIC);
}

static void test_same_dedup_same_id(void **state)
{
    (void)state;
    hmq_producer *producer = NULL;
    hmq_error err;
    char first[HMQ_ID_SIZE], second[HMQ_ID_SIZE];
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.dedup = "payment-17";
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send(producer, "once", "x", 1, &o, HMQ_DEFAULT, first, &err), &err);
    RIG_CHECK(hmq_send(producer, "once", "x", 1, &o, HMQ_DEFAULT, second, &err), &err);
    assert_string_equal(first, second);
    RIG_CHECK(hmq_send(producer, "once", "x", 1, NULL, HMQ_DEFAULT, second, &err), &err);
    assert_string_not_equal(first, second);
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, &err), &err);
}

static void test_delayed(void **state)
{
    (void)state;
    hmq_producer *producer = NULL;
    hmq_batch *batch = NULL;
    hmq_error err;
    const char *topic = "delayed";
    char soon[HMQ_ID_SIZE], far[HMQ_ID_SIZE];
    hmq_send_options o = HMQ_SEND_OPTIONS;
    int64_t before_ms = (int64_t)time(NULL) * 1000;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    o.delay_ms = 30;
    RIG_CHECK(hmq_send(producer, topic, "soon", 4, &o, HMQ_DEFAULT, soon, &err), &err);
    o.delay_ms = 0;
    o.at_ms = before_ms + 3600 * 1000;
    RIG_CHECK(hmq_send(producer, topic, "far", 3, &o, HMQ_DEFAULT, far, &err), &err);
    assert_true(soon[0] == '@' && far[0] == '@');
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, &err), &err);

    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 10, RIG_DEADLINE_MS, HMQ_DEFAULT, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 1);
    const hmq_message *m = hmq_batch_at(batch, 0);
    size_t len;
    assert_memory_equal(hmq_message_body(m, &len), "soon", 4);
    assert_true(hmq_message_stored_ms(m) >= before_ms + 30);
    hmq_batch_free(batch);
}

struct sends {
    _Atomic unsigned good, bad;
};

static void count_sent(void *arg, const char *id, const hmq_error *err)
{
    struct sends *s = arg;
    if (id)
        atomic_fetch_add(&s->good, 1);
    else
        atomic_fetch_add(&s->bad, 1);
    (void)err;
}

static void send_numbers(hmq_producer *producer, const char *topic, size_t from, size_t to,
                         struct sends *s)
{
    char body[24];
    hmq_error err;
    for (size_t i = from; i < to; i++) {
        int n = snprintf(body, sizeof body, "%zu", i);
        RIG_CHECK(hmq_send_async(producer, topic, body, (size_t)n, NULL, RIG_DEADLINE_MS,
                                 count_sent, s, &err),
                  &err);
    }
}

static void expect_each_once(const char *topic, size_t n)
{
    unsigned *counts = rig_count_bodies(client, topic, 4, n);
    for (size_t i = 0; i < n; i++)
        if (counts[i] != 1)
            fail_msg("message %zu is stored %u times", i, counts[i]);
    free(counts);
}

static void test_many_asynchronous_sends(void **state)
{
    (void)state;
    struct sends s = {0, 0};
    hmq_producer *producer = NULL;
    hmq_error err;
    hmq_options *o = hmq_options_new();
    RIG_CHECK(hmq_options_set(o, "linger_ms", "2", &err), &err);
    RIG_CHECK(hmq_options_set(o, "max_inflight", "500", &err), &err);
    RIG_CHECK(hmq_producer_new(client, o, &producer, &err), &err);
    hmq_options_free(o);
    send_numbers(producer, "many", 0, 20000, &s);
    RIG_CHECK(hmq_producer_flush(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(atomic_load(&s.good), 20000);
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, &err), &err);
    expect_each_once("many", 20000);
}

static void test_bodies_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 1 << 20, 4 << 20};
    static char body[(4 << 20) + 1];
    hmq_producer *producer = NULL;
    hmq_batch *batch = NULL;
    hmq_error err;
    const char *topic = "sizes";
    size_t len;
    memset(body, 'x', sizeof body);
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        RIG_CHECK(hmq_send(producer, topic, body, sizes[i], NULL, RIG_DEADLINE_MS, NULL, &err),
                  &err);
        RIG_CHECK(hmq_pop(client, "g", &topic, 1, 1, 1000, HMQ_DEFAULT, &batch, &err), &err);
        assert_memory_equal(hmq_message_body(hmq_batch_at(batch, 0), &len), body, sizes[i]);
        assert_int_equal(len, sizes[i]);
        hmq_batch_free(batch);
    }
    assert_int_equal(
        hmq_send(producer, topic, body, sizeof body, NULL, RIG_DEADLINE_MS, NULL, &err),
        HMQ_ETOOBIG);
    RIG_CHECK(hmq_send(producer, topic, body, 1, NULL, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, &err), &err);
}

/* ---- several threads ---- */

#define THREADS 8
#define EACH 200

struct sender_thread {
    pthread_t thread;
    hmq_producer *producer;
    size_t from;
    unsigned failed;
};

static void *send_blocking(void *arg)
{
    struct sender_thread *t = arg;
    char body[24];
    for (size_t i = t->from; i < t->from + EACH; i++) {
        int n = snprintf(body, sizeof body, "%zu", i);
        t->failed += hmq_send(t->producer, "threads", body, (size_t)n, NULL, RIG_DEADLINE_MS, NULL,
                              NULL) != HMQ_OK;
    }
    return NULL;
}

static void run_senders(void (*meanwhile)(void))
{
    struct sender_thread threads[THREADS];
    hmq_producer *producer = NULL;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, NULL), NULL);
    for (size_t i = 0; i < THREADS; i++) {
        threads[i] = (struct sender_thread){.producer = producer, .from = i * EACH};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, send_blocking, &threads[i]), 0);
    }
    if (meanwhile)
        meanwhile();
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        assert_int_equal(threads[i].failed, 0);
    }
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, NULL), NULL);
    expect_each_once("threads", (size_t)THREADS * EACH);
    hmq_reply_free(rig_ask(client, "topic_delete", (const char *[]){"name", "threads", NULL}));
}

static void test_blocking_sends_of_threads(void **state)
{
    (void)state;
    run_senders(NULL);
}

static void kill_and_start(void)
{
    for (int i = 0; i < 3; i++) {
        spawn_pause();
        spawn_kill(broker);
        spawn_again(broker);
    }
}

static void test_blocking_sends_while_the_broker_dies(void **state)
{
    (void)state;
    run_senders(kill_and_start);
}

struct quota {
    struct sends *sends;
    unsigned wanted;
};

static bool some_sent(void *arg)
{
    struct quota *q = arg;
    return atomic_load(&q->sends->good) >= q->wanted;
}

/* Every message with a reply is stored, and none twice, although the broker is killed again and again. */
static void test_asynchronous_sends_while_the_broker_dies(void **state)
{
    (void)state;
    struct prng chance = prng_start();
    struct sends s = {0, 0};
    hmq_producer *producer = NULL;
    hmq_client_stats stats = {.size = sizeof stats};
    hmq_error err;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    for (size_t round = 0; round < 5; round++) {
        struct quota q = {&s, atomic_load(&s.good) + (unsigned)prng_below(&chance, 1500)};
        send_numbers(producer, "killed", round * 2000, (round + 1) * 2000, &s);
        rig_eventually(some_sent, &q, "some are answered");
        spawn_kill(broker);
        spawn_again(broker);
    }
    RIG_CHECK(hmq_producer_flush(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(atomic_load(&s.bad), 0);
    assert_int_equal(atomic_load(&s.good), 10000);
    RIG_CHECK(hmq_producer_close(producer, HMQ_DEFAULT, &err), &err);
    expect_each_once("killed", 10000);
    hmq_client_stats_get(client, &stats);
    assert_true(stats.connects > 1);
    assert_true(stats.connected);
    assert_int_equal(stats.pending, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_command),
        cmocka_unit_test(test_errors_have_codes_and_texts),
        cmocka_unit_test(test_several_bodies_at_once),
        cmocka_unit_test(test_asynchronous_calls),
        cmocka_unit_test(test_blocking_in_a_callback),
        cmocka_unit_test(test_send_and_pop),
        cmocka_unit_test(test_ack_nack_extend_reject),
        cmocka_unit_test(test_same_dedup_same_id),
        cmocka_unit_test(test_delayed),
        cmocka_unit_test(test_many_asynchronous_sends),
        cmocka_unit_test(test_bodies_of_every_size),
        cmocka_unit_test(test_blocking_sends_of_threads),
        cmocka_unit_test(test_blocking_sends_while_the_broker_dies),
        cmocka_unit_test(test_asynchronous_sends_while_the_broker_dies),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
