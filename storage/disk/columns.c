/* columns.c: reads, collects and writes the columns of a record (columns.h). */
#include "storage/disk/columns.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"
#include "protocol/filter/filter_tags.h"

#define DICTIONARY_SHORT 8 /* so many tags are compared one after the other; more are looked up */
#define SLOTS_MIN 64
#define CLASSES_ALL ((1U << CLASSES_MAX) - 1)
#define FEW 64          /* comparisons that are not worth a table */
#define TABLE_SIZE 4096 /* slots; a filter has fewer than half as many tags */
#define WANTED_KEEP KIB(16)

static_assert(FILTER_BYTES_MAX / 3 < TABLE_SIZE / 2, "a tag takes a byte and ||");

uint32_t columns_key_hash(struct slice order)
{
    uint32_t hash = (uint32_t)text_hash(order);
    return hash ? hash : 1;
}

/* ---- reading ---- */

/* What is left of a column: one value of `width` bytes for all messages, or one for each. */
static void columns_get_values(struct cursor *c, uint8_t width, uint32_t count, struct column_values *ret_v)
{
    size_t left = cursor_left(c);
    if (left != width && left != (size_t)count * width)
        c->bad = true;
    *ret_v = (struct column_values){c->at, count, left == width ? 0 : width};
}

static void columns_get_tags(struct cursor *c, uint32_t count, struct columns *ret_c)
{
    uint64_t n = cursor_varint(c);
    const uint8_t *from = c->at;
    c->bad = c->bad || n == 0 || n > count;
    for (uint64_t i = 0; i < n && !c->bad; i++)
        (void)cursor_sized(c);
    if (c->bad)
        return;
    ret_c->n_tags = (uint32_t)n;
    ret_c->dictionary = slice_of(from, (size_t)(c->at - from));
    columns_get_values(c, n < 256 ? 1 : 2, count, &ret_c->tags);
}

static void columns_get_priorities(struct cursor *c, uint32_t count, struct columns *ret_c)
{
    uint64_t classes = cursor_varint(c);
    c->bad = c->bad || classes == 0 || classes > CLASSES_ALL;
    ret_c->classes = (uint16_t)classes;
    columns_get_values(c, 1, count, &ret_c->priorities);
}

enum status columns_decode(struct slice bytes, uint32_t count, struct columns *ret_c)
{
    struct cursor all = cursor_of(bytes);
    *ret_c = (struct columns){0};
    while (!all.bad && cursor_left(&all)) {
        uint64_t column = cursor_varint(&all);
        struct cursor c = cursor_of(cursor_sized(&all));
        if (all.bad)
            break;
        if (column == COLUMN_TAGS)
            columns_get_tags(&c, count, ret_c);
        else if (column == COLUMN_KEYS)
            columns_get_values(&c, 4, count, &ret_c->keys);
        else if (column == COLUMN_PRIORITIES)
            columns_get_priorities(&c, count, ret_c);
        all.bad = c.bad;
    }
    return all.bad ? ST_BAD : ST_OK;
}

enum status columns_classes(struct slice column, uint16_t *ret_classes)
{
    struct cursor c = cursor_of(column);
    uint64_t classes = cursor_varint(&c);
    *ret_classes = (uint16_t)classes;
    return c.bad || classes == 0 || classes > CLASSES_ALL ? ST_BAD : ST_OK;
}

/* ---- collecting ---- */

void columns_maker_init(struct columns_maker *m)
{
    *m = (struct columns_maker){0};
    struct buf *all[] = {&m->tags, &m->keys, &m->priorities, &m->dictionary, &m->starts, &m->slots};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_init(all[i], 0);
}

void columns_maker_reset(struct columns_maker *m, size_t keep)
{
    if (!m->columns)
        return;
    struct buf *all[] = {&m->tags, &m->keys, &m->priorities, &m->dictionary, &m->starts, &m->slots};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_reset(all[i], keep);
    m->n_tags = m->last_tag = 0;
    memset(m->ranked, 0, sizeof(m->ranked));
    m->columns = 0;
}

void columns_maker_free(struct columns_maker *m)
{
    struct buf *all[] = {&m->tags, &m->keys, &m->priorities, &m->dictionary, &m->starts, &m->slots};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_free(all[i]);
}

bool columns_whole(const struct columns_maker *m)
{
    return !m->tags.failed && !m->keys.failed && !m->priorities.failed && !m->dictionary.failed &&
           !m->starts.failed && !m->slots.failed;
}

/* Gives the messages before number i, as far as they have none, the value 0, or, of priorities, the default one. */
static void columns_fill(struct buf *values, size_t width, uint32_t i, uint8_t value)
{
    size_t n = (size_t)i * width;
    if (values->len >= n)
        return;
    uint8_t *room = buf_room(values, n - values->len);
    if (!room)
        return;
    memset(room, value, n - values->len);
    buf_added(values, n - values->len);
}

