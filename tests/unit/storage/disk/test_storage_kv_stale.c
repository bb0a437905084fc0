/* test_storage_kv_stale.c: tests that stale rows are given back though nothing new comes into their tables, and that
 * tables with few of them are left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/kv_stale.h"
#include "tests/lib/shell.h"

#define IDS 20000

/* Ids in no order of time, of 200 bytes, so that their rows fill several MiB. One of `each` has a window of a minute,
 * the others of a day. */
static void remember(struct shell *s, int each)
{
    for (int i = 0; i < IDS; i++) {
        s->policy.dedup_window_ms = i % each ? 86400000 : 60000;
        shell_add(s, "SEND t m DEDUP %0200u", (unsigned)i * 2654435761U);
        if (s->n == 4000)
            assert_true(shell_write(s));
    }
    assert_true(s->n == 0 || shell_write(s));
    shell_compact(s);
}

static void pass(struct shell *s, int64_t ms)
{
    s->now_ms += ms;
    shell_do(s, "SEND t later");
    assert_int_equal(store_sync(s->store, s->err, sizeof(s->err)), ST_OK);
}

static void all_stale(void **state)
{
    struct shell *s = *state;
    remember(s, 1);
    assert_false(kv_stale_give_back(s->st->kv));
    assert_int_equal(shell_rows(s, 'D'), IDS);
    pass(s, 60001);
    int rounds = 0;
    while (kv_stale_give_back(s->st->kv))
        assert_true(++rounds < 10);
    assert_true(rounds > 0);
    assert_int_equal(shell_rows(s, 'D'), 0);
    assert_memory_equal(shell_do(s, "SEND t m DEDUP %0200u", 0U), "t:", 2);
}

static void few_stale(void **state)
{
    struct shell *s = *state;
    remember(s, 10);
    pass(s, 60001);
    assert_false(kv_stale_give_back(s->st->kv));
    assert_int_equal(shell_rows(s, 'D'), IDS);
    pass(s, 86400000);
    while (kv_stale_give_back(s->st->kv))
        continue;
    assert_int_equal(shell_rows(s, 'D'), 0);
}

/* Outcomes and the young rows that they override. */
static void outcomes(void **state)
{
    struct shell *s = *state;
    s->policy.txn_outcome_retention_ms = 60000;
    char name[101];
    memset(name, 'p', 100);
    name[100] = 0;
    static uint64_t ids[1000];
    for (int group = 0; group < 10; group++) {
        for (int i = 0; i < 1000; i++)
            shell_add(s, "HALF %s t %0200d", name, i);
        assert_true(shell_write(s));
        for (uint32_t i = 0; i < 1000; i++)
            ids[i] = strtoull(shell_reply(s, i), NULL, 10);
        for (int i = 0; i < 1000; i++)
            shell_add(s, "ROLLBACK %llu", (unsigned long long)ids[i]);
        assert_true(shell_write(s));
    }
    pass(s, 1);
    shell_compact(s);
    assert_int_equal(state_tally(s->st)->rolledback, 10000);
    assert_int_equal(shell_rows(s, 'O'), 10000);
    pass(s, 70000);
    while (kv_stale_give_back(s->st->kv))
        continue;
    assert_int_equal(shell_rows(s, 'O') + shell_rows(s, 'X'), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SHELL_TEST(all_stale), SHELL_TEST(few_stale), SHELL_TEST(outcomes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
