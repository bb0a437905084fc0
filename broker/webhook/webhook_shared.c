/*
 * webhook_shared.c: submits the webhooks' commands to the journal, and counts what is under way.
 */
#include "broker/webhook/webhook_shared.h"

bool webhook_submit(struct webhook_shared *s, const struct command *cmd,
                    void (*done)(struct journal_client *owner, struct entry *e), void *arg)
{
    struct entry *e = entry_new(NULL, cmd);
    if (!e)
        return false;
    e->owner = &s->client;
    e->done = done;
    e->arg = arg;
    if (!journal_submit(s->journal, &s->client, e)) {
        entry_free(e);
        return false;
    }
    s->in_flight++;
    s->again = true;
    return true;
}
