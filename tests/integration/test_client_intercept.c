/* test_client_intercept.c: tests the interceptors of libhalfmq: what they see, in which order, and what they add. */
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

/* What happened, in its order: "outer send t, inner send t, ..." */
static struct {
    pthread_mutex_t lock;
    char text[8192];
} diary = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(const char *who, const char *what, const char *more)
{
    pthread_mutex_lock(&diary.lock);
    size_t n = strlen(diary.text);
    snprintf(diary.text + n, sizeof diary.text - n, "%s %s %s\n", who, what, more);
    pthread_mutex_unlock(&diary.lock);
}

static void expect_diary(const char *text)
{
    pthread_mutex_lock(&diary.lock);
    assert_string_equal(diary.text, text);
    diary.text[0] = '\0';
    pthread_mutex_unlock(&diary.lock);
}

static void *on_send(void *arg, hmq_outgoing *message)
{
    size_t len;
    assert_non_null(hmq_outgoing_body(message, &len));
    assert_int_equal(len, 4);
    note(arg, "send", hmq_outgoing_topic(message));
    assert_int_equal(hmq_outgoing_set_prop(message, arg, "first"), HMQ_OK);
    assert_int_equal(hmq_outgoing_set_prop(message, arg, "span"), HMQ_OK);
    assert_int_equal(hmq_outgoing_set_prop(message, "mine", arg), HMQ_OK); /* instead of the application's */
    assert_string_equal(hmq_outgoing_prop(message, arg), "span");
    assert_string_equal(hmq_outgoing_prop(message, "other"), "o");
    assert_null(hmq_outgoing_prop(message, "absent"));
    assert_int_equal(hmq_outgoing_set_prop(message, NULL, "x"), HMQ_EINVAL);
    return strdup(arg);
}

static void on_sent(void *arg, void *span, const char *id, const hmq_error *err)
{
    assert_string_equal(span, arg);
    free(span);
    note(arg, "sent", err->code != HMQ_OK ? hmq_status_name(err->code) : id ? "id" : "no id");
}

static void *on_receive(void *arg, const hmq_message *m)
{
    note(arg, "receive", hmq_message_topic(m));
    return strdup(arg);
}

static void on_received(void *arg, void *span, const hmq_message *m, enum hmq_verdict verdict)
{
    assert_string_equal(span, arg);
    free(span);
    assert_non_null(hmq_message_topic(m));
    note(arg, "received", verdict == HMQ_ACK ? "ack" : "other");
}

static char outer[] = "outer", inner[] = "inner";

static hmq_client *client_with_two(void)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(rig.broker->port, "?call_timeout_ms=30000");
    hmq_interceptor i = HMQ_INTERCEPTOR;
    i.send = on_send;
    i.sent = on_sent;
    i.receive = on_receive;
    i.received = on_received;
    i.arg = outer;
    RIG_CHECK(hmq_options_add_interceptor(o, &i, &err), &err);
    i.arg = inner;
    RIG_CHECK(hmq_options_add_interceptor(o, &i, &err), &err);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

static const hmq_prop props[] = {{"mine", "application"}, {"other", "o"}};

static hmq_send_options two_props(void)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.props = props;
    o.n_props = 2;
    return o;
}

static void on_told(void *arg, const char *id, const hmq_error *err)
{
    (void)id;
    (void)err;
    note("application", "told", arg);
}

static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)retry;
    assert_string_equal(hmq_message_prop(m, "outer"), "span");
    assert_string_equal(hmq_message_prop(m, "inner"), "span");
    assert_string_equal(hmq_message_prop(m, "mine"), "inner");
    assert_string_equal(hmq_message_prop(m, "other"), "o");
    note("application", "handles", hmq_message_topic(m));
    atomic_fetch_add((_Atomic int *)arg, 1);
    return HMQ_ACK;
}

static bool is_handled(void *arg)
{
    return atomic_load((_Atomic int *)arg) > 0;
}

static void test_sends(void **state)
{
    hmq_client *client = client_with_two();
    hmq_producer *producer = NULL;
    hmq_send_options o = two_props();
    hmq_error err;
    char id[HMQ_ID_SIZE] = "";
    (void)state;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send(producer, "s", "body", 4, &o, HMQ_DEFAULT, id, &err), &err);
    assert_memory_equal(id, "s:", 2);
    expect_diary("outer send s\ninner send s\ninner sent id\nouter sent id\n");
    RIG_CHECK(hmq_send_async(producer, "s", "body", 4, &o, HMQ_DEFAULT, on_told, "s", &err), &err);
    RIG_CHECK(hmq_producer_flush(producer, HMQ_DEFAULT, &err), &err);
    expect_diary("outer send s\ninner send s\ninner sent id\nouter sent id\napplication told s\n");
    assert_int_equal(hmq_send(producer, "a b", "body", 4, &o, HMQ_DEFAULT, NULL, &err), HMQ_EBADNAME);
    assert_int_equal(err.code, HMQ_EBADNAME);
    expect_diary("outer send a b\ninner send a b\ninner sent HMQ_EBADNAME\nouter sent HMQ_EBADNAME\n");
    o.n_keys = 1; /* and no keys: it is not handed over */
    assert_int_equal(hmq_send_async(producer, "s", "body", 4, &o, HMQ_DEFAULT, on_told, "s", &err), HMQ_EINVAL);
    expect_diary("");
    hmq_producer_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
}

static void on_half(void *arg, hmq_txid txid, const hmq_error *err)
{
    assert_int_equal(err->code, HMQ_OK);
    *(hmq_txid *)arg = txid;
    note("application", "told", "half");
}

