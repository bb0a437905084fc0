/* log_columns.c: reads the columns of records (log_columns.h). */
#include "storage/model/log_columns.h"

#include "storage/model/queue.h"

#define COLUMNS_KEEP_BYTES KIB(256) /* of the buffers of the maker */

static void columns_slot_init(struct columns_here *here)
{
    buf_init(&here->row, 0);
    buf_init(&here->wanted, 0);
}

static void columns_slot_free(struct columns_here *here)
{
    buf_free(&here->row);
    buf_free(&here->wanted);
}

void log_columns_init(struct state *st)
{
    for (size_t i = 0; i < COLUMNS_SLOTS; i++)
        columns_slot_init(&st->columns.slots[i]);
    columns_slot_init(&st->columns.apart);
    columns_maker_init(&st->columns.maker);
    buf_init(&st->columns.class_row, 0);
}

void log_columns_fini(struct state *st)
{
    for (size_t i = 0; i < COLUMNS_SLOTS; i++)
        columns_slot_free(&st->columns.slots[i]);
    columns_slot_free(&st->columns.apart);
    columns_maker_free(&st->columns.maker);
    buf_free(&st->columns.class_row);
    overlay_fini(&st->columns.fresh);
}

struct columns_maker *log_columns_maker(struct state *st)
{
    st->columns.apart.count = 0;
    columns_maker_reset(&st->columns.maker, COLUMNS_KEEP_BYTES);
    return &st->columns.maker;
}

void log_columns_put(struct state *st, const struct key *key, struct slice row)
{
    overlay_put(&st->columns.fresh, key, row);
    st->sick = st->sick || st->columns.fresh.failed;
}

void log_columns_begin_group(struct state *st)
{
    overlay_clear(&st->columns.fresh);
}

static bool columns_slot_has(const struct columns_here *here, uint64_t topic, uint32_t queue, uint64_t base)
{
    return here->count && here->topic == topic && here->queue == queue && here->base == base;
}

/* From here on it has the columns of that record. */
static void columns_slot_take(struct columns_here *here, uint64_t topic, uint32_t queue, const struct record_info *info)
{
    here->topic = topic;
    here->queue = queue;
    here->base = info->base;
    here->count = info->count;
    here->wanted_ref = 0;
}

/* Makes the columns of a record from its messages. */
static enum status columns_of_record(struct state *st, const struct topic *t, uint32_t queue,
                                     const struct record_info *info)
{
    struct finder_queue fq = {.topic = t->id, .queue = queue, .compress = t->compress};
    struct columns_maker *maker = log_columns_maker(st);
    struct record_header h;
    struct slice record;
    enum status s = finder_record(&st->finder, &fq, info->base, &h, &record);
    if (s == ST_OK && (h.base != info->base || h.count != info->count))
        s = ST_DAMAGED;
    for (uint32_t i = 0; i < info->count && s == ST_OK; i++) {
        struct message m;
        s = record_message(record, &h, i, &m) == ST_OK ? ST_OK : ST_DAMAGED;
        if (s == ST_OK)
            columns_add(maker, i, &m);
    }
    if (s == ST_OK && !columns_whole(maker))
        s = ST_NOMEM;
    st->columns.apart.columns = columns_made(maker, info->count);
    return s == ST_GONE ? ST_DAMAGED : s;
}

/* Reads the row B of a record into a slot, or, where it is large, apart. ST_BAD: it is not one. */
static enum status columns_of_row(struct state *st, const struct topic *t, uint32_t queue,
                                  const struct record_info *info, struct columns_here **here)
{
    struct key key = key_directory(t->id, queue, info->base);
    struct buf *row = &(*here)->row;
    (*here)->count = 0;
    buf_reset(row, COLUMNS_SLOT_BYTES);
    struct slice known = ahead_value(&st->finder.ahead, t->id, queue, info->base);
    enum status s = ST_OK;
    if (known.len)
        buf_put_slice(row, known);
    else if (queue_unwritten(st, &t->queues[queue], info->base))
        s = overlay_get(&st->columns.fresh, &key, row);
    else
        s = kv_get(st->kv, KV_STATE, NULL, key_slice(&key), row);
    if (s == ST_OK && row->failed)
        s = ST_NOMEM;
    if (s != ST_OK)
        return s;
    if (row->size > COLUMNS_SLOT_BYTES && *here != &st->columns.apart) {
        struct buf large = *row;
        *row = st->columns.apart.row;
        st->columns.apart.row = large;
        st->columns.apart.count = 0;
        *here = &st->columns.apart;
    }
    return directory_columns(buf_slice(&(*here)->row), info->count, &(*here)->columns);
}

enum status log_columns_here(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                             struct columns_here **ret_here)
{
    const struct tail *tail = t->queues[queue].tail;
    struct columns_here *apart = &st->columns.apart;
    struct columns_here *here = &st->columns.slots[(t->id * 7 + queue) % COLUMNS_SLOTS];
    *ret_here = apart;
    if (!info->columns || (tail && info->base == tail->base)) {
        columns_slot_take(apart, t->id, queue, info);
        apart->count = 0; /* it may grow */
        apart->columns = info->columns ? columns_made(&tail->columns, tail->count) : (struct columns){0};
        return ST_OK;
    }
    if (columns_slot_has(here, t->id, queue, info->base) || columns_slot_has(apart, t->id, queue, info->base)) {
        *ret_here = columns_slot_has(here, t->id, queue, info->base) ? here : apart;
        return ST_OK;
    }
    enum status s = columns_of_row(st, t, queue, info, &here);
    if (s == ST_BAD || s == ST_GONE || s == ST_DAMAGED) {
        here = apart;
        s = columns_of_record(st, t, queue, info);
    }
    if (s != ST_OK)
        return s;
    columns_slot_take(here, t->id, queue, info);
    *ret_here = here;
    return ST_OK;
}

enum status log_columns(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                        struct columns *ret_c)
{
    struct columns_here *here = NULL;
    enum status s = log_columns_here(st, t, queue, info, &here);
    *ret_c = s == ST_OK ? here->columns : (struct columns){0};
    return s;
}
