/* test_buf.c: tests growing buffers, and the cursor that reads from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "protocol/status.h"

static void grows_and_keeps_content(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(b.cap, 64 << 20);
    for (unsigned i = 0; i < 10000; i++)
        buf_put_u8(&b, (uint8_t)(i % 251));
    assert_false(b.failed);
    assert_int_equal(b.len, 10000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(b.data[i], i % 251);
    buf_free(&b);
    assert_null(b.data);
    buf_free(&b);
    buf_free(NULL);
}

static void cap_is_exact_and_failure_sticks(void **state)
{
    (void)state;
    struct buf b;
    uint8_t bytes[100] = {0};
    buf_init(&b, 100);
    buf_put(&b, bytes, 99);
    assert_false(b.failed);
    buf_put(&b, bytes, 1);
    assert_false(b.failed);
    assert_int_equal(b.size, 100);
    buf_put(&b, bytes, 0);
    assert_false(b.failed);
    buf_put(&b, bytes, 1);
    assert_true(b.failed);
    buf_put(&b, bytes, 0);
    assert_int_equal(b.len, 100);
    assert_null(buf_room(&b, 0));
    buf_reset(&b, 1000);
    assert_false(b.failed);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.size, 100);
    assert_null(buf_room(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_reset(&b, 10);
    assert_null(b.data);
    assert_int_equal(b.cap, 100);
    assert_false(b.failed);
    buf_free(&b);
}

static void borrowed_memory_is_left_when_it_is_full(void **state)
{
    (void)state;
    uint8_t mem[8];
    struct buf b;
    buf_init(&b, 100);
    buf_borrow(&b, mem, sizeof mem);
    buf_put_str(&b, "12345678");
    assert_ptr_equal(b.data, mem);
    buf_put_u8(&b, '9');
    assert_ptr_not_equal(b.data, mem);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("123456789")));
    assert_memory_equal(mem, "12345678", 8);
    buf_free(&b);
    buf_borrow(&b, mem, sizeof mem);
    buf_put_str(&b, "abc");
    buf_free(&b); /* frees nothing */
    assert_null(b.data);
    assert_memory_equal(mem, "abc45678", 8);
    buf_borrow(&b, mem, sizeof mem);
    buf_put(&b, mem, 8);
    buf_reset(&b, 4); /* a larger block than it may keep */
    assert_null(b.data);
    buf_free(&b);
}

static void small_caps_work(void **state)
{
    (void)state;
    for (size_t cap = 1; cap < 70; cap++) {
        struct buf b;
        buf_init(&b, cap);
        for (size_t i = 0; i < cap; i++)
            buf_put_u8(&b, 1);
        assert_false(b.failed);
        buf_put_u8(&b, 1);
        assert_true(b.failed);
        assert_int_equal(b.len, cap);
        buf_free(&b);
    }
}

static void room_counts_only_when_added(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_non_null(buf_room(&b, 0));
    uint8_t *room = buf_room(&b, 300);
    assert_non_null(room);
    memset(room, 'x', 300);
    assert_int_equal(b.len, 0);
    buf_added(&b, 300);
    assert_int_equal(b.len, 300);
    buf_put_u8(&b, 'y');
    assert_int_equal(b.data[299], 'x');
    assert_int_equal(b.data[300], 'y');
    buf_free(&b);
}

static void consume_moves_the_rest(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_consume(&b, 0);
    buf_put_str(&b, "abcdef");
    buf_consume(&b, 2);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("cdef")));
    buf_consume(&b, 0);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("cdef")));
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void numbers_print(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_put_uint(&b, 0);
    buf_put_u8(&b, ' ');
    buf_put_uint(&b, UINT64_MAX);
    buf_put_u8(&b, ' ');
    buf_put_int(&b, INT64_MIN);
    buf_put_u8(&b, ' ');
    buf_put_int(&b, -7);
    buf_put_u8(&b, ' ');
    buf_put_int(&b, INT64_MAX);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("0 18446744073709551615 -9223372036854775808 "
                                                     "-7 9223372036854775807")));
    buf_free(&b);
}

static void printf_is_bounded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s-%d", "x", 5);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("x-5")));
    buf_reset(&b, 1 << 20);
    buf_printf(&b, "%*d", 5000, 1);
    assert_int_equal(b.len, 4095);
    assert_false(b.failed);
    buf_free(&b);
}

