/* gather.c: collects messages for a reply (gather.h). */
#include "storage/query/base/gather.h"

#define MESSAGE_GUESS_BYTES 192 /* a short body and its attributes */
#define FIRST_BYTES_MAX KIB(32)

/* Room for a usual reply is made at once: growing step by step would copy the messages several times. */
void gather_begin(struct gather *g, struct buf *items, uint32_t count, size_t most)
{
    size_t guess = (size_t)count * MESSAGE_GUESS_BYTES;
    *g = (struct gather){.items = items, .count = count, .most = most};
    buf_init(items, REPLY_BYTES_MAX);
    (void)buf_room(items, guess < FIRST_BYTES_MAX ? guess : FIRST_BYTES_MAX); /* without memory it is `failed` */
}

void gather_add(struct gather *g, const struct place *p, const struct message *m)
{
    emit_message(g->items, p, m);
    g->bytes += m->body.len;
    g->n++;
}

void gather_end(struct gather *g, enum status s, struct buf *reply)
{
    if (g->items->failed)
        s = ST_NOMEM;
    if (s == ST_OK) {
        reply_array(reply, g->n);
        buf_put_slice(reply, buf_slice(g->items));
    } else {
        view_refuse(reply, s, "store", slice_of(NULL, 0));
    }
    buf_free(g->items);
}
