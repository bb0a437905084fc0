/*
 * kv_space.h: gives the disk space of deleted records back.
 *
 * A deletion only marks a range as deleted; the bytes stay until RocksDB happens to compact what is in it, which may be
 * never. A round does that now:
 *
 *   topics that were deleted or purged (kv_freed) ──► compact their ranges: tables lose their keys, and blob files in
 *                                                     which nothing else is wanted go
 *   much garbage in blob files that topics share   ──► compact with collection: what is wanted in the oldest of these
 *                                                     files moves to new ones, as far as `room` allows
 *
 * Where deletions were lost sight of, as over a restart, the tables themselves tell which of them have deletions. A
 * round waits until no snapshot is older than the deletions that were there when it fell due; where one sees later ones,
 * another round follows. It works in RocksDB's own threads, table by table, so that
 * its other compactions go on in between.
 *
 * What retention deletes (kv_space_cut) comes in small pieces, again and again: it waits until it is worth a round.
 *
 * Threads: one thread at a time; kv_space_any and kv_space_stop from any; the writer calls kv_space_cut_range and
 * kv_space_cut.
 */
#ifndef HALFMQ_STORAGE_KV_SPACE_H
#define HALFMQ_STORAGE_KV_SPACE_H

#include "storage/disk/kv.h"

/* Deletes the oldest records of a queue, in the pending batch. */
void kv_space_cut_range(struct kv *kv, enum kv_family f, struct slice from, struct slice to);

/* The pending batch deletes the oldest records of a topic, so or one by one; they have so many bytes. */
void kv_space_cut(struct kv *kv, uint64_t topic, uint64_t bytes);

/* The pending batch has deleted all messages of a topic that were stored before since_ms (kv_freed.h). */
void kv_space_kept(struct kv *kv, uint64_t topic, int64_t since_ms, int64_t now_ms);

/* Was something deleted since the last round that is worth one? urgent: whatever was cut off is. */
bool kv_space_any(const struct kv *kv, bool urgent);

/* Was so much of that cut off that the round should not wait? */
bool kv_space_much(const struct kv *kv);

/* One round. urgent: the disk is full, so that little garbage counts, too. room: how many bytes it may write before it
 * has given anything back. True: there is more to do, in another round. */
bool kv_space_give_back(struct kv *kv, bool urgent, uint64_t room);

/* Compacts a range of a family down to its last level. For what goes on in the thread of the rounds. */
void kv_space_compact(struct kv *kv, enum kv_family f, struct slice from, struct slice to);

/* May RocksDB begin compactions by itself? Not while the disk is nearly full: one that waits for room would keep those
 * waiting that give space back. No-op where it never compacts. */
void kv_space_alone(struct kv *kv, bool allowed);

/* Ends a round that is under way, and makes all later ones do nothing. Before kv_close. */
void kv_space_stop(struct kv *kv);

#endif
