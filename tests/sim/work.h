/*
 * work.h: what must be true of a work queue: a topic with RETENTION, its only group, which has a FILTER WHERE, its dead
 * letters, and what was redriven of them. It is part of the oracle: arrays, no pointers, no code from storage/.
 *
 *   SEND ─► READY ─ POP ─► LEASED ─ ACK ─► DONE
 *             │ ▲             │ NACK: READY again, or, as REJECT does, and behind ATTEMPTS deliveries: DEAD
 *             │ └─────────────┤                                                     │
 *             │ (in %RETRY%)  └──────────────────── REDRIVE ◄───────────────────────┘
 *             └─► DROPPED: POP has passed it, as the filter does not match
 *
 * Once a message is older than RETENTION it may go at any TICK, whatever it is in; a while later it must be gone. A letter
 * and what was redriven stay.
 */
#ifndef HALFMQ_TESTS_SIM_WORK_H
#define HALFMQ_TESTS_SIM_WORK_H

#include <stdbool.h>
#include <stdint.h>

#define O_WORK_MAX 400
#define O_WORK_ATTEMPTS 3
#define O_WORK_KEPT_MS 40000 /* RETENTION; */
#define O_WORK_SLACK_MS 15000 /* so much later it has acted */

enum o_work_state { O_READY, O_HELD, O_ENDED, O_DROPPED, O_DEAD, O_CUT };

struct o_work {
    enum o_work_state state;
    uint32_t n;       /* its property n */
    int64_t stored_ms;
    uint32_t attempt; /* of the last delivery in this place; 0: none yet */
    uint32_t letter;  /* its offset among the dead letters, once it is one */
    bool fresh;       /* no POP has gone on to the end since it came */
    bool maybe;       /* it is fresh, and some POP may have passed it */
    bool redriven;    /* it is in %RETRY%, at: */
    uint32_t offset;
};

struct o_works {
    bool there;
    uint32_t least; /* the filter: n >= least */
    uint32_t n, letters, redriven;
    struct o_work all[O_WORK_MAX]; /* by their offset in the topic */
};

#endif
