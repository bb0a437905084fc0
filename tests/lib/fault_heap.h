/*
 * fault_heap.h: memory that runs out where a test wants it. A program is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc (its file is named test_*_faults.c), and then every
 * allocation of our own code passes here; those of shared libraries do not.
 */
#ifndef HALFMQ_TESTS_FAULT_HEAP_H
#define HALFMQ_TESTS_FAULT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* The n-th allocation made inside fails (1: the next), and with forever all behind it too. 0: none. */
void fault_heap_fail(uint64_t n, bool forever);

/* Only what this thread allocates inside counts and fails; a thread is outside at first. */
void fault_heap_inside(bool in);

/* True where one has failed since fault_heap_fail. */
bool fault_heap_fired(void);

#endif
