/* test_storage_txn_list.c: tests TXN LIST: oldest first, by producer group and state, in pages, with limited work a
 * call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

#define SOME 12

static uint64_t ids[SOME];

/* Opens transactions of the groups a and b in turn: pending, committed, rolled back, pending, ... */
static void make_some(struct shell *s)
{
    for (int i = 0; i < SOME; i++) {
        ids[i] = strtoull(shell_do(s, "HALF %s t m", i % 2 ? "b" : "a"), NULL, 10);
        s->now_ms += 3;
        if (i % 3 == 1)
            (void)shell_do(s, "COMMIT %llu", (unsigned long long)ids[i]);
        if (i % 3 == 2)
            (void)shell_do(s, "ROLLBACK %llu", (unsigned long long)ids[i]);
    }
}

/* Returns which of ids the page has, as letters, and its cursor. */
static const char *page(struct shell *s, const char *options, unsigned long long cursor,
                        unsigned long long *ret_cursor)
{
    static char letters[SOME + 1];
    char filter[100];
    (void)snprintf(filter, sizeof(filter), "%s", options);
    size_t n = 0;
    const char *said = shell_do(s, "TXN LIST CURSOR %llu %s", cursor, filter);
    assert_int_equal(said[0], '[');
    *ret_cursor = strtoull(said + 1, NULL, 10);
    for (const char *at = said; (at = strstr(at, "{txid:"));) {
        uint64_t id = strtoull(at += 6, NULL, 10);
        for (int i = 0; i < SOME; i++)
            if (ids[i] == id)
                letters[n++] = (char)('a' + i);
    }
    letters[n] = 0;
    return letters;
}

static void filters(void **state)
{
    struct shell *s = *state;
    unsigned long long next = 9;
    shell_expect(s, "[0 []]", "TXN LIST");
    make_some(s);
    assert_string_equal(page(s, "", 0, &next), "abcdefghijkl");
    assert_true(next == 0);
    assert_string_equal(page(s, "STATE pending", 0, &next), "adgj");
    assert_string_equal(page(s, "STATE COMMITTED", 0, &next), "behk");
    assert_string_equal(page(s, "STATE rolledback PGROUP a", 0, &next), "ci");
    assert_string_equal(page(s, "STATE parked", 0, &next), "");
    assert_string_equal(page(s, "PGROUP b", 0, &next), "bdfhjl");
    assert_string_equal(page(s, "PGROUP nosuch", 0, &next), "");
    assert_true(next == 0);
    shell_reopen(s);
    s->policy.txn_timeout_ms = 1;
    ids[0] = strtoull(shell_do(s, "HALF a t late"), NULL, 10);
    shell_pass(s, 1);
    assert_string_equal(page(s, "STATE parked", 0, &next), "a");
    /* The maps are the same as those of TXN INFO. */
    char want[600];
    (void)snprintf(want, sizeof(want), "[0 [%s]]",
                   shell_do(s, "TXN INFO %llu", (unsigned long long)ids[0]));
    shell_expect(s, want, "TXN LIST STATE parked");
}

static void pages(void **state)
{
    struct shell *s = *state;
    unsigned long long cursor = 0;
    make_some(s);
    assert_string_equal(page(s, "COUNT 5", 0, &cursor), "abcde");
    assert_true(cursor == ids[5]);
    (void)shell_do(s, "ROLLBACK %llu",
                   (unsigned long long)ids[9]); /* changes in between do not matter */
    assert_string_equal(page(s, "COUNT 5", cursor, &cursor), "fghij");
    assert_string_equal(page(s, "COUNT 5", cursor, &cursor), "kl");
    assert_true(cursor == 0);
    assert_string_equal(page(s, "COUNT 2 STATE pending", 0, &cursor), "ad");
    assert_true(cursor == ids[4]); /* the next transaction to look at, not the next that matches */
    assert_string_equal(page(s, "COUNT 2 STATE pending", cursor, &cursor), "g");
    assert_true(cursor == 0);
}

/* Few of many transactions match: a call ends early, with a cursor. */
static void bounded(void **state)
{
    struct shell *s = *state;
    const int many = 12000;
    for (int n = 0; n < many; n += 3000) {
        for (int i = 0; i < 3000; i++)
            shell_add(s, "HALF a t m");
        assert_true(shell_write(s));
    }
    ids[0] = strtoull(shell_do(s, "HALF b t m"), NULL, 10);
    unsigned long long cursor = 0;
    assert_string_equal(page(s, "PGROUP b", 0, &cursor), "");
    assert_true(cursor != 0);
    assert_string_equal(page(s, "PGROUP b", cursor, &cursor), "a");
    assert_true(cursor == 0);
}

static void forgotten(void **state)
{
    struct shell *s = *state;
    unsigned long long cursor = 0;
    make_some(s);
    s->now_ms +=
        s->policy.txn_outcome_retention_ms; /* expired, though their rows are still there */
    assert_string_equal(page(s, "", 0, &cursor), "adgj");
}

/* A young row that was left after the decision, and whose outcome a compaction has dropped first. */
static void left_behind(void **state)
{
    struct shell *s = *state;
    uint64_t id = strtoull(shell_do(s, "HALF a t m"), NULL, 10);
    (void)shell_do(s, "COMMIT %llu", (unsigned long long)id);
    assert_int_equal(shell_rows(s, 'X'), 1);
    struct key key = key_outcome(id);
    kv_del(s->st->kv, KV_STATE, key_slice(&key));
    shell_expect(s, "OK", "TICK");
    assert_int_equal(shell_rows(s, 'O'), 0);
    shell_expect(s, "[0 []]", "TXN LIST");
}

static void bad_words(void **state)
{
    struct shell *s = *state;
    shell_refused(s, "-ERR", "TXN LIST STATE open");
    shell_refused(s, "-ERR", "TXN LIST CURSOR x");
    shell_refused(s, "-ERR", "TXN LIST COUNT 0");
    shell_refused(s, "-BADNAME", "TXN LIST PGROUP a:b");
    shell_expect(s, "[0 []]", "TXN LIST CURSOR 18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(filters),   SHELL_TEST(pages),     SHELL_TEST(bounded),
        SHELL_TEST(forgotten), SHELL_TEST(bad_words), SHELL_TEST(left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
