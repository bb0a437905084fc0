/* turn.h: what the thread of a worker does, from its first connection to its end. */
#ifndef HALFMQ_BENCH_TURN_H
#define HALFMQ_BENCH_TURN_H

/* The thread's main function; worker is a struct worker. Returns NULL when all its links are done, or when the
 * load was given up. */
void *turn_main(void *worker);

#endif
