/* test_storage_young.c: tests young transactions: which rows they have, and that a restart at any moment finds all open
 * ones again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/model/young.h"
#include "tests/lib/shell.h"

static char tx[32];

static void half(struct shell *s, const char *rest)
{
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a %s", rest));
    assert_true(strtoull(tx, NULL, 10) > TXID_MIN);
}

/* Compacts and checks how many rows of each kind there are. */
static void rows_are(struct shell *s, uint32_t x, uint32_t k, uint32_t w)
{
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'X'), x);
    assert_int_equal(shell_rows(s, 'K'), k);
    assert_int_equal(shell_rows(s, 'J'), k);
    assert_int_equal(shell_rows(s, 'W'), w);
}

static void decided_at_once(void **state)
{
    struct shell *s = *state;
    half(s, "");
    rows_are(s, 1, 0, 0);
    shell_pass(s, YOUNG_MS - 1);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    shell_pass(s, 10000);
    rows_are(s, 0, 0, 0);
    assert_int_equal(shell_rows(s, 'O'), 1);
    assert_int_equal(shell_rows(s, 'Y'), 0);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    shell_expect(s, "[]", "CHECKS pg");
}

static void settled(void **state)
{
    struct shell *s = *state;
    half(s, "");
    shell_pass(s, YOUNG_MS - 1);
    rows_are(s, 1, 0, 0);
    shell_pass(s, 1);
    rows_are(s, 1, 1, 1);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    rows_are(s, 0, 0, 0);
}

/* The next due time includes them, so that an idle broker settles them too. */
static void ticker_is_told(void **state)
{
    struct shell *s = *state;
    shell_pass(s, 0);
    half(s, "");
    assert_int_equal(s->fx.next_due_ms, s->now_ms + YOUNG_MS);
}

static void due_soon(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 999ms");
    rows_are(s, 1, 1, 1);
    half(s, "CHECKIN 1s");
    rows_are(s, 2, 1, 1);
    s->policy.txn_timeout_ms = 900;
    half(s, "");
    rows_are(s, 3, 2, 2);
}

static void moved(void **state)
{
    struct shell *s = *state;
    half(s, "");
    shell_expect(s, "OK", "TXN EXTEND %s 1m", tx);
    rows_are(s, 1, 1, 1);
    shell_pass(s, 1000);
    rows_are(s, 1, 1, 1);
    shell_pass(s, 59000);
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), tx));
    half(s, "");
    shell_expect(s, tx, "HALF pg t b TXN %s CHECKIN 2m", tx);
    rows_are(s, 2, 2, 2);
}

/* After a restart within the half second it is asked about, and a decision leaves no rows behind. */
static void reopened(void **state)
{
    struct shell *s = *state;
    half(s, "");
    shell_reopen(s);
    shell_pass(s, 6000);
    rows_are(s, 1, 1, 1);
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), tx));
    half(s, "");
    shell_reopen(s);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    shell_pass(s, 1000);
    rows_are(s, 1, 1, 1);
}

/* A transaction found at the start may have all its rows: it is not young then. */
static void reopened_with_rows(void **state)
{
    struct shell *s = *state;
    half(s, ""); /* keeps meta.young below the next one */
    half(s, "");
    shell_expect(s, "OK", "TXN EXTEND %s 1m", tx);
    shell_reopen(s);
    rows_are(s, 2, 1, 1);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    shell_pass(s, 1000);
    rows_are(s, 1, 1, 1);
}

static void one_after_the_other(void **state)
{
    struct shell *s = *state;
    char ids[600][32];
    for (int i = 0; i < 600; i++) {
        half(s, "");
        (void)snprintf(ids[i], sizeof(ids[i]), "%s", tx);
        s->now_ms++;
    }
    rows_are(s, 600, 100, 100);
    for (int i = 0; i < 600; i += 2)
        shell_expect(s, "OK", "ROLLBACK %s", ids[i]);
    shell_pass(s, 1000);
    rows_are(s, 300, 300, 300);
    assert_int_equal(shell_field(shell_do(s, "TXN INFO %s", ids[1]), "checks"), 0);
}

/* More of them are due at once than one command settles. */
static void many_due(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 700; i++)
        shell_add(s, "HALF pg t a");
    assert_true(shell_write(s));
    shell_reopen(s);
    shell_pass(s, YOUNG_MS);
    rows_are(s, 700, 700, 700);
    assert_int_equal(s->st->young.first, s->st->young.end);
}

/* A young row that is left after the decision is not a transaction, whatever happens to its outcome. */
static void left_behind(void **state)
{
    struct shell *s = *state;
    s->policy.txn_outcome_retention_ms = 1000;
    half(s, "");
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    shell_reopen(s);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    shell_refused(s, "-TXNCONFLICT", "COMMIT %s", tx);
    shell_pass(s, 1000);
    assert_int_equal(shell_rows(s, 'X'), 1);
    shell_refused(s, "-NOTXN", "COMMIT %s", tx);
    shell_refused(s, "-NOTXN", "TXN INFO %s", tx);
    shell_pass(s, 10000);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'X') + shell_rows(s, 'O'), 0);
    shell_refused(s, "-NOTXN", "COMMIT %s", tx);
}

