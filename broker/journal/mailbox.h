/*
 * mailbox.h: what other threads leave for a loop, or for the webhooks' thread.
 *
 *   journal ── entries handed back ──┐
 *   journal ── news (merged) ────────┤  mutex   ┌─────────┐ mailbox_take ┌─────────┐
 *   main ───── sockets, orders ──────┼─────────►│ letters │ ◄── swap ──► │ letters │ the loop's
 *   anybody ── kill this client ─────┘          └─────────┘              └─────────┘
 *                                                   └─► eventfd, only when the loop sleeps
 *
 * It stands in this room because both kinds of the journal's clients have one. "Loop" below is either.
 *
 * Invariants
 *   1. Entries and news are taken in one step, so the loop can hand out the news first: an entry never overtakes the
 *      news of its own group.
 *   2. After mailbox_sleep has returned true, the first letter that matters wakes the loop; those that follow it cost
 *      no system call.
 *   3. Bounds: news merges, and overflows at NEWS_MAX keys; entries are bounded by the journal, sockets by
 *      max_connections; kills are refused at KILLS_MAX.
 *
 * Threads: take, sleep and clear by the loop; the rest by any.
 */
#ifndef HALFMQ_BROKER_MAILBOX_H
#define HALFMQ_BROKER_MAILBOX_H

#include <pthread.h>

#include "broker/base/address.h"
#include "broker/journal/entry.h"

/* News of one or more groups. The same key may stand here more than once: add up their counts. */
struct news {
    uint64_t index; /* of the newest group in it; 0: no news */
    bool overflow;  /* keys were dropped: wake everybody */
    uint32_t n;
    uint64_t keys[NEWS_MAX];
    uint32_t counts[NEWS_MAX];
};

enum mailbox_order {
    ORDER_TURN = 1,  /* call journal_turn */
    ORDER_TICK = 2,  /* submit TICK */
    ORDER_DRAIN = 4, /* finish what is under way, and stop */
};

#define KILLS_MAX 16

/* A connection that was accepted. */
struct letter_socket {
    int fd;
    bool counted; /* among those of its address (broker/net/peers.h) */
    struct net_address from;
};

struct letters {
    struct entry_list done;
    struct news *news; /* never NULL */
    struct letter_socket *fds;
    uint32_t n_fds, fds_size;
    uint32_t n_kills;
    uint64_t kills[KILLS_MAX];
    unsigned orders;
    int64_t drain_ms; /* with ORDER_DRAIN */
};

struct mailbox {
    pthread_mutex_t lock;
    struct letters in; /* under lock, as are the next two */
    bool sleeping;     /* the loop waits, or is about to */
    bool wants_news;   /* ... and is woken by news, too */
    int event_fd;
};

enum status mailbox_init(struct mailbox *m) MUST_CHECK;
void mailbox_fini(struct mailbox *m); /* entries in it must have been taken; sockets are closed */

enum status letters_init(struct letters *l) MUST_CHECK;
void letters_fini(struct letters *l);

/* Each leaves a letter and wakes the loop if it sleeps; news only if the loop wants news. Any thread. */
void mailbox_post_done(struct mailbox *m, struct entry_list *done);
void mailbox_post_news(struct mailbox *m, const struct effects *fx);
void mailbox_order(struct mailbox *m, unsigned orders, int64_t drain_ms);
bool mailbox_post_fd(struct mailbox *m, struct letter_socket socket) MUST_CHECK; /* false: no memory */
bool mailbox_post_kill(struct mailbox *m, uint64_t id) MUST_CHECK; /* false: too many at once */

/* Moves the letters to l, which must be empty (as after letters_init or letters_clear). */
void mailbox_take(struct mailbox *m, struct letters *l);

/* Empties l; entries and sockets must have been taken out. */
void letters_clear(struct letters *l);

/* To be called last before waiting for sockets. False: there is a letter, do not wait. */
bool mailbox_sleep(struct mailbox *m, bool wants_news) MUST_CHECK;

/* To be called after waiting: letters need not wake the loop any more. */
void mailbox_awake(struct mailbox *m);

/* Empties the eventfd after it rang. */
void mailbox_drain_event(struct mailbox *m);

#endif
