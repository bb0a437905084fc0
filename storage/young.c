/* young.c: see young.h. The ring's places count up for ever; place p is slot p & (size - 1). */
#include "storage/young.h"

#include <stdlib.h>

#include "storage/txn.h"

#define YOUNG_MIN 256
#define YOUNG_MAX 65536
#define YOUNG_SETTLED_MAX 256 /* by one command */

static struct young_entry *young_at(const struct young *y, uint64_t place)
{
    return &y->slots[place & (y->size - 1)];
}

/* True where there is room for one more. */
static bool young_room(struct young *y, uint32_t most)
{
    if (y->end - y->first < y->size)
        return true;
    uint32_t size = y->size ? y->size * 2 : YOUNG_MIN;
    struct young_entry *slots = size && size <= most ? malloc(size * sizeof(*slots)) : NULL;
    if (!slots)
        return false;
    for (uint64_t p = y->first; p < y->end; p++)
        slots[p & (size - 1)] = *young_at(y, p);
    free(y->slots);
    y->slots = slots;
    y->size = size;
    return true;
}

static void young_push(struct young *y, uint64_t txid, int64_t due_ms, bool known)
{
    assert(y->first == y->end || txid > young_at(y, y->end - 1)->txid);
    *young_at(y, y->end) = (struct young_entry){.txid = txid, .due_ms = due_ms, .there = true, .known = known};
    y->end++;
}

/* Holes at the front go at once, so that the first place is a transaction. */
static void young_trim(struct young *y)
{
    while (y->first < y->end && !young_at(y, y->first)->there)
        y->first++;
}

bool young_add(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row)
{
    int64_t due = stamp->now_ms + YOUNG_MS;
    if (row->next_check_ms < due + YOUNG_MS || row->timeout_ms < due + YOUNG_MS || !young_room(&st->young, YOUNG_MAX))
        return false;
    young_push(&st->young, txid, due, true);
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

bool young_take(struct state *st, uint64_t txid)
{
    struct young_entry *e = young_find(&st->young, txid);
    if (!e || !e->there)
        return false;
    bool known = e->known;
    e->there = false;
    young_trim(&st->young);
    return known;
}

static void young_settle(struct state *st, const struct stamp *stamp, uint64_t txid)
{
    struct txn_row row;
    enum status s = txn_get(st, stamp, txid, &st->scratch, &row);
    if (s != ST_OK && s != ST_GONE)
        st->sick = true; /* it leaves the ring: nobody would come back */
    if (s != ST_OK || row.state != TXN_PENDING)
        return;
    txn_schedule(st, stamp, txid, &row);
    txn_timer_put(st, row.timeout_ms, TIMER_TXN, txid);
}

void young_tick(struct state *st, const struct stamp *stamp)
{
    struct young *y = &st->young;
    for (uint32_t n = 0; n < YOUNG_SETTLED_MAX && y->first < y->end; n++) {
        struct young_entry e = *young_at(y, y->first);
        if (e.due_ms > stamp->now_ms || state_group_full(st))
            return;
        y->first++;
        young_trim(y);
        st->meta_dirty = true;
        young_settle(st, stamp, e.txid);
    }
}

int64_t young_due_ms(const struct state *st)
{
    const struct young *y = &st->young;
    return y->first < y->end ? young_at(y, y->first)->due_ms : INT64_MAX;
}

uint64_t young_floor(const struct state *st)
{
    const struct young *y = &st->young;
    return y->first < y->end ? young_at(y, y->first)->txid : st->meta.last_id + 1;
}

enum status young_load(struct state *st)
{
    struct key from = key_txn(st->meta.young), to = key_txn(UINT64_MAX);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct txn_row row;
        s = txn_decode(kv_iter_value(it), &row);
        if (s != ST_OK || row.state != TXN_PENDING)
            continue;
        s = young_room(&st->young, UINT32_MAX) ? ST_OK : ST_NOMEM;
        if (s == ST_OK)
            young_push(&st->young, key_read_u64(kv_iter_key(it).data + 1), 0, false);
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s == ST_BAD ? ST_IO : s;
}

void young_fini(struct state *st)
{
    free(st->young.slots);
    st->young = (struct young){0};
}
