/* order.c: held keys and skipped messages together, in memory and as rows (order.h). */
#include "storage/group/order.h"

#include <stdlib.h>

#include "storage/group/waiting.h"
#include "storage/model/log.h"

struct order *order_new(void)
{
    struct order *o = calloc(1, sizeof(*o));
    if (o)
        skips_init(&o->skips);
    return o;
}

void order_clear(struct order *o)
{
    keyring_free_all(&o->ring);
    skips_fini(&o->skips);
}

void order_free(struct order *o)
{
    if (!o)
        return;
    order_clear(o);
    free(o);
}

size_t order_bytes(const struct order *o)
{
    return sizeof(*o) + keyring_bytes(&o->ring) + skips_bytes(&o->skips);
}

/* ---- rows ---- */

void order_count(struct order *o, struct cursor_row *row)
{
    row->skipped = o->skips.n;
    row->skipped_rows = o->skips.blocks;
    for (struct skip *b = skips_from_queue(&o->skips, 0); b; b = skips_from_queue(&o->skips, b->queue + 1))
        row->skipped_back[b->queue] = 1 + (b->base < row->next[b->queue] ? row->next[b->queue] - b->base : 0);
}

static void order_save(struct state *st, uint64_t gt, const struct skip *b)
{
    struct skip_row row;
    memcpy(row.bits, b->bits, sizeof(row.bits));
    buf_reset(&st->scratch2, KIB(64));
    skip_encode(&st->scratch2, &row);
    struct key key = key_skipped(gt, b->queue, b->base, b->attempt, b->delivered);
    core_put(st, &key, core_row(st));
}

void order_flush(struct order *o, struct state *st, uint64_t gt)
{
    struct skips *s = &o->skips;
    /* Deletions first: another block may have taken the place of one that is gone. */
    for (const struct skip *b = s->dirty; b; b = b->dirty_next) {
        if (!b->gone || !b->row)
            continue;
        struct key key = key_skipped(gt, b->queue, b->base, b->attempt, b->delivered);
        core_del(st, &key);
    }
    for (struct skip *b = s->dirty, *next = NULL; b; b = next) {
        next = b->dirty_next;
        b->dirty = false;
        if (b->gone) {
            free(b);
            continue;
        }
        order_save(st, gt, b);
        b->row = true;
    }
    s->dirty = NULL;
    s->dirty_end = &s->dirty;
}

/* ---- reading ---- */

enum status order_read(struct order_reader *r, uint32_t queue, uint64_t offset, struct ring_place *ret_p)
{
    struct record_info *info = &r->info;
    bool known = info->count && r->queue == queue && offset >= info->base && offset - info->base < info->count;
    enum status s = ST_OK;
    if (!known) {
        s = log_locate(r->st, r->topic, queue, offset, info);
        if (s == ST_OK && offset >= info->base)
            s = log_columns(r->st, r->topic, queue, info, &r->columns);
        else if (s == ST_OK)
            s = ST_GONE; /* it is lost: this is the record behind it */
    }
    r->queue = queue;
    *ret_p = (struct ring_place){.offset = offset, .queue = queue};
    if (s != ST_OK) {
        info->count = 0;
        return s == ST_GONE || s == ST_DAMAGED ? ST_OK : s;
    }
    *ret_p = order_place(r->st, info, queue, offset, columns_key(&r->columns, (uint32_t)(offset - info->base)));
    return ST_OK;
}

/* What order_load hands on to those who read rows. */
struct order_loading {
    struct order *o;
    struct order_reader reader;
    const struct cursor_row *cursor;
};

static enum status order_load_holder(struct order_loading *l, uint32_t queue, uint64_t offset)
{
    struct ring_place p;
    if (offset < l->reader.topic->queues[queue].floor)
        return ST_OK;
    enum status s = order_read(&l->reader, queue, offset, &p);
    return s == ST_OK && p.key ? keyring_hold(&l->o->ring, &p) : s;
}

static enum status order_load_run(struct order_loading *l, const struct run *r)
{
    enum status s = ST_OK;
    for (uint32_t i = 0; i < r->count && s == ST_OK; i++)
        if (run_has(r, r->base + i))
            s = order_load_holder(l, r->queue, r->base + i);
    return s;
}

static enum status order_load_leased(struct order_loading *l, struct runs *rs)
{
    enum status s = ST_OK;
    for (struct run *q = run_from_queue(rs, 0); q; q = run_from_queue(rs, q->queue + 1))
        for (struct run *r = q; r && s == ST_OK; r = run_behind(r, UINT64_MAX))
            s = order_load_run(l, r);
    return s;
}

