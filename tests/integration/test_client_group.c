/*
 * test_client_group.c: tests the typed functions for groups, dead letters and topics, and the consumer whose group keeps
 * the order.
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

#include "tests/lib/rig.h"

static hmq_producer *producer;

static int start(void **state)
{
    hmq_error err;
    if (rig_start(state) != 0)
        return -1;
    RIG_CHECK(hmq_producer_new(rig.client, NULL, &producer, &err), &err);
    return 0;
}

static int stop(void **state)
{
    hmq_producer_close(producer, RIG_DEADLINE_MS, NULL);
    return rig_stop(state);
}

static void create(const char *topic, uint32_t queues)
{
    hmq_topic_settings s = HMQ_TOPIC_SETTINGS;
    hmq_error err;
    s.queues = queues;
    RIG_CHECK(hmq_topic_create(rig.client, topic, &s, HMQ_DEFAULT, &err), &err);
}

static void put(const char *topic, const char *body, const hmq_send_options *o, char *ret_id)
{
    hmq_error err;
    RIG_CHECK(hmq_send(producer, topic, body, strlen(body), o, HMQ_DEFAULT, ret_id, &err), &err);
}

static void put_many(const char *topic, unsigned n)
{
    char body[16];
    for (unsigned i = 0; i < n; i++) {
        snprintf(body, sizeof body, "%u", i);
        put(topic, body, NULL, NULL);
    }
}

/* Up to count messages. The caller frees the batch. */
static hmq_batch *pop(const char *group, const char *topic, size_t count, int64_t wait_ms)
{
    hmq_batch *batch = NULL;
    hmq_error err;
    RIG_CHECK(hmq_pop(rig.client, group, &topic, 1, count, wait_ms, 60000, &batch, &err), &err);
    return batch;
}

/* Acknowledges or rejects whatever is ready; returns how many that were. */
static size_t end_all(const char *group, const char *topic, bool reject)
{
    size_t n = 0, got;
    hmq_error err;
    do {
        hmq_batch *batch = pop(group, topic, 100, 0);
        got = hmq_batch_count(batch);
        for (size_t i = 0; i < got; i++) {
            const char *receipt = hmq_message_receipt(hmq_batch_at(batch, i));
            if (reject)
                RIG_CHECK(hmq_reject(rig.client, group, receipt, "no use", HMQ_DEFAULT, &err), &err);
            else
                RIG_CHECK(hmq_ack(rig.client, group, &receipt, 1, HMQ_DEFAULT, NULL, &err), &err);
        }
        n += got;
        hmq_batch_free(batch);
    } while (got > 0);
    return n;
}

