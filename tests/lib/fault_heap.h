/*
 * fault_heap.h: makes allocations fail where a test wants it. A program whose file is named test_*_faults.c is
 * linked with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc. Then every allocation of our own code comes here;
 * those of shared libraries do not.
 */
#ifndef HALFMQ_TESTS_FAULT_HEAP_H
#define HALFMQ_TESTS_FAULT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Makes the n-th allocation inside fail (1: the next one); with forever, also all later ones. 0: none fails. */
void fault_heap_fail(uint64_t n, bool forever);

/* Only allocations that a thread makes inside are counted and can fail. Each thread starts outside. */
void fault_heap_inside(bool in);

/* True if an allocation has failed since fault_heap_fail. */
bool fault_heap_fired(void);

#endif