static void large_first_message(void **state)
{
    struct shell *s = *state;
    static uint8_t body[10000];
    memset(body, 'x', sizeof(body));
    struct slice words[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"), SLICE_LIT("t"), slice_of(body, sizeof(body))};
    (void)snprintf(tx, sizeof(tx), "%s", shell_do_words(s, words, 4));
    shell_expect(s, tx, "HALF pg t b TXN %s", tx);
    assert_int_equal(shell_rows(s, 'Y'), 2);
    shell_reopen(s);
    shell_expect(s, "[t:0:0 t:1:0]", "COMMIT %s", tx);
    assert_int_equal(shell_rows(s, 'Y'), 0);
    shell_expect(s, "[t:1:0=b]", "READ t 1 0");
}

/* More young transactions are due than one command settles, and some outcomes are old enough to be forgotten. These
 * stay as long as their young rows could be taken for open transactions. */
static void outcomes_outlive_young_rows(void **state)
{
    struct shell *s = *state;
    s->policy.txn_outcome_retention_ms = 1000;
    for (int i = 0; i < 400; i++)
        shell_add(s, "HALF pg t a");
    assert_true(shell_write(s));
    half(s, "");
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    shell_reopen(s);
    s->now_ms += 60000;
    shell_expect(s, "OK", "TICK");
    shell_compact(s);
    shell_reopen(s);
    shell_refused(s, "-NOTXN", "COMMIT %s", tx);
    assert_int_equal(state_tally(s->st)->pending, 400);
    shell_pass(s, 0);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'O'), 0);
}

/* A young transaction whose row cannot be read does not keep the broker from starting, nor the others from being
 * settled, now or when it is found. */
static void unreadable(void **state)
{
    struct shell *s = *state;
    half(s, "");
    half(s, "");
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 1);
    assert_true(shell_reload(s));
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 0);
    shell_reopen(s);
    s->now_ms += 2000;
    kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 1);
    shell_expect(s, "OK", "TICK");
    kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 0);
    assert_int_equal(s->status, ST_OK);
    assert_true(young_none(s->st));
    rows_are(s, 1, 1, 1);
    half(s, "");
    shell_reopen(s);
    s->now_ms += 2000;
    kv_fault(s->st->kv, KV_OP_GET, 1); /* this may pass: it is tried again */
    shell_expect(s, "OK", "TICK");
    kv_fault(s->st->kv, KV_OP_GET, 0);
    assert_int_equal(s->status, ST_OK);
    assert_false(young_none(s->st));
    shell_pass(s, 1000);
    assert_true(young_none(s->st));
    rows_are(s, 2, 2, 2);
}

static void put_row(struct shell *s, const struct key *key, struct slice bytes)
{
    kv_put(s->st->kv, KV_STATE, key_slice(key), bytes);
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof s->err), ST_OK);
}

/* The row of the producer group cannot be decoded for a while: the transaction is kept, and can be decided afterwards. */
static void settled_blind(void **state)
{
    struct shell *s = *state;
    char txid[32];
    struct buf row;
    struct key key = key_pgroup(SLICE_LIT("pg"));
    buf_init(&row, 0);
    shell_do(s, "PGROUP SET pg CHECKMAX 9");
    (void)snprintf(txid, sizeof txid, "%s", shell_do(s, "HALF pg t x"));
    assert_int_equal(kv_get(s->st->kv, KV_STATE, NULL, key_slice(&key), &row), ST_OK);
    put_row(s, &key, SLICE_LIT("not a row"));
    shell_reload(s);
    s->now_ms += 2000;
    shell_expect(s, "OK", "TICK");
    assert_int_equal(s->status, ST_OK);
    assert_true(young_none(s->st));
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'X'), 1);
    assert_int_equal(shell_rows(s, 'J'), 1);
    assert_int_equal(shell_rows(s, 'K'), 0);
    assert_int_equal(shell_rows(s, 'W'), 2); /* its timeout, and when the check is scheduled */
    shell_expect(s, "-DAMAGED", "COMMIT %s", txid);
    put_row(s, &key, buf_slice(&row));
    shell_reopen(s);
    shell_expect(s, "[t:0:0]", "COMMIT %s", txid);
    shell_pass(s, 600000);
    rows_are(s, 0, 0, 0);
    buf_free(&row);
}

/* A start meets a damaged block, which hides the first young transaction; it can be read all the same. hidden: its id. */
static void start_damaged(struct shell *s)
{
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 2); /* the outcomes are looked at first */
    assert_true(shell_reload(s));
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 0);
}

static void hide_one(struct shell *s, char *hidden, size_t size)
{
    half(s, "");
    (void)snprintf(hidden, size, "%s", tx);
    half(s, "");
    start_damaged(s);
    assert_false(young_has(s->st, strtoull(hidden, NULL, 10)));
    assert_true(young_has(s->st, strtoull(tx, NULL, 10)));
}

