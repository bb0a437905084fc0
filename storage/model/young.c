/*
 * young.c: the ring of young transactions (young.h). Its places count up for ever; place p is in slot
 * p & (size - 1).
 */
#include "storage/model/young.h"

#include <stdlib.h>

#include "storage/model/scan.h"

#define YOUNG_MIN 256
#define YOUNG_MAX 65536
#define YOUNG_KEPT 4096 /* places of an empty ring */

static struct young_entry *young_at(const struct young *y, uint64_t place)
{
    return &y->slots[place & (y->size - 1)];
}

/* Moves the others over the holes. */
static void young_close_up(struct young *y)
{
    uint64_t to = y->first;
    for (uint64_t p = y->first; p < y->end; p++)
        if (young_at(y, p)->there)
            *young_at(y, to++) = *young_at(y, p);
    y->end = to;
}

/* Makes room for one more. False: no memory. */
static bool young_room(struct young *y)
{
    if (y->end - y->first == y->size && y->n <= y->size / 2)
        young_close_up(y);
    if (y->end - y->first < y->size)
        return true;
    uint32_t size = y->size ? y->size * 2 : YOUNG_MIN;
    struct young_entry *slots = size ? malloc(size * sizeof(*slots)) : NULL;
    if (!slots)
        return false;
    for (uint64_t p = y->first; p < y->end; p++)
        slots[p & (size - 1)] = *young_at(y, p);
    free(y->slots);
    y->slots = slots;
    y->size = size;
    return true;
}

static void young_push(struct young *y, uint64_t txid, int64_t due_ms)
{
    assert(y->first == y->end || txid > young_at(y, y->end - 1)->txid);
    *young_at(y, y->end) = (struct young_entry){.txid = txid, .due_ms = due_ms, .there = true};
    y->end++;
    y->n++;
}

/* Removes holes at the front, so that the first place is a transaction. */
static void young_trim(struct young *y)
{
    while (y->first < y->end && !young_at(y, y->first)->there)
        y->first++;
    if (y->first < y->end || y->size <= YOUNG_KEPT)
        return;
    free(y->slots); /* a burst is over: the next one makes its own room */
    y->slots = NULL;
    y->size = 0;
}

bool young_add(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row)
{
    int64_t due = stamp->now_ms + YOUNG_MS;
    if (row->next_check_ms < due + YOUNG_MS || row->timeout_ms < due + YOUNG_MS || st->young.n >= YOUNG_MAX)
        return false;
    if (!young_room(&st->young)) {
        st->sick = true; /* it must not depend on the memory whether it has its rows at once */
        return false;
    }
    young_push(&st->young, txid, due);
    return true;
}

