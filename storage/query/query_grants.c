/*
 * query_grants.c: the messages that POP granted, as the array that answers it (query.h). Messages of several queues
 * are put into the order in which they were stored, or, where the POP went by PRIORITY, those of higher classes first.
 */
#include "storage/query.h"

#include <stdlib.h>

#include "storage/query/base/gather.h"

/* Where the tokens of a message are, and its place in the order in which messages were stored. */
struct piece {
    uint64_t index, seq;
    size_t at, len;
    uint8_t class;
};

static int grants_compare(const void *x, const void *y)
{
    const struct piece *a = x, *b = y;
    if (a->class != b->class)
        return a->class > b->class ? -1 : 1;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

struct grants {
    struct view *v;
    struct slice group;
    struct gather g;
    struct buf items; /* of g */
    struct piece *pieces;
    uint32_t n_pieces, size;
    bool by_class; /* messages of higher PRIORITY come first */
    bool full; /* the rest begins at `done` */
    struct granted done;
    /* The record that was read last. Many grants may be in one: each message that was requeued alone is one of them. */
    const struct grant *of; /* some grant of its topic and queue; NULL: there is no iterator */
    struct kv_iter *it;
    struct record_header h; /* count 0: it stands on none */
};

static enum status grant_message(struct grants *gs, const struct grant *gr, uint64_t offset,
                                 struct slice record, const struct record_header *h)
{
    struct message m;
    gs->full = gather_full(&gs->g);
    if (gs->full) {
        gs->done.offset = offset;
        return ST_OK;
    }
    if (record_message(record, h, (uint32_t)(offset - h->base), &m) != ST_OK)
        return ST_DAMAGED;
    if (gs->n_pieces == gs->size)
        return ST_NOMEM;
    struct place p = {gr->topic, gr->queue, offset, h->stored_ms, gr->attempt, gr->lease_until_ms, gs->group};
    struct piece *piece = &gs->pieces[gs->n_pieces++];
    bool other = gs->by_class && m.fields & MSG_PRIORITY;
    uint8_t class = other ? m.priority : MESSAGE_PRIORITY_DEFAULT;
    *piece = (struct piece){h->index, m.seq, gs->items.len, 0, class};
    gather_add(&gs->g, &p, &m);
    piece->len = gs->items.len - piece->at;
    return ST_OK;
}

/* Opens an iterator over the grant's queue, unless the last one is. False: no memory. */
static bool grant_open(struct grants *gs, const struct grant *gr)
{
    if (gs->of && gs->of->topic_id == gr->topic_id && gs->of->queue == gr->queue)
        return true;
    if (gs->of)
        kv_iter_free(gs->it);
    gs->h.count = 0;
    gs->it = view_grant(gs->v, gr);
    gs->of = gs->it ? gr : NULL;
    return gs->it != NULL;
}

static enum status grant_run(struct grants *gs, const struct grant *gr)
{
    enum status s = ST_OK;
    if (!grant_open(gs, gr))
        return ST_NOMEM;
    struct record_header *h = &gs->h;
    for (uint32_t i = 0; i < gr->count && s == ST_OK && !gs->full; i++) {
        if (gr->bits && !((gr->bits[i / 64] >> (i % 64)) & 1))
            continue;
        uint64_t offset = gr->base + i;
        if (h->count == 0 || offset < h->base || offset >= h->base + h->count)
            s = records_seek_on(gs->it, gr->topic_id, gr->queue, offset, h);
        if (s == ST_OK)
            s = offset >= h->base ? grant_message(gs, gr, offset, kv_iter_value(gs->it), h) : ST_GONE;
        if (s != ST_DAMAGED && s != ST_GONE)
            continue;
        uint64_t last = offset;
        s = view_skip(gs->v, gr, offset, &last);
        i = last - gr->base < gr->count ? (uint32_t)(last - gr->base) : gr->count - 1;
        h->count = 0;
    }
    return s;
}

static uint32_t grants_live(const struct outcome *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < out->n_grants; i++) {
        const struct grant *g = &out->grants[i];
        for (uint32_t w = 0; g->bits && w < (g->count + 63) / 64; w++)
            n += (uint32_t)__builtin_popcountll(g->bits[w]);
        n += g->bits ? 0 : g->count;
    }
    return n;
}

/* Reads the grants up to the reply's limit, and says in gs->done where the rest begins. */
static enum status grants_read(struct grants *gs, const struct outcome *out)
{
    enum status s = gs->pieces ? ST_OK : ST_NOMEM;
    for (uint32_t i = 0; i < out->n_grants && s == ST_OK && !gs->full; i++) {
        gs->done.grant = i;
        s = grant_run(gs, &out->grants[i]);
    }
    if (!gs->full)
        gs->done.grant = out->n_grants;
    if (gs->of)
        kv_iter_free(gs->it);
    return s;
}

void query_grants(struct view *v, struct slice group, const struct outcome *out, struct buf *reply,
                  struct granted *ret_done)
{
    struct grants gs = {.v = v, .group = group, .by_class = out->by_class, .size = grants_live(out)};
    gs.g = (struct gather){.items = &gs.items, .count = UINT32_MAX, .most = v->reply_most};
    v->n_lost = 0;
    buf_init(&gs.items, REPLY_BYTES_MAX);
    gs.pieces = calloc(gs.size ? gs.size : 1, sizeof(*gs.pieces));
    enum status s = grants_read(&gs, out);
    if (s == ST_OK && gs.items.failed)
        s = ST_NOMEM;
    if (s == ST_OK) {
        qsort(gs.pieces, gs.n_pieces, sizeof(*gs.pieces), grants_compare);
        reply_array(reply, gs.n_pieces);
        for (uint32_t i = 0; i < gs.n_pieces; i++)
            buf_put(reply, gs.items.data + gs.pieces[i].at, gs.pieces[i].len);
    } else {
        view_refuse(reply, s, "store", group);
    }
    gs.done.n = gs.n_pieces;
    gs.done.bytes = gs.g.bytes;
    *ret_done = s == ST_OK ? gs.done : (struct granted){.offset = out->n_grants ? out->grants[0].base : 0};
    free(gs.pieces);
    buf_free(&gs.items);
}
