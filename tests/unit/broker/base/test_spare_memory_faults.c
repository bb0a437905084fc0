/* test_spare_memory_faults.c: tests that libevent gets memory where an allocation fails once, and that the process ends with
 * a sentence where there is none at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "broker/base/spare_memory.h"
#include "tests/lib/fault_heap.h"

static bool grows(void)
{
    static const char text[3000];
    struct evbuffer *b = evbuffer_new();
    bool good = b && evbuffer_add(b, text, sizeof text) == 0 && evbuffer_get_length(b) == sizeof text;
    if (b)
        evbuffer_free(b);
    return good;
}

static void one_failure_is_not_seen(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 10; n++) {
        fault_heap_fail(n, false);
        fault_heap_inside(true);
        bool good = grows();
        fault_heap_inside(false);
        assert_true(good);
        assert_true(n > 2 || fault_heap_fired());
    }
    fault_heap_fail(0, false);
}

static void without_memory_the_process_ends(void **state)
{
    (void)state;
    int ends[2], status = 0;
    char said[400] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        fault_heap_fail(1, true);
        fault_heap_inside(true);
        _exit(grows() ? 0 : 1);
    }
    close(ends[1]);
    assert_true(read(ends[0], said, sizeof said - 1) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SPARE_MEMORY_EXIT);
    assert_non_null(strstr(said, "level=error"));
}

static int set_up(void **state)
{
    (void)state;
    return spare_memory_begin() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_failure_is_not_seen),
                                       cmocka_unit_test(without_memory_the_process_ends)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
