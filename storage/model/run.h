/*
 * run.h: what is between a group's cursor and everything acknowledged, for one group on one topic.
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

/* tree.h marks what may stay unused with a word that libbsd leaves undefined here. */
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
    uint64_t n, n_leased, n_waiting; /* runs; live messages by state */
};

void runs_init(struct runs *rs);
void runs_fini(struct runs *rs, struct state *st);

/* A run over [base, base+count) with all bits set; bits NULL, or copied. NULL: no memory. */
struct run *run_add(struct runs *rs, struct state *st, uint32_t queue, uint64_t base, uint32_t count,
                    enum run_state state, uint32_t attempt, int64_t due_ms, const uint64_t *bits);

/* The live message at offset: its run, or NULL. */
struct run *run_find(struct runs *rs, uint32_t queue, uint64_t offset);

bool run_has(const struct run *r, uint64_t offset);

/* Takes the message out of its run; a run without messages is gone. */
void run_clear(struct runs *rs, struct state *st, struct run *r, uint64_t offset);

/* Changes state, attempt and due of the whole run. */
void run_move(struct runs *rs, struct run *r, enum run_state state, uint32_t attempt, int64_t due_ms);

/* Cuts so that one run begins at offset exactly (base < offset < base + count); returns the right part,
 * NULL without memory (nothing changed). A part without live messages is dropped: *r may be gone. */
struct run *run_split(struct runs *rs, struct state *st, struct run *r, uint64_t offset);

/* The message at offset alone in a run of its own (splitting around it); NULL without memory. */
struct run *run_isolate(struct runs *rs, struct state *st, struct run *r, uint64_t offset);

/* The first run with a place in first..last; NULL: none. */
struct run *run_in(struct runs *rs, uint32_t queue, uint64_t first, uint64_t last);

/* How many of its live messages are in first..last. */
uint32_t run_live_in(const struct run *r, uint64_t first, uint64_t last);

/* Takes those out, as run_clear does one; how many. */
uint32_t run_clear_in(struct runs *rs, struct state *st, struct run *r, uint64_t first, uint64_t last);

/* Those of first..last (there are some) alone in a run of their own; NULL without memory, and then the
 * messages are in other runs, unchanged. */
struct run *run_cut(struct runs *rs, struct state *st, struct run *r, uint64_t first, uint64_t last);

struct run *run_first_due(struct runs *rs, enum run_state state); /* NULL: none */

/* Rows of the dirty runs of gt into the batch. */
void runs_flush(struct runs *rs, struct state *st, uint64_t gt);

/* All rows of gt into rs. */
enum status runs_load(struct runs *rs, struct state *st, uint64_t gt) MUST_CHECK;

#endif
