/* intercept.c: calls the interceptors around a handler, the first one outermost; see intercept.h. */
#include "clients/c/client/intercept.h"

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
