/*
 * test_mailbox.c: tests letters between threads: none is lost, their order is kept, and a sleeping loop is woken only
 * when it must be.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/journal/mailbox.h"

#define POSTERS 4
#define EACH 2000

static struct entry *tick_entry(uint64_t request)
{
    struct command cmd = {.info = command_info(CMD_TICK)};
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    e->request = request;
    return e;
}

static bool rings(struct mailbox *m, int timeout_ms)
{
    struct pollfd p = {.fd = m->event_fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void set_up(struct mailbox *m, struct letters *l)
{
    assert_int_equal(mailbox_init(m), ST_OK);
    assert_int_equal(letters_init(l), ST_OK);
}

static void tear_down(struct mailbox *m, struct letters *l)
{
    letters_clear(l);
    letters_fini(l);
    mailbox_fini(m);
}

static void post_one(struct mailbox *m, uint64_t request)
{
    struct entry_list list = {0};
    entry_push(&list, tick_entry(request));
    mailbox_post_done(m, &list);
    assert_null(list.first);
}

static void rings_only_for_a_sleeper(void **state)
{
    (void)state;
    struct mailbox m;
    struct letters l;
    set_up(&m, &l);
    mailbox_order(&m, ORDER_TURN, 0);
    assert_false(rings(&m, 0)); /* it does not sleep */
    assert_false(mailbox_sleep(&m, false)); /* there is a letter */
    mailbox_take(&m, &l);
    assert_int_equal(l.orders, ORDER_TURN);
    letters_clear(&l);
    assert_true(mailbox_sleep(&m, false));
    post_one(&m, 7);
    assert_true(rings(&m, 0));
    mailbox_drain_event(&m);
    post_one(&m, 8); /* it was woken already */
    assert_false(rings(&m, 0));
    mailbox_take(&m, &l);
    assert_int_equal(l.done.n, 2);
    for (uint64_t want = 7; want <= 8; want++) {
        struct entry *e = entry_pop(&l.done);
        assert_int_equal(e->request, want);
        entry_free(e);
    }
    tear_down(&m, &l);
}

static void news_rings_where_wanted(void **state)
{
    (void)state;
    struct mailbox m;
    struct letters l;
    static struct effects fx = {.index = 3, .n_keys = 1, .keys = {99}, .counts = {2}};
    set_up(&m, &l);
    assert_true(mailbox_sleep(&m, false));
    mailbox_post_news(&m, &fx);
    assert_false(rings(&m, 0));
    assert_false(mailbox_sleep(&m, true)); /* the news is in the mailbox */
    mailbox_take(&m, &l);
    assert_int_equal(l.news->index, 3);
    assert_int_equal(l.news->n, 1);
    letters_clear(&l);
    assert_true(mailbox_sleep(&m, true));
    mailbox_post_news(&m, &fx);
    assert_true(rings(&m, 0));
    mailbox_take(&m, &l);
    tear_down(&m, &l);
}

static void news_merges_and_overflows(void **state)
{
    (void)state;
    struct mailbox m;
    struct letters l;
    static struct effects fx;
    set_up(&m, &l);
    fx = (struct effects){.index = 5, .n_keys = 2, .keys = {1, 2}, .counts = {10, 20}};
    mailbox_post_news(&m, &fx);
    fx = (struct effects){.index = 6, .n_keys = 1, .keys = {2}, .counts = {UINT32_MAX}};
    mailbox_post_news(&m, &fx);
    mailbox_take(&m, &l);
    assert_int_equal(l.news->index, 6);
    assert_int_equal(l.news->n, 2);
    assert_int_equal(l.news->counts[0], 10);
    assert_int_equal(l.news->counts[1], UINT32_MAX); /* it stays at the maximum */
    letters_clear(&l);
    for (uint32_t i = 0; i <= NEWS_MAX; i++) {
        fx = (struct effects){.index = 7 + i, .n_keys = 1, .keys = {1000 + i}, .counts = {1}};
        mailbox_post_news(&m, &fx);
    }
    mailbox_take(&m, &l);
    assert_true(l.news->overflow);
    assert_int_equal(l.news->index, 7 + NEWS_MAX);
    tear_down(&m, &l);
}

static void kills_are_bounded(void **state)
{
    (void)state;
    struct mailbox m;
    struct letters l;
    set_up(&m, &l);
    for (uint64_t i = 0; i < KILLS_MAX; i++)
        assert_true(mailbox_post_kill(&m, i));
    assert_false(mailbox_post_kill(&m, 1));
    mailbox_take(&m, &l);
    assert_int_equal(l.n_kills, KILLS_MAX);
    tear_down(&m, &l);
}

struct poster {
    struct mailbox *m;
    uint64_t number;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (uint64_t i = 0; i < EACH; i++)
        post_one(p->m, p->number << 32 | i);
    return NULL;
}

/* Sleeps as a loop does. If a wake-up were lost, poll would time out. */
static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    struct mailbox m;
    struct letters l;
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    uint64_t next[POSTERS] = {0};
    unsigned got = 0;
    set_up(&m, &l);
    for (uint64_t i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){&m, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    while (got < POSTERS * EACH) {
        if (mailbox_sleep(&m, false)) {
            assert_true(rings(&m, 30000));
            mailbox_drain_event(&m);
        }
        mailbox_awake(&m);
        mailbox_take(&m, &l);
        struct entry *e;
        while ((e = entry_pop(&l.done))) {
            uint64_t *want = &next[e->request >> 32];
            assert_int_equal(e->request & UINT32_MAX, *want);
            (*want)++;
            got++;
            entry_free(e);
        }
        letters_clear(&l);
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    tear_down(&m, &l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_only_for_a_sleeper),
        cmocka_unit_test(news_rings_where_wanted),
        cmocka_unit_test(news_merges_and_overflows),
        cmocka_unit_test(kills_are_bounded),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
