/* test_folder.c: tests that the data folder is created, locked for one broker, and unlocked when that broker ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/folder.h"
#include "tests/lib/tmpdir.h"

static int set_up(void **state)
{
    *state = tmpdir_new();
    return 0;
}

static int tear_down(void **state)
{
    tmpdir_remove(*state);
    return 0;
}

static void is_made_with_those_above(void **state)
{
    char path[512], err[256];
    struct stat st;
    int fd = -1;
    snprintf(path, sizeof path, "%s/a/b//c/", (char *)*state);
    assert_int_equal(folder_lock(path, &fd, err, sizeof err), ST_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    close(fd);
    assert_int_equal(folder_lock(path, &fd, err, sizeof err), ST_OK);
    close(fd);
}

static void a_second_broker_is_told_who_holds_it(void **state)
{
    char err[256], expected[512];
    int first = -1, second = -1;
    assert_int_equal(folder_lock(*state, &first, err, sizeof err), ST_OK);
    assert_int_equal(folder_lock(*state, &second, err, sizeof err), ST_BUSY);
    assert_int_equal(second, -1);
    snprintf(expected, sizeof expected,
             "another broker (process %ld) is using %s: stop it, or choose another --data",
             (long)getpid(), (char *)*state);
    assert_string_equal(err, expected);
    close(first);
    assert_int_equal(folder_lock(*state, &second, err, sizeof err), ST_OK);
    close(second);
}

static void a_killed_holder_locks_nobody_out(void **state)
{
    char err[256];
    int pipe_fds[2], fd = -1;
    char byte;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool locked = folder_lock(*state, &fd, err, sizeof err) == ST_OK;
        if (!locked || write(pipe_fds[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(folder_lock(*state, &fd, err, sizeof err), ST_BUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(folder_lock(*state, &fd, err, sizeof err), ST_OK);
    close(fd);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void what_cannot_be_a_folder_is_named(void **state)
{
    char path[512], err[256];
    int fd = -1;
    snprintf(path, sizeof path, "%s/file", (char *)*state);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(folder_lock(path, &fd, err, sizeof err), ST_IO);
    assert_non_null(strstr(err, path));
    assert_non_null(strstr(err, "choose another --data"));
    assert_int_equal(folder_lock("/dev/null/x", &fd, err, sizeof err), ST_IO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_made_with_those_above),
        TEST(a_second_broker_is_told_who_holds_it),
        TEST(a_killed_holder_locks_nobody_out),
        TEST(what_cannot_be_a_folder_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
