/* test_account.c: the marks of what all connections hold, and the lanes of those who may go on over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/net/account.h"

#define MEMORY ((size_t)256000000)
#define HIGH (MEMORY / 8)
#define LOW (MEMORY / 12)

static struct account account;

static int set_up(void **state)
{
    (void)state;
    account_init(&account, MEMORY);
    return 0;
}

static void hold(size_t bytes)
{
    account_change(&account, account_held(&account), bytes);
}

static void marks(void **state)
{
    (void)state;
    assert_true(account_has_room(&account) && !account_is_over(&account));
    hold(LOW);
    assert_true(!account_has_room(&account) && !account_is_over(&account));
    hold(HIGH);
    assert_true(account_is_over(&account) && !account_is_far_over(&account));
    hold(2 * HIGH);
    assert_true(account_is_far_over(&account));
    account_change(&account, 2 * HIGH, 0);
    assert_int_equal(account_held(&account), 0);
}

/* The program itself takes a large part of a small `memory`. */
static void small_memory_has_a_smaller_share(void **state)
{
    (void)state;
    account_init(&account, (size_t)32000000);
    hold(32000000 / 16 - 1);
    assert_false(account_is_over(&account));
    hold(32000000 / 16);
    assert_true(account_is_over(&account));
}

/* A request that grows gives its small lane back for the large one; one that may not keeps what it has. */
static void requests_have_lanes(void **state)
{
    enum account_lane lane[LANES_SMALL + 1] = {LANE_NONE}, large = LANE_NONE;
    (void)state;
    for (int i = 0; i < LANES_SMALL; i++)
        assert_true(account_take_lane(&account, &lane[i], 1));
    assert_false(account_take_lane(&account, &lane[LANES_SMALL], LANE_SMALL_BYTES - 1));
    assert_int_equal(lane[LANES_SMALL], LANE_NONE);
    assert_true(account_take_lane(&account, &lane[0], 2)); /* it has one already */
    assert_true(account_take_lane(&account, &lane[0], LANE_SMALL_BYTES));
    assert_int_equal(lane[0], LANE_LARGE);
    assert_true(account_take_lane(&account, &lane[LANES_SMALL], 1));
    assert_false(account_take_lane(&account, &lane[1], LANE_SMALL_BYTES));
    assert_int_equal(lane[1], LANE_SMALL);
    account_give_lane(&account, lane[0]);
    assert_true(account_take_lane(&account, &large, SIZE_MAX));
    for (int i = 1; i <= LANES_SMALL; i++)
        account_give_lane(&account, lane[i]);
    account_give_lane(&account, large);
    account_give_lane(&account, LANE_NONE);
    assert_int_equal(atomic_load(&account.small) + atomic_load(&account.large), 0);
}

static void replies_have_lanes(void **state)
{
    (void)state;
    for (int i = 0; i < LANES_REPLY; i++)
        assert_true(account_take_reply_lane(&account));
    assert_false(account_take_reply_lane(&account));
    account_give_reply_lane(&account);
    hold(2 * HIGH); /* then there is one, so that replies end one by one */
    assert_false(account_take_reply_lane(&account));
    for (int i = 1; i < LANES_REPLY; i++)
        account_give_reply_lane(&account);
    assert_true(account_take_reply_lane(&account));
    assert_false(account_take_reply_lane(&account));
    account_give_reply_lane(&account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(marks, set_up),
        cmocka_unit_test_setup(small_memory_has_a_smaller_share, set_up),
        cmocka_unit_test_setup(requests_have_lanes, set_up),
        cmocka_unit_test_setup(replies_have_lanes, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
