/* test_storage_kv_short.c: batches that are shortened for the log, and restored (storage/disk/batch/kv_short.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/batch/kv_batch.h"
#include "storage/disk/batch/kv_short.h"
#include "tests/lib/prng.h"

#define ROW "head of the row, then the body that is long"
#define BODY_AT 18
#define BODY_LEN 25

/* What the reader was asked, as it answers from ROW. */
static enum status read_row(void *arg, const struct kv_short_cut *cut, struct buf *out)
{
    enum status *fails = arg;
    if (cut->key.len != 1 || cut->from >= sizeof ROW || cut->len > sizeof ROW - 1 - cut->from)
        return ST_DAMAGED;
    buf_put(out, ROW + cut->from, cut->len);
    return *fails;
}

static void put_entry(struct buf *b, const char *key, const char *head, const char *body, const char *tail)
{
    buf_put_u8(b, 1);
    buf_put_sized(b, slice_of(key, strlen(key)));
    buf_put_varint(b, strlen(head) + strlen(body) + strlen(tail));
    buf_put_str(b, head);
    buf_put_str(b, body);
    buf_put_str(b, tail);
}

/* A batch of five entries, of which the second and the fourth have ROW's body, and what it is shortened to. */
static void make(struct buf *whole, struct kv_shorter *s)
{
    const char *body = ROW + BODY_AT;
    buf_init(whole, 0);
    kv_short_init(s);
    buf_put_u64(whole, 0);
    buf_put_u32(whole, 5);
    put_entry(whole, "a", "first", "", "");
    for (int i = 0; i < 2; i++) {
        put_entry(whole, i ? "d" : "b", "head", body, "tail");
        kv_short_cut(s, whole->len - 4 - BODY_LEN, BODY_LEN, SLICE_LIT("y"), BODY_AT);
        put_entry(whole, i ? "e" : "c", i ? "last" : "middle", "", "");
    }
}

static void what_is_cut_comes_back(void **state)
{
    (void)state;
    struct buf whole, back;
    struct kv_shorter s;
    enum status fails = ST_OK;
    make(&whole, &s);
    buf_init(&back, 0);
    struct slice bytes = kv_short_of(&s, buf_slice(&whole));
    assert_true(kv_short_is(bytes));
    assert_false(kv_short_is(buf_slice(&whole)));
    assert_int_equal(kv_short_whole(bytes), whole.len);
    assert_int_equal(kv_short_whole(buf_slice(&whole)), whole.len);
    assert_int_equal(kv_short_restore(bytes, read_row, &fails, &back), ST_OK);
    assert_true(slice_equal(buf_slice(&back), buf_slice(&whole)));
    fails = ST_IO;
    assert_int_equal(kv_short_restore(bytes, read_row, &fails, &back), ST_IO);
    kv_short_reset(&s);
    assert_ptr_equal(kv_short_of(&s, buf_slice(&whole)).data, whole.data); /* nothing is cut any more */
    kv_short_free(&s);
    buf_free(&whole);
    buf_free(&back);
}

static void values_are_found_between_cuts(void **state)
{
    (void)state;
    struct buf whole;
    struct kv_shorter s;
    make(&whole, &s);
    const struct slice forms[] = {buf_slice(&whole), kv_short_of(&s, buf_slice(&whole))};
    for (size_t i = 0; i < 2; i++) {
        struct slice value;
        assert_true(kv_batch_find(forms[i], SLICE_LIT("a"), &value) && slice_equal(value, SLICE_LIT("first")));
        assert_true(kv_batch_find(forms[i], SLICE_LIT("c"), &value) && slice_equal(value, SLICE_LIT("middle")));
        assert_true(kv_batch_find(forms[i], SLICE_LIT("e"), &value) && slice_equal(value, SLICE_LIT("last")));
        assert_false(kv_batch_find(forms[i], SLICE_LIT("x"), &value));
    }
    kv_short_free(&s);
    buf_free(&whole);
}

/* Nothing is read outside of the bytes, whatever they are. */
static void any_bytes_are_taken(void **state)
{
    (void)state;
    struct buf whole;
    struct kv_shorter s;
    struct prng p = prng_from(4);
    make(&whole, &s);
    struct slice bytes = kv_short_of(&s, buf_slice(&whole));
    for (int i = 0; i < 20000; i++) {
        size_t len = prng_below(&p, bytes.len + 1);
        uint8_t *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, bytes.data, len);
        for (uint64_t n = prng_below(&p, 3); n > 0 && len > 8; n--)
            copy[8 + prng_below(&p, len - 8)] = (uint8_t)prng_below(&p, 256);
        struct buf back;
        struct slice value;
        enum status fails = ST_OK;
        buf_init(&back, 0);
        enum status s_any = kv_short_restore(slice_of(copy, len), read_row, &fails, &back);
        assert_true(s_any == ST_OK || s_any == ST_BAD || s_any == ST_DAMAGED);
        (void)kv_batch_find(slice_of(copy, len), SLICE_LIT("e"), &value);
        (void)kv_short_whole(slice_of(copy, len));
        buf_free(&back);
        free(copy);
    }
    kv_short_free(&s);
    buf_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_comes_back),
        cmocka_unit_test(values_are_found_between_cuts),
        cmocka_unit_test(any_bytes_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
