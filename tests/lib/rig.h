/*
 * rig.h: helps to test libhalfmq with a whole broker. The broker keeps its port after spawn_again, so that a client
 * can reconnect. With the variable RIG_TLS they speak TLS.
 */
#ifndef HALFMQ_TESTS_RIG_H
#define HALFMQ_TESTS_RIG_H

#include <stdbool.h>

#include "clients/c/halfmq.h"
#include "tests/lib/spawn.h"

#define RIG_DEADLINE_MS 60000 /* for everything that must happen */

/* Starts a broker. flags: NULL-terminated, or NULL. */
struct spawned *rig_spawn(const char *const *flags);

/*
 * A broker, and a client of it, for all tests of a program: set rig.query first, the end of the client's URI ("" or
 * "?wait_ms=200"; NULL: there is no client), then give rig_start and rig_stop to cmocka_run_group_tests.
 */
struct rig {
    const char *query;
    struct spawned *broker;
    hmq_client *client;
};
extern struct rig rig;
int rig_start(void **state);
int rig_stop(void **state); /* fails where the broker did not end well */

/* Returns a TCP port that is free at the moment. */
uint16_t rig_free_port(void);

/* Makes a client of the broker; query is the end of the URI ("?linger_ms=1"), or "". */
hmq_client *rig_connect(const struct spawned *broker, const char *query);
hmq_options *rig_options_for(uint16_t port, const char *query);

/* Checks that the call returns HMQ_OK; otherwise the test fails with err's text. */
#define RIG_CHECK(call, err) rig_check((call), (err), #call, __FILE__, __LINE__)
void rig_check(enum hmq_status status, const hmq_error *err, const char *what, const char *file,
               int line);

/* Waits until holds(arg) is true; the test fails after the deadline. */
void rig_eventually(bool (*holds)(void *arg), void *arg, const char *what);

/* Sends a command with the parameters name, value, name, value, NULL. The caller frees the reply. */
hmq_reply *rig_ask(hmq_client *client, const char *method, const char *const *words);

/* Sends a message with a text as its body; the test fails if that does not succeed. */
void rig_put(hmq_client *client, const char *topic, const char *body);

/* Counts how often each of the bodies "0" .. "n-1" is stored in the topic, by a READ of each queue. The caller
 * frees the array. */
unsigned *rig_count_bodies(hmq_client *client, const char *topic, unsigned queues, size_t n);

#endif
