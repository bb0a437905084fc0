/* sieve.c: the queue of entries for which messages are looked at, and the steps (sieve.h). */
#include "broker/serve/sieve.h"

#include "broker/serve/session.h"
#include "storage/query.h"

static struct sieve *sieve_of(struct loop *l)
{
    return &serve_of(l)->sieve;
}

/* Hands it back as one that the journal had no room for. */
static void sieve_give_up(struct loop *l, struct entry *e)
{
    entry_sift_over(e);
    entry_again(e);
    e->fate = ST_BUSY;
    e->done(&l->client, e);
}

/* Submits it with what was found. Where that is nothing, the POP finds out why by itself. */
static void sieve_submit(struct loop *l, struct entry *e, bool failed)
{
    entry_again(e);
    e->sift_failed = failed;
    e->cmd.sifted = sifter_found(e->sifter);
    e->sifted_all = sifter_saw_all(e->sifter);
    e->sifts = failed || sifter_filters(e->sifter);
    if (!loop_submit(l, e))
        sieve_give_up(l, e);
}

static bool sieve_is_wanted(struct loop *l, const struct entry *e)
{
    struct conn *c = conn_at(l, e->slot, e->generation);
    return c && !conn_is_doomed(c);
}

/* Does a step for the entry at work, or the next one. */
static void sieve_step(struct loop *l)
{
    struct sieve *q = sieve_of(l);
    struct entry *e = q->working ? q->working : entry_pop(&q->entries);
    struct view *v = sieve_is_wanted(l, e) ? loop_view(l) : NULL;
    enum status s = v ? sifter_step(e->sifter, v) : ST_OK;
    q->turn = l->turn;
    q->working = s == ST_BUSY ? e : NULL;
    if (!v)
        sieve_give_up(l, e);
    else if (s != ST_BUSY)
        sieve_submit(l, e, s != ST_OK);
}

bool sieve_begin(struct loop *l, struct entry *e)
{
    struct sieve *q = sieve_of(l);
    entry_sift_over(e);
    e->sifter = sifter_new(&e->cmd, e->out.sift ? buf_slice(&e->out.text) : slice_of(NULL, 0));
    if (!e->sifter)
        return false;
    entry_push(&q->entries, e);
    if (q->entries.n == 1 && !q->working && q->turn != l->turn)
        sieve_step(l);
    return true;
}

bool sieve_run(struct loop *l)
{
    struct sieve *q = sieve_of(l);
    if ((q->working || q->entries.n) && q->turn != l->turn)
        sieve_step(l);
    return q->working || q->entries.n;
}

void sieve_fini(struct loop *l)
{
    struct sieve *q = sieve_of(l);
    if (q->working)
        sieve_give_up(l, q->working);
    while (q->entries.n)
        sieve_give_up(l, entry_pop(&q->entries));
}
