/*
 * test_waiter.c: tests which waiters are woken by news: the oldest first, as many as messages became ready, each group
 * separately, and no wake-up is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/serve/waiter.h"

static struct timers timers;
static struct waiters ws;
static struct waiter *expired;

static void note_expired(struct waiter *w, void *arg)
{
    (void)arg;
    expired = w;
}

static const struct waiter_ops ops = {.expired = note_expired};

static int set_up(void **state)
{
    (void)state;
    timers_init(&timers);
    waiters_init(&ws, &timers);
    expired = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    waiters_fini(&ws);
    assert_int_equal(timers.heap.n, 0);
    timers_fini(&timers);
    return 0;
}

static struct entry *pop_entry(const char *group, const char *topic, const char *topic2,
                               uint64_t index)
{
    struct slice topics[2] = {slice_str(topic), slice_str(topic2)};
    struct command cmd = {.info = command_info(CMD_POP),
                          .n_pos = 1,
                          .n_rest = topic2 ? 2 : 1,
                          .pos = {slice_str(group)},
                          .rest = topics};
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    e->index = index;
    return e;
}

static struct entry *read_entry(const char *topic)
{
    struct command cmd = {.info = command_info(CMD_READ),
                          .n_pos = 3,
                          .pos = {slice_str(topic), SLICE_LIT("0"), SLICE_LIT("0")}};
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    return e;
}

static struct waiter *park(const char *group, const char *topic)
{
    struct waiter *w = waiter_park(&ws, &ops, pop_entry(group, topic, NULL, 1), 0, 1000, 0);
    assert_non_null(w);
    return w;
}

static uint64_t topic_key(const char *topic)
{
    return news_key(NEWS_TOPIC, slice_str(topic), slice_of(NULL, 0));
}

static void tell(uint64_t index, uint64_t key, uint32_t count)
{
    static struct news n;
    n = (struct news){.index = index, .n = 1, .keys = {key}, .counts = {count}};
    waiters_news(&ws, &n);
}

static void expect_next(struct waiter *w)
{
    assert_ptr_equal(waiters_next(&ws), w);
}

static void oldest_first_and_no_more_than_ready(void **state)
{
    (void)state;
    struct waiter *a = park("g", "t"), *b = park("g", "t"), *c = park("g", "t");
    tell(2, topic_key("t"), 2);
    expect_next(a);
    expect_next(b);
    expect_next(NULL);
    /* a finds nothing; it is still the oldest. */
    assert_int_equal(waiter_park_again(a, a->entry, 0), ST_OK);
    tell(3, topic_key("t"), 1);
    expect_next(a);
    expect_next(NULL);
    waiter_free(a, true);
    waiter_free(b, true);
    expect_next(NULL);
    waiter_free(c, false);
}

static void each_group_by_itself(void **state)
{
    (void)state;
    struct waiter *a = park("g1", "t"), *b = park("g1", "t"), *c = park("g2", "t");
    struct waiter *other = park("g1", "u");
    tell(2, topic_key("t"), 1);
    struct waiter *x = waiters_next(&ws), *y = waiters_next(&ws);
    assert_true((x == a && y == c) || (x == c && y == a));
    expect_next(NULL);
    tell(3, news_key(NEWS_GROUP, slice_str("g1"), slice_str("t")), 1);
    expect_next(b);
    expect_next(NULL);
    waiter_free(a, true);
    waiter_free(b, true);
    waiter_free(c, true);
    waiter_free(other, false);
    expect_next(NULL);
}

static void readers_are_all_woken(void **state)
{
    (void)state;
    uint64_t key = topic_key("t");
    struct waiter *a = waiter_park(&ws, &ops, read_entry("t"), key, 1000, 0);
    struct waiter *b = waiter_park(&ws, &ops, read_entry("t"), key, 1000, 0);
    tell(2, key, 1);
    expect_next(a);
    expect_next(b);
    waiter_free(a, true);
    waiter_free(b, true);
}

