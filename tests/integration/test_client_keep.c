/*
 * test_client_keep.c: tests messages that outlive their handler: kept, extended, ended later in any order on any thread,
 * and lost; pausing; and closing while messages are kept, or while a handler hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"

#define MESSAGES 200

/* The handlers put messages here; the test ends them. */
struct shelf {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const hmq_message *kept[MESSAGES];
    unsigned n, calls, running, told[HMQ_EDAMAGED + 1];
    bool hang; /* handlers do not return while it is true */
    bool lost; /* a handler that hangs was told that its lease is lost */
    bool keeps;
};

static void shelf_init(struct shelf *s)
{
    *s = (struct shelf){.keeps = true};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

static void shelf_fini(struct shelf *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

static void set(struct shelf *s, bool *field, bool value)
{
    pthread_mutex_lock(&s->lock);
    *field = value;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static enum hmq_verdict shelve(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct shelf *s = arg;
    hmq_error err;
    (void)retry;
    pthread_mutex_lock(&s->lock);
    s->calls++;
    s->running++;
    pthread_cond_broadcast(&s->changed);
    if (s->keeps) {
        RIG_CHECK(hmq_message_keep(m, &err), &err);
        s->kept[s->n++] = m;
    }
    while (s->hang && !s->lost) {
        pthread_mutex_unlock(&s->lock);
        spawn_pause();
        pthread_mutex_lock(&s->lock);
        s->lost = s->lost || hmq_message_lost(m);
    }
    while (s->hang)
        pthread_cond_wait(&s->changed, &s->lock);
    s->running--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return HMQ_ACK;
}

static void on_ended(void *arg, const hmq_error *err)
{
    struct shelf *s = arg;
    pthread_mutex_lock(&s->lock);
    s->told[err->code]++;
    pthread_mutex_unlock(&s->lock);
}

static unsigned look(struct shelf *s, const unsigned *field)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = *field;
    pthread_mutex_unlock(&s->lock);
    return n;
}

struct wish {
    struct shelf *shelf;
    const unsigned *field;
    unsigned at_least;
};

static bool fulfilled(void *arg)
{
    struct wish *w = arg;
    return look(w->shelf, w->field) >= w->at_least;
}

static void wait_for(struct shelf *s, const unsigned *field, unsigned at_least, const char *what)
{
    struct wish w = {s, field, at_least};
    rig_eventually(fulfilled, &w, what);
}

static hmq_consumer *consume(struct shelf *s, const char *topic, const char *query)
{
    hmq_consumer *consumer = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(rig.broker->port, query);
    RIG_CHECK(hmq_consumer_new(rig.client, "g", &topic, 1, shelve, s, o, &consumer, &err), &err);
    hmq_options_free(o);
    return consumer;
}

static void close_consumer(hmq_consumer *consumer)
{
    hmq_error err;
    RIG_CHECK(hmq_consumer_close(consumer, RIG_DEADLINE_MS, &err), &err);
}

static void put_some(const char *topic, int n)
{
    char body[16];
    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof body, "%d", i);
        rig_put(rig.client, topic, body);
    }
}

static int64_t group_has(const char *topic, const char *what)
{
    hmq_reply *rows = rig_ask(rig.client, "lag", (const char *[]){"group", "g", NULL});
    int64_t n = -1;
    for (size_t i = 0; i < hmq_reply_len(rows); i++) {
        const hmq_reply *row = hmq_reply_at(rows, i);
        if (strcmp(hmq_reply_text(hmq_reply_get(row, "topic")), topic) == 0)
            n = hmq_reply_int(hmq_reply_get(row, what), -1);
    }
    hmq_reply_free(rows);
    return n;
}

/* ---- ending ---- */

/* All are kept, for longer than a lease, though the window of a consumer whose handlers return at once is small; then
 * they end from the last one to the first, half of them with a callback. */
static void test_ends_in_any_order(void **state)
{
    (void)state;
    struct shelf s;
    hmq_error err;
    shelf_init(&s);
    put_some("any", MESSAGES);
    hmq_consumer *consumer = consume(&s, "any", "?lease_ms=1000");
    wait_for(&s, &s.n, MESSAGES, "all are kept");
    hmq_consumer_stats stats = {.size = sizeof stats};
    do {
        spawn_pause();
        hmq_consumer_stats_get(consumer, &stats);
    } while (stats.extended < 3 * MESSAGES); /* three times half a lease */
    assert_int_equal(stats.lost, 0);
    assert_int_equal(stats.held, MESSAGES);
    assert_int_equal(group_has("any", "inflight"), MESSAGES);
    for (unsigned i = MESSAGES; i-- > 0;) {
        assert_false(hmq_message_lost(s.kept[i]));
        assert_int_equal(hmq_message_tries(s.kept[i]), 1);
        RIG_CHECK(hmq_message_end(s.kept[i], HMQ_ACK, NULL, i % 2 ? on_ended : NULL, &s, &err), &err);
    }
    wait_for(&s, &s.told[HMQ_OK], MESSAGES / 2, "all is told");
    close_consumer(consumer);
    assert_int_equal(group_has("any", "lag"), 0);
    assert_int_equal(s.calls, MESSAGES);
    shelf_fini(&s);
}

