/* test_client_memory.c: tests the limit on what a client keeps, and that blocks which are kept to be used again count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/c/wire/memory.h"

#define MAX ((size_t)1 << 20)

static void test_the_limit(void **state)
{
    struct memory *m = memory_new(MAX);
    (void)state;
    assert_true(memory_take(m, 4 * MAX, false)); /* alone, it may be large */
    assert_false(memory_take(m, 1, false));
    memory_give(m, 4 * MAX);
    assert_true(memory_take(m, MAX, false));
    assert_false(memory_take(m, 1, false));
    assert_true(memory_take(m, 3 * MAX, true)); /* what was asked for */
    assert_false(memory_take(m, 1, true));
    assert_int_equal(memory_left(m), 0);
    memory_give(m, MAX);
    memory_give(m, 3 * MAX);
    assert_int_equal(memory_left(m), MAX);
    memory_drop(m);
}

static void *block(struct memory *m, size_t size, size_t *ret_size)
{
    *ret_size = size;
    void *b = memory_block(m, ret_size, true);
    assert_non_null(b);
    return b;
}

static void test_blocks_that_are_kept_count(void **state)
{
    struct memory *m = memory_new(MAX);
    size_t size, other;
    (void)state;
    void *first = block(m, 2 * MAX, &size);
    assert_int_equal(memory_used(m), 2 * MAX);
    memory_block_give(m, first, size);
    assert_int_equal(memory_used(m), 0);
    assert_int_equal(memory_total(m), 2 * MAX);
    assert_int_equal(memory_left(m), MAX); /* it gives way */
    assert_ptr_equal(block(m, MAX, &size), first);
    assert_int_equal(size, 2 * MAX);
    assert_int_equal(memory_used(m), 2 * MAX); /* all of it, whatever was wanted */
    assert_int_equal(memory_total(m), 2 * MAX);
    memory_block_give(m, first, size);
    assert_true(memory_take(m, 2 * MAX, true));
    assert_int_equal(memory_total(m), 4 * MAX);
    assert_true(memory_take(m, 1, true)); /* too much together: what is kept is freed */
    assert_int_equal(memory_total(m), 2 * MAX + 1);
    void *second = block(m, MAX, &other);
    assert_true(memory_take(m, MAX - 1, true));
    memory_block_give(m, second, other); /* this much may be kept */
    assert_int_equal(memory_total(m), 4 * MAX);
    memory_give(m, 1);
    memory_give(m, MAX - 1);
    memory_drop(m); /* its owner has left; what is taken is given back later */
    memory_give(m, 2 * MAX);
}

static void test_without_a_limit(void **state)
{
    size_t size;
    (void)state;
    void *b = block(NULL, 100000, &size);
    memory_block_give(NULL, b, size);
    assert_true(memory_take(NULL, SIZE_MAX, false));
    assert_int_equal(memory_total(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_limit),
        cmocka_unit_test(test_blocks_that_are_kept_count),
        cmocka_unit_test(test_without_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
