/*
 * tables.h: pages of the program and its libraries that only a start needs.
 *
 *   a library ─┬─ symbols, relocations, constants   read only      the dynamic linker has read nearly all of it, once
 *              ├─ code                              left alone (a debugger's breakpoints are in it)
 *              └─ data                              left alone: it is written to, by the dynamic linker too
 *
 * RocksDB alone has 2.4 MB of symbols and relocations. Read once, they would stay in the process's page tables, and in what
 * it is said to hold, until memory is short. Given back they remain in the page cache, and what is read again costs a minor
 * page fault for 64 KiB.
 */
#ifndef HALFMQ_BROKER_TABLES_H
#define HALFMQ_BROKER_TABLES_H

/* Gives them back. When the start is over; any thread. What the kernel refuses stays. */
void tables_give_back(void);

#endif
