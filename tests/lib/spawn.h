/*
 * spawn.h: a real broker for a test.
 *
 *   spawn_broker ──► running ──► spawn_kill (SIGKILL) ──┐
 *                      ▲   └───► spawn_stop (SIGTERM) ──┴──► stopped ──► spawn_again: same data folder
 *                      └─────────────────────────────────────────────────────┘
 *
 * The program is $HALFMQD (ctest sets it), or build/bin/halfmqd. It listens on free ports, keeps its data in a
 * temporary folder and writes its log to a file there. The kernel kills it when the thread ends that started it, so
 * no broker is left when a test is killed.
 *
 * If the broker does not do what it should, all functions print a message and the broker's log and end the program,
 * because there is nothing left to test.
 */
#ifndef HALFMQ_TESTS_SPAWN_H
#define HALFMQ_TESTS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWN_DEADLINE_MS 60000 /* for starting and for stopping; sanitizers are slow */
#define SPAWN_FLAGS_MAX 32

struct spawned {
    pid_t pid; /* 0: not running */
    uint16_t port, http_port;
    char *folder; /* has data/ and log */
    char *data;
    char *log;
    char *flags[SPAWN_FLAGS_MAX + 1];
};

/* Starts a broker and waits until it is ready. flags: NULL-terminated, or NULL; they come after the default ones
 * and override them. Free it with spawn_free. */
struct spawned *spawn_broker(const char *const *flags);

/* Starts a broker that should refuse to start. Waits until it has ended and returns the exit status (128 + n if
 * signal n ended it). Its output is in the log. */
int spawn_refused(const char *const *flags, struct spawned **ret_spawned);

/* After a kill or stop: starts it with the same flags and data, on new ports. */
void spawn_again(struct spawned *s);

void spawn_kill(struct spawned *s); /* sends SIGKILL and waits until it has ended */
int spawn_stop(struct spawned *s); /* sends SIGTERM and returns the exit status, which should be 0 */
int spawn_wait(struct spawned *s); /* waits until it ends on its own; exit status */
bool spawn_runs(struct spawned *s); /* true: it has not ended */

/* Returns the whole log so far. The caller frees it. */
char *spawn_read_log(const struct spawned *s);
void spawn_dump_log(const struct spawned *s); /* to stderr, at most its last 8 KiB */

/* Kills the broker if it runs and removes the folder. NULL is fine. */
void spawn_free(struct spawned *s);

/* spawn_now_ms: the monotonic clock, for deadlines. spawn_pause: a pause between two checks of a condition. */
int64_t spawn_now_ms(void);
void spawn_pause(void);

#endif
