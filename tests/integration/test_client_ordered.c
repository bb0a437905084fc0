/*
 * test_client_ordered.c: tests the ordered consumer, which handles the messages of one ORDER key one after another on
 * several workers, and the handler that gets several messages at once.
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

#define FAST "?wait_ms=200&reconnect_min_ms=1&reconnect_max_ms=5&order_group=no"
#define KEYS 30
#define EACH 60

/* What has happened to each key. */
struct keys {
    atomic_uint next[KEYS], running[KEYS];
    atomic_uint handled, retried, wrong, calls, most, together;
    _Atomic(const hmq_message *) kept;
    atomic_bool keeps, counts; /* counts: does nothing else */
};

/* The body is "key number". */
static void parse(const hmq_message *m, unsigned *ret_key, unsigned *ret_number)
{
    char *end;
    *ret_key = (unsigned)strtoul(hmq_message_body(m, NULL), &end, 10);
    *ret_number = (unsigned)strtoul(end, NULL, 10);
    assert_true(*ret_key < KEYS && *ret_number < EACH);
}

/* Every seventh message is retried once before it is acknowledged. */
static bool retries(unsigned number)
{
    return number % 7 == 3;
}

static enum hmq_verdict in_order(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct keys *k = arg;
    unsigned key, number;
    hmq_error err;
    parse(m, &key, &number);
    if (k->counts) {
        k->handled++;
        return HMQ_ACK;
    }
    k->wrong += k->running[key]++ > 0; /* another one of the key is handled */
    k->wrong += k->next[key] != number;
    k->calls++;
    k->running[key]--;
    if (retries(number) && hmq_message_tries(m) == 1) {
        retry->delay_ms = 5;
        k->retried++;
        return HMQ_NACK;
    }
    k->wrong += hmq_message_tries(m) != 1u + retries(number);
    k->wrong += hmq_message_attempt(m) != 1;
    k->next[key]++;
    if (k->keeps && number == 0 && key == 0) {
        k->wrong += hmq_message_keep(m, &err) != HMQ_OK;
        k->kept = m;
    }
    k->handled++;
    return HMQ_ACK;
}

