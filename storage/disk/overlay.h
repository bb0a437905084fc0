/*
 * overlay.h: rows as the open group sees them: those that it wrote, and otherwise those of the store.
 *
 *   overlay_put / overlay_del ──► memory ──(state_write)──► the batch, each row once
 *   overlay_get ──► memory, else the store
 *
 * Large bodies are not copied: a row refers to them where the command or a pinned row of the store has them.
 *
 * A row that is written five times in a group costs one put. Rows that are never read back by key
 * within a group (timers, index entries) go to the batch directly with kv_put instead.
 *
 * Invariant: between overlay_flush and the next put the overlay is empty.
 */
#ifndef HALFMQ_STORAGE_OVERLAY_H
#define HALFMQ_STORAGE_OVERLAY_H

#include "storage/disk/keys.h"
#include "storage/disk/kv.h"

struct overlay {
    struct kv *kv;
    struct buf bytes;      /* keys and values, one behind the other */
    size_t apart_bytes;    /* of values that are not in there */
    struct kv_pin **pins;  /* rows of the store that values of the group refer to */
    uint32_t n_pins, pins_size;
    struct overlay_row *rows;
    struct overlay_place *order; /* for overlay_flush; as many as rows */
    uint32_t *slots;       /* hash table over rows: place + 1, 0 free */
    uint32_t n, rows_size, slots_size;
    bool failed;           /* no memory: the group must not be written */
};

enum status overlay_init(struct overlay *o, struct kv *kv) MUST_CHECK;
void overlay_fini(struct overlay *o);

void overlay_put(struct overlay *o, const struct key *key, struct slice value);
/* The same with a value in two parts. Where the second one stays where it is until the overlay is empty again, the overlay may
 * refer to it: 31 MB are not copied twice, and the redo log finds what it has of them (batch/kv_parts.h). */
void overlay_put_parts(struct overlay *o, const struct key *key, struct slice first, struct slice second, bool stays);

/* The same where the second part is in the store, as source says, and pinned there (overlay_keep_pin): the redo log gets the place
 * only. */
void overlay_put_stored(struct overlay *o, const struct key *key, struct slice first, struct slice second,
                        const struct kv_source *source);

/* Takes over a pin, for values that refer to what it holds, until the overlay is empty again. False: no memory, and it still is
 * the caller's. */
bool overlay_keep_pin(struct overlay *o, struct kv_pin *pin) MUST_CHECK;

void overlay_del(struct overlay *o, const struct key *key);

/* Appends the row to out. ST_GONE, ST_IO, ST_NOMEM. */
enum status overlay_get(struct overlay *o, const struct key *key, struct buf *out) MUST_CHECK;

/* The same, but a stored row of at least `large` bytes is not copied (kv_get_pinned). */
enum status overlay_get_pinned(struct overlay *o, const struct key *key, size_t large, struct buf *out,
                               struct kv_pin **ret_pin, struct slice *ret_value) MUST_CHECK;

/* Puts all rows into the batch, in the order of their keys, unless memory has run out. Empty afterwards, and its tables
 * are smaller if they were much larger than this group needed. */
void overlay_flush(struct overlay *o);

/* Forgets all rows, and the tables become smaller as above. */
void overlay_clear(struct overlay *o);

static inline size_t overlay_bytes(const struct overlay *o)
{
    return o->bytes.len + o->apart_bytes;
}

#endif
