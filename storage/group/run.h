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
 *   LEASED    rows R by place; all of them are in memory too, in `places` and in `leased`
 *   WAITING   rows V by due time; only the first ones are in memory, in `waiting` (waiting.h)
 *
 * A receipt finds leased runs by their place. Nobody looks for a waiting run but in the order of the due times, so
 * it costs no memory before its turn comes.
 *
 * In a group that is or was ORDERED a run may lie across others: what one POP took there is scattered, as it passed over
 * messages whose keys were held, and these are leased later. `overlap` says so. Then a run begins with a message that
 * was live when it was made, so no two of them begin at the same place.
 *
 *   offsets    10 11 12 13 14 15 16         a: 10 12 13 16     b: 11 15
 *              a  b  a  a  .  b  a
 *
 * Invariants: runs of a queue do not overlap, but for `overlap`; live == bits set > 0. A run that changed is on the dirty list and is
 * written, or its row deleted, with the commit group (run_rows.h).
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
    RB_ENTRY(run) by_place; /* LEASED */
    RB_ENTRY(run) by_due;
    uint64_t base;
    int64_t due_ms;
    uint32_t queue, count, live, attempt;
    uint32_t delivered; /* how often, since the group began or its last SEEK */
    uint64_t holder;    /* LEASED: the id of the connection that has it; 0: nobody knows */
    enum run_state state;
    enum run_state row;  /* kind of its row in the store; 0: it has none */
    int64_t row_due_ms;  /* due time in the key of that row, if it is a V */
    bool dirty, gone;
    struct run *dirty_next;
    uint64_t bits[]; /* (count + 63) / 64 words */
};

RB_HEAD(run_places, run);
RB_HEAD(run_dues, run);

struct runs {
    struct run_places places;
    struct run_dues leased, waiting;
    struct run *dirty, **dirty_end;
    uint64_t n_leased, n_waiting;       /* live messages by state, */
    uint64_t leased_runs, waiting_runs; /* and the runs they are in; those that are only on disk count, too */
    uint32_t n_window;                  /* waiting runs in memory */
    bool whole;                         /* all of them are */
    struct wait_place window_end;       /* otherwise: all stored ones before this place are */
    bool overlap;                       /* leased runs may lie across each other */
};

void runs_init(struct runs *rs);

/* Frees all runs. rs is empty then, and keeps `overlap`. */
void runs_fini(struct runs *rs);

static inline uint32_t run_words(uint32_t count)
{
    return (count + 63) / 64;
}

/* How often the messages of a run were delivered: the number of the last time, and how often since the last SEEK. */
struct run_past {
    uint32_t attempt, delivered;
};

/* Adds a run over [base, base+count), without a holder. bits: which messages it has; NULL: all
 * of them. NULL: no memory. */
struct run *run_add(struct runs *rs, uint32_t queue, uint64_t base, uint32_t count, enum run_state state,
                    struct run_past past, int64_t due_ms, const uint64_t *bits);

/* Adds a run as its row in the store says; it is counted already. The row has live messages. NULL: no memory. */
struct run *run_add_stored(struct runs *rs, uint32_t queue, uint64_t base, const struct run_row *row);

/* Takes a run out. It must not be used any more. */
void run_drop(struct runs *rs, struct run *r);

/* Takes the messages of these bits out of a run, which are to be somewhere else. *ret_rest: the run of the others, NULL:
 * there are none. r must not be used any more. ST_NOMEM: unchanged. */
enum status run_give(struct runs *rs, struct run *r, const uint64_t *bits, struct run **ret_rest) MUST_CHECK;

/* Takes a clean run out of memory, while its row stays. */
void run_forget(struct runs *rs, struct run *r);

/* The leased run that has the live message at offset, or NULL. */
struct run *run_find(struct runs *rs, uint32_t queue, uint64_t offset);

bool run_has(const struct run *r, uint64_t offset);

/* Takes the message out of its run. A run without messages is removed: r must not be used any more. */
void run_clear(struct runs *rs, struct run *r, uint64_t offset);

/* Leases a leased run for longer, or shorter. */
void run_extend(struct runs *rs, struct run *r, int64_t due_ms);

/* Makes a leased run wait until due_ms; attempt: how often it was delivered. Where it continues a run that began to
 * wait in the same commit group, with the same due time and attempt, the two become one: r must not be used any more.
 * ST_NOMEM: the rows would not be what they must be, so the commit group must be given up. */
enum status run_wait(struct runs *rs, struct run *r, uint32_t attempt, int64_t due_ms) MUST_CHECK;

/* Cuts a run in two at offset (base < offset < base + count) and returns the right part. NULL: no memory, and nothing
 * was changed; or the right part has no live message. A part without live messages is removed: r must not be used. */
struct run *run_split(struct runs *rs, struct run *r, uint64_t offset);

/* Takes everything before offset out of a run; r must not be used any more. ST_NOMEM: unchanged. */
enum status run_drop_before(struct runs *rs, struct run *r, uint64_t offset) MUST_CHECK;

/* Cuts the message at offset of a leased run out into a run of its own. NULL: no memory. */
struct run *run_isolate(struct runs *rs, struct run *r, uint64_t offset);

/* The first leased run that has an offset in first..last; NULL: none. Not where runs overlap. */
struct run *run_in(struct runs *rs, uint32_t queue, uint64_t first, uint64_t last);

/* The first leased run of the queue that begins in first..last; NULL: none. */
struct run *run_begins(struct runs *rs, uint32_t queue, uint64_t first, uint64_t last);

/* The leased run behind this one in its queue, if it begins at `last` or before; NULL: there is none. */
struct run *run_behind(struct run *r, uint64_t last);

/* The first leased run of the queue, or of one behind it; NULL: none. */
struct run *run_from_queue(struct runs *rs, uint32_t queue);

/* How many messages of the queue are leased. */
uint64_t run_leased_of(struct runs *rs, uint32_t queue);

/* How many of its live messages are in first..last. */
uint32_t run_live_in(const struct run *r, uint64_t first, uint64_t last);

/* Takes those out, as run_clear does one. Returns how many. */
uint32_t run_clear_in(struct runs *rs, struct run *r, uint64_t first, uint64_t last);

/* Cuts the live messages in first..last (there are some) of a leased run out into a run of their own. NULL: no memory;
 * the messages are then in other runs, with the same state. */
struct run *run_cut(struct runs *rs, struct run *r, uint64_t first, uint64_t last);

/* The same of those whose bits are set (there are some), wherever they lie. Only where runs may overlap. NULL: no memory;
 * unchanged. */
struct run *run_cut_bits(struct runs *rs, struct run *r, const uint64_t *bits);

/* The leased run whose lease ends first; NULL: none. */
struct run *run_first_leased(struct runs *rs);

/* The first and the last waiting run in memory; NULL: none. What is on disk may come before: see waiting_first. */
struct run *run_window_first(struct runs *rs);
struct run *run_window_last(struct runs *rs);

/* The waiting run in memory that comes after it; NULL: it is the last one. */
struct run *run_window_next(struct run *r);

#endif
