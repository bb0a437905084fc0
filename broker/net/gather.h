/*
 * gather.h: two short waits of a loop that are not sleep, and when they are worth it.
 *
 *   before it leads a group    gather_more: who was answered asks again in a moment, but not all in the same one;
 *                              the first few to come would have a sync of their own, and all others wait for it
 *   before it sleeps           gather_linger: to fall asleep and be woken mostly takes longer than clients do
 *
 * Both look at the sockets and are given up for a while where they were in vain: after each miss in a row the loop
 * skips twice as many turns. A lone client is never waited with.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_GATHER_H
#define HALFMQ_BROKER_GATHER_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

struct gather_patience {
    uint32_t misses; /* in a row */
    uint32_t skip; /* turns until the next try */
};

struct gather_state {
    uint32_t target; /* how many commands may be expected: the largest group of late */
    bool answered; /* entries came back in this turn: who sent them asks again soon */
    struct gather_patience more, linger;
};

/* Learns from n entries that came back in one turn. */
void gather_came_back(struct gather_state *g, uint32_t n);

/* Where the last groups were larger than what is in flight, looks at the sockets of base a little longer, most_ns
 * (journal_gather_ns) at most. in_flight: entries that the journal has; callbacks of base add to it. */
void gather_more(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns);

/* Where the whole of a group was answered, looks for its clients' next commands before the loop sleeps. most_ns: 0
 * where it is not worth it. True: commands have come. */
bool gather_linger(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns);

#endif
