/* test_storage_commit_ahead.c: tests what is read of a long transaction before its COMMIT is applied (state_ahead): that changes
 * nothing of what the COMMIT comes to, whatever happens in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/kv.h"
#include "tests/lib/shell.h"

#define LARGE KIB(1500)
#define SMALL KIB(20)
#define HUGE (NEED_LARGE_BYTES + KIB(200))

static char *body_of(char letter, size_t size)
{
    char *body = malloc(size);
    assert_non_null(body);
    memset(body, letter, size);
    return body;
}

/* Adds a message to the transaction, or begins one (tx empty). */
static void half(struct shell *s, char tx[static 32], char letter, size_t size)
{
    char *body = body_of(letter, size);
    const struct slice words[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"), SLICE_LIT("t"), slice_of(body, size),
                                  SLICE_LIT("QUEUE"), SLICE_LIT("0"), SLICE_LIT("TXN"), slice_str(tx)};
    (void)snprintf(tx, 32, "%s", shell_do_words(s, words, tx[0] ? 8 : 6));
    assert_true(strtoull(tx, NULL, 10) > TXID_MIN);
    free(body);
}

/* Three large messages with a small one before each; letters from `first` on. */
static void begin(struct shell *s, char tx[static 32], char first)
{
    tx[0] = 0;
    for (int i = 0; i < 3; i++) {
        half(s, tx, (char)(first + 2 * i), SMALL);
        half(s, tx, (char)(first + 2 * i + 1), LARGE);
    }
}

/* Takes up to `most` steps. Returns how many it took until all is read. */
static unsigned ahead(struct shell *s, const char *tx, unsigned most)
{
    const struct slice words[] = {SLICE_LIT("COMMIT"), slice_str(tx)};
    struct command cmd;
    char err[256];
    unsigned n = 0;
    size_t large = SIZE_MAX;
    assert_int_equal(command_from_words(&s->space, words, 2, &cmd, err, sizeof err), ST_OK);
    while (n < most && state_ahead(s->st, &s->policy, &cmd, &large) == ST_BUSY)
        n++;
    return n;
}

/* The topic has these messages, by their letters. */
static void expect(struct shell *s, const char *letters)
{
    for (size_t i = 0; i <= strlen(letters); i++) {
        const char *got = shell_do(s, "GET t:0:%zu", i);
        if (!letters[i]) {
            assert_string_equal(got, "null");
            return;
        }
        const char *body = strchr(got, '=');
        assert_non_null(body);
        size_t len = strlen(body + 1);
        assert_int_equal(len, i % 2 ? LARGE : SMALL);
        assert_true(body[1] == letters[i] && body[len] == letters[i]);
    }
}

static void all_is_read_in_steps(void **state)
{
    struct shell *s = *state;
    char tx[32];
    begin(s, tx, 'a');
    uint64_t before = shell_digest(s);
    assert_int_equal(ahead(s, tx, 100), 1); /* 2 MiB; the rest */
    assert_true(state_ahead_any(s->st));
    assert_int_equal(ahead(s, tx, 100), 0);
    assert_true(shell_digest(s) == before);
    shell_expect(s, "[t:0:0 t:0:1 t:0:2 t:0:3 t:0:4 t:0:5]", "COMMIT %s", tx);
    expect(s, "abcdef");
    shell_expect(s, "[t:0:0 t:0:1 t:0:2 t:0:3 t:0:4 t:0:5]", "COMMIT %s", tx);
    assert_int_equal(ahead(s, tx, 100), 0);
}

static void after_any_number_of_steps(void **state)
{
    struct shell *s = *state;
    for (unsigned most = 0; most < 3; most++) {
        char tx[32];
        begin(s, tx, 'a');
        (void)ahead(s, tx, most);
        assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    }
    expect(s, "abcdefabcdefabcdef");
}

/* Memory that is ready before changes nothing: as much as is needed, less, and for another group. */
static void with_memory_that_is_ready(void **state)
{
    struct shell *s = *state;
    for (unsigned i = 0; i < 4; i++) {
        char tx[32];
        begin(s, tx, 'a');
        const struct slice words[] = {SLICE_LIT("COMMIT"), slice_str(tx)};
        struct command cmd;
        char err[256];
        struct need need = {0};
        assert_int_equal(command_from_words(&s->space, words, 2, &cmd, err, sizeof err), ST_OK);
        state_need(s->st, &s->policy, &cmd, &need);
        need_end(&need);
        assert_true(need.batch >= 3 * (size_t)(SMALL + LARGE) && need.batch < 4 * (size_t)(SMALL + LARGE));
        assert_int_equal(need.n_blocks, 6); /* of the middle size */
        state_reserve_ahead(s->st, i == 1 ? need.batch / 2 : need.batch);
        if (i == 2)
            state_reserve_ahead(s->st, 0);
        if (i != 3)
            state_reserve(s->st);
        assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    }
    expect(s, "abcdefabcdefabcdefabcdef");
}