static enum status order_load_waiting(void *arg, const struct wait_place *place, const struct run_row *row)
{
    struct order_loading *l = arg;
    const struct cursor_row *c = l->cursor;
    if (place->queue >= l->reader.topic->n_queues)
        return ST_OK;
    bool sought = c->sought && place->queue < c->n_queues && place->base < c->again[place->queue];
    if (sought && run_is_void(c->again_base[place->queue], row->attempt, row->delivered))
        return ST_OK;
    enum status s = ST_OK;
    for (uint32_t i = 0; i < row->count && s == ST_OK; i++)
        if ((row->bits[i / 64] >> (i % 64)) & 1)
            s = order_load_holder(l, place->queue, place->base + i);
    return s;
}

/* Adds the messages of a row Z, without what lies below the floor: that row is to be written again. */
static enum status order_load_skip(struct order_loading *l, struct slice key, struct slice value)
{
    struct skip_row row;
    uint32_t queue = key.len == SKIPPED_KEY_BYTES ? key_read_u32(key.data + 9) : UINT32_MAX;
    if (queue >= l->reader.topic->n_queues || skip_decode(value, &row) != ST_OK)
        return ST_BAD;
    uint64_t base = key_read_u64(key.data + 13);
    struct skip_past past = {key_read_u32(key.data + 21), key_read_u32(key.data + 25)};
    struct skip *b = skips_add_stored(&l->o->skips, queue, base, past, &row);
    enum status s = b ? ST_OK : ST_NOMEM;
    for (uint32_t i = 0; i < SKIP_SPAN && s == ST_OK; i++) {
        if (!((row.bits[i / 64] >> (i % 64)) & 1))
            continue;
        struct ring_place p;
        s = order_read(&l->reader, queue, base + i, &p);
        if (s == ST_OK)
            s = keyring_skip(&l->o->ring, &p, b);
    }
    return s;
}

static enum status order_load_skips_of(struct order_loading *l, struct kv_iter *it, uint64_t gt, uint32_t queue,
                                       uint64_t first, uint64_t most, uint64_t *n)
{
    struct key from = key_skipped(gt, queue, first, 0, 0);
    enum status s = ST_OK;
    for (kv_iter_seek(it, key_slice(&from)); s == ST_OK && *n < most && kv_iter_valid(it); kv_iter_next(it), ++*n) {
        struct slice key = kv_iter_key(it);
        if (key.len == SKIPPED_KEY_BYTES && key_read_u32(key.data + 9) != queue)
            break;
        s = order_load_skip(l, key, kv_iter_value(it));
        if (s == ST_BAD)
            return kv_damaged_row(l->reader.st->kv, key);
    }
    return s == ST_OK ? kv_iter_status(it) : s;
}

static enum status order_load_skips(struct order_loading *l, uint64_t gt, const struct cursor_row *row)
{
    struct state *st = l->reader.st;
    struct key from = key_of_id('Z', gt), to = key_after(&from);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    enum status s = it ? ST_OK : ST_NOMEM;
    uint64_t n = 0;
    for (uint32_t q = 0; s == ST_OK && q < row->n_queues; q++)
        if (row->skipped_back[q])
            s = order_load_skips_of(l, it, gt, q, row->next[q] - (row->skipped_back[q] - 1), row->skipped_rows, &n);
    kv_iter_free(it);
    return s == ST_OK && n != row->skipped_rows ? core_bad_row(st, &from) : s;
}

static void order_load_ready(struct order *o)
{
    for (struct ring_message *m = keyring_walk(&o->ring, NULL); m; m = keyring_walk(&o->ring, m))
        if (keyring_ready(&o->ring, m))
            skips_ready(&o->skips, m->block, m->offset, m->index);
}

enum status order_load(struct order *o, struct state *st, struct topic *t, uint64_t gt, const struct cursor_row *row,
                       struct runs *rs)
{
    struct order_loading l = {o, {.st = st, .topic = t}, row};
    enum status s = order_load_leased(&l, rs);
    if (s == ST_OK && row->waiting_runs)
        s = waiting_visit(st, gt, &row->first, order_load_waiting, &l);
    if (s == ST_OK && row->skipped_rows)
        s = order_load_skips(&l, gt, row);
    if (s == ST_OK)
        order_load_ready(o);
    o->held_back = true; /* nobody knows whether somebody waits for that */
    return s;
}

/* ---- what changes ---- */

enum status order_skip(struct order *o, const struct ring_place *p, struct skip_past past)
{
    struct skip *b = skips_add(&o->skips, p->queue, p->offset, past);
    return b ? keyring_skip(&o->ring, p, b) : ST_NOMEM;
}

