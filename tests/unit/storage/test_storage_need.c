/* test_storage_need.c: tests which blocks of memory a large command is said to need (storage/need.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/limits.h"
#include "storage/need.h"

static void large_values_have_blocks_of_their_own(void **state)
{
    (void)state;
    struct need n = {0};
    need_add(&n, (size_t)MIB(4), 3);
    need_add(&n, (size_t)KIB(300), 2);
    need_end(&n);
    assert_int_equal(n.n_blocks, 5);
    for (uint32_t i = 0; i < 5; i++) {
        size_t value = i < 3 ? (size_t)MIB(4) : (size_t)KIB(300);
        assert_true(n.block[i] > value && n.block[i] < value + 1000);
    }
    assert_true(n.batch > (size_t)MIB(12) + (size_t)KIB(600) && n.batch < (size_t)MIB(13));
}

static void small_ones_share(void **state)
{
    (void)state;
    struct need n = {0};
    need_add(&n, 1000, 3000);
    need_end(&n);
    assert_int_equal(n.shared, 0);
    assert_int_equal(n.n_blocks, 4); /* 3.8 MB with what belongs to each */
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(n.block[i], (size_t)MIB(1));
}

static void it_is_bounded(void **state)
{
    (void)state;
    struct need n = {0};
    need_add(&n, (size_t)MIB(1), 1000);
    need_add(&n, 1000, (size_t)MIB(1));
    need_end(&n);
    assert_int_equal(n.n_blocks, NEED_BLOCKS_MAX);
    assert_true(n.batch > (size_t)MIB(1000) + (size_t)MIB(1000));
}

static void it_is_that_of_the_bodies(void **state)
{
    (void)state;
    static uint8_t body[MIB(1)];
    struct slice bodies[3] = {slice_of(body, sizeof body), slice_of(body, 100), slice_of(body, sizeof body)};
    const struct {
        enum command_id id;
        uint32_t blocks;
    } rows[] = {{CMD_SEND, 1}, {CMD_PRODUCE, 1}, {CMD_HALF, 1}, {CMD_MSEND, 3}, {CMD_POP, 0}, {CMD_COMMIT, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct need n = {0};
        struct command cmd = {.info = command_info(rows[i].id), .rest = bodies, .n_rest = 3};
        cmd.pos[1] = cmd.pos[2] = bodies[0];
        need_add_command(&n, &cmd);
        need_end(&n);
        assert_int_equal(n.n_blocks, rows[i].blocks);
        assert_int_equal(n.batch > 0, rows[i].blocks > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_values_have_blocks_of_their_own),
        cmocka_unit_test(small_ones_share),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(it_is_that_of_the_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
