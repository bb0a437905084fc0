/* overlay.c: keeps the rows of the open group: bytes that are only appended to, rows that point into them, and a hash
 * table over the rows (overlay.h). */
#include "storage/disk/overlay.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/limits.h"
#include "protocol/base/text.h"

#define OVERLAY_ROWS_MIN 256
#define OVERLAY_KEEP_BYTES MIB(1)

struct overlay_row {
    uint64_t hash;
    size_t key_at, value_at;
    uint32_t key_len;
    uint32_t value_len;
    uint32_t apart_len; /* how many bytes of the value, its last ones, are not at value_at but at apart; 0: none */
    uint8_t source_len; /* of the key of the stored row that has those, which is behind the value; 0: none has them */
    bool deleted;
    const uint8_t *apart;
    size_t source_from; /* where in the stored row they are */
};

#define OVERLAY_APART_MIN KIB(4) /* a smaller part is copied */
#define OVERLAY_PINS_MIN 16

#define OVERLAY_KINDS ('u' - 'A' + 1) /* what a key begins with */

/* A row, by its key. */
struct overlay_place {
    struct slice key;
    uint32_t row;
};

enum status overlay_init(struct overlay *o, struct kv *kv)
{
    *o = (struct overlay){.kv = kv};
    buf_init(&o->bytes, (size_t)1 << 30);
    o->rows_size = OVERLAY_ROWS_MIN;
    o->slots_size = OVERLAY_ROWS_MIN * 2;
    o->rows = malloc(o->rows_size * sizeof(*o->rows));
    o->slots = calloc(o->slots_size, sizeof(*o->slots));
    o->order = malloc(o->rows_size * sizeof(*o->order));
    if (o->rows && o->slots && o->order)
        return ST_OK;
    overlay_fini(o);
    return ST_NOMEM;
}

static void overlay_unpin(struct overlay *o)
{
    for (uint32_t i = 0; i < o->n_pins; i++)
        kv_unpin(o->pins[i]);
    o->n_pins = 0;
}

void overlay_fini(struct overlay *o)
{
    buf_free(&o->bytes);
    free(o->rows);
    free(o->slots);
    free(o->order);
    overlay_unpin(o);
    free(o->pins);
    *o = (struct overlay){0};
}

