/*
 * pop_take.h: what the two halves of POP share: the command at work, and what it takes of a queue before that becomes a
 * run.
 *
 *   pop_waiting (pop.c)       runs that wait and are due ──┐
 *   pop_fresh (pop_fresh.c)   messages never delivered   ──┴─► struct take ──► pop_make_run ──► a leased run, a grant
 */
#ifndef HALFMQ_STORAGE_APPLY_POP_TAKE_H
#define HALFMQ_STORAGE_APPLY_POP_TAKE_H

#include "storage/group/group.h"

#define POP_EXPIRED_MAX 20000  /* expired messages that one POP skips; then the caller comes again at once */
#define POP_EXAMINED_MAX 20000 /* the same of messages that are looked at in columns (verdict.h) */

struct pop {
    struct state *st;
    const struct stamp *stamp;
    struct outcome *out;
    int64_t lease_ms; /* 0: the group's own */
    uint64_t holder;  /* the id of the connection that asks; 0: nobody knows */
    uint32_t left;    /* messages still wanted */
    size_t bytes;     /* estimated size of what was taken */
    uint32_t expired; /* expired messages that were skipped */
    uint32_t examined; /* messages that needed a verdict */
    bool changed;     /* something was created or leased, so it cannot simply fail */
    bool again;       /* more may be had at once, by another POP */
    int64_t retry_ms; /* when RATE lets more go; 0: no time is known */
    uint32_t topic;   /* at work, of those that it names */
    bool sift;        /* it ended at a message of which nobody knows whether it matches (sift.h) ... */
    uint32_t n_wants; /* ... and has asked that of so many places, in out->text */
    bool crowded;     /* the group on this topic has too many leases: nothing is delivered ... */
    bool refused;     /* ... and there was something */
    bool by_ack;      /* what is leased may keep others from being delivered */
    bool whole;       /* it had rather end with a record than take part of one ... */
    bool ended;       /* ... and did */
    enum status status;
};

static inline bool pop_more(const struct pop *p)
{
    return p->left > 0 && p->bytes < REPLY_BYTES_SOFT && p->expired < POP_EXPIRED_MAX &&
           p->examined < POP_EXAMINED_MAX && p->status == ST_OK && !p->ended;
}

struct take {
    uint64_t base;
    uint32_t count, live;
    uint32_t attempts;  /* the number of their last attempt, or what the numbers begin behind */
    uint32_t delivered; /* how often they were delivered before */
    uint64_t bits[RUN_WORDS_MAX];
};

/* Adds the next message of the queue; live: the caller gets it. There is room: count < COUNT_MAX. */
static inline void take_add(struct take *take, bool live)
{
    take->bits[take->count / 64] |= (uint64_t)live << (take->count % 64);
    take->live += live;
    take->count++;
}

/* Takes all but the first count messages out again. Returns how many of them were live. */
uint32_t take_cut(struct take *take, uint32_t count);

/* True where the message at offset has expired, or p->status. info is a record that was looked up: if the message is in
 * it, it may tell. */
bool pop_expired(struct pop *p, struct gt *gt, uint32_t queue, uint64_t offset, const struct record_info *info);

/* Makes a run of what was taken, and empties *take. */
void pop_make_run(struct pop *p, struct gt *gt, uint32_t queue, struct take *take);

#endif
