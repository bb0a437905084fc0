/* test_storage_pgroup.c: tests producer groups: their settings, counts, lists, and CHECKURLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

static char tx[32];

static const char *half(struct shell *s, const char *rest)
{
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF %s", rest));
    assert_true(strtoull(tx, NULL, 10) > TXID_MIN);
    return tx;
}

static int64_t info(struct shell *s, const char *pgroup, const char *field)
{
    return shell_field(shell_do(s, "PGROUP INFO %s", pgroup), field);
}

static int64_t txn(struct shell *s, const char *field)
{
    return shell_field(shell_do(s, "TXN INFO %s", tx), field);
}

static void unset_ones_are_the_brokers(void **state)
{
    struct shell *s = *state;
    shell_expect(s,
                 "{pgroup:pg checkurl:null secret:false checkin:6000 checkevery:30000 checkmax:15 "
                 "timeout:86400000 set:[] pending:0 parked:0 oldest:0}",
                 "PGROUP INFO pg");
    shell_expect(s, "OK", "PGROUP SET pg CHECKMAX 3 TIMEOUT 1h");
    shell_expect(s, "OK", "PGROUP SET pg CHECKURL http://h:80/x SECRET hidden");
    s->policy.checkin_ms = 7000;
    for (int i = 0; i < 2; i++) {
        shell_expect(s,
                     "{pgroup:pg checkurl:http://h:80/x secret:true checkin:7000 checkevery:30000 checkmax:3 "
                     "timeout:3600000 set:[checkurl secret checkmax timeout] pending:0 parked:0 oldest:0}",
                     "PGROUP INFO pg");
        shell_reopen(s);
    }
    shell_expect(s, "OK", "PGROUP DELETE pg");
    shell_expect(s, "OK", "PGROUP DELETE pg");
    assert_int_equal(info(s, "pg", "checkmax"), 15);
    assert_int_equal(shell_rows(s, 'P'), 0);
    assert_true(s->st->meta.pgroups == 0);
}

/* An empty value deletes a setting; deleting the last setting deletes the row. */
static void taken_away(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "PGROUP SET pg CHECKURL http://h SECRET s");
    shell_expect(s, "OK", "PGROUP SET pg CHECKURL \"\"");
    shell_expect(s, "[pg]", "PGROUP LIST");
    shell_expect(s, "OK", "PGROUP SET pg SECRET \"\"");
    shell_expect(s, "[]", "PGROUP LIST");
    shell_expect(s, "OK", "PGROUP SET other SECRET \"\"");
    shell_expect(s, "[]", "PGROUP LIST");
    assert_true(s->st->meta.pgroups == 0);
}

static void bad_values(void **state)
{
    struct shell *s = *state;
    shell_refused(s, "-ERR", "PGROUP SET pg");
    shell_refused(s, "-ERR", "PGROUP SET pg CHECKURL https://h/");
    shell_refused(s, "-ERR", "PGROUP SET pg CHECKURL h");
    shell_refused(s, "-ERR", "PGROUP SET pg CHECKMAX 0");
    shell_refused(s, "-ERR", "PGROUP SET pg CHECKEVERY 0");
    shell_refused(s, "-ERR", "PGROUP SET pg TIMEOUT 0");
    shell_refused(s, "-ERR", "PGROUP SET pg TIMEOUT 367d");
    shell_refused(s, "-BADNAME", "PGROUP SET a:b CHECKMAX 1");
    char text[URL_BYTES_MAX + 10] = "http://h/";
    memset(text + 9, 'x', sizeof(text) - 10);
    shell_refused(s, "-TOOBIG", "PGROUP SET pg CHECKURL %s", text);
    text[URL_BYTES_MAX] = 0;
    shell_expect(s, "OK", "PGROUP SET pg CHECKURL %s", text);
    shell_refused(s, "-TOOBIG", "PGROUP SET pg SECRET %s", text);
    text[SECRET_BYTES_MAX] = 0;
    shell_expect(s, "OK", "PGROUP SET pg SECRET %s", text);
    s->st->meta.pgroups = PGROUPS_MAX;
    shell_refused(s, "-LIMIT", "PGROUP SET more CHECKMAX 1");
    shell_expect(s, "OK", "PGROUP SET pg CHECKMAX 1");
    s->st->meta.pgroups = 1;
}

