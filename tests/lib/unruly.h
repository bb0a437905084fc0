/*
 * unruly.h: a network between libhalfmq and a broker, which does what the test wants at the moment.
 *
 *   client ──► 127.0.0.1:port ──UNRULY_PASS────► broker
 *                             ──UNRULY_REFUSE──► closed at once
 *                             ──UNRULY_FULL────► nobody: each request is answered with DISKFULL
 *
 * A mode holds for connections that are made from then on; unruly_end ends those that there are.
 */
#ifndef HALFMQ_TESTS_UNRULY_H
#define HALFMQ_TESTS_UNRULY_H

#include <stdbool.h>
#include <stdint.h>

enum unruly_mode { UNRULY_PASS, UNRULY_REFUSE, UNRULY_FULL };
enum unruly_end { UNRULY_RESET, UNRULY_HALF_CLOSE };

struct unruly;

/* The test fails where there is no socket or thread. */
struct unruly *unruly_start(uint16_t broker_port);
void unruly_stop(struct unruly *u);

uint16_t unruly_port(const struct unruly *u);
void unruly_set(struct unruly *u, enum unruly_mode mode);
void unruly_end(struct unruly *u, enum unruly_end how);

/* How many connections were made, and how many requests were answered with DISKFULL. */
unsigned unruly_made(struct unruly *u);
unsigned unruly_refused(struct unruly *u);

#endif
