/* test_storage_kv.c: tests kv: round trips, iterators in both directions, snapshots, injected faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/disk/kv.h"
#include "tests/lib/tmpdir.h"

struct fixture {
    char *path;
    struct kv *kv;
    char err[256];
};

static void open_again(struct fixture *f)
{
    kv_close(f->kv);
    f->kv = NULL;
    assert_int_equal(kv_open(&(struct kv_options){.path = f->path, .memory_bytes = 16 << 20},
                            &f->kv, f->err, sizeof(f->err)), ST_OK);
}

static int setup(void **state)
{
    static struct fixture f;
    f.path = tmpdir_new();
    f.kv = NULL;
    *state = &f;
    open_again(&f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kv_close(f->kv);
    tmpdir_remove(f->path);
    return 0;
}

static void put(struct fixture *f, const char *key, const char *value)
{
    kv_put(f->kv, KV_STATE, slice_str(key), slice_str(value));
}

static void written(struct fixture *f)
{
    assert_int_equal(kv_write(f->kv, true, f->err, sizeof(f->err)), ST_OK);
}

static void holds(struct fixture *f, const struct kv_snap *snap, const char *key, const char *want)
{
    struct buf b;
    buf_init(&b, 0);
    enum status s = kv_get(f->kv, KV_STATE, snap, slice_str(key), &b);
    assert_int_equal(s, want ? ST_OK : ST_GONE);
    if (want)
        assert_true(slice_equal(buf_slice(&b), slice_str(want)));
    buf_free(&b);
}

/* The batch that was given memory is empty, takes what it did before, and one with something in it stays as it is. */
static void reserved_memory_is_not_content(void **state)
{
    struct fixture *f = *state;
    kv_reserve(f->kv, 8 << 20);
    assert_false(kv_pending(f->kv));
    put(f, "a", "1");
    kv_reserve(f->kv, 8 << 20);
    put(f, "b", "2");
    written(f);
    holds(f, NULL, "a", "1");
    holds(f, NULL, "b", "2");
    kv_reserve(f->kv, 8 << 20);
    written(f); /* of nothing */
    put(f, "a", "3");
    written(f);
    open_again(f);
    holds(f, NULL, "a", "3");
    holds(f, NULL, "b", "2");
}

static void round_trip(void **state)
{
    struct fixture *f = *state;
    assert_false(kv_pending(f->kv));
    put(f, "a", "1");
    assert_true(kv_pending(f->kv));
    holds(f, NULL, "a", NULL); /* not before it is written */
    written(f);
    assert_false(kv_pending(f->kv));
    holds(f, NULL, "a", "1");
    kv_put(f->kv, KV_LOG, SLICE_LIT("a"), SLICE_LIT("other family"));
    kv_del(f->kv, KV_STATE, SLICE_LIT("a"));
    put(f, "b", "");
    written(f);
    open_again(f);
    holds(f, NULL, "a", NULL);
    holds(f, NULL, "b", "");
    struct buf b;
    buf_init(&b, 4);
    assert_int_equal(kv_get(f->kv, KV_LOG, NULL, SLICE_LIT("a"), &b), ST_NOMEM); /* over its cap */
    buf_free(&b);
    assert_true(kv_memory(f->kv) > 0);
}

/* Compressing families are created when they are needed, store what they are given, and stay. */
static void families_on_need(void **state)
{
    struct fixture *f = *state;
    static const enum kv_family kinds[] = {KV_LOG_LZ4, KV_LOG_ZSTD};
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_false(kv_has(f->kv, kinds[i]));
        kv_fault(f->kv, KV_OP_NEED, 1); /* as if RocksDB was built without that compression */
        assert_int_equal(kv_need(f->kv, kinds[i]), ST_BAD);
        assert_false(kv_has(f->kv, kinds[i]));
        assert_int_equal(kv_need(f->kv, kinds[i]), ST_OK);
        assert_int_equal(kv_need(f->kv, kinds[i]), ST_OK);
        kv_put(f->kv, kinds[i], SLICE_LIT("a"), SLICE_LIT("1"));
    }
    written(f);
    open_again(f);
    for (size_t i = 0; i < 2; i++) {
        assert_true(kv_has(f->kv, kinds[i]));
        kv_compact(f->kv, kinds[i]);
        buf_reset(&b, 0);
        assert_int_equal(kv_get(f->kv, kinds[i], NULL, SLICE_LIT("a"), &b), ST_OK);
        assert_true(slice_equal(buf_slice(&b), SLICE_LIT("1")));
    }
    buf_reset(&b, 0);
    assert_int_equal(kv_get(f->kv, KV_LOG, NULL, SLICE_LIT("a"), &b), ST_GONE);
    assert_true(kv_has(f->kv, KV_LOG) && kv_has(f->kv, KV_STATE));
    buf_free(&b);
}

