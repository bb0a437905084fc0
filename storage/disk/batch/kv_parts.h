/*
 * kv_parts.h: large commands of which the redo log has the bytes before they are applied.
 *
 *   writer   │ part 1 │ others' groups │ part 2 │ others' groups │ ... │ the command's group: its batch without the bodies │
 *   log      │ 2 MB   │ some KB        │ 2 MB   │                │     │ some KB, and where the bodies are                 │
 *
 * A command may bring 31 MB. If its batch brought them to the log at once, everybody would wait for as long as the disk
 * needs for that. So they are written in parts, each with a sync of its own, while the command waits for its turn; and what
 * the log gets in the end says where they are (kv_short.h).
 *
 * The caller says which bytes of memory a part is, and keeps them as they are until kv_parts_end. What of them is put into
 * the batch is found by its address: kv_parts_put looks at each part of a value, and whoever copies some of them into a
 * value calls kv_parts_copied behind it. Whatever is not found is in the batch, as always.
 *
 * Threads: the writer.
 */
#ifndef HALFMQ_STORAGE_KV_PARTS_H
#define HALFMQ_STORAGE_KV_PARTS_H

#include "storage/disk/batch/kv_short.h"
#include "storage/redo.h"

#define KV_PARTS_MAX 4096 /* of one command */

struct kv_part {
    const uint8_t *data;
    size_t len;
    uint64_t at; /* as redo.part has told it */
};

struct kv_parts {
    const struct redo *redo;    /* NULL: there is no log, so there are never any */
    struct kv_shorter *shorter; /* of the batch */
    struct kv_part *part;
    uint32_t n, size;
    uint32_t near;    /* the one that was found last: bodies are used in the order in which they came */
    size_t value_end; /* where the value ends, in the batch, that was put last */
    bool used;        /* the batch refers to some */
};

void kv_parts_init(struct kv_parts *p, const struct redo *redo, struct kv_shorter *shorter);
void kv_parts_free(struct kv_parts *p);

/* Writes a part to the redo log, as redo.part does. ST_BUSY: there is none that takes parts, or not now; then all parts are
 * forgotten, and the batch brings its bytes. ST_IO, with err: the log is dead. */
enum status kv_parts_write(struct kv_parts *p, struct slice bytes, size_t whole, bool sync, char *err, size_t err_size) MUST_CHECK;

/* The batch ends at `end` now, with a value that ends with these, one behind the other: shortens what the log gets of it. */
void kv_parts_put(struct kv_parts *p, size_t end, const struct slice *parts, int n);

/* In the value that was put last, which has `size` bytes, those from `at` on are a copy of `bytes`. Copies ascend. */
struct kv_copied {
    size_t at;
    struct slice bytes;
};
void kv_parts_copied(struct kv_parts *p, size_t size, const struct kv_copied *copied, size_t n);

/* What the log gets of the batch, good until the next call of this or of kv_short_of. */
struct slice kv_parts_short(struct kv_parts *p, struct slice batch);

/* Forgets the parts. */
void kv_parts_end(struct kv_parts *p);

#endif
