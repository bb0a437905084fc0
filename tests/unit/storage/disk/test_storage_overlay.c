/* test_storage_overlay.c: compares the overlay with a model: rows of the open group hide stored ones and are flushed
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/overlay.h"
#include "tests/lib/prng.h"
#include "tests/lib/tmpdir.h"

#define KEYS 700

struct model_row {
    bool there;
    uint32_t len;
    uint8_t fill;
};

static struct key key_number(uint64_t n)
{
    return key_of_id('C', n);
}

static void expect_row(struct overlay *o, uint64_t n, const struct model_row *m)
{
    struct buf b;
    struct key key = key_number(n);
    buf_init(&b, 0);
    buf_put_str(&b, "before");
    enum status s = overlay_get(o, &key, &b);
    assert_int_equal(s, m->there ? ST_OK : ST_GONE);
    assert_int_equal(b.len, 6 + (m->there ? m->len : 0));
    for (size_t i = 6; i < b.len; i++)
        assert_int_equal(b.data[i], m->fill);
    buf_free(&b);
}

static void against_a_model(void **state)
{
    (void)state;
    static struct model_row model[KEYS];
    struct prng p = prng_start();
    char *path = tmpdir_new(), err[256];
    struct kv *kv = NULL;
    struct overlay o;
    assert_int_equal(kv_open(&(struct kv_options){.path = path, .memory_bytes = 16 << 20},
                            &kv, err, sizeof(err)), ST_OK);
    assert_int_equal(overlay_init(&o, kv), ST_OK);
    for (int step = 0; step < 20000; step++) {
        uint64_t n = prng_below(&p, KEYS);
        struct key key = key_number(n);
        if (prng_below(&p, 3) == 0) {
            model[n].there = false;
            overlay_del(&o, &key);
        } else {
            uint8_t bytes[300];
            model[n] = (struct model_row){true, (uint32_t)prng_below(&p, sizeof(bytes)), (uint8_t)step};
            memset(bytes, model[n].fill, sizeof(bytes));
            size_t cut = prng_below(&p, model[n].len + 1);
            if (step % 2)
                overlay_put(&o, &key, slice_of(bytes, model[n].len));
            else
                overlay_put_parts(&o, &key, slice_of(bytes, cut), slice_of(bytes + cut, model[n].len - cut));
        }
        n = prng_below(&p, KEYS);
        expect_row(&o, n, &model[n]);
        if (prng_below(&p, 2000) == 0) {
            overlay_flush(&o);
            assert_int_equal(overlay_bytes(&o), 0);
            assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
        }
    }
    for (uint64_t n = 0; n < KEYS; n++)
        expect_row(&o, n, &model[n]);
    overlay_flush(&o);
    assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
    for (uint64_t n = 0; n < KEYS; n++)
        expect_row(&o, n, &model[n]);
    overlay_fini(&o);
    kv_close(kv);
    tmpdir_remove(path);
}

static void one_put_a_row(void **state)
{
    (void)state;
    char *path = tmpdir_new(), err[256];
    struct kv *kv = NULL;
    struct overlay o;
    assert_int_equal(kv_open(&(struct kv_options){.path = path, .memory_bytes = 16 << 20},
                            &kv, err, sizeof(err)), ST_OK);
    assert_int_equal(overlay_init(&o, kv), ST_OK);
    struct key key = key_number(1);
    for (int i = 0; i < 10; i++)
        overlay_put(&o, &key, SLICE_LIT("value"));
    assert_int_equal(overlay_bytes(&o), key.len + 5);
    assert_false(kv_pending(kv)); /* nothing goes to the batch before the flush */
    overlay_flush(&o);
    assert_true(kv_pending(kv));
    assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
    kv_fault(kv, KV_OP_GET, 1);
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(overlay_get(&o, &key, &b), ST_IO);
    buf_free(&b);
    for (uint64_t i = 0; i < 20000; i++) {
        struct key k = key_number(i);
        overlay_put(&o, &k, SLICE_LIT("v"));
    }
    overlay_flush(&o);
    uint32_t most = o.rows_size;
    for (int i = 0; i < 20; i++) {
        overlay_put(&o, &key, SLICE_LIT("v"));
        overlay_flush(&o);
    }
    assert_true(most >= 20000 && o.rows_size < 1000 && o.slots_size == 2 * o.rows_size);
    overlay_fini(&o);
    kv_close(kv);
    tmpdir_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_a_model), cmocka_unit_test(one_put_a_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