static void what_is_added_meanwhile_is_there(void **state)
{
    struct shell *s = *state;
    char tx[32];
    begin(s, tx, 'a');
    (void)ahead(s, tx, 100);
    half(s, tx, 'g', SMALL);
    half(s, tx, 'h', LARGE);
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    expect(s, "abcdefgh");
}

static void another_one_comes_first(void **state)
{
    struct shell *s = *state;
    char tx[32], other[32];
    begin(s, tx, 'a');
    begin(s, other, 'n');
    (void)ahead(s, tx, 1);
    assert_int_equal(shell_do(s, "COMMIT %s", other)[0], '[');
    (void)ahead(s, tx, 100);
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    expect(s, "nopqrsabcdef");
    begin(s, tx, 'a');
    begin(s, other, 'n');
    (void)ahead(s, tx, 1);
    (void)ahead(s, other, 1); /* it forgets the first one */
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    assert_int_equal(shell_do(s, "COMMIT %s", other)[0], '[');
    expect(s, "nopqrsabcdefabcdefnopqrs");
}

static void it_is_decided_meanwhile(void **state)
{
    struct shell *s = *state;
    char tx[32];
    begin(s, tx, 'a');
    (void)ahead(s, tx, 1);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    assert_int_equal(ahead(s, tx, 100), 0);
    shell_refused(s, "-TXNCONFLICT", "COMMIT %s", tx);
    expect(s, "");
    begin(s, tx, 'a');
    (void)ahead(s, tx, 1);
    shell_reopen(s);
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    expect(s, "abcdef");
}

/* Neither short ones, nor what is no transaction, nor other commands. */
static void others_need_nothing(void **state)
{
    struct shell *s = *state;
    char tx[32] = "";
    half(s, tx, 'a', SMALL);
    assert_int_equal(ahead(s, tx, 100), 0);
    assert_int_equal(ahead(s, "12345678901234567", 100), 0);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    expect(s, "a");
}

/* A value for which no memory is ready is not read, however often it is tried. */
static void a_large_one_waits_for_memory(void **state)
{
    struct shell *s = *state;
    char tx[32] = "", err[256];
    half(s, tx, 'a', HUGE);
    half(s, tx, 'b', HUGE);
    const struct slice words[] = {SLICE_LIT("COMMIT"), slice_str(tx)};
    struct command cmd;
    assert_int_equal(command_from_words(&s->space, words, 2, &cmd, err, sizeof err), ST_OK);
    size_t none = 0, large = 0;
    assert_int_equal(state_ahead(s->st, &s->policy, &cmd, &none), ST_BUSY);
    assert_in_range(none, HUGE, HUGE + 1000); /* its size is there, and nothing was read */
    assert_int_equal(state_ahead(s->st, &s->policy, &cmd, &large), ST_BUSY);
    assert_int_equal(large, none);
    assert_int_equal(state_ahead(s->st, &s->policy, &cmd, &large), ST_BUSY); /* reads the first one */
    assert_int_equal(large, none);
    large = 0;
    assert_int_equal(state_ahead(s->st, &s->policy, &cmd, &large), ST_BUSY);
    assert_int_equal(large, none);
    assert_int_equal(state_ahead(s->st, &s->policy, &cmd, &large), ST_OK);
    large = 0;
    assert_int_equal(state_ahead(s->st, &s->policy, &cmd, &large), ST_OK);
    assert_int_equal(large, 0);
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    assert_int_equal(strlen(strchr(shell_do(s, "GET t:0:1"), '=') + 1), HUGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(all_is_read_in_steps),
        SHELL_TEST(after_any_number_of_steps),
        SHELL_TEST(with_memory_that_is_ready),
        SHELL_TEST(what_is_added_meanwhile_is_there),
        SHELL_TEST(another_one_comes_first),
        SHELL_TEST(it_is_decided_meanwhile),
        SHELL_TEST(a_large_one_waits_for_memory),
        SHELL_TEST(others_need_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
