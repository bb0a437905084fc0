/*
 * spawn.h: a real broker for a test.
 *
 *   spawn_broker ──► running ──► spawn_kill (SIGKILL) ──┐
 *                      ▲   └───► spawn_stop (SIGTERM) ──┴──► stopped ──► spawn_again: same data folder
 *                      └─────────────────────────────────────────────────────┘
 *
 * The program is $HALFMQD (ctest sets it), or build/bin/halfmqd. It listens on ports that are free at
 * the moment, keeps its data in a temporary folder and writes its log into a file there. It dies with
 * the thread that started it, so nothing is left behind when a test is killed.
 *
 * All functions end the program with a message, and the broker's log, where the broker does not do what
 * it must: a test has nothing left to test then.
 */
#ifndef HALFMQ_TESTS_SPAWN_H
#define HALFMQ_TESTS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWN_DEADLINE_MS 60000 /* for getting ready and for stopping; sanitizers are slow */
#define SPAWN_FLAGS_MAX 32

struct spawned {
    pid_t pid; /* 0: not running */
    uint16_t port, http_port;
    char *folder; /* holds data/ and log */
    char *data;
    char *log;
    char *flags[SPAWN_FLAGS_MAX + 1];
};

/* Starts a broker and waits until it is ready. flags: NULL-ended, or NULL; added behind ours, so they
 * win. Free it with spawn_free. */
struct spawned *spawn_broker(const char *const *flags);

/* Starts one that is expected to refuse: waits for its end and gives the exit status (128 + n where
 * signal n ended it). What it said is in the log. */
int spawn_refused(const char *const *flags, struct spawned **ret_spawned);

/* After kill or stop: the same flags and data again. The ports are new. */
void spawn_again(struct spawned *s);

void spawn_kill(struct spawned *s); /* SIGKILL, and waits for the end */
int spawn_stop(struct spawned *s); /* SIGTERM, and gives the exit status (0 is what it should be) */
int spawn_wait(struct spawned *s); /* waits for an end that somebody else asked for: exit status */
bool spawn_runs(struct spawned *s); /* still alive? */

/* The whole log so far; the caller frees it. */
char *spawn_read_log(const struct spawned *s);
void spawn_dump_log(const struct spawned *s); /* to stderr, at most its last 8 KiB */

/* Kills what runs and removes the folder. NULL is fine. */
void spawn_free(struct spawned *s);

/* Milliseconds on the monotonic clock, for deadlines; and a pause between two looks at a condition. */
int64_t spawn_now_ms(void);
void spawn_pause(void);

#endif