static void one_wait_on_two_topics(void **state)
{
    (void)state;
    struct waiter *a = waiter_park(&ws, &ops, pop_entry("g", "t", "u", 1), 0, 1000, 0);
    tell(2, topic_key("u"), 5);
    tell(2, topic_key("t"), 5);
    expect_next(a);
    expect_next(NULL);
    waiter_free(a, true);
}

static void overflow_wakes_everybody(void **state)
{
    (void)state;
    static struct news n;
    struct waiter *a = park("g1", "t"), *b = park("g2", "u");
    n = (struct news){.index = 9, .overflow = true};
    waiters_news(&ws, &n);
    assert_non_null(waiters_next(&ws));
    assert_non_null(waiters_next(&ws));
    expect_next(NULL);
    waiter_free(a, true);
    waiter_free(b, true);
    struct entry *e = pop_entry("g3", "v", NULL, 8);
    assert_true(waiters_missed(&ws, e));
    e->index = 10;
    assert_false(waiters_missed(&ws, e));
    entry_free(e);
}

static void news_before_parking_is_noticed(void **state)
{
    (void)state;
    struct entry *e = pop_entry("g", "t", "u", 4);
    tell(3, topic_key("u"), 1);
    assert_false(waiters_missed(&ws, e)); /* it has looked after that news */
    tell(5, topic_key("other"), 1);
    assert_false(waiters_missed(&ws, e));
    tell(6, topic_key("u"), 1);
    assert_true(waiters_missed(&ws, e));
    entry_free(e);
    /* News of its own commit group: the message may have been applied after the POP. */
    e = pop_entry("g", "v", NULL, 7);
    tell(7, topic_key("v"), 1);
    assert_true(waiters_missed(&ws, e));
    entry_free(e);
}

static void deadline_and_retry(void **state)
{
    (void)state;
    struct waiter *a = waiter_park(&ws, &ops, pop_entry("g", "t", NULL, 1), 0, 1000, 500);
    struct waiter *b = waiter_park(&ws, &ops, pop_entry("g", "t", NULL, 1), 0, 400, 500);
    timers_run(&timers, 400, NULL);
    assert_ptr_equal(expired, b);
    waiter_free(b, false);
    /* One lease expires at 500: one waiter looks, not all of them. */
    struct waiter *c = park("g", "t");
    timers_run(&timers, 500, NULL);
    expect_next(a);
    expect_next(NULL);
    /* It has found a message, so there may be more, and the next waiter looks. */
    waiter_free(a, true);
    expect_next(c);
    /* This one finds nothing, so no further waiter looks. */
    assert_int_equal(waiter_park_again(c, c->entry, 0), ST_OK);
    expect_next(NULL);
    waiter_free(c, false);
}

/* If a waiter is freed after it was woken and before it has looked, the next one is woken. */
static void a_leaver_passes_the_news_on(void **state)
{
    (void)state;
    struct waiter *a = park("g", "t"), *b = park("g", "t");
    tell(2, topic_key("t"), 1);
    waiter_free(a, false);
    expect_next(b);
    expect_next(NULL);
    waiter_free(b, true);
}

/* What was redriven to a group wakes one of those that wait for any of its topics, and of no other group. */
static void redriven_messages(void **state)
{
    (void)state;
    struct waiter *a = park("g", "t"), *b = park("g", "u"), *c = park("h", "t");
    tell(2, topic_key("%RETRY%g"), 1);
    expect_next(a);
    expect_next(NULL);
    tell(3, news_key(NEWS_GROUP, SLICE_LIT("g"), SLICE_LIT("%RETRY%g")), 5);
    expect_next(b);
    expect_next(NULL);
    struct entry *old = pop_entry("g", "t", NULL, 2);
    assert_true(waiters_missed(&ws, old));
    entry_free(old);
    waiter_free(a, true);
    waiter_free(b, true);
    waiter_free(c, false);
}

