/* test_reserve.c: tests that the reserve on the disk is taken, given up piece by piece, taken back, and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/base/reserve.h"
#include "broker/base/store_write.h"
#include "protocol/limits.h"
#include "tests/lib/tmpdir.h"

static void is_given_up_in_pieces_and_taken_back(void **state)
{
    char *folder = tmpdir_new();
    (void)state;
    assert_false(reserve_spend(1)); /* nothing is held before it is opened */
    assert_true(reserve_open(folder));
    assert_int_equal(reserve_held(), 0);
    reserve_fill(folder, MIB(4));
    assert_int_equal(reserve_held(), MIB(3));
    assert_int_equal(reserve_wanted(), MIB(3));
    assert_true(reserve_spend(1));
    assert_int_equal(reserve_held(), MIB(2));
    assert_true(reserve_spend(MIB(5)));
    assert_int_equal(reserve_held(), 0);
    assert_false(reserve_spend(1));
    reserve_fill(folder, MIB(4));
    assert_int_equal(reserve_held(), MIB(3));
    tmpdir_remove(folder);
}

static void a_small_disk_is_given_to_three_quarters(void **state)
{
    (void)state;
    int64_t most = reserve_bytes_of("/", INT64_MAX);
    assert_true(most > 0 && most < INT64_MAX / 4);
    assert_int_equal(reserve_bytes_of("/", 4096), 4096);
    assert_int_equal(reserve_bytes_of("/no such folder", 4096), 4096);
}

static void a_folder_that_is_not_there_has_no_store(void **state)
{
    (void)state;
    assert_false(store_write_begin("/no such folder"));
    assert_false(store_write_stuck());
    assert_false(reserve_open("/no such folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_given_up_in_pieces_and_taken_back),
        cmocka_unit_test(a_small_disk_is_given_to_three_quarters),
        cmocka_unit_test(a_folder_that_is_not_there_has_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
