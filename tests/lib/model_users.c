/* model_users.c: picks commands about users, judges them, and compares (model_users.h). */
#include "tests/lib/model_users.h"

#include <stdio.h>
#include <string.h>

#include "storage/access/judge.h"
#include "storage/access/users.h"

enum { RULE_ON, RULE_OFF, RULE_NOPASS, RULE_RESETPASS, RULE_READ, RULE_NO_READ, RULE_RESETTOPICS, RULE_RESET, RULE_TOPIC };

static const char *const rule_words[] = {"on", "off", "nopass", "resetpass", "+@read", "-@read", "resettopics", "reset", "~t0", "~t1", "~t2"};

struct m_user_choice model_user_pick(struct prng *p)
{
    struct m_user_choice c = {.user = (int)prng_below(p, M_USERS), .deletes = prng_below(p, 4) == 0};
    int at = snprintf(c.text, sizeof c.text, "%s u%d", c.deletes ? "DELUSER" : "SETUSER", c.user);
    c.n = c.deletes ? 0 : (int)prng_below(p, M_RULES + 1);
    for (int i = 0; i < c.n; i++) {
        c.rules[i] = (int)prng_below(p, sizeof rule_words / sizeof *rule_words);
        at += snprintf(c.text + at, sizeof c.text - (size_t)at, " %s", rule_words[c.rules[i]]);
    }
    return c;
}

static void model_user_rule(struct m_user *u, int rule)
{
    switch (rule) {
    case RULE_ON: u->on = true; break;
    case RULE_OFF: u->on = false; break;
    case RULE_NOPASS: u->nopass = true; break;
    case RULE_RESETPASS: u->nopass = false; break;
    case RULE_READ: u->reads = true; break;
    case RULE_NO_READ: u->reads = false; break;
    case RULE_RESETTOPICS: u->topics = 0; break;
    case RULE_RESET: *u = (struct m_user){.there = true}; break;
    default: u->topics |= 1u << (rule - RULE_TOPIC);
    }
}

void model_user_done(struct model *m, const struct m_user_choice *c, const char *said)
{
    struct m_user *u = &m->users[c->user];
    if (c->deletes) {
        if (strcmp(said, u->there ? "1" : "0") != 0)
            model_complain("ACL DELUSER was answered otherwise");
        *u = (struct m_user){0};
        return;
    }
    bool resets = c->n > 0 && c->rules[0] == RULE_RESET;
    if (u->damaged && !resets) {
        if (strcmp(said, "-DAMAGED") != 0)
            model_complain("the rules of a damaged user were changed");
        return;
    }
    if (strcmp(said, "OK") != 0)
        model_complain("ACL SETUSER was refused");
    u->there = true;
    u->damaged = false;
    for (int i = 0; i < c->n; i++)
        model_user_rule(u, c->rules[i]);
}

void model_user_harm(struct model *m, struct shell *s, struct prng *p)
{
    int i = (int)prng_below(p, M_USERS);
    char name[8];
    if (!m->users[i].there)
        return;
    (void)snprintf(name, sizeof name, "u%d", i);
    struct key key = key_user(slice_str(name));
    kv_put(s->st->kv, KV_STATE, key_slice(&key), SLICE_LIT("no user"));
    if (kv_write(s->st->kv, true, s->err, sizeof s->err) != ST_OK)
        model_complain("a user cannot be damaged");
    m->users[i] = (struct m_user){.there = true, .damaged = true};
}

static bool model_user_may_read(const struct access_user *u, int topic)
{
    char name[8];
    struct denial d;
    (void)snprintf(name, sizeof name, "t%d", topic);
    struct slice pos = slice_str(name);
    struct command info = {.info = command_info(CMD_TOPIC_INFO), .n_pos = 1};
    info.pos[0] = pos;
    return judge(u, NULL, &info, &d);
}

static bool model_user_same(const struct m_user *want, const struct access_user *u)
{
    if (!want->there || !u)
        return !want->there && !u;
    if (u->damaged != want->damaged || (!want->damaged && (u->row.on != want->on || u->row.nopass != want->nopass)))
        return false;
    for (int t = 0; t < M_TOPICS; t++)
        if (model_user_may_read(u, t) != (want->reads && (want->topics >> t & 1)))
            return false;
    return true;
}

void model_users_check(struct model *m, struct shell *s)
{
    struct users *us = NULL;
    struct view *v = view_open(s->store);
    uint32_t there = 0;
    if (!v || query_users(v, &us) != ST_OK)
        model_complain("the users cannot be read");
    for (int i = 0; i < M_USERS; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "u%d", i);
        there += m->users[i].there;
        if (!model_user_same(&m->users[i], users_find(us, slice_str(name))))
            model_complain("a user is another one than its rules say");
    }
    if (shell_rows(s, 'a') != there)
        model_complain("there are rows of other users");
    users_release(us);
    view_close(v);
}
