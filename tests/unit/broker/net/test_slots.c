/* test_slots.c: connections by slot and generation: a slot that is used again is not mistaken for the old one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/net/conn.h"

#define MANY 1000 /* the array grows several times */

static struct loop loop;
static char conns[MANY]; /* only their addresses count */

static struct conn *nth(uint32_t i)
{
    return (struct conn *)(void *)&conns[i];
}

static int set_up(void **state)
{
    (void)state;
    slots_init(&loop.slots);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    slots_fini(&loop.slots);
    return 0;
}

static void each_has_a_place_of_its_own(void **state)
{
    uint32_t slot[MANY], generation[MANY];
    (void)state;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(slots_take(&loop.slots, nth(i), &slot[i], &generation[i]), ST_OK);
    assert_int_equal(loop.slots.n, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_ptr_equal(conn_at(&loop, slot[i], generation[i]), nth(i));
    for (uint32_t i = 0; i < MANY; i++)
        slots_release(&loop.slots, slot[i]);
    assert_int_equal(loop.slots.n, 0);
    for (uint32_t i = 0; i < MANY; i++)
        assert_null(conn_at(&loop, slot[i], generation[i]));
}

static void a_slot_that_is_used_again_has_another_generation(void **state)
{
    uint32_t slot, generation, slot2, generation2;
    (void)state;
    assert_int_equal(slots_take(&loop.slots, nth(1), &slot, &generation), ST_OK);
    slots_release(&loop.slots, slot);
    assert_int_equal(slots_take(&loop.slots, nth(2), &slot2, &generation2), ST_OK);
    assert_int_equal(slot2, slot);
    assert_int_not_equal(generation2, generation);
    assert_null(conn_at(&loop, slot, generation));
    assert_ptr_equal(conn_at(&loop, slot2, generation2), nth(2));
    assert_null(conn_at(&loop, UINT32_MAX, generation2));
    slots_release(&loop.slots, slot2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_has_a_place_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slot_that_is_used_again_has_another_generation, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
