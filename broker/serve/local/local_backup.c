/*
 * local_backup.c: BACKUP, BACKUP LIST, BACKUP DELETE: handed to another thread, which reads and writes files.
 *
 * On a text connection nothing else is in flight then, and no request is taken before the reply.
 */
#include "broker/serve/local/local.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/answer.h"
#include "broker/serve/session.h"

static void local_backup_done(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct conn *c = conn_at(l, e->slot, e->generation);
    if (c && e->out.reply.failed) /* what was done cannot be said */
        conn_cut(c, "closing a connection: no memory for its reply");
    if (c && !conn_is_doomed(c))
        answer_entry(c, e);
    if (c)
        conn_entry_back(c, e);
    else
        conn_entry_lost(l, e);
    entry_free(e);
}

static void local_backup_hand_over(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct serve_env *env = &serve_of(c->loop)->env;
    const char *text = NULL;
    struct entry *e = entry_new(&c->loop->entries, cmd);
    if (!e) {
        conn_refuse(c, rq, ST_BUSY, NULL);
        return;
    }
    answer_address(e, c, rq);
    e->done = local_backup_done;
    loop_lend(c->loop, e); /* before, since it may come back at once */
    conn_entry_out(c, e);
    conn_wait_begins(c);
    if (env->backup(env->broker, e, &text))
        return;
    c->loop->lent--;
    conn_wait_over(c);
    conn_entry_back(c, e);
    entry_free(e);
    conn_refuse(c, rq, ST_BUSY, text);
}

void local_BACKUP(struct conn *c, const struct command *cmd, struct request rq)
{
    local_backup_hand_over(c, cmd, rq);
}

void local_BACKUP_LIST(struct conn *c, const struct command *cmd, struct request rq)
{
    local_backup_hand_over(c, cmd, rq);
}

void local_BACKUP_DELETE(struct conn *c, const struct command *cmd, struct request rq)
{
    local_backup_hand_over(c, cmd, rq);
}
