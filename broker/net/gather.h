/*
 * gather.h: three short waits of a loop that are not sleep, and when they are worth it.
 *
 *   before it leads a group    gather_more: clients that just got a reply send their next request in a moment, but not
 *                              all at the same time. The first few would get a sync of their own, and all others
 *                              would have to wait for that sync.
 *                              gather_acks: an ORDERED group delivers what an ACK frees, so its streams and the broker work
 *                              in turns. Where the ACKs of all streams are in one group, they share one sync
 *   before it sleeps           gather_linger: falling asleep and being woken mostly takes longer than the clients need
 *
 * All poll the sockets. After a try that found nothing, the loop skips some turns before the next one: twice as many
 * after each miss in a row. With one client alone there is no wait.
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
    uint32_t target; /* how many commands to expect: the size of the largest recent group */
    bool answered; /* entries came back in this turn, so their clients will send more soon */
    uint32_t owed; /* streams of ORDERED groups that were sent something, and have acknowledged nothing since */
    struct gather_patience more, linger, acks;
};

/* Notes that n entries came back in one turn. */
void gather_came_back(struct gather_state *g, uint32_t n);

/* If recent groups were larger than what is in flight, polls the sockets of base a little longer, at most most_ns
 * (journal_gather_ns). in_flight: entries that the journal has; callbacks of base add to it. */
void gather_more(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns);

/* If something came, and there are streams of ORDERED groups whose ACKs are still to come, polls the sockets a little longer for
 * these. Parameters as of gather_more; nothing where most_ns is 0. */
void gather_acks(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns);

/* If all of a group was replied to, polls the sockets for the next commands before the loop sleeps. Does nothing where
 * most_ns (journal_gather_ns) is 0. True: commands have come. */
bool gather_linger(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns);

#endif
