/*
 * directory.h: one row for each batch record, which says all that is asked about it without its body: where it is, how
 * old and how large, when its messages expire. Whoever finds, compares or counts messages reads these rows, 60 bytes
 * each, and not the records, which may be megabytes.
 *
 *   rows B      base 0, count 3 │ base 3, count 1 │ base 4, count 900 │ ...       offsets are dense: a row's base is the
 *   records     ███             │ █               │ ██████████████████ ...        number of messages before it
 *
 *   expires     a record can be skipped whole when all its messages have expired, and taken whole when none has; only
 *               in between are its rows E looked at
 *   total       bytes of all records of the queue since its last PURGE, this one included: two rows tell how many bytes
 *               are between them
 *
 *   columns     what some of its messages have: tags, ORDER keys, priorities, one value a message (columns.h)
 *
 * A row is written in the batch of its record, and goes with it. A row that is damaged or missing costs time and nothing
 * else: the record's own header, and its messages, give the same answer. (Only `total` is unknown then: 0.)
 *
 * To add a fact that is not needed of every record: a column (enum in columns.h). Readers skip columns that they do not
 * know.
 */
#ifndef HALFMQ_STORAGE_DIRECTORY_H
#define HALFMQ_STORAGE_DIRECTORY_H

#include "protocol/base/compress.h"
#include "protocol/record/record.h"
#include "storage/disk/columns.h"
#include "storage/disk/kv.h"

/* What is known of a stored record, or of one in the making. */
struct record_info {
    uint64_t base;
    uint64_t index; /* of its commit group: (index, seq) orders messages over all queues */
    uint64_t first_seq, last_seq;
    uint64_t total; /* bytes */
    int64_t stored_ms;
    int64_t expires_least; /* no message expires earlier; INT64_MAX: none expires */
    int64_t expires_most;  /* all have expired then; INT64_MAX: some message never expires */
    uint32_t count;
    uint32_t bytes; /* of the whole record */
    uint8_t flags;  /* RECORD_TTL, RECORD_TXN */
    uint8_t columns;  /* COLUMN_BIT of the columns that it has */
    uint16_t classes; /* bit c: some message has PRIORITY c; 0: all have the default one */
};

#define DIRECTORY_ROW_MAX 128

/* Writes the value of its row, without the columns of columns.h, which follow it, and returns the length. */
size_t directory_encode(const struct record_info *info, uint8_t out[DIRECTORY_ROW_MAX]);

/* ST_BAD: not such a row. */
enum status directory_decode(uint64_t base, struct slice value, struct record_info *ret_info) MUST_CHECK;

/* Reads the columns from the value of a row that directory_decode takes. ST_BAD: they are damaged. */
enum status directory_columns(struct slice value, uint32_t count, struct columns *ret_c) MUST_CHECK;

/* What the row of a record says, from the record itself. ST_BAD: it is damaged. */
enum status directory_of_record(struct slice record, struct record_info *ret_info) MUST_CHECK;

/* The directory of a topic, as of a snapshot (NULL: the newest state). Stays with its thread. */
struct directory {
    struct kv *kv;
    const struct kv_snap *snap;
    uint64_t topic;
    enum compress compress;
    struct kv_iter *it;
    bool on;        /* the iterator stands on the row of the last answer, which is ... */
    uint32_t queue; /* ... of this queue, ... */
    uint64_t end;   /* ... and the record ends before this offset */
};

/* False: no memory, and there is nothing to close. */
bool directory_open(struct directory *d, struct kv *kv, const struct kv_snap *snap, uint64_t topic,
                    enum compress compress) MUST_CHECK;
void directory_close(struct directory *d);

/* Goes on with another topic. */
void directory_turn(struct directory *d, uint64_t topic, enum compress compress);

/* Finds the record that holds an offset that the queue has: from its floor on, and before its end. Where the store has
 * lost that record: the first one behind it. It is cheap to ask for the one behind the last answer. ST_GONE: there is
 * none; ST_IO, ST_NOMEM. */
enum status directory_find(struct directory *d, uint32_t queue, uint64_t offset,
                           struct record_info *ret_info) MUST_CHECK;
/* The first of the messages low..high-1 that was stored at a time or later; high: none was. ST_IO, ST_NOMEM. */
enum status directory_at_time(struct directory *d, uint32_t queue, uint64_t low, uint64_t high, int64_t time_ms,
                              uint64_t *ret_offset) MUST_CHECK;

/* Finds the last record of a queue. ST_GONE: it has none; ST_IO, ST_NOMEM. */
enum status directory_last(struct directory *d, uint32_t queue, struct record_info *ret_info) MUST_CHECK;

#endif
