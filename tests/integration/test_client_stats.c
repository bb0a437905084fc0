/*
 * test_client_stats.c: tests what libhalfmq tells of itself: statistics as structures and as JSON, and lines for a log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/fake.h"

/* ---- a log ---- */

struct lines {
    pthread_mutex_t lock;
    char text[65536];
};

static void on_line(void *arg, enum hmq_log_level level, const char *line)
{
    struct lines *l = arg;
    pthread_mutex_lock(&l->lock);
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%d %s\n", level, line);
    pthread_mutex_unlock(&l->lock);
}

static bool lines_have(struct lines *l, const char *what)
{
    pthread_mutex_lock(&l->lock);
    bool have = strstr(l->text, what) != NULL;
    pthread_mutex_unlock(&l->lock);
    return have;
}

static hmq_client *client_with_log(struct fake *p, const char *query, enum hmq_log_level level, struct lines *l)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, query);
    hmq_options_set_log_fn(o, level, on_line, l);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

struct wanted {
    struct lines *lines;
    const char *what;
};

static bool wanted_is_there(void *arg)
{
    struct wanted *w = arg;
    return lines_have(w->lines, w->what);
}

static void await_line(struct lines *l, const char *what)
{
    struct wanted w = {l, what};
    rig_eventually(wanted_is_there, &w, what);
}

static void test_a_log_tells_of_connections(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct lines *l = calloc(1, sizeof *l);
    hmq_error err;
    pthread_mutex_init(&l->lock, NULL);
    hmq_client *client =
        client_with_log(p, "?user=ann&password=s3cret&reconnect_min_ms=1&reconnect_max_ms=1", HMQ_LOG_DEBUG, l);
    fake_answer_call(p);
    await_line(l, "3 connected to 127.0.0.1:");
    await_line(l, "4 connecting to 127.0.0.1:");
    await_line(l, "4 logging in by password");
    hmq_request *request = hmq_request_new("ping");
    hmq_request_repeatable(request);
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    fake_hear(p);
    fake_hang_up(p);
    await_line(l, "2 the connection is lost: ");
    await_line(l, "3 1 requests are sent again on the next connection");
    hmq_client_free(client);
    assert_false(lines_have(l, "s3cret"));
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void test_a_log_has_a_level(void **state)
{
    struct fake *p = *state;
    struct lines *l = calloc(1, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    hmq_client *client = client_with_log(p, "?reconnect_min_ms=1&reconnect_max_ms=1", HMQ_LOG_WARNING, l);
    fake_answer_call(p);
    fake_hang_up(p);
    await_line(l, "2 the connection is lost: ");
    hmq_client_free(client);
    assert_false(lines_have(l, "3 ") || lines_have(l, "4 "));
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- statistics ---- */

static cJSON *json_of(hmq_client *client)
{
    char little[8];
    size_t n = hmq_client_stats_json(client, little, sizeof little);
    assert_true(n > 100);
    assert_int_equal(strlen(little), sizeof little - 1);
    assert_int_equal(hmq_client_stats_json(client, NULL, 0), n);
    char *text = malloc(n + 100);
    assert_true(hmq_client_stats_json(client, text, n + 100) < n + 100);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

static uint64_t number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_true(cJSON_IsNumber(item));
    return (uint64_t)cJSON_GetNumberValue(item);
}

static const cJSON *only(const cJSON *json, const char *name)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, name);
    assert_int_equal(cJSON_GetArraySize(list), 1);
    return cJSON_GetArrayItem(list, 0);
}

/* The slots of a histogram hold as many as it says. */
static void expect_latency(const cJSON *object, const hmq_latency *s)
{
    const cJSON *l = cJSON_GetObjectItemCaseSensitive(object, "latency_us"), *slot;
    uint64_t total = 0;
    cJSON_ArrayForEach(slot, cJSON_GetObjectItemCaseSensitive(l, "slots"))
        total += (uint64_t)cJSON_GetNumberValue(cJSON_GetArrayItem(slot, 1));
    assert_int_equal(total, number(l, "count"));
    assert_int_equal(number(l, "count"), s->count);
    assert_int_equal(number(l, "p99"), s->p99_us);
    assert_true(s->max_us > 0 && s->p50_us <= s->p90_us && s->p99_us <= s->p999_us && s->p999_us <= s->max_us);
    assert_true(s->sum_us >= s->max_us);
}

static void test_a_producer_counts(void **state)
{
    hmq_client *client = rig_connect(rig.broker, "");
    hmq_producer *producer = NULL;
    hmq_producer_stats s = {.size = sizeof s};
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send(producer, "p", "x", 1, NULL, HMQ_DEFAULT, NULL, &err), &err);
    for (int i = 0; i < 500; i++)
        RIG_CHECK(hmq_send_async(producer, "p", "x", 1, NULL, HMQ_DEFAULT, NULL, NULL, &err), &err);
    RIG_CHECK(hmq_producer_flush(producer, HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_send(producer, "a b", "x", 1, NULL, HMQ_DEFAULT, NULL, &err), HMQ_EBADNAME);
    RIG_CHECK(hmq_producer_stats_get(producer, &s), &err);
    assert_int_equal(s.done, 501);
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.unknown, 0);
    assert_true(s.batches > 0 && s.batches < 500);
    assert_int_equal(s.inflight, 0);
    assert_int_equal(s.latency.count, 501);
    cJSON *json = json_of(client);
    const cJSON *own = only(json, "producers");
    assert_int_equal(number(own, "done"), 501);
    assert_int_equal(number(own, "batches"), s.batches);
    expect_latency(own, &s.latency);
    cJSON_Delete(json);
    hmq_producer_close(producer, HMQ_DEFAULT, NULL);
    json = json_of(client);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "producers")), 0);
    cJSON_Delete(json);
    hmq_client_free(client);
}

