/* test_storage_due.c: tests query_due_pgroups: which producer groups have a check-back that is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "storage/query.h"
#include "tests/lib/shell.h"

struct names {
    char text[256];
    unsigned most;
};

static bool note(void *arg, struct slice pgroup)
{
    struct names *n = arg;
    size_t len = strlen(n->text);
    (void)snprintf(n->text + len, sizeof(n->text) - len, "%.*s ", (int)pgroup.len,
                   (const char *)pgroup.data);
    return --n->most > 0;
}

static void expect_due(struct shell *s, unsigned most, const char *want)
{
    struct names n = {.most = most};
    struct view *v = view_open(s->store);
    assert_non_null(v);
    assert_int_equal(query_due_pgroups(v, s->now_ms, note, &n), ST_OK);
    view_close(v);
    assert_string_equal(n.text, want);
}

static void each_group_once(void **state)
{
    struct shell *s = *state;
    char tx[32];
    expect_due(s, 99, "");
    for (int i = 0; i < 50; i++)
        (void)shell_do(s, "HALF a t x CHECKIN %d", i);
    (void)shell_do(s, "HALF a.b t x CHECKIN 10s");
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF b t x CHECKIN 5s"));
    (void)shell_do(s, "HALF zz t x CHECKIN 5s");
    expect_due(s, 99, "a ");
    shell_pass(s, 5000);
    expect_due(s, 99, "a b zz ");
    expect_due(s, 2, "a b ");
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    expect_due(s, 99, "a zz ");
    shell_pass(s, 5000);
    expect_due(s, 99, "a a.b zz ");
}

static void asked_is_not_due(void **state)
{
    struct shell *s = *state;
    (void)shell_do(s, "HALF a t x CHECKIN 0");
    expect_due(s, 99, "a ");
    (void)shell_do(s, "CHECKS a");
    expect_due(s, 99, "");
    s->now_ms += 30000;
    expect_due(s, 99, "a ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(each_group_once),
        SHELL_TEST(asked_is_not_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
