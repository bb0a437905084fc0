/*
 * query_part.c: reads stored records for streams. They are sent as they are, or cut between messages, but never
 * decoded (query.h).
 *
 *   record   ░░░░░░░░░░░░░░░░░░░░     granted  ··██████·····████████████····
 *   parts                                        ╰ 1 ─╯     ╰──── 2 ────╯     a short gap is sent along,
 *                                                                             empty: it costs less than a part
 */
#include "storage/query/base/kept.h"
#include "storage/query/base/locate.h"
#include "storage/query/base/record_cache.h"

#define GAP_MAX 64 /* messages not granted that are sent along, as empty ones (record_cut_some), rather than cut out */

/* 64 bits of the grant, from that of message i on. */
static uint64_t part_word(const struct grant *g, uint64_t i)
{
    if (i >= g->count)
        return 0;
    uint64_t left = g->count - i, all = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
    if (!g->bits)
        return all;
    uint64_t word = g->bits[i / 64] >> (i % 64);
    if (i % 64 && i / 64 + 1 < (g->count + 63) / 64)
        word |= g->bits[i / 64 + 1] << (64 - i % 64);
    return word & all;
}

/* The first message of the grant in i..end-1 that was granted, or was not; end: there is none. */
static uint64_t part_next(const struct grant *g, uint64_t i, uint64_t end, bool granted)
{
    for (; i < end; i += 64) {
        uint64_t word = granted ? part_word(g, i) : ~part_word(g, i);
        if (word)
            return i + (uint64_t)__builtin_ctzll(word) < end ? i + (uint64_t)__builtin_ctzll(word) : end;
    }
    return end;
}

/* Who takes the parts. */
struct sink {
    part_fn *fn;
    void *arg;
    size_t most;   /* bytes of a part, unless a single message is larger */
    uint64_t rest; /* the offset behind what was taken last */
};

static struct sink part_sink(const struct view *v, part_fn *fn, void *arg)
{
    return (struct sink){fn, arg, v->reply_most < PART_BYTES_MAX ? v->reply_most : (size_t)PART_BYTES_MAX, 0};
}

