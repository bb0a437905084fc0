/*
 * test_match.c: the patterns of the transcripts match what they should, and nothing else. Without this test, a
 * matcher that accepts everything would make all transcripts pass.
 */
#include "tests/transcripts/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct vars vars;

static bool fits_in(const char *pattern, const char *bytes, int version)
{
    struct resp_value *v = NULL;
    size_t used = 0;
    assert_int_equal(resp_value_parse(slice_str(bytes), &v, &used), RESP_PARSE_OK);
    assert_int_equal(used, strlen(bytes));
    bool ok = match(pattern, v, version, &vars, NULL);
    resp_value_free(v);
    return ok;
}

static bool fits(const char *pattern, const char *bytes)
{
    return fits_in(pattern, bytes, 2);
}

static void scalars(void **state)
{
    (void)state;
    assert_true(fits("OK", "+OK\r\n"));
    assert_false(fits("OK", "+OKAY\r\n"));
    assert_false(fits("OK", "$2\r\nOK\r\n"));
    assert_true(fits("3", ":3\r\n"));
    assert_false(fits("3", ":30\r\n"));
    assert_false(fits("3", "$1\r\n3\r\n"));
    assert_true(fits(">=3", ":3\r\n"));
    assert_false(fits(">=3", ":2\r\n"));
    assert_false(fits("<=3", ":4\r\n"));
    assert_true(fits("null", "$-1\r\n"));
    assert_true(fits("null", "_\r\n"));
    assert_false(fits("null", "$0\r\n\r\n"));
    assert_true(fits("true", "#t\r\n"));
    assert_false(fits("true", "#f\r\n"));
    assert_true(fits("_", ":1\r\n"));
    assert_false(fits("_", "-ERR x\r\n"));
    assert_false(fits("_i", "$1\r\n1\r\n"));
    assert_false(fits("_s", ":1\r\n"));
}

static void strings(void **state)
{
    (void)state;
    assert_true(fits("\"a\\r\\n\\x41\"", "$4\r\na\r\nA\r\n"));
    assert_false(fits("\"a\"", "$2\r\nab\r\n"));
    assert_true(fits("\"a\"*", "$2\r\nab\r\n"));
    assert_false(fits("\"b\"*", "$2\r\nab\r\n"));
    assert_true(fits("*\"b\"", "$2\r\nab\r\n"));
    assert_false(fits("*\"a\"", "$2\r\nab\r\n"));
    assert_true(fits("*\"b\"*", "$3\r\nabc\r\n"));
    assert_false(fits("*\"x\"*", "$3\r\nabc\r\n"));
    assert_false(fits("\"OK\"", "+OK\r\n"));
    assert_true(fits("\"hi\"", "=6\r\ntxt:hi\r\n"));
}

static void errors(void **state)
{
    (void)state;
    assert_true(fits("-ERR", "-ERR no such thing\r\n"));
    assert_true(fits("-ERR No Such", "-ERR no such thing\r\n"));
    assert_false(fits("-ERR other", "-ERR no such thing\r\n"));
    assert_false(fits("-STALE", "-ERR STALE\r\n"));
    assert_false(fits("-ERR", "-ERROR x\r\n"));
    assert_false(fits("-ERR", "+ERR x\r\n"));
}

