/*
 * store_memory.h: large blocks of memory, RocksDB's and ours, on huge pages.
 *
 * A COMMIT of 31 MB touches 170 MB of memory for the first time: what is read, the batch that grows, the write buffer,
 * what a flush writes. In pages of 4 KiB each is a fault of its own, and 40,000 of them took more than half of the writer's
 * time. So this file defines C++'s operator new in front of its library's:
 *
 *   RocksDB ─► operator new ─► below 2 MiB, or `memory` is small    the library's, as ever
 *                              from 2 MiB on                        aligned memory, where the kernel may use huge pages
 *
 * Only whole huge pages of a block are marked, so it takes no more memory than it has bytes. With a small `memory` nothing
 * is marked: there a buffer that is only begun must not take 2 MiB at once.
 *
 * operator delete is the library's: it calls free(), which takes either. Where memory runs out the library's operator new
 * is asked, which throws. Under a sanitizer this file defines no operator new, since those look at who allocated and who frees.
 *
 * Our own large blocks are marked by whoever has allocated them; buffers (protocol/base/buf.h) call this file.
 *
 * Threads: any.
 */
#ifndef HALFMQ_BROKER_STORE_MEMORY_H
#define HALFMQ_BROKER_STORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* May large blocks use huge pages from now on? false at the start. */
void store_memory_huge(bool huge);

/* May the kernel use huge pages for the block, which malloc gave? If it may not, or has none, nothing is lost. */
void store_memory_mark(void *block, size_t bytes);

#endif