static bool order_ready(struct order *o, const struct ring_message *m)
{
    if (m)
        skips_ready(&o->skips, m->block, m->offset, m->index);
    return m != NULL;
}

bool order_done(struct order *o, uint32_t queue, uint64_t offset)
{
    struct ring_message *m = keyring_find(&o->ring, queue, offset);
    return m && !m->block && order_ready(o, keyring_free(&o->ring, m));
}

uint32_t order_done_some(struct order *o, uint32_t queue, uint64_t base, uint64_t bits)
{
    struct ring_message *found[64];
    uint32_t n = 0, ready = 0;
    for (; bits; bits &= bits - 1) {
        struct ring_message *m = keyring_find(&o->ring, queue, base + (uint64_t)__builtin_ctzll(bits));
        if (!m || m->block)
            continue;
        keyring_expect(&o->ring, m);
        found[n++] = m;
    }
    for (uint32_t i = 0; i < n; i++)
        ready += order_ready(o, keyring_free(&o->ring, found[i]));
    return ready;
}

bool order_demote(struct order *o, struct ring_message *m, struct skip_past past, enum status *ret_s)
{
    struct skip *b = skips_add(&o->skips, m->queue, m->offset, past);
    *ret_s = b ? ST_OK : ST_NOMEM;
    return b && order_ready(o, keyring_demote(&o->ring, m, b));
}

struct skip *order_oldest(struct order *o)
{
    return skips_oldest(&o->skips);
}

/* After ready messages have left a block, its age is that of the first one of the others. */
void order_settle(struct order *o, struct skip *b)
{
    uint64_t first = 0;
    const struct ring_message *m = skips_next(b, 0, &first) ? keyring_find(&o->ring, b->queue, first) : NULL;
    if (m)
        skips_sort(&o->skips, b, m->index);
}

struct ring_message *order_skipped(struct order *o, const struct skip *b, uint64_t offset)
{
    struct ring_message *m = keyring_find(&o->ring, b->queue, offset);
    assert(m && m->block == b);
    return m;
}

bool order_take(struct order *o, struct ring_message *m, bool drop)
{
    struct ring_message *next = NULL;
    assert(keyring_ready(&o->ring, m));
    skips_remove(&o->skips, m->block, m->offset);
    if (drop)
        next = keyring_drop(&o->ring, m);
    else
        keyring_take(&o->ring, m);
    return order_ready(o, next);
}

/* Drops the skipped messages of a queue below its floor, whether they are ready or not. */
static void order_cut_skips(struct order *o, uint32_t queue, uint64_t floor)
{
    for (struct skip *b = skips_from_queue(&o->skips, queue), *next = NULL; b; b = next) {
        if (b->queue != queue || b->base >= floor)
            return;
        next = skips_behind(b);
        bool left = true;
        for (uint32_t i = 0; i < SKIP_SPAN && b->base + i < floor && left; i++) {
            if (!((b->bits[i / 64] >> (i % 64)) & 1))
                continue;
            left = b->live > 1;
            skips_remove(&o->skips, b, b->base + i);
        }
        if (left)
            order_settle(o, b);
    }
}

static bool order_is_ready(const struct skip *b, uint64_t offset)
{
    uint64_t i = offset - b->base;
    return (b->ready[i / 64] >> (i % 64)) & 1;
}

static bool order_cut(struct order *o, ring_floor_fn *floor, const void *arg)
{
    bool any = false;
    for (struct skip *b = skips_from_queue(&o->skips, 0); b;) {
        uint32_t queue = b->queue;
        order_cut_skips(o, queue, floor(arg, queue));
        b = skips_from_queue(&o->skips, queue + 1);
    }
    keyring_cut(&o->ring, floor, arg);
    for (struct ring_message *m = keyring_walk(&o->ring, NULL); m; m = keyring_walk(&o->ring, m))
        if (keyring_ready(&o->ring, m) && !order_is_ready(m->block, m->offset))
            any = order_ready(o, m);
    return any;
}

static uint64_t order_floor_of(const void *arg, uint32_t queue)
{
    const struct topic *t = arg;
    return queue < t->n_queues ? t->queues[queue].floor : 0;
}

bool order_trim(struct order *o, const struct topic *t)
{
    return order_cut(o, order_floor_of, t);
}

static uint64_t order_all_of(const void *arg, uint32_t queue)
{
    const uint32_t *only = arg;
    return queue == *only ? UINT64_MAX : 0;
}

void order_forget(struct order *o, uint32_t queue)
{
    (void)order_cut(o, order_all_of, &queue);
}
