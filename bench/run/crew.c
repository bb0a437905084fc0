/* crew.c: shares the connections of a load out among its threads. */
#include "bench/run/crew.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/link.h"
#include "bench/load/turn.h"
#include "bench/run/plan.h"
#include "bench/via/via.h"

/* A link of a part: its share of the ops, of the rate and of the keys. */
static bool crew_add_link(struct worker *w, const struct plan_part *p, uint32_t index)
{
    struct load *load = w->load;
    const struct options *o = load->o;
    struct load_link *l = &w->links[w->n_links++];
    uint32_t ops = (uint32_t)(p->ops / p->links + (index < p->ops % p->links));
    if (!link_init(l, w, p->role, index, ops, p->role->parts ? p->role->parts : (uint32_t)o->batch + 1))
        return false;
    bool paced = p->role->paced || load->mode == MODE_consume;
    if (o->rate > 0 && paced) {
        l->pace.per_s = o->rate / (double)o->batch / (double)p->links;
        l->pace.ramp_s = (double)o->ramp / 1e9;
        l->pace.phase = ((double)index + 0.5) / (double)p->links;
    } else if (paced) {
        l->join_ns = o->ramp / (int64_t)p->links * index;
    }
    if (p->role->sends)
        atomic_fetch_add(&load->senders, 1);
    if (!load->oracle || !p->role->sends)
        return true;
    l->n_keys = plan_keys_a_link(load);
    return (l->key_taken = calloc(l->n_keys, 1)) != NULL;
}

static bool crew_add_workers(struct crew *c)
{
    for (unsigned i = 0; i < c->n_workers; i++) {
        struct worker *w = &c->workers[i];
        w->links = calloc(c->n_links / c->n_workers + 1, sizeof *w->links);
        if (!worker_init(w, c->load, i) || !w->links)
            return false;
    }
    return true;
}

/* Two of each link, one of each op. */
static bool crew_reserve_reminders(struct worker *w)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < w->n_links; i++)
        n += w->links[i].n_ops + 2;
    return heap_reserve(&w->reminders, n);
}

bool crew_init(struct crew *c, struct load *load, unsigned n_workers)
{
    struct plan_part parts[PLAN_PARTS_MAX + 1];
    bool lib = load->o->lib;
    unsigned n_parts = lib ? 0 : plan_parts(load, parts), next = 0;
    assert(n_parts <= PLAN_PARTS_MAX);
    *c = (struct crew){.load = load, .workers = calloc(n_workers, sizeof *c->workers)};
    if (!c->workers)
        return false;
    c->n_workers = n_workers;
    c->n_links = lib ? (unsigned)load->o->connections : 0;
    for (unsigned i = 0; i < n_parts; i++)
        c->n_links += (unsigned)parts[i].links;
    if (!crew_add_workers(c))
        return false;
    for (unsigned p = 0; p < n_parts; p++) {
        for (uint32_t k = 0; k < parts[p].links; k++) {
            if (!crew_add_link(&c->workers[next++ % n_workers], &parts[p], k))
                return false;
        }
    }
    for (unsigned i = 0; i < n_workers; i++) {
        if (!crew_reserve_reminders(&c->workers[i]))
            return false;
    }
    return true;
}

void crew_fini(struct crew *c)
{
    for (unsigned i = 0; i < c->n_workers; i++) {
        struct worker *w = &c->workers[i];
        for (unsigned k = 0; w->links && k < w->n_links; k++)
            link_fini(&w->links[k]);
        free(w->links);
        worker_fini(w);
    }
    free(c->workers);
}

bool crew_start(struct crew *c, char *err, size_t err_size)
{
    void *(*run)(void *worker) = c->load->o->lib ? via_main : turn_main;
    for (unsigned i = 0; i < c->n_workers; i++) {
        int why = pthread_create(&c->workers[i].thread, NULL, run, &c->workers[i]);
        if (why != 0) {
            snprintf(err, err_size, "no thread: %s", strerror(why));
            atomic_store(&c->load->abort, true);
            return false;
        }
        c->n_started++;
    }
    return true;
}

void crew_wake(struct crew *c)
{
    for (unsigned i = 0; i < c->n_started; i++)
        worker_wake(&c->workers[i]);
}

void crew_join(struct crew *c)
{
    crew_wake(c);
    for (unsigned i = 0; i < c->n_started; i++)
        pthread_join(c->workers[i].thread, NULL);
}
