/*
 * test_storage_judge.c: who remembers names that were allowed (allowed.h) answers as who remembers nothing: over users,
 * commands and names by chance that look alike, while the users change, and where new users lie where old ones lay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/access/judge.h"

#define USERS 6
#define ROUNDS 100
#define COMMANDS 3000

struct chance {
    uint64_t x;
};

static uint64_t chance(struct chance *c, uint64_t n)
{
    c->x ^= c->x << 13;
    c->x ^= c->x >> 7;
    c->x ^= c->x << 17;
    return c->x % n;
}

/* Short names of two letters, long ones around what is remembered, and those of the broker. */
static struct slice some_name(struct chance *c, uint8_t *room)
{
    static const char *const heads[] = {"", "", "%DLQ%", "%RETRY%"};
    const char *head = heads[chance(c, 4)];
    size_t n = strlen(head), more = chance(c, 8) ? 1 + chance(c, 4) : ALLOWED_NAME_BYTES - 2 - n + chance(c, 5);
    memcpy(room, head, n);
    for (size_t i = 0; i < more; i++)
        room[n + i] = (uint8_t)"ab"[i + 3 < more ? 0 : chance(c, 2)];
    return slice_of(room, n + more);
}

static struct slice some_pattern(struct chance *c, uint8_t *room)
{
    struct slice s = some_name(c, room);
    for (size_t i = 0; i < s.len; i++) {
        if (!chance(c, 4))
            room[i] = chance(c, 2) ? '*' : '?';
    }
    return s;
}

static void some_names(struct chance *c, struct user_names *names, uint8_t (*room)[SYSTEM_NAME_BYTES_MAX])
{
    names->all = !chance(c, 8);
    names->n = names->all ? 0 : (uint32_t)chance(c, 4);
    for (uint32_t i = 0; i < names->n; i++)
        names->pattern[i] = some_pattern(c, room[i]);
}

static struct users *some_users(struct chance *c)
{
    struct users *us = users_new();
    assert_non_null(us);
    for (char i = 0; i < USERS; i++) {
        uint8_t room[9][SYSTEM_NAME_BYTES_MAX];
        char name[] = {'u', (char)('0' + i)};
        struct user_row r;
        struct buf bytes;
        user_row_new(&r);
        r.on = r.nopass = true;
        r.born = r.ref = 1;
        r.categories = (uint32_t)chance(c, 1u << CATEGORY_COUNT) | 1u << CATEGORY_PRODUCE;
        some_names(c, &r.topics, room);
        some_names(c, &r.groups, room + 3);
        some_names(c, &r.pgroups, room + 6);
        buf_init(&bytes, 0);
        user_row_encode(&bytes, &r);
        assert_int_equal(users_add(us, slice_of(name, 2), buf_slice(&bytes)), ST_OK);
        buf_free(&bytes);
    }
    assert_int_equal(users_finish(us), ST_OK);
    for (uint32_t i = 0; i < users_count(us); i++)
        assert_false(users_at(us, i)->damaged);
    return us;
}

static void are_equal(const struct access_user *u, struct allowed_names *known, const struct command *cmd, unsigned *yes,
                      unsigned *at_once)
{
    struct denial with = {0}, without = {0};
    const struct access_user *by_store;
    bool fresh = judge(u, NULL, cmd, &without), before = judge_at_once(u, known, cmd, &by_store);
    bool may = judge(u, known, cmd, &with);
    *yes += may;
    *at_once += before;
    if (before && !fresh)
        fail_msg("%s is allowed at once, and must not be", cmd->info->words);
    if (before)
        assert_ptr_equal(by_store, judge_by_store(u, cmd));
    if (fresh != may)
        fail_msg("%s is %s, with what is remembered it is %s", cmd->info->words, fresh ? "allowed" : "refused",
                 may ? "allowed" : "refused");
    if (may)
        return;
    assert_int_equal(with.reason, without.reason);
    assert_int_equal(with.right, without.right);
    assert_true(slice_equal(with.object, without.object));
}

