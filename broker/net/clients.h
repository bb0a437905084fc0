/*
 * clients.h: the connections of one loop by the id that clients know: CLIENT LIST and CLIENT KILL.
 */
#ifndef HALFMQ_BROKER_CLIENTS_H
#define HALFMQ_BROKER_CLIENTS_H

#include <stdbool.h>

#include "broker/net/slots.h"
#include "protocol/base/buf.h"

/* The connection with that client id. NULL: there is none. The loop's thread only. */
struct conn *clients_find(const struct slots *ss, uint64_t id);

/* Is there a client with that id? Any thread: takes the lock. */
bool clients_have(struct slots *ss, uint64_t id);

/* Fills in those of the clients that are among these connections (net_describe_clients). Any thread: takes the lock. */
struct net_client;
void clients_describe(struct slots *ss, struct net_client *clients, uint32_t n);

/* One line a client, as net_list_clients says, for those of a user (NULL: all) from a slot on: looks at no more than *most slots, which becomes
 * less by as many. True: there are more, from *slot on. Any thread: takes the lock, which a loop takes only to add and
 * remove. */
bool clients_list(struct slots *ss, const char *user, uint32_t *slot, uint32_t *most, struct buf *out);

#endif
