/*
 * test_client_batch.c: tests the batches of hmq_send_async, against a fake broker that replies as the test wants,
 * and against a real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/record/batch.h"
#include "protocol/record/record.h"
#include "protocol/base/text.h"
#include "tests/lib/fake.h"
#include "tests/lib/still_clock.h"

#define FAST "?reconnect_min_ms=1&reconnect_max_ms=5"

/* The results that callbacks got, in their order. */
struct told {
    pthread_mutex_t lock;
    unsigned n;
    char ids[5000][32]; /* "" for a failure */
    enum hmq_status status[5000];
};

static struct told told;

static void on_told(void *arg, const char *id, const hmq_error *err)
{
    (void)arg;
    pthread_mutex_lock(&told.lock);
    assert_true(told.n < 5000);
    snprintf(told.ids[told.n], sizeof told.ids[0], "%s", id ? id : "");
    told.status[told.n++] = err->code;
    pthread_mutex_unlock(&told.lock);
}

static bool told_enough(void *arg)
{
    const unsigned *wanted = arg;
    pthread_mutex_lock(&told.lock);
    bool enough = told.n >= *wanted;
    pthread_mutex_unlock(&told.lock);
    return enough;
}

static void wait_told(unsigned n)
{
    rig_eventually(told_enough, &n, "the callbacks have run");
    assert_int_equal(told.n, n);
}

struct bench {
    struct fake *fake;
    hmq_client *client;
    hmq_producer *producer;
};

static struct bench setup(void **state, const char *query)
{
    struct bench b = {.fake = *state};
    hmq_error err;
    told = (struct told){.lock = PTHREAD_MUTEX_INITIALIZER};
    still_clock_go(); /* a test that failed may have left the clock stopped */
    b.client = fake_client_of(b.fake, query);
    RIG_CHECK(hmq_producer_new(b.client, NULL, &b.producer, &err), &err);
    fake_answer_call(b.fake);
    return b;
}

static void teardown(struct bench *b, enum hmq_status wanted)
{
    hmq_error err;
    assert_int_equal(hmq_producer_close(b->producer, 20, &err), wanted);
    hmq_client_free(b->client);
}

static void put(struct bench *b, const char *body, const hmq_send_options *o)
{
    hmq_error err;
    RIG_CHECK(hmq_send_async(b->producer, "t", body, strlen(body), o, RIG_DEADLINE_MS, on_told,
                             NULL, &err),
              &err);
}

static struct slice bytes_of(const struct fake *f, const char *name)
{
    struct slice s = {0};
    (void)rpc_bytes(rpc_get(f->frame.params, name), &s);
    return s;
}

static void expect_method(const struct fake *f, const char *method)
{
    if (!slice_equal(f->frame.method, slice_str(method)))
        fail_msg("%.*s came, not %s", (int)f->frame.method.len, (const char *)f->frame.method.data,
                 method);
}

/* Expects a PRODUCE with a valid batch of n messages, whose bodies are numbers starting with `from`. */
static void expect_batch(const struct fake *f, unsigned from, unsigned n)
{
    struct batch_facts facts;
    struct record_header h;
    struct message m;
    char err[256] = "", body[16];
    expect_method(f, "produce");
    struct slice record = bytes_of(f, "batch");
    assert_int_equal(batch_check(record, &facts, err, sizeof err), ST_OK);
    assert_int_equal(record_verify(record, &h), ST_OK);
    assert_int_equal(h.count, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(record_message(record, &h, i, &m), ST_OK);
        snprintf(body, sizeof body, "%u", from + i);
        assert_true(slice_equal(m.body, slice_str(body)));
    }
}

static void put_numbers(struct bench *b, unsigned from, unsigned n, const hmq_send_options *o)
{
    char body[16];
    for (unsigned i = from; i < from + n; i++) {
        snprintf(body, sizeof body, "%u", i);
        put(b, body, o);
    }
}

static void answer_place(struct fake *f, int64_t queue, int64_t offset, int64_t count)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, f->frame.id);
    rpc_put_map(&b, 3);
    rpc_put_str(&b, SLICE_LIT("queue"));
    rpc_put_int(&b, queue);
    rpc_put_str(&b, SLICE_LIT("offset"));
    rpc_put_int(&b, offset);
    rpc_put_str(&b, SLICE_LIT("count"));
    rpc_put_int(&b, count);
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