/* The request's bytes end right behind each name, so that a sanitizer sees who reads on. */
static void judge_some(struct chance *c, const struct users *us, struct allowed_names *known, unsigned *yes,
                       unsigned *at_once)
{
    static const char *const lines[][4] = {{"SEND", "N", "x"},     {"POP", "N", "N"}, {"ACK", "N", "I"}, {"HALF", "N", "N", "x"},
                                           {"READ", "N", "0", "0"}, {"GET", "I"},      {"SUBSCRIBE", "C"}};
    const char *const *line = lines[chance(c, sizeof lines / sizeof *lines)];
    static const char *const channels[] = {"topic:", "check:"};
    struct command_space space;
    struct command cmd;
    struct slice words[4];
    char err[400] = "";
    uint8_t *owned[4] = {0};
    size_t n = 0;
    for (; n < 4 && line[n]; n++) {
        uint8_t name[SYSTEM_NAME_BYTES_MAX];
        struct slice s = some_name(c, name);
        const char *before = *line[n] == 'C' ? channels[chance(c, 2)] : "";
        const char *after = *line[n] == 'I' ? (n == 1 ? ":0:0" : ":0:0#1") : "";
        if (!strchr("NIC", *line[n]) || line[n][1]) {
            words[n] = slice_str(line[n]);
            continue;
        }
        size_t b = strlen(before), a = strlen(after);
        owned[n] = malloc(b + s.len + a);
        assert_non_null(owned[n]);
        memcpy(owned[n], before, b);
        memcpy(owned[n] + b, s.data, s.len);
        memcpy(owned[n] + b + s.len, after, a);
        words[n] = slice_of(owned[n], b + s.len + a);
    }
    command_space_init(&space);
    /* What is refused here, a name of the broker's where clients give one, is none that is judged. */
    if (command_from_words(&space, words, n, &cmd, err, sizeof err) == ST_OK)
        are_equal(users_at(us, (uint32_t)chance(c, users_count(us))), known, &cmd, yes, at_once);
    command_space_free(&space);
    for (size_t i = 0; i < n; i++)
        free(owned[i]);
}

static void what_is_remembered_changes_no_answer(void **state)
{
    (void)state;
    struct chance c = {UINT64_C(0x9e3779b97f4a7c15)};
    struct allowed_names *known = calloc(1, sizeof *known);
    unsigned yes = 0, at_once = 0;
    assert_non_null(known);
    for (int round = 0; round < ROUNDS; round++) {
        struct users *us = some_users(&c);
        allowed_forget(known);
        for (int i = 0; i < COMMANDS; i++)
            judge_some(&c, us, known, &yes, &at_once);
        users_release(us);
    }
    assert_in_range(yes, ROUNDS * COMMANDS / 20, ROUNDS * COMMANDS / 2);
    assert_in_range(at_once, yes / 100, yes);
    free(known);
}

static void a_name_is_found_again(void **state)
{
    (void)state;
    struct chance c = {7};
    struct users *us = some_users(&c);
    const struct access_user *u = users_at(us, 0), *other = users_at(us, 1);
    struct allowed_names known = {0};
    uint8_t longest[ALLOWED_NAME_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    struct slice names[] = {SLICE_LIT("orders"), slice_of(longest, ALLOWED_NAME_BYTES)};
    assert_false(allowed_has(&known, u, TOUCH_TOPIC, SLICE_LIT("orders"))); /* all zero has nothing */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        allowed_add(&known, u, TOUCH_TOPIC, names[i]);
        assert_true(allowed_has(&known, u, TOUCH_TOPIC, names[i]));
        assert_false(allowed_has(&known, u, TOUCH_GROUP, names[i]));
        assert_false(allowed_has(&known, other, TOUCH_TOPIC, names[i]));
        assert_false(allowed_has(&known, u, TOUCH_TOPIC, slice_of(names[i].data, names[i].len - 1)));
        allowed_forget(&known);
        assert_false(allowed_has(&known, u, TOUCH_TOPIC, names[i]));
    }
    allowed_add(&known, u, TOUCH_TOPIC, slice_of(longest, sizeof longest));
    assert_false(allowed_has(&known, u, TOUCH_TOPIC, slice_of(longest, sizeof longest)));
    allowed_add(&known, u, TOUCH_TOPIC, slice_of(NULL, 0));
    assert_false(allowed_has(&known, u, TOUCH_TOPIC, slice_of(NULL, 0)));
    users_release(us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_remembered_changes_no_answer),
        cmocka_unit_test(a_name_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
