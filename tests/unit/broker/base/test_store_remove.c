/* test_store_remove.c: tests that removed files of the store are shortened by a thread, and only those without another name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/store_remove.h"
#include "tests/lib/tmpdir.h"

#define LARGE (5 * STORE_REMOVE_STEP)

static char *folder;

static const char *path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* An open file of that size, of which nothing is on the disk. */
static int new_file(const char *name, int64_t bytes)
{
    int fd = open(path_of(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    return fd;
}

static int64_t size_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (int64_t)st.st_size;
}

static int open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* Until the thread has closed all that it had. */
static void await_open_files(int n)
{
    while (open_files() > n)
        sched_yield();
}

static void is_gone_at_once_and_shortened_then(void **state)
{
    (void)state;
    assert_true(store_remove_begin());
    int fd = new_file("1.blob", LARGE), n = open_files();
    assert_int_equal(unlink(path_of("1.blob")), 0);
    assert_int_equal(access(path_of("1.blob"), F_OK), -1);
    await_open_files(n);
    assert_int_equal(size_of(fd), STORE_REMOVE_STEP); /* the rest goes when nobody has it open */
    (void)close(fd);
    store_remove_end();
}

static void keeps_what_has_another_name(void **state)
{
    (void)state;
    assert_true(store_remove_begin());
    int linked = new_file("1.sst", LARGE), other = new_file("notes.txt", LARGE), last = new_file("2.sst", LARGE);
    char copy[512];
    (void)snprintf(copy, sizeof copy, "%s/copy.sst", folder);
    assert_int_equal(link(path_of("1.sst"), copy), 0);
    int n = open_files();
    assert_int_equal(unlink(path_of("1.sst")), 0);
    assert_int_equal(unlink(path_of("notes.txt")), 0);
    assert_int_equal(unlink(path_of("2.sst")), 0);
    await_open_files(n);
    assert_int_equal(size_of(linked), LARGE);
    assert_int_equal(size_of(other), LARGE);
    assert_int_equal(size_of(last), STORE_REMOVE_STEP);
    store_remove_end();
    assert_int_equal(unlink(copy), 0);
    (void)close(linked);
    (void)close(other);
    (void)close(last);
}

static void fails_as_ever(void **state)
{
    (void)state;
    assert_true(store_remove_begin());
    int n = open_files();
    assert_int_equal(unlink(path_of("none.blob")), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(mkdir(path_of("folder.sst"), 0700), 0);
    assert_int_equal(unlink(path_of("folder.sst")), -1);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(mkfifo(path_of("pipe.blob"), 0600), 0);
    assert_int_equal(unlink(path_of("pipe.blob")), 0);
    assert_int_equal(symlink("/etc/hosts", path_of("link.sst")), 0);
    assert_int_equal(unlink(path_of("link.sst")), 0);
    assert_int_equal(open_files(), n);
    store_remove_end();
}

static void removes_at_once_without_the_thread(void **state)
{
    (void)state;
    int fd = new_file("1.blob", LARGE), n = open_files();
    assert_int_equal(unlink(path_of("1.blob")), 0);
    assert_int_equal(open_files(), n);
    assert_int_equal(size_of(fd), LARGE);
    (void)close(fd);
    store_remove_end(); /* nothing to end */
}

/* The end closes what is left, and few open files are taken where few are allowed. */
static void takes_few_open_files(void **state)
{
    (void)state;
    struct rlimit was, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_true(store_remove_begin());
    int n = open_files();
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d.blob", i);
        (void)close(new_file(name, 100 * LARGE));
        assert_int_equal(unlink(path_of(name)), 0);
        assert_true(open_files() <= n + 4);
    }
    store_remove_end();
    assert_int_equal(open_files(), n);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static int begin_folder(void **state)
{
    (void)state;
    folder = tmpdir_new();
    return 0;
}

static int end_folder(void **state)
{
    (void)state;
    tmpdir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_gone_at_once_and_shortened_then), cmocka_unit_test(keeps_what_has_another_name),
        cmocka_unit_test(fails_as_ever),                      cmocka_unit_test(removes_at_once_without_the_thread),
        cmocka_unit_test(takes_few_open_files),
    };
    return cmocka_run_group_tests(tests, begin_folder, end_folder);
}
