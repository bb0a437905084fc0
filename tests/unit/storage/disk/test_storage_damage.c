/*
 * test_storage_damage.c: damaged files of the database, with the settings that ship: a read says so, whoever reads,
 * and it is told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <glob.h>

#include "protocol/limits.h"
#include "storage/disk/kv.h"
#include "tests/lib/tmpdir.h"

struct fixture {
    char *path;
    struct kv *kv;
    char told[8][700];
    unsigned n_told;
};

static void tell(void *arg, const char *text)
{
    struct fixture *f = arg;
    snprintf(f->told[f->n_told++ % 8], sizeof f->told[0], "%s", text);
}

static void kv_start(struct fixture *f)
{
    char err[400] = "";
    struct kv_options opt = {.path = f->path, .memory_bytes = MIB(16), .damaged = tell, .damaged_arg = f};
    assert_int_equal(kv_open(&opt, &f->kv, err, sizeof err), ST_OK);
}

static struct slice row_key(char *hold, size_t size, unsigned i)
{
    int n = snprintf(hold, size, "T%04u", i);
    return slice_of(hold, (size_t)n);
}

/* 2,000 rows of 100 bytes, so dozens of blocks, in a file. */
static int start(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    f.path = tmpdir_new();
    kv_start(&f);
    char key[16], value[101], err[400];
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < 2000; i++)
        kv_put(f.kv, KV_STATE, row_key(key, sizeof key, i), slice_of(value, 100));
    assert_int_equal(kv_write(f.kv, true, err, sizeof err), ST_OK);
    kv_compact(f.kv, KV_STATE);
    kv_close(f.kv);
    f.kv = NULL;
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    kv_close(f->kv);
    tmpdir_remove(f->path);
    return 0;
}

static void each_table(const struct fixture *f, void (*harm)(const char *path))
{
    char pattern[300];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.sst", f->path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        harm(found.gl_pathv[i]);
    globfree(&found);
}

static void zero_first_block(const char *path)
{
    static const char zeros[512];
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, file), sizeof zeros);
    assert_int_equal(fclose(file), 0);
}

static void lose(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static enum status get(struct fixture *f, unsigned i)
{
    char key[16];
    struct buf out;
    buf_init(&out, KIB(1));
    enum status s = kv_get(f->kv, KV_STATE, NULL, row_key(key, sizeof key, i), &out);
    buf_free(&out);
    return s;
}

static void test_a_damaged_block_is_told_once(void **state)
{
    struct fixture *f = *state;
    each_table(f, zero_first_block);
    kv_start(f);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(get(f, 0), ST_DAMAGED);
        assert_int_equal(get(f, 1), ST_DAMAGED);
    }
    assert_int_equal(get(f, 1999), ST_OK);
    struct kv_iter *it = kv_iter_new(f->kv, KV_STATE, NULL, SLICE_LIT("T"), SLICE_LIT("U"));
    kv_iter_first(it);
    assert_false(kv_iter_valid(it));
    assert_int_equal(kv_iter_status(it), ST_DAMAGED);
    kv_iter_seek(it, SLICE_LIT("T1000")); /* behind it the iterator goes on */
    assert_true(kv_iter_valid(it));
    assert_int_equal(kv_iter_status(it), ST_OK);
    kv_iter_free(it);
    assert_int_equal(kv_damage_count(f->kv), 1);
    assert_int_equal(f->n_told, 1);
    assert_non_null(strstr(f->told[0], ".sst"));
}

static void test_a_lost_file_is_damage(void **state)
{
    struct fixture *f = *state;
    kv_start(f);
    kv_close(f->kv);
    f->kv = NULL;
    each_table(f, lose);
    struct kv_options opt = {.path = f->path, .memory_bytes = MIB(16)};
    char err[400] = "";
    enum status s = kv_open(&opt, &f->kv, err, sizeof err);
    assert_true(s == ST_OK ? get(f, 0) == ST_DAMAGED : err[0] != 0);
}

static void test_faults_of_kind_damage(void **state)
{
    struct fixture *f = *state;
    kv_start(f);
    kv_fault(f->kv, KV_OP_GET_DAMAGE, 2);
    assert_int_equal(get(f, 0), ST_OK);
    assert_int_equal(get(f, 1), ST_DAMAGED);
    assert_int_equal(get(f, 1), ST_OK);
    struct kv_iter *it = kv_iter_new(f->kv, KV_STATE, NULL, SLICE_LIT("T"), SLICE_LIT("U"));
    kv_fault(f->kv, KV_OP_ITER_DAMAGE, 2);
    kv_iter_first(it);
    assert_true(kv_iter_valid(it));
    kv_iter_next(it);
    assert_false(kv_iter_valid(it));
    assert_int_equal(kv_iter_status(it), ST_DAMAGED);
    kv_iter_first(it);
    assert_true(kv_iter_valid(it));
    assert_int_equal(kv_iter_status(it), ST_OK);
    kv_iter_free(it);
}

static void test_a_record_is_told_with_its_place(void **state)
{
    struct fixture *f = *state;
    kv_start(f);
    for (int n = 0; n < 2; n++) {
        assert_int_equal(kv_damaged_record(f->kv, NULL, SLICE_LIT("orders"), 7, 3, 40, 45), ST_DAMAGED);
        assert_int_equal(kv_damaged_row(f->kv, SLICE_LIT("Torders")), ST_DAMAGED);
    }
    assert_int_equal(f->n_told, 2);
    assert_non_null(strstr(f->told[0], "orders:3:40-45"));
    assert_non_null(strstr(f->told[1], "Torders"));
}

static void test_telling_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct damage *d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->tell = tell;
    d->arg = f;
    for (uint64_t id = 0; id < DAMAGE_IDS_MAX + 100; id++)
        damage_tell(d, id * 1000003, "x");
    assert_int_equal(damage_count(d), DAMAGE_IDS_MAX);
    assert_int_equal(f->n_told, DAMAGE_IDS_MAX + 1);
    assert_non_null(strstr(f->told[DAMAGE_IDS_MAX % 8], "not logged"));
    damage_tell(d, 1000003, "x");
    assert_int_equal(f->n_told, DAMAGE_IDS_MAX + 1);
    free(d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_a_damaged_block_is_told_once),
        TEST(test_a_lost_file_is_damage),
        TEST(test_faults_of_kind_damage),
        TEST(test_a_record_is_told_with_its_place),
        TEST(test_telling_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
