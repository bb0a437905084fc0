/* users.c: sorts the rules of a user by what they are about; see users.h. */
#include "clients/cli/print/users.h"

#include "clients/cli/print/bytes.h"
#include "protocol/base/buf.h"

#define USER_WORD SLICE_LIT("user ")

enum { ABOUT_COMMANDS, ABOUT_TOPICS, ABOUT_GROUPS, ABOUT_PGROUPS, ABOUT_LIMITS, ABOUT_COUNT };

static const char *const about_names[ABOUT_COUNT] = {"commands", "topics", "groups", "pgroups", "limits"};

/* How a rule begins, and what it is about. Other rules say how the user logs in. */
static const struct {
    const char *begin;
    int about;
} rule_begins[] = {
    {"+", ABOUT_COMMANDS},     {"-", ABOUT_COMMANDS},        {"allcommands", ABOUT_COMMANDS}, {"nocommands", ABOUT_COMMANDS},
    {"~", ABOUT_TOPICS},       {"alltopics", ABOUT_TOPICS},  {"group:", ABOUT_GROUPS},        {"allgroups", ABOUT_GROUPS},
    {"pgroup:", ABOUT_PGROUPS}, {"allpgroups", ABOUT_PGROUPS}, {"conns:", ABOUT_LIMITS},       {"rate:", ABOUT_LIMITS},
    {"bytes:", ABOUT_LIMITS},
};

static bool users_begins(struct slice s, struct slice begin)
{
    return s.len >= begin.len && memcmp(s.data, begin.data, begin.len) == 0;
}

/* ABOUT_COUNT: the login. */
static int users_about(struct slice rule)
{
    for (size_t i = 0; i < sizeof rule_begins / sizeof *rule_begins; i++)
        if (users_begins(rule, slice_str(rule_begins[i].begin)))
            return rule_begins[i].about;
    return ABOUT_COUNT;
}

static struct slice users_word(struct cursor *c)
{
    const uint8_t *blank = cursor_left(c) ? memchr(c->at, ' ', cursor_left(c)) : NULL;
    struct slice word = cursor_bytes(c, blank ? (size_t)(blank - c->at) : cursor_left(c));
    cursor_bytes(c, blank ? 1 : 0);
    return word;
}

static bool users_put_rule(struct slice rule, struct buf *texts, cJSON *login)
{
    int about = users_about(rule);
    if (about == ABOUT_COUNT) {
        cJSON *word = bytes_string(rule);
        return word && cJSON_AddItemToArray(login, word);
    }
    if (texts[about].len)
        buf_put_u8(&texts[about], ' ');
    buf_put_slice(&texts[about], rule);
    return !texts[about].failed;
}

static bool users_put_texts(cJSON *user, const struct buf *texts)
{
    bool ok = true;
    for (int i = 0; ok && i < ABOUT_COUNT; i++) {
        cJSON *text = bytes_string(buf_slice(&texts[i]));
        ok = text && cJSON_AddItemToObject(user, about_names[i], text);
    }
    return ok;
}

static bool users_fill(cJSON *user, struct cursor c, struct buf *texts)
{
    cJSON *name = bytes_string(users_word(&c));
    bool ok = name && cJSON_AddItemToObject(user, "user", name);
    cJSON *login = ok ? cJSON_AddArrayToObject(user, "login") : NULL;
    ok = login != NULL;
    while (ok && cursor_left(&c) > 0)
        ok = users_put_rule(users_word(&c), texts, login);
    return ok && users_put_texts(user, texts);
}

cJSON *users_item(struct slice line)
{
    struct buf texts[ABOUT_COUNT];
    if (!users_begins(line, USER_WORD))
        return bytes_string(line);
    for (int i = 0; i < ABOUT_COUNT; i++)
        buf_init(&texts[i], 0);
    struct cursor c = cursor_of(line);
    cursor_bytes(&c, USER_WORD.len);
    cJSON *user = cJSON_CreateObject();
    bool ok = user && users_fill(user, c, texts);
    for (int i = 0; i < ABOUT_COUNT; i++)
        buf_free(&texts[i]);
    if (ok)
        return user;
    cJSON_Delete(user);
    return NULL;
}
