/*
 * keys.h: the key space. Numbers are big-endian, so that keys sort as numbers do; names end with a
 * zero byte, which no name holds, so that a name sorts before its extensions.
 *
 *   family LOG
 *     topic u64 │ queue u32 │ base offset u64          → batch record (protocol/record/record.h)
 *   family STATE, by first byte
 *     M                                                → meta: applied index, stamp, counters
 *     T name                                           → topic
 *     G group 0 topic                                  → group on a topic: id and settings
 *     S group                                          → a consumer group: on how many topics it is
 *     H topic u64 │ group                              → (empty) which groups hang on a topic
 *     C gt u64                                         → its cursors, queue by queue
 *     C gt u64 │ class u8                              → its cursors for messages of that PRIORITY
 *     R gt u64 │ queue u32 │ base u64                  → a run: leased messages
 *     V gt u64 │ due u64 │ queue u32 │ base u64 │ since u32 → a run: messages that wait for a retry
 *     Z gt u64 │ queue u32 │ base u64 │ attempt u32 │ delivered u32 → messages passed over, ORDERED
 *     X txid u64                                       → an open transaction: state, times, first message
 *     O txid u64                                       → a decided one: its outcome
 *     Y txid u64 │ n u32                               → its n-th message (0: only a large one)
 *     K pgroup 0 due u64 │ txid u64                    → (empty) a check-back falls due
 *     J pgroup 0 txid u64                              → (empty) a pending one, by age
 *     P pgroup                                         → settings of a producer group
 *     Q pgroup                                         → how many transactions it has open
 *     D topic u64 │ S or P │ dedup id                  → the first answer of SEND or PRODUCE, and until when
 *     U topic 0 dedup id                               → the transaction of the first HALF, and until when
 *     I topic u64 │ hash u64 │ stored u64 │ queue u32 │ offset u64   → (empty) KEY index
 *     E topic u64 │ queue u32 │ offset u64             → when a message with a TTL expires
 *     B topic u64 │ queue u32 │ base u64               → the directory's row of a record (directory.h)
 *     d topic u64 │ queue u32 │ n u64                  → which of its messages n x 1024 .. were removed one by one
 *     F topic u64 │ queue u32 │ class u8 │ base u64    → the record has messages of that PRIORITY, which is not the default
 *     L topic u64 │ due u64 │ token u64                → a delayed message
 *     N token u64                                      → where its L row is
 *     A bucket u32                                     → attempt numbers that deleted groups have used (attempts.h)
 *     a user                                           → a user and its rules (storage/access/user.h)
 *     W kind u8 │ due u64 │ what                       → timer: see timer.h
 *
 * Invariant: a row of one kind never sorts among rows of another. To add a kind: a letter here, its
 * row in rows.h, a golden line in the tests.
 */
#ifndef HALFMQ_STORAGE_KEYS_H
#define HALFMQ_STORAGE_KEYS_H

#include "protocol/base/slice.h"

#define KEY_SIZE 400

struct key {
    uint8_t bytes[KEY_SIZE];
    uint32_t len;
};

static inline struct slice key_slice(const struct key *k)
{
    return slice_of(k->bytes, k->len);
}

/* Building blocks. A key that grows too long is our own bug (an assertion): limits.h bounds all parts. */
void key_begin(struct key *k, char kind);
void key_u8(struct key *k, uint8_t v);
void key_u32(struct key *k, uint32_t v);
void key_u64(struct key *k, uint64_t v);
void key_bytes(struct key *k, struct slice s);
void key_name(struct key *k, struct slice name); /* and its zero byte */

/* Read a number back from a place in a key. The caller has checked the length. */
uint32_t key_read_u32(const uint8_t *at);
uint64_t key_read_u64(const uint8_t *at);

/* The smallest key that is greater than every key that begins with k. */
struct key key_after(const struct key *k);

#define LOG_KEY_BYTES 20
#define DIRECTORY_KEY_BYTES 21
#define SKIPPED_KEY_BYTES 29
struct key key_log(uint64_t topic, uint32_t queue, uint64_t base);

struct key key_meta(void);
struct key key_topic(struct slice name);
struct key key_group(struct slice group, struct slice topic);
struct key key_group_prefix(struct slice group);
struct key key_topic_group(uint64_t topic, struct slice group);
struct key key_cgroup(struct slice group);
struct key key_cursor(uint64_t gt);
struct key key_class_cursor(uint64_t gt, uint8_t class);
struct key key_run(uint64_t gt, uint32_t queue, uint64_t base);
#define WAITING_KEY_BYTES 33
struct key key_waiting(uint64_t gt, int64_t due_ms, uint32_t queue, uint64_t base, uint32_t since);
struct key key_skipped(uint64_t gt, uint32_t queue, uint64_t base, uint32_t attempt, uint32_t delivered);
struct key key_txn(uint64_t txid);
struct key key_outcome(uint64_t txid);
struct key key_txn_message(uint64_t txid, uint32_t n);
struct key key_check(struct slice pgroup, int64_t due_ms, uint64_t txid);
struct key key_check_prefix(struct slice pgroup);
struct key key_pending(struct slice pgroup, uint64_t txid);
struct key key_pending_prefix(struct slice pgroup);
struct key key_pgroup(struct slice pgroup);
struct key key_pgroup_open(struct slice pgroup);
struct key key_user(struct slice user); /* "": the prefix of all */
struct key key_dedup(uint64_t topic, char command, struct slice id);
struct key key_dedup_half(struct slice topic, struct slice id);
struct key key_index(uint64_t topic, uint64_t hash, int64_t stored_ms, uint32_t queue, uint64_t offset);
struct key key_expiry(uint64_t topic, uint32_t queue, uint64_t offset);
struct key key_directory(uint64_t topic, uint32_t queue, uint64_t base);
struct key key_removed(uint64_t topic, uint32_t queue, uint64_t n);
#define CLASS_KEY_BYTES 22
struct key key_class(uint64_t topic, uint32_t queue, uint8_t class, uint64_t base);
struct key key_delayed(uint64_t topic, int64_t due_ms, uint64_t token);
struct key key_token(uint64_t token);
struct key key_attempts(uint32_t bucket);
struct key key_timer(uint8_t kind, int64_t due_ms, struct slice what);
#define TIMER_WHAT_AT 10 /* where `what` stands in it */

/* The kind byte followed by the id of a topic or a gt: the prefix of all its rows of that kind. */
struct key key_of_id(char kind, uint64_t id);

/* Ids of transactions, and tokens of delayed messages:  time (41 bits) │ node (10) │ sequence (12) */
#define TXID_EPOCH_MS INT64_C(1577836800000) /* 2020-01-01: leaves 41 bits of time until 2089 */

/* Roughly when the id was given out. A full sequence borrows the next millisecond. */
static inline int64_t txid_time_ms(uint64_t txid)
{
    return (int64_t)(txid >> 22) + TXID_EPOCH_MS;
}

#endif
