/*
 * test_client_stream.c: tests the consumer's stream against a fake broker that sends what the test wants: whole,
 * partial and damaged records, records at the wrong moment, and on a connection that is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/record/record.h"
#include "tests/lib/fake.h"

#define FAST "?reconnect_min_ms=1&reconnect_max_ms=5"

/* A handler that the test can stop, and the messages that it has received. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold;
    unsigned n;
    char receipts[64][48];
} desk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)retry;
    pthread_mutex_lock(&desk.lock);
    assert_true(desk.n < 64);
    snprintf(desk.receipts[desk.n++], sizeof desk.receipts[0], "%.40s", hmq_message_receipt(m));
    pthread_cond_broadcast(&desk.changed);
    while (desk.hold)
        pthread_cond_wait(&desk.changed, &desk.lock);
    pthread_mutex_unlock(&desk.lock);
    return HMQ_ACK;
}

static bool handled(void *arg)
{
    const unsigned *wanted = arg;
    pthread_mutex_lock(&desk.lock);
    bool enough = desk.n >= *wanted;
    pthread_mutex_unlock(&desk.lock);
    return enough;
}

static void wait_handled(unsigned n)
{
    rig_eventually(handled, &n, "the handler has run");
}

static void hold(bool yes)
{
    pthread_mutex_lock(&desk.lock);
    desk.hold = yes;
    pthread_cond_broadcast(&desk.changed);
    pthread_mutex_unlock(&desk.lock);
}

struct stage {
    struct fake *fake;
    hmq_client *client;
    hmq_consumer *consumer;
};

static struct stage setup(void **state, const char *query)
{
    struct stage s = {.fake = *state};
    hmq_error err;
    const char *topic = "t";
    desk.n = 0;
    desk.hold = false;
    s.client = fake_client_of(s.fake, query);
    RIG_CHECK(hmq_consumer_new(s.client, "g", &topic, 1, handle, NULL, NULL, &s.consumer, &err),
              &err);
    fake_answer_call(s.fake);
    return s;
}

static void teardown(struct stage *s)
{
    hold(false);
    fake_hang_up(s->fake);
    enum hmq_status status = hmq_consumer_close(s->consumer, 20, NULL);
    assert_true(status == HMQ_OK || status == HMQ_ETIMEDOUT);
    hmq_client_free(s->client);
}

static void expect(struct fake *f, const char *method)
{
    fake_hear(f);
    if (!slice_equal(f->frame.method, slice_str(method)))
        fail_msg("%.*s came, not %s", (int)f->frame.method.len, (const char *)f->frame.method.data,
                 method);
}

static int64_t int_of(const struct fake *f, const char *name)
{
    int64_t n = -1;
    (void)rpc_int(rpc_get(f->frame.params, name), &n);
    return n;
}

static void expect_text(const struct rpc_value *v, const char *text)
{
    struct slice s;
    assert_true(rpc_bytes(v, &s));
    if (!slice_equal(s, slice_str(text)))
        fail_msg("'%.*s' came, not '%s'", (int)s.len, (const char *)s.data, text);
}

/* Expects this text as receipt i of an acknowledgement. */
static void expect_receipt(const struct fake *f, size_t i, const char *text)
{
    expect_text(rpc_at(rpc_get(f->frame.params, "receipt"), i), text);
}

static void answer_int(struct fake *f, int64_t n)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, f->frame.id);
    rpc_put_int(&b, n);
    fake_say(f, b.data, b.len);
    buf_free(&b);
}

static void refuse(struct fake *f, const char *code, const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_error(&b, f->frame.id, code, slice_str(text));
    fake_say(f, b.data, b.len);
    buf_free(&b);
}

/* Opens the stream. Returns its first credit. */
static int64_t open_stream(struct stage *s, int64_t id)
{
    expect(s->fake, "stream_group");
    expect_text(rpc_get(s->fake->frame.params, "group"), "g");
    expect_text(rpc_at(rpc_get(s->fake->frame.params, "topic"), 0), "t");
    int64_t credit = int_of(s->fake, "credit");
    answer_int(s->fake, id);
    return credit;
}