/* The tag at a place of the dictionary, from 1 on. */
static struct slice columns_tag_at(const struct columns_maker *m, uint32_t place)
{
    struct cursor start = cursor_of(slice_of(m->starts.data + (place - 1) * 4UL, 4));
    uint32_t from = cursor_u32(&start);
    struct cursor c = cursor_of(slice_of(m->dictionary.data + from, m->dictionary.len - from));
    return cursor_sized(&c);
}

/* The slot of a tag in the table: the one that has it, or a free one. */
static uint16_t *columns_slot(const struct columns_maker *m, struct slice tag)
{
    uint16_t *slots = (uint16_t *)(void *)m->slots.data;
    size_t mask = m->slots.len / sizeof(*slots) - 1, i = (size_t)text_hash(tag) & mask;
    while (slots[i] && !slice_equal(columns_tag_at(m, slots[i]), tag))
        i = (i + 1) & mask;
    return &slots[i];
}

/* Makes a table with twice as many slots as there could be tags before the next growth, and puts all tags into it. */
static void columns_spread(struct columns_maker *m, size_t n_slots)
{
    size_t bytes = n_slots * sizeof(uint16_t);
    m->slots.len = 0;
    uint8_t *room = buf_room(&m->slots, bytes);
    if (!room)
        return;
    memset(room, 0, bytes);
    buf_added(&m->slots, bytes);
    for (uint32_t place = 1; place <= m->n_tags; place++)
        *columns_slot(m, columns_tag_at(m, place)) = (uint16_t)place;
}

/* The place of a tag that the dictionary has; 0: it has not. */
static uint32_t columns_find_tag(const struct columns_maker *m, struct slice tag)
{
    if (m->last_tag && slice_equal(columns_tag_at(m, m->last_tag), tag))
        return m->last_tag;
    if (m->slots.len)
        return *columns_slot(m, tag);
    for (uint32_t place = 1; place <= m->n_tags; place++)
        if (slice_equal(columns_tag_at(m, place), tag))
            return place;
    return 0;
}

static uint32_t columns_learn_tag(struct columns_maker *m, struct slice tag)
{
    buf_put_u32(&m->starts, (uint32_t)m->dictionary.len);
    buf_put_sized(&m->dictionary, tag);
    if (m->starts.failed || m->dictionary.failed)
        return 0;
    uint32_t place = ++m->n_tags;
    size_t n_slots = m->slots.len / sizeof(uint16_t);
    if (place > DICTIONARY_SHORT && place * 2UL > n_slots)
        columns_spread(m, n_slots ? n_slots * 2 : SLOTS_MIN);
    else if (m->slots.len)
        *columns_slot(m, tag) = (uint16_t)place;
    return place;
}

void columns_add_some(struct columns_maker *m, uint32_t i, const struct message *msg)
{
    if (!columns_whole(m))
        return;
    if (msg->fields & MSG_TAG) {
        uint32_t place = columns_find_tag(m, msg->tag);
        m->last_tag = place ? place : columns_learn_tag(m, msg->tag);
        columns_fill(&m->tags, 2, i, 0);
        buf_put_u16(&m->tags, (uint16_t)m->last_tag);
        m->columns |= COLUMN_BIT(COLUMN_TAGS);
    }
    if (msg->fields & MSG_ORDER) {
        columns_fill(&m->keys, 4, i, 0);
        buf_put_u32(&m->keys, columns_key_hash(msg->order));
        m->columns |= COLUMN_BIT(COLUMN_KEYS);
    }
    if (msg->fields & MSG_PRIORITY && msg->priority != MESSAGE_PRIORITY_DEFAULT) {
        columns_fill(&m->priorities, 1, i, MESSAGE_PRIORITY_DEFAULT);
        buf_put_u8(&m->priorities, msg->priority);
        m->ranked[msg->priority]++;
        m->columns |= COLUMN_BIT(COLUMN_PRIORITIES);
    }
}

uint16_t columns_made_classes(const struct columns_maker *m, uint32_t count)
{
    if (!(m->columns & COLUMN_BIT(COLUMN_PRIORITIES)))
        return 0;
    uint32_t classes = 0, n = 0;
    for (uint32_t c = 0; c < CLASSES_MAX; c++) {
        classes |= (m->ranked[c] ? 1U : 0) << c;
        n += m->ranked[c];
    }
    return (uint16_t)(n < count ? classes | 1U << MESSAGE_PRIORITY_DEFAULT : classes);
}

struct columns columns_made(const struct columns_maker *m, uint32_t count)
{
    return (struct columns){.tags = {m->tags.data, (uint32_t)(m->tags.len / 2), 2},
                            .keys = {m->keys.data, (uint32_t)(m->keys.len / 4), 4},
                            .priorities = {m->priorities.data, (uint32_t)m->priorities.len, 1},
                            .dictionary = buf_slice(&m->dictionary),
                            .n_tags = m->n_tags,
                            .classes = columns_made_classes(m, count)};
}