/* Sends ten messages that leave in one batch: linger_ms is an hour, and hmq_producer_flush ends it. */
static void gather_ten(struct bench *b, const hmq_send_options *o)
{
    put_numbers(b, 0, 10, o);
    assert_int_equal(hmq_producer_flush(b->producer, 0, NULL), HMQ_ETIMEDOUT);
}

#define LINGER FAST "&linger_ms=10000"

static void test_each_gets_its_id(void **state)
{
    struct bench b = setup(state, LINGER);
    gather_ten(&b, NULL);
    fake_hear(b.fake);
    expect_batch(b.fake, 0, 10);
    assert_int_equal(bytes_of(b.fake, "topic").len, 1);
    assert_null(rpc_get(b.fake->frame.params, "queue"));
    answer_place(b.fake, 3, 95, 10);
    wait_told(10);
    assert_string_equal(told.ids[0], "t:3:95");
    assert_string_equal(told.ids[9], "t:3:104");
    teardown(&b, HMQ_OK);
}

/* Messages that are sent while the first one is under way wait for its reply, and no longer. The clock is stopped,
 * so that no time passes that would end the wait earlier. */
static void test_gathers_while_one_is_under_way(void **state)
{
    struct bench b = setup(state, FAST);
    still_clock_stop();
    put(&b, "0", NULL);
    fake_hear(b.fake);
    expect_method(b.fake, "send");
    put_numbers(&b, 1, 5, NULL);
    fake_answer(b.fake);
    fake_hear(b.fake);
    expect_batch(b.fake, 1, 5);
    answer_place(b.fake, 0, 1, 5);
    wait_told(6);
    still_clock_go();
    teardown(&b, HMQ_OK);
}

static void test_sent_again_as_it_was(void **state)
{
    struct bench b = setup(state, LINGER);
    char dedup[64], first[4096];
    gather_ten(&b, NULL);
    fake_hear(b.fake);
    struct slice id = bytes_of(b.fake, "dedup"), record = bytes_of(b.fake, "batch");
    assert_true(id.len > 0 && id.len < sizeof dedup && record.len < sizeof first);
    memcpy(dedup, id.data, id.len);
    memcpy(first, record.data, record.len);
    size_t id_len = id.len, len = record.len;
    fake_hang_up(b.fake);
    fake_answer_call(b.fake);
    fake_hear(b.fake);
    assert_true(slice_equal(bytes_of(b.fake, "dedup"), slice_of(dedup, id_len)));
    assert_true(slice_equal(bytes_of(b.fake, "batch"), slice_of(first, len)));
    answer_place(b.fake, 0, 0, 10);
    wait_told(10);
    assert_string_equal(told.ids[9], "t:0:9");
    teardown(&b, HMQ_OK);
}