static void put_int(struct buf *b, const char *name, int64_t n)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_int(b, n);
}

/* Makes a record of n messages, starting at the offset `base`. */
static void make_record(struct buf *record, uint64_t base, uint32_t n)
{
    struct buf starts;
    struct message m = {.body = SLICE_LIT("body")};
    struct record_header h = {.count = n, .base = base, .stored_ms = 5};
    buf_init(record, 0);
    buf_init(&starts, 0);
    record_begin(record);
    for (uint32_t i = 0; i < n; i++)
        record_add(record, &starts, &m, 5);
    record_end(record, &starts, &h);
    buf_free(&starts);
}

/* Sends a record to the stream; bits: which of its messages are leased, 0: all of them. */
static void say_record(struct fake *f, int64_t stream, struct slice record, uint8_t bits)
{
    struct buf b;
    const uint8_t word[8] = {bits};
    buf_init(&b, 0);
    rpc_put_notify(&b, "records");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 6u + (bits != 0));
    put_int(&b, "stream", stream);
    rpc_put_str(&b, SLICE_LIT("topic"));
    rpc_put_str(&b, SLICE_LIT("t"));
    put_int(&b, "queue", 2);
    put_int(&b, "attempt", 1);
    put_int(&b, "lease_until", 99);
    if (bits) {
        rpc_put_str(&b, SLICE_LIT("bits"));
        rpc_put_bin(&b, slice_of(word, sizeof word));
    }
    rpc_put_str(&b, SLICE_LIT("record"));
    rpc_put_bin(&b, record);
    fake_say(f, b.data, b.len);
    buf_free(&b);
}

static void send_records(struct fake *f, int64_t stream, uint64_t base, uint32_t n, uint8_t bits)
{
    struct buf record;
    make_record(&record, base, n);
    say_record(f, stream, buf_slice(&record), bits);
    buf_free(&record);
}

/* The first acknowledgement has the messages that are done by then; those that are done meanwhile follow as ranges. */
/* Messages that are done make room for others, so credit may come before their acknowledgement. */
static void expect_ack(struct fake *f)
{
    fake_hear(f);
    while (slice_equal(f->frame.method, SLICE_LIT("stream_credit")))
        fake_hear(f);
    assert_true(slice_equal(f->frame.method, SLICE_LIT("ack")));
}

static void test_acknowledges_ranges(void **state)
{
    struct stage s = setup(state, FAST "&prefetch=100");
    hold(true);
    assert_int_equal(open_stream(&s, 7), 16);
    send_records(s.fake, 7, 40, 6, 0);
    send_records(s.fake, 7, 46, 4, 0x0d); /* the second message was not leased to us */
    wait_handled(1);
    hold(false);
    wait_handled(9);
    assert_string_equal(desk.receipts[0], "t:2:40#1");
    assert_string_equal(desk.receipts[7], "t:2:48#1");
    size_t receipts = 0;
    unsigned acked = 0;
    while (acked < 9) {
        struct slice r;
        expect_ack(s.fake);
        const struct rpc_value *list = rpc_get(s.fake->frame.params, "receipt");
        for (size_t i = 0; i < rpc_len(list); i++, receipts++) {
            char text[64];
            unsigned from, to;
            assert_true(rpc_bytes(rpc_at(list, i), &r) && r.len < sizeof text);
            snprintf(text, sizeof text, "%.*s", (int)r.len, (const char *)r.data);
            assert_int_equal(strncmp(text, "t:2:", 4), 0);
            char *end = NULL;
            from = to = (unsigned)strtoul(text + 4, &end, 10);
            if (*end == '-')
                to = (unsigned)strtoul(end + 1, &end, 10);
            assert_string_equal(end, "#1");
            assert_false(from <= 47 && to >= 47); /* that message was not leased to us */
            acked += to - from + 1;
        }
        answer_int(s.fake, acked);
    }
    assert_int_equal(acked, 9);
    assert_true(receipts < 9);
    teardown(&s);
}

