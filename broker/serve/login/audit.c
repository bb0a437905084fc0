/* audit.c: audit lines of connections (audit.h). */
#include "broker/serve/login/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/auth/acl_log.h"
#include "broker/base/log.h"
#include "broker/serve/session.h"
#include "broker/serve/who/who.h"
#include "protocol/base/text.h"

#define AUDIT_OBJECT 200

/* As CLIENT LIST says it, with the fields that Redis' own client libraries ask for. */
static void audit_client(struct conn *c, char out[ACL_LOG_CLIENT_MAX])
{
    char from[ADDRESS_TEXT_MAX];
    bool plain = c->name && !strchr(c->name, '=');
    (void)snprintf(out, ACL_LOG_CLIENT_MAX,
                   "id=%" PRIu64 " addr=%s name=%s age=%" PRId64
                   " idle=0 db=0 sub=0 psub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 obl=0 oll=0 omem=0 tot-mem=%zu cmd=%s",
                   c->id, address_text(&c->from, from), plain ? c->name : "", (timers_now() - c->opened_ms) / 1000, c->counted,
                   atomic_load(&c->last) ? atomic_load(&c->last)->method : "");
}

static void audit_remember(struct conn *c, const char *reason, struct slice object, struct slice user)
{
    char client[ACL_LOG_CLIENT_MAX];
    audit_client(c, client);
    acl_log_add(serve_of(c->loop)->env.acl_log, reason, object, user, client, timers_now());
}

/* Bytes of a client as a value of a log line. */
static const char *audit_quote(struct slice bytes, char out[AUDIT_OBJECT])
{
    char text[AUDIT_OBJECT / 2];
    text_quote(bytes, sizeof text - 4, text, sizeof text);
    return log_quote(text, out, AUDIT_OBJECT);
}

void audit_login_failed(struct conn *c, struct slice user, const char *why)
{
    char name[AUDIT_OBJECT], from[ADDRESS_TEXT_MAX], reason[160];
    log_each(LOG_WARN, "login failed", " audit=1 user=%s addr=%s client=%" PRIu64 " reason=%s", audit_quote(user, name),
             address_text(&c->from, from), c->id, log_quote(why, reason, sizeof reason));
    audit_remember(c, "auth", SLICE_LIT("AUTH"), user);
}

/* CLIENT is one command, of which two subcommands are administration. */
static const char *audit_words(const struct command *cmd, char out[32])
{
    bool client = cmd->info->id == CMD_CLIENT && cmd->n_rest;
    (void)snprintf(out, 32, "%s%s", cmd->info->words,
                   !client ? "" : slice_equal_nocase(cmd->rest[0], SLICE_LIT("LIST")) ? " LIST" : " KILL");
    return out;
}

static struct slice audit_object(const struct command *cmd)
{
    if (cmd->info->id == CMD_CLIENT)
        return cmd->n_rest > 1 ? cmd->rest[1] : slice_of(NULL, 0);
    return cmd->n_pos ? cmd->pos[0] : slice_of(NULL, 0);
}

void audit_command(struct conn *c, const struct command *cmd)
{
    char name[AUDIT_OBJECT], from[ADDRESS_TEXT_MAX], words[64], plain[32], object[AUDIT_OBJECT];
    enum category what = right_category(command_right(cmd));
    if (what != CATEGORY_ADMIN && what != CATEGORY_MANAGE)
        return;
    log_each(LOG_INFO, "administration", " audit=1 user=%s addr=%s client=%" PRIu64 " command=%s object=%s",
             audit_quote(session_user(c), name), address_text(&c->from, from), c->id,
             log_quote(audit_words(cmd, plain), words, sizeof words), audit_quote(audit_object(cmd), object));
}

void audit_refused(struct conn *c, const char *reason, struct slice object)
{
    audit_remember(c, reason, object, session_user(c));
}
