/*
 * test_client_hostile.c: tests that libhalfmq keeps to max_memory, whatever a broker sends: requests without reading the
 * replies, a reply of which only the length comes, records without credit, checks that nobody has time for. The test
 * plays the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clients/c/client/client_inner.h"
#include "protocol/record/record.h"
#include "tests/lib/fake.h"

#define SMALL "?max_memory=1048576&reconnect_min_ms=60000&reconnect_max_ms=60000"
#define TAKEN_MAX (1048576 / 2)

static bool is_disconnected(void *arg)
{
    struct fake *p = arg;
    return atomic_load(&p->events.disconnected) > 0;
}

static void put_pair(struct buf *b, const char *name, const char *text)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_str(b, slice_str(text));
}

static void put_number(struct buf *b, const char *name, int64_t n)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_int(b, n);
}

static void say_buf(struct fake *p, struct buf *b)
{
    fake_say(p, b->data, b->len);
    buf_free(b);
}

static void answer_stream(struct fake *p, const char *method)
{
    struct buf b;
    fake_hear(p);
    assert_true(slice_equal(p->frame.method, slice_str(method)));
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_int(&b, 7);
    say_buf(p, &b);
}

/* ---- requests of the client, and of the broker ---- */

static void test_pending_requests_are_bounded(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static char body[100000];
    unsigned n = 0;
    hmq_error err;
    hmq_client *client = fake_client_of(p, SMALL);
    hmq_request *request = hmq_request_new("send");
    hmq_request_put_bytes(request, "body", body, sizeof body);
    while (n < 100 && hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err) == HMQ_OK)
        n++;
    assert_int_equal(err.code, HMQ_EAGAIN);
    assert_in_range(n, 1, 3);
    hmq_request_free(request);
    hmq_client_free(client);
    assert_int_equal(r.n, n);
}

/* Sends requests and reads nothing. False: the client has hung up. */
static bool flood(struct fake *p, size_t bytes)
{
    struct buf b;
    bool sent = true;
    buf_init(&b, 0);
    while (b.len < 60000) {
        rpc_put_request(&b, 1, "x");
        rpc_put_list(&b, 0);
    }
    for (size_t done = 0; sent && done < bytes; done += b.len)
        sent = send(p->fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len;
    buf_free(&b);
    return sent;
}

static void test_a_broker_that_does_not_read_is_left(void **state)
{
    struct fake *p = *state;
    hmq_client *client = fake_client_of(p, SMALL);
    fake_answer_call(p);
    assert_false(flood(p, 64u << 20));
    rig_eventually(is_disconnected, p, "the client hangs up");
    hmq_client_free(client);
}

static void test_a_length_alone_is_refused(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_error err;
    hmq_client *client = fake_client_of(p, SMALL);
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    fake_answer_call(p);
    fake_hear(p);
    fake_say(p, "\x94\x01\x00\xc0\xc6\x00\x80\x00\x00", 9); /* eight megabytes are to follow */
    rig_eventually(is_disconnected, p, "the client hangs up");
    rig_eventually(fake_ended, &r, "the call ends");
    assert_int_equal(r.last, HMQ_EUNKNOWN);
    hmq_client_free(client);
}

/* What fits is read, though it is larger than the part of the memory that is always there for it. */
static void test_what_fits_is_read(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static char body[700000];
    struct buf b;
    hmq_error err;
    hmq_client *client = fake_client_of(p, SMALL);
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    fake_answer_call(p);
    fake_hear(p);
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_bin(&b, slice_of(body, sizeof body));
    say_buf(p, &b);
    rig_eventually(fake_ended, &r, "the call ends");
    assert_int_equal(r.last, HMQ_OK);
    hmq_client_free(client);
}

/* ---- records ---- */

/* A notification with a record of many small messages, which take far more memory than their bytes. */
static void put_records(struct buf *frame, uint64_t base, uint32_t n)
{
    struct buf record, starts;
    struct message m = {.body = SLICE_LIT("x")};
    struct record_header h = {.count = n, .base = base};
    buf_init(&record, 0);
    buf_init(&starts, 0);
    record_begin(&record);
    for (uint32_t i = 0; i < n; i++)
        record_add(&record, &starts, &m, 0);
    record_end(&record, &starts, &h);
    buf_init(frame, 0);
    rpc_put_notify(frame, "records");
    rpc_put_list(frame, 1);
    rpc_put_map(frame, 6);
    put_number(frame, "stream", 7);
    put_pair(frame, "topic", "t");
    put_number(frame, "queue", 0);
    put_number(frame, "attempt", 1);
    put_number(frame, "lease_until", 99);
    rpc_put_str(frame, SLICE_LIT("record"));
    rpc_put_bin(frame, buf_slice(&record));
    buf_free(&record);
    buf_free(&starts);
}

static void say_many_records(struct fake *p, uint32_t n)
{
    for (uint64_t i = 0; i < 100; i++) {
        struct buf b;
        put_records(&b, i * n, n);
        say_buf(p, &b);
    }
}

static void expect_stream_closed(struct fake *p, hmq_client *client)
{
    do
        fake_hear(p);
    while (!slice_equal(p->frame.method, SLICE_LIT("stream_close")));
    assert_in_range(memory_used(client->memory), 1, TAKEN_MAX);
}

static void test_records_without_credit_close_a_readers_stream(void **state)
{
    struct fake *p = *state;
    hmq_reader *reader = NULL;
    hmq_error err;
    hmq_batch *batch = NULL;
    hmq_client *client = fake_client_of(p, SMALL);
    RIG_CHECK(hmq_reader_new(client, "t", 0, 0, NULL, &reader, &err), &err);
    fake_answer_call(p);
    answer_stream(p, "stream_queue");
    say_many_records(p, 100);
    expect_stream_closed(p, client);
    RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err); /* what was taken is there */
    assert_int_equal(hmq_batch_count(batch), 100);
    (void)hmq_reader_close(reader, 0, &err);
    assert_int_equal(memory_used(client->memory), 0);
    hmq_client_free(client);
    hmq_batch_free(batch); /* it outlives both */
}

