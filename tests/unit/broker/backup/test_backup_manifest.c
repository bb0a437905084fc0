/* test_backup_manifest.c: manifests as they are written and read; names; what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker/backup/backup_manifest.h"

static void make(struct buf *out, struct backup_facts *facts)
{
    struct buf files;
    const struct backup_file one = {.name = "store/CURRENT", .bytes = 16, .digest = 0x123}, two = {.name = "wal/00000001.wal", .bytes = 7};
    backup_manifest_begin(&files);
    backup_manifest_begin(out);
    backup_manifest_add(&files, &one);
    backup_manifest_add(&files, &two);
    backup_manifest_end(out, buf_slice(&files), facts);
    buf_free(&files);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct backup_facts facts = {.name = "nightly", .index = 9, .linked = 1, .created_ms = 1790000000000}, read;
    struct buf out;
    struct cursor at;
    struct backup_file f;
    char err[300] = "";
    make(&out, &facts);
    static const char golden[] = "halfmq backup 1\nname nightly\nindex 9\ncreated 1790000000000\nlinked 1\n"
                                 "file 0000000000000123 16 store/CURRENT\nfile 0000000000000000 7 wal/00000001.wal\nend 2 23 ";
    assert_memory_equal(out.data, golden, sizeof golden - 1);
    assert_int_equal(backup_manifest_open(buf_slice(&out), &read, &at, err, sizeof err), ST_OK);
    assert_string_equal(read.name, "nightly");
    assert_int_equal(read.index, 9);
    assert_int_equal(read.linked, 1);
    assert_int_equal(read.created_ms, 1790000000000);
    assert_int_equal(read.files, 2);
    assert_int_equal(read.bytes, 23);
    assert_true(backup_manifest_next(&at, &f));
    assert_string_equal(f.name, "store/CURRENT");
    assert_int_equal(f.digest, 0x123);
    assert_true(backup_manifest_next(&at, &f));
    assert_string_equal(f.name, "wal/00000001.wal");
    assert_false(backup_manifest_next(&at, &f));
    buf_free(&out);
}

static void each_changed_byte_is_noticed(void **state)
{
    (void)state;
    struct backup_facts facts = {.name = "n", .index = 9, .created_ms = 5}, read;
    struct buf out;
    struct cursor at;
    char err[300];
    make(&out, &facts);
    for (size_t i = 0; i < out.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            out.data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(backup_manifest_open(buf_slice(&out), &read, &at, err, sizeof err), ST_BAD);
            out.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    for (size_t n = 0; n < out.len; n++)
        assert_int_equal(backup_manifest_open(slice_of(out.data, n), &read, &at, err, sizeof err), ST_BAD);
    buf_put_u8(&out, '\n');
    assert_int_equal(backup_manifest_open(buf_slice(&out), &read, &at, err, sizeof err), ST_BAD);
    buf_free(&out);
}

static void a_later_version_has_its_sentence(void **state)
{
    (void)state;
    struct backup_facts read;
    struct cursor at;
    char err[300] = "";
    assert_int_equal(backup_manifest_open(SLICE_LIT("halfmq backup 2\nanything\n"), &read, &at, err, sizeof err), ST_BAD);
    assert_non_null(strstr(err, "newer"));
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "nightly", "2026-11-30", "a.b", "A_b", "list2"};
    static const char *const bad[] = {"", ".", "..", ".a", "a..b", "a/b", "list", "LIST", "Delete", "a b", "%a", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(backup_name_ok(slice_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(backup_name_ok(slice_str(bad[i])));
}

static void files_are_in_their_folders(void **state)
{
    (void)state;
    static const char *const bad[] = {"/etc/passwd", "store/", "store/../x", "store/a/b", "wal/.hidden", "other/x", "store/a b", "x"};
    struct backup_file f;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[200];
        int n = snprintf(line, sizeof line, "file 0000000000000000 1 %s\n", bad[i]);
        struct cursor at = cursor_of(slice_of(line, (size_t)n));
        assert_false(backup_manifest_next(&at, &f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(each_changed_byte_is_noticed),
        cmocka_unit_test(a_later_version_has_its_sentence), cmocka_unit_test(names), cmocka_unit_test(files_are_in_their_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