/* After a failed write no family is created. */
static void no_family_of_the_dead(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    kv_fault(f->kv, KV_OP_WRITE, 1);
    assert_int_equal(kv_write(f->kv, true, f->err, sizeof(f->err)), ST_IO);
    assert_int_equal(kv_need(f->kv, KV_LOG_LZ4), ST_IO);
    assert_false(kv_has(f->kv, KV_LOG_LZ4));
}

static void ranges(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1"), put(f, "b", "2"), put(f, "c", "3"), put(f, "d", "4");
    kv_del_range(f->kv, KV_STATE, SLICE_LIT("b"), SLICE_LIT("d"));
    written(f);
    holds(f, NULL, "a", "1");
    holds(f, NULL, "b", NULL);
    holds(f, NULL, "c", NULL);
    holds(f, NULL, "d", "4");
}

static void expect_at(struct kv_iter *it, const char *key)
{
    assert_int_equal(kv_iter_status(it), ST_OK);
    assert_int_equal(kv_iter_valid(it), key != NULL);
    if (key)
        assert_true(slice_equal(kv_iter_key(it), slice_str(key)));
}

static void iterators(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1"), put(f, "b1", "2"), put(f, "b3", "3"), put(f, "c", "4");
    written(f);
    struct kv_iter *it = kv_iter_new(f->kv, KV_STATE, NULL, SLICE_LIT("b"), SLICE_LIT("c"));
    assert_non_null(it);
    kv_iter_first(it);
    expect_at(it, "b1");
    kv_iter_next(it);
    expect_at(it, "b3");
    assert_true(slice_equal(kv_iter_value(it), SLICE_LIT("3")));
    kv_iter_next(it);
    expect_at(it, NULL);
    kv_iter_floor(it, SLICE_LIT("b2"));
    expect_at(it, "b1");
    kv_iter_floor(it, SLICE_LIT("b3"));
    expect_at(it, "b3");
    kv_iter_floor(it, SLICE_LIT("b0"));
    expect_at(it, NULL);
    kv_iter_seek(it, SLICE_LIT("b2"));
    expect_at(it, "b3");
    kv_iter_seek(it, SLICE_LIT("b4"));
    expect_at(it, NULL);
    kv_iter_free(it);
}

static void snapshots(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    written(f);
    struct kv_snap *snap = kv_snapshot(f->kv);
    put(f, "a", "2"), put(f, "b", "1");
    written(f);
    holds(f, snap, "a", "1");
    holds(f, snap, "b", NULL);
    holds(f, NULL, "a", "2");
    struct kv_iter *it = kv_iter_new(f->kv, KV_STATE, snap, SLICE_LIT("a"), SLICE_LIT("z"));
    kv_iter_first(it);
    expect_at(it, "a");
    kv_iter_next(it);
    expect_at(it, NULL);
    kv_iter_free(it);
    kv_snap_free(f->kv, snap);
}

static void one_owner(void **state)
{
    struct fixture *f = *state;
    struct kv *second = NULL;
    char err[256] = "";
    assert_int_equal(kv_open(&(struct kv_options){.path = f->path, .memory_bytes = 16 << 20},
                            &second, err, sizeof(err)), ST_BUSY);
    assert_true(err[0] != 0 && second == NULL);
}

static void unusable_folder(void **state)
{
    struct fixture *f = *state;
    struct kv *kv = NULL;
    char err[256] = "";
    (void)f;
    assert_int_equal(kv_open(&(struct kv_options){.path = "/proc/no/such", .memory_bytes = 16 << 20},
                            &kv, err, sizeof(err)), ST_IO);
    assert_true(err[0] != 0);
}

