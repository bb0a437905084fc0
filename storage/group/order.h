/*
 * order.h: what an ordered group on a topic knows beyond its runs: which ORDER keys are held, and which messages it has
 * passed over because of that.
 *
 *   keyring   who holds a key, who waits behind it     made of rows R, V and Z and the columns of the directory
 *   skips     the messages that wait, in blocks        rows Z, written with the commit group that changed them
 *
 *   messages of a queue   a b a c a b        a is leased: the other two are skipped      (letters are keys)
 *                         R R Z R Z Z        acknowledged: the next a becomes ready, and POP takes it before fresh ones
 *
 * All of it is read when the group is loaded, and is the same then as it was: what is ready, and in which order, follows
 * from the rows alone. A message whose record cannot be read any more counts as one without a key; one below the floor
 * of its queue is gone, and holds nothing.
 *
 * It knows nothing of groups: ordered.h has what they do.
 */
#ifndef HALFMQ_STORAGE_ORDER_H
#define HALFMQ_STORAGE_ORDER_H

#include "storage/disk/columns.h"
#include "storage/group/run.h"
#include "storage/order/keyring.h"
#include "storage/order/skips.h"

#define ORDER_ENOUGH 512  /* messages that are leased: from there on ... */
#define ORDER_NEAR 512   /* ... so many are skipped at most, each queue having its part, ... */
#define ORDER_NEAR_MIN 64 /* ... at least so many */

struct order {
    struct keyring ring;
    struct skips skips;
    bool held_back; /* a fresh message may be where it is only because ORDER_ENOUGH are leased */
};

/* NULL: no memory. */
struct order *order_new(void);
void order_free(struct order *o);
size_t order_bytes(const struct order *o);

/* Forgets everything; the rows must be deleted, too (runs_delete). */
void order_clear(struct order *o);

/* Fills in what the cursor row says of skipped messages. row has its queues and their cursors. */
void order_count(struct order *o, struct cursor_row *row);

/* Puts the rows of the changed blocks of gt into the batch. */
void order_flush(struct order *o, struct state *st, uint64_t gt);

/* Reads all of it. rs has the leased runs of gt. ST_IO, ST_DAMAGED, ST_NOMEM. */
enum status order_load(struct order *o, struct state *st, struct topic *t, uint64_t gt, const struct cursor_row *row,
                       struct runs *rs) MUST_CHECK;

/* Finds out the key, age and size of messages, one after the other. All zero but the first two: begins. */
struct order_reader {
    struct state *st;
    struct topic *topic;
    struct record_info info; /* of the record that was read last; count 0: none */
    struct columns columns;
    uint32_t queue;
};

/* *ret_p: of the message at offset; its key is 0 where it has none, or cannot be read. ST_IO, ST_NOMEM. */
enum status order_read(struct order_reader *r, uint32_t queue, uint64_t offset, struct ring_place *ret_p) MUST_CHECK;

/* What is known of a message of a record that was found. Its size is left open while the record is in the making. */
static inline struct ring_place order_place(const struct state *st, const struct record_info *info, uint32_t queue,
                                            uint64_t offset, uint32_t key)
{
    uint32_t bytes = info->index == st->group_index ? 0 : info->bytes / info->count;
    return (struct ring_place){.offset = offset, .index = info->index, .queue = queue, .key = key, .bytes = bytes};
}

/* Passes over a message. ST_NOMEM. */
enum status order_skip(struct order *o, const struct ring_place *p, struct skip_past past) MUST_CHECK;

/* A message that was leased or waited for a retry is done. True: another one of its key is ready now. */
bool order_done(struct order *o, uint32_t queue, uint64_t offset);

/* The same of those at base + i, for each bit i. All are found before the first of them is freed: what the look-ups wait for in
 * memory, they wait for together. Returns how many others are ready now. */
uint32_t order_done_some(struct order *o, uint32_t queue, uint64_t base, uint64_t bits);

/* Makes a skipped message of one that was leased or waited. True: one of its key is ready now. ST_NOMEM: *ret_s. */
bool order_demote(struct order *o, struct ring_message *m, struct skip_past past, enum status *ret_s);

/* The block with the oldest ready message, and that message at or behind *from of it; NULL: there is none. */
struct skip *order_oldest(struct order *o);

/* The skipped message at an offset of the block. */
struct ring_message *order_skipped(struct order *o, const struct skip *b, uint64_t offset);

/* Takes a ready message out of its block: it is leased, or (drop) nobody wants it any more. True: another one of its key
 * is ready now. Call order_settle for the block, unless it has no message left, before the next order_oldest. */
bool order_take(struct order *o, struct ring_message *m, bool drop);
void order_settle(struct order *o, struct skip *b);

/* At the end of a commit group. True once after fewer than ORDER_ENOUGH are leased again, where a fresh message was left only
 * because of that: whoever waits is to be told. */
static inline bool order_goes_on(struct order *o, uint64_t leased)
{
    bool on = o->held_back && leased < ORDER_ENOUGH;
    o->held_back = o->held_back && !on;
    return on;
}

/* Forgets what lies below the floors of the topic's queues. True: something became ready. */
bool order_trim(struct order *o, const struct topic *t);

/* Forgets what is known of a queue, and deletes its rows with the commit group: its runs are dropped, too. */
void order_forget(struct order *o, uint32_t queue);

#endif
