/* test_storage_kv_parts.c: batches of which the log has some bytes already (storage/disk/batch/kv_parts.h): random values of
 * random parts come back as they were, whether they were put as they are or copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/batch/kv_batch.h"
#include "storage/disk/batch/kv_parts.h"
#include "tests/lib/prng.h"

#define COMMAND_BYTES 5000
#define ROUNDS 300

/* A log that keeps the parts of one command. */
struct fake {
    struct buf parts; /* one behind the other; `at` is where one begins */
    bool full, left;  /* it takes no more; it has gone on in another file */
    unsigned begun, ended;
};

static enum status fake_part(void *self, struct slice bytes, size_t whole, bool sync, uint64_t *ret_at, char *err,
                             size_t err_size)
{
    struct fake *f = self;
    (void)sync;
    (void)err;
    (void)err_size;
    if (f->full)
        return ST_BUSY;
    f->begun += whole > 0;
    *ret_at = f->parts.len;
    buf_put_u32(&f->parts, (uint32_t)bytes.len);
    buf_put_slice(&f->parts, bytes);
    return ST_OK;
}

static bool fake_has_parts(void *self, size_t bytes)
{
    (void)bytes;
    return !((struct fake *)self)->left;
}

static void fake_parts_end(void *self)
{
    ((struct fake *)self)->ended++;
}

static enum status read_part(void *arg, const struct kv_short_cut *cut, struct buf *out)
{
    struct fake *f = arg;
    uint64_t at = 0;
    assert_true(kv_short_part(cut->key, &at));
    struct cursor c = cursor_of(slice_of(f->parts.data + at, f->parts.len - at));
    struct slice bytes = cursor_bytes(&c, cursor_u32(&c));
    assert_true(!c.bad && cut->from <= bytes.len && cut->len <= bytes.len - cut->from);
    buf_put(out, bytes.data + cut->from, cut->len);
    return ST_OK;
}

struct rig {
    struct fake f;
    struct redo redo;
    struct kv_shorter shorter;
    struct kv_parts parts;
    struct prng p;
    uint8_t command[COMMAND_BYTES];
    struct buf batch;
};

static int setup(void **state)
{
    static struct rig r;
    r = (struct rig){.p = prng_from(11)};
    r.redo = (struct redo){.self = &r.f, .part = fake_part, .has_parts = fake_has_parts, .parts_end = fake_parts_end};
    buf_init(&r.f.parts, 0);
    buf_init(&r.batch, 0);
    kv_short_init(&r.shorter);
    kv_parts_init(&r.parts, &r.redo, &r.shorter);
    for (size_t i = 0; i < COMMAND_BYTES; i++)
        r.command[i] = (uint8_t)prng_below(&r.p, 256);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    kv_parts_free(&r->parts);
    kv_short_free(&r->shorter);
    buf_free(&r->f.parts);
    buf_free(&r->batch);
    return 0;
}

/* All of the command but the last hundred bytes, in parts of any size. */
static void write_parts(struct rig *r)
{
    char err[64];
    size_t done = 0, whole = COMMAND_BYTES - 100;
    buf_reset(&r->f.parts, 0);
    while (done < whole) {
        size_t n = 1 + prng_below(&r->p, 700);
        n = n < whole - done ? n : whole - done;
        assert_int_equal(kv_parts_write(&r->parts, slice_of(r->command + done, n), done ? 0 : whole, true, err, sizeof err), ST_OK);
        done += n;
    }
}

static struct slice some(struct rig *r, size_t most)
{
    size_t len = 1 + prng_below(&r->p, most), at = prng_below(&r->p, COMMAND_BYTES - len);
    return slice_of(r->command + at, len);
}

static void begin_value(struct rig *r, size_t size)
{
    buf_put_u8(&r->batch, 1);
    buf_put_sized(&r->batch, SLICE_LIT("key"));
    buf_put_varint(&r->batch, size);
}

/* A head of the caller's own, a piece of the command, as it is, and perhaps an end. */
static void put_value(struct rig *r)
{
    const struct slice parts[] = {SLICE_LIT("head"), some(r, 2000), SLICE_LIT("end")};
    int n = 2 + (int)prng_below(&r->p, 2);
    begin_value(r, 4 + parts[1].len + (n == 3 ? 3 : 0));
    for (int i = 0; i < n; i++)
        buf_put_slice(&r->batch, parts[i]);
    kv_parts_put(&r->parts, r->batch.len, parts, n);
}