static void test_ends_otherwise(void **state)
{
    (void)state;
    struct shelf s;
    hmq_error err;
    hmq_retry retry = {.delay_ms = 0, .reason = "a reason"};
    shelf_init(&s);
    put_some("otherwise", 3);
    hmq_consumer *consumer = consume(&s, "otherwise", "");
    wait_for(&s, &s.n, 3, "all are kept");
    assert_int_equal(hmq_message_end(s.kept[0], HMQ_KEEP, NULL, on_ended, &s, &err), HMQ_EINVAL);
    const char *receipt = hmq_message_receipt(s.kept[0]);
    RIG_CHECK(hmq_ack(rig.client, "g", &receipt, 1, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_message_end(s.kept[0], HMQ_KEEP, NULL, NULL, NULL, &err), &err);
    RIG_CHECK(hmq_message_end(s.kept[1], HMQ_REJECT, &retry, on_ended, &s, &err), &err);
    RIG_CHECK(hmq_message_end(s.kept[2], HMQ_NACK, &retry, on_ended, &s, &err), &err);
    wait_for(&s, &s.told[HMQ_OK], 2, "both are told");
    wait_for(&s, &s.n, 4, "the one that was requeued comes again");
    assert_int_equal(hmq_message_attempt(s.kept[3]), 2);
    RIG_CHECK(hmq_message_end(s.kept[3], HMQ_ACK, NULL, NULL, NULL, &err), &err);
    close_consumer(consumer);
    assert_int_equal(group_has("otherwise", "lag"), 0);
    assert_int_equal(group_has("otherwise", "dead"), 1);
    shelf_fini(&s);
}

/* The lease of a kept message cannot be extended: somebody else has the message acknowledged. */
static bool is_lost(void *arg)
{
    return hmq_message_lost(arg);
}

static void test_a_lost_lease(void **state)
{
    (void)state;
    struct shelf s;
    hmq_error err;
    shelf_init(&s);
    put_some("lost", 2);
    hmq_consumer *consumer = consume(&s, "lost", "?lease_ms=600&max_lease_ms=600000");
    wait_for(&s, &s.n, 2, "both are kept");
    const char *receipt = hmq_message_receipt(s.kept[0]);
    RIG_CHECK(hmq_nack(rig.client, "g", receipt, RIG_DEADLINE_MS, NULL, RIG_DEADLINE_MS, &err), &err);
    rig_eventually(is_lost, (void *)(uintptr_t)s.kept[0], "it is told");
    assert_false(hmq_message_lost(s.kept[1]));
    RIG_CHECK(hmq_message_end(s.kept[0], HMQ_ACK, NULL, on_ended, &s, &err), &err);
    RIG_CHECK(hmq_message_end(s.kept[1], HMQ_ACK, NULL, on_ended, &s, &err), &err);
    wait_for(&s, &s.told[HMQ_ESTALE], 1, "it was lost");
    wait_for(&s, &s.told[HMQ_OK], 1, "the other one was not");
    close_consumer(consumer);
    shelf_fini(&s);
}

static void test_a_handler_is_told(void **state)
{
    (void)state;
    struct shelf s;
    hmq_error err;
    shelf_init(&s);
    s.keeps = false;
    s.hang = true;
    put_some("told", 1);
    hmq_consumer *consumer = consume(&s, "told", "?lease_ms=600");
    wait_for(&s, &s.running, 1, "it is handled");
    for (unsigned queue = 0; queue < 4; queue++) { /* whichever queue it is in */
        char receipt[64];
        snprintf(receipt, sizeof receipt, "told:%u:0#1", queue);
        (void)hmq_nack(rig.client, "g", receipt, RIG_DEADLINE_MS, NULL, RIG_DEADLINE_MS, &err);
    }
    pthread_mutex_lock(&s.lock);
    bool lost = s.lost;
    pthread_mutex_unlock(&s.lock);
    while (!lost) {
        spawn_pause();
        pthread_mutex_lock(&s.lock);
        lost = s.lost;
        pthread_mutex_unlock(&s.lock);
    }
    set(&s, &s.hang, false);
    close_consumer(consumer);
    shelf_fini(&s);
}

/* ---- ending inside the handler, and what cannot be kept ---- */

struct strict {
    struct shelf shelf;
    unsigned wrong;
};

static enum hmq_verdict end_inside(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct strict *t = arg;
    hmq_error err;
    char id[HMQ_ID_SIZE];
    (void)retry;
    snprintf(id, sizeof id, "%s", hmq_message_id(m));
    RIG_CHECK(hmq_message_end(m, HMQ_ACK, NULL, on_ended, &t->shelf, &err), &err);
    wait_for(&t->shelf, &t->shelf.told[HMQ_OK], 1, "the broker has acknowledged it");
    /* It is valid until the handler returns, but has ended. */
    t->wrong += strcmp(hmq_message_id(m), id) != 0;
    t->wrong += hmq_message_end(m, HMQ_ACK, NULL, NULL, NULL, &err) != HMQ_EINVAL;
    t->wrong += hmq_message_keep(m, &err) != HMQ_EINVAL;
    return HMQ_NACK;
}

static void test_ends_inside_its_handler(void **state)
{
    (void)state;
    struct strict t = {.wrong = 0};
    const char *topic = "inside";
    hmq_consumer *consumer = NULL;
    hmq_batch *batch = NULL;
    hmq_error err;
    shelf_init(&t.shelf);
    put_some(topic, 1);
    RIG_CHECK(hmq_consumer_new(rig.client, "g", &topic, 1, end_inside, &t, NULL, &consumer, &err), &err);
    wait_for(&t.shelf, &t.shelf.told[HMQ_OK], 1, "it has ended");
    close_consumer(consumer);
    assert_int_equal(t.wrong, 0);
    assert_int_equal(group_has(topic, "lag"), 0);
    put_some(topic, 1);
    RIG_CHECK(hmq_pop(rig.client, "g", &topic, 1, 1, RIG_DEADLINE_MS, 60000, &batch, &err), &err);
    assert_int_equal(hmq_message_keep(hmq_batch_at(batch, 0), &err), HMQ_EINVAL);
    assert_int_equal(hmq_message_end(hmq_batch_at(batch, 0), HMQ_ACK, NULL, NULL, NULL, &err), HMQ_EINVAL);
    assert_int_equal(hmq_message_lost(hmq_batch_at(batch, 0)), 0);
    hmq_batch_free(batch);
    shelf_fini(&t.shelf);
}

/* ---- closing ---- */

static void *end_all_later(void *arg)
{
    struct shelf *s = arg;
    hmq_error err;
    for (unsigned i = 0; i < s->n; i++)
        RIG_CHECK(hmq_message_end(s->kept[i], HMQ_ACK, NULL, NULL, NULL, &err), &err);
    return NULL;
}

/* Closing waits for what is kept. */
static void test_close_waits_for_kept_messages(void **state)
{
    (void)state;
    struct shelf s;
    pthread_t thread;
    shelf_init(&s);
    put_some("waits", 20);
    hmq_consumer *consumer = consume(&s, "waits", "");
    wait_for(&s, &s.n, 20, "all are kept");
    assert_int_equal(pthread_create(&thread, NULL, end_all_later, &s), 0);
    close_consumer(consumer);
    pthread_join(thread, NULL);
    assert_int_equal(group_has("waits", "lag"), 0);
    shelf_fini(&s);
}

/* Messages that are kept over the end of their consumer, and of their client, stay valid until they are ended. */
static void test_kept_over_the_end(void **state)
{
    (void)state;
    struct shelf s;
    hmq_error err;
    const char *topic = "over";
    hmq_client *other = rig_connect(rig.broker, "");
    hmq_consumer *consumer = NULL;
    shelf_init(&s);
    put_some(topic, 5);
    RIG_CHECK(hmq_consumer_new(other, "g", &topic, 1, shelve, &s, NULL, &consumer, &err), &err);
    wait_for(&s, &s.n, 5, "all are kept");
    assert_int_equal(hmq_consumer_close(consumer, 0, &err), HMQ_ETIMEDOUT);
    hmq_client_free(other);
    for (unsigned i = 0; i < 5; i++) {
        assert_string_equal(hmq_message_topic(s.kept[i]), topic);
        assert_true(hmq_message_lost(s.kept[i]));
        assert_int_equal(hmq_message_end(s.kept[i], HMQ_ACK, NULL, on_ended, &s, &err), HMQ_ECLOSED);
    }
    assert_int_equal(group_has(topic, "inflight"), 5);
    shelf_fini(&s);
}

static void *end_whatever_comes(void *arg)
{
    struct shelf *s = arg;
    for (unsigned i = 0; i < s->n; i++) {
        enum hmq_status status = hmq_message_end(s->kept[i], i % 2 ? HMQ_ACK : HMQ_REJECT, NULL, on_ended, s, NULL);
        assert_true(status == HMQ_OK || status == HMQ_ECLOSED);
    }
    return NULL;
}

/* Closing, with no time or a little, while another thread ends what is kept: whichever leaves last frees the rest. */
static void test_closing_while_messages_end(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct shelf s;
        pthread_t thread;
        hmq_error err;
        char topic[16];
        snprintf(topic, sizeof topic, "race%d", round);
        shelf_init(&s);
        put_some(topic, 8);
        hmq_consumer *consumer = consume(&s, topic, "?workers=2");
        wait_for(&s, &s.n, 8, "all are kept");
        assert_int_equal(pthread_create(&thread, NULL, end_whatever_comes, &s), 0);
        enum hmq_status status = hmq_consumer_close(consumer, round % 4, &err);
        assert_true(status == HMQ_OK || status == HMQ_ETIMEDOUT);
        pthread_join(thread, NULL);
        RIG_CHECK(hmq_client_flush(rig.client, RIG_DEADLINE_MS, &err), &err);
        shelf_fini(&s);
    }
}

