/* test_storage_users.c: patterns, rules, rows of users, and users in a store that is opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/access/glob.h"
#include "storage/access/judge.h"
#include "storage/access/rule.h"
#include "storage/access/rule_print.h"
#include "tests/lib/shell.h"

#define WORDS_MAX 32

/* Applies a line of rules; the error is in err. */
static enum status apply_line(struct user_row *row, const char *line, char *err, size_t err_size)
{
    struct slice rules[WORDS_MAX];
    uint32_t n = 0;
    while (*line) {
        size_t len = strcspn(line, " ");
        rules[n++] = slice_of(line, len);
        line += len + (line[len] == ' ');
    }
    return rules_apply(row, rules, n, (struct complaint){err, err_size});
}

static void makes(const char *line, const char *printed)
{
    char err[400] = "";
    struct user_row row;
    struct buf text;
    user_row_new(&row);
    if (apply_line(&row, line, err, sizeof err) != ST_OK)
        fail_msg("%s: %s", line, err);
    buf_init(&text, 0);
    rules_print(&text, &row);
    buf_put_u8(&text, 0);
    assert_string_equal((const char *)text.data, printed);
    buf_free(&text);
}

static void is_refused(const char *line, enum status why, const char *text)
{
    char err[400] = "";
    struct user_row row;
    user_row_new(&row);
    assert_int_equal(apply_line(&row, line, err, sizeof err), why);
    if (!strstr(err, text))
        fail_msg("%s: %s", line, err);
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {{"*", "", true},       {"*", "a", true},        {"a*", "a", true},     {"a*", "ba", false},
                 {"a?", "a", false},    {"a?", "ab", true},      {"*a*b", "xaxbxb", true}, {"*a*b", "xaxbx", false},
                 {"a", "a", true},      {"a", "ab", false},      {"**?", "x", true},    {"**?", "", false},
                 {"orders.*", "orders", false}, {"orders.*", "orders.", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (glob_matches(slice_str(cases[i].pattern), slice_str(cases[i].name)) != cases[i].matches)
            fail_msg("%s %s", cases[i].pattern, cases[i].name);
    }
    assert_true(glob_ok(SLICE_LIT("%DLQ%a*")));
    assert_false(glob_ok(SLICE_LIT("")));
    assert_false(glob_ok(SLICE_LIT("a b")));
    assert_false(glob_ok(SLICE_LIT("[a]")));
}

static void rules_make_users(void **state)
{
    (void)state;
    makes("", "off nocommands");
    makes("on nopass allcommands alltopics allgroups allpgroups", "on nopass allcommands alltopics allgroups allpgroups");
    makes("ON +@Produce +TOPIC|create", "on +@produce +topic|create");
    makes("+@all -shutdown", "off allcommands -shutdown");
    makes("+@all -@admin", "off +@connection +@produce +@txn +@consume +@read +@pubsub +@manage");
    makes("+send +@produce", "off +@produce");
    makes("+@produce -send +send", "off +@produce");
    makes("+@produce -send -@produce", "off nocommands");
    makes("+client", "off +client");
    makes("+client -client|kill", "off +client -client|kill");
    makes("+@connection -client", "off +@connection -client");
    makes("+checks -checks|serve", "off +checks -checks|serve");
    makes("+acl", "off +acl");
    makes("+topic -topic|delete", "off +topic|create +topic|set +topic|info +topic|list +topic|purge");
    makes("~a* ~a* ~b group:g pgroup:p", "off nocommands ~a* ~b group:g pgroup:p");
    makes("~a ~* ~b", "off nocommands alltopics");
    makes("~a resettopics ~b", "off nocommands ~b");
    makes("conns:3 rate:4 bytes:5 rate:0", "off nocommands conns:3 bytes:5");
    makes("on #h nopass ~a reset", "off nocommands");
    makes("nopass #h", "off nocommands");
}

static void rules_are_refused(void **state)
{
    (void)state;
    is_refused("on what", ST_ERR, "'what'");
    is_refused("+@nothing", ST_ERR, "no such category");
    is_refused("+nothing", ST_ERR, "no such command");
    is_refused("+", ST_ERR, "no such command");
    is_refused("+(tick)", ST_ERR, "no such command");
    is_refused("~", ST_ERR, "pattern");
    is_refused("group:a/b", ST_ERR, "pattern");
    is_refused("conns:x", ST_ERR, "whole number");
    is_refused("rate:99999999999999999999", ST_ERR, "whole number");
    is_refused("!h", ST_ERR, "no such password");
    is_refused("#", ST_ERR, "not the hash");
    is_refused("#1 #2 #3 #4 #5 #6 #7 #8 #9", ST_LIMIT, "passwords");
    is_refused(">secret", ST_ERR, "not a rule");
    struct slice inner = SLICE_LIT("#hash"), secret = SLICE_LIT(">s"), empty = SLICE_LIT(">");
    char err[200];
    assert_int_equal(rules_check(&inner, 1, (struct complaint){err, sizeof err}), ST_ERR);
    assert_int_equal(rules_check(&secret, 1, (struct complaint){err, sizeof err}), ST_OK);
    assert_int_equal(rules_check(&empty, 1, (struct complaint){err, sizeof err}), ST_ERR);
    assert_true(rules_have_password(&secret, 1));
    assert_false(rules_have_password(&inner, 1));
}

static void the_row(void **state)
{
    (void)state;
    static const uint8_t golden[] = "\x01\x11\x05\x06\x00\xac\x02\x00\x01\x02hh\x01\x07" "produce\x01\x0c" "topic|create\x00"
                                    "\x02\x01" "a\x02" "b*\x00\x01\x01" "p";
    struct slice bytes = slice_of(golden, sizeof golden - 1);
    struct user_row row, again;
    struct buf made;
    assert_int_equal(user_row_decode(bytes, &row), ST_OK);
    assert_true(row.on && row.groups.all && !row.nopass && row.rate == 300 && row.n_hashes == 1);
    buf_init(&made, 0);
    user_row_encode(&made, &row);
    assert_true(slice_equal(buf_slice(&made), bytes));
    for (size_t n = 0; n < bytes.len; n++) { /* in blocks of their own size, for the address sanitizer */
        uint8_t *part = malloc(n ? n : 1);
        memcpy(part, golden, n);
        assert_int_equal(user_row_decode(slice_of(part, n), &again), ST_BAD);
        free(part);
    }
    for (size_t i = 0; i < 8 * bytes.len; i++) {
        made.data[i / 8] ^= (uint8_t)(1 << (i % 8));
        enum status any = user_row_decode(buf_slice(&made), &again);
        assert_true(any == ST_OK || any == ST_BAD);
        made.data[i / 8] ^= (uint8_t)(1 << (i % 8));
    }
    buf_free(&made);
}

static struct users *users_of(struct shell *s)
{
    struct users *us = NULL;
    struct view *v = view_open(s->store);
    assert_non_null(v);
    assert_int_equal(query_users(v, &us), ST_OK);
    view_close(v);
    return us;
}

static void said(struct shell *s, const char *line, const char *answer)
{
    assert_string_equal(shell_do(s, "%s", line), answer);
}

static void users_are_stored(void **state)
{
    struct shell *s = *state;
    struct users *us = users_of(s);
    assert_int_equal(users_count(us), 1);
    assert_true(users_default(us)->free);
    users_release(us);
    said(s, "ACL SETUSER ann@work on nopass +send ~a*", "OK");
    assert_true(s->fx.users_changed);
    said(s, "ACL SETUSER ann@work ~b oops", "-ERR");
    assert_false(s->fx.users_changed);
    said(s, "SEND t x QUEUE 0", "t:0:0");
    assert_false(s->fx.users_changed);
    shell_reopen(s);
    us = users_of(s);
    const struct access_user *u = users_find(us, SLICE_LIT("ann@work"));
    assert_non_null(u);
    assert_true(u->row.on && u->row.topics.n == 1 && !u->free && u->row.born == u->row.ref);
    uint64_t born = u->row.born;
    users_release(us);
    said(s, "ACL SETUSER ann@work off", "OK");
    us = users_of(s);
    u = users_find(us, SLICE_LIT("ann@work"));
    assert_true(!u->row.on && u->row.born == born && u->row.ref > born);
    users_release(us);
    said(s, "ACL DELUSER ann@work nobody ann@work", "1");
    said(s, "ACL DELUSER ann@work", "0");
    said(s, "ACL DELUSER default", "-ERR");
    said(s, "ACL SETUSER default -shutdown", "OK");
    us = users_of(s);
    assert_false(users_default(us)->free);
    assert_false(judge_right(users_default(us), CMD_SHUTDOWN));
    assert_true(judge_right(users_default(us), CMD_SEND));
    users_release(us);
}

static void there_is_a_bound(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < USERS_MAX; i++) {
        (void)shell_add(s, "ACL SETUSER u%d", i);
        if (i % 100 == 99)
            assert_true(shell_write(s));
    }
    said(s, "ACL SETUSER one-more", "-LIMIT");
    said(s, "ACL SETUSER default on", "OK");
    shell_reload(s);
    said(s, "ACL SETUSER one-more", "-LIMIT");
    said(s, "ACL DELUSER u7", "1");
    said(s, "ACL SETUSER one-more", "OK");
}

static void who_deletes_and_makes_again_is_another(void **state)
{
    struct shell *s = *state;
    said(s, "ACL SETUSER ann on", "OK");
    struct users *us = users_of(s);
    uint64_t born = users_find(us, SLICE_LIT("ann"))->row.born;
    users_release(us);
    (void)shell_add(s, "ACL DELUSER ann");
    (void)shell_add(s, "ACL SETUSER ann on");
    assert_true(shell_write(s));
    us = users_of(s);
    assert_true(users_find(us, SLICE_LIT("ann"))->row.born > born);
    users_release(us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),          cmocka_unit_test(rules_make_users), cmocka_unit_test(rules_are_refused),
        cmocka_unit_test(the_row),           SHELL_TEST(users_are_stored),       SHELL_TEST(there_is_a_bound),
        SHELL_TEST(who_deletes_and_makes_again_is_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
