/*
 * kv_short.h: a write batch for the log, without the bytes that the store has already.
 *
 * 1. COMMIT makes records of bodies that HALF has stored in rows Y. RocksDB gets such a body a second time; the log, which is
 * synced while everybody waits, gets the place of the row instead:
 *
 *   batch   ... │ key, head of the record │ body, 4 MB                   │ end of the record │ ...
 *   log     ... │ key, head of the record │ row Y 7 3, bytes 90 to 4 MB  │ end of the record │ ...
 *
 *   short form: mark u64, all bits set │ number of cuts │ each: at, len, from, key sized │ the batch without what was cut
 *
 * 2. The bytes of a large command are in the log before it is applied (kv_parts.h). The batch gets their place: then the
 * key of the row is KV_SHORT_PART and a u64, big-endian, as redo.part has told it.
 *
 * Numbers are varints. `at` is where the bytes are missing in what follows; they are those from byte `from` on of the
 * value that has the key in KV_STATE. A batch that RocksDB has made never begins with that mark: it begins with a zero.
 *
 * Whoever replays a batch has a store that is in the state just before it. So the rows are there, with the same bytes, also
 * where the batch itself deletes them.
 *
 * Pure. Threads: the caller's.
 */
#ifndef HALFMQ_STORAGE_KV_SHORT_H
#define HALFMQ_STORAGE_KV_SHORT_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

struct kv_shorter {
    struct buf cuts, head, bytes;
    size_t cut_bytes;
};

void kv_short_init(struct kv_shorter *s);
void kv_short_free(struct kv_shorter *s);

/* Forgets the cuts. */
void kv_short_reset(struct kv_shorter *s);

/* len bytes of the batch from `at` on are those of the row from `from` on. Cuts ascend, and lie in the value of an entry. */
void kv_short_cut(struct kv_shorter *s, size_t at, size_t len, struct slice key, size_t from);

#define KV_SHORT_PART 0xff /* no row of KV_STATE has a key that begins with it */
#define KV_SHORT_PART_BYTES 9

/* The key of a part, and which part a key is that of. */
void kv_short_part_key(uint64_t part, uint8_t out[static KV_SHORT_PART_BYTES]);
bool kv_short_part(struct slice key, uint64_t *ret_part);

/* The short form, good until the next call; the batch itself where nothing was cut, or memory ran out. */
struct slice kv_short_of(struct kv_shorter *s, struct slice batch);

bool kv_short_is(struct slice bytes);

/* One cut of a short form, as kv_short_next walks over them. */
struct kv_short_cut {
    size_t at, len, from;
    struct slice key;
};

struct kv_short_walk {
    struct cursor c;
    uint64_t left; /* cuts that are still to come */
};

/* Begins to walk over the cuts of a short form, or of a batch, which has none. *ret_rest: the batch without what was cut.
 * False: these bytes are neither. */
bool kv_short_begin(struct slice bytes, struct kv_short_walk *w, struct slice *ret_rest);

/* False: there is none left. */
bool kv_short_next(struct kv_short_walk *w, struct kv_short_cut *ret_cut);

/* Appends len bytes of the value, from `from` on. Anything but ST_OK ends the restoring with that status. */
typedef enum status kv_short_read_fn(void *arg, const struct kv_short_cut *cut, struct buf *out);

/* Appends the whole batch to out. Takes any bytes: ST_BAD. ST_NOMEM. */
enum status kv_short_restore(struct slice bytes, kv_short_read_fn *read, void *arg, struct buf *out) MUST_CHECK;

/* How many bytes the batch has that was shortened to this, or is this. */
size_t kv_short_whole(struct slice bytes);

#endif