static void little_endian_and_varints_come_back(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX};
    const size_t n = sizeof values / sizeof *values;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < n; i++) {
        buf_put_varint(&b, values[i]);
        buf_put_u16(&b, (uint16_t)values[i]);
        buf_put_u32(&b, (uint32_t)values[i]);
        buf_put_u64(&b, values[i]);
        buf_put_sized(&b, SLICE_LIT("sized"));
    }
    for (size_t cut = 0; cut <= b.len; cut++) {
        struct cursor c = cursor_of(slice_of(b.data, cut));
        for (size_t i = 0; i < n; i++) {
            uint64_t v = cursor_varint(&c);
            uint16_t v16 = cursor_u16(&c);
            uint32_t v32 = cursor_u32(&c);
            uint64_t v64 = cursor_u64(&c);
            struct slice s = cursor_sized(&c);
            if (c.bad)
                break;
            assert_true(v == values[i] && v16 == (uint16_t)v && v32 == (uint32_t)v && v64 == v);
            assert_true(slice_equal(s, SLICE_LIT("sized")));
        }
        assert_true(c.bad == (cut < b.len));
    }
    buf_free(&b);
}

static void cursor_refuses_long_varints_and_lengths(void **state)
{
    (void)state;
    uint8_t ones[11];
    memset(ones, 0xff, sizeof ones);
    struct cursor c = cursor_of(slice_of(ones, sizeof ones));
    assert_int_equal(cursor_varint(&c), 0);
    assert_true(c.bad);
    assert_int_equal(cursor_u8(&c), 0);
    uint8_t longer[] = {5, 'a'};
    c = cursor_of(slice_of(longer, sizeof longer));
    assert_int_equal(cursor_sized(&c).len, 0);
    assert_true(c.bad);
    c = cursor_of(slice_of(NULL, 0));
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_bytes(&c, 0).len, 0);
    assert_false(c.bad);
}

static void slices_compare(void **state)
{
    (void)state;
    assert_true(slice_equal(slice_of(NULL, 0), SLICE_LIT("")));
    assert_false(slice_equal(SLICE_LIT("a"), SLICE_LIT("b")));
    assert_true(slice_equal_nocase(SLICE_LIT("aZ[`{@"), SLICE_LIT("Az[`{@")));
    assert_false(slice_equal_nocase(SLICE_LIT("@"), SLICE_LIT("`")));
    assert_false(slice_equal_nocase(SLICE_LIT("a"), SLICE_LIT("ab")));
    assert_int_equal(slice_str(NULL).len, 0);
}

static void statuses_have_codes(void **state)
{
    (void)state;
    for (int s = 0; s < ST_WIRE_COUNT; s++) {
        const char *code = status_code((enum status)s);
        assert_int_equal(status_from_code(code, strlen(code)), s);
        assert_true(strlen(status_text((enum status)s)) > 0);
    }
    assert_int_equal(status_from_code("NOSUCH", 6), ST_ERR);
    assert_int_equal(status_from_code(NULL, 0), ST_ERR);
    assert_string_equal(status_code(ST_NOMEM), "BUSY");
    assert_string_equal(status_code(ST_IO), "ERR");
    assert_string_equal(status_code(ST_BAD), "ERR");
    assert_string_equal(status_code(ST_MORE), "ERR");
    assert_string_equal(status_code(ST_GONE), "ERR");
    assert_string_equal(status_code((enum status)(ST_IO + 1)), "ERR");
    assert_true(status_retryable(ST_BUSY) && status_retryable(ST_NOMEM) &&
                status_retryable(ST_DISKFULL));
    assert_false(status_retryable(ST_OK) || status_retryable(ST_ERR) ||
                 status_retryable(ST_BADNAME));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_content),
        cmocka_unit_test(cap_is_exact_and_failure_sticks),
        cmocka_unit_test(borrowed_memory_is_left_when_it_is_full),
        cmocka_unit_test(small_caps_work),
        cmocka_unit_test(room_counts_only_when_added),
        cmocka_unit_test(consume_moves_the_rest),
        cmocka_unit_test(numbers_print),
        cmocka_unit_test(printf_is_bounded),
        cmocka_unit_test(little_endian_and_varints_come_back),
        cmocka_unit_test(cursor_refuses_long_varints_and_lengths),
        cmocka_unit_test(slices_compare),
        cmocka_unit_test(statuses_have_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
