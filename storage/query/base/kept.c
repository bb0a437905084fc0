/* kept.c: reads rows d, which have a bit for each message that was removed (kept.h). */
#include "storage/query/base/kept.h"

/* Makes the row of an offset the one at hand; one that is not there has no bits. Nor has a damaged one, which is told:
 * its messages are shown. */
static enum status kept_row(struct view *v, uint32_t queue, uint64_t offset)
{
    struct view_removed *r = &v->removed;
    uint64_t n = offset / REMOVED_BITS;
    if (r->known && r->topic == v->topic.id && r->queue == queue && r->n == n)
        return ST_OK;
    struct key key = key_removed(v->topic.id, queue, n);
    v->budget--;
    enum status s = view_get(v, &key);
    *r = (struct view_removed){.known = true, .topic = v->topic.id, .queue = queue, .n = n};
    if (s == ST_OK && removed_decode(buf_slice(&v->row), &r->row) != ST_OK)
        s = view_damaged(v, &key);
    if (s == ST_DAMAGED)
        r->row = (struct removed_row){0};
    r->known = s == ST_OK || s == ST_GONE || s == ST_DAMAGED;
    return r->known ? ST_OK : s;
}

/* Moves *offset on to the first bit of the row at hand that is, or is not, set; false: there is none before `to`, and
 * *offset is behind the row, or `to`. */
static bool kept_find(const struct view_removed *r, bool set, uint64_t to, uint64_t *offset)
{
    uint64_t end = (r->n + 1) * REMOVED_BITS;
    end = end < to ? end : to;
    while (*offset < end) {
        uint64_t i = *offset % REMOVED_BITS, word = r->row.bits[i / 64];
        word = (set ? word : ~word) >> (i % 64);
        *offset += word ? (uint64_t)__builtin_ctzll(word) : 64 - i % 64;
        if (word)
            break;
    }
    if (*offset < end)
        return true;
    *offset = end;
    return false;
}

enum status kept_next(struct view *v, uint32_t queue, uint64_t *offset)
{
    if (!(v->topic.flags & TOPIC_HAS_REMOVED))
        return ST_OK;
    enum status s = kept_row(v, queue, *offset);
    while (s == ST_OK && !kept_find(&v->removed, false, UINT64_MAX, offset))
        s = kept_row(v, queue, *offset);
    return s;
}

enum status kept_end(struct view *v, uint32_t queue, uint64_t to, uint64_t *offset)
{
    if (!(v->topic.flags & TOPIC_HAS_REMOVED))
        *offset = to;
    enum status s = ST_OK;
    while (s == ST_OK && *offset < to) {
        s = kept_row(v, queue, *offset);
        if (s == ST_OK && kept_find(&v->removed, true, to, offset))
            break;
    }
    return s;
}

/* How many bits of the row at hand are set in from..to-1, which lie in it. */
static uint64_t kept_count(const struct view_removed *r, uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    while (kept_find(r, true, to, &from)) {
        n++;
        from++;
    }
    return n;
}

enum status kept_not(struct view *v, uint32_t queue, uint64_t from, uint64_t to, uint64_t *ret_n)
{
    enum status s = ST_OK;
    *ret_n = 0;
    if (!(v->topic.flags & TOPIC_HAS_REMOVED))
        return ST_OK;
    while (s == ST_OK && from < to) {
        uint64_t end = (from / REMOVED_BITS + 1) * REMOVED_BITS;
        end = end < to ? end : to;
        s = kept_row(v, queue, from);
        if (s == ST_OK)
            *ret_n += kept_count(&v->removed, from, end);
        from = end;
    }
    return s;
}
