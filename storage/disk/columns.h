/*
 * columns.h: what the directory knows of each message of a record: its tag, its ORDER key, its priority. Whoever filters,
 * orders or ranks messages reads these columns, a few bytes a message, and not the messages.
 *
 *   message           0    1    2    3
 *   tags              1    2    0    1       places in a dictionary of the record's tags: 1 "eu", 2 "us"; 0: it has none
 *   keys              h    h    0    k       u32: low half of the key's XXH3-64, where that is 0: 1; 0: it has none
 *   priorities        4    9    4    4       u8
 *
 *   in the row B      a column is there only where some message needs it; where all messages have one value, it is
 *                     stored once (FORMAT.md has the bytes)
 *   in the making     columns_maker collects them while a record grows; columns_made shows what it has so far
 *
 * Two keys may have the same hash. Then their messages wait for each other, which is slower and nothing worse.
 *
 * To add a column: a number in enum column, a line in columns_decode and columns_encode, an inline function that reads it.
 */
#ifndef HALFMQ_STORAGE_COLUMNS_H
#define HALFMQ_STORAGE_COLUMNS_H

#include "protocol/record/message.h"

/* The number in front of a column in a row B. COLUMN_EXPIRES is that of the directory itself. */
enum column { COLUMN_EXPIRES = 1, COLUMN_TAGS = 2, COLUMN_KEYS = 3, COLUMN_PRIORITIES = 4 };

#define COLUMN_BIT(column) (1U << (column)) /* in record_info.columns */
#define CLASSES_MAX 10                      /* PRIORITY 0..9 */
#define CLASS_DEFAULT_BIT (1U << MESSAGE_PRIORITY_DEFAULT)

/* One value a message; step 0: all messages have the same one. */
struct column_values {
    const uint8_t *at;
    uint32_t n; /* the messages behind these have none */
    uint8_t step;
};

/* The columns of one record. They point into the bytes that they were read from. All zero: no message has anything. */
struct columns {
    struct column_values tags, keys, priorities;
    struct slice dictionary; /* n_tags x sized */
    uint32_t n_tags;
    uint16_t classes; /* bit c: some message has priority c; 0: all have the default one */
};

/* The place of the tag of message i in the dictionary, from 1 on; 0: it has no tag. */
static inline uint32_t columns_tag(const struct columns *c, uint32_t i)
{
    if (i >= c->tags.n)
        return 0;
    const uint8_t *at = c->tags.at + (size_t)i * c->tags.step;
    uint32_t place = c->n_tags < 256 ? at[0] : (uint32_t)(at[0] | at[1] << 8);
    return place <= c->n_tags ? place : 0;
}

/* The hash of the ORDER key of message i; 0: it has none. */
static inline uint32_t columns_key(const struct columns *c, uint32_t i)
{
    if (i >= c->keys.n)
        return 0;
    const uint8_t *at = c->keys.at + (size_t)i * c->keys.step;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The priority of message i, 0..9. */
static inline uint8_t columns_priority(const struct columns *c, uint32_t i)
{
    uint8_t p = i < c->priorities.n ? c->priorities.at[(size_t)i * c->priorities.step] : MESSAGE_PRIORITY_DEFAULT;
    return p < CLASSES_MAX ? p : MESSAGE_PRIORITY_DEFAULT;
}

/* The hash that stands for an ORDER key in its column. Never 0. */
uint32_t columns_key_hash(struct slice order);

/* Reads the columns of a record of count messages from what stands behind the other fields of its row. ST_BAD: damaged. */
enum status columns_decode(struct slice bytes, uint32_t count, struct columns *ret_c) MUST_CHECK;

/* The classes alone, from the column of the priorities. ST_BAD: damaged. */
enum status columns_classes(struct slice column, uint16_t *ret_classes) MUST_CHECK;

/* Which tags of the dictionary a FILTER TAG wants (protocol/filter/filter_tags.h): writes a bit for each place, 0 included,
 * into the buffer, which is emptied before. Tags are compared as a whole, byte by byte; a message without a tag is not
 * wanted. ST_NOMEM. */
enum status columns_wanted(const struct columns *c, struct slice filter, struct buf *wanted) MUST_CHECK;

/* Collects the columns of a record in the making. */
struct columns_maker {
    struct buf tags, keys, priorities; /* u16, u32, u8 a message, as far as there was one that has any */
    struct buf dictionary;             /* sized tags */
    struct buf starts;                 /* u32 a tag: where it begins in the dictionary */
    struct buf slots;                  /* u16 each: a hash table over the dictionary; 0: free */
    uint32_t n_tags, last_tag;
    uint32_t ranked[CLASSES_MAX]; /* how many messages have that priority; the default one is not counted */
    uint8_t columns;   /* COLUMN_BIT of those that some message needs */
};

void columns_maker_init(struct columns_maker *m);
void columns_maker_reset(struct columns_maker *m, size_t keep);
void columns_maker_free(struct columns_maker *m);

void columns_add_some(struct columns_maker *m, uint32_t i, const struct message *msg);

/* Adds message i of the record. They are added in order. */
static inline void columns_add(struct columns_maker *m, uint32_t i, const struct message *msg)
{
    if (msg->fields & (MSG_TAG | MSG_ORDER | MSG_PRIORITY))
        columns_add_some(m, i, msg);
}

/* False: memory ran out, and what it has is not complete. */
bool columns_whole(const struct columns_maker *m);

/* The columns of a record of count messages, as far as it was made; bit c of classes is exact. They are good until the
 * next message is added. */
struct columns columns_made(const struct columns_maker *m, uint32_t count);

/* Bit c: some of count messages has priority c; 0: all have the default one. How many have one is in m->ranked. */
uint16_t columns_made_classes(const struct columns_maker *m, uint32_t count);

/* Appends them as they stand in the row of a record of count messages. The maker is good for nothing but
 * columns_maker_reset afterwards. */
void columns_encode(struct columns_maker *m, uint32_t count, struct buf *out);

#endif
