/*
 * still_clock.h: a clock of libhalfmq that stands, and goes on where a test says so. A program is linked
 * with -Wl,--wrap=clock_ms (its file is named test_client_*.c), and then every clock_ms() passes here.
 */
#ifndef HALFMQ_TESTS_STILL_CLOCK_H
#define HALFMQ_TESTS_STILL_CLOCK_H

#include <stdint.h>

/* From here on it shows what it shows now. */
void still_clock_stop(void);

/* It stands, so much later. */
void still_clock_pass(int64_t ms);

/* It is the system's again, as it is at first. */
void still_clock_go(void);

#endif