/* A handler that hangs: closing ends at its deadline and says so; the others are requeued at once. */
static void test_a_handler_that_hangs(void **state)
{
    (void)state;
    static struct shelf s; /* the handler outlives the test's frame */
    hmq_error err;
    const char *topic = "hangs";
    hmq_client *other = rig_connect(rig.broker, "");
    hmq_consumer *consumer = NULL;
    shelf_init(&s);
    s.keeps = false;
    s.hang = true;
    put_some(topic, 10);
    RIG_CHECK(hmq_consumer_new(other, "g", &topic, 1, shelve, &s, NULL, &consumer, &err), &err);
    wait_for(&s, &s.running, 1, "one is handled");
    assert_int_equal(hmq_consumer_close(consumer, 300, &err), HMQ_ETIMEDOUT);
    assert_non_null(strstr(err.text, "abandoned"));
    hmq_client_free(other);
    assert_int_equal(group_has(topic, "inflight"), 1);
    assert_int_equal(group_has(topic, "ready"), 9);
    set(&s, &s.hang, false);
    wait_for(&s, &s.calls, 1, "it was called once");
    pthread_mutex_lock(&s.lock);
    while (s.running > 0)
        pthread_cond_wait(&s.changed, &s.lock);
    pthread_mutex_unlock(&s.lock);
    assert_int_equal(group_has(topic, "inflight"), 1); /* its result is ignored */
}