static void test_not_sent_again_without_dedup(void **state)
{
    struct bench b = setup(state, LINGER "&dedup=no");
    gather_ten(&b, NULL);
    fake_hear(b.fake);
    assert_null(rpc_get(b.fake->frame.params, "dedup"));
    fake_hang_up(b.fake);
    wait_told(10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(told.status[i], HMQ_EUNKNOWN);
    teardown(&b, HMQ_OK);
}

/* If one message of a batch is refused, the others are stored. */
static void test_refused_batch_goes_one_by_one(void **state)
{
    hmq_prop prop = {"name", "value"};
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct bench b = setup(state, LINGER "&dedup=no");
    char body[16];
    o.key = "k";
    o.tag = "red";
    o.ttl_ms = 60000;
    o.props = &prop;
    o.n_props = 1;
    gather_ten(&b, &o);
    fake_hear(b.fake);
    expect_batch(b.fake, 0, 10);
    refuse(b.fake, "TOOBIG", "message 3 of the batch: a body of 1 byte");
    for (int i = 0; i < 10; i++) {
        int64_t ttl = 0;
        fake_hear(b.fake);
        expect_method(b.fake, "send");
        snprintf(body, sizeof body, "%d", i);
        assert_true(slice_equal(bytes_of(b.fake, "body"), slice_str(body)));
        assert_true(slice_equal(bytes_of(b.fake, "tag"), SLICE_LIT("red")));
        assert_true(rpc_int(rpc_get(b.fake->frame.params, "ttl"), &ttl) && ttl == 60000);
        assert_int_equal(rpc_len(rpc_get(b.fake->frame.params, "key")), 1);
        assert_non_null(rpc_get(rpc_get(b.fake->frame.params, "prop"), "name"));
        if (i == 3)
            refuse(b.fake, "TOOBIG", "a body of 1 byte");
        else
            fake_answer(b.fake);
    }
    wait_told(10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(told.status[i], i == 3 ? HMQ_ETOOBIG : HMQ_OK);
    teardown(&b, HMQ_OK);
}

static void test_what_concerns_all_is_told_to_all(void **state)
{
    struct bench b = setup(state, LINGER);
    gather_ten(&b, NULL);
    fake_hear(b.fake);
    refuse(b.fake, "DISKFULL", "the disk is full");
    wait_told(10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(told.status[i], HMQ_EDISKFULL);
    teardown(&b, HMQ_OK);
}

/* If the broker does not know PRODUCE, the library does not send it again. */
static void test_older_broker(void **state)
{
    struct bench b = setup(state, FAST "&linger_ms=200");
    gather_ten(&b, NULL);
    fake_hear(b.fake);
    refuse(b.fake, "ERR", "unknown command 'PRODUCE': HELP lists them all");
    for (int i = 0; i < 10; i++) {
        fake_hear(b.fake);
        expect_method(b.fake, "send");
        fake_answer(b.fake);
    }
    wait_told(10);
    put_numbers(&b, 0, 2, NULL);
    for (int i = 0; i < 2; i++) {
        fake_hear(b.fake);
        expect_method(b.fake, "send");
    }
    teardown(&b, HMQ_ETIMEDOUT);
    wait_told(12);
}

static void test_wrong_count(void **state)
{
    struct bench b = setup(state, LINGER);
    gather_ten(&b, NULL);
    fake_hear(b.fake);
    answer_place(b.fake, 0, 0, 9);
    wait_told(10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(told.status[i], HMQ_EPROTO);
    teardown(&b, HMQ_OK);
}

static void test_closed_when_full(void **state)
{
    struct bench b = setup(state, LINGER);
    put_numbers(&b, 0, 2000, NULL);
    for (unsigned i = 0; i < 2; i++) {
        fake_hear(b.fake);
        expect_batch(b.fake, i * 1000, 1000);
        answer_place(b.fake, 0, i * 1000, 1000);
    }
    wait_told(2000);
    teardown(&b, HMQ_OK);
}

/* A message that cannot be in a batch is sent after the messages that were buffered before it. */
static void test_order_of_the_calls(void **state)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct bench b = setup(state, LINGER);
    o.priority = 3;
    put_numbers(&b, 0, 3, NULL);
    put(&b, "urgent", &o);
    fake_hear(b.fake);
    expect_batch(b.fake, 0, 3);
    answer_place(b.fake, 0, 0, 3);
    assert_int_equal(hmq_producer_close(b.producer, 0, NULL), HMQ_ETIMEDOUT);
    assert_int_equal(told.n, 4);
    hmq_client_free(b.client);
}

static void answer_queues(struct fake *f, int64_t n)
{
    struct buf b;
    expect_method(f, "topic_info");
    buf_init(&b, 0);
    rpc_put_result(&b, f->frame.id);
    rpc_put_map(&b, 1);
    rpc_put_str(&b, SLICE_LIT("order_queues"));
    rpc_put_int(&b, n);
    fake_say(f, b.data, b.len);
    buf_free(&b);
}

static void expect_sends(struct fake *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fake_hear(f);
        expect_method(f, "send");
        fake_answer(f);
    }
}

/* Messages with ORDER are sent one by one until the number of queues is known, then in batches to the queue of the
 * key. If the broker refuses that queue, the library asks for the number again. The first request is held back and
 * the clock is stopped, so that the messages after it are certainly buffered. */
static void test_order_keys_find_their_queue(void **state)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct bench b = setup(state, FAST);
    o.order = "account-7";
    int64_t queue = -1, belongs = (int64_t)(text_hash(SLICE_LIT("account-7")) % 5);
    still_clock_stop();
    put(&b, "first", &o);
    fake_hear(b.fake);
    answer_queues(b.fake, 5);
    expect_sends(b.fake, 1);
    wait_told(1);
    hmq_producer_flush(b.producer, RIG_DEADLINE_MS, NULL); /* now the number of queues is known */
    put(&b, "alone", &o);
    fake_hear(b.fake);
    expect_method(b.fake, "send");
    put_numbers(&b, 0, 2, &o);
    fake_answer(b.fake);
    fake_hear(b.fake);
    expect_batch(b.fake, 0, 2);
    assert_true(rpc_int(rpc_get(b.fake->frame.params, "queue"), &queue));
    assert_int_equal(queue, belongs);
    refuse(b.fake, "ERR", "message 0 of the batch belongs to queue 1 by its ORDER");
    expect_sends(b.fake, 2);
    wait_told(4);
    put(&b, "more", &o);
    fake_hear(b.fake); /* the library asks again */
    answer_queues(b.fake, 4);
    expect_sends(b.fake, 1);
    wait_told(5);
    still_clock_go();
    teardown(&b, HMQ_OK);
}

/* What follows on an ORDER lane is held until what is under way is answered: if that is refused and sent again, one by
 * one, it must not arrive behind what followed. So is a message of the key that does not fit into a batch. */
static void test_an_order_lane_has_one_request_under_way(void **state)
{
    static char large[40000];
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct bench b = setup(state, FAST "&max_batch_bytes=1");
    o.order = "account-7";
    memset(large, 'x', sizeof large - 1);
    put(&b, "first", &o);
    fake_hear(b.fake);
    answer_queues(b.fake, 5);
    expect_sends(b.fake, 1);
    hmq_producer_flush(b.producer, RIG_DEADLINE_MS, NULL);
    put(&b, "one", &o);
    put(&b, "two", &o);
    put(&b, large, &o);
    o.order = NULL;
    o.queue = 3; /* is not of the lane, and passes */
    put(&b, "other", &o);
    fake_hear(b.fake);
    assert_true(slice_equal(bytes_of(b.fake, "body"), SLICE_LIT("one")));
    struct rpc_frame one = b.fake->frame;
    fake_hear(b.fake);
    assert_true(slice_equal(bytes_of(b.fake, "body"), SLICE_LIT("other")));
    fake_answer(b.fake);
    b.fake->frame.id = one.id;
    refuse(b.fake, "TOOBIG", "it is too large");
    fake_hear(b.fake);
    assert_true(slice_equal(bytes_of(b.fake, "body"), SLICE_LIT("two")));
    fake_answer(b.fake);
    fake_hear(b.fake);
    assert_int_equal(bytes_of(b.fake, "body").len, sizeof large - 1);
    assert_int_equal(hmq_producer_close(b.producer, 0, NULL), HMQ_ETIMEDOUT);
    assert_int_equal(told.n, 5);
    hmq_client_free(b.client);
}

/* What is held ends with its own deadline, and when the producer is closed. */
static void test_what_is_held_ends(void **state)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_error err;
    struct bench b = setup(state, FAST "&max_batch_bytes=1");
    o.order = "account-7";
    put(&b, "first", &o);
    fake_hear(b.fake);
    answer_queues(b.fake, 5);
    expect_sends(b.fake, 1);
    hmq_producer_flush(b.producer, RIG_DEADLINE_MS, NULL);
    put(&b, "one", &o);
    RIG_CHECK(hmq_send_async(b.producer, "t", "two", 3, &o, 20, on_told, NULL, &err), &err);
    wait_told(2);
    assert_int_equal(told.status[1], HMQ_ETIMEDOUT);
    put(&b, "three", &o);
    assert_int_equal(hmq_producer_close(b.producer, 0, NULL), HMQ_ETIMEDOUT);
    assert_int_equal(told.n, 4);
    assert_int_equal(told.status[2], HMQ_EUNKNOWN);
    assert_int_equal(told.status[3], HMQ_ECLOSED);
    hmq_client_free(b.client);
}

