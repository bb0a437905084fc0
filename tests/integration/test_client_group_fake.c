/*
 * test_client_group_fake.c: tests how an ordered consumer makes its group ORDERED, against a broker that says what the test
 * wants: that the group is there, that it is not ordered, that the topic is missing, that it knows no such option.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fake.h"

static void refuse(struct fake *p, const char *code, const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_error(&b, p->frame.id, code, slice_str(text));
    fake_say(p, b.data, b.len);
    buf_free(&b);
}

/* Waits for this request, which is about this topic. */
static void expect(struct fake *p, const char *method, const char *topic)
{
    struct slice value;
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, slice_str(method)));
    if (!topic)
        return;
    assert_true(rpc_bytes(rpc_get(p->frame.params, "topic"), &value));
    assert_true(slice_equal(value, slice_str(topic)));
    assert_true(rpc_bytes(rpc_get(p->frame.params, "ordered"), &value));
    assert_true(slice_equal(value, SLICE_LIT("yes")));
}

static enum hmq_verdict no_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg, (void)m, (void)retry;
    return HMQ_ACK;
}

static hmq_consumer *consumer_of(hmq_client *client, const char *order_group)
{
    const char *topics[] = {"one", "two"};
    hmq_consumer *consumer = NULL;
    hmq_options *o = hmq_options_new();
    hmq_error err;
    RIG_CHECK(hmq_options_set(o, "ordered", "yes", &err), &err);
    RIG_CHECK(hmq_options_set(o, "order_group", order_group, &err), &err);
    RIG_CHECK(hmq_consumer_new(client, "g", topics, 2, no_message, NULL, o, &consumer, &err), &err);
    hmq_options_free(o);
    return consumer;
}

static void end(struct fake *p, hmq_client *client, hmq_consumer *consumer)
{
    fake_hang_up(p);
    hmq_consumer_close(consumer, 0, NULL);
    hmq_client_free(client);
}

static void test_each_topic_in_turn(void **state)
{
    struct fake *p = *state;
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=1");
    hmq_consumer *consumer = consumer_of(client, "yes");
    fake_answer_call(p);
    expect(p, "group_create", "one");
    fake_answer(p);
    expect(p, "group_create", "two");
    refuse(p, "EXISTS", "it is there");
    expect(p, "group_set", "two");
    fake_answer(p);
    expect(p, "stream_group", NULL);
    fake_hang_up(p);
    fake_answer_call(p); /* it is made again where it is gone, and left as it is where it is there */
    expect(p, "group_create", "one");
    refuse(p, "EXISTS", "it is there");
    expect(p, "group_create", "two");
    refuse(p, "EXISTS", "it is there");
    expect(p, "stream_group", NULL);
    assert_int_equal(p->events.trouble, 0);
    end(p, client, consumer);
}

static void test_a_topic_that_is_missing(void **state)
{
    struct fake *p = *state;
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=1");
    hmq_consumer *consumer = consumer_of(client, "yes");
    fake_answer_call(p);
    expect(p, "group_create", "one");
    refuse(p, "NOTOPIC", "there is no topic one");
    expect(p, "group_create", "one"); /* again after a pause */
    refuse(p, "BUSY", "later");
    expect(p, "group_create", "one");
    refuse(p, "EXISTS", "it is there");
    expect(p, "group_set", "one");
    refuse(p, "NOGROUP", "it was deleted just now");
    expect(p, "group_create", "one");
    fake_answer(p);
    expect(p, "group_create", "two");
    fake_answer(p);
    expect(p, "stream_group", NULL);
    end(p, client, consumer);
}

/* An older broker: the order is kept here alone, and the application is told. */
static void test_a_broker_that_refuses(void **state)
{
    struct fake *p = *state;
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=1");
    hmq_consumer *consumer = consumer_of(client, "yes");
    fake_answer_call(p);
    expect(p, "group_create", "one");
    refuse(p, "ERR", "not available yet: ORDERED of GROUP CREATE; nothing was done");
    expect(p, "stream_group", NULL);
    assert_int_equal(p->events.trouble, 1);
    end(p, client, consumer);
}

static void test_a_consumer_that_does_not_want_it(void **state)
{
    struct fake *p = *state;
    hmq_client *client = fake_client_of(p, "?reconnect_min_ms=1&reconnect_max_ms=1");
    hmq_consumer *consumer = consumer_of(client, "no");
    fake_answer_call(p);
    expect(p, "stream_group", NULL);
    end(p, client, consumer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_each_topic_in_turn),
        TEST(test_a_topic_that_is_missing),
        TEST(test_a_broker_that_refuses),
        TEST(test_a_consumer_that_does_not_want_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
