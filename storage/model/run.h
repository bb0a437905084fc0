/*
 * run.h: runs: messages that a group on a topic has leased, or that wait to be delivered again.
 *
 *   offsets    0 ......... acknowledged ..... │ runs and gaps │ next ...... end
 *                                              ▲ a gap is acknowledged
 *   run        base, count, attempt, due, bits: a stretch of one queue that one POP took; a set bit is
 *              a message still outstanding. All live messages of a run share state, attempt and due.
 *
 *              pop                    lease ends / NACK
 *     (fresh) ─────► LEASED ───────────────────────────► WAITING ──┐
 *                      ▲   │ ack: bit cleared; no bit left: gone   │ due has come, pop: attempt + 1
 *                      └───┼─────────────────────────────────────◄─┘
 *                          ▼ attempts used up: dead letter
 *
 * Invariants: runs of a queue do not overlap; live == bits set > 0; a run is in the tree of its state.
 * A run that changed is on the dirty list and is written, or its row deleted, with the group.
 */
#ifndef HALFMQ_STORAGE_RUN_H
#define HALFMQ_STORAGE_RUN_H

/* tree.h uses this attribute, which libbsd does not define here. */
#ifndef __unused
#define __unused __attribute__((unused))
#endif
#include <bsd/sys/tree.h>

#include "storage/model/core.h"

struct run {
    RB_ENTRY(run) by_place, by_due;
    uint64_t base;
    int64_t due_ms;
    uint32_t queue, count, live, attempt;
    enum run_state state;
    bool dirty, gone, stored;
    struct run *dirty_next;
    uint64_t bits[]; /* (count + 63) / 64 words */
};

RB_HEAD(run_places, run);
RB_HEAD(run_dues, run);

struct runs {
    struct run_places places;
    struct run_dues leased, waiting;
    struct run *dirty, **dirty_end;
    uint64_t n_leased, n_waiting; /* live messages by state, */
    uint64_t leased_runs, waiting_runs; /* and the runs they are in */
};

void runs_init(struct runs *rs);
void runs_fini(struct runs *rs, struct state *st);

/* Adds a run over [base, base+count). bits: which messages it has; NULL: all of them. NULL: no memory. */
struct run *run_add(struct runs *rs, struct state *st, uint32_t queue, uint64_t base, uint32_t count,
                    enum run_state state, uint32_t attempt, int64_t due_ms, const uint64_t *bits);

/* The run that has the live message at offset, or NULL. */
struct run *run_find(struct runs *rs, uint32_t queue, uint64_t offset);

bool run_has(const struct run *r, uint64_t offset);

/* Takes the message out of its run. A run without messages is removed: r must not be used any more. */
void run_clear(struct runs *rs, struct state *st, struct run *r, uint64_t offset);

/* Changes state, attempt and due time of the whole run. */
void run_move(struct runs *rs, struct run *r, enum run_state state, uint32_t attempt, int64_t due_ms);

/* Cuts a run in two at offset (base < offset < base + count) and returns the right part. NULL: no memory, and nothing
 * was changed; or the right part has no live message. A part without live messages is removed: r must not be used. */
struct run *run_split(struct runs *rs, struct state *st, struct run *r, uint64_t offset);

/* Cuts the message at offset out into a run of its own. NULL: no memory. */
struct run *run_isolate(struct runs *rs, struct state *st, struct run *r, uint64_t offset);

/* The first run that has an offset in first..last; NULL: none. */
struct run *run_in(struct runs *rs, uint32_t queue, uint64_t first, uint64_t last);

/* How many of its live messages are in first..last. */
uint32_t run_live_in(const struct run *r, uint64_t first, uint64_t last);

/* Takes those out, as run_clear does one. Returns how many. */
uint32_t run_clear_in(struct runs *rs, struct state *st, struct run *r, uint64_t first, uint64_t last);

/* Cuts the live messages in first..last (there are some) out into a run of their own. NULL: no memory; the messages
 * are then in other runs, with the same state. */
struct run *run_cut(struct runs *rs, struct state *st, struct run *r, uint64_t first, uint64_t last);

struct run *run_first_due(struct runs *rs, enum run_state state); /* NULL: none */

/* Fills in what the cursor row says of the runs: the counts, the first waiting one, and how far back leases go. row has
 * its queues and their cursors. */
void runs_count(struct runs *rs, struct cursor_row *row);

/* Puts the rows of the changed runs of gt into the batch. */
void runs_flush(struct runs *rs, struct state *st, uint64_t gt);

/* Reads all runs of gt into rs. */
enum status runs_load(struct runs *rs, struct state *st, uint64_t gt) MUST_CHECK;

#endif
