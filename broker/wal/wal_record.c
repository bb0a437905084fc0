/* wal_record.c: encodes records of the log, and recognizes them (wal_record.h). */
#include "broker/wal/wal_record.h"

#include <assert.h>

#include "protocol/base/buf.h"
#include "protocol/base/text.h"

#define STEP 8
#define FIRST_FORMAT_BYTES 24 /* before its batch */
#define USE_BYTES 16

static size_t wal_record_padded(size_t n)
{
    return (n + STEP - 1) & ~(size_t)(STEP - 1);
}

size_t wal_record_size(size_t batch_bytes)
{
    return WAL_RECORD_BYTES + wal_record_padded(batch_bytes);
}

/* What the check of a head of n bytes covers of it: all but the check itself; and the use. */
static struct slice wal_record_covered(const struct wal_use *use, const uint8_t *head, size_t n,
                                       uint8_t out[static WAL_RECORD_BYTES - 4 + USE_BYTES])
{
    memcpy(out, head + 4, n - 4);
    le_write(out + n - 4, use->serial, 8);
    le_write(out + n - 4 + 8, use->salt, 8);
    return slice_of(out, n - 4 + USE_BYTES);
}

static uint32_t wal_record_check(const struct wal_use *use, const uint8_t *head)
{
    uint8_t covered[WAL_RECORD_BYTES - 4 + USE_BYTES];
    return text_checksum(wal_record_covered(use, head, WAL_RECORD_BYTES, covered));
}

void wal_record_encode(const struct wal_use *use, const struct wal_record *r, uint8_t out[static WAL_RECORD_BYTES])
{
    assert(r->batch.len <= UINT32_MAX && !use->first_format);
    le_write(out + 4, text_checksum(r->batch), 4);
    le_write(out + 8, r->batch.len, 4);
    le_write(out + 12, r->kind, 4);
    le_write(out + 16, r->number, 8);
    le_write(out + 24, r->before, 8);
    le_write(out + 32, r->synced, 8);
    le_write(out, wal_record_check(use, out), 4);
}

/* In the first format a record says nothing of syncs, so what is before it counts as synced. */
static bool wal_record_at_first_format(const struct wal_use *use, struct slice bytes, size_t at,
                                       struct wal_record *ret_r)
{
    const uint8_t *head = bytes.data + at;
    struct cursor c = cursor_of(slice_of(head, bytes.len - at));
    uint32_t check = cursor_u32(&c), length = cursor_u32(&c);
    uint64_t number = cursor_u64(&c), before = cursor_u64(&c);
    struct slice batch = cursor_bytes(&c, length);
    uint8_t covered[WAL_RECORD_BYTES - 4 + USE_BYTES];
    if (c.bad || number <= before ||
        check != text_checksum2(wal_record_covered(use, head, FIRST_FORMAT_BYTES, covered), batch))
        return false;
    *ret_r = (struct wal_record){.kind = WAL_BATCH, .number = number, .before = before, .synced = before};
    ret_r->batch = batch;
    ret_r->whole = true;
    ret_r->size = FIRST_FORMAT_BYTES + wal_record_padded(length);
    return true;
}

bool wal_record_at(const struct wal_use *use, struct slice bytes, size_t at, struct wal_record *ret_r)
{
    if (at >= bytes.len)
        return false;
    if (use->first_format)
        return wal_record_at_first_format(use, bytes, at, ret_r);
    const uint8_t *head = bytes.data + at;
    struct cursor c = cursor_of(slice_of(head, bytes.len - at));
    uint32_t check = cursor_u32(&c), body_check = cursor_u32(&c), length = cursor_u32(&c), kind = cursor_u32(&c);
    *ret_r = (struct wal_record){.number = cursor_u64(&c)};
    ret_r->before = cursor_u64(&c);
    ret_r->synced = cursor_u64(&c);
    bool likely = !c.bad && kind <= WAL_PART && ret_r->synced <= ret_r->before &&
                  (kind != WAL_BATCH || ret_r->number > ret_r->before); /* a search asks this of every 8 bytes */
    if (!likely || check != wal_record_check(use, head))
        return false;
    ret_r->kind = (enum wal_kind)kind;
    ret_r->size = wal_record_size(length);
    struct slice batch = cursor_bytes(&c, length);
    ret_r->whole = !c.bad && body_check == text_checksum(batch);
    if (ret_r->whole)
        ret_r->batch = batch;
    return true;
}

bool wal_record_find(const struct wal_use *use, struct slice bytes, size_t *at, struct wal_record *ret_r)
{
    for (size_t i = wal_record_padded(*at); i < bytes.len; i += STEP) {
        if (wal_record_at(use, bytes, i, ret_r)) {
            *at = i;
            return true;
        }
    }
    return false;
}
