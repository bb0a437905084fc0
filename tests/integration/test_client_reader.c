/*
 * test_client_reader.c: tests hmq_reader against a broker: from any offset, while messages arrive, and across a
 * SIGKILL.
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

#define FAST "?reconnect_min_ms=1&reconnect_max_ms=5"
#define MESSAGES 6000

static void send_some(hmq_producer *producer, unsigned from, unsigned n)
{
    hmq_error err;
    char body[16];
    for (unsigned i = from; i < from + n; i++) {
        snprintf(body, sizeof body, "%u", i);
        RIG_CHECK(hmq_send_async(producer, "log", body, strlen(body), NULL, RIG_DEADLINE_MS, NULL,
                                 NULL, &err),
                  &err);
    }
}

static hmq_reader *read_from(hmq_client *client, uint64_t offset)
{
    hmq_reader *reader = NULL;
    hmq_error err;
    RIG_CHECK(hmq_reader_new(client, "log", 0, offset, NULL, &reader, &err), &err);
    return reader;
}

/* Reads up to the offset `to`, and counts each body in seen. */
static void read_to(hmq_reader *reader, uint64_t *next, uint64_t to, unsigned *seen)
{
    while (*next < to) {
        hmq_batch *batch = NULL;
        hmq_error err;
        RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err);
        for (size_t i = 0; i < hmq_batch_count(batch); i++) {
            const hmq_message *m = hmq_batch_at(batch, i);
            unsigned long body = strtoul(hmq_message_body(m, NULL), NULL, 10);
            assert_int_equal(hmq_message_offset(m), (*next)++);
            assert_true(body < MESSAGES);
            seen[body]++;
        }
        hmq_batch_free(batch);
    }
}

static void expect_each_once(const unsigned *seen)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (seen[i] != 1)
            fail_msg("message %u came %u times", i, seen[i]);
}

static void test_reads_all_of_it(void **state)
{
    (void)state;
    static unsigned seen[MESSAGES], again[MESSAGES];
    struct spawned *broker = rig_spawn(NULL);
    hmq_client *client = rig_connect(broker, FAST "&prefetch_bytes=20000");
    hmq_producer *producer = NULL;
    hmq_error err;
    uint64_t next = 0, from = MESSAGES - 777;
    hmq_reply_free(
        rig_ask(client, "topic_create", (const char *[]){"name", "log", "queues", "1", NULL}));
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    hmq_reader *reader = read_from(client, 0);
    for (unsigned i = 0; i < 3; i++) {
        send_some(producer, i * 2000, 1000);
        if (i == 1) {
            spawn_kill(broker);
            spawn_again(broker);
        }
        read_to(reader, &next, i * 2000 + 500, seen);
        send_some(producer, i * 2000 + 1000, 1000);
    }
    read_to(reader, &next, MESSAGES, seen);
    expect_each_once(seen);
    hmq_batch *none = NULL;
    assert_int_equal(hmq_reader_next(reader, 0, &none, &err), HMQ_ETIMEDOUT);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    reader = read_from(client, from); /* in the middle of a record */
    read_to(reader, &from, MESSAGES, again);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
    assert_int_equal(spawn_stop(broker), 0);
    spawn_free(broker);
}

static void test_what_the_broker_refuses(void **state)
{
    (void)state;
    struct spawned *broker = rig_spawn(NULL);
    hmq_client *client = rig_connect(broker, FAST);
    hmq_batch *batch = NULL;
    hmq_error err;
    hmq_reader *reader = read_from(client, 0);
    assert_int_equal(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), HMQ_ENOTOPIC);
    assert_int_equal(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), HMQ_ENOTOPIC);
    hmq_reply_free(
        rig_ask(client, "topic_create", (const char *[]){"name", "log", "queues", "1", NULL}));
    rig_put(client, "log", "hello");
    enum hmq_status status = HMQ_ENOTOPIC;
    while (status == HMQ_ENOTOPIC) /* it may have asked before the topic existed */
        status = hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err);
    RIG_CHECK(status, &err);
    assert_string_equal(hmq_message_body(hmq_batch_at(batch, 0), NULL), "hello");
    hmq_reply_free(rig_ask(client, "topic_delete", (const char *[]){"name", "log", NULL}));
    hmq_batch *more = NULL;
    assert_int_equal(hmq_reader_next(reader, RIG_DEADLINE_MS, &more, &err), HMQ_ENOTOPIC);
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
    assert_string_equal(hmq_message_id(hmq_batch_at(batch, 0)), "log:0:0"); /* the batch is the caller's */
    hmq_batch_free(batch);
    hmq_client_free(client);
    assert_int_equal(spawn_stop(broker), 0);
    spawn_free(broker);
}

static void test_arguments(void **state)
{
    (void)state;
    struct spawned *broker = rig_spawn(NULL);
    hmq_client *client = rig_connect(broker, FAST);
    hmq_reader *reader = NULL;
    hmq_error err;
    assert_int_equal(hmq_reader_new(client, NULL, 0, 0, NULL, &reader, &err), HMQ_EINVAL);
    assert_int_equal(hmq_reader_new(client, "t", 0, UINT64_MAX, NULL, &reader, &err), HMQ_EINVAL);
    assert_int_equal(hmq_reader_next(NULL, 0, NULL, &err), HMQ_EINVAL);
    assert_int_equal(hmq_reader_close(NULL, 0, &err), HMQ_OK);
    assert_null(reader);
    hmq_client_free(client);
    assert_int_equal(spawn_stop(broker), 0);
    spawn_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_all_of_it),
        cmocka_unit_test(test_what_the_broker_refuses),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
