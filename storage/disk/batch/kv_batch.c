/* kv_batch.c: walks over the entries of a write batch (kv_batch.h). */
#include "storage/disk/batch/kv_batch.h"

#include "storage/disk/batch/kv_short.h"

#define HEAD_BYTES 12

/* What follows the tag of an entry. RocksDB has more kinds, which no batch of ours has. */
static const struct entry_kind {
    bool known, family, value;
} kinds[16] = {
    [0x0] = {true, false, false}, /* delete */
    [0x1] = {true, false, true},  /* put */
    [0x3] = {true, false, false}, /* a note for the log */
    [0x4] = {true, true, false},
    [0x5] = {true, true, true},
    [0xe] = {true, true, true}, /* delete a range: its end is the value */
    [0xf] = {true, false, true},
};

/* Steps over a value, and returns it. Of one that has cuts, of which the first is in cut, only what is there. */
static struct slice kv_batch_value(struct cursor *c, const uint8_t *begin, struct kv_short_walk *cuts, struct kv_short_cut *cut)
{
    uint64_t len = cursor_varint(c);
    size_t at = (size_t)(c->at - begin);
    while (cut->len && cut->at >= at && cut->at - at <= len && cut->len <= len) {
        len -= cut->len;
        if (!kv_short_next(cuts, cut))
            cut->len = 0;
    }
    return cursor_bytes(c, len <= cursor_left(c) ? (size_t)len : SIZE_MAX);
}

bool kv_batch_find(struct slice batch, struct slice key, struct slice *ret_value)
{
    bool found = false;
    struct kv_short_walk cuts;
    struct kv_short_cut cut = {0};
    if (!kv_short_begin(batch, &cuts, &batch))
        return false;
    if (!kv_short_next(&cuts, &cut))
        cut.len = 0;
    struct cursor c = cursor_of(batch);
    (void)cursor_bytes(&c, HEAD_BYTES);
    while (!c.bad && cursor_left(&c) > 0) {
        uint8_t tag = cursor_u8(&c);
        if (tag >= sizeof kinds / sizeof *kinds || !kinds[tag].known)
            break;
        uint64_t family = kinds[tag].family ? cursor_varint(&c) : 0;
        struct slice k = cursor_sized(&c), v = slice_of(NULL, 0);
        if (kinds[tag].value)
            v = kv_batch_value(&c, batch.data, &cuts, &cut);
        bool is_put = tag == 0x1 || tag == 0x5;
        if (c.bad || !is_put || family != 0 || !slice_equal(k, key))
            continue;
        *ret_value = v;
        found = true;
    }
    return found;
}
