/*
 * test_command_message.c: tests which options of a SEND go into its message, and the limits that the parser does not
 * check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/command/command_message.h"

/* Makes the message of a command with these options. The parser would refuse some of them. */
static enum status take(struct option *opt, uint32_t n, struct buf *scratch, struct message *m,
                        char *err)
{
    struct command cmd = {.info = command_info(CMD_SEND), .opt = opt, .n_opt = n};
    return command_message(&cmd, SLICE_LIT("body"), scratch, m, err, 200);
}

static void options_become_attributes(void **state)
{
    (void)state;
    struct option opt[] = {{.id = OPT_ID_KEY, .v = SLICE_LIT("k1")},
                           {.id = OPT_ID_KEY, .v = SLICE_LIT("k2")},
                           {.id = OPT_ID_TAG, .v = SLICE_LIT("t")},
                           {.id = OPT_ID_ORDER, .v = SLICE_LIT("o")},
                           {.id = OPT_ID_PRIORITY, .n = 7},
                           {.id = OPT_ID_PROP, .v = SLICE_LIT("a"), .v2 = SLICE_LIT("b")},
                           {.id = OPT_ID_TTL, .n = 5},
                           {.id = OPT_ID_PROP, .v = SLICE_LIT("c"), .v2 = SLICE_LIT("")}};
    struct buf scratch;
    struct message m;
    char err[200];
    buf_init(&scratch, 0);
    buf_put_str(&scratch, "what was there before");
    assert_int_equal(take(opt, 8, &scratch, &m, err), ST_OK);
    assert_int_equal(m.fields, MSG_KEY | MSG_TAG | MSG_ORDER | MSG_PRIORITY | MSG_PROPS);
    assert_true(m.n_keys == 2 && slice_equal(m.keys[1], SLICE_LIT("k2")));
    assert_true(slice_equal(m.tag, SLICE_LIT("t")) && slice_equal(m.order, SLICE_LIT("o")));
    assert_true(m.priority == 7 && m.n_props == 2);
    assert_true(slice_equal(m.props, SLICE_LIT("\001a\001b\001c\000")));
    assert_true(slice_equal(m.body, SLICE_LIT("body")));
    assert_int_equal(take(opt, 0, &scratch, &m, err), ST_OK);
    assert_true(m.fields == 0 && m.n_props == 0);
    buf_free(&scratch);
}

static void options_over_a_bound_are_refused(void **state)
{
    (void)state;
    struct option *opt = calloc(300, sizeof *opt);
    char *large = calloc(1, PROPS_BYTES_MAX);
    struct buf scratch;
    struct message m = {.seq = 4711};
    char err[200];
    assert_non_null(opt);
    assert_non_null(large);
    buf_init(&scratch, 0);
    for (int i = 0; i < 300; i++)
        opt[i] = (struct option){.id = OPT_ID_KEY, .v = SLICE_LIT("k")};
    assert_int_equal(take(opt, KEYS_MAX, &scratch, &m, err), ST_OK);
    m.seq = 4711;
    assert_int_equal(take(opt, KEYS_MAX + 1, &scratch, &m, err), ST_LIMIT);
    assert_string_equal(err, "KEY: a message has at most 16 of them");
    for (int i = 0; i < 300; i++)
        opt[i] = (struct option){.id = OPT_ID_PROP, .v = SLICE_LIT("n")};
    assert_int_equal(take(opt, PROPS_MAX + 1, &scratch, &m, err), ST_LIMIT);
    assert_string_equal(err, "PROP: a message has at most 256 of them");
    opt[0].v2 = slice_of(large, PROPS_BYTES_MAX - 1);
    assert_int_equal(take(opt, 2, &scratch, &m, err), ST_TOOBIG);
    assert_string_equal(err, "PROP: all properties together are over 32768 bytes");
    assert_int_equal(m.seq, 4711);
    assert_int_equal(take(opt, 1, &scratch, &m, err), ST_OK);
    buf_free(&scratch);
    buf_init(&scratch, 10);
    assert_int_equal(take(opt, 1, &scratch, &m, err), ST_NOMEM);
    buf_free(&scratch);
    free(opt);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_become_attributes),
        cmocka_unit_test(options_over_a_bound_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
