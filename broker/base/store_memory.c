/* store_memory.c: operator new in front of the C++ library's (store_memory.h). */
#include "broker/base/store_memory.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "protocol/limits.h"

#define HUGE_PAGE ((size_t)MIB(2))
#define ROUNDED   ((size_t)KIB(1280)) /* a rest of so many bytes gets a huge page of its own */

static atomic_bool store_memory_is_huge;

void store_memory_huge(bool huge)
{
    atomic_store(&store_memory_is_huge, huge);
}

void *store_memory_large(size_t bytes)
{
    size_t rest = bytes % HUGE_PAGE, size = rest < ROUNDED ? bytes : bytes - rest + HUGE_PAGE;
    void *p = NULL;
    if (size < bytes || posix_memalign(&p, HUGE_PAGE, size) != 0)
        return NULL;
    if (size >= HUGE_PAGE)
        (void)madvise(p, size - size % HUGE_PAGE, MADV_HUGEPAGE);
    return p;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

typedef void *new_fn(size_t bytes);

/* Exported for RocksDB: operator new, and that of arrays. */
new_fn store_memory_new __asm__("_Znwm");
new_fn store_memory_new_array __asm__("_Znam");

/* `name` is the library's; it is kept in *next. */
static void *store_memory_get(size_t bytes, _Atomic(new_fn *) *next, const char *name)
{
    if (bytes >= ROUNDED && atomic_load_explicit(&store_memory_is_huge, memory_order_relaxed)) {
        void *p = store_memory_large(bytes);
        if (p)
            return p;
    }
    new_fn *library = atomic_load_explicit(next, memory_order_relaxed);
    if (!library) {
        *(void **)&library = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(next, library, memory_order_relaxed);
    }
    return library(bytes);
}

void *store_memory_new(size_t bytes)
{
    static _Atomic(new_fn *) next;
    return store_memory_get(bytes, &next, "_Znwm");
}

void *store_memory_new_array(size_t bytes)
{
    static _Atomic(new_fn *) next;
    return store_memory_get(bytes, &next, "_Znam");
}

#endif
