/* query_due.c: finds the producer groups that have a check-back due (query.h). It reads the first K row of a group and
 * then seeks the next group, however many rows there are, and some groups at a time. */
#include "storage/query/base/view.h"

/* Reads a group's name and its due time from a key K pgroup 0 due txid. False: it is no such key. */
static bool due_key(struct slice key, struct slice *ret_pgroup, int64_t *ret_due_ms)
{
    if (key.len < 1 + 1 + 1 + 16 || key.data[key.len - 17] != 0)
        return false;
    *ret_pgroup = slice_of(key.data + 1, key.len - 18);
    *ret_due_ms = (int64_t)key_read_u64(key.data + key.len - 16);
    return true;
}

static enum status due_walk_on(struct view *v, struct kv_iter *it, int64_t now_ms, uint32_t most, struct key *next,
                               void (*found)(void *arg, struct slice pgroup), void *arg)
{
    struct slice pgroup;
    int64_t due_ms = 0;
    for (uint32_t n = 0; n < most && kv_iter_valid(it); n++) {
        if (!due_key(kv_iter_key(it), &pgroup, &due_ms))
            return kv_damaged_row(v->kv, kv_iter_key(it));
        struct key prefix = key_check_prefix(pgroup);
        *next = key_after(&prefix);
        if (due_ms <= now_ms)
            found(arg, pgroup);
        kv_iter_seek(it, key_slice(next));
    }
    return kv_iter_status(it);
}

enum status query_due_pgroups(struct view *v, int64_t now_ms, uint32_t most, struct due_walk *walk,
                              void (*found)(void *arg, struct slice pgroup), void *arg)
{
    struct key kind, next;
    key_begin(&kind, 'K');
    key_begin(&next, 'K');
    key_bytes(&next, slice_of(walk->next, walk->len));
    struct kv_iter *it = view_rows(v, &kind);
    if (!it)
        return ST_NOMEM;
    kv_iter_seek(it, key_slice(&next));
    enum status s = due_walk_on(v, it, now_ms, most, &next, found, arg);
    walk->ended = !kv_iter_valid(it);
    assert(next.len - 1 <= sizeof(walk->next));
    walk->len = next.len - 1;
    memcpy(walk->next, next.bytes + 1, walk->len);
    kv_iter_free(it);
    return s;
}
