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

static void *counted_get(size_t bytes)
{
    gets++;
    return gets == 3 ? NULL : store_memory_large(bytes);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_rest_is_rounded_up),
        cmocka_unit_test(a_buffer_that_grows_keeps_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
