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

static void note(void *arg, struct slice pgroup)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%.*s ", (int)pgroup.len, (const char *)pgroup.data);
}

/* However many groups are looked at a time. */
static void expect_due(struct shell *s, const char *want)
{
    for (uint32_t most = 1; most < 5; most++) {
        char text[256] = "";
        struct due_walk walk = {0};
        struct view *v = view_open(s->store);
        assert_non_null(v);
        for (int i = 0; !walk.ended; i++) {
            assert_true(i < 8);
            assert_int_equal(query_due_pgroups(v, s->now_ms, most, &walk, note, text), ST_OK);
        }
        view_close(v);
        assert_string_equal(text, want);
    }
}

static void each_group_once(void **state)
{
    struct shell *s = *state;
    char tx[32];
    expect_due(s, "");
    for (int i = 0; i < 50; i++)
        (void)shell_do(s, "HALF a t x CHECKIN %d", i);
    (void)shell_do(s, "HALF a.b t x CHECKIN 10s");
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF b t x CHECKIN 5s"));
    (void)shell_do(s, "HALF zz t x CHECKIN 5s");
    expect_due(s, "a ");
    shell_pass(s, 5000);
    expect_due(s, "a b zz ");
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    expect_due(s, "a zz ");
    shell_pass(s, 5000);
    expect_due(s, "a a.b zz ");
}

static void asked_is_not_due(void **state)
{
    struct shell *s = *state;
    (void)shell_do(s, "HALF a t x CHECKIN 0");
    expect_due(s, "a ");
    (void)shell_do(s, "CHECKS a");
    expect_due(s, "");
    s->now_ms += 30000;
    expect_due(s, "a ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(each_group_once),
        SHELL_TEST(asked_is_not_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
