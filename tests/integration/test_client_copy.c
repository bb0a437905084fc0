/*
 * test_client_copy.c: tests what libhalfmq tells of a message, and that a message, or a topic, can be copied to the byte:
 * with binary keys and properties, by hmq_send_batch, and with hmq_send_options.like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"

#define MESSAGES 300
#define QUEUES 3

static struct spawned *broker;
static hmq_client *client;
static hmq_producer *producer;

static int start(void **state)
{
    (void)state;
    hmq_error err;
    broker = rig_spawn(NULL);
    client = rig_connect(broker, "");
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hmq_error err;
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
    int status = spawn_stop(broker);
    spawn_free(broker);
    return status;
}

static void create(const char *topic)
{
    hmq_reply_free(rig_ask(client, "topic_create", (const char *[]){"name", topic, "queues", "3", NULL}));
}

/* Message i in all its variety: each has another set of headers, and bytes of every value. */
static void send_one(const char *topic, unsigned i)
{
    char key[16], order[16], body[512], name[] = "na\0me", value[] = "\0\xff\n\"", id[HMQ_ID_SIZE];
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_prop props[] = {{"text", "value"}, {"empty", ""}};
    hmq_prop_bytes binary = {name, sizeof name - 1, value, sizeof value - 1};
    const char *keys[] = {"second", "third"};
    hmq_error err;
    for (size_t b = 0; b < sizeof body; b++)
        body[b] = (char)(b + i);
    snprintf(key, sizeof key, "key-%u", i);
    snprintf(order, sizeof order, "order-%u", i % 7);
    o.key = i % 2 ? key : NULL;
    o.keys = keys;
    o.n_keys = i % 3;
    o.tag = i % 4 ? "tag.a" : NULL;
    o.order = i % 5 ? order : NULL;
    o.ttl_ms = i % 6 ? 0 : 3600 * 1000;
    o.props = props;
    o.n_props = i % 3;
    o.binary_props = &binary;
    o.n_binary_props = i % 2;
    RIG_CHECK(hmq_send(producer, topic, body, i * 37 % sizeof body, &o, RIG_DEADLINE_MS, id, &err), &err);
}

static hmq_batch *next_batch(hmq_reader *reader)
{
    hmq_batch *batch = NULL;
    hmq_error err;
    RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err);
    return batch;
}

static uint64_t end_of(const char *topic, unsigned queue)
{
    hmq_reply *info = rig_ask(client, "topic_info", (const char *[]){"name", topic, NULL});
    int64_t end = hmq_reply_int(hmq_reply_get(hmq_reply_at(hmq_reply_get(info, "queue"), queue), "next"), -1);
    assert_true(end >= 0);
    hmq_reply_free(info);
    return (uint64_t)end;
}

static void copy_queue(const char *from, const char *to, unsigned queue)
{
    hmq_reader *reader = NULL;
    hmq_error err;
    uint64_t end = end_of(from, queue), offset = 0;
    RIG_CHECK(hmq_reader_new(client, from, queue, 0, NULL, &reader, &err), &err);
    for (uint64_t next = 0; next < end;) {
        hmq_batch *batch = next_batch(reader);
        RIG_CHECK(hmq_send_batch(producer, to, (int32_t)queue, batch, RIG_DEADLINE_MS, &offset, &err), &err);
        assert_int_equal(offset, next);
        next += hmq_batch_count(batch);
        hmq_batch_free(batch);
    }
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
}

static void expect_same_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
    assert_int_equal(a_len, b_len);
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_memory_equal(a, b, a_len + 1); /* with the NUL behind it */
}

/* Each field by two functions of that name. */
#define EXPECT_SAME(function, ...)                                                     \
    {                                                                                  \
        size_t a_len = 0, b_len = 0;                                                   \
        const void *a_data = function(a, __VA_ARGS__ & a_len);                         \
        const void *b_data = function(b, __VA_ARGS__ & b_len);                         \
        expect_same_bytes(a_data, a_len, b_data, b_len);                               \
    }
#define AND(x) x,

static void expect_same_headers(const hmq_message *a, const hmq_message *b)
{
    EXPECT_SAME(hmq_message_body, )
    EXPECT_SAME(hmq_message_order_bytes, )
    assert_int_equal(hmq_message_key_count(a), hmq_message_key_count(b));
    for (size_t i = 0; i < hmq_message_key_count(a); i++)
        EXPECT_SAME(hmq_message_key_bytes, AND(i))
    assert_int_equal(hmq_message_prop_count(a), hmq_message_prop_count(b));
    for (size_t i = 0; i < hmq_message_prop_count(a); i++) {
        hmq_prop_bytes p, q;
        assert_true(hmq_message_prop_at(a, i, &p) && hmq_message_prop_at(b, i, &q));
        expect_same_bytes(p.name, p.name_len, q.name, q.name_len);
        expect_same_bytes(p.value, p.value_len, q.value, q.value_len);
    }
    const char *tag = hmq_message_tag(a), *tag_too = hmq_message_tag(b);
    assert_true(tag ? tag_too && strcmp(tag, tag_too) == 0 : !tag_too);
}