static void lists(void **state)
{
    (void)state;
    assert_true(fits("[]", "*0\r\n"));
    assert_false(fits("[]", "*1\r\n:1\r\n"));
    assert_true(fits("[1, 2]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("[1, 2]", "*2\r\n:2\r\n:1\r\n"));
    assert_true(fits("[-ERR no, 2, -STALE]", "*3\r\n-ERR no such\r\n:2\r\n-STALE x\r\n"));
    assert_false(fits("[-ERR other, 2]", "*2\r\n-ERR no such\r\n:2\r\n"));
    assert_false(fits("[1]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("[1, 2, 3]", "*2\r\n:1\r\n:2\r\n"));
    assert_true(fits("[1, ...]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("[2, ...]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("[1, 2, ...]", "*1\r\n:1\r\n"));
    assert_true(fits("set[2, 1]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("set[2, 2]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("set[2]", "*2\r\n:1\r\n:2\r\n"));
    assert_true(fits("set[2, ...]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("set[3, ...]", "*2\r\n:1\r\n:2\r\n"));
    assert_false(fits("[[1], 2]", "*2\r\n*1\r\n:5\r\n:2\r\n"));
}

static void maps(void **state)
{
    (void)state;
    const char *flat = "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n";
    const char *map = "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n";
    assert_true(fits("{\"b\": 2, \"a\": 1}", flat));
    assert_false(fits("{\"b\": 1, \"a\": 1}", flat));
    assert_false(fits("{\"b\": 2}", flat));
    assert_true(fits("{\"b\": 2, ...}", flat));
    assert_false(fits("{\"c\": 2, ...}", flat));
    assert_false(fits("{\"c\": _, ...}", flat));
    assert_true(fits_in("{\"b\": 2, \"a\": 1}", map, 3));
    assert_false(fits_in("{\"b\": 2, \"a\": 1}", flat, 3));
    assert_true(fits("push[1]", "*1\r\n:1\r\n"));
    assert_true(fits_in("push[1]", ">1\r\n:1\r\n", 3));
    assert_false(fits_in("push[1]", "*1\r\n:1\r\n", 3));
}

static void variables(void **state)
{
    (void)state;
    char line[64];
    vars.n = 0;
    assert_true(fits("[$a, $b]", "*2\r\n$1\r\nx\r\n:7\r\n"));
    assert_string_equal(vars_get(&vars, "a", 1), "x");
    assert_true(fits("$a", "$1\r\nx\r\n"));
    assert_false(fits("$a", "$1\r\ny\r\n"));
    assert_true(fits("\"${a}#${b}\"", "$3\r\nx#7\r\n"));
    assert_false(fits("\"${none}\"", "$0\r\n\r\n"));
    assert_true(vars_fill(&vars, "ACK g ${a} $b", line, sizeof(line)));
    assert_string_equal(line, "ACK g x $b");
    /* A pattern that does not match sets no variable. */
    assert_false(fits("[$c, 2]", "*2\r\n:1\r\n:1\r\n"));
    assert_null(vars_get(&vars, "c", 1));
}

static void malformed(void **state)
{
    (void)state;
    assert_false(fits("", "+OK\r\n"));
    assert_false(fits("OK OK", "+OK\r\n"));
    assert_false(fits("[1", "*1\r\n:1\r\n"));
    assert_false(fits("[..., 1]", "*1\r\n:1\r\n"));
    assert_false(fits("{\"a\" 1}", "*2\r\n$1\r\na\r\n:1\r\n"));
    assert_false(fits("\"a", "$1\r\na\r\n"));
    assert_false(fits("$", "$1\r\na\r\n"));
}

static void words(void **state)
{
    (void)state;
    const char *at = "  SEND t \"a \\\"b\\x41\" 'c \\n d' e\\n \"\"";
    const char *want[] = {"SEND", "t", "a \"bA", "c \\n d", "e\\n", ""};
    char out[64];
    size_t n;
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        assert_true(word_read(&at, out, sizeof(out), &n));
        assert_string_equal(out, want[i]);
    }
    assert_false(word_read(&at, out, sizeof(out), &n));
    assert_int_equal(*at, '\0');
    at = "\"open";
    assert_false(word_read(&at, out, sizeof(out), &n));
    assert_int_equal(*at, '"');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),   cmocka_unit_test(strings), cmocka_unit_test(errors),
        cmocka_unit_test(lists),     cmocka_unit_test(maps),    cmocka_unit_test(variables),
        cmocka_unit_test(malformed), cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
