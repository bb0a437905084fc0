/* gather.c: collects messages for a reply (gather.h). */
#include "storage/query/gather.h"

void gather_add(struct gather *g, const struct place *p, const struct message *m)
{
    emit_message(&g->items, p, m);
    g->bytes += m->body.len;
    g->n++;
}

void gather_end(struct gather *g, enum status s, struct buf *reply)
{
    if (g->items.failed)
        s = ST_NOMEM;
    if (s == ST_OK) {
        reply_array(reply, g->n);
        buf_put_slice(reply, buf_slice(&g->items));
    } else {
        view_refuse(reply, s, "store", slice_of(NULL, 0));
    }
    buf_free(&g->items);
}