static void expect_same_times(const hmq_message *a, const hmq_message *b)
{
    int64_t ttl_a = hmq_message_expires_ms(a), ttl_b = hmq_message_expires_ms(b);
    assert_int_equal(ttl_a == 0, ttl_b == 0);
    if (ttl_a)
        assert_true(ttl_a - hmq_message_stored_ms(a) == ttl_b - hmq_message_stored_ms(b));
    /* The age was taken before the request was stored: so born may be later, by as much as that took. */
    assert_true(hmq_message_born_ms(b) >= hmq_message_born_ms(a));
    assert_true(hmq_message_born_ms(b) - hmq_message_born_ms(a) < RIG_DEADLINE_MS);
    assert_true(hmq_message_stored_ms(b) >= hmq_message_stored_ms(a));
}

static void expect_same_queues(const char *from, const char *to, unsigned queue)
{
    hmq_reader *a = NULL, *b = NULL;
    hmq_error err;
    uint64_t end = end_of(from, queue);
    size_t i = 0, k = 0;
    hmq_batch *left = NULL, *right = NULL;
    assert_int_equal(end_of(to, queue), end);
    RIG_CHECK(hmq_reader_new(client, from, queue, 0, NULL, &a, &err), &err);
    RIG_CHECK(hmq_reader_new(client, to, queue, 0, NULL, &b, &err), &err);
    for (uint64_t next = 0; next < end; next++, i++, k++) {
        if (i == hmq_batch_count(left)) {
            hmq_batch_free(left);
            left = next_batch(a);
            i = 0;
        }
        if (k == hmq_batch_count(right)) {
            hmq_batch_free(right);
            right = next_batch(b);
            k = 0;
        }
        const hmq_message *m = hmq_batch_at(left, i), *copy = hmq_batch_at(right, k);
        assert_int_equal(hmq_message_offset(copy), hmq_message_offset(m));
        expect_same_headers(m, copy);
        expect_same_times(m, copy);
    }
    hmq_batch_free(left);
    hmq_batch_free(right);
    RIG_CHECK(hmq_reader_close(a, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_reader_close(b, RIG_DEADLINE_MS, &err), &err);
}

static void test_a_topic_to_the_byte(void **state)
{
    (void)state;
    create("from");
    create("to");
    for (unsigned i = 0; i < MESSAGES; i++)
        send_one("from", i);
    for (unsigned queue = 0; queue < QUEUES; queue++)
        copy_queue("from", "to", queue);
    for (unsigned queue = 0; queue < QUEUES; queue++)
        expect_same_queues("from", "to", queue);
}

/* A message that POP leased, so its parts are those of a reply; a reader's are those of a record. */
static void test_like_another_one(void **state)
{
    (void)state;
    const char *topic = "original", *copies = "alike";
    hmq_batch *batch = NULL, *copied = NULL;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_prop more[] = {{"text", "mine"}, {"hop", "1"}};
    hmq_error err;
    size_t len;
    send_one(topic, 11); /* has everything but a TTL */
    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 1, RIG_DEADLINE_MS, 60000, &batch, &err), &err);
    const hmq_message *m = hmq_batch_at(batch, 0);
    assert_string_equal(hmq_message_group(m), "g");
    assert_int_equal(hmq_message_priority(m), -1);
    assert_int_equal(hmq_message_prop_count(m), 3);
    const void *body = hmq_message_body(m, &len);
    o.like = m;
    RIG_CHECK(hmq_send(producer, copies, body, len, &o, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_send_async(producer, copies, body, len, &o, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
    RIG_CHECK(hmq_producer_flush(producer, RIG_DEADLINE_MS, &err), &err);
    for (int i = 0; i < 2; i++) {
        RIG_CHECK(hmq_pop(client, "g", &copies, 1, 1, RIG_DEADLINE_MS, 60000, &copied, &err), &err);
        expect_same_headers(m, hmq_batch_at(copied, 0));
        hmq_batch_free(copied);
    }
    o.props = more;
    o.n_props = 2;
    o.tag = "other";
    RIG_CHECK(hmq_send(producer, copies, body, len, &o, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_pop(client, "g", &copies, 1, 1, RIG_DEADLINE_MS, 60000, &copied, &err), &err);
    const hmq_message *changed = hmq_batch_at(copied, 0);
    assert_string_equal(hmq_message_prop(changed, "text"), "mine");
    assert_string_equal(hmq_message_prop(changed, "hop"), "1");
    assert_string_equal(hmq_message_prop(changed, "empty"), "");
    assert_int_equal(hmq_message_prop_count(changed), 4);
    assert_string_equal(hmq_message_tag(changed), "other");
    assert_string_equal(hmq_message_key(changed, 0), "key-11");
    hmq_batch_free(copied);
    hmq_batch_free(batch);
}

/* A half message takes the headers of a reader's message. */
static void test_a_half_message_like_another_one(void **state)
{
    (void)state;
    const char *copies = "halves";
    hmq_txn_producer *txn = NULL;
    hmq_reader *reader = NULL;
    hmq_batch *copied = NULL;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_error err;
    hmq_txid txid = 0;
    size_t len;
    hmq_reply_free(rig_ask(client, "topic_create", (const char *[]){"name", "whole", "queues", "1", NULL}));
    send_one("whole", 11);
    RIG_CHECK(hmq_reader_new(client, "whole", 0, 0, NULL, &reader, &err), &err);
    hmq_batch *batch = next_batch(reader);
    const hmq_message *m = hmq_batch_at(batch, 0);
    const void *body = hmq_message_body(m, &len);
    o.like = m;
    RIG_CHECK(hmq_txn_producer_new(client, "p", NULL, NULL, NULL, &txn, &err), &err);
    RIG_CHECK(hmq_txn_half(txn, copies, body, len, &o, RIG_DEADLINE_MS, &txid, &err), &err);
    RIG_CHECK(hmq_txn_commit(txn, txid, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_txn_producer_close(txn, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_pop(client, "g", &copies, 1, 1, RIG_DEADLINE_MS, 60000, &copied, &err), &err);
    expect_same_headers(m, hmq_batch_at(copied, 0));
    hmq_batch_free(copied);
    hmq_batch_free(batch);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
}

/* Every attribute that a dead letter and a message of a transaction have. */
static void test_attributes(void **state)
{
    (void)state;
    const char *topic = "attributes", *dead = "%DLQ%judges";
    hmq_txn_producer *txn = NULL;
    hmq_batch *batch = NULL;
    hmq_error err;
    hmq_txid txid = 0;
    RIG_CHECK(hmq_txn_producer_new(client, "p", NULL, NULL, NULL, &txn, &err), &err);
    RIG_CHECK(hmq_txn_half(txn, topic, "x", 1, NULL, RIG_DEADLINE_MS, &txid, &err), &err);
    RIG_CHECK(hmq_txn_commit(txn, txid, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_txn_producer_close(txn, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_pop(client, "judges", &topic, 1, 1, RIG_DEADLINE_MS, 60000, &batch, &err), &err);
    const hmq_message *m = hmq_batch_at(batch, 0);
    assert_true(hmq_message_txid(m) == txid);
    char id[HMQ_ID_SIZE];
    snprintf(id, sizeof id, "%s", hmq_message_id(m));
    RIG_CHECK(hmq_reject(client, "judges", hmq_message_receipt(m), "no good", RIG_DEADLINE_MS, &err), &err);
    hmq_batch_free(batch);
    RIG_CHECK(hmq_pop(client, "clerks", &dead, 1, 1, RIG_DEADLINE_MS, 60000, &batch, &err), &err);
    m = hmq_batch_at(batch, 0);
    assert_string_equal(hmq_message_origin(m), id);
    assert_string_equal(hmq_message_reason(m), "no good");
    assert_int_equal(hmq_message_attempts(m), 1);
    assert_true(hmq_message_born_ms(m) > 0 && hmq_message_born_ms(m) <= hmq_message_stored_ms(m));
    hmq_batch_free(batch);
}

static void test_what_cannot_be_copied(void **state)
{
    (void)state;
    const char *topic = "narrow";
    hmq_batch *batch = NULL;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_prop_bytes nameless = {NULL, 0, "v", 1};
    hmq_error err;
    o.order = "an order key";
    create("wide");
    RIG_CHECK(hmq_send(producer, "wide", "x", 1, &o, RIG_DEADLINE_MS, NULL, &err), &err);
    topic = "wide";
    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 1, RIG_DEADLINE_MS, 60000, &batch, &err), &err);
    int32_t other = hmq_message_queue(hmq_batch_at(batch, 0)) == 0 ? 1 : 0;
    assert_int_equal(hmq_send_batch(producer, "wide", other, batch, RIG_DEADLINE_MS, NULL, &err), HMQ_EREFUSED);
    assert_int_equal(hmq_send_batch(producer, "wide", 0, NULL, RIG_DEADLINE_MS, NULL, &err), HMQ_EINVAL);
    assert_int_equal(hmq_send_batch(NULL, "wide", 0, batch, RIG_DEADLINE_MS, NULL, &err), HMQ_EINVAL);
    o.binary_props = &nameless;
    o.n_binary_props = 1;
    assert_int_equal(hmq_send(producer, "wide", "x", 1, &o, RIG_DEADLINE_MS, NULL, &err), HMQ_EINVAL);
    hmq_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_topic_to_the_byte),
        cmocka_unit_test(test_like_another_one),
        cmocka_unit_test(test_a_half_message_like_another_one),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_what_cannot_be_copied),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