static void checkin_and_timeout(void **state)
{
    struct shell *s = *state;
    shell_do(s, "PGROUP SET pg CHECKIN 1s TIMEOUT 1m");
    half(s, "pg t a");
    assert_int_equal(txn(s, "next_check"), s->now_ms + 1000);
    assert_int_equal(txn(s, "timeout"), s->now_ms + 60000);
    half(s, "pg t a CHECKIN 5s");
    assert_int_equal(txn(s, "next_check"), s->now_ms + 5000);
    half(s, "other t a");
    assert_int_equal(txn(s, "next_check"), s->now_ms + 6000);
    assert_int_equal(txn(s, "timeout"), s->now_ms + 86400000);
    shell_reopen(s);
    half(s, "pg t a");
    assert_int_equal(txn(s, "next_check"), s->now_ms + 1000);
    shell_pass(s, 60000);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
    assert_int_equal(info(s, "pg", "parked"), 3);
    assert_int_equal(info(s, "other", "pending"), 1);
}

static void pauses_and_asks(void **state)
{
    struct shell *s = *state;
    shell_do(s, "PGROUP SET pg CHECKIN 0 CHECKEVERY 2s CHECKMAX 2");
    half(s, "pg t a");
    (void)shell_do(s, "CHECKS pg");
    assert_int_equal(txn(s, "next_check"), s->now_ms + 2000);
    shell_pass(s, 2000);
    (void)shell_do(s, "CHECKS pg");
    assert_int_equal(txn(s, "next_check"), s->now_ms + 4000);
    shell_pass(s, 3999);
    assert_int_equal(info(s, "pg", "pending"), 1);
    shell_pass(s, 1);
    assert_int_equal(info(s, "pg", "parked"), 1);
    assert_int_equal(txn(s, "checks"), 2);
}

/* CHECKMAX is raised while a transaction waits to be parked, and lowered while it waits for a check. */
static void raised_and_lowered(void **state)
{
    struct shell *s = *state;
    shell_do(s, "PGROUP SET pg CHECKIN 0 CHECKEVERY 1s CHECKMAX 1");
    half(s, "pg t a");
    (void)shell_do(s, "CHECKS pg");
    shell_do(s, "PGROUP SET pg CHECKMAX 3");
    shell_pass(s, 1000);
    assert_int_equal(info(s, "pg", "pending"), 1);
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), "attempt:2"));
    shell_do(s, "PGROUP SET pg CHECKMAX 2");
    s->now_ms += 2000;
    shell_expect(s, "[]", "CHECKS pg"); /* not a third time */
    shell_pass(s, 0);
    assert_int_equal(info(s, "pg", "parked"), 1);
    assert_int_equal(txn(s, "checks"), 2);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    assert_int_equal(info(s, "pg", "parked"), 0);
}

static void figures(void **state)
{
    struct shell *s = *state;
    half(s, "pg t a");
    int64_t first_ms = s->now_ms;
    s->now_ms += 500;
    half(s, "pg t b");
    (void)shell_do(s, "HALF pg t c TXN %s", tx);
    assert_int_equal(info(s, "pg", "pending"), 2);
    assert_int_equal(info(s, "pg", "oldest"), first_ms);
    shell_expect(s, "OK", "TXN EXTEND %s 1s", tx);
    assert_int_equal(info(s, "pg", "oldest"), first_ms);
    shell_reopen(s);
    assert_memory_equal(shell_do(s, "COMMIT %s", tx), "[t", 2);
    (void)shell_do(s, "COMMIT %s", tx);
    assert_int_equal(info(s, "pg", "pending"), 1);
    s->policy.txn_timeout_ms = 1;
    half(s, "pg t d");
    shell_pass(s, 10);
    assert_int_equal(info(s, "pg", "pending"), 1);
    assert_int_equal(info(s, "pg", "parked"), 1);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    assert_int_equal(info(s, "pg", "parked"), 0);
}

