/*
 * kv_freed.c: a ring from the writer to whoever gives space back (kv_freed.h).
 *
 * The bytes of a batch: 8 of its sequence number, 4 of its count, then records:
 *   tag u8 │ family varint, where the tag says so │ key: length varint, bytes │ value or end key, where the tag says so
 */
#include "storage/disk/kv_freed.h"

#include "storage/disk/keys.h"

#define BATCH_HEADER_BYTES 12
#define TAG_DELETE 0x0
#define TAG_PUT 0x1
#define TAG_FAMILY_DELETE 0x4
#define TAG_FAMILY_PUT 0x5
#define TAG_FAMILY_DELETE_RANGE 0xE
#define TAG_DELETE_RANGE 0xF

static uint64_t freed_topic(const struct kv_freed *f, uint64_t i)
{
    return atomic_load_explicit(&f->topics[i % KV_FREED_MAX], memory_order_relaxed);
}

static void freed_note(struct kv_freed *f, uint64_t topic)
{
    if (f->noted - atomic_load(&f->taken) >= KV_FREED_MAX) {
        f->noted_lost = true;
        return;
    }
    atomic_store_explicit(&f->topics[f->noted % KV_FREED_MAX], topic, memory_order_relaxed);
    f->noted++;
}

void kv_freed_add(struct kv_freed *f, struct slice from)
{
    if (from.len < 8)
        return;
    uint64_t topic = key_read_u64(from.data), last = f->noted - 1;
    if (f->noted > 0 && freed_topic(f, last) == topic && last >= atomic_load(&f->published))
        return; /* the same batch deletes them twice */
    freed_note(f, topic);
}

/* Where a topic is taken at this moment, it is not noted again; its bytes are, so that a round looks at all tables. */
void kv_freed_cut(struct kv_freed *f, uint64_t topic, uint64_t bytes)
{
    f->noted_bytes += bytes;
    for (uint64_t i = atomic_load(&f->taken); i < f->noted; i++)
        if (freed_topic(f, i) == topic)
            return;
    freed_note(f, topic);
}

static bool freed_varint(struct slice *bytes, uint32_t *ret)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 35 && bytes->len > 0; shift += 7) {
        uint8_t b = *bytes->data;
        *bytes = slice_of(bytes->data + 1, bytes->len - 1);
        v |= (uint32_t)(b & 127) << shift;
        if (b < 128) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool freed_piece(struct slice *bytes, struct slice *ret)
{
    uint32_t len = 0;
    if (!freed_varint(bytes, &len) || len > bytes->len)
        return false;
    *ret = slice_of(bytes->data, len);
    *bytes = slice_of(bytes->data + len, bytes->len - len);
    return true;
}

/* False: there is no other record, or one that is not known. */
static bool freed_record(struct kv_freed *f, struct slice *bytes)
{
    if (bytes->len == 0)
        return false;
    uint8_t tag = *bytes->data;
    uint32_t family = 0;
    struct slice key, value;
    *bytes = slice_of(bytes->data + 1, bytes->len - 1);
    bool named = tag == TAG_FAMILY_DELETE || tag == TAG_FAMILY_PUT || tag == TAG_FAMILY_DELETE_RANGE;
    bool two = tag != TAG_DELETE && tag != TAG_FAMILY_DELETE;
    if (!named && tag != TAG_DELETE && tag != TAG_PUT && tag != TAG_DELETE_RANGE)
        return false;
    if ((named && !freed_varint(bytes, &family)) || !freed_piece(bytes, &key) || (two && !freed_piece(bytes, &value)))
        return false;
    if (tag == TAG_FAMILY_DELETE_RANGE && family != 0)
        kv_freed_add(f, key); /* the family of rows is 0 */
    return true;
}

void kv_freed_scan(struct kv_freed *f, struct slice batch)
{
    if (batch.len < BATCH_HEADER_BYTES)
        return;
    struct slice bytes = slice_of(batch.data + BATCH_HEADER_BYTES, batch.len - BATCH_HEADER_BYTES);
    while (freed_record(f, &bytes))
        continue;
}

void kv_freed_publish(struct kv_freed *f)
{
    if (f->noted_lost)
        atomic_store(&f->lost, true);
    f->noted_lost = false;
    atomic_store(&f->published, f->noted);
    atomic_fetch_add(&f->bytes, f->noted_bytes);
    f->noted_bytes = 0;
}

void kv_freed_forget(struct kv_freed *f)
{
    f->noted_lost = false;
    f->noted_bytes = 0;
    f->noted = atomic_load(&f->published);
}

bool kv_freed_any(const struct kv_freed *f)
{
    return atomic_load(&f->lost) || atomic_load(&f->taken) != atomic_load(&f->published);
}

bool kv_freed_take(struct kv_freed *f, uint64_t *ret_topic)
{
    uint64_t next = atomic_load(&f->taken);
    if (next == atomic_load(&f->published))
        return false;
    *ret_topic = atomic_load_explicit(&f->topics[next % KV_FREED_MAX], memory_order_relaxed);
    atomic_store(&f->taken, next + 1);
    return true;
}

bool kv_freed_take_lost(struct kv_freed *f)
{
    return atomic_exchange(&f->lost, false);
}

uint64_t kv_freed_bytes(const struct kv_freed *f)
{
    return atomic_load(&f->bytes);
}

uint64_t kv_freed_take_bytes(struct kv_freed *f)
{
    return atomic_exchange(&f->bytes, 0);
}

/* ---- since when topics keep messages ---- */

void kv_kept_note(struct kv_kept *k, uint64_t topic, int64_t since_ms, int64_t now_ms)
{
    struct kv_kept_slot *s = &k->slots[topic % KV_KEPT_SLOTS];
    unsigned turn = atomic_load_explicit(&s->turn, memory_order_relaxed);
    atomic_store(&s->turn, turn + 1);
    atomic_store(&s->topic, topic);
    atomic_store(&s->since_ms, since_ms);
    atomic_store(&s->noted_ms, now_ms);
    atomic_store(&s->turn, turn + 2);
}

void kv_kept_forget(struct kv_kept *k)
{
    for (uint64_t i = 0; i < KV_KEPT_SLOTS; i++)
        kv_kept_note(k, i, 0, 0);
}

bool kv_kept_gone(const struct kv_kept *k, uint64_t topic, int64_t stored_ms, int64_t marked_ms)
{
    const struct kv_kept_slot *s = &k->slots[topic % KV_KEPT_SLOTS];
    unsigned turn = atomic_load(&s->turn);
    bool gone = atomic_load(&s->topic) == topic && stored_ms < atomic_load(&s->since_ms) &&
                atomic_load(&s->noted_ms) < marked_ms;
    return gone && turn % 2 == 0 && atomic_load(&s->turn) == turn;
}