static _Atomic bool handlers_go;

static enum hmq_verdict handle_slowly(void *arg, const hmq_message *m, hmq_retry *retry)
{
    int64_t deadline_ms = spawn_now_ms() + RIG_DEADLINE_MS;
    (void)arg;
    (void)m;
    (void)retry;
    while (!atomic_load(&handlers_go) && spawn_now_ms() < deadline_ms)
        spawn_pause();
    return HMQ_ACK;
}

static void test_records_without_credit_close_a_consumers_stream(void **state)
{
    struct fake *p = *state;
    const char *topic = "t";
    hmq_consumer *consumer = NULL;
    hmq_error err;
    hmq_client *client = fake_client_of(p, SMALL);
    atomic_store(&handlers_go, false);
    hmq_options *o = rig_options_for(p->port, SMALL "&prefetch=10000");
    RIG_CHECK(hmq_consumer_new(client, "g", &topic, 1, handle_slowly, NULL, o, &consumer, &err), &err);
    hmq_options_free(o);
    fake_answer_call(p);
    answer_stream(p, "stream_group");
    say_many_records(p, 100);
    expect_stream_closed(p, client);
    (void)hmq_consumer_close(consumer, 0, &err); /* abandons the handler, whose message outlives the client */
    hmq_client_free(client);
    atomic_store(&handlers_go, true);
}

/* ---- checks ---- */

static enum hmq_decision decide_slowly(void *arg, const hmq_check *check)
{
    int64_t deadline_ms = spawn_now_ms() + RIG_DEADLINE_MS;
    (void)arg;
    (void)check;
    while (!atomic_load(&handlers_go) && spawn_now_ms() < deadline_ms)
        spawn_pause();
    return HMQ_COMMIT;
}

static void say_check(struct fake *p, const char *body)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_request(&b, 5, "check");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    put_pair(&b, "pgroup", "pg");
    put_pair(&b, "body", body);
    say_buf(p, &b);
}

/* Checks that find no room are answered "unknown" at once, and asked again later. */
static void test_checks_are_bounded(void **state)
{
    struct fake *p = *state;
    static char body[20001];
    hmq_txn_producer *producer = NULL;
    struct slice answer;
    hmq_error err;
    memset(body, 'x', sizeof body - 1);
    atomic_store(&handlers_go, false);
    hmq_client *client = fake_client_of(p, SMALL);
    RIG_CHECK(hmq_txn_producer_new(client, "pg", decide_slowly, NULL, NULL, &producer, &err), &err);
    fake_answer_call(p);
    answer_stream(p, "checks_serve");
    for (int i = 0; i < 40; i++)
        say_check(p, body);
    fake_hear(p);
    assert_int_equal(p->frame.type, RPC_RESPONSE);
    assert_true(rpc_bytes(p->frame.result, &answer));
    assert_true(slice_equal(answer, SLICE_LIT("unknown")));
    assert_in_range(memory_used(client->memory), 1, TAKEN_MAX);
    atomic_store(&handlers_go, true);
    (void)hmq_txn_producer_close(producer, 0, &err);
    hmq_client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_pending_requests_are_bounded),
        TEST(test_a_broker_that_does_not_read_is_left),
        TEST(test_a_length_alone_is_refused),
        TEST(test_what_fits_is_read),
        TEST(test_records_without_credit_close_a_readers_stream),
        TEST(test_records_without_credit_close_a_consumers_stream),
        TEST(test_checks_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
