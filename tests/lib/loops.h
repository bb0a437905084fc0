/*
 * loops.h: I/O loops with a real store and journal in the test's process, and clients over socket pairs: for what a
 * client of a whole broker cannot cause at will.
 */
#ifndef HALFMQ_TESTS_LOOPS_H
#define HALFMQ_TESTS_LOOPS_H

#include "broker/serve/serve.h"
#include "broker/server_inner.h"
#include "tests/lib/wire.h"

struct loops {
    struct server server; /* first; aligned to a cache line: use loops_start */
    char *folder;
    bool drained;
    atomic_bool drains_at_info; /* INFO begins the drain */
    void (*_Atomic at_info)(void); /* called by INFO, on the loop's thread; NULL: nothing */
};

/* flag: one more setting ("--memory=16777216"), or NULL. */
struct loops *loops_start(uint32_t n, const char *flag);
void loops_drain(struct loops *f);
void loops_stop(struct loops *f); /* drains, if that was not done, and frees all */

/* A client of that loop. The test fails where it cannot be had. */
struct wire loops_client(struct loops *f, uint32_t loop);

#endif
