/*
 * test_client_sized.c: tests what an application of an older or newer header meets: structures with sizes, and the
 * version.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "clients/c/halfmq.h"
#include "clients/c/wire/sized.h"

struct now {
    size_t size;
    uint64_t first, second;
};

struct later {
    struct now now;
    uint64_t third;
};

static void test_an_older_application_gets_the_defaults(void **state)
{
    struct now from = {offsetof(struct now, second), 7, 8}, to = {0, 1, 2};
    (void)state;
    assert_true(sized_read(&to, sizeof to, &from, offsetof(struct now, second)));
    assert_int_equal(to.first, 7);
    assert_int_equal(to.second, 2);
    assert_int_equal(to.size, sizeof to);
}

static void test_a_newer_application_may_not_ask_for_what_is_unknown(void **state)
{
    struct later from = {{sizeof from, 7, 8}, 0};
    struct now to = {0, 1, 2};
    (void)state;
    assert_true(sized_read(&to, sizeof to, &from, sizeof to));
    assert_int_equal(to.second, 8);
    from.third = 1;
    assert_false(sized_read(&to, sizeof to, &from, sizeof to));
}

static void test_a_size_that_cannot_be_is_refused(void **state)
{
    size_t sizes[] = {0, offsetof(struct now, second) - 1, SIZED_BYTES_MAX + 1, SIZE_MAX};
    struct now ours = {sizeof ours, 1, 2};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct now theirs = {sizes[i], 7, 8};
        assert_false(sized_read(&ours, sizeof ours, &theirs, offsetof(struct now, second)));
        assert_false(sized_write(&theirs, &ours, sizeof ours, offsetof(struct now, second)));
        assert_int_equal(theirs.first, 7);
    }
}

static void test_what_is_filled_is_told(void **state)
{
    struct now ours = {sizeof ours, 1, 2}, older = {offsetof(struct now, second), 7, 8};
    struct later newer = {{sizeof newer, 7, 8}, 9};
    (void)state;
    assert_true(sized_write(&older, &ours, sizeof ours, offsetof(struct now, second)));
    assert_int_equal(older.first, 1);
    assert_int_equal(older.second, 8);
    assert_int_equal(older.size, offsetof(struct now, second));
    assert_true(sized_write(&newer, &ours, sizeof ours, offsetof(struct now, second)));
    assert_int_equal(newer.now.second, 2);
    assert_int_equal(newer.third, 0);
    assert_int_equal(newer.now.size, sizeof ours);
}

static void test_public_structures(void **state)
{
    hmq_loop loop = HMQ_LOOP;
    hmq_send_options options = HMQ_SEND_OPTIONS;
    hmq_client *client = NULL;
    hmq_error err;
    (void)state;
    assert_int_equal(options.size, sizeof options);
    assert_int_equal(loop.size, sizeof loop);
    loop.size = 0;
    assert_int_equal(hmq_client_new_loop(NULL, &loop, &client, &err), HMQ_EINVAL);
    assert_non_null(strstr(err.text, "HMQ_LOOP"));
}

static void test_the_header_and_the_library_are_of_one_version(void **state)
{
    int major, minor, patch;
    (void)state;
    assert_string_equal(hmq_version(), HMQ_VERSION);
    assert_int_equal(hmq_version_number(), HMQ_VERSION_NUMBER);
    assert_int_equal(sscanf(HMQ_VERSION, "%d.%d.%d", &major, &minor, &patch), 3);
    assert_int_equal(HMQ_VERSION_NUMBER, major * 1000000 + minor * 1000 + patch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_older_application_gets_the_defaults),
        cmocka_unit_test(test_a_newer_application_may_not_ask_for_what_is_unknown),
        cmocka_unit_test(test_a_size_that_cannot_be_is_refused),
        cmocka_unit_test(test_what_is_filled_is_told),
        cmocka_unit_test(test_public_structures),
        cmocka_unit_test(test_the_header_and_the_library_are_of_one_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
