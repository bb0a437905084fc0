/*
 * process.h: what the kernel knows of this process, for INFO and /metrics.
 */
#ifndef HALFMQ_BROKER_PROCESS_H
#define HALFMQ_BROKER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_figures {
    int64_t resident_bytes;
    int64_t virtual_bytes;
    double cpu_seconds; /* user and system */
    int64_t open_fds;
    int64_t max_fds; /* the soft limit */
};

/* A figure that the kernel does not tell is 0. Any thread. */
void process_figures(struct process_figures *ret_figures);

/* Bytes that an ordinary user may still write on the disk of that folder; 0: unknown. */
int64_t process_disk_free(const char *path);

/* True where so much of the disk is free, or where its file system does not tell (it has no size). */
bool process_disk_has(const char *path, int64_t bytes);

/* Raises the soft limit of open files to `wanted`, or to the hard limit. Returns the limit after that. */
int64_t process_raise_fds(int64_t wanted);

/* The limit of open files, where hardly any more can be opened; 0: that is not what is missing. */
int64_t process_fds_used_up(void);

#endif
