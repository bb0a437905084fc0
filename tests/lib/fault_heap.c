/* fault_heap.c: wraps malloc, calloc and realloc, and lets the allocation fail that the test chose. */
#include "tests/lib/fault_heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Atomic uint64_t left;
static _Atomic bool always, fired;
static _Thread_local bool counts;

void fault_heap_fail(uint64_t n, bool forever)
{
    left = n;
    always = forever;
    fired = false;
}

void fault_heap_inside(bool in)
{
    counts = in;
}

bool fault_heap_fired(void)
{
    return fired;
}

static bool fails(void)
{
    uint64_t n = atomic_load(&left);
    if (!counts)
        return false;
    while (n > 1 || (n == 1 && !always))
        if (atomic_compare_exchange_weak(&left, &n, n - 1))
            break;
    if (n != 1)
        return false;
    fired = true;
    errno = ENOMEM; /* as the real functions do */
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}
