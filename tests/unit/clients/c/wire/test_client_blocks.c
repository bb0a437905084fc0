/* test_client_blocks.c: tests that blocks are used again, and that no more is kept than blocks.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "clients/c/wire/blocks.h"

static void *take(struct blocks *b, size_t size, size_t *ret_size)
{
    *ret_size = size;
    void *block = blocks_take(b, ret_size);
    assert_non_null(block);
    assert_true(*ret_size >= size);
    return block;
}

static void test_a_block_is_used_again(void **state)
{
    struct blocks b;
    size_t size, other;
    (void)state;
    assert_true(blocks_init(&b));
    void *first = take(&b, 100000, &size);
    blocks_give(&b, first, size, SIZE_MAX);
    void *small = take(&b, BLOCK_BYTES_LEAST - 1, &other);
    assert_ptr_not_equal(small, first);
    blocks_give(&b, small, other, SIZE_MAX);
    assert_ptr_equal(take(&b, 90000, &size), first);
    assert_int_equal(size, 100000);
    assert_int_equal(b.bytes, 0);
    blocks_give(&b, first, size, SIZE_MAX);
    void *far = take(&b, BLOCK_BYTES_LEAST - 1, &other); /* the one that is kept is no use: it is not even looked at */
    blocks_give(&b, far, other, SIZE_MAX);
    blocks_fini(&b);
}

/* Records are of many sizes, which are much alike. */
static void test_sizes_are_few(void **state)
{
    size_t last = 0, n = 0;
    (void)state;
    for (size_t wanted = BLOCK_BYTES_LEAST; wanted <= BLOCKS_BYTES_KEPT; wanted += 100) {
        size_t size = blocks_size(wanted);
        assert_true(size >= wanted && size - wanted <= wanted / 4);
        assert_int_equal(blocks_size(size), size);
        n += size != last;
        last = size;
    }
    assert_in_range(n, 1, 40);
    assert_int_equal(blocks_size(BLOCK_BYTES_LEAST - 1), BLOCK_BYTES_LEAST - 1); /* these are not kept */
    assert_int_equal(blocks_size(BLOCKS_BYTES_KEPT + 1), BLOCKS_BYTES_KEPT + 1);
    assert_true(blocks_size(SIZE_MAX) == SIZE_MAX);
}

static void test_the_smallest_that_fits_is_used(void **state)
{
    struct blocks b;
    size_t size, other;
    (void)state;
    assert_true(blocks_init(&b));
    void *large = take(&b, 300000, &size), *small = take(&b, 100000, &other);
    blocks_give(&b, large, size, SIZE_MAX);
    blocks_give(&b, small, other, SIZE_MAX);
    assert_ptr_equal(take(&b, 90000, &other), small);
    assert_ptr_equal(take(&b, 90000, &size), large);
    blocks_give(&b, large, size, SIZE_MAX);
    blocks_give(&b, small, other, SIZE_MAX);
    blocks_fini(&b);
}

static void test_what_is_kept_is_bounded(void **state)
{
    struct blocks b;
    size_t sizes[BLOCKS_KEPT + 8];
    void *blocks[BLOCKS_KEPT + 8];
    (void)state;
    assert_true(blocks_init(&b));
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < BLOCKS_KEPT + 8; i++)
            blocks[i] = take(&b, (i + 1) * (BLOCKS_BYTES_KEPT / 40) * (round + 1), &sizes[i]);
        for (size_t i = 0; i < BLOCKS_KEPT + 8; i++) {
            size_t total = 0;
            blocks_give(&b, blocks[i], sizes[i], SIZE_MAX);
            for (size_t k = 0; k < BLOCKS_KEPT; k++)
                total += b.size[k];
            assert_int_equal(total, b.bytes);
            assert_true(total <= BLOCKS_BYTES_KEPT);
        }
    }
    blocks_give(&b, NULL, 0, SIZE_MAX);
    blocks_fini(&b);
}

static void test_what_is_kept_has_another_limit(void **state)
{
    struct blocks b;
    size_t size, other;
    (void)state;
    assert_true(blocks_init(&b));
    void *first = take(&b, 100000, &size), *second = take(&b, 200000, &other);
    blocks_give(&b, first, size, 250000);
    blocks_give(&b, second, other, 250000); /* both would be too much */
    assert_int_equal(blocks_bytes(&b), 100000);
    blocks_clear(&b);
    assert_int_equal(blocks_bytes(&b), 0);
    blocks_fini(&b);
}

static void test_without_any_blocks(void **state)
{
    size_t size = 100000;
    (void)state;
    blocks_give(NULL, blocks_take(NULL, &size), size, SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_is_used_again),
        cmocka_unit_test(test_sizes_are_few),
        cmocka_unit_test(test_the_smallest_that_fits_is_used),
        cmocka_unit_test(test_what_is_kept_is_bounded),
        cmocka_unit_test(test_what_is_kept_has_another_limit),
        cmocka_unit_test(test_without_any_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