/* ---- with a broker ---- */

#define KEYS 20
#define EACH 500

static void on_counted(void *arg, const char *id, const hmq_error *err)
{
    (void)err;
    atomic_fetch_add((_Atomic unsigned *)arg, id != NULL);
}

/* Reads a queue of messages "key number" and checks that the numbers of each key ascend. */
static unsigned check_queue(hmq_client *client, int queue, unsigned *next)
{
    unsigned n = 0, got = 1;
    char text[2][24];
    while (got > 0) {
        snprintf(text[0], sizeof text[0], "%d", queue);
        snprintf(text[1], sizeof text[1], "%u", n);
        hmq_reply *page = rig_ask(client, "read",
                                  (const char *[]){"topic", "ordered", "queue", text[0], "offset",
                                                   text[1], "count", "1000", NULL});
        got = (unsigned)hmq_reply_len(page);
        for (size_t i = 0; i < got; i++) {
            char *end = NULL;
            const char *body = hmq_reply_text(hmq_reply_get(hmq_reply_at(page, i), "body"));
            unsigned long key = strtoul(body, &end, 10);
            assert_true(key < KEYS);
            assert_int_equal(strtoul(end, NULL, 10), next[key]++);
        }
        n += got;
        hmq_reply_free(page);
    }
    return n;
}