/* How many of the n messages from `from` on fit into a part of `most` bytes; at least one. */
static uint32_t part_fit(struct slice record, const struct record_header *h, uint32_t from, uint32_t n, size_t most)
{
    uint32_t low = 1, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (record_cut_size(record, h, from, middle) <= most)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Finds the first stretch of granted messages in *from..to-1 of a record, including short gaps. Moves *from there and
 * returns its length; 0: there is none. */
static uint32_t part_stretch(const struct grant *g, uint64_t base, uint32_t to, uint32_t *from)
{
    uint64_t skip = g->base - base; /* of a grant's place to that in the record: it may wrap around */
    uint64_t last = to - skip, first = part_next(g, *from - skip, last, true), end = first;
    for (uint64_t i = first; i < last && i - end < GAP_MAX; i = part_next(g, end, last, true))
        end = part_next(g, i, last, false);
    *from = (uint32_t)(first + skip);
    return (uint32_t)(end - first);
}

/* Sets the part's bits, from its first message on. Where all would be set, p->bits stays NULL. */
static void part_bits(struct part *p, uint64_t bits[RUN_WORDS_MAX])
{
    uint64_t at = p->h->base + p->from - p->grant->base;
    p->n_granted = 0;
    for (uint32_t i = 0; i < p->n; i += 64) {
        uint64_t word = part_word(p->grant, at + i);
        if (p->n - i < 64)
            word &= (UINT64_C(1) << (p->n - i)) - 1;
        bits[i / 64] = word;
        p->n_granted += (uint32_t)__builtin_popcountll(word);
    }
    p->bits = p->n_granted < p->n ? bits : NULL;
}

/* Calls fn with what was granted of messages from..to-1 of a record. False: fn wants no more. */
static bool part_grant_record(const struct grant *g, struct slice record, const struct record_header *h,
                              uint32_t from, uint32_t to, struct sink *sink)
{
    uint64_t bits[RUN_WORDS_MAX];
    for (uint32_t n = 0; (n = part_stretch(g, h->base, to, &from)) > 0; from += n) {
        n = part_fit(record, h, from, n, sink->most);
        struct part p = {.record = record, .h = h, .from = from, .n = n, .grant = g};
        part_bits(&p, bits);
        sink->rest = h->base + from + n;
        if (p.n_granted > 0 && !sink->fn(sink->arg, &p))
            return false;
    }
    return true;
}

/* Finds the place of the grant's queue, and opens an iterator over it, unless the place has it. NULL: no memory. */
static struct view_place *part_open(struct view *v, const struct grant *g)
{
    struct view_place *p = &v->places[g->queue % VIEW_PLACES];
    if (p->it && p->topic == g->topic_id && p->queue == g->queue)
        return p;
    kv_iter_free(p->it);
    *p = (struct view_place){.it = view_grant(v, g), .topic = g->topic_id, .queue = g->queue};
    return p->it ? p : NULL;
}

/* Gives up the place if it keeps a large record in memory. */
static void part_leave(struct view *v, const struct grant *g)
{
    struct view_place *p = &v->places[g->queue % VIEW_PLACES];
    if (p->h.count == 0 || p->h.bytes <= VIEW_PLACE_BYTES)
        return;
    kv_iter_free(p->it);
    *p = (struct view_place){0};
}

/* Finds the record that holds offset, or the first one behind it. It is good until the next one is looked for. */
static enum status part_find(struct view *v, const struct grant *g, uint64_t offset, struct slice *ret_record,
                             struct record_header *ret_h)
{
    const struct cached_record *known = v->records ? record_cache_find(v->records, g, offset) : NULL;
    if (!known && v->records)
        known = record_cache_next(v->records, v, g, offset);
    if (known) {
        *ret_record = known->bytes;
        *ret_h = known->h;
        return ST_OK;
    }
    struct view_place *p = part_open(v, g);
    if (!p)
        return ST_NOMEM;
    bool there = offset >= p->h.base && offset - p->h.base < p->h.count;
    enum status s = there ? ST_OK : records_seek_on(p->it, g->topic_id, g->queue, offset, &p->h);
    if (s != ST_OK) {
        p->h.count = 0;
        return s;
    }
    *ret_record = kv_iter_value(p->it);
    *ret_h = p->h;
    if (v->records)
        (void)record_cache_put(v->records, g, ret_h, *ret_record);
    return s;
}

static enum status part_grant_parts(struct view *v, const struct grant *g, struct sink *sink, bool *more)
{
    enum status s = ST_OK;
    uint64_t at = g->base, end = g->base + g->count;
    while (at < end && *more) {
        struct slice record;
        struct record_header h;
        s = part_find(v, g, at, &record, &h);
        if (s == ST_OK && h.base <= at) {
            uint64_t to = h.base + h.count < end ? h.base + h.count : end;
            *more = part_grant_record(g, record, &h, (uint32_t)(at - h.base), (uint32_t)(to - h.base), sink);
            at = to;
            continue;
        }
        uint64_t last = at;
        bool lost = s == ST_OK || s == ST_DAMAGED || s == ST_GONE;
        s = lost ? view_skip(v, g, at, &last) : s;
        if (s != ST_OK)
            break;
        at = last < end ? last + 1 : end;
    }
    part_leave(v, g);
    return s;
}

enum status query_grant_parts(struct view *v, const struct outcome *out, part_fn *fn, void *arg,
                              struct granted *ret_done)
{
    enum status s = ST_OK;
    bool more = true;
    struct sink sink = part_sink(v, fn, arg);
    v->n_lost = 0;
    *ret_done = (struct granted){.grant = out->n_grants};
    for (uint32_t i = 0; i < out->n_grants && s == ST_OK && more; i++) {
        s = part_grant_parts(v, &out->grants[i], &sink, &more);
        if (!more)
            *ret_done = (struct granted){.grant = i, .offset = sink.rest};
    }
    return s;
}

/* Finds the next stretch of a record, from r->next on, of which nothing was removed; *ret_n 0: there is none, and r->next
 * is behind the record. */
static enum status part_kept(struct reader *r, struct view *v, const struct record_header *h, uint32_t *ret_from,
                             uint32_t *ret_n)
{
    uint64_t end = h->base + h->count, to = 0;
    enum status s = kept_next(v, r->queue, &r->next);
    to = r->next;
    if (s == ST_OK && to < end)
        s = kept_end(v, r->queue, end, &to);
    *ret_from = r->next < end ? (uint32_t)(r->next - h->base) : h->count;
    *ret_n = r->next < end ? (uint32_t)(to - r->next) : 0;
    return s;
}

/* Calls fn with all of a record from r->next on. *more false: fn wants no more. */
static enum status part_read_record(struct reader *r, struct view *v, struct slice record, const struct record_header *h,
                                    struct sink *sink, bool *more)
{
    uint32_t from = 0, n = 0;
    enum status s = ST_OK;
    while (*more && (s = part_kept(r, v, h, &from, &n)) == ST_OK && n > 0) {
        /* A whole record goes as it is stored, unless it is large. */
        bool whole = n == h->count && record.len <= sink->most;
        n = whole ? n : part_fit(record, h, from, n, sink->most);
        struct part p = {.record = record, .h = h, .from = from, .n = n, .n_granted = n};
        *more = sink->fn(sink->arg, &p);
        r->next = h->base + from + n;
    }
    return s;
}

enum status reader_open(struct reader *r, struct view *v)
{
    enum status s = view_topic(v, r->topic);
    if (s != ST_OK)
        return s == ST_GONE ? ST_NOTOPIC : s;
    if (r->topic_id && r->topic_id != v->topic.id)
        return ST_NOTOPIC;
    if (r->queue >= v->topic.n_queues)
        return ST_ERR;
    r->topic_id = v->topic.id;
    if (r->next < v->topic.floor[r->queue])
        r->next = v->topic.floor[r->queue];
    return ST_OK;
}

enum status reader_seek(struct reader *r, struct view *v, const struct position *p)
{
    return locate_position(v, r->queue, p, &r->next);
}

/* Moves the reader behind messages that cannot be read. ST_DAMAGED: nothing behind them can be read either. */
static enum status part_pass_lost(struct reader *r, struct view *v)
{
    uint64_t first = 0, last = 0;
    enum status s = view_find_lost(v, r->topic, r->queue, r->next, &first, &last);
    if (s != ST_DAMAGED)
        return s == ST_BAD ? ST_DAMAGED : s;
    r->next = last + 1;
    return ST_OK;
}

enum status reader_parts(struct reader *r, struct view *v, part_fn *fn, void *arg, bool *ret_end)
{
    *ret_end = false;
    enum status s = reader_open(r, v);
    if (s != ST_OK)
        return s;
    struct kv_iter *it = view_log(v, r->queue);
    if (!it)
        return ST_NOMEM;
    struct record_header h = {0};
    struct sink sink = part_sink(v, fn, arg);
    bool more = true;
    while (s == ST_OK && more) {
        s = records_seek_on(it, r->topic_id, r->queue, r->next, &h);
        if (s == ST_OK && h.base <= r->next) {
            s = part_read_record(r, v, kv_iter_value(it), &h, &sink, &more);
        } else if (s == ST_OK || s == ST_DAMAGED) {
            s = part_pass_lost(r, v);
            h.count = 0;
        }
    }
    kv_iter_free(it);
    *ret_end = s == ST_GONE;
    return s == ST_GONE ? ST_OK : s;
}