static void test_credit_is_bounded_and_given_back(void **state)
{
    struct stage s = setup(state, FAST "&prefetch=4");
    assert_int_equal(open_stream(&s, 3), 4);
    hold(true);
    send_records(s.fake, 3, 0, 4, 0);
    wait_handled(1);
    hold(false);
    int64_t credit = 0, acked = 0;
    while (credit < 4) {
        fake_hear(s.fake);
        if (slice_equal(s.fake->frame.method, SLICE_LIT("ack"))) {
            answer_int(s.fake, 1);
            acked++;
            continue;
        }
        assert_int_equal(s.fake->frame.type, RPC_NOTIFY);
        assert_true(slice_equal(s.fake->frame.method, SLICE_LIT("stream_credit")));
        assert_int_equal(int_of(s.fake, "stream"), 3);
        assert_true(acked > 0); /* no acknowledgement before a message is done */
        credit += int_of(s.fake, "credit");
    }
    assert_int_equal(credit, 4);
    teardown(&s);
}

static bool three_lost(void *arg)
{
    hmq_consumer_stats stats = {.size = sizeof stats};
    hmq_consumer_stats_get(arg, &stats);
    return stats.lost == 3;
}

static void test_extends_ranges(void **state)
{
    struct stage s = setup(state, FAST "&lease_ms=400");
    hold(true);
    open_stream(&s, 1);
    send_records(s.fake, 1, 10, 3, 0);
    wait_handled(1);
    expect(s.fake, "extend"); /* of the one whose handler runs, alone: a range is refused where all of it is lost */
    expect_text(rpc_get(s.fake->frame.params, "receipt"), "t:2:10#1");
    refuse(s.fake, "STALE", "no such lease");
    expect(s.fake, "extend");
    expect_text(rpc_get(s.fake->frame.params, "receipt"), "t:2:11-12#1");
    refuse(s.fake, "STALE", "no such lease");
    rig_eventually(three_lost, s.consumer, "the leases are lost");
    hold(false); /* the running handler ends; the leases of the others are lost, so they are not started */
    expect(s.fake, "ack");
    expect_receipt(s.fake, 0, "t:2:10#1");
    answer_int(s.fake, 0);
    assert_int_equal(desk.n, 1);
    teardown(&s);
}

static void test_older_broker_is_popped(void **state)
{
    struct stage s = setup(state, FAST);
    expect(s.fake, "stream_group");
    refuse(s.fake, "ERR", "unknown command 'STREAM': HELP lists them all");
    expect(s.fake, "pop");
    assert_int_equal(int_of(s.fake, "count"), 16);
    fake_hang_up(s.fake);
    fake_answer_call(s.fake); /* there may be a newer one */
    expect(s.fake, "stream_group");
    refuse(s.fake, "LIMIT", "a connection may have at most 64 streams");
    expect(s.fake, "pop");
    assert_int_equal(atomic_load(&s.fake->events.trouble), 0);
    teardown(&s);
}

static void test_refused_is_asked_again(void **state)
{
    struct stage s = setup(state, FAST);
    expect(s.fake, "stream_group");
    refuse(s.fake, "NOTOPIC", "no topic 't'");
    open_stream(&s, 1);
    send_records(s.fake, 1, 0, 1, 0);
    wait_handled(1);
    assert_int_equal(atomic_load(&s.fake->events.trouble), 1);
    teardown(&s);
}

