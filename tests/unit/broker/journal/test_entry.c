/*
 * test_entry.c: tests that blocks of entries are kept and reused, that they are freed when they are not needed, and
 * that a short reply is stored inside the block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/journal/entry.h"

static struct entry *send_entry(struct entry_pool *pool, struct slice body)
{
    struct command cmd = {.info = command_info(CMD_SEND), .n_pos = 2};
    cmd.pos[0] = SLICE_LIT("topic");
    cmd.pos[1] = body;
    struct entry *e = entry_new(pool, &cmd);
    assert_non_null(e);
    assert_true(slice_equal(e->cmd.pos[0], SLICE_LIT("topic")) && slice_equal(e->cmd.pos[1], body));
    assert_true(e->cmd.pos[1].len == 0 || e->cmd.pos[1].data != body.data);
    assert_int_equal(e->out.reply.len, 0);
    assert_int_equal(e->fate, ST_OK);
    assert_null(e->arg);
    return e;
}

static void small_blocks_are_used_again(void **state)
{
    (void)state;
    struct entry_pool pool = {0};
    struct entry *first = send_entry(&pool, SLICE_LIT("one"));
    first->arg = first, first->fate = ST_BUSY;
    buf_put_str(&first->out.reply, "answer");
    entry_free(first);
    assert_int_equal(pool.n, 1);
    struct entry *second = send_entry(&pool, SLICE_LIT("another"));
    assert_ptr_equal(second, first);
    assert_int_equal(pool.n, 0);
    entry_free(second);
    entry_pool_trim(&pool, true);
    assert_int_equal(pool.n, 0);
    assert_null(pool.first);
}

static void large_ones_and_those_of_nobody_are_not_kept(void **state)
{
    (void)state;
    static const uint8_t large[5000];
    struct entry_pool pool = {0};
    entry_free(send_entry(&pool, slice_of(large, sizeof large)));
    entry_free(send_entry(NULL, SLICE_LIT("body")));
    assert_int_equal(pool.n, 0);
    /* A kept block is not reused for a command that does not fit. */
    entry_free(send_entry(&pool, SLICE_LIT("body")));
    struct entry *e = send_entry(&pool, slice_of(large, sizeof large));
    assert_int_equal(pool.n, 1);
    assert_true(e->bytes > sizeof large);
    entry_free(e);
    entry_pool_trim(&pool, true);
}

/* Blocks that were not used between two trims are freed; those that were used stay. */
static void trim_takes_what_was_not_needed(void **state)
{
    (void)state;
    enum { MANY = 10, FEW = 3 };
    struct entry_pool pool = {0};
    struct entry *e[MANY];
    for (unsigned i = 0; i < MANY; i++)
        e[i] = send_entry(&pool, SLICE_LIT("x"));
    for (unsigned i = 0; i < MANY; i++)
        entry_free(e[i]);
    entry_pool_trim(&pool, false);
    assert_int_equal(pool.n, MANY);
    for (unsigned i = 0; i < FEW; i++)
        e[i] = send_entry(&pool, SLICE_LIT("x"));
    for (unsigned i = 0; i < FEW; i++)
        entry_free(e[i]);
    entry_pool_trim(&pool, false);
    assert_int_equal(pool.n, FEW);
    entry_pool_trim(&pool, false);
    assert_int_equal(pool.n, 0);
}

static void answers_grow_out_of_the_block(void **state)
{
    (void)state;
    struct entry_pool pool = {0};
    struct entry *e = send_entry(&pool, SLICE_LIT("x"));
    for (unsigned i = 0; i < 1000; i++)
        buf_put_uint(&e->out.reply, i % 10);
    assert_false(e->out.reply.failed);
    assert_int_equal(e->out.reply.len, 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(e->out.reply.data[i], '0' + i % 10);
    assert_true(slice_equal(e->cmd.pos[1], SLICE_LIT("x")));
    entry_again(e);
    assert_int_equal(e->out.reply.len, 0);
    buf_put_str(&e->out.reply, "short");
    assert_ptr_equal(e->out.reply.data, e->said);
    entry_free(e);
    entry_pool_trim(&pool, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks_are_used_again),
        cmocka_unit_test(large_ones_and_those_of_nobody_are_not_kept),
        cmocka_unit_test(trim_takes_what_was_not_needed),
        cmocka_unit_test(answers_grow_out_of_the_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
