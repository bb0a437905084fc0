/*
 * service.h: a role that the driver calls: when there is a new connection, at its due time, and with what
 * the broker sends on its own account.
 *
 * To add a role: embed a struct service as its first member, fill in its functions, and add it.
 *
 *   service_add ─► connected(), tick() when due_ms has come, check(), notify() ─► service_remove
 */
#ifndef HALFMQ_CLIENTS_C_SERVICE_H
#define HALFMQ_CLIENTS_C_SERVICE_H

#include "clients/c/client/client.h"

/* Any thread. */
void service_add(struct hmq_client *c, struct service *s);

/* Waits until the driver is out of the service's functions. Not from one of them. */
void service_remove(struct hmq_client *c, struct service *s);

/* The service is ticked at due_ms at the latest. Any thread. */
void service_at(struct hmq_client *c, struct service *s, int64_t due_ms);

/* The service is ticked as soon as the driver can. Any thread. */
void service_kick(struct hmq_client *c, struct service *s);

/*
 * Asks each service until is() answers true; whether it did, and then the driver is woken, as is() may have changed due_ms.
 * is() runs with the client's lock held, and calls nothing of the client's. Any thread.
 */
bool service_any(struct hmq_client *c, bool (*is)(struct service *s, void *arg), void *arg);

/* Offers each service to visit() until that answers true; whether it did. Driver thread. */
bool service_visit(struct hmq_client *c, bool (*visit)(struct service *s, void *arg), void *arg);

#endif