static void test_half_messages(void **state)
{
    hmq_client *client = client_with_two();
    hmq_txn_producer *producer = NULL;
    hmq_send_options o = two_props();
    hmq_txid txid = 0;
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_txn_producer_new(client, "pg", NULL, NULL, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_txn_half(producer, "h", "body", 4, &o, HMQ_DEFAULT, &txid, &err), &err);
    expect_diary("outer send h\ninner send h\ninner sent no id\nouter sent no id\n");
    RIG_CHECK(hmq_txn_add(producer, txid, "h", "body", 4, &o, HMQ_DEFAULT, &err), &err);
    expect_diary("outer send h\ninner send h\ninner sent no id\nouter sent no id\n");
    RIG_CHECK(hmq_txn_half_async(producer, "h", "body", 4, &o, HMQ_DEFAULT, on_half, &txid, &err), &err);
    RIG_CHECK(hmq_txn_producer_flush(producer, HMQ_DEFAULT, &err), &err);
    expect_diary("outer send h\ninner send h\ninner sent no id\nouter sent no id\napplication told half\n");
    hmq_txn_producer_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
}

static void test_handlers(void **state)
{
    hmq_client *client = client_with_two();
    const char *topics[] = {"r"};
    hmq_producer *producer = NULL;
    hmq_consumer *consumer = NULL;
    hmq_send_options o = two_props();
    _Atomic int handled = 0;
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send(producer, "r", "body", 4, &o, HMQ_DEFAULT, NULL, &err), &err);
    hmq_producer_close(producer, HMQ_DEFAULT, NULL);
    expect_diary("outer send r\ninner send r\ninner sent id\nouter sent id\n");
    RIG_CHECK(hmq_consumer_new(client, "g", topics, 1, on_message, &handled, NULL, &consumer, &err), &err);
    rig_eventually(is_handled, &handled, "the message is handled");
    RIG_CHECK(hmq_consumer_close(consumer, HMQ_DEFAULT, &err), &err);
    expect_diary("outer receive r\ninner receive r\napplication handles r\ninner received ack\nouter received ack\n");
    hmq_client_free(client);
}

/* Interceptors of those that read messages themselves: no property is looked at. */
static void test_batches_that_are_popped(void **state)
{
    hmq_client *client = client_with_two();
    const char *topics[] = {"p"};
    hmq_batch *batch = NULL;
    hmq_error err;
    (void)state;
    rig_put(client, "p", "one");
    expect_diary("");
    RIG_CHECK(hmq_pop(client, "g", topics, 1, 10, 1000, HMQ_DEFAULT, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), 1);
    expect_diary("outer receive p\ninner receive p\n");
    hmq_client_free(client); /* the batch outlives it */
    hmq_batch_free(batch);
    expect_diary("inner received other\nouter received other\n");
}

static hmq_batch *next_batch(hmq_client *client, const char *topic, hmq_reader **ret_reader)
{
    hmq_batch *batch = NULL;
    hmq_error err;
    RIG_CHECK(hmq_reader_new(client, topic, 0, 0, NULL, ret_reader, &err), &err);
    RIG_CHECK(hmq_reader_next(*ret_reader, RIG_DEADLINE_MS, &batch, &err), &err);
    return batch;
}

static void test_copies(void **state)
{
    hmq_client *client = client_with_two();
    hmq_producer *producer = NULL;
    hmq_reader *reader = NULL;
    hmq_send_options o = two_props();
    hmq_error err;
    (void)state;
    o.queue = 0;
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    RIG_CHECK(hmq_send(producer, "from", "body", 4, &o, HMQ_DEFAULT, NULL, &err), &err);
    expect_diary("outer send from\ninner send from\ninner sent id\nouter sent id\n");
    hmq_batch *batch = next_batch(client, "from", &reader);
    expect_diary("outer receive from\ninner receive from\n");
    RIG_CHECK(hmq_send_batch(producer, "to", 0, batch, HMQ_DEFAULT, NULL, &err), &err);
    expect_diary("outer send to\ninner send to\ninner sent id\nouter sent id\n");
    assert_int_equal(hmq_send_batch(producer, "a b", 0, batch, HMQ_DEFAULT, NULL, &err), HMQ_EBADNAME);
    expect_diary("outer send a b\ninner send a b\ninner sent HMQ_EBADNAME\nouter sent HMQ_EBADNAME\n");
    hmq_batch_free(batch);
    expect_diary("inner received other\nouter received other\n");
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    batch = next_batch(client, "to", &reader); /* the copy has what the interceptors set */
    const hmq_message *m = hmq_batch_at(batch, 0);
    assert_string_equal(hmq_message_prop(m, "outer"), "span");
    assert_string_equal(hmq_message_prop(m, "mine"), "inner");
    assert_string_equal(hmq_message_prop(m, "other"), "o");
    hmq_batch_free(batch);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    hmq_producer_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
    diary.text[0] = '\0';
}

static void test_wrong_interceptors_are_refused(void **state)
{
    hmq_options *o = hmq_options_new();
    hmq_interceptor i = HMQ_INTERCEPTOR;
    hmq_error err;
    (void)state;
    for (int n = 0; n < 4; n++)
        RIG_CHECK(hmq_options_add_interceptor(o, &i, &err), &err);
    assert_int_equal(hmq_options_add_interceptor(o, &i, &err), HMQ_EINVAL);
    i.size = 0;
    assert_int_equal(hmq_options_add_interceptor(o, &i, &err), HMQ_EINVAL);
    assert_int_equal(hmq_options_add_interceptor(NULL, &i, &err), HMQ_EINVAL);
    hmq_options_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_half_messages),
        cmocka_unit_test(test_handlers),
        cmocka_unit_test(test_batches_that_are_popped),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_wrong_interceptors_are_refused),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