/* ---- pausing ---- */

static void test_pause_and_resume(void **state)
{
    (void)state;
    struct shelf s;
    hmq_error err;
    shelf_init(&s);
    s.keeps = false;
    put_some("paused", 50);
    hmq_consumer *consumer = consume(&s, "paused", "?start=no");
    RIG_CHECK(hmq_consumer_pause(consumer, RIG_DEADLINE_MS, &err), &err); /* it is, already */
    RIG_CHECK(hmq_consumer_resume(consumer, &err), &err);
    wait_for(&s, &s.calls, 50, "it has started");
    set(&s, &s.hang, true);
    put_some("paused", 5);
    wait_for(&s, &s.running, 1, "one is handled");
    assert_int_equal(hmq_consumer_pause(consumer, 0, &err), HMQ_ETIMEDOUT);
    set(&s, &s.hang, false);
    RIG_CHECK(hmq_consumer_pause(consumer, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(look(&s, &s.running), 0);
    unsigned calls = look(&s, &s.calls);
    put_some("paused", 20);
    RIG_CHECK(hmq_client_flush(rig.client, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(look(&s, &s.calls), calls);
    RIG_CHECK(hmq_consumer_resume(consumer, &err), &err);
    wait_for(&s, &s.calls, 75, "it goes on");
    RIG_CHECK(hmq_consumer_pause(consumer, RIG_DEADLINE_MS, &err), &err);
    put_some("paused", 3);
    close_consumer(consumer);
    assert_int_equal(look(&s, &s.calls), 75);
    assert_int_equal(group_has("paused", "lag"), 3);
    assert_int_equal(group_has("paused", "inflight"), 0);
    shelf_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_in_any_order),
        cmocka_unit_test(test_ends_otherwise),
        cmocka_unit_test(test_a_lost_lease),
        cmocka_unit_test(test_a_handler_is_told),
        cmocka_unit_test(test_ends_inside_its_handler),
        cmocka_unit_test(test_close_waits_for_kept_messages),
        cmocka_unit_test(test_kept_over_the_end),
        cmocka_unit_test(test_closing_while_messages_end),
        cmocka_unit_test(test_a_handler_that_hangs),
        cmocka_unit_test(test_pause_and_resume),
    };
    rig.query = "?wait_ms=200";
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
