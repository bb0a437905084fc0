/*
 * machine.h: what /proc and the kernel tell about this machine and a process on it.
 */
#ifndef HALFMQ_BENCH_MACHINE_H
#define HALFMQ_BENCH_MACHINE_H

#include <stdbool.h>

#include "bench/measure/facts.h"

/* Processor, memory, kernel, system, load, this program. */
void machine_facts(struct facts *f);

/* File system and device of a folder; a relative one is looked for from the process' own folder.
 * folder NULL: nothing. */
void machine_disk_facts(long pid, const char *folder, struct facts *f);

/* True where the host is this machine, as far as its name tells. */
bool machine_is_here(const char *host);

/* Seconds of processor that a process has used; -1: not known. */
double machine_cpu_seconds(long pid);

/* The same of this process. */
double machine_own_cpu_seconds(void);

#endif
