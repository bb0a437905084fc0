/*
 * kv_freed.h: which topics' records were deleted, so that somebody gives their disk space back (kv_space.h).
 *
 *   writer: kv_freed_add ──► noted ──(the batch is readable: kv_freed_publish)──► published ──► kv_freed_take: any one thread
 *
 * What does not fit is only counted as lost: then all that is stored has to be looked at. Nothing of this is on disk:
 * after a crash the log is replayed, and its batches name the deletions (kv_freed_scan); what had left the log is found
 * in the database's files.
 */
#ifndef HALFMQ_STORAGE_KV_FREED_H
#define HALFMQ_STORAGE_KV_FREED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

#define KV_FREED_MAX 64
#define KV_KEPT_SLOTS 4096

struct kv_freed {
    _Atomic uint64_t topics[KV_FREED_MAX]; /* entry i is at i % KV_FREED_MAX */
    uint64_t noted;                        /* the writer's own: how many there were ever; ... */
    bool noted_lost;
    _Atomic uint64_t published, taken; /* ... of these */
    atomic_bool lost;
    uint64_t noted_bytes; /* of what was cut off (kv_freed_cut); the writer's own */
    _Atomic uint64_t bytes; /* of that, what is published and not yet taken */
};

/*
 * Since when topics keep messages, where their oldest are deleted by retention: rows about older messages may go (stale.h).
 * The writer notes it, compactions look. A topic has one slot, which another one may take: then its rows wait until it is
 * noted again. All zero: empty.
 */
struct kv_kept_slot {
    atomic_uint turn; /* odd while the slot is written */
    _Atomic uint64_t topic;
    _Atomic int64_t since_ms, noted_ms;
};

struct kv_kept {
    struct kv_kept_slot slots[KV_KEPT_SLOTS];
};

/* No message of the topic was stored before since_ms, from the commit group at now_ms on. */
void kv_kept_note(struct kv_kept *k, uint64_t topic, int64_t since_ms, int64_t now_ms);

/* The open commit group is given up, and with it what it may have deleted: nothing is known any more. */
void kv_kept_forget(struct kv_kept *k);

/* True where a message of the topic that was stored at a time is gone, by a commit group before marked_ms. */
bool kv_kept_gone(const struct kv_kept *k, uint64_t topic, int64_t stored_ms, int64_t marked_ms);

/* Notes a deletion of the pending batch: of all records from a key on, which begins with a topic's id. The writer. */
void kv_freed_add(struct kv_freed *f, struct slice from);

/* Notes that the oldest records of a topic are deleted, of so many bytes. A topic that is not taken yet is noted once. */
void kv_freed_cut(struct kv_freed *f, uint64_t topic, uint64_t bytes);

/* As kv_freed_add for all such deletions of a batch, in the bytes that RocksDB writes to its log. */
void kv_freed_scan(struct kv_freed *f, struct slice batch);

/* Is something noted and not yet published? The writer. */
static inline bool kv_freed_noted(const struct kv_freed *f)
{
    return f->noted_lost || f->noted_bytes || f->noted != atomic_load_explicit(&f->published, memory_order_relaxed);
}

/* What was noted is readable now, or will never be. The writer. */
void kv_freed_publish(struct kv_freed *f);
void kv_freed_forget(struct kv_freed *f);

/* Is there something to take? Any thread. */
bool kv_freed_any(const struct kv_freed *f);

/* The next topic; false: there is none. And: were some lost since the last call? One thread at a time. */
bool kv_freed_take(struct kv_freed *f, uint64_t *ret_topic);
bool kv_freed_take_lost(struct kv_freed *f);

/* How many bytes were cut off since the last kv_freed_take_bytes. */
uint64_t kv_freed_bytes(const struct kv_freed *f);
uint64_t kv_freed_take_bytes(struct kv_freed *f);

#endif