/* ---- writing ---- */

/* Are all of n values of `width` bytes the same? */
static bool columns_even(const struct buf *values, size_t width)
{
    return values->len >= width && memcmp(values->data, values->data + width, values->len - width) == 0;
}

/* Appends the column's number, its size and `head`; then `values`, or where all are the same the first of them. */
static void columns_put(struct buf *out, enum column column, struct slice head, const struct buf *values, size_t width)
{
    size_t bytes = columns_even(values, width) ? width : values->len;
    buf_put_varint(out, column);
    buf_put_varint(out, head.len + bytes);
    buf_put_slice(out, head);
    buf_put(out, values->data, bytes);
}

/* Keeps the low byte of each place: a dictionary of fewer than 256 tags needs no more. */
static void columns_narrow(struct buf *tags)
{
    size_t n = tags->len / 2;
    for (size_t i = 0; i < n; i++)
        tags->data[i] = tags->data[2 * i];
    tags->len = n;
}

static void columns_put_tags(struct columns_maker *m, uint32_t count, struct buf *out)
{
    uint8_t hold[VARINT_BYTES_MAX];
    size_t n = (size_t)(write_varint(hold, m->n_tags) - hold), width = m->n_tags < 256 ? 1 : 2;
    columns_fill(&m->tags, 2, count, 0);
    if (width == 1)
        columns_narrow(&m->tags);
    size_t bytes = columns_even(&m->tags, width) ? width : m->tags.len;
    buf_put_varint(out, COLUMN_TAGS);
    buf_put_varint(out, n + m->dictionary.len + bytes);
    buf_put(out, hold, n);
    buf_put_slice(out, buf_slice(&m->dictionary));
    buf_put(out, m->tags.data, bytes);
}

void columns_encode(struct columns_maker *m, uint32_t count, struct buf *out)
{
    uint8_t hold[VARINT_BYTES_MAX];
    if (m->columns & COLUMN_BIT(COLUMN_TAGS))
        columns_put_tags(m, count, out);
    if (m->columns & COLUMN_BIT(COLUMN_KEYS)) {
        columns_fill(&m->keys, 4, count, 0);
        columns_put(out, COLUMN_KEYS, slice_of(NULL, 0), &m->keys, 4);
    }
    if (m->columns & COLUMN_BIT(COLUMN_PRIORITIES)) {
        columns_fill(&m->priorities, 1, count, MESSAGE_PRIORITY_DEFAULT);
        size_t n = (size_t)(write_varint(hold, columns_made_classes(m, count)) - hold);
        columns_put(out, COLUMN_PRIORITIES, slice_of(hold, n), &m->priorities, 1);
    }
    out->failed = out->failed || !columns_whole(m);
}

/* ---- FILTER TAG ---- */

/* The tags of a filter by their hashes. */
struct columns_table {
    struct slice tags[TABLE_SIZE]; /* data NULL: free */
};

static struct slice *columns_table_slot(struct columns_table *t, struct slice tag)
{
    size_t i = (size_t)text_hash(tag) % TABLE_SIZE;
    while (t->tags[i].data && !slice_equal(t->tags[i], tag))
        i = (i + 1) % TABLE_SIZE;
    return &t->tags[i];
}

static bool columns_is_one_of(struct slice filter, struct slice tag)
{
    struct slice one;
    while (filter_tags_next(&filter, &one))
        if (slice_equal(one, tag))
            return true;
    return false;
}

/* NULL: no memory, or so few comparisons that it is not needed. */
static struct columns_table *columns_table_new(struct slice filter, uint32_t n_tags)
{
    struct slice one, all = filter;
    uint32_t n = 0;
    while (filter_tags_next(&all, &one))
        n++;
    struct columns_table *t = (uint64_t)n * n_tags > FEW ? calloc(1, sizeof(*t)) : NULL;
    while (t && filter_tags_next(&filter, &one))
        *columns_table_slot(t, one) = one;
    return t;
}

enum status columns_wanted(const struct columns *c, struct slice filter, struct buf *wanted)
{
    buf_reset(wanted, WANTED_KEEP);
    size_t bytes = c->n_tags / 8 + 1;
    uint8_t *bits = buf_room(wanted, bytes);
    if (!bits)
        return ST_NOMEM;
    memset(bits, 0, bytes);
    buf_added(wanted, bytes);
    struct columns_table *table = columns_table_new(filter, c->n_tags);
    struct cursor at = cursor_of(c->dictionary);
    for (uint32_t place = 1; place <= c->n_tags; place++) {
        struct slice tag = cursor_sized(&at);
        bool is = tag.len > 0 && (table ? columns_table_slot(table, tag)->data != NULL : columns_is_one_of(filter, tag));
        bits[place / 8] |= (uint8_t)(is << place % 8);
    }
    free(table);
    return ST_OK;
}