/* Small pieces, copied into memory of the caller's own. */
static void put_copies(struct rig *r)
{
    struct kv_copied copied[8];
    struct buf value;
    size_t n = 1 + prng_below(&r->p, 8);
    buf_init(&value, 0);
    for (size_t i = 0; i < n; i++) {
        buf_put(&value, "between", prng_below(&r->p, 7));
        copied[i] = (struct kv_copied){.at = value.len, .bytes = some(r, 300)};
        buf_put_slice(&value, copied[i].bytes);
    }
    const struct slice parts[] = {buf_slice(&value)};
    begin_value(r, value.len);
    buf_put_slice(&r->batch, parts[0]);
    kv_parts_put(&r->parts, r->batch.len, parts, 1);
    kv_parts_copied(&r->parts, value.len, copied, n);
    buf_free(&value);
}

static void make_batch(struct rig *r)
{
    buf_reset(&r->batch, 0);
    kv_short_reset(&r->shorter);
    buf_put_u64(&r->batch, 0);
    buf_put_u32(&r->batch, 0);
    for (uint64_t n = 1 + prng_below(&r->p, 6); n > 0; n--) {
        if (prng_below(&r->p, 2))
            put_value(r);
        else
            put_copies(r);
    }
    begin_value(r, 4);
    r->batch.data[r->batch.len - 4] = 'l'; /* the last key is another one */
    buf_put_str(&r->batch, "last");
}

static void what_the_log_has_comes_back(void **state)
{
    struct rig *r = *state;
    size_t spared = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct buf back;
        struct slice value;
        write_parts(r);
        make_batch(r);
        struct slice bytes = kv_parts_short(&r->parts, buf_slice(&r->batch));
        spared += r->batch.len > bytes.len ? r->batch.len - bytes.len : 0;
        buf_init(&back, 0);
        assert_int_equal(kv_short_restore(bytes, read_part, &r->f, &back), ST_OK);
        assert_true(slice_equal(buf_slice(&back), buf_slice(&r->batch)));
        assert_true(kv_batch_find(bytes, SLICE_LIT("ley"), &value) && slice_equal(value, SLICE_LIT("last")));
        buf_free(&back);
    }
    assert_true(spared > ROUNDS * COMMAND_BYTES / 4);
    assert_int_equal(r->f.begun, ROUNDS);
}

static void a_log_that_went_on_gets_all_bytes(void **state)
{
    struct rig *r = *state;
    write_parts(r);
    make_batch(r);
    r->f.left = true;
    assert_ptr_equal(kv_parts_short(&r->parts, buf_slice(&r->batch)).data, r->batch.data);
}

static void parts_are_forgotten(void **state)
{
    struct rig *r = *state;
    char err[64];
    write_parts(r);
    kv_parts_end(&r->parts);
    assert_int_equal(r->f.ended, 1);
    make_batch(r);
    assert_ptr_equal(kv_parts_short(&r->parts, buf_slice(&r->batch)).data, r->batch.data);
    write_parts(r);
    r->f.full = true; /* what does not take one more loses all */
    assert_int_equal(kv_parts_write(&r->parts, SLICE_LIT("more"), 0, true, err, sizeof err), ST_BUSY);
    assert_int_equal(r->parts.n, 0);
    kv_parts_init(&r->parts, NULL, &r->shorter);
    assert_int_equal(kv_parts_write(&r->parts, SLICE_LIT("some"), 4, true, err, sizeof err), ST_BUSY);
}

static void there_is_a_bound(void **state)
{
    struct rig *r = *state;
    char err[64];
    enum status s = ST_OK;
    unsigned n = 0;
    for (; s == ST_OK; n++)
        s = kv_parts_write(&r->parts, slice_of(r->command, 1), n ? 0 : COMMAND_BYTES, false, err, sizeof err);
    assert_int_equal(s, ST_BUSY);
    assert_int_equal(n, KV_PARTS_MAX + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_log_has_comes_back),
        TEST(a_log_that_went_on_gets_all_bytes),
        TEST(parts_are_forgotten),
        TEST(there_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
