/* loop.c: what a loop offers to those who run on it (loop.h). */
#include "broker/net/loop.h"

#include "storage/query.h"

void loop_close_view(struct loop *l)
{
    if (l->view)
        view_close(l->view);
    l->view = NULL;
}

struct view *loop_view(struct loop *l)
{
    if (!l->view)
        l->view = journal_view(l->env.journal, &l->client);
    return l->view;
}

struct view *loop_view_now(struct loop *l)
{
    if (!l->alone)
        loop_close_view(l);
    return loop_view(l);
}

struct buf *loop_reply(struct loop *l)
{
    buf_reset(&l->reply, REPLY_BYTES_KEEP);
    return &l->reply;
}

bool loop_submit(struct loop *l, struct entry *e)
{
    if (!journal_submit(l->env.journal, &l->client, e))
        return false;
    l->in_flight++;
    /* Submitted behind this round's journal_turn, it would wait for the next wake. */
    l->again = true;
    return true;
}

bool loop_submit_command(struct loop *l, const struct command *cmd,
                         void (*done)(struct journal_client *owner, struct entry *e))
{
    struct entry *e = entry_new(&l->entries, cmd);
    if (!e)
        return false;
    e->owner = &l->client;
    e->done = done;
    if (loop_submit(l, e))
        return true;
    entry_free(e);
    return false;
}