static void fill(const char *topic)
{
    hmq_producer *producer = NULL;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    hmq_error err;
    char body[32], order[16];
    RIG_CHECK(hmq_producer_new(rig.client, NULL, &producer, &err), &err);
    for (unsigned number = 0; number < EACH; number++) {
        for (unsigned key = 0; key < KEYS; key++) {
            int n = snprintf(body, sizeof body, "%u %u", key, number);
            snprintf(order, sizeof order, "key %u", key);
            o.order = order;
            RIG_CHECK(hmq_send_async(producer, topic, body, (size_t)n, &o, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
        }
    }
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

struct wish {
    atomic_uint *field;
    unsigned at_least;
};

static bool fulfilled(void *arg)
{
    struct wish *w = arg;
    return *w->field >= w->at_least;
}

static void wait_for(atomic_uint *field, unsigned at_least, const char *what)
{
    struct wish w = {field, at_least};
    rig_eventually(fulfilled, &w, what);
}

static void expect_no_lag(const char *topic)
{
    hmq_reply *rows = rig_ask(rig.client, "lag", (const char *[]){"group", "g", NULL});
    for (size_t i = 0; i < hmq_reply_len(rows); i++) {
        const hmq_reply *row = hmq_reply_at(rows, i);
        if (strcmp(hmq_reply_text(hmq_reply_get(row, "topic")), topic) == 0)
            assert_int_equal(hmq_reply_int(hmq_reply_get(row, "lag"), -1), 0);
    }
    hmq_reply_free(rows);
}

static hmq_consumer *consume(const char *topic, struct keys *k, hmq_batch_fn batch, const char *query)
{
    hmq_consumer *consumer = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(rig.broker->port, query);
    RIG_CHECK(batch ? hmq_consumer_new_batch(rig.client, "g", &topic, 1, batch, k, o, &consumer, &err)
                    : hmq_consumer_new(rig.client, "g", &topic, 1, in_order, k, o, &consumer, &err),
              &err);
    hmq_options_free(o);
    return consumer;
}

static void close_consumer(hmq_consumer *consumer)
{
    hmq_error err;
    RIG_CHECK(hmq_consumer_close(consumer, RIG_DEADLINE_MS, &err), &err);
}

/* As in_order, but the group is ORDERED at the broker, which redelivers what is requeued; there are two consumers. */
static enum hmq_verdict in_order_by_group(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct keys *k = arg;
    unsigned key, number;
    parse(m, &key, &number);
    k->wrong += k->running[key]++ > 0;
    k->wrong += k->next[key] != number;
    k->wrong += hmq_message_tries(m) != 1;
    k->calls++;
    k->running[key]--;
    if (retries(number) && hmq_message_attempt(m) == 1) {
        retry->delay_ms = 5;
        k->retried++;
        return HMQ_NACK;
    }
    k->next[key]++;
    k->handled++;
    return HMQ_ACK;
}

static void test_an_ordered_group(void **state)
{
    (void)state;
    struct keys k = {.keeps = false};
    hmq_consumer *consumers[2];
    const char *topic = "by_group";
    hmq_error err;
    fill(topic);
    for (int i = 0; i < 2; i++) {
        hmq_options *o = rig_options_for(rig.broker->port, "?ordered=yes&workers=2");
        RIG_CHECK(hmq_consumer_new(rig.client, "g", &topic, 1, in_order_by_group, &k, o, &consumers[i], &err), &err);
        hmq_options_free(o);
    }
    wait_for(&k.handled, KEYS * EACH, "all are handled");
    for (int i = 0; i < 2; i++)
        close_consumer(consumers[i]);
    assert_int_equal(k.wrong, 0);
    assert_int_equal(k.retried, KEYS * 9);
    expect_no_lag(topic);
}

static void test_one_after_another(void **state)
{
    (void)state;
    struct keys k = {.keeps = false};
    fill("ordered");
    hmq_consumer *consumer = consume("ordered", &k, NULL, "?ordered=yes&order_group=no&workers=4");
    wait_for(&k.handled, KEYS * EACH, "all are handled");
    close_consumer(consumer);
    assert_int_equal(k.wrong, 0);
    assert_int_equal(k.retried, KEYS * 9); /* 3, 10, ... 59 */
    assert_int_equal(k.calls, KEYS * (EACH + 9));
    expect_no_lag("ordered");
}

/* A message that is kept holds its key, and no other one; pausing meanwhile changes nothing. */
static void test_a_kept_message_holds_its_key(void **state)
{
    (void)state;
    struct keys k = {.keeps = true};
    hmq_error err;
    fill("held");
    hmq_consumer *consumer = consume("held", &k, NULL, "?ordered=yes&order_group=no&workers=3&prefetch=10000");
    wait_for(&k.handled, (KEYS - 1) * EACH + 1, "all of the other keys are handled");
    assert_int_equal(k.next[0], 1);
    RIG_CHECK(hmq_consumer_pause(consumer, RIG_DEADLINE_MS, &err), &err);
    RIG_CHECK(hmq_message_end(k.kept, HMQ_ACK, NULL, NULL, NULL, &err), &err);
    RIG_CHECK(hmq_consumer_resume(consumer, &err), &err);
    wait_for(&k.handled, KEYS * EACH, "all are handled");
    close_consumer(consumer);
    assert_int_equal(k.wrong, 0);
    expect_no_lag("held");
}

/* Closing in the middle requeues those that follow; another consumer handles the rest. */
static void test_closed_in_the_middle(void **state)
{
    (void)state;
    struct keys k = {.keeps = false};
    fill("middle");
    hmq_consumer *consumer = consume("middle", &k, NULL, "?ordered=yes&order_group=no&workers=2");
    wait_for(&k.handled, 100, "some are handled");
    close_consumer(consumer);
    unsigned before = k.handled;
    assert_int_equal(k.wrong, 0);
    struct keys rest = {.counts = true};
    consumer = consume("middle", &rest, NULL, "?workers=2"); /* unordered: those that were requeued come in any order */
    wait_for(&rest.handled, KEYS * EACH - before, "the rest is handled");
    close_consumer(consumer);
    expect_no_lag("middle");
}

/* ---- while the broker dies ---- */

/* Handlers keep some messages and put them here; another thread ends them in an order of its own. */
struct desk {
    pthread_mutex_t lock;
    const hmq_message *kept[KEYS * EACH];
    size_t n;
    atomic_uint running[KEYS], seen[KEYS][EACH];
    atomic_uint distinct, wrong, calls;
    atomic_bool over;
};

static enum hmq_verdict handle_anyhow(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct desk *d = arg;
    unsigned key, number, n = d->calls++;
    parse(m, &key, &number);
    d->wrong += d->running[key]++ > 0; /* another one of the key is handled, or kept */
    d->distinct += d->seen[key][number]++ == 0;
    if (n % 3 == 0) {
        pthread_mutex_lock(&d->lock);
        bool kept = d->n < KEYS * EACH && hmq_message_keep(m, NULL) == HMQ_OK;
        if (kept)
            d->kept[d->n++] = m;
        pthread_mutex_unlock(&d->lock);
        if (kept)
            return HMQ_KEEP;
    }
    retry->delay_ms = 2;
    d->running[key]--;
    return n % 7 == 0 ? HMQ_NACK : HMQ_ACK;
}

static void *end_anyhow(void *arg)
{
    struct desk *d = arg;
    for (unsigned i = 1; !d->over; i++) {
        const hmq_message *m = NULL;
        pthread_mutex_lock(&d->lock);
        if (d->n > 0) {
            size_t which = i * 7919u % d->n;
            m = d->kept[which];
            d->kept[which] = d->kept[--d->n];
        }
        pthread_mutex_unlock(&d->lock);
        if (!m) {
            spawn_pause();
            continue;
        }
        unsigned key, number;
        parse(m, &key, &number);
        d->running[key]--;
        d->wrong += hmq_message_end(m, i % 5 ? HMQ_ACK : HMQ_NACK, NULL, NULL, NULL, NULL) != HMQ_OK;
    }
    return NULL;
}

static bool is_drained(void *arg)
{
    hmq_reply *rows = rig_ask(rig.client, "lag", (const char *[]){"group", "g", NULL});
    bool drained = false;
    for (size_t i = 0; i < hmq_reply_len(rows); i++) {
        const hmq_reply *row = hmq_reply_at(rows, i);
        if (strcmp(hmq_reply_text(hmq_reply_get(row, "topic")), arg) == 0)
            drained = hmq_reply_int(hmq_reply_get(row, "lag"), -1) == 0;
    }
    hmq_reply_free(rows);
    return drained;
}

static void test_while_the_broker_dies(void **state)
{
    (void)state;
    static struct desk d = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const char *topic = "anyhow";
    hmq_consumer *consumer = NULL;
    hmq_error err;
    pthread_t thread;
    fill(topic);
    hmq_options *o = rig_options_for(rig.broker->port, "?ordered=yes&order_group=no&workers=4&lease_ms=1000&wait_ms=100");
    RIG_CHECK(hmq_consumer_new(rig.client, "g", &topic, 1, handle_anyhow, &d, o, &consumer, &err), &err);
    hmq_options_free(o);
    assert_int_equal(pthread_create(&thread, NULL, end_anyhow, &d), 0);
    for (unsigned round = 1; round <= 5; round++) {
        wait_for(&d.distinct, round * KEYS * EACH / 6, "it goes on");
        if (round % 2)
            RIG_CHECK(hmq_consumer_pause(consumer, RIG_DEADLINE_MS, &err), &err);
        spawn_kill(rig.broker);
        spawn_again(rig.broker);
        RIG_CHECK(hmq_consumer_resume(consumer, &err), &err);
    }
    wait_for(&d.distinct, KEYS * EACH, "all are handled");
    rig_eventually(is_drained, (void *)(uintptr_t)topic, "all are acknowledged");
    close_consumer(consumer);
    d.over = true;
    pthread_join(thread, NULL);
    assert_int_equal(d.wrong, 0);
    assert_int_equal(d.n, 0);
}

/* ---- several at once ---- */

static enum hmq_verdict handle_batch(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    struct keys *k = arg;
    bool seen[KEYS] = {false};
    hmq_error err;
    (void)retry;
    k->calls++;
    if (n > k->most)
        k->most = (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        unsigned key, number;
        parse(messages[i], &key, &number);
        k->together += seen[key];
        seen[key] = true;
        if (number == 0)
            k->wrong += hmq_message_end(messages[i], HMQ_REJECT, NULL, NULL, NULL, &err) != HMQ_OK;
        k->next[key]++;
    }
    k->handled += (unsigned)n;
    return HMQ_ACK;
}

static void test_several_at_once(void **state)
{
    (void)state;
    struct keys k = {.keeps = false};
    const char *dead = "%DLQ%g";
    hmq_batch *batch = NULL;
    hmq_error err;
    fill("batches");
    hmq_consumer *consumer = consume("batches", &k, handle_batch, "?workers=2&batch_count=50&batch_wait_ms=20");
    wait_for(&k.handled, KEYS * EACH, "all are handled");
    close_consumer(consumer);
    assert_int_equal(k.wrong, 0);
    assert_int_equal(k.handled, KEYS * EACH);
    assert_true(k.most > 1 && k.most <= 50);
    assert_true(k.calls < KEYS * EACH);
    expect_no_lag("batches");
    RIG_CHECK(hmq_pop(rig.client, "clerks", &dead, 1, 1000, RIG_DEADLINE_MS, 60000, &batch, &err), &err);
    assert_int_equal(hmq_batch_count(batch), KEYS); /* those that were ended by themselves */
    hmq_batch_free(batch);
}

static void test_several_at_once_in_order(void **state)
{
    (void)state;
    struct keys k = {.keeps = false};
    fill("both");
    hmq_consumer *consumer = consume("both", &k, handle_batch, "?ordered=yes&order_group=no&workers=2&batch_wait_ms=1");
    wait_for(&k.handled, KEYS * EACH, "all are handled");
    close_consumer(consumer);
    assert_int_equal(k.wrong, 0);
    assert_int_equal(k.together, 0); /* one of each key */
    expect_no_lag("both");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_an_ordered_group),
        cmocka_unit_test(test_a_kept_message_holds_its_key),
        cmocka_unit_test(test_closed_in_the_middle),
        cmocka_unit_test(test_while_the_broker_dies),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_several_at_once_in_order),
    };
    rig.query = FAST;
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