static uint32_t overlay_slot(const struct overlay *o, uint64_t hash, struct slice key)
{
    uint32_t mask = o->slots_size - 1;
    uint32_t i = (uint32_t)hash & mask;
    while (o->slots[i]) {
        const struct overlay_row *row = &o->rows[o->slots[i] - 1];
        if (row->hash == hash && slice_equal(slice_of(o->bytes.data + row->key_at, row->key_len), key))
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static bool overlay_grow(struct overlay *o)
{
    uint32_t rows_size = o->rows_size * 2, slots_size = rows_size * 2;
    struct overlay_row *rows = realloc(o->rows, rows_size * sizeof(*rows));
    if (!rows)
        return false;
    o->rows = rows;
    struct overlay_place *order = realloc(o->order, rows_size * sizeof(*order));
    if (!order)
        return false;
    o->order = order;
    uint32_t *slots = calloc(slots_size, sizeof(*slots));
    if (!slots)
        return false;
    free(o->slots);
    o->slots = slots;
    o->rows_size = rows_size;
    o->slots_size = slots_size;
    for (uint32_t n = 0; n < o->n; n++) {
        uint32_t i = (uint32_t)o->rows[n].hash & (slots_size - 1);
        while (slots[i])
            i = (i + 1) & (slots_size - 1);
        slots[i] = n + 1;
    }
    return true;
}

/* Finds the row of a key, or adds one. NULL: no memory, and `failed` is set. */
static struct overlay_row *overlay_row(struct overlay *o, const struct key *key)
{
    if (o->failed || (o->n == o->rows_size && !overlay_grow(o))) {
        o->failed = true;
        return NULL;
    }
    struct slice k = key_slice(key);
    uint64_t hash = text_hash(k);
    uint32_t slot = overlay_slot(o, hash, k);
    if (o->slots[slot])
        return &o->rows[o->slots[slot] - 1];
    size_t key_at = o->bytes.len;
    buf_put_slice(&o->bytes, k);
    if (o->bytes.failed) {
        o->failed = true;
        return NULL;
    }
    struct overlay_row *row = &o->rows[o->n++];
    *row = (struct overlay_row){.hash = hash, .key_at = key_at, .key_len = key->len};
    o->slots[slot] = o->n;
    return row;
}

/* How many bytes of the row's value are at value_at. */
static uint32_t overlay_near_len(const struct overlay_row *row)
{
    return row->value_len - row->apart_len;
}

void overlay_put(struct overlay *o, const struct key *key, struct slice value)
{
    struct overlay_row *row = overlay_row(o, key);
    if (!row)
        return;
    row->deleted = false;
    if (value.len > overlay_near_len(row) || row->value_at == 0) {
        row->value_at = o->bytes.len;
        buf_put_slice(&o->bytes, value);
    } else if (value.len) {
        memcpy(o->bytes.data + row->value_at, value.data, value.len);
    }
    row->value_len = (uint32_t)value.len;
    row->apart_len = 0;
    o->failed = o->failed || o->bytes.failed;
}

void overlay_put_parts(struct overlay *o, const struct key *key, struct slice first, struct slice second, bool stays)
{
    struct overlay_row *row = overlay_row(o, key);
    if (!row)
        return;
    row->deleted = false;
    row->value_at = o->bytes.len;
    row->value_len = (uint32_t)(first.len + second.len);
    row->apart_len = stays && second.len >= OVERLAY_APART_MIN ? (uint32_t)second.len : 0;
    row->apart = second.data;
    row->source_len = 0;
    buf_put_slice(&o->bytes, first);
    if (row->apart_len)
        o->apart_bytes += second.len;
    else
        buf_put_slice(&o->bytes, second);
    o->failed = o->failed || o->bytes.failed;
}

void overlay_put_stored(struct overlay *o, const struct key *key, struct slice first, struct slice second,
                        const struct kv_source *source)
{
    overlay_put_parts(o, key, first, second, true);
    if (o->failed || second.len < OVERLAY_APART_MIN)
        return;
    struct overlay_row *row = overlay_row(o, key);
    row->source_len = (uint8_t)source->key.len;
    row->source_from = source->from;
    buf_put_slice(&o->bytes, source->key);
    o->failed = o->bytes.failed;
}

bool overlay_keep_pin(struct overlay *o, struct kv_pin *pin)
{
    if (o->n_pins == o->pins_size) {
        uint32_t size = o->pins_size ? o->pins_size * 2 : OVERLAY_PINS_MIN;
        struct kv_pin **pins = realloc(o->pins, size * sizeof(struct kv_pin *));
        if (!pins)
            return false;
        o->pins = pins;
        o->pins_size = size;
    }
    o->pins[o->n_pins++] = pin;
    return true;
}

void overlay_del(struct overlay *o, const struct key *key)
{
    struct overlay_row *row = overlay_row(o, key);
    if (row)
        row->deleted = true;
}

/* Looks in the overlay only. False: the row is as the store has it. */
static bool overlay_has(struct overlay *o, struct slice k, struct buf *out, enum status *ret_s)
{
    uint32_t slot = o->n ? o->slots[overlay_slot(o, text_hash(k), k)] : 0;
    *ret_s = o->failed ? ST_NOMEM : ST_OK;
    if (o->failed || !slot)
        return o->failed;
    const struct overlay_row *row = &o->rows[slot - 1];
    if (!row->deleted) {
        buf_put(out, o->bytes.data + row->value_at, overlay_near_len(row));
        buf_put(out, row->apart, row->apart_len);
    }
    *ret_s = row->deleted ? ST_GONE : out->failed ? ST_NOMEM : ST_OK;
    return true;
}

enum status overlay_get(struct overlay *o, const struct key *key, struct buf *out)
{
    enum status s = ST_OK;
    bool here = overlay_has(o, key_slice(key), out, &s);
    return here ? s : kv_get(o->kv, KV_STATE, NULL, key_slice(key), out);
}

enum status overlay_get_pinned(struct overlay *o, const struct key *key, size_t large, struct buf *out,
                               struct kv_pin **ret_pin, struct slice *ret_value)
{
    enum status s = ST_OK;
    *ret_pin = NULL;
    bool here = overlay_has(o, key_slice(key), out, &s);
    return here ? s : kv_get_pinned(o->kv, KV_STATE, key_slice(key), large, out, ret_pin, ret_value);
}

static int overlay_place_compare(const void *a, const void *b)
{
    struct slice x = ((const struct overlay_place *)a)->key, y = ((const struct overlay_place *)b)->key;
    int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* Counts rows by kind: begin[k] is the first place of kind k in the sorted order, begin[k + 1] its end. */
static void overlay_count(const struct overlay *o, uint32_t begin[OVERLAY_KINDS + 1])
{
    memset(begin, 0, (OVERLAY_KINDS + 1) * sizeof(*begin));
    for (uint32_t i = 0; i < o->n; i++) {
        uint8_t kind = o->bytes.data[o->rows[i].key_at];
        assert(kind >= 'A' && kind - 'A' < OVERLAY_KINDS);
        begin[kind - 'A' + 1]++;
    }
    for (uint32_t k = 1; k <= OVERLAY_KINDS; k++)
        begin[k] += begin[k - 1];
}

static void overlay_sort_kind(struct overlay_place *first, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        if (overlay_place_compare(&first[i - 1], &first[i]) > 0) {
            qsort(first, n, sizeof(*first), overlay_place_compare);
            return;
        }
    }
}

/* Sorts the rows by key: RocksDB's write buffer finds the place of a row much faster after that of its neighbour.
 * Rows of one kind mostly come in order, as ids ascend, so rows are dealt out by kind, and a kind is sorted only if
 * needed. */
static void overlay_sort(struct overlay *o)
{
    uint32_t begin[OVERLAY_KINDS + 1], next[OVERLAY_KINDS + 1];
    overlay_count(o, begin);
    memcpy(next, begin, sizeof(next));
    for (uint32_t i = 0; i < o->n; i++) {
        const struct overlay_row *row = &o->rows[i];
        struct slice key = slice_of(o->bytes.data + row->key_at, row->key_len);
        o->order[next[key.data[0] - 'A']++] = (struct overlay_place){key, i};
    }
    for (uint32_t k = 0; k < OVERLAY_KINDS; k++)
        overlay_sort_kind(o->order + begin[k], begin[k + 1] - begin[k]);
}

/* Makes the tables smaller where this group needed little of them: the slots are cleared with each group. Without memory
 * they stay as they are. */
static void overlay_shrink(struct overlay *o)
{
    uint32_t size = o->rows_size / 2;
    if (size < OVERLAY_ROWS_MIN || o->n >= size / 8)
        return;
    uint32_t *slots = calloc(size * 2UL, sizeof(*slots));
    struct overlay_row *rows = slots ? malloc(size * sizeof(*rows)) : NULL;
    struct overlay_place *order = rows ? malloc(size * sizeof(*order)) : NULL;
    if (!order) {
        free(rows);
        free(slots);
        return;
    }
    free(o->slots);
    free(o->rows);
    free(o->order);
    o->slots = slots;
    o->rows = rows;
    o->order = order;
    o->rows_size = size;
    o->slots_size = size * 2;
    o->n = 0;
}

void overlay_clear(struct overlay *o)
{
    overlay_shrink(o);
    if (o->n)
        memset(o->slots, 0, o->slots_size * sizeof(*o->slots));
    o->n = 0;
    o->apart_bytes = 0;
    overlay_unpin(o);
    buf_reset(&o->bytes, OVERLAY_KEEP_BYTES);
}

static void overlay_put_row(struct overlay *o, struct slice key, const struct overlay_row *row)
{
    const struct slice value[3] = {slice_of(o->bytes.data + row->value_at, overlay_near_len(row)),
                                   slice_of(row->apart, row->apart_len), {0}};
    const struct kv_source source = {slice_of(value[0].data + value[0].len, row->source_len), row->source_from};
    if (!row->apart_len)
        kv_put(o->kv, KV_STATE, key, value[0]);
    else if (row->source_len)
        kv_put_stored(o->kv, KV_STATE, key, value, &source);
    else
        kv_put_parts(o->kv, KV_STATE, key, value, 2);
}

void overlay_flush(struct overlay *o)
{
    if (o->n && !o->failed)
        overlay_sort(o);
    for (uint32_t i = 0; i < o->n && !o->failed; i++) {
        const struct overlay_row *row = &o->rows[o->order[i].row];
        struct slice key = o->order[i].key;
        if (row->deleted)
            kv_del(o->kv, KV_STATE, key);
        else
            overlay_put_row(o, key, row);
    }
    overlay_clear(o);
}