/* `oldest` is right however many checks are due before it, and whatever other groups have. */
static void the_oldest_of_thousands(void **state)
{
    struct shell *s = *state;
    half(s, "pg t a CHECKIN 30d");
    char first[32];
    (void)snprintf(first, sizeof(first), "%s", tx);
    int64_t first_ms = s->now_ms;
    shell_pass(s, 3000);
    half(s, "other t a");
    int64_t other_ms = s->now_ms;
    shell_pass(s, 1000);
    for (int i = 0; i < 3000; i++)
        (void)shell_add(s, "HALF %s t b CHECKIN 0", i % 2 ? "pg" : "other");
    assert_true(shell_write(s));
    int64_t rest_ms = s->now_ms;
    s->now_ms += 1000;
    assert_int_equal(info(s, "pg", "oldest"), first_ms);
    assert_int_equal(info(s, "other", "oldest"), other_ms);
    assert_memory_equal(shell_do(s, "CHECKS pg COUNT 1000"), "[", 1); /* their checks move, `oldest` does not */
    shell_reopen(s);
    assert_int_equal(info(s, "pg", "oldest"), first_ms);
    (void)shell_do(s, "COMMIT %s", first);
    assert_int_equal(info(s, "pg", "oldest"), rest_ms);
    s->policy.txn_timeout_ms = 1;
    shell_pass(s, 30 * 86400000LL); /* parked ones are not pending */
    assert_int_equal(info(s, "pg", "pending"), 0);
    assert_int_equal(info(s, "pg", "oldest"), 0);
    assert_int_equal(shell_rows(s, 'J'), 0);
}

/* A transaction is opened and decided in one commit group. */
static void in_one_group(void **state)
{
    struct shell *s = *state;
    struct cursor c = cursor_of(buf_slice(&shell_outcome(s, shell_add(s, "HALF pg t a"))->reply));
    struct token t;
    assert_true(reply_next(&c, &t));
    shell_add(s, "COMMIT %.*s", (int)t.bytes.len, (const char *)t.bytes.data);
    shell_add(s, "PGROUP SET q CHECKMAX 1");
    shell_add(s, "PGROUP SET q CHECKIN 1");
    shell_add(s, "PGROUP DELETE q");
    assert_true(shell_write(s));
    assert_int_equal(shell_rows(s, 'Q') + shell_rows(s, 'P'), 0);
    shell_expect(s, "[]", "PGROUP LIST");
}

static void listed(void **state)
{
    struct shell *s = *state;
    shell_do(s, "PGROUP SET b CHECKMAX 1");
    shell_do(s, "PGROUP SET bb CHECKMAX 1");
    half(s, "a t m");
    half(s, "c t m");
    half(s, "b t m");
    shell_expect(s, "[a b bb c]", "PGROUP LIST");
    shell_do(s, "ROLLBACK %s", tx);
    shell_expect(s, "OK", "PGROUP DELETE bb");
    shell_expect(s, "[a b c]", "PGROUP LIST");
    shell_expect(s, "OK", "PGROUP DELETE b");
    shell_expect(s, "OK", "PGROUP DELETE c"); /* deletes the settings, not the transactions */
    shell_expect(s, "[a c]", "PGROUP LIST");
}

