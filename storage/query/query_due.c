/* query_due.c: finds the producer groups that have a check-back due (query.h). It reads the first K row of a group and
 * then seeks the next group, however many rows there are. */
#include "storage/query/view.h"

/* Reads a group's name and its due time from a key K pgroup 0 due txid. False: it is no such key. */
static bool due_key(struct slice key, struct slice *ret_pgroup, int64_t *ret_due_ms)
{
    if (key.len < 1 + 1 + 1 + 16 || key.data[key.len - 17] != 0)
        return false;
    *ret_pgroup = slice_of(key.data + 1, key.len - 18);
    *ret_due_ms = (int64_t)key_read_u64(key.data + key.len - 16);
    return true;
}

enum status query_due_pgroups(struct view *v, int64_t now_ms,
                              bool (*found)(void *arg, struct slice pgroup), void *arg)
{
    struct key kind;
    key_begin(&kind, 'K');
    struct kv_iter *it = view_rows(v, &kind);
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    struct slice pgroup;
    int64_t due_ms = 0;
    kv_iter_first(it);
    while (s == ST_OK && kv_iter_valid(it)) {
        if (!due_key(kv_iter_key(it), &pgroup, &due_ms)) {
            s = kv_damaged_row(v->kv, kv_iter_key(it));
            break;
        }
        struct key prefix = key_check_prefix(pgroup);
        if (due_ms <= now_ms && !found(arg, pgroup))
            break;
        struct key next = key_after(&prefix);
        kv_iter_seek(it, key_slice(&next));
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}