/* What a damaged block hides from a start is open until it is decided, however much later that is. */
static void hidden_is_open(void **state)
{
    struct shell *s = *state;
    char hidden[32];
    hide_one(s, hidden, sizeof(hidden));
    shell_pass(s, 100000);
    shell_compact(s);
    shell_reload(s);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", hidden), "state:pending"));
    assert_non_null(strstr(shell_do(s, "TXN LIST STATE pending"), hidden));
    shell_expect(s, "[t:0:0]", "COMMIT %s", hidden);
    shell_expect(s, "[t:0:0]", "COMMIT %s", hidden);
    assert_int_equal(state_tally(s->st)->pending, 1);
}

/* ... and found by the next start that can read it: it is asked about then. */
static void hidden_is_found(void **state)
{
    struct shell *s = *state;
    char hidden[32];
    hide_one(s, hidden, sizeof(hidden));
    shell_pass(s, 1000); /* the other one is settled */
    rows_are(s, 2, 1, 1);
    shell_reopen(s);
    assert_true(young_has(s->st, strtoull(hidden, NULL, 10)));
    shell_pass(s, 1000);
    rows_are(s, 2, 2, 2);
    assert_true(s->st->meta.young > strtoull(hidden, NULL, 10));
    shell_reopen(s);
    assert_int_equal(s->st->meta.hidden_to, 0);
}

/* One that was decided, and whose outcome is forgotten, is not open again. */
static void hidden_and_forgotten(void **state)
{
    struct shell *s = *state;
    char hidden[32];
    s->policy.txn_outcome_retention_ms = 1000;
    hide_one(s, hidden, sizeof(hidden));
    shell_expect(s, "[t:0:0]", "COMMIT %s", hidden);
    for (int i = 0; i < 2; i++) {
        shell_pass(s, 100000);
        shell_compact(s);
        shell_refused(s, "-NOTXN", "COMMIT %s", hidden);
        shell_refused(s, "-NOTXN", "TXN INFO %s", hidden);
        shell_reopen(s);
    }
}

/* What is opened after such a start is as ever: its rows go, and it is not open again when its outcome is forgotten. */
static void opened_after_a_damaged_start(void **state)
{
    struct shell *s = *state;
    char hidden[32];
    s->policy.txn_outcome_retention_ms = 1000;
    hide_one(s, hidden, sizeof(hidden));
    for (int i = 0; i < 20; i++) {
        half(s, "");
        (void)shell_do(s, "COMMIT %s", tx);
    }
    shell_pass(s, 100000);
    shell_compact(s);
    shell_refused(s, "-NOTXN", "COMMIT %s", tx);
    assert_int_equal(shell_rows(s, 'X'), 2);
    start_damaged(s);
    shell_refused(s, "-NOTXN", "COMMIT %s", tx);
    assert_int_equal(state_tally(s->st)->pending, 2);
}

/* Whether a transaction is young depends on how many are open, not on how many were since the ring was made. The ring
 * shrinks again. */
static void holes_do_not_count(void **state)
{
    struct shell *s = *state;
    half(s, "");
    struct stamp stamp = {.index = 1, .now_ms = s->now_ms, .policy = &s->policy};
    struct txn_row row = {.next_check_ms = INT64_MAX, .timeout_ms = INT64_MAX};
    for (int i = 0; i < 200000; i++) {
        uint64_t id = core_next_id(s->st, &stamp);
        assert_true(young_add(s->st, &stamp, id, &row));
        young_take(s->st, id);
    }
    assert_true(s->st->young.size <= 4096);
    uint64_t first = 0, last = 0;
    for (int i = 0; i < 65535; i++) {
        last = core_next_id(s->st, &stamp);
        first = first ? first : last;
        assert_true(young_add(s->st, &stamp, last, &row));
    }
    assert_false(young_add(s->st, &stamp, core_next_id(s->st, &stamp), &row));
    assert_true(young_has(s->st, first) && young_has(s->st, last));
    int64_t due_ms = 0;
    for (uint64_t id = 0; young_oldest(s->st, &id, &due_ms);)
        young_take(s->st, id);
    assert_true(s->st->young.size <= 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(decided_at_once), SHELL_TEST(settled),     SHELL_TEST(ticker_is_told),
        SHELL_TEST(due_soon),        SHELL_TEST(moved),       SHELL_TEST(reopened),
        SHELL_TEST(reopened_with_rows), SHELL_TEST(one_after_the_other), SHELL_TEST(many_due),
        SHELL_TEST(left_behind),     SHELL_TEST(large_first_message),
        SHELL_TEST(outcomes_outlive_young_rows),
        SHELL_TEST(unreadable), SHELL_TEST(settled_blind), SHELL_TEST(holes_do_not_count),
        SHELL_TEST(hidden_is_open),  SHELL_TEST(hidden_is_found),
        SHELL_TEST(hidden_and_forgotten), SHELL_TEST(opened_after_a_damaged_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
