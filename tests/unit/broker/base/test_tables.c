/* test_tables.c: what only a start needs is given back, and what is read of it later is as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "broker/base/process.h"
#include "broker/base/tables.h"
#include "protocol/command/command.h"

static int64_t resident(void)
{
    struct process_figures f;
    process_figures(&f);
    return f.resident_bytes;
}

/* Constants, and pointers to constants that the dynamic linker has written. */
static uint64_t sum_of_constants(void)
{
    uint64_t sum = 0;
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        for (const char *p = info->summary; *p; p++)
            sum = sum * 31 + (uint8_t)*p;
        sum += info->touches;
    }
    return sum;
}

static void they_are_given_back_and_read_again(void **state)
{
    (void)state;
    uint64_t sum = sum_of_constants();
    int64_t before = resident();
    tables_give_back();
    assert_true(resident() < before);
    assert_true(sum_of_constants() == sum);
    tables_give_back();
    assert_true(sum_of_constants() == sum);
    assert_int_equal(setenv("HALFMQ_TABLES", "x", 1), 0); /* a function that was not bound yet */
    assert_string_equal(getenv("HALFMQ_TABLES"), "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(they_are_given_back_and_read_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