/* Sends a message "key number" with the ORDER key `key`. */
static void put_ordered(hmq_producer *producer, unsigned key, unsigned i, _Atomic unsigned *good)
{
    char order[16], body[32];
    hmq_error err;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    snprintf(order, sizeof order, "key-%u", key);
    snprintf(body, sizeof body, "%u %u", key, i);
    o.order = order;
    RIG_CHECK(hmq_send_async(producer, "ordered", body, strlen(body), &o, RIG_DEADLINE_MS,
                             on_counted, good, &err),
              &err);
}

static void test_order_is_kept_by_a_broker_that_dies(void **state)
{
    (void)state;
    static _Atomic unsigned good;
    struct spawned *broker = rig_spawn(NULL);
    hmq_client *client = rig_connect(broker, FAST);
    hmq_producer *producer = NULL;
    hmq_error err;
    atomic_store(&good, 0);
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    hmq_reply_free(rig_ask(client, "topic_create", (const char *[]){"name", "ordered", NULL}));
    for (unsigned i = 0; i < EACH; i++) {
        for (unsigned key = 0; key < KEYS; key++)
            put_ordered(producer, key, i, &good);
        if (i == 0) /* after this the number of queues is known */
            RIG_CHECK(hmq_producer_flush(producer, RIG_DEADLINE_MS, &err), &err);
        if (i % 200 == 150) {
            spawn_kill(broker);
            spawn_again(broker);
        }
    }
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(atomic_load(&good), KEYS * EACH);
    unsigned next[KEYS] = {0}, n = 0;
    for (int queue = 0; queue < 4; queue++)
        n += check_queue(client, queue, next);
    assert_int_equal(n, KEYS * EACH);
    hmq_client_stats stats = {.size = sizeof stats};
    hmq_client_stats_get(client, &stats);
    assert_true(stats.requests < KEYS * EACH); /* they were sent in batches */
    hmq_client_free(client);
    assert_int_equal(spawn_stop(broker), 0);
    spawn_free(broker);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_each_gets_its_id),
        TEST(test_gathers_while_one_is_under_way),
        TEST(test_sent_again_as_it_was),
        TEST(test_not_sent_again_without_dedup),
        TEST(test_refused_batch_goes_one_by_one),
        TEST(test_what_concerns_all_is_told_to_all),
        TEST(test_older_broker),
        TEST(test_wrong_count),
        TEST(test_closed_when_full),
        TEST(test_order_of_the_calls),
        TEST(test_order_keys_find_their_queue),
        TEST(test_an_order_lane_has_one_request_under_way),
        TEST(test_what_is_held_ends),
        cmocka_unit_test(test_order_is_kept_by_a_broker_that_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