static void test_settings(void **state)
{
    const int64_t pauses[] = {100, 2000};
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_reply *info = NULL;
    hmq_error err;
    (void)state;
    assert_int_equal(hmq_group_create(rig.client, "set", "nowhere", NULL, &s, HMQ_DEFAULT, &err), HMQ_ENOTOPIC);
    create("settings", 2);
    s.ordered = 1;
    s.lease_ms = 7000;
    s.attempts = 5;
    s.backoff_ms = pauses;
    s.n_backoff_ms = 2;
    s.rate = 100;
    s.inflight = 10;
    s.filter_kind = HMQ_FILTER_TAG;
    s.filter = "a||b";
    RIG_CHECK(hmq_group_create(rig.client, "set", "settings", NULL, &s, HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_group_create(rig.client, "set", "settings", NULL, &s, HMQ_DEFAULT, &err), HMQ_EEXISTS);
    RIG_CHECK(hmq_group_info(rig.client, "set", HMQ_DEFAULT, &info, &err), &err);
    const hmq_reply *row = hmq_reply_at(info, 0);
    assert_int_equal(hmq_reply_int(hmq_reply_get(row, "lease"), 0), 7000);
    assert_int_equal(hmq_reply_int(hmq_reply_get(row, "attempts"), 0), 5);
    assert_int_equal(hmq_reply_int(hmq_reply_get(row, "rate"), 0), 100);
    assert_int_equal(hmq_reply_int(hmq_reply_get(row, "inflight_max"), 0), 10);
    hmq_reply_free(info);
    s = (hmq_group_settings)HMQ_GROUP_SETTINGS;
    s.filter_kind = HMQ_FILTER_WHERE;
    s.filter = "price >";
    assert_int_equal(hmq_group_set(rig.client, "set", "settings", &s, HMQ_DEFAULT, &err), HMQ_EREFUSED);
    assert_non_null(strstr(err.text, "FILTER"));
    s.filter_kind = HMQ_FILTER_NONE;
    s.ordered = 0;
    s.rate = s.inflight = 0;
    RIG_CHECK(hmq_group_set(rig.client, "set", "settings", &s, HMQ_DEFAULT, &err), &err);
    RIG_CHECK(hmq_group_info(rig.client, "set", HMQ_DEFAULT, &info, &err), &err);
    row = hmq_reply_at(info, 0);
    assert_int_equal(hmq_reply_int(hmq_reply_get(row, "lease"), 0), 7000); /* left */
    assert_int_equal(hmq_reply_int(hmq_reply_get(row, "rate"), 0), 0);
    hmq_reply_free(info);
    put_many("settings", 3);
    assert_int_equal(end_all("set", "settings", false), 3);
    RIG_CHECK(hmq_group_delete(rig.client, "set", HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_group_set(rig.client, "set", "settings", &s, HMQ_DEFAULT, &err), HMQ_ENOGROUP);
}

static void test_filters(void **state)
{
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    const hmq_prop dear = {"price", "30"}, cheap = {"price", "3"};
    hmq_error err;
    (void)state;
    create("filtered", 1);
    s.filter_kind = HMQ_FILTER_TAG;
    s.filter = "eu||us";
    RIG_CHECK(hmq_group_create(rig.client, "tags", "filtered", NULL, &s, HMQ_DEFAULT, &err), &err);
    s.filter_kind = HMQ_FILTER_WHERE;
    s.filter = "price BETWEEN 10 AND 50";
    RIG_CHECK(hmq_group_create(rig.client, "dear", "filtered", NULL, &s, HMQ_DEFAULT, &err), &err);
    o.n_props = 1;
    o.props = &dear;
    o.tag = "eu";
    put("filtered", "dear eu", &o, NULL);
    o.props = &cheap;
    put("filtered", "cheap eu", &o, NULL);
    o.tag = "jp";
    put("filtered", "cheap jp", &o, NULL);
    hmq_batch *batch = pop("dear", "filtered", 10, RIG_DEADLINE_MS);
    assert_int_equal(hmq_batch_count(batch), 1);
    assert_string_equal(hmq_message_body(hmq_batch_at(batch, 0), NULL), "dear eu");
    hmq_batch_free(batch);
    assert_int_equal(end_all("tags", "filtered", false), 2);
}

static void test_pausing(void **state)
{
    hmq_error err;
    (void)state;
    create("paused", 1);
    RIG_CHECK(hmq_group_create(rig.client, "pauser", "paused", NULL, NULL, HMQ_DEFAULT, &err), &err);
    put_many("paused", 2);
    RIG_CHECK(hmq_group_pause(rig.client, "pauser", "paused", HMQ_DEFAULT, &err), &err);
    assert_int_equal(end_all("pauser", "paused", false), 0);
    RIG_CHECK(hmq_group_resume(rig.client, "pauser", NULL, HMQ_DEFAULT, &err), &err);
    assert_int_equal(end_all("pauser", "paused", false), 2);
    assert_int_equal(hmq_group_pause(rig.client, "nobody", NULL, HMQ_DEFAULT, &err), HMQ_ENOGROUP);
}

static int64_t would_be_ready(const char *group, const char *topic, const hmq_position *to)
{
    hmq_reply *map = NULL;
    hmq_error err;
    RIG_CHECK(hmq_group_seek_dry_run(rig.client, group, topic, to, HMQ_DEFAULT, &map, &err), &err);
    int64_t n = hmq_reply_int(hmq_reply_get(map, "ready"), -1);
    hmq_reply_free(map);
    return n;
}

static void test_seeking(void **state)
{
    hmq_position to = {.place = HMQ_AT_EARLIEST};
    hmq_error err;
    (void)state;
    create("sought", 1);
    put_many("sought", 5);
    assert_int_equal(end_all("seeker", "sought", false), 5);
    assert_int_equal(would_be_ready("seeker", "sought", &to), 5);
    assert_int_equal(end_all("seeker", "sought", false), 0); /* nothing has changed */
    RIG_CHECK(hmq_group_seek(rig.client, "seeker", "sought", &to, HMQ_DEFAULT, &err), &err);
    assert_int_equal(end_all("seeker", "sought", false), 5);
    to = (hmq_position){.place = HMQ_AT_OFFSET, .queue = 0, .offset = 3};
    assert_int_equal(would_be_ready("seeker", "sought", &to), 2);
    RIG_CHECK(hmq_group_seek(rig.client, "seeker", "sought", &to, HMQ_DEFAULT, &err), &err);
    hmq_batch *batch = pop("seeker", "sought", 10, 0);
    assert_int_equal(hmq_batch_count(batch), 2);
    const char *stale = hmq_message_receipt(hmq_batch_at(batch, 0));
    to = (hmq_position){.place = HMQ_AT_LATEST};
    RIG_CHECK(hmq_group_seek(rig.client, "seeker", "sought", &to, HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_extend(rig.client, "seeker", stale, 1000, HMQ_DEFAULT, &err), HMQ_ESTALE);
    hmq_batch_free(batch);
    to = (hmq_position){.place = HMQ_AT_TIME, .time_ms = 1000};
    assert_int_equal(would_be_ready("seeker", "sought", &to), 5);
    to.place = HMQ_AT_OFFSET;
    to.queue = 9;
    assert_int_equal(hmq_group_seek(rig.client, "seeker", "sought", &to, HMQ_DEFAULT, &err), HMQ_EREFUSED);
    to.place = HMQ_BEFORE_END;
    assert_int_equal(hmq_group_seek(rig.client, "seeker", "sought", &to, HMQ_DEFAULT, &err), HMQ_EINVAL);
    assert_int_equal(hmq_group_seek(rig.client, "seeker", "sought", NULL, HMQ_DEFAULT, &err), HMQ_EINVAL);
}

static void test_a_group_from_now(void **state)
{
    hmq_position from = {.place = HMQ_AT_LATEST};
    hmq_error err;
    (void)state;
    create("young", 1);
    put_many("young", 3);
    RIG_CHECK(hmq_group_create(rig.client, "late", "young", &from, NULL, HMQ_DEFAULT, &err), &err);
    assert_int_equal(end_all("late", "young", false), 0);
    from = (hmq_position){.place = HMQ_AT_TIME, .time_ms = 1000};
    RIG_CHECK(hmq_group_create(rig.client, "early", "young", &from, NULL, HMQ_DEFAULT, &err), &err);
    assert_int_equal(end_all("early", "young", false), 3);
    from.place = HMQ_AT_OFFSET;
    assert_int_equal(hmq_group_create(rig.client, "other", "young", &from, NULL, HMQ_DEFAULT, &err), HMQ_EINVAL);
}

static void test_leases(void **state)
{
    char cursor[HMQ_CURSOR_SIZE] = "";
    hmq_lease_list *page = NULL;
    hmq_lease lease = {.size = sizeof lease};
    size_t n = 0, pages = 0;
    hmq_error err;
    (void)state;
    create("leased", 1);
    put_many("leased", 5);
    hmq_batch *batch = pop("lessee", "leased", 5, 0);
    do {
        RIG_CHECK(hmq_group_leases(rig.client, "lessee", "leased", 2, cursor, HMQ_DEFAULT, &page, &err), &err);
        for (size_t i = 0; hmq_lease_at(page, i, &lease); i++, n++) {
            assert_string_equal(lease.receipt, hmq_message_receipt(hmq_batch_at(batch, n)));
            assert_int_equal(lease.lease_until_ms, hmq_message_lease_until_ms(hmq_batch_at(batch, n)));
            assert_non_null(lease.consumer);
        }
        hmq_lease_list_free(page);
    } while (*cursor && ++pages < 10);
    assert_int_equal(n, 5);
    assert_int_equal(pages, 2);
    hmq_batch_free(batch);
    assert_int_equal(hmq_lease_at(NULL, 0, &lease), 0);
    assert_int_equal(hmq_group_leases(rig.client, "nobody", NULL, 0, NULL, HMQ_DEFAULT, &page, &err), HMQ_ENOGROUP);
}

/* The ids of all dead letters of the group, up to n. */
static size_t letters(const char *group, char ids[][HMQ_ID_SIZE], size_t n)
{
    char cursor[HMQ_CURSOR_SIZE] = "";
    hmq_batch *batch = NULL;
    size_t got = 0;
    hmq_error err;
    do {
        RIG_CHECK(hmq_dlq_list(rig.client, group, 2, cursor, HMQ_DEFAULT, &batch, &err), &err);
        for (size_t i = 0; i < hmq_batch_count(batch) && got < n; i++, got++) {
            const hmq_message *m = hmq_batch_at(batch, i);
            snprintf(ids[got], HMQ_ID_SIZE, "%s", hmq_message_id(m));
            assert_string_equal(hmq_message_reason(m), "no use");
            assert_memory_equal(hmq_message_origin(m), "dead:0:", 7);
        }
        hmq_batch_free(batch);
    } while (*cursor);
    return got;
}

static void test_dead_letters(void **state)
{
    char ids[8][HMQ_ID_SIZE];
    uint64_t count = 99;
    hmq_error err;
    (void)state;
    create("dead", 1);
    put_many("dead", 5);
    assert_int_equal(end_all("undertaker", "dead", true), 5);
    assert_int_equal(letters("undertaker", ids, 8), 5);
    const char *second[] = {ids[1], ids[1]};
    RIG_CHECK(hmq_dlq_redrive_these(rig.client, "undertaker", second, 1, HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(letters("undertaker", ids, 8), 4);
    hmq_batch *batch = pop("undertaker", "dead", 10, 0); /* by itself, from the group's own topic */
    assert_int_equal(hmq_batch_count(batch), 1);
    const hmq_message *m = hmq_batch_at(batch, 0);
    assert_int_equal(hmq_message_attempt(m), 1);
    assert_string_equal(hmq_message_origin(m), "dead:0:1");
    assert_string_equal(hmq_message_body(m, NULL), "1");
    const char *receipt = hmq_message_receipt(m);
    RIG_CHECK(hmq_ack(rig.client, "undertaker", &receipt, 1, HMQ_DEFAULT, NULL, &err), &err);
    hmq_batch_free(batch);
    RIG_CHECK(hmq_dlq_redrive(rig.client, "undertaker", 2, HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 2);
    RIG_CHECK(hmq_dlq_redrive(rig.client, "undertaker", 0, HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(end_all("undertaker", "dead", true), 4);
    RIG_CHECK(hmq_dlq_purge(rig.client, "undertaker", HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 4);
    assert_int_equal(letters("undertaker", ids, 8), 0);
    assert_int_equal(hmq_dlq_redrive(rig.client, "nobody", 0, HMQ_DEFAULT, &count, &err), HMQ_ENOGROUP);
    assert_int_equal(count, 0);
}

static void test_priorities(void **state)
{
    static const int priorities[] = {-1, 0, 9, 5, 9};
    hmq_send_options o = HMQ_SEND_OPTIONS;
    char body[2] = "0", got[8] = "";
    (void)state;
    create("ranked", 3);
    for (int i = 0; i < 5; i++) {
        body[0] = (char)('0' + i);
        o.priority = priorities[i];
        put("ranked", body, &o, NULL);
    }
    for (int i = 0; i < 5; i++) {
        hmq_batch *batch = pop("ranking", "ranked", 1, 0);
        const hmq_message *m = hmq_batch_at(batch, 0);
        got[i] = *(const char *)hmq_message_body(m, NULL);
        assert_int_equal(hmq_message_priority(m), priorities[got[i] - '0']);
        hmq_batch_free(batch);
    }
    assert_string_equal(got, "24301"); /* 0 has the default, which is 4 */
}

static void expect_read(const hmq_position *from, const char *bodies)
{
    char got[64] = "";
    hmq_batch *batch = NULL;
    hmq_error err;
    RIG_CHECK(hmq_read(rig.client, "read", from, 100, 0, &batch, &err), &err);
    size_t n = 0;
    for (size_t i = 0; i < hmq_batch_count(batch) && n < sizeof(got); i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s", (const char *)hmq_message_body(hmq_batch_at(batch, i), NULL));
    assert_string_equal(got, bodies);
    hmq_batch_free(batch);
}

static void test_reading(void **state)
{
    hmq_position from = {.place = HMQ_AT_EARLIEST};
    hmq_batch *batch = NULL;
    hmq_error err;
    (void)state;
    create("read", 1);
    put_many("read", 5);
    expect_read(&from, "01234");
    expect_read(&(hmq_position){.place = HMQ_AT_OFFSET, .offset = 3}, "34");
    expect_read(&(hmq_position){.place = HMQ_BEFORE_END, .offset = 2}, "34");
    expect_read(&(hmq_position){.place = HMQ_BEFORE_END, .offset = 99}, "01234");
    expect_read(&(hmq_position){.place = HMQ_AT_LATEST}, "");
    expect_read(&(hmq_position){.place = HMQ_AT_TIME, .time_ms = 1000}, "01234");
    assert_int_equal(hmq_read(rig.client, "read", &(hmq_position){.place = (enum hmq_place)77}, 1, 0, &batch, &err),
                     HMQ_EINVAL);
    assert_int_equal(hmq_read(rig.client, "nowhere", &from, 1, 0, &batch, &err), HMQ_ENOTOPIC);
}

static void test_topics(void **state)
{
    hmq_topic_settings s = HMQ_TOPIC_SETTINGS;
    hmq_error err;
    (void)state;
    s.retention_ms = 3600000;
    s.max_bytes = 1000000;
    s.compress = "none";
    RIG_CHECK(hmq_topic_create(rig.client, "kept", &s, HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_topic_create(rig.client, "kept", &s, HMQ_DEFAULT, &err), HMQ_EEXISTS);
    s = (hmq_topic_settings)HMQ_TOPIC_SETTINGS;
    s.queues = 8;
    s.retention_ms = 0;
    RIG_CHECK(hmq_topic_set(rig.client, "kept", &s, HMQ_DEFAULT, &err), &err);
    hmq_reply *info = rig_ask(rig.client, "topic_info", (const char *[]){"name", "kept", NULL});
    assert_int_equal(hmq_reply_int(hmq_reply_get(info, "queues"), 0), 8);
    assert_int_equal(hmq_reply_int(hmq_reply_get(info, "retention"), -1), 0);
    assert_int_equal(hmq_reply_int(hmq_reply_get(info, "maxbytes"), -1), 1000000);
    hmq_reply_free(info);
    s.queues = 2;
    assert_int_equal(hmq_topic_set(rig.client, "kept", &s, HMQ_DEFAULT, &err), HMQ_EREFUSED);
    assert_int_equal(hmq_topic_set(rig.client, "nowhere", &s, HMQ_DEFAULT, &err), HMQ_ENOTOPIC);
    s.size = 3;
    assert_int_equal(hmq_topic_set(rig.client, "kept", &s, HMQ_DEFAULT, &err), HMQ_EINVAL);
}

static void test_what_a_transaction_holds(void **state)
{
    hmq_txn_producer *teller = NULL;
    hmq_batch *batch = NULL;
    hmq_txid txid;
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_txn_producer_new(rig.client, "tellers", NULL, NULL, NULL, &teller, &err), &err);
    RIG_CHECK(hmq_txn_half(teller, "halves", "one", 3, NULL, HMQ_DEFAULT, &txid, &err), &err);
    RIG_CHECK(hmq_txn_add(teller, txid, "others", "two", 3, NULL, HMQ_DEFAULT, &err), &err);
    RIG_CHECK(hmq_txn_messages(rig.client, txid, HMQ_DEFAULT, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 2);
    assert_null(hmq_message_id(hmq_batch_at(batch, 0)));
    assert_string_equal(hmq_message_topic(hmq_batch_at(batch, 1)), "others");
    assert_string_equal(hmq_message_body(hmq_batch_at(batch, 1), NULL), "two");
    hmq_batch_free(batch);
    RIG_CHECK(hmq_txn_commit(teller, txid, HMQ_DEFAULT, NULL, &err), &err);
    RIG_CHECK(hmq_txn_messages(rig.client, txid, HMQ_DEFAULT, &batch, &err), &err);
    assert_memory_equal(hmq_message_id(hmq_batch_at(batch, 0)), "halves:", 7);
    hmq_batch_free(batch);
    assert_int_equal(hmq_txn_messages(rig.client, 1, HMQ_DEFAULT, &batch, &err), HMQ_ENOTXN);
    RIG_CHECK(hmq_txn_producer_close(teller, HMQ_DEFAULT, &err), &err);
}

static void test_delayed_messages(void **state)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    char token[HMQ_ID_SIZE];
    int cancelled = -1;
    hmq_error err;
    (void)state;
    o.delay_ms = 3600000;
    put("later", "later", &o, token);
    RIG_CHECK(hmq_delayed_cancel(rig.client, token, HMQ_DEFAULT, &cancelled, &err), &err);
    assert_int_equal(cancelled, 1);
    RIG_CHECK(hmq_delayed_cancel(rig.client, token, HMQ_DEFAULT, &cancelled, &err), &err);
    assert_int_equal(cancelled, 0);
}

/* ---- the ordered consumer ---- */

#define KEYS 8
#define EACH 40

/* What has happened to each key, at two consumers. */
struct keys {
    atomic_uint next[KEYS], running[KEYS];
    atomic_uint handled, retried, wrong;
};

/* The body is "key number". Every seventh message is requeued once; "poison" always is. */
static enum hmq_verdict in_order(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct keys *k = arg;
    char *end;
    unsigned key = (unsigned)strtoul(hmq_message_body(m, NULL), &end, 10);
    unsigned number = (unsigned)strtoul(end, NULL, 10);
    if (strcmp(hmq_message_body(m, NULL), "poison") == 0) {
        k->retried++;
        return HMQ_NACK;
    }
    k->wrong += k->running[key]++ > 0 || k->next[key] != number || hmq_message_tries(m) != 1;
    bool again = number % 7 == 3 && hmq_message_attempt(m) == 1;
    if (!again)
        k->next[key]++;
    k->running[key]--;
    retry->delay_ms = 5;
    if (again)
        k->retried++;
    else
        k->handled++;
    return again ? HMQ_NACK : HMQ_ACK;
}

static bool all_handled(void *arg)
{
    struct keys *k = arg;
    return k->handled == KEYS * EACH;
}

static hmq_consumer *ordered_consumer(hmq_client *client, const char *group, const char *topic, struct keys *k)
{
    hmq_consumer *consumer = NULL;
    hmq_options *o = hmq_options_new();
    hmq_error err;
    RIG_CHECK(hmq_options_set(o, "ordered", "yes", &err), &err);
    RIG_CHECK(hmq_options_set(o, "workers", "3", &err), &err);
    RIG_CHECK(hmq_consumer_new(client, group, &topic, 1, in_order, k, o, &consumer, &err), &err);
    hmq_options_free(o);
    return consumer;
}

static void fill(const char *topic)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_error err;
    char body[32], order[16];
    for (unsigned number = 0; number < EACH; number++) {
        for (unsigned key = 0; key < KEYS; key++) {
            int n = snprintf(body, sizeof body, "%u %u", key, number);
            snprintf(order, sizeof order, "key %u", key);
            o.order = order;
            RIG_CHECK(hmq_send_async(producer, topic, body, (size_t)n, &o, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
        }
    }
    RIG_CHECK(hmq_producer_flush(producer, RIG_DEADLINE_MS, &err), &err);
}

static bool group_is_ordered(const char *group)
{
    hmq_reply *info = NULL;
    hmq_error err;
    RIG_CHECK(hmq_group_info(rig.client, group, HMQ_DEFAULT, &info, &err), &err);
    const hmq_reply *ordered = hmq_reply_get(hmq_reply_at(info, 0), "ordered");
    bool is = hmq_reply_int(ordered, 0) == 1 ||
              (hmq_reply_text(ordered) && strcmp(hmq_reply_text(ordered), "yes") == 0);
    hmq_reply_free(info);
    return is;
}

/* Two clients, as two processes would: the order of a key holds over both, retries too. */
static void test_ordered_over_consumers(void **state)
{
    hmq_client *other = rig_connect(rig.broker, rig.query);
    struct keys k = {.handled = 0};
    hmq_error err;
    (void)state;
    create("ordered", 4);
    hmq_consumer *one = ordered_consumer(rig.client, "bank", "ordered", &k);
    hmq_consumer *two = ordered_consumer(other, "bank", "ordered", &k);
    fill("ordered");
    rig_eventually(all_handled, &k, "all are handled");
    assert_int_equal(k.wrong, 0);
    assert_int_equal(k.retried, KEYS * 6); /* 3, 10, 17, 24, 31, 38 */
    assert_true(group_is_ordered("bank"));
    RIG_CHECK(hmq_consumer_close(one, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_consumer_close(two, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(other);
}

static bool one_is_handled(void *arg)
{
    struct keys *k = arg;
    return k->handled == 1;
}

/* A group that is there is set to ORDERED. A message that cannot be handled gives its key free at last. */
static void test_poison(void **state)
{
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct keys k = {.handled = 0};
    hmq_batch *batch = NULL;
    hmq_error err;
    (void)state;
    create("poisoned", 1);
    s.attempts = 3;
    RIG_CHECK(hmq_group_create(rig.client, "careful", "poisoned", NULL, &s, HMQ_DEFAULT, &err), &err);
    o.order = "key";
    put("poisoned", "poison", &o, NULL);
    put("poisoned", "0 0", &o, NULL);
    hmq_consumer *consumer = ordered_consumer(rig.client, "careful", "poisoned", &k);
    rig_eventually(one_is_handled, &k, "the next message of the key is handled");
    assert_true(group_is_ordered("careful"));
    assert_int_equal(k.retried, 3);
    assert_int_equal(k.wrong, 0);
    RIG_CHECK(hmq_consumer_close(consumer, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_dlq_list(rig.client, "careful", 0, NULL, HMQ_DEFAULT, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 1);
    assert_int_equal(hmq_message_attempts(hmq_batch_at(batch, 0)), 3);
    hmq_batch_free(batch);
}

static void test_wrong_arguments(void **state)
{
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_batch *batch = NULL;
    hmq_error err;
    (void)state;
    s.filter_kind = HMQ_FILTER_TAG; /* and no filter */
    assert_int_equal(hmq_group_create(rig.client, "g", "t", NULL, &s, HMQ_DEFAULT, &err), HMQ_EINVAL);
    s.filter_kind = (enum hmq_filter)9;
    assert_int_equal(hmq_group_set(rig.client, "g", "t", &s, HMQ_DEFAULT, &err), HMQ_EINVAL);
    s = (hmq_group_settings)HMQ_GROUP_SETTINGS;
    s.n_backoff_ms = 1; /* and no pauses */
    assert_int_equal(hmq_group_set(rig.client, "g", "t", &s, HMQ_DEFAULT, &err), HMQ_EINVAL);
    s.n_backoff_ms = 0;
    s.size = 4;
    assert_int_equal(hmq_group_set(rig.client, "g", "t", &s, HMQ_DEFAULT, &err), HMQ_EINVAL);
    assert_int_equal(hmq_group_set(rig.client, "g", "t", NULL, HMQ_DEFAULT, &err), HMQ_EINVAL);
    assert_int_equal(hmq_group_pause(NULL, "g", NULL, HMQ_DEFAULT, &err), HMQ_EINVAL);
    assert_int_equal(hmq_dlq_redrive_these(rig.client, "g", NULL, 0, HMQ_DEFAULT, NULL, &err), HMQ_EINVAL);
    assert_int_equal(hmq_dlq_list(rig.client, NULL, 0, NULL, HMQ_DEFAULT, &batch, &err), HMQ_EINVAL);
    assert_int_equal(hmq_delayed_cancel(rig.client, NULL, HMQ_DEFAULT, NULL, &err), HMQ_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_pausing),
        cmocka_unit_test(test_seeking),
        cmocka_unit_test(test_a_group_from_now),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_what_a_transaction_holds),
        cmocka_unit_test(test_delayed_messages),
        cmocka_unit_test(test_ordered_over_consumers),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_wrong_arguments),
    };
    rig.query = "?wait_ms=200&reconnect_min_ms=1&reconnect_max_ms=5";
    return cmocka_run_group_tests(tests, start, stop);
}
