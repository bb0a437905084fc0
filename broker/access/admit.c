/* admit.c: asks rules and bounds, and says what was refused (admit.h). */
#include "broker/access/admit.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/base/clock.h"

enum status admit_judge(const struct access_user *u, struct allowed_names *known, const struct command *cmd, char *why,
                        struct denial *ret_denial)
{
    if (judge(u, known, cmd, ret_denial))
        return ST_OK;
    struct buf text;
    buf_init(&text, ADMIT_WHY_SIZE - 1);
    denial_print(&text, u->name, ret_denial);
    snprintf(why, ADMIT_WHY_SIZE, "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
    buf_free(&text);
    return ST_NOPERM;
}

enum status admit_spend(const struct access_user *u, struct use *use, const struct command *cmd, char *why)
{
    if (!u->row.rate && !u->row.bytes)
        return ST_OK;
    int64_t ms = use_spend(use, u->row.rate, u->row.bytes, command_clone_size(cmd), clock_mono_ns());
    if (!ms)
        return ST_OK;
    snprintf(why, ADMIT_WHY_SIZE, "user %.*s is over its bound of commands or bytes a second: try again in %" PRId64 " ms",
             (int)u->name.len, (const char *)u->name.data, ms);
    return ST_BUSY;
}

void admit_say_conns(const struct access_user *u, char *why)
{
    snprintf(why, ADMIT_WHY_SIZE, "user %.*s has as many connections as it may: at most %" PRIu64, (int)u->name.len,
             (const char *)u->name.data, u->row.conns);
}

static enum status admit_one(struct roster *r, const struct access_user *u, const struct command *cmd, char *why)
{
    struct denial d;
    struct use *use = use_of(&r->uses, u->name);
    enum status s = use ? admit_judge(u, NULL, cmd, why, &d) : ST_BUSY;
    if (!use)
        snprintf(why, ADMIT_WHY_SIZE, "no memory now: try again");
    if (s == ST_OK)
        s = admit_spend(u, use, cmd, why);
    use_release(&r->uses, use);
    return s;
}

enum status admit_request(struct roster *r, struct journal_client *c, struct slice user, bool proved,
                          const struct command *cmd, char *why)
{
    struct users *us = NULL;
    uint64_t gen = 0;
    if (roster_users(r, c, &us, &gen) != ST_OK) {
        snprintf(why, ADMIT_WHY_SIZE, "the users cannot be read: see the broker's log");
        return ST_BUSY;
    }
    const struct access_user *u = users_find(us, user);
    enum status s = ST_NOAUTH;
    snprintf(why, ADMIT_WHY_SIZE, "Authentication required.");
    if (u && u->row.on && (u->row.nopass || proved))
        s = admit_one(r, u, cmd, why);
    users_release(us);
    return s;
}
