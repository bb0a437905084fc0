/*
 * rig.h: libhalfmq in whole-broker tests. The broker keeps its port over spawn_again, so that a client
 * finds it again.
 */
#ifndef HALFMQ_TESTS_RIG_H
#define HALFMQ_TESTS_RIG_H

#include <stdbool.h>

#include "clients/c/halfmq.h"
#include "tests/lib/spawn.h"

#define RIG_DEADLINE_MS 60000 /* for everything that must happen */

/* flags: NULL-ended, or NULL. */
struct spawned *rig_spawn(const char *const *flags);

/* A TCP port that nobody uses at this moment. */
uint16_t rig_free_port(void);

/* A client of the broker; query is the end of the URI ("?linger_ms=1"), or "". */
hmq_client *rig_connect(const struct spawned *broker, const char *query);
hmq_options *rig_options_for(uint16_t port, const char *query);

/* The status, or the test ends with err's text. */
#define RIG_CHECK(call, err) rig_check((call), (err), #call, __FILE__, __LINE__)
void rig_check(enum hmq_status status, const hmq_error *err, const char *what, const char *file,
               int line);

/* Looks again and again until holds(arg), or ends the test. */
void rig_eventually(bool (*holds)(void *arg), void *arg, const char *what);

/* A command of words name, value, name, value, NULL. The reply is the caller's. */
hmq_reply *rig_ask(hmq_client *client, const char *method, const char *const *words);

/* Sends a message with a text as its body; dies where that fails. */
void rig_put(hmq_client *client, const char *topic, const char *body);

/* How many times each of the bodies "0" .. "n-1" is stored in the topic (READ of each of its queues).
 * The array is the caller's. */
unsigned *rig_count_bodies(hmq_client *client, const char *topic, unsigned queues, size_t n);

#endif