static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg, (void)m, (void)retry;
    return HMQ_ACK;
}

static bool all_are_acked(void *arg)
{
    hmq_consumer_stats s = {.size = sizeof s};
    assert_int_equal(hmq_consumer_stats_get(arg, &s), HMQ_OK);
    return s.acked == 20;
}

static void test_a_consumer_counts(void **state)
{
    const char *topics[] = {"c"};
    hmq_client *client = rig_connect(rig.broker, "");
    hmq_consumer *consumer = NULL;
    hmq_consumer_stats s = {.size = sizeof s};
    hmq_error err;
    (void)state;
    for (int i = 0; i < 20; i++)
        rig_put(client, "c", "x");
    RIG_CHECK(hmq_consumer_new(client, "g", topics, 1, on_message, NULL, NULL, &consumer, &err), &err);
    rig_eventually(all_are_acked, consumer, "all are acknowledged");
    RIG_CHECK(hmq_consumer_stats_get(consumer, &s), &err);
    assert_int_equal(s.latency.count, 20);
    assert_int_equal(s.acks_lost, 0);
    cJSON *json = json_of(client);
    const cJSON *own = only(json, "consumers");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(own, "group")), "g");
    assert_int_equal(number(own, "acked"), 20);
    assert_int_equal(number(own, "acks_lost"), 0);
    cJSON_Delete(json);
    hmq_consumer_close(consumer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
}

static enum hmq_verdict on_message_of_lost_group(void *arg, const hmq_message *m, hmq_retry *retry)
{
    const char *receipt = hmq_message_receipt(m);
    hmq_error err;
    (void)retry;
    RIG_CHECK(hmq_ack(arg, "lost", &receipt, 1, HMQ_DEFAULT, NULL, &err), &err); /* so that the second one does not count */
    return HMQ_ACK;
}

static bool an_ack_is_lost(void *arg)
{
    hmq_consumer_stats s = {.size = sizeof s};
    assert_int_equal(hmq_consumer_stats_get(arg, &s), HMQ_OK);
    return s.acks_lost == 1;
}

static void test_acknowledgements_that_are_lost_are_counted(void **state)
{
    const char *topics[] = {"l"};
    hmq_client *client = rig_connect(rig.broker, "");
    hmq_consumer *consumer = NULL;
    hmq_error err;
    (void)state;
    rig_put(client, "l", "x");
    RIG_CHECK(hmq_consumer_new(client, "lost", topics, 1, on_message_of_lost_group, client, NULL, &consumer, &err), &err);
    rig_eventually(an_ack_is_lost, consumer, "it counts");
    hmq_consumer_close(consumer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
}

static void test_a_client_counts(void **state)
{
    hmq_client *client = rig_connect(rig.broker, "");
    hmq_txn_producer *producer = NULL;
    hmq_client_stats s = {.size = sizeof s};
    hmq_producer_stats t = {.size = sizeof t};
    hmq_txid txid = 0;
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_txn_producer_new(client, "pg", NULL, NULL, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_txn_half(producer, "t", "x", 1, NULL, HMQ_DEFAULT, &txid, &err), &err);
    RIG_CHECK(hmq_txn_commit(producer, txid, HMQ_DEFAULT, NULL, &err), &err);
    assert_int_equal(hmq_txn_rollback(producer, txid, HMQ_DEFAULT, &err), HMQ_ETXNCONFLICT);
    RIG_CHECK(hmq_txn_producer_stats_get(producer, &t), &err);
    assert_int_equal(t.done, 2);
    assert_int_equal(t.failed, 1);
    RIG_CHECK(hmq_client_stats_get(client, &s), &err);
    assert_int_equal(s.connected, 1);
    assert_int_equal(s.connects, 1);
    assert_int_equal(s.disconnects, 0);
    assert_int_equal(s.latency.count, s.responses);
    assert_int_equal(s.responses, 3);
    cJSON *json = json_of(client);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "version")), hmq_version());
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "connected")));
    assert_int_equal(number(json, "requests"), 3);
    assert_int_equal(number(json, "bytes_out"), s.bytes_out);
    assert_int_equal(number(json, "unknown"), 0);
    assert_int_equal(number(only(json, "txn_producers"), "done"), 2);
    expect_latency(json, &s.latency);
    cJSON_Delete(json);
    s.size = 3;
    assert_int_equal(hmq_client_stats_get(client, &s), HMQ_EINVAL);
    hmq_txn_producer_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
}

