/* tag_filter.c: compares a filter's tags with those of a record (tag_filter.h). */
#include "storage/group/tag_filter.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"

#define FEW 64         /* comparisons that are not worth a table */
#define TABLE_SIZE 4096 /* slots; a filter has fewer than half as many tags */
#define WANTED_KEEP KIB(16)

static_assert(FILTER_BYTES_MAX / 3 < TABLE_SIZE / 2, "a tag takes a byte and ||");

bool tag_filter_next(struct slice *rest, struct slice *ret_tag)
{
    struct slice s = *rest;
    if (!s.data)
        return false;
    size_t len = 0;
    while (len < s.len && !(s.data[len] == '|' && len + 1 < s.len && s.data[len + 1] == '|'))
        len++;
    *rest = len < s.len ? slice_of(s.data + len + 2, s.len - len - 2) : slice_of(NULL, 0);
    while (len > 0 && s.data[len - 1] == ' ')
        len--;
    while (len > 0 && s.data[0] == ' ')
        s.data++, len--;
    *ret_tag = slice_of(s.data, len);
    return true;
}

/* The tags of a filter by their hashes. */
struct tag_table {
    struct slice tags[TABLE_SIZE]; /* data NULL: free */
};

static struct slice *tag_slot(struct tag_table *t, struct slice tag)
{
    size_t i = (size_t)text_hash(tag) % TABLE_SIZE;
    while (t->tags[i].data && !slice_equal(t->tags[i], tag))
        i = (i + 1) % TABLE_SIZE;
    return &t->tags[i];
}

static bool tag_is_one_of(struct slice filter, struct slice tag)
{
    struct slice one;
    while (tag_filter_next(&filter, &one))
        if (slice_equal(one, tag))
            return true;
    return false;
}

static uint32_t tag_count(struct slice filter)
{
    struct slice one;
    uint32_t n = 0;
    while (tag_filter_next(&filter, &one))
        n++;
    return n;
}

/* NULL: no memory, or so few comparisons that it is not needed. */
static struct tag_table *tag_table_new(struct slice filter, uint32_t n_tags)
{
    struct slice one;
    struct tag_table *t = (uint64_t)tag_count(filter) * n_tags > FEW ? calloc(1, sizeof(*t)) : NULL;
    while (t && tag_filter_next(&filter, &one))
        *tag_slot(t, one) = one;
    return t;
}

enum status tag_filter_wanted(struct slice filter, const struct columns *c, struct buf *wanted)
{
    buf_reset(wanted, WANTED_KEEP);
    size_t bytes = c->n_tags / 8 + 1;
    uint8_t *bits = buf_room(wanted, bytes);
    if (!bits)
        return ST_NOMEM;
    memset(bits, 0, bytes);
    buf_added(wanted, bytes);
    struct tag_table *table = tag_table_new(filter, c->n_tags);
    struct cursor at = cursor_of(c->dictionary);
    for (uint32_t place = 1; place <= c->n_tags; place++) {
        struct slice tag = cursor_sized(&at);
        bool is = tag.len > 0 && (table ? tag_slot(table, tag)->data != NULL : tag_is_one_of(filter, tag));
        bits[place / 8] |= (uint8_t)(is << place % 8);
    }
    free(table);
    return ST_OK;
}
