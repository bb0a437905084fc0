/* outgoing.c: takes messages through the interceptors; see outgoing.h. */
#include "clients/c/roles/outgoing.h"

#include <stdlib.h>
#include <string.h>

static bool outgoing_sets(const struct hmq_outgoing *o, const char *name)
{
    for (size_t i = 0; i < o->n_set; i++)
        if (strcmp(o->set[i].name, name) == 0)
            return true;
    return false;
}

/* The properties of the caller, but for those that were set, and these. */
static bool outgoing_gather(struct hmq_outgoing *o)
{
    const hmq_prop *given = o->options.props;
    size_t n = o->options.n_props;
    o->all = calloc(n + o->n_set, sizeof *o->all);
    if (!o->all)
        return false;
    o->options.n_props = 0;
    for (size_t i = 0; i < n; i++)
        if (!outgoing_sets(o, given[i].name))
            o->all[o->options.n_props++] = given[i];
    for (size_t i = 0; i < o->n_set; i++)
        o->all[o->options.n_props++] = o->set[i];
    o->options.props = o->all;
    return true;
}

enum hmq_status outgoing_begin(struct hmq_outgoing *o, struct hmq_client *c, struct parcel *p, hmq_error *err)
{
    const struct interceptors *all = &client_options(c)->interceptors;
    *o = (struct hmq_outgoing){.client = c, .parcel = p};
    enum hmq_status status = parcel_options(p, &o->options, err);
    if (status != HMQ_OK)
        return status;
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i].send)
            o->spans.of[i] = all->list[i].send(all->list[i].arg, o);
    if (o->n_set > 0 && !outgoing_gather(o)) {
        hmq_error none = {HMQ_ENOMEM, "out of memory"};
        outgoing_end(c, &o->spans, NULL, &none);
        outgoing_fini(o);
        return error_plain(err, HMQ_ENOMEM);
    }
    p->options = &o->options;
    return HMQ_OK;
}

void outgoing_fini(struct hmq_outgoing *o)
{
    for (size_t i = 0; i < o->n_set; i++) {
        free((char *)(uintptr_t)o->set[i].name);
        free((char *)(uintptr_t)o->set[i].value);
    }
    free(o->all);
}

void outgoing_end(struct hmq_client *c, const struct intercept_spans *spans, const char *id, const hmq_error *err)
{
    const struct interceptors *all = &client_options(c)->interceptors;
    for (size_t i = all->n; i-- > 0;)
        if (all->list[i].sent)
            all->list[i].sent(all->list[i].arg, spans->of[i], id, err);
}

struct outgoing_later *outgoing_later(const struct hmq_outgoing *o, hmq_sent_fn sent, hmq_half_fn half, void *arg)
{
    struct outgoing_later *later = malloc(sizeof *later);
    if (later)
        *later = (struct outgoing_later){o->client, o->spans, sent, half, arg};
    return later;
}

void outgoing_sent(void *arg, const char *id, const hmq_error *err)
{
    struct outgoing_later *later = arg;
    outgoing_end(later->client, &later->spans, id, err);
    if (later->sent)
        later->sent(later->arg, id, err);
    free(later);
}

void outgoing_half(void *arg, hmq_txid txid, const hmq_error *err)
{
    struct outgoing_later *later = arg;
    outgoing_end(later->client, &later->spans, NULL, err);
    if (later->half)
        later->half(later->arg, txid, err);
    free(later);
}

void outgoing_failed(struct outgoing_later *later, const hmq_error *err)
{
    outgoing_end(later->client, &later->spans, NULL, err);
    free(later);
}

/* ---- public functions ---- */

const char *hmq_outgoing_topic(const hmq_outgoing *o)
{
    return o->parcel->topic;
}

const void *hmq_outgoing_body(const hmq_outgoing *o, size_t *ret_len)
{
    if (ret_len)
        *ret_len = o->parcel->len;
    return o->parcel->body;
}

const char *hmq_outgoing_prop(const hmq_outgoing *o, const char *name)
{
    for (size_t i = 0; i < o->n_set; i++)
        if (strcmp(o->set[i].name, name) == 0)
            return o->set[i].value;
    for (size_t i = 0; i < o->options.n_props; i++)
        if (strcmp(o->options.props[i].name, name) == 0)
            return o->options.props[i].value;
    return hmq_message_prop(o->options.like, name);
}

enum hmq_status hmq_outgoing_set_prop(hmq_outgoing *o, const char *name, const char *value)
{
    size_t i = 0;
    if (!name || !value)
        return HMQ_EINVAL;
    while (i < o->n_set && strcmp(o->set[i].name, name) != 0)
        i++;
    if (i == OUTGOING_PROPS_MAX)
        return HMQ_EAGAIN;
    char *copy = strdup(value), *new_name = i < o->n_set ? NULL : strdup(name);
    if (!copy || (i == o->n_set && !new_name)) {
        free(copy);
        free(new_name);
        return HMQ_ENOMEM;
    }
    if (i < o->n_set)
        free((char *)(uintptr_t)o->set[i].value);
    else
        o->set[o->n_set++].name = new_name;
    o->set[i].value = copy;
    return HMQ_OK;
}
