/* test_bufs.c: spare buffers: memory moves from one buffer to the next, and no more of it is kept than is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/base/bufs.h"

static void memory_moves_to_the_next(void **state)
{
    struct bufs bs = {0};
    struct buf a, b;
    (void)state;
    buf_init(&a, 1000);
    buf_init(&b, 0);
    bufs_take(&bs, &a, 1000); /* there is none yet */
    assert_null(a.data);
    buf_put_str(&a, "hello");
    const void *memory = a.data;
    bufs_give(&bs, &a);
    assert_null(a.data);
    assert_int_equal(a.cap, 1000);
    assert_int_equal(bs.n, 1);
    bufs_take(&bs, &b, 2000);
    assert_ptr_equal(b.data, memory);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, 2000);
    assert_int_equal(bs.n, 0);
    buf_free(&b);
    bufs_fini(&bs);
}

static void what_is_large_or_too_many_is_freed(void **state)
{
    struct bufs bs = {0};
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_non_null(buf_room(&b, 2 * BUFS_BYTES_KEEP));
    bufs_give(&bs, &b);
    assert_int_equal(bs.n, 0);
    for (unsigned i = 0; i < BUFS_MAX + 5; i++) {
        buf_init(&b, 0);
        buf_put_u8(&b, 1);
        bufs_give(&bs, &b);
        assert_null(b.data);
    }
    assert_int_equal(bs.n, BUFS_MAX);
    bufs_give(&bs, &b); /* it has no memory */
    assert_int_equal(bs.n, BUFS_MAX);
    bufs_fini(&bs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_moves_to_the_next),
        cmocka_unit_test(what_is_large_or_too_many_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
