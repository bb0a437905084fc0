/*
 * scrubber.h: a thread that reads every stored record once in scrub_interval, and so finds damage before a client needs what is
 * damaged.
 *
 *   <data>/scrub   "queue offset topic": how far it is; kept once a minute, so a restart goes on there
 *
 * It runs at nice 19, reads a piece, and sleeps so long that all pieces fill the interval. What it finds is told as by any other
 * reader: a line in the log, halfmq_damaged_records, INFO, TOPIC INFO.
 */
#ifndef HALFMQ_BROKER_SCRUBBER_H
#define HALFMQ_BROKER_SCRUBBER_H

#include <stdbool.h>
#include <stdint.h>

struct scrubber;
struct server;

/* The store is there. NULL: no memory or no thread. */
struct scrubber *scrubber_new(struct server *s);

/* Before the store is closed. NULL is fine. */
void scrubber_free(struct scrubber *c);

/* For INFO. Any thread. */
struct scrubber_figures {
    uint64_t rounds;          /* that came to an end since the start */
    uint64_t records, bytes;  /* read since the start */
    int64_t last_ms;          /* when the last round ended; 0: none has since the start */
};
void scrubber_figures(struct scrubber *c, struct scrubber_figures *ret_figures);

#endif
