/* submit.c: submits, or keeps in a list until there is room in the journal (submit.h). */
#include "broker/serve/submit.h"

#define RETRY_MS 20

static void submit_arm(struct submit_late *late, struct loop *l)
{
    /* Without memory for the timer, the next command that comes here sets it. */
    if (late->entries.n && !timer_is_set(&late->retry) &&
        timer_set(&l->timers, &late->retry, timers_now() + RETRY_MS) != ST_OK)
        return;
}

static void submit_retry_fires(struct timer *t, void *arg)
{
    struct submit_late *late = (struct submit_late *)((char *)t - offsetof(struct submit_late, retry));
    struct entry_list rest = {0};
    for (struct entry *e; !rest.n && (e = entry_pop(&late->entries));) {
        if (!loop_submit(arg, e))
            entry_push(&rest, e);
    }
    entry_append(&rest, &late->entries);
    late->entries = rest;
    submit_arm(late, arg);
}

void submit_late_init(struct submit_late *late)
{
    *late = (struct submit_late){.retry.fire = submit_retry_fires};
}

void submit_late_fini(struct submit_late *late)
{
    for (struct entry *e; (e = entry_pop(&late->entries));)
        entry_free(e);
}

bool submit_own(struct submit_late *late, struct loop *l, const struct command *cmd,
                void (*done)(struct journal_client *owner, struct entry *e))
{
    struct entry *e = entry_new(&l->entries, cmd);
    if (!e)
        return false;
    e->owner = &l->client;
    e->done = done;
    if (!late->entries.n && loop_submit(l, e))
        return true;
    if (late->entries.bytes + e->bytes > SUBMIT_LATE_MAX) {
        entry_free(e);
        return false;
    }
    entry_push(&late->entries, e);
    submit_arm(late, l);
    return true;
}
