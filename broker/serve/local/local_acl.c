/*
 * local_acl.c: the commands about users that only read: ACL GETUSER, LIST, USERS, WHOAMI, CAT, DRYRUN. They answer from
 * the loop's users (who/who.h). Those that change users go through the journal (storage/apply/acl).
 */
#include "broker/serve/local/local.h"

#include "broker/access/admit.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/session.h"
#include "broker/serve/who/who.h"
#include "protocol/base/reply.h"
#include "storage/access/rule_print.h"

#define RULES_KEEP ((size_t)KIB(16))

/* NULL: they cannot be read, and that is answered. */
static struct users *acl_users(struct conn *c, struct request rq)
{
    struct users *us = who_users(c->loop);
    if (!us)
        conn_refuse(c, rq, ST_BUSY, "the users cannot be read: see the broker's log");
    return us;
}

/* NULL: there is none, and that is answered. */
static const struct access_user *acl_find(struct conn *c, struct slice name, struct request rq)
{
    char quoted[LOCAL_QUOTED];
    struct users *us = acl_users(c, rq);
    const struct access_user *u = us ? users_find(us, name) : NULL;
    if (us && !u)
        local_refuse(c, rq, ST_ERR, "no user '%s': ACL USERS lists them", local_quote(name, quoted));
    return u;
}

static void acl_put_rules(struct buf *r, const char *name, void (*print)(struct buf *b, const struct user_row *r),
                          const struct user_row *row)
{
    struct buf text;
    buf_init(&text, 0);
    print(&text, row);
    reply_field_bytes(r, name, buf_slice(&text));
    r->failed = r->failed || text.failed;
    buf_free(&text);
}

static void acl_put_user(struct buf *r, const struct user_row *row)
{
    reply_map(r, 9);
    reply_bulk_str(r, "flags");
    reply_array(r, row->nopass ? 2 : 1);
    reply_bulk_str(r, row->on ? "on" : "off");
    if (row->nopass)
        reply_bulk_str(r, "nopass");
    reply_field_int(r, "passwords", row->n_hashes);
    acl_put_rules(r, "commands", rules_print_commands, row);
    acl_put_rules(r, "topics", rules_print_topics, row);
    acl_put_rules(r, "groups", rules_print_groups, row);
    acl_put_rules(r, "pgroups", rules_print_pgroups, row);
    reply_field_int(r, "conns", (int64_t)row->conns);
    reply_field_int(r, "rate", (int64_t)row->rate);
    reply_field_int(r, "bytes", (int64_t)row->bytes);
}

void local_ACL_GETUSER(struct conn *c, const struct command *cmd, struct request rq)
{
    struct users *us = acl_users(c, rq);
    if (!us)
        return;
    const struct access_user *u = users_find(us, cmd->pos[0]);
    struct buf *r = loop_reply(c->loop);
    if (u)
        acl_put_user(r, &u->row);
    else
        reply_null(r);
    conn_answer(c, rq, buf_slice(r));
}

void local_ACL_LIST(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    struct users *us = acl_users(c, rq);
    if (!us)
        return;
    struct buf *r = loop_reply(c->loop), line;
    buf_init(&line, 0);
    reply_array(r, users_count(us));
    for (uint32_t i = 0; i < users_count(us); i++) {
        const struct access_user *u = users_at(us, i);
        buf_reset(&line, RULES_KEEP);
        buf_put_str(&line, "user ");
        buf_put_slice(&line, u->name);
        buf_put_u8(&line, ' ');
        rules_print(&line, &u->row);
        reply_bulk(r, buf_slice(&line));
        r->failed = r->failed || line.failed;
    }
    buf_free(&line);
    conn_answer(c, rq, buf_slice(r));
    buf_reset(r, REPLY_BYTES_KEEP);
}

void local_ACL_USERS(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    struct users *us = acl_users(c, rq);
    if (!us)
        return;
    struct buf *r = loop_reply(c->loop);
    reply_array(r, users_count(us));
    for (uint32_t i = 0; i < users_count(us); i++)
        reply_bulk(r, users_at(us, i)->name);
    conn_answer(c, rq, buf_slice(r));
}

void local_ACL_WHOAMI(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    struct buf *r = loop_reply(c->loop);
    reply_bulk(r, session_user(c));
    conn_answer(c, rq, buf_slice(r));
}

/* All categories; or the rights of one, as they are written in rules. */
static void acl_put_categories(struct buf *r)
{
    reply_array(r, CATEGORY_COUNT);
    for (unsigned i = 0; i < CATEGORY_COUNT; i++)
        reply_bulk_str(r, category_name((enum category)i));
}

static void acl_put_rights(struct buf *r, enum category of)
{
    char name[RIGHT_NAME_SIZE];
    size_t n = 0;
    for (unsigned right = 0; right < RIGHT_COUNT; right++)
        n += right_category(right) == of;
    reply_array(r, n);
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (right_category(right) == of)
            reply_bulk_str(r, right_rule_name(right, name));
    }
}

void local_ACL_CAT(struct conn *c, const struct command *cmd, struct request rq)
{
    enum category of = CATEGORY_NONE;
    struct slice name = cmd->n_pos ? cmd->pos[0] : slice_of(NULL, 0);
    char quoted[LOCAL_QUOTED];
    if (name.len && name.data[0] == '@')
        name = slice_of(name.data + 1, name.len - 1);
    if (cmd->n_pos && !category_find(name, &of)) {
        local_refuse(c, rq, ST_ERR, "no category '%s': ACL CAT lists them", local_quote(cmd->pos[0], quoted));
        return;
    }
    struct buf *r = loop_reply(c->loop);
    if (of == CATEGORY_NONE)
        acl_put_categories(r);
    else
        acl_put_rights(r, of);
    conn_answer(c, rq, buf_slice(r));
}

/* ---- DRYRUN ---- */

static void acl_answer_dryrun(struct conn *c, const struct access_user *u, const struct command *cmd, struct request rq)
{
    struct denial d;
    char why[ADMIT_WHY_SIZE];
    struct buf *r = loop_reply(c->loop);
    if (admit_judge(u, NULL, cmd, why, &d) == ST_OK)
        reply_ok(r);
    else
        reply_bulk_str(r, why);
    conn_answer(c, rq, buf_slice(r));
}

void local_ACL_DRYRUN(struct conn *c, const struct command *cmd, struct request rq)
{
    char err[512];
    struct command asked;
    struct command_space space;
    const struct access_user *u = acl_find(c, cmd->pos[0], rq);
    if (!u)
        return;
    command_space_init(&space);
    enum status s = command_from_words(&space, cmd->rest, cmd->n_rest, &asked, err, sizeof err);
    if (s == ST_OK)
        acl_answer_dryrun(c, u, &asked, rq);
    else
        conn_refuse(c, rq, s, err);
    command_space_free(&space);
}
