/*
 * store_memory.h: large blocks of memory, RocksDB's and ours, on huge pages.
 *
 * A COMMIT of 31 MB touches 170 MB of memory for the first time: what is read, the batch that grows, the write buffer,
 * what a flush writes. In pages of 4 KiB each is a fault of its own: to write 31 MB takes 12 ms then, on huge pages 2.7, and 1.7
 * where the memory was in use before. So this file defines C++'s operator new in front of its library's, and gives buffers
 * (protocol/base/buf.h) and entries their large blocks:
 *
 *   RocksDB ─► operator new ─► small, or `memory` is small      the library's, as ever
 *                              from 1.25 MiB on           ┐
 *   buffers, entries, from 2 MiB on ──────────────────────┴─►   store_memory_large
 *
 *   4.5 MiB asked for:  │ 2 MiB │ 2 MiB │ .5 │       the rest is on small pages
 *   5.5 MiB asked for:  │ 2 MiB │ 2 MiB │ 2 MiB │    the rest is rounded up, as it is at least 1.25 MiB
 *
 * So a block takes at most 0.75 MiB more than was asked for. With a small `memory` none is on huge pages: there a buffer that
 * is only begun must not take 2 MiB at once.
 *
 * To touch a huge page for the first time takes 0.1 to 0.3 ms, and up to 11 ms in a virtual machine whose host has to find its
 * memory first. A thread that will need much of it at once, and has time before, *prefaults* blocks: they are allocated and
 * touched, a step at a time, and the next operator new of that thread that asks for about so many bytes gets one.
 *
 *   thread   │ prefault 2 MiB │ others' work │ prefault 2 MiB │ others' work │ ... │ RocksDB gets the blocks │ free the rest
 *
 * operator delete is the library's: it calls free(), which takes either. Where memory runs out the library's operator new
 * is asked, which throws. Under a sanitizer this file defines no operator new, since those look at who allocated and who frees.
 *
 * Threads: any. What a thread has prefaulted is its own.
 */
#ifndef HALFMQ_BROKER_STORE_MEMORY_H
#define HALFMQ_BROKER_STORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* May RocksDB's large blocks be on huge pages from now on? false at the start. */
void store_memory_huge(bool huge);

/* A block of at least so many bytes, which free() takes. NULL: no memory. If the kernel has no huge pages, nothing is lost. */
void *store_memory_large(size_t bytes);

/* As realloc, of NULL or of a block that this function or store_memory_large gave. A block of 8 MiB or more is not copied: glibc
 * moves its pages (mremap). So a buffer that grows to 31 MB copies little on its way. */
void *store_memory_grow(void *old, size_t bytes);

/* Prefaults a block for an operator new of so many bytes: touches STORE_MEMORY_PREFAULT_STEP bytes of it at most. False: call it again
 * with the same size to go on. True: the block is ready; or there will be none, as `memory` is small, no memory is left, or there are
 * STORE_MEMORY_PREFAULTED_MAX blocks already. */
#define STORE_MEMORY_PREFAULT_STEP ((size_t)2 << 20) /* a huge page: it cannot be less */
#define STORE_MEMORY_PREFAULTED_MAX 128
bool store_memory_prefault(size_t bytes);

/* Frees the blocks that nobody has asked for. */
void store_memory_prefault_end(void);

#endif
