/*
 * exec_sift.h: POPs in an EXEC from groups with a FILTER WHERE. Such a POP is mostly submitted twice, since messages are
 * looked at for it in between (sieve.h). An EXEC is submitted once. So messages are looked at for its POPs before.
 *
 *   POP g t COUNT 5 │ SEND │ POP g t COUNT 7 │ POP h t         g's messages are looked at once, for 12 that match
 *      └── sifter ◄─────────────┘                └── another one
 *
 * What is sent in the same EXEC, or between this and the EXEC's turn, has not been looked at, and is not delivered.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_EXEC_SIFT_H
#define HALFMQ_BROKER_EXEC_SIFT_H

#include "broker/serve/multi/multi.h"

/* Works for about a millisecond, on the commands from m->sift_next on. True: it is done. */
bool exec_sift(struct multi *m);

#endif
