/* test_conn_room.c: which of the connections that wait go on, while connections hold too much memory and afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/net/conn_room.h"

#define MEMORY ((size_t)32000000)
#define HIGH (MEMORY / 8)
#define CONNS 100

static struct loop *loop;
static struct net_shared shared;
static struct conn *conns[CONNS];

static int set_up(void **state)
{
    (void)state;
    loop = aligned_alloc(_Alignof(struct loop), sizeof *loop);
    memset(loop, 0, sizeof *loop);
    memset(&shared, 0, sizeof shared);
    account_init(&shared.account, MEMORY);
    loop->shared = &shared;
    loop->room_timer.fire = conn_room_timer_fires;
    timers_init(&loop->timers);
    for (int i = 0; i < CONNS; i++) {
        conns[i] = calloc(1, sizeof **conns);
        conns[i]->loop = loop;
        conns[i]->fd = -1; /* counts as one whose client has read everything */
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < CONNS; i++) {
        conn_leave_room(conns[i]);
        free(conns[i]);
    }
    timers_fini(&loop->timers);
    free(loop);
    return 0;
}

static void hold(size_t bytes)
{
    account_change(&shared.account, account_held(&shared.account), bytes);
}

/* How many went on. */
static int go_on(void)
{
    int n = 0;
    conns_go_on(loop);
    for (struct conn *c = loop->touched; c; c = c->next_touched) {
        c->touched = false;
        n++;
    }
    loop->touched = loop->touched_last = NULL;
    return n;
}

static void unfinished(int i, size_t bytes)
{
    conns[i]->request_bytes = bytes;
    conn_await_room(conns[i], STOP_SHORT);
}

static void all_go_on_where_there_is_room(void **state)
{
    (void)state;
    for (int i = 0; i < CONNS; i++)
        conn_await_room(conns[i], STOP_MEMORY);
    conn_await_room(conns[0], STOP_SHORT); /* it waits already */
    assert_true(timer_is_set(&loop->room_timer));
    int n = go_on();
    assert_in_range(n, 1, CONNS - 1); /* not all at once */
    assert_int_equal(conns[0]->stops, 0);
    assert_true(conns[CONNS - 1]->stops & STOP_MEMORY);
    assert_int_equal(n + go_on(), CONNS);
    assert_int_equal(go_on(), 0);
}

static void small_requests_are_first(void **state)
{
    (void)state;
    hold(HIGH);
    for (int i = 0; i < CONNS; i++)
        unfinished(i, i == 70 ? 100 : i == 60 ? LANE_SMALL_BYTES : i == 50 ? 10 * LANE_SMALL_BYTES : 1000 + (size_t)i);
    go_on();
    assert_int_equal(conns[70]->stops, 0);
    assert_int_equal(conns[0]->stops, 0);
    assert_true(conns[CONNS - 1]->stops & STOP_SHORT);
    assert_int_equal(conns[60]->stops, 0); /* the large lane */
    assert_true(conns[50]->stops & STOP_SHORT);
}

static void no_more_than_there_are_lanes(void **state)
{
    (void)state;
    hold(HIGH);
    for (int i = 0; i < LANES_SMALL; i++)
        assert_true(conn_takes_lane(conns[i], 10));
    assert_false(conn_takes_lane(conns[LANES_SMALL], 10));
    unfinished(LANES_SMALL, 10);
    assert_int_equal(go_on(), 0);
    conn_give_lane(conns[0]);
    assert_int_equal(go_on(), 1);
    assert_true(conn_takes_lane(conns[LANES_SMALL], 10));
}

static void a_reply_lane_for_the_oldest(void **state)
{
    (void)state;
    hold(2 * HIGH);
    assert_true(conn_takes_reply_lane(conns[0]));
    for (int i = 1; i < 4; i++) {
        conns[i]->wants_lane = true;
        conn_await_room(conns[i], STOP_MEMORY);
    }
    conn_await_room(conns[4], STOP_MEMORY); /* needs none: it only waited until its client has read */
    assert_int_equal(go_on(), 1);
    assert_int_equal(conns[4]->stops, 0);
    conn_give_reply_lane(conns[0]);
    assert_int_equal(go_on(), 1);
    assert_int_equal(conns[1]->stops, 0);
    assert_true(conns[2]->stops & STOP_MEMORY);
}

static void work_is_limited(void **state)
{
    (void)state;
    atomic_store(&shared.account.work, WORK_MOST);
    for (int i = 0; i < 3; i++)
        conn_await_work(conns[i]);
    assert_int_equal(go_on(), 0);
    conn_leave_room(conns[1]); /* it ends meanwhile */
    atomic_store(&shared.account.work, 0);
    assert_int_equal(go_on(), 2);
    assert_int_equal(conns[0]->stops | conns[1]->stops | conns[2]->stops, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_go_on_where_there_is_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_requests_are_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_there_are_lanes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reply_lane_for_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_is_limited, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
