/* test_store_write.c: tests that large writes of the store's tables and blob files are cut into pieces, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/store_write.h"
#include "tests/lib/tmpdir.h"

#define LARGE (4 * STORE_WRITE_PIECE)

static char data[LARGE];

/* What one write of the large block to that file of the folder takes. */
static ssize_t one_write(const char *folder, const char *name, size_t len)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    ssize_t n = write(fd, data, len);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), n);
    (void)close(fd);
    return n;
}

static void only_tables_are_written_in_pieces(void **state)
{
    char *folder = tmpdir_new(), store[512];
    (void)state;
    (void)snprintf(store, sizeof store, "%s/store", folder);
    assert_int_equal(mkdir(store, 0700), 0);
    assert_int_equal(one_write(folder, "store/1.blob", LARGE), LARGE); /* it is not the store's yet */
    assert_true(store_write_begin(folder));
    assert_int_equal(one_write(folder, "store/1.blob", LARGE), STORE_WRITE_PIECE);
    assert_int_equal(one_write(folder, "store/1.sst", LARGE), STORE_WRITE_PIECE);
    assert_int_equal(one_write(folder, "store/1.blob", STORE_WRITE_PIECE + 1), STORE_WRITE_PIECE + 1);
    assert_int_equal(one_write(folder, "store/LOG", LARGE), LARGE);
    assert_int_equal(one_write(folder, "store/OPTIONS-000007", LARGE), LARGE);
    assert_int_equal(one_write(folder, "other", LARGE), LARGE);
    tmpdir_remove(folder);
}

/* RocksDB goes on behind what was written, so nothing is missing or there twice. */
static void the_pieces_are_the_whole(void **state)
{
    char *folder = tmpdir_new(), path[512];
    static char back[LARGE];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/store", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(store_write_begin(folder));
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (char)(i * 31 + i / 4096);
    (void)snprintf(path, sizeof path, "%s/store/2.blob", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (size_t at = 0; at < LARGE;) {
        ssize_t n = write(fd, data + at, LARGE - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    assert_int_equal(pread(fd, back, LARGE, 0), LARGE);
    assert_memory_equal(back, data, LARGE);
    (void)close(fd);
    tmpdir_remove(folder);
}

static void errors_are_told(void **state)
{
    (void)state;
    assert_int_equal(write(-1, data, LARGE), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_tables_are_written_in_pieces),
        cmocka_unit_test(the_pieces_are_the_whole),
        cmocka_unit_test(errors_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
