/*
 * children.h: the broker and the order service as processes that can be killed and started again.
 */
#ifndef DEMO_CHILDREN_H
#define DEMO_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ARGUMENTS_MAX 24
#define PATH_SIZE 512

struct child {
    const char *name;
    const char *log; /* file for its standard output and standard error */
    char *arguments[ARGUMENTS_MAX]; /* NULL-ended; [0] is the program */
    pid_t pid; /* 0: not running */
    unsigned kills;
};

bool child_start(struct child *c);

/* Sends SIGKILL and waits until the process has ended. */
void child_kill(struct child *c);

/* Sends SIGTERM, waits until deadline_ms, then kills. True: it ended on its own with status 0. */
bool child_stop(struct child *c, int64_t deadline_ms);

/* False: it has ended without being killed or stopped. Prints how. */
bool child_alive(struct child *c);

int64_t now_ms(void);
void pause_ms(int ms);

/* Finds two different TCP ports that are free at the moment. False: there are none. */
bool free_ports(int ret_ports[2]);

#endif
