/* heap.c: the thresholds of glibc's malloc (heap.h). */
#include "broker/base/heap.h"

#include <malloc.h>
#include <stdbool.h>

#include "broker/base/store_memory.h"
#include "protocol/base/buf.h"
#include "protocol/limits.h"

#define SMALL_MEMORY ((size_t)MIB(128))

static bool heap_is_small; /* set before other threads begin */

void heap_setup(size_t memory)
{
    heap_is_small = memory <= SMALL_MEMORY;
    store_memory_huge(!heap_is_small);
    buf_large = heap_is_small ? NULL : store_memory_grow;
    mallopt(M_ARENA_MAX, 2); /* enough for few threads; more would only hold on to memory */
    mallopt(M_MMAP_THRESHOLD, (int)(heap_is_small ? KIB(128) : MIB(2)));
    mallopt(M_TRIM_THRESHOLD, (int)(heap_is_small ? KIB(256) : MIB(4)));
}

void heap_trim(void)
{
    if (heap_is_small)
        malloc_trim(0);
}
