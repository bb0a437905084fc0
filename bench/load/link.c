/* link.c: makes a link and its ops, asks, pauses, ends an op. Nothing here touches the socket. */
#include "bench/load/link.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define BUFFER_CAP (1024u * 1024 * 1024)

static uint32_t link_number(const struct load_link *l, const struct op *op)
{
    return (uint32_t)(op - l->ops);
}

bool link_init(struct load_link *l, struct worker *w, const struct role *role, uint32_t index, uint32_t n_ops,
               uint32_t span)
{
    *l = (struct load_link){
        .worker = w, .role = role, .index = index, .fd = -1, .net = NET_NONE, .n_ops = n_ops, .span = span};
    l->connect_later = (struct reminder){.link = l, .what = REMIND_CONNECT};
    l->start_later = (struct reminder){.link = l, .what = REMIND_START};
    buf_init(&l->out, BUFFER_CAP);
    buf_init(&l->in, BUFFER_CAP);
    l->chance = chance_from(w->load->o->seed, (uint64_t)index * 4 + (role->sends ? 1 : 2));
    l->ops = calloc(n_ops, sizeof *l->ops);
    l->free_ops = calloc(n_ops, sizeof *l->free_ops);
    /* An op asks at most span things at once. */
    if (!speech_init(&l->speech, w->load->dialect, n_ops * span + 1) || !l->ops || !l->free_ops)
        return false;
    for (uint32_t i = 0; i < n_ops; i++) {
        buf_init(&l->ops[i].receipts, 0);
        l->ops[i].pause = (struct reminder){.link = l, .what = i};
        l->free_ops[l->n_free++] = n_ops - 1 - i;
    }
    return true;
}

void link_fini(struct load_link *l)
{
    if (l->net.fd >= 0)
        net_close(&l->net);
    else if (l->fd >= 0)
        close(l->fd);
    for (uint32_t i = 0; l->ops && i < l->n_ops; i++) {
        buf_free(&l->ops[i].receipts);
        free(l->ops[i].seen);
    }
    if (l->role->forget)
        l->role->forget(l);
    free(l->ops);
    free(l->free_ops);
    free(l->key_taken);
    speech_fini(&l->speech);
    buf_free(&l->out);
    buf_free(&l->in);
}

uint32_t link_claim_batch(struct load_link *l, int64_t intended_ns)
{
    struct load *load = l->worker->load;
    return load_claim(load, (uint32_t)load->o->batch, intended_ns);
}

void link_ask(struct load_link *l, struct op *op, uint32_t part, struct wire_ask *ask)
{
    ask->tag = link_number(l, op) * l->span + part;
    speech_put(&l->speech, &l->out, ask);
}

void link_pause(struct load_link *l, struct op *op, int64_t for_ns)
{
    worker_remind(l->worker, &op->pause, l->worker->now_ns + for_ns);
}

void link_done(struct load_link *l, struct op *op)
{
    assert(op->active && op->left == 0);
    op->active = false;
    l->n_active--;
    l->free_ops[l->n_free++] = link_number(l, op);
}
