/*
 * still_clock.h: lets a test stop the clock of libhalfmq and move it on. A program whose file is named
 * test_client_*.c is linked with -Wl,--wrap=clock_ms, and clock_us and clock_late_ms; then every such call comes here.
 */
#ifndef HALFMQ_TESTS_STILL_CLOCK_H
#define HALFMQ_TESTS_STILL_CLOCK_H

#include <stdint.h>

/* Stops the clock at the present time. */
void still_clock_stop(void);

/* Moves the stopped clock on by ms. */
void still_clock_pass(int64_t ms);

/* Shows the system's clock again, as at the start of the program. */
void still_clock_go(void);

#endif