/* With more producer groups than are kept in memory, those that were dropped are read again. */
static void more_than_are_kept(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 4000; i++)
        shell_add(s, "HALF pg%d t m", i % 4000);
    assert_true(shell_write(s));
    for (int from = 0; from < 12000; from += 4000) {
        for (int i = 0; i < 4000; i++)
            shell_add(s, "HALF pg%d t m", from + i);
        assert_true(shell_write(s));
    }
    assert_int_equal(info(s, "pg0", "pending"), 2);
    half(s, "pg0 t m");
    assert_int_equal(info(s, "pg0", "pending"), 3);
    assert_int_equal(info(s, "pg11999", "pending"), 1);
    assert_true(state_tally(s->st)->pending == 16001);
}

/* A check that was overdue when its row was put is asked about, though its producer group should have been dropped from
 * memory in the same commit group. */
static void overdue_while_many_are_kept(void **state)
{
    struct shell *s = *state;
    for (int from = 0; from < 9900; from += 3300) {
        for (int i = 0; i < 3300; i++)
            shell_add(s, "HALF pg%d t m CHECKIN 1h", from + i);
        assert_true(shell_write(s));
    }
    shell_pass(s, 2000);
    half(s, "pg t a CHECKIN 1s");
    s->now_ms += 5000;
    for (int i = 0; i < 300; i++)
        shell_add(s, "HALF more%d t m CHECKIN 1h", i);
    (void)shell_add(s, "CHECKS pg");
    assert_true(shell_write(s));
    s->now_ms += 10;
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), tx));
}

struct seen {
    char text[200];
};

static void see(void *arg, const struct pgroup_hook *h)
{
    struct seen *seen = arg;
    size_t n = strlen(seen->text);
    (void)snprintf(seen->text + n, sizeof(seen->text) - n, "%.*s %.*s %.*s;", (int)h->pgroup.len,
                   (const char *)h->pgroup.data, (int)h->url.len, (const char *)h->url.data, (int)h->secret.len,
                   (const char *)h->secret.data);
}

static void hooks(void **state)
{
    struct shell *s = *state;
    shell_do(s, "PGROUP SET b CHECKURL http://b/ SECRET x");
    assert_true(s->fx.pgroups_changed);
    shell_do(s, "PGROUP SET a CHECKURL http://a/");
    shell_do(s, "PGROUP SET c SECRET y");
    half(s, "d t m");
    assert_false(s->fx.pgroups_changed);
    struct seen seen = {""};
    struct view *v = view_open(s->store);
    assert_non_null(v);
    assert_int_equal(query_pgroup_hooks(v, see, &seen), ST_OK);
    view_close(v);
    assert_string_equal(seen.text, "a http://a/ ;b http://b/ x;");
    shell_do(s, "PGROUP DELETE a");
    assert_true(s->fx.pgroups_changed);
    shell_do(s, "PGROUP DELETE a");
    assert_false(s->fx.pgroups_changed);
}

/* If a row cannot be read, the reply is an error and nothing is done. */
static void unreadable(void **state)
{
    struct shell *s = *state;
    half(s, "pg t a");
    shell_pass(s, 1000);
    shell_reopen(s);
    for (int n = 1; n <= 4; n++) {
        kv_fault(s->st->kv, KV_OP_GET, n);
        const char *said = shell_do(s, "ROLLBACK %s", tx);
        kv_fault(s->st->kv, KV_OP_GET, 0);
        assert_string_equal(said, n < 4 ? "-ERR" : "OK");
    }
    assert_int_equal(info(s, "pg", "pending"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(unset_ones_are_the_brokers),
        SHELL_TEST(taken_away),
        SHELL_TEST(bad_values),
        SHELL_TEST(checkin_and_timeout),
        SHELL_TEST(pauses_and_asks),
        SHELL_TEST(raised_and_lowered),
        SHELL_TEST(figures),
        SHELL_TEST(the_oldest_of_thousands),
        SHELL_TEST(in_one_group),
        SHELL_TEST(listed),
        SHELL_TEST(more_than_are_kept),
        SHELL_TEST(overdue_while_many_are_kept),
        SHELL_TEST(hooks),
        SHELL_TEST(unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