static void test_the_next_connection_has_its_own(void **state)
{
    struct stage s = setup(state, FAST);
    open_stream(&s, 5);
    send_records(s.fake, 5, 0, 1, 0);
    wait_handled(1);
    fake_hang_up(s.fake);
    fake_answer_call(s.fake);
    for (bool open = false; !open;) { /* the acknowledgement is sent again, the credit is not */
        fake_hear(s.fake);
        assert_false(slice_equal(s.fake->frame.method, SLICE_LIT("stream_credit")));
        open = slice_equal(s.fake->frame.method, SLICE_LIT("stream_group"));
    }
    send_records(s.fake, 5, 1, 1, 0); /* for no stream: this id was valid on the lost connection only */
    answer_int(s.fake, 1);
    send_records(s.fake, 1, 2, 1, 0);
    wait_handled(2);
    assert_string_equal(desk.receipts[1], "t:2:2#1");
    teardown(&s);
}

static void skip_to(struct fake *f, const char *method)
{
    do
        fake_hear(f);
    while (!slice_equal(f->frame.method, slice_str(method)));
}

static void test_damaged_records(void **state)
{
    struct stage s = setup(state, FAST);
    struct buf record;
    open_stream(&s, 1);
    make_record(&record, 0, 3);
    record.data[60] ^= 1;
    say_record(s.fake, 1, buf_slice(&record), 0);
    skip_to(s.fake, "stream_close");
    assert_int_equal(int_of(s.fake, "stream"), 1);
    open_stream(&s, 2);
    say_record(s.fake, 2, SLICE_LIT(""), 0);
    skip_to(s.fake, "stream_close");
    open_stream(&s, 3);
    send_records(s.fake, 3, 0, 1, 0);
    wait_handled(1);
    assert_int_equal(atomic_load(&s.fake->events.trouble), 2);
    buf_free(&record);
    teardown(&s);
}

static void test_ended_by_the_broker(void **state)
{
    struct stage s = setup(state, FAST);
    struct buf b;
    open_stream(&s, 1);
    buf_init(&b, 0);
    rpc_put_notify(&b, "stream_end");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    put_int(&b, "stream", 1);
    rpc_put_str(&b, SLICE_LIT("error"));
    rpc_put_list(&b, 2);
    rpc_put_str(&b, SLICE_LIT("NOTOPIC"));
    rpc_put_str(&b, SLICE_LIT("the topic was deleted"));
    fake_say(s.fake, b.data, b.len);
    buf_free(&b);
    open_stream(&s, 2);
    send_records(s.fake, 2, 0, 1, 0);
    wait_handled(1);
    teardown(&s);
}

static void *close_it(void *arg)
{
    hmq_error err;
    RIG_CHECK(hmq_consumer_close(arg, RIG_DEADLINE_MS, &err), &err);
    return NULL;
}

/* Messages that arrive before the broker has closed the stream are requeued at once, without the group's backoff,
 * because no handler has failed. */
static void test_draining(void **state)
{
    struct stage s = setup(state, FAST);
    pthread_t closer;
    open_stream(&s, 1);
    assert_int_equal(pthread_create(&closer, NULL, close_it, s.consumer), 0);
    skip_to(s.fake, "stream_close");
    expect(s.fake, "ping");
    int64_t ping = (int64_t)s.fake->frame.id;
    send_records(s.fake, 1, 0, 2, 0);
    for (int i = 0; i < 2; i++) {
        expect(s.fake, "nack");
        expect_text(rpc_get(s.fake->frame.params, "receipt"), i ? "t:2:1#1" : "t:2:0#1");
        assert_int_equal(int_of(s.fake, "delay"), 0);
        fake_answer(s.fake);
    }
    s.fake->frame.id = (uint64_t)ping;
    fake_answer(s.fake);
    pthread_join(closer, NULL);
    assert_int_equal(desk.n, 0);
    hmq_client_free(s.client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_acknowledges_ranges),
        TEST(test_credit_is_bounded_and_given_back),
        TEST(test_extends_ranges),
        TEST(test_older_broker_is_popped),
        TEST(test_refused_is_asked_again),
        TEST(test_the_next_connection_has_its_own),
        TEST(test_damaged_records),
        TEST(test_ended_by_the_broker),
        TEST(test_draining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
