/* store_memory.c: operator new in front of the C++ library's (store_memory.h). */
#include "broker/base/store_memory.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "protocol/limits.h"

#define HUGE_PAGE ((size_t)MIB(2))
#define MOVED     ((size_t)MIB(8)) /* a smaller block is copied: mremap splits huge pages, and the block then grows by small ones */
#define ROUNDED   ((size_t)KIB(1280)) /* a rest of so many bytes gets a huge page of its own */

static atomic_bool store_memory_is_huge;

void store_memory_huge(bool huge)
{
    atomic_store(&store_memory_is_huge, huge);
}

/* How many bytes a block has that is asked for as so many; 0: too many. */
static size_t store_memory_size(size_t bytes)
{
    size_t rest = bytes % HUGE_PAGE, size = rest < ROUNDED ? bytes : bytes - rest + HUGE_PAGE;
    return size < bytes ? 0 : size;
}

static void store_memory_advise(void *p, size_t size)
{
    if (size >= HUGE_PAGE)
        (void)madvise(p, size - size % HUGE_PAGE, MADV_HUGEPAGE);
}

void *store_memory_large(size_t bytes)
{
    size_t size = store_memory_size(bytes);
    void *p = NULL;
    if (!size || posix_memalign(&p, HUGE_PAGE, size) != 0)
        return NULL;
    store_memory_advise(p, size);
    return p;
}

static void *store_memory_copied(void *old, size_t old_size, size_t bytes)
{
    void *p = store_memory_large(bytes);
    if (!p)
        return NULL;
    memcpy(p, old, old_size < bytes ? old_size : bytes);
    free(old);
    return p;
}

void *store_memory_grow(void *old, size_t bytes)
{
    if (!old)
        return store_memory_large(bytes);
    size_t size = store_memory_size(bytes), old_size = malloc_usable_size(old);
    if (old_size < MOVED)
        return store_memory_copied(old, old_size, bytes);
    void *p = size ? realloc(old, size) : NULL;
    if (p)
        store_memory_advise(p, size);
    return p;
}

/* ---- prefaulted blocks ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEW_IS_OURS 0 /* so nobody would get what is prefaulted */
#else
#define NEW_IS_OURS 1
#endif

#define PREFAULT_LEAST  ((size_t)KIB(256)) /* smaller blocks are not worth the search */
#define PAGE            4096
#define PREFAULT_MARGIN ((size_t)PAGE) /* whoever asks adds some bytes to what was forecast */

static _Thread_local struct {
    uint32_t n;
    struct {
        void *p;
        size_t size;
    } block[STORE_MEMORY_PREFAULTED_MAX];
    uint8_t *open; /* the block that is being touched; NULL: none */
    size_t open_size, open_at;
} prefaulted;

static bool memory_prefault_begin(size_t bytes)
{
    size_t asked = bytes + PREFAULT_MARGIN;
    prefaulted.open_size = asked >= ROUNDED ? store_memory_size(asked) : asked;
    prefaulted.open = asked >= ROUNDED ? store_memory_large(asked) : malloc(asked);
    prefaulted.open_at = 0;
    return prefaulted.open != NULL;
}

bool store_memory_prefault(size_t bytes)
{
    bool wanted = NEW_IS_OURS && atomic_load_explicit(&store_memory_is_huge, memory_order_relaxed);
    if (!wanted || bytes < PREFAULT_LEAST || prefaulted.n == STORE_MEMORY_PREFAULTED_MAX)
        return true;
    if (!prefaulted.open && !memory_prefault_begin(bytes))
        return true;
    size_t at = prefaulted.open_at, left = prefaulted.open_size - at;
    size_t end = left < STORE_MEMORY_PREFAULT_STEP ? prefaulted.open_size : at + STORE_MEMORY_PREFAULT_STEP;
    for (; at < end; at += PAGE)
        *(volatile uint8_t *)(prefaulted.open + at) = 0;
    prefaulted.open_at = at;
    if (at < prefaulted.open_size)
        return false;
    prefaulted.block[prefaulted.n].p = prefaulted.open;
    prefaulted.block[prefaulted.n++].size = prefaulted.open_size;
    prefaulted.open = NULL;
    return true;
}

void store_memory_prefault_end(void)
{
    while (prefaulted.n > 0)
        free(prefaulted.block[--prefaulted.n].p);
    free(prefaulted.open);
    prefaulted.open = NULL;
}

#if NEW_IS_OURS

typedef void *new_fn(size_t bytes);

/* Exported for RocksDB: operator new, and that of arrays. */
new_fn store_memory_new __asm__("_Znwm");
new_fn store_memory_new_array __asm__("_Znam");

/* The smallest prefaulted block that has so many bytes, and not many more. NULL: there is none. */
static void *memory_prefaulted(size_t bytes)
{
    size_t quarter = bytes + bytes / 4, rounded = store_memory_size(bytes + PREFAULT_MARGIN);
    size_t most = rounded > quarter ? rounded : quarter, best = prefaulted.n;
    for (uint32_t i = 0; i < prefaulted.n; i++) {
        if (prefaulted.block[i].size < bytes || prefaulted.block[i].size > most)
            continue;
        if (best == prefaulted.n || prefaulted.block[i].size < prefaulted.block[best].size)
            best = i;
    }
    if (best == prefaulted.n)
        return NULL;
    void *p = prefaulted.block[best].p;
    prefaulted.block[best] = prefaulted.block[--prefaulted.n];
    return p;
}

/* `name` is the library's; it is kept in *next. */
static void *store_memory_get(size_t bytes, _Atomic(new_fn *) *next, const char *name)
{
    void *ready = bytes >= PREFAULT_LEAST && prefaulted.n > 0 ? memory_prefaulted(bytes) : NULL;
    if (ready)
        return ready;
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
