/* test_storage_overlay.c: compares the overlay with a model: rows of the open group hide stored ones and are flushed
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/batch/kv_parts.h"
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
    static uint8_t filled[256][9000]; /* what stays where it is */
    for (unsigned i = 0; i < 256; i++)
        memset(filled[i], (int)i, sizeof filled[i]);
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
            uint8_t bytes[sizeof filled[0]];
            size_t most = prng_below(&p, 10) == 0 ? sizeof bytes : 300;
            model[n] = (struct model_row){true, (uint32_t)prng_below(&p, most), (uint8_t)step};
            memset(bytes, model[n].fill, model[n].len);
            size_t cut = prng_below(&p, model[n].len + 1);
            bool stays = prng_below(&p, 2);
            const uint8_t *second = stays ? filled[model[n].fill] : bytes;
            if (step % 2)
                overlay_put(&o, &key, slice_of(bytes, model[n].len));
            else
                overlay_put_parts(&o, &key, slice_of(bytes, cut), slice_of(second + cut, model[n].len - cut), stays);
            memset(bytes, ~model[n].fill, sizeof bytes);
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

/* ---- a log that takes parts, and keeps the last batch ---- */

struct fake_log {
    struct buf batch;
};

static enum status fake_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size)
{
    struct fake_log *f = self;
    (void)number, (void)sync, (void)err, (void)err_size;
    buf_reset(&f->batch, SIZE_MAX);
    buf_put_slice(&f->batch, batch);
    return ST_OK;
}

static enum status fake_sync(void *self, char *err, size_t err_size)
{
    (void)self, (void)err, (void)err_size;
    return ST_OK;
}

static enum status fake_part(void *self, struct slice bytes, size_t whole, bool sync, uint64_t *ret_at, char *err, size_t err_size)
{
    (void)self, (void)bytes, (void)whole, (void)sync, (void)err, (void)err_size;
    *ret_at = 7;
    return ST_OK;
}

static bool fake_has_parts(void *self, size_t bytes)
{
    (void)self, (void)bytes;
    return true;
}

static void fake_parts_end(void *self)
{
    (void)self;
}

/* How many bytes of this kind the last batch has. */
static size_t fake_has(const struct fake_log *f, uint8_t byte)
{
    size_t n = 0;
    for (size_t i = 0; i < f->batch.len; i++)
        n += f->batch.data[i] == byte;
    return n;
}

/* A row whose value is a copy of what the log has refers to that; one that was put again does not. */
static void what_the_log_has(void **state)
{
    (void)state;
    static uint8_t body[20000], other[6000];
    struct fake_log log = {0};
    const struct redo redo = {.self = &log, .append = fake_append, .sync = fake_sync, .part = fake_part,
                              .has_parts = fake_has_parts, .parts_end = fake_parts_end};
    struct kv *kv = NULL;
    struct overlay o;
    char *path = tmpdir_new(), err[256];
    memset(body, 0xf1, sizeof body);
    memset(other, 0xf2, sizeof other);
    buf_init(&log.batch, 0);
    assert_int_equal(kv_open(&(struct kv_options){.path = path, .memory_bytes = 16 << 20, .redo = &redo}, &kv, err, sizeof(err)),
                     ST_OK);
    assert_int_equal(overlay_init(&o, kv), ST_OK);
    struct key key = key_number(1);
    for (unsigned again = 0; again < 4; again++) {
        assert_int_equal(kv_parts_write(kv_parts(kv), slice_of(body, sizeof body), sizeof body, false, err, sizeof(err)), ST_OK);
        overlay_put_parts(&o, &key, SLICE_LIT("head"), slice_of(body, sizeof body), true);
        if (again == 2)
            overlay_del(&o, &key);
        if (again % 2 || again == 2)
            overlay_put(&o, &key, slice_of(other, again == 1 ? sizeof other : 10));
        overlay_flush(&o);
        assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
        kv_parts_end(kv_parts(kv));
        assert_true(fake_has(&log, 0xf1) < 100); /* neither the value nor what is not wanted any more */
        size_t want = again == 0 ? 0 : again == 1 ? sizeof other : 10;
        assert_true(fake_has(&log, 0xf2) >= want && fake_has(&log, 0xf2) < want + 20);
        struct buf b;
        buf_init(&b, 0);
        assert_int_equal(overlay_get(&o, &key, &b), ST_OK);
        assert_int_equal(b.len, again == 0 ? 4 + sizeof body : want);
        assert_int_equal(b.data[b.len - 1], again == 0 ? 0xf1 : 0xf2);
        buf_free(&b);
    }
    overlay_fini(&o);
    kv_close(kv);
    buf_free(&log.batch);
    tmpdir_remove(path);
}

/* A row that refers to a stored one: the log gets the place, and the pin is held until the flush, whatever becomes of the row. */
static void what_the_store_has(void **state)
{
    (void)state;
    static uint8_t body[20000];
    struct fake_log log = {0};
    const struct redo redo = {.self = &log, .append = fake_append, .sync = fake_sync};
    struct kv *kv = NULL;
    struct overlay o;
    char *path = tmpdir_new(), err[256];
    memset(body, 0xf1, sizeof body);
    buf_init(&log.batch, 0);
    assert_int_equal(kv_open(&(struct kv_options){.path = path, .memory_bytes = 16 << 20, .redo = &redo}, &kv, err, sizeof(err)),
                     ST_OK);
    assert_int_equal(overlay_init(&o, kv), ST_OK);
    struct key from = key_number(1), to = key_number(2);
    overlay_put_parts(&o, &from, SLICE_LIT("head"), slice_of(body, sizeof body), true);
    overlay_flush(&o);
    assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
    assert_true(fake_has(&log, 0xf1) >= sizeof body);
    for (unsigned group = 0; group < 6; group++) {
        struct buf b;
        buf_init(&b, 0);
        for (unsigned i = 0; i < 1 + 12 * group; i++) {
            struct kv_pin *pin = NULL;
            struct slice row;
            struct kv_source source = {key_slice(&from), 4};
            assert_int_equal(overlay_get_pinned(&o, &from, 4096, &b, &pin, &row), ST_OK);
            assert_true(pin && overlay_keep_pin(&o, pin));
            overlay_put_stored(&o, &to, SLICE_LIT("other"), slice_of(row.data + 4, row.len - 4), &source);
        }
        overlay_del(&o, &from); /* the log has it all the same when this group is in it */
        assert_true(overlay_bytes(&o) >= sizeof body);
        assert_int_equal(overlay_get(&o, &to, &b), ST_OK);
        assert_int_equal(b.len, 5 + sizeof body);
        overlay_flush(&o);
        assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
        assert_true(fake_has(&log, 0xf1) < 100);
        buf_reset(&b, 0);
        assert_int_equal(overlay_get(&o, &to, &b), ST_OK);
        assert_int_equal(b.len, 5 + sizeof body);
        assert_memory_equal(b.data + 5, body, sizeof body);
        buf_free(&b);
        overlay_put_parts(&o, &from, SLICE_LIT("head"), slice_of(body, sizeof body), false);
        overlay_flush(&o);
        assert_int_equal(kv_write(kv, false, err, sizeof(err)), ST_OK);
    }
    overlay_put_parts(&o, &from, SLICE_LIT("head"), slice_of(body, sizeof body), true); /* a group that is given up */
    overlay_fini(&o);
    kv_close(kv);
    buf_free(&log.batch);
    tmpdir_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(one_put_a_row),
        cmocka_unit_test(what_the_log_has),
        cmocka_unit_test(what_the_store_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
