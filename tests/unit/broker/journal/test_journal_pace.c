/* test_journal_pace.c: who leads: by what groups cost, and while the store may let its writer wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/journal/journal_pace.h"

#define MS INT64_C(1000000)

static bool writer_leads(struct journal_pace *p)
{
    return atomic_load(&p->slow);
}

static void learn(struct journal_pace *p, int64_t ns, uint32_t commands)
{
    for (int i = 0; i < 100; i++)
        journal_pace_learn(p, ns, commands);
}

static void test_costly_groups_are_the_writers(void **state)
{
    (void)state;
    struct journal_pace p = {0};
    learn(&p, MS / 5, 10);
    assert_false(writer_leads(&p));
    learn(&p, 2 * MS, 10);
    assert_true(writer_leads(&p));
    learn(&p, MS / 5, 10);
    assert_false(writer_leads(&p));
    learn(&p, MS / 5, 1000);
    assert_true(writer_leads(&p));
}

static void test_near_a_stall_the_writer_leads(void **state)
{
    (void)state;
    struct journal_pace p = {0};
    learn(&p, MS / 5, 10);
    journal_pace_stall(&p, true);
    assert_true(writer_leads(&p));
    learn(&p, MS / 5, 10); /* quick groups do not end it */
    assert_true(writer_leads(&p));
    journal_pace_stall(&p, false);
    assert_false(writer_leads(&p));
}

static void test_the_end_of_a_stall_leaves_what_is_costly(void **state)
{
    (void)state;
    struct journal_pace p = {0};
    journal_pace_stall(&p, true);
    learn(&p, 2 * MS, 10);
    journal_pace_stall(&p, false);
    assert_true(writer_leads(&p));
    learn(&p, MS / 5, 10);
    assert_false(writer_leads(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costly_groups_are_the_writers),
        cmocka_unit_test(test_near_a_stall_the_writer_leads),
        cmocka_unit_test(test_the_end_of_a_stall_leaves_what_is_costly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
