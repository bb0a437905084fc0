/*
 * spare_memory.h: memory for libevent, which does not survive that its own allocations fail: it follows null pointers, or
 * loses an answer.
 *
 *   libevent ──► malloc ──► fails ──► the spare block is freed ──► malloc again ──► fails ──► a sentence, exit 70
 *                             ▲                                        └─ works: a new spare block is allocated, when one
 *                             └──────────────────────────────────────────────── can be had
 *
 * What the broker allocates itself is not served here: there a failure is an error reply, or one connection less.
 */
#ifndef HALFMQ_BROKER_SPARE_MEMORY_H
#define HALFMQ_BROKER_SPARE_MEMORY_H

#include <stdbool.h>

#define SPARE_MEMORY_BYTES (256 * 1024)
#define SPARE_MEMORY_EXIT 70

/* Makes libevent allocate as above. Call it before any other function of libevent. False: no memory. */
bool spare_memory_begin(void);

#endif
