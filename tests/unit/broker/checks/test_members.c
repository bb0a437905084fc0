/* test_members.c: tests the number of members of each producer group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/checks/members.h"

static void come_and_go(void **state)
{
    (void)state;
    struct members *m = members_new();
    assert_non_null(m);
    for (uint64_t key = 0; key < 5000; key++) {
        members_join(m, key);
        if (key % 2)
            members_join(m, key);
    }
    for (uint64_t key = 0; key < 5000; key++) {
        assert_int_equal(members_of(m, key), key % 2 ? 2 : 1);
        members_leave(m, key);
        assert_int_equal(members_of(m, key), key % 2 ? 1 : 0);
        members_leave(m, key);
        members_leave(m, key); /* leaving without having joined changes nothing */
        assert_int_equal(members_of(m, key), 0);
    }
    members_join(m, 7);
    members_free(m);
}

static void without_a_table(void **state)
{
    (void)state;
    members_join(NULL, 1);
    members_leave(NULL, 1);
    assert_int_equal(members_of(NULL, 1), 0);
    members_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_and_go),
        cmocka_unit_test(without_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
