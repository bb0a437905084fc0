/* test_command_filter.c: FILTER as an option, in words and in named values: what it takes, and how it is refused. The
 * language of FILTER WHERE has its own test (test_filter.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/command/command.h"
#include "protocol/filter/filter_kind.h"

static struct command_space space;
static struct command cmd;
static char err[1024];

static enum status parse(const char *first, const char *second, const char *third)
{
    struct slice words[16] = {SLICE_LIT("GROUP"), SLICE_LIT("CREATE"), SLICE_LIT("g"), SLICE_LIT("t"), SLICE_LIT("FILTER")};
    const char *const more[] = {first, second, third};
    size_t n = 5;
    for (size_t i = 0; i < 3; i++) {
        if (more[i])
            words[n++] = slice_str(more[i]);
    }
    return command_from_words(&space, words, n, &cmd, err, sizeof err);
}

static void expect(enum status got, enum filter_kind kind, const char *text)
{
    if (got != ST_OK)
        fail_msg("%s", err);
    const struct option *o = command_option(&cmd, OPT_ID_FILTER);
    assert_non_null(o);
    assert_int_equal(o->n, kind);
    assert_true(slice_equal(o->v2, slice_str(text)));
}

static void refused(enum status got, enum status s, const char *text)
{
    if (got != s || strcmp(err, text) != 0)
        fail_msg("got %d %s\nwant %d %s", got, err, s, text);
}

static void in_words(void **state)
{
    (void)state;
    expect(parse("TAG", "a", NULL), FILTER_TAG, "a");
    expect(parse("tag", "a||b || c", NULL), FILTER_TAG, "a||b || c");
    expect(parse("WHERE", "price > 10 AND color = 'red'", NULL), FILTER_WHERE, "price > 10 AND color = 'red'");
    expect(parse("NONE", NULL, NULL), FILTER_NONE, "");
}

static void refused_in_words(void **state)
{
    (void)state;
    static const char lacks[] = "FILTER lacks its values: FILTER TAG a||b, WHERE expression, or NONE";
    refused(parse(NULL, NULL, NULL), ST_ERR, lacks);
    refused(parse("TAG", NULL, NULL), ST_ERR, lacks);
    refused(parse("WHERE", NULL, NULL), ST_ERR, lacks);
    refused(parse("price > 10", NULL, NULL), ST_ERR, lacks);
    refused(parse("SQL", "a", NULL), ST_ERR, "FILTER 'SQL' is none of TAG a||b, WHERE expression, NONE");
    refused(parse("TAG", "", NULL), ST_BADNAME, "FILTER TAG: '' is not a tag: write one, or several as a||b");
    refused(parse("TAG", "a||", NULL), ST_BADNAME, "FILTER TAG: '' is not a tag: write one, or several as a||b");
    refused(parse("TAG", "a|b", NULL), ST_BADNAME, "FILTER TAG: 'a|b' is not a tag: write one, or several as a||b");
    refused(parse("TAG", "a b", NULL), ST_BADNAME, "FILTER TAG: 'a b' is not a tag: write one, or several as a||b");
    refused(parse("TAG", "*", NULL), ST_BADNAME, "FILTER TAG: '*' is not a tag: write one, or several as a||b");
    refused(parse("WHERE", "price >", NULL), ST_ERR,
            "FILTER WHERE, at character 8: expected a value or a name, but the expression ends");
    refused(parse("WHERE", "", NULL), ST_ERR,
            "FILTER WHERE, at character 1: the expression is empty: write a condition, as price > 10");
    refused(parse("WHERE", "price", ">"), ST_ERR,
            "'>' is not an option of GROUP CREATE: FILTER WHERE takes its expression as one word, in quotes");
}

static void too_long(void **state)
{
    (void)state;
    static char text[FILTER_BYTES_MAX + 2];
    memset(text, 'a', FILTER_BYTES_MAX + 1);
    refused(parse("WHERE", text, NULL), ST_TOOBIG, "FILTER WHERE of 4097 bytes is too long: at most 4096");
    refused(parse("TAG", text, NULL), ST_TOOBIG, "FILTER TAG of 4097 bytes is too long: at most 4096");
}

static enum status named(const char *kind, const char *text)
{
    const struct command_info *info = command_info(CMD_GROUP_CREATE);
    struct slice v2 = text ? slice_str(text) : slice_of(NULL, 0);
    enum status s = command_begin(&space, info, &cmd, err, sizeof err);
    if (s == ST_OK)
        s = command_put(&space, &cmd, SLICE_LIT("group"), SLICE_LIT("g"), slice_of(NULL, 0), err, sizeof err);
    if (s == ST_OK)
        s = command_put(&space, &cmd, SLICE_LIT("topic"), SLICE_LIT("t"), slice_of(NULL, 0), err, sizeof err);
    if (s == ST_OK)
        s = command_put(&space, &cmd, SLICE_LIT("filter"), slice_str(kind), v2, err, sizeof err);
    return s == ST_OK ? command_end(&space, &cmd, err, sizeof err) : s;
}

static void in_names(void **state)
{
    (void)state;
    expect(named("tag", "a||b"), FILTER_TAG, "a||b");
    expect(named("where", "a = 1"), FILTER_WHERE, "a = 1");
    expect(named("none", NULL), FILTER_NONE, "");
    expect(named("none", "1"), FILTER_NONE, "");
    refused(named("where", NULL), ST_ERR,
            "FILTER WHERE, at character 1: the expression is empty: write a condition, as price > 10");
    refused(named("tag", NULL), ST_BADNAME, "FILTER TAG: '' is not a tag: write one, or several as a||b");
}

static int setup(void **state)
{
    (void)state;
    command_space_init(&space);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    command_space_free(&space);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_words),
        cmocka_unit_test(refused_in_words),
        cmocka_unit_test(too_long),
        cmocka_unit_test(in_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
