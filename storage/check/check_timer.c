/* check_timer.c: reads the timer indexes, and finds rows in them (check_timer.h). */
#include "storage/check/check_timer.h"

static struct slice check_timer_what(struct slice key)
{
    return key.len > TIMER_WHAT_AT ? slice_of(key.data + TIMER_WHAT_AT, key.len - TIMER_WHAT_AT) : slice_of(NULL, 0);
}

/* A name and its zero byte behind the first n bytes of `what`, and then something, or nothing. */
static bool check_timer_has_name(struct slice what, size_t n)
{
    return what.len > n && what.data[n] != 0 && memchr(what.data + n, 0, what.len - n);
}

static bool check_timer_fits(uint8_t kind, struct slice what)
{
    switch (kind) {
    case TIMER_GT: return check_timer_has_name(what, 0) && what.data[what.len - 1] != 0;
    case TIMER_TXN: return what.len == 8;
    case TIMER_DELAY: return what.len == 16;
    case TIMER_TOPIC_GONE:
    case TIMER_GROUP_GONE: return check_timer_has_name(what, 8);
    case TIMER_CUT: return what.len > 8 && !check_timer_has_name(what, 8);
    default: return false;
    }
}

void check_timer_all(struct checking *c)
{
    struct key prefix;
    struct slice key, value;
    key_begin(&prefix, 'W');
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        uint8_t kind = key.len > TIMER_WHAT_AT ? key.data[1] : 0;
        if (check_timer_fits(kind, check_timer_what(key))) {
            c->postponed[kind] += value.len > 0;
            continue;
        }
        (void)kv_damaged_row(c->kv, key);
        c->blind = true;
    }
    (void)check_rows_end(c, it);
}

static struct kv_iter *check_timer_rows(struct checking *c, enum timer_kind kind)
{
    struct key prefix;
    key_begin(&prefix, 'W');
    key_u8(&prefix, (uint8_t)kind);
    return check_rows(c, &prefix);
}

static bool check_timer_is_postponed(struct checking *c, enum timer_kind kind, int64_t due_ms, struct slice what)
{
    struct slice key, value;
    struct timer_row row;
    bool found = false;
    struct kv_iter *it = check_timer_rows(c, kind);
    for (; !found && check_row(c, it, &key, &value); kv_iter_next(it))
        found = value.len && slice_equal(check_timer_what(key), what) && timer_decode(value, &row) == ST_OK &&
                (row.first_ms == due_ms || row.first_ms == TIMER_FIRST_UNKNOWN);
    return !check_rows_end(c, it) || found; /* what cannot be read counts as there */
}

bool check_timer_has(struct checking *c, enum timer_kind kind, int64_t due_ms, struct slice what)
{
    struct key key = key_timer((uint8_t)kind, due_ms, what);
    return check_has(c, &key) || (c->postponed[kind] && check_timer_is_postponed(c, kind, due_ms, what));
}

/* Comes `from` at `at`, or at a name before it? */
static bool check_timer_comes_by(struct slice from, struct slice at)
{
    size_t n = from.len < at.len ? from.len : at.len;
    int order = n ? memcmp(from.data, at.data, n) : 0;
    return order < 0 || (order == 0 && from.len <= at.len);
}

bool check_timer_gone(struct checking *c, enum timer_kind kind, uint64_t id, struct slice name, struct slice at)
{
    struct slice key, value;
    bool found = false;
    struct kv_iter *it = check_timer_rows(c, kind);
    for (; !found && check_row(c, it, &key, &value); kv_iter_next(it)) {
        struct slice what = check_timer_what(key);
        if (!check_timer_fits((uint8_t)kind, what) || what.len < 8 + name.len + 1 || what.data[8 + name.len] != 0 ||
            !slice_equal(slice_of(what.data + 8, name.len), name))
            continue;
        uint64_t of = key_read_u64(what.data);
        size_t head = 8 + name.len + 1;
        found = (kind == TIMER_TOPIC_GONE ? of == id : of > id) && check_timer_comes_by(slice_of(what.data + head, what.len - head), at);
    }
    return !check_rows_end(c, it) || found;
}