/* The n-th write and every later one fail; what was written before stays. */
static void failing_write(enum kv_op op, struct fixture *f)
{
    put(f, "a", "1");
    kv_fault(f->kv, op, 2);
    written(f);
    put(f, "a", "2");
    assert_int_equal(kv_write(f->kv, true, f->err, sizeof(f->err)), ST_IO);
    assert_true(f->err[0] != 0);
    assert_false(kv_pending(f->kv));
    put(f, "b", "1");
    f->err[0] = 0;
    assert_int_equal(kv_write(f->kv, true, f->err, sizeof(f->err)), ST_IO);
    assert_true(f->err[0] != 0);
    holds(f, NULL, "a", "1");
    open_again(f);
    holds(f, NULL, "a", "1");
    holds(f, NULL, "b", NULL);
}

static void failing_writes(void **state)
{
    failing_write(KV_OP_WRITE, *state);
}

static void failing_syncs(void **state)
{
    failing_write(KV_OP_SYNC, *state);
}

static void failing_sync_alone(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    assert_int_equal(kv_write(f->kv, false, f->err, sizeof(f->err)), ST_OK);
    assert_int_equal(kv_sync(f->kv, f->err, sizeof(f->err)), ST_OK);
    kv_fault(f->kv, KV_OP_SYNC, 1);
    assert_int_equal(kv_sync(f->kv, f->err, sizeof(f->err)), ST_IO);
    put(f, "a", "2");
    assert_int_equal(kv_write(f->kv, false, f->err, sizeof(f->err)), ST_IO);
}

static void failing_reads(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    written(f);
    struct buf b;
    buf_init(&b, 0);
    kv_fault(f->kv, KV_OP_GET, 1);
    assert_int_equal(kv_get(f->kv, KV_STATE, NULL, SLICE_LIT("a"), &b), ST_IO);
    assert_int_equal(kv_get(f->kv, KV_STATE, NULL, SLICE_LIT("a"), &b), ST_OK);
    buf_free(&b);
    kv_fault(f->kv, KV_OP_ITER, 1);
    struct kv_iter *it = kv_iter_new(f->kv, KV_STATE, NULL, SLICE_LIT("a"), SLICE_LIT("z"));
    if (it) {
        kv_iter_first(it);
        assert_false(kv_iter_valid(it));
        assert_int_equal(kv_iter_status(it), ST_IO);
    }
    kv_iter_free(it);
}

static bool all_stale(struct slice key, struct slice value, const struct kv_mark *mark)
{
    (void)key, (void)value;
    return mark->now_ms >= 10;
}

static void mark_and_compact(struct fixture *f, int64_t now_ms, bool synced)
{
    struct kv_mark mark = {.now_ms = now_ms};
    kv_set_mark(f->kv, &mark, synced);
    kv_compact(f->kv, KV_STATE);
}

/* A compaction drops a row only when the reason for which it is stale is synced. */
static void stale_when_synced(void **state)
{
    struct fixture *f = *state;
    kv_close(f->kv);
    assert_int_equal(kv_open(&(struct kv_options){.path = f->path, .memory_bytes = 16 << 20, .stale = all_stale},
                            &f->kv, f->err, sizeof(f->err)), ST_OK);
    put(f, "a", "1");
    written(f);
    mark_and_compact(f, 9, true);
    holds(f, NULL, "a", "1");
    mark_and_compact(f, 10, false);
    holds(f, NULL, "a", "1");
    assert_int_equal(kv_sync(f->kv, f->err, sizeof(f->err)), ST_OK);
    kv_compact(f->kv, KV_STATE);
    holds(f, NULL, "a", NULL);
    put(f, "a", "2");
    written(f);
    mark_and_compact(f, 11, true);
    holds(f, NULL, "a", NULL);
    /* A later sync does not bring back an earlier mark. */
    mark_and_compact(f, 9, false);
    mark_and_compact(f, 12, true);
    assert_int_equal(kv_sync(f->kv, f->err, sizeof(f->err)), ST_OK);
    put(f, "a", "3");
    written(f);
    kv_compact(f->kv, KV_STATE);
    holds(f, NULL, "a", NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(round_trip), TEST(reserved_memory_is_not_content),      TEST(ranges),         TEST(iterators),     TEST(snapshots),
        TEST(one_owner),       TEST(unusable_folder), TEST(failing_writes), TEST(failing_syncs),
        TEST(failing_sync_alone), TEST(failing_reads), TEST(stale_when_synced),
        TEST(families_on_need), TEST(no_family_of_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
