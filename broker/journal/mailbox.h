/*
 * mailbox.h: what reaches a loop from other threads.
 *
 *   journal ── entries handed back ──┐
 *   journal ── news (merged) ────────┤  mutex   ┌─────────┐ mailbox_take ┌─────────┐
 *   main ───── sockets, orders ──────┼─────────►│ letters │ ◄── swap ──► │ letters │ the loop's
 *   anybody ── kill this client ─────┘          └─────────┘              └─────────┘
 *                                                   └─► eventfd, only when the loop sleeps
 *
 * Invariants
 *   1. Entries and news are taken in one step, so the loop can hand out the news first: an entry
 *      never overtakes the news of its own group.
 *   2. Between mailbox_sleep (true) and the next take, the first letter that matters wakes the
 *      loop, the others cost no system call.
 *   3. Bounds: news merges and overflows at NEWS_MAX keys; entries are bounded by the journal,
 *      sockets by max_connections, kills are refused at KILLS_MAX.
 *
 * Threads: take, sleep and clear by the loop; the rest by any.
 */
#ifndef HALFMQ_BROKER_MAILBOX_H
#define HALFMQ_BROKER_MAILBOX_H

#include <pthread.h>

#include "broker/journal/entry.h"

/* News of one or more groups. A key may stand here twice; each counts. */
struct news {
    uint64_t index; /* of the newest group in it; 0: there is none */
    bool overflow; /* keys were dropped: wake everybody */
    uint32_t n;
    uint64_t keys[NEWS_MAX];
    uint32_t counts[NEWS_MAX];
};

enum mailbox_order {
    ORDER_TURN = 1, /* the journal wants journal_turn */
    ORDER_TICK = 2, /* submit TICK */
    ORDER_DRAIN = 4, /* stop */
};

#define KILLS_MAX 16

struct letters {
    struct entry_list done;
    struct news *news; /* never NULL */
    int *fds;
    uint32_t n_fds, fds_size;
    uint32_t n_kills;
    uint64_t kills[KILLS_MAX];
    unsigned orders;
    int64_t drain_ms; /* with ORDER_DRAIN */
};

struct mailbox {
    pthread_mutex_t lock;
    struct letters in; /* under lock, with the next two */
    bool sleeping; /* the loop waits, or is about to */
    bool wants_news; /* ... and news is worth waking it */
    int event_fd;
};

enum status mailbox_init(struct mailbox *m) MUST_CHECK;
void mailbox_fini(struct mailbox *m); /* entries in it must have been taken; sockets are closed */

enum status letters_init(struct letters *l) MUST_CHECK;
void letters_fini(struct letters *l);

void mailbox_post_done(struct mailbox *m, struct entry_list *done);
void mailbox_post_news(struct mailbox *m, const struct effects *fx);
void mailbox_order(struct mailbox *m, unsigned orders, int64_t drain_ms);
bool mailbox_post_fd(struct mailbox *m, int fd) MUST_CHECK; /* false: no memory */
bool mailbox_post_kill(struct mailbox *m, uint64_t id) MUST_CHECK; /* false: too many at once */

/* Swaps the letters for l, which must be empty (as after letters_init or letters_clear). */
void mailbox_take(struct mailbox *m, struct letters *l);

/* Counts and orders back to nothing; entries and sockets must have been taken out. */
void letters_clear(struct letters *l);

/* Last thing before waiting for sockets. False: there is a letter, do not wait. */
bool mailbox_sleep(struct mailbox *m, bool wants_news) MUST_CHECK;

/* After waiting: letters need not wake any more. Empties the eventfd if it rang. */
void mailbox_awake(struct mailbox *m);
void mailbox_drain_event(struct mailbox *m);

#endif
