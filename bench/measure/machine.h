/*
 * machine.h: facts about this machine and the processes on it, from /proc and the kernel.
 */
#ifndef HALFMQ_BENCH_MACHINE_H
#define HALFMQ_BENCH_MACHINE_H

#include <stdbool.h>

#include "bench/measure/facts.h"

/* Processor, memory, kernel, system, load, this program. */
void machine_facts(struct facts *f);

/* Adds the file system and device of a folder. A relative folder is that of the process. NULL adds nothing. */
void machine_disk_facts(long pid, const char *folder, struct facts *f);

/* True if the host's name says that it is this machine. */
bool machine_is_here(const char *host);

/* Seconds of processor that a process has used; -1: not known. */
double machine_cpu_seconds(long pid);

/* The same of this process. */
double machine_own_cpu_seconds(void);

#endif
