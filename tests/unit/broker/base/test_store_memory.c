/* test_store_memory.c: tests that large blocks have the size they should, and that buffers which grow into them keep their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>

#include <cmocka.h>

#include "broker/base/store_memory.h"
#include "protocol/base/buf.h"
#include "protocol/limits.h"

static void a_large_rest_is_rounded_up(void **state)
{
    (void)state;
    const struct {
        size_t asked, least;
    } rows[] = {
        {(size_t)MIB(4), (size_t)MIB(4)},
        {(size_t)KIB(4608), (size_t)KIB(4608)},
        {(size_t)KIB(5632), (size_t)MIB(6)},
        {(size_t)KIB(1280), (size_t)MIB(2)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t *block = store_memory_large(rows[i].asked);
        assert_non_null(block);
        assert_true((uintptr_t)block % (size_t)MIB(2) == 0);
        assert_true(malloc_usable_size(block) >= rows[i].least);
        memset(block, 7, rows[i].asked);
        free(block);
    }
    assert_null(store_memory_large(SIZE_MAX));
}

static unsigned gets;

static void *counted_get(void *old, size_t bytes)
{
    gets++;
    return gets == 3 ? NULL : store_memory_grow(old, bytes);
}

static void a_buffer_that_grows_keeps_its_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, (size_t)MIB(16));
    buf_large = counted_get;
    gets = 0;
    for (uint32_t i = 0; i < (uint32_t)MIB(4) / 4; i++)
        buf_put_le(&b, i, 4);
    assert_false(b.failed);
    assert_int_equal(gets, 2); /* 2 MiB, 4 MiB */
    for (uint32_t i = 0; i < (uint32_t)MIB(4) / 4; i++) {
        struct cursor c = cursor_of(slice_of(b.data + 4 * i, 4));
        assert_int_equal(cursor_le(&c, 4), i);
    }
    buf_put_u8(&b, 1); /* the third gets no memory */
    assert_true(b.failed);
    assert_int_equal(b.len, (size_t)MIB(4));
    buf_free(&b);
    buf_large = NULL;
}

static void a_block_grows_where_it_is_or_moves(void **state)
{
    (void)state;
    uint8_t *p = NULL;
    for (size_t size = (size_t)MIB(2); size <= (size_t)MIB(32); size *= 2) {
        p = store_memory_grow(p, size);
        assert_non_null(p);
        assert_true(malloc_usable_size(p) >= size);
        for (size_t old = (size_t)MIB(2); old < size; old *= 2)
            assert_int_equal(p[old - 1], old >> 21);
        p[size - 1] = (uint8_t)(size >> 21);
    }
    assert_null(store_memory_grow(p, SIZE_MAX));
    assert_int_equal(p[MIB(32) - 1], 16);
    free(p);
}

/* RocksDB's allocations, as the linker finds them. */
extern void *new_array(size_t bytes) __asm__("_Znam");

static void who_asks_gets_what_was_put_by(void **state)
{
    (void)state;
    store_memory_huge(true);
    unsigned steps = 1;
    while (!store_memory_prefault((size_t)MIB(7)))
        steps++;
    assert_true(store_memory_prefault((size_t)KIB(300)));
    assert_true(store_memory_prefault(1000)); /* too small: nothing is put by */
    bool ours = steps > 1;                  /* not under a sanitizer */
    if (!ours) {
        store_memory_huge(false);
        return;
    }
    assert_int_equal(steps, 4);
    void *small = new_array((size_t)KIB(290)), *large = new_array((size_t)MIB(7)), *other = new_array((size_t)MIB(7));
    assert_true(small && large && other);
    memset(large, 1, (size_t)MIB(7));
    memset(small, 2, (size_t)KIB(290));
    assert_true(store_memory_prefault((size_t)KIB(500)));
    assert_false(store_memory_prefault((size_t)MIB(5))); /* it is only begun */
    store_memory_prefault_end();
    store_memory_prefault_end();
    free(small);
    free(large);
    free(other);
    store_memory_huge(false);
    assert_true(store_memory_prefault((size_t)MIB(7)));
}

static void it_is_bounded(void **state)
{
    (void)state;
    store_memory_huge(true);
    for (unsigned i = 0; i < 2 * STORE_MEMORY_PREFAULTED_MAX; i++)
        assert_true(store_memory_prefault((size_t)KIB(256)));
    store_memory_prefault_end();
    store_memory_huge(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_rest_is_rounded_up),
        cmocka_unit_test(a_buffer_that_grows_keeps_its_bytes),
        cmocka_unit_test(a_block_grows_where_it_is_or_moves),
        cmocka_unit_test(who_asks_gets_what_was_put_by),
        cmocka_unit_test(it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