static struct young_entry *young_find(const struct young *y, uint64_t txid)
{
    uint64_t low = y->first, high = y->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (young_at(y, middle)->txid < txid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < y->end && young_at(y, low)->txid == txid ? young_at(y, low) : NULL;
}

static void young_drop_row(struct young *y, struct young_entry *e)
{
    y->bytes -= e->row_len;
    free(e->row);
    e->row = NULL;
    e->row_len = 0;
}

void young_keep(struct state *st, uint64_t txid, struct slice row)
{
    struct young *y = &st->young;
    struct young_entry *e = young_find(y, txid);
    if (!e || !e->there)
        return;
    young_drop_row(y, e);
    if (y->bytes + row.len > y->bytes_max)
        return;
    e->row = malloc(row.len);
    if (!e->row)
        return; /* without a copy the row is read from the store, which is only slower */
    memcpy(e->row, row.data, row.len);
    e->row_len = (uint32_t)row.len;
    y->bytes += row.len;
}

struct slice young_row(const struct state *st, uint64_t txid)
{
    const struct young_entry *e = young_find(&st->young, txid);
    return e && e->row ? slice_of(e->row, e->row_len) : slice_of(NULL, 0);
}

bool young_has(const struct state *st, uint64_t txid)
{
    const struct young_entry *e = young_find(&st->young, txid);
    return e && e->there;
}

void young_take(struct state *st, uint64_t txid)
{
    struct young_entry *e = young_find(&st->young, txid);
    if (!e || !e->there)
        return;
    young_drop_row(&st->young, e);
    e->there = false;
    st->young.n--;
    young_trim(&st->young);
}

bool young_oldest(const struct state *st, uint64_t *ret_txid, int64_t *ret_due_ms)
{
    const struct young *y = &st->young;
    if (young_none(st))
        return false;
    *ret_txid = young_at(y, y->first)->txid;
    *ret_due_ms = young_at(y, y->first)->due_ms;
    return true;
}

void young_later(struct state *st, int64_t due_ms)
{
    assert(!young_none(st));
    young_at(&st->young, st->young.first)->due_ms = due_ms;
}

int64_t young_due_ms(const struct state *st)
{
    const struct young *y = &st->young;
    return y->first < y->end ? young_at(y, y->first)->due_ms : INT64_MAX;
}

uint64_t young_floor(const struct state *st)
{
    const struct young *y = &st->young;
    uint64_t floor = y->first < y->end ? young_at(y, y->first)->txid : st->meta.last_id + 1;
    return floor > st->meta.young ? floor : st->meta.young; /* those below it were hidden, and count by their range */
}

/* True where txid has an outcome, or where nobody can tell: then its row O is damaged, which is what a COMMIT answers.
 * The iterator only moves forward: callers ask in ascending order. */
static bool young_decided(struct state *st, struct kv_iter *outcomes, uint64_t txid)
{
    while (kv_iter_valid(outcomes) && key_read_u64(kv_iter_key(outcomes).data + 1) < txid)
        kv_iter_next(outcomes);
    if (kv_iter_valid(outcomes) || kv_iter_status(outcomes) == ST_OK)
        return kv_iter_valid(outcomes) && key_read_u64(kv_iter_key(outcomes).data + 1) == txid;
    struct key key = key_outcome(txid);
    buf_reset(&st->scratch2, KIB(64));
    return kv_get(st->kv, KV_STATE, NULL, key_slice(&key), &st->scratch2) != ST_GONE;
}

/* Between these two, a damaged block may hide rows: the last one before it and the first behind it that were read. Rows of
 * other files lie among those of the block. The scan has passed them, but they can be read. */
static void young_hide(struct meta_row *m, uint64_t from, uint64_t to)
{
    m->hidden_from = m->hidden_to && m->hidden_from < from ? m->hidden_from : from;
    m->hidden_to = m->hidden_to > to ? m->hidden_to : to;
}

/* A transaction whose row is damaged is not found, which does not keep the broker from starting. */
static enum status young_fill(struct state *st, struct scan *txns, struct kv_iter *outcomes, struct meta_row *hidden)
{
    uint64_t before = key_read_u64(txns->last.bytes + 1);
    uint32_t skips = 0;
    kv_iter_first(outcomes);
    for (scan_first(txns); scan_valid(txns); scan_next(txns)) {
        struct txn_row row;
        struct slice key = scan_key(txns);
        uint64_t txid = key_read_u64(key.data + 1);
        if (txns->skips > skips)
            young_hide(hidden, before, txid);
        skips = txns->skips;
        before = txid;
        if (txn_decode(scan_value(txns), &row) != ST_OK) {
            (void)kv_damaged_row(st->kv, key);
            continue;
        }
        if (!row.young || young_decided(st, outcomes, txid))
            continue;
        if (!young_room(&st->young))
            return ST_NOMEM;
        young_push(&st->young, txid, row.created_ms + YOUNG_MS); /* as before the restart */
    }
    if (txns->skips > skips)
        young_hide(hidden, before, st->meta.last_id);
    enum status s = txns->status == ST_OK ? kv_iter_status(outcomes) : txns->status;
    return s == ST_DAMAGED ? ST_OK : s;
}

/* Puts those with from <= id < to into the ring. */
static enum status young_load_ids(struct state *st, uint64_t first, uint64_t end, struct meta_row *hidden)
{
    struct key from = key_txn(first), to = key_txn(end), from_o = key_outcome(first), to_o = key_outcome(end);
    struct scan txns;
    enum status s = scan_open(&txns, st->kv, &from, &to, 1, 8);
    if (s != ST_OK)
        return s;
    struct kv_iter *outcomes = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from_o), key_slice(&to_o));
    s = outcomes ? young_fill(st, &txns, outcomes, hidden) : ST_NOMEM;
    scan_close(&txns);
    kv_iter_free(outcomes);
    return s;
}

/* What an earlier start could not read is looked at again: its ids are below meta.young. */
enum status young_load(struct state *st)
{
    struct meta_row hidden = {.hidden_to = 0};
    enum status s = ST_OK;
    if (st->meta.hidden_to && st->meta.hidden_from < st->meta.young)
        s = young_load_ids(st, st->meta.hidden_from, st->meta.young, &hidden);
    if (!young_none(st)) /* until they are settled */
        young_hide(&hidden, st->meta.hidden_from, st->meta.hidden_to);
    if (s == ST_OK)
        s = young_load_ids(st, st->meta.young, UINT64_MAX, &hidden);
    st->meta.hidden_from = hidden.hidden_from;
    st->meta.hidden_to = hidden.hidden_to;
    return s;
}

void young_fini(struct state *st)
{
    for (uint64_t p = st->young.first; p < st->young.end; p++)
        free(young_at(&st->young, p)->row);
    free(st->young.slots);
    st->young = (struct young){0};
}