static struct waiter *park_take(const char *group, const char *topic)
{
    struct slice topics[] = {slice_str(topic)};
    struct command cmd = {.info = command_info(CMD_TAKE),
                          .n_pos = 1,
                          .n_rest = 1,
                          .pos = {slice_str(group)},
                          .rest = topics};
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    struct waiter *w = waiter_park(&ws, &ops, e, 0, 1000, 0);
    assert_non_null(w);
    return w;
}

/* Streams wait in the same queue as POPs. They are woken when their group or topic is deleted; POPs are not. */
static void submit_ack(const char *group, const char *receipt)
{
    struct slice receipts[1] = {slice_str(receipt)};
    struct command cmd = {
        .info = command_info(CMD_ACK), .n_pos = 1, .n_rest = 1, .pos = {slice_str(group)}, .rest = receipts};
    waiters_acked(&ws, &cmd);
}

/* Those that found nothing because of what is leased look again behind an ACK, one for each. */
static void an_ack_wakes_those_that_leases_hold_up(void **state)
{
    (void)state;
    struct waiter *w1 = park("a", "orders"), *w2 = park("a", "orders"), *w3 = park("a", "orders"), *w4 = park("b", "orders");
    w2->entry->out.by_ack = w3->entry->out.by_ack = w4->entry->out.by_ack = true;
    submit_ack("a", "invoices:0:1#1"); /* nobody waits for it */
    submit_ack("c", "orders:0:1#1");
    submit_ack("a", "orders");
    expect_next(NULL);
    submit_ack("a", "orders:0:1-9#1");
    expect_next(w2);
    expect_next(NULL);
    submit_ack("a", "orders:3:7#2");
    submit_ack("a", "orders:3:8#2");
    expect_next(w3);
    expect_next(NULL);
    assert_int_equal(w1->state, WAITER_PARKED);
    struct waiter *many[20]; /* only a few are looked at */
    for (int i = 0; i < 20; i++)
        many[i] = park("d", "orders");
    many[19]->entry->out.by_ack = true;
    submit_ack("d", "orders:0:1#1");
    expect_next(NULL);
    many[15]->entry->out.by_ack = true;
    submit_ack("d", "orders:0:1#1");
    expect_next(many[15]);
    for (int i = 0; i < 20; i++)
        waiter_free(many[i], i == 15);
    waiter_free(w1, false);
    waiter_free(w2, true);
    waiter_free(w3, true);
    waiter_free(w4, false);
}

static void streams_and_what_is_gone(void **state)
{
    (void)state;
    struct waiter *pop = park("g", "t"), *a = park_take("g", "t"), *b = park_take("g", "t");
    tell(2, topic_key("t"), 2);
    expect_next(pop);
    expect_next(a);
    expect_next(NULL);
    assert_int_equal(waiter_park_again(pop, pop->entry, 0), ST_OK);
    assert_int_equal(waiter_park_again(a, a->entry, 0), ST_OK);
    tell(3, news_key(NEWS_GONE, SLICE_LIT("h"), SLICE_LIT("t")), 1);
    expect_next(NULL);
    tell(4, news_key(NEWS_GONE, SLICE_LIT("g"), SLICE_LIT("t")), 1);
    expect_next(a);
    expect_next(b);
    expect_next(NULL);
    assert_true(waiters_missed(&ws, a->entry));
    waiter_free(a, true);
    waiter_free(b, false); /* the next one is woken, but only for a message */
    expect_next(pop);
    expect_next(NULL);
    waiter_free(pop, true);
    struct waiter *r = waiter_park(&ws, &ops, read_entry("t"), topic_key("t"), 1000, 0);
    assert_non_null(r);
    tell(5, news_key(NEWS_GONE, SLICE_LIT("t"), slice_of(NULL, 0)), 1);
    expect_next(r);
    waiter_free(r, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(oldest_first_and_no_more_than_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_group_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readers_are_all_woken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_wait_on_two_topics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overflow_wakes_everybody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(news_before_parking_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadline_and_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ack_wakes_those_that_leases_hold_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_and_what_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_leaver_passes_the_news_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redriven_messages, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
