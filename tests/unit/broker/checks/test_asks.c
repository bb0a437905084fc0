/* test_asks.c: tests the list of the asks that a member has received and not answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/checks/asks.h"

static uint32_t add(struct asks *a, uint64_t txid)
{
    assert_int_equal(asks_reserve(a), ST_OK);
    assert_true(asks_next_id(a) == a->next);
    return asks_add(a, (struct ask){.txid = txid, .attempt = 7});
}

static void answered_in_any_order(void **state)
{
    (void)state;
    struct asks a = {0};
    struct ask got = {0};
    uint32_t ids[20];
    for (uint32_t i = 0; i < 20; i++)
        ids[i] = add(&a, 100 + i);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t k = (i * 7) % 20;
        assert_true(asks_take(&a, ids[k], &got));
        assert_int_equal(got.txid, 100 + k);
        assert_int_equal(got.attempt, 7);
        assert_false(asks_take(&a, ids[k], &got));
    }
    assert_false(asks_pop(&a, &got));
    assert_false(asks_take(&a, 12345, &got));
    asks_trim(&a);
    assert_null(a.ring);
    assert_int_equal(add(&a, 5), 20); /* ids go on */
    asks_fini(&a);
}

static void given_back_oldest_first(void **state)
{
    (void)state;
    struct asks a = {0};
    struct ask got = {0};
    uint32_t first = add(&a, 1);
    for (uint64_t i = 2; i <= 100; i++)
        add(&a, i);
    assert_true(asks_take(&a, first + 49, &got));
    for (uint64_t i = 1; i <= 100; i++) {
        if (i == 50)
            continue;
        assert_true(asks_pop(&a, &got));
        assert_int_equal(got.txid, i);
    }
    assert_false(asks_pop(&a, &got));
    asks_fini(&a);
}

static void at_the_bound_the_oldest_is_forgotten(void **state)
{
    (void)state;
    struct asks a = {0};
    struct ask got = {0};
    uint32_t first = add(&a, 1);
    for (uint64_t i = 2; i <= ASKS_MAX + 3; i++)
        add(&a, i);
    assert_int_equal(a.n, ASKS_MAX);
    assert_false(asks_take(&a, first + 2, &got));
    assert_true(asks_take(&a, first + 3, &got));
    assert_int_equal(got.txid, 4);
    asks_fini(&a);
}

static void ids_wrap(void **state)
{
    (void)state;
    struct asks a = {.first = UINT32_MAX - 2, .next = UINT32_MAX - 2};
    struct ask got = {0};
    uint32_t last = 0;
    for (uint64_t i = 1; i <= 12; i++)
        last = add(&a, i);
    assert_int_equal(last, 8);
    assert_true(asks_take(&a, UINT32_MAX, &got));
    assert_int_equal(got.txid, 3);
    assert_true(asks_take(&a, last, &got));
    assert_int_equal(got.txid, 12);
    assert_true(asks_pop(&a, &got));
    assert_int_equal(got.txid, 1);
    asks_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answered_in_any_order),
        cmocka_unit_test(given_back_oldest_first),
        cmocka_unit_test(at_the_bound_the_oldest_is_forgotten),
        cmocka_unit_test(ids_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
