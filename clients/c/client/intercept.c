/* intercept.c: calls the interceptors around messages received, the first one outermost; see intercept.h. */
#include "clients/c/client/intercept.h"

#include <stdlib.h>

void intercept_receive(const struct interceptors *all, const hmq_message *m, struct intercept_spans *ret_spans)
{
    *ret_spans = (struct intercept_spans){{0}};
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i].receive)
            ret_spans->of[i] = all->list[i].receive(all->list[i].arg, m);
}

void intercept_received(const struct interceptors *all, const hmq_message *m, enum hmq_verdict verdict,
                        const struct intercept_spans *spans)
{
    for (size_t i = all->n; i-- > 0;)
        if (all->list[i].received)
            all->list[i].received(all->list[i].arg, spans->of[i], m, verdict);
}

/* What is told when the batch is freed. */
struct intercept_ends {
    struct interceptors all; /* a copy: the batch may outlive the client */
    struct intercept_spans spans[];
};

static void intercept_batch_freed(struct hmq_batch *batch)
{
    struct intercept_ends *ends = batch->freed_arg;
    for (size_t i = batch->n; i-- > 0;)
        intercept_received(&ends->all, &batch->items[i], HMQ_KEEP, &ends->spans[i]);
    free(ends);
}

void intercept_batch(const struct interceptors *all, struct hmq_batch *batch)
{
    if (all->n == 0)
        return;
    struct intercept_ends *ends = malloc(sizeof *ends + batch->n * sizeof *ends->spans);
    if (!ends)
        return;
    ends->all = *all;
    for (size_t i = 0; i < batch->n; i++)
        intercept_receive(&ends->all, &batch->items[i], &ends->spans[i]);
    batch->freed = intercept_batch_freed;
    batch->freed_arg = ends;
}
