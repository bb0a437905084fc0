/* spare_memory.c: allocates for libevent, and never returns NULL (spare_memory.h). */
#include "broker/base/spare_memory.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static void *_Atomic spare; /* NULL: it is in use */

static void spare_memory_refill(void)
{
    void *block = malloc(SPARE_MEMORY_BYTES), *none = NULL;
    if (!atomic_compare_exchange_strong(&spare, &none, block))
        free(block);
}

/* Nothing may be allocated here, and a log line needs a lock. */
static _Noreturn void spare_memory_end(void)
{
    static const char text[] = "level=error msg=\"no memory is left, the broker stops at once\" "
                               "hint=\"nothing that was acknowledged is lost: lower memory, or give the process more\"\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(SPARE_MEMORY_EXIT);
}

static void *spare_memory_realloc(void *old, size_t size)
{
    void *p = realloc(old, size);
    if (!p) {
        free(atomic_exchange(&spare, NULL));
        p = realloc(old, size);
    }
    if (!p)
        spare_memory_end();
    if (!atomic_load(&spare))
        spare_memory_refill();
    return p;
}

static void *spare_memory_malloc(size_t size)
{
    return spare_memory_realloc(NULL, size ? size : 1);
}

bool spare_memory_begin(void)
{
    event_set_mem_functions(spare_memory_malloc, spare_memory_realloc, free);
    if (!atomic_load(&spare))
        spare_memory_refill();
    return atomic_load(&spare) != NULL;
}