static void test_a_reader_counts(void **state)
{
    hmq_client *client = rig_connect(rig.broker, "");
    hmq_reader *reader = NULL;
    hmq_reader_stats s = {.size = sizeof s};
    hmq_batch *batch = NULL;
    hmq_error err;
    (void)state;
    hmq_reply_free(rig_ask(client, "topic_create", (const char *[]){"name", "r", "queues", "1", NULL}));
    rig_put(client, "r", "gone");
    hmq_reply_free(rig_ask(client, "topic_purge", (const char *[]){"name", "r", NULL}));
    rig_put(client, "r", "x");
    RIG_CHECK(hmq_reader_new(client, "r", 0, 0, NULL, &reader, &err), &err);
    RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err);
    hmq_batch_free(batch);
    assert_int_equal(hmq_reader_stats_get(reader, &s), HMQ_OK);
    assert_int_equal(s.received, 1);
    assert_int_equal(s.read, 1);
    assert_int_equal(s.batches, 1);
    assert_int_equal(s.left_out, 1);
    assert_int_equal(s.streams, 1);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.waiting_bytes, 0);
    assert_true(s.received_bytes > 1);
    cJSON *json = json_of(client);
    const cJSON *own = only(json, "readers");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(own, "topic")), "r");
    assert_int_equal(number(own, "queue"), 0);
    assert_int_equal(number(own, "received"), 1);
    assert_int_equal(number(own, "waiting_bytes"), 0);
    cJSON_Delete(json);
    s.size = 3;
    assert_int_equal(hmq_reader_stats_get(reader, &s), HMQ_EINVAL);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    json = json_of(client);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "readers")), 0);
    cJSON_Delete(json);
    hmq_client_free(client);
}

static void on_copy(void *arg, const char *topic, const void *body, size_t len)
{
    (void)arg, (void)topic, (void)body, (void)len;
}

static bool has_two_copies(void *arg)
{
    hmq_subscription_stats s = {.size = sizeof s};
    assert_int_equal(hmq_subscription_stats_get(arg, &s), HMQ_OK);
    return s.copies == 2;
}

static bool has_begun(void *arg)
{
    hmq_subscription_stats s = {.size = sizeof s};
    assert_int_equal(hmq_subscription_stats_get(arg, &s), HMQ_OK);
    return s.begun == 1;
}

static void test_a_subscription_counts(void **state)
{
    hmq_client *client = rig_connect(rig.broker, "");
    hmq_subscription *subscription = NULL;
    hmq_subscription_stats s = {.size = sizeof s};
    const char *topics[] = {"live"};
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_subscription_new(client, topics, 1, on_copy, NULL, &subscription, &err), &err);
    rig_eventually(has_begun, subscription, "copies begin");
    rig_put(client, "live", "one");
    rig_put(client, "live", "three");
    rig_eventually(has_two_copies, subscription, "both copies come");
    assert_int_equal(hmq_subscription_stats_get(subscription, &s), HMQ_OK);
    assert_int_equal(s.bytes, 8);
    cJSON *json = json_of(client);
    assert_int_equal(number(only(json, "subscriptions"), "copies"), 2);
    cJSON_Delete(json);
    s.size = 3;
    assert_int_equal(hmq_subscription_stats_get(subscription, &s), HMQ_EINVAL);
    RIG_CHECK(hmq_subscription_close(subscription, &err), &err);
    hmq_client_free(client);
}

static void test_lost_connections_are_counted(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_client_stats s = {.size = sizeof s};
    hmq_error err;
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=1");
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    fake_answer_call(p);
    fake_hear(p);
    fake_hang_up(p);
    rig_eventually(fake_ended, &r, "the request ends");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    RIG_CHECK(hmq_client_stats_get(client, &s), &err);
    assert_int_equal(s.disconnects, 1);
    assert_int_equal(s.unknown, 1);
    assert_int_equal(s.latency.count, 0);
    hmq_client_free(client);
}

#define WITH_FAKE(f) cmocka_unit_test_setup_teardown(f, fake_start, fake_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FAKE(test_a_log_tells_of_connections),
        WITH_FAKE(test_a_log_has_a_level),
        cmocka_unit_test(test_a_producer_counts),
        cmocka_unit_test(test_a_consumer_counts),
        cmocka_unit_test(test_acknowledgements_that_are_lost_are_counted),
        cmocka_unit_test(test_a_client_counts),
        cmocka_unit_test(test_a_reader_counts),
        cmocka_unit_test(test_a_subscription_counts),
        WITH_FAKE(test_lost_connections_are_counted),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
