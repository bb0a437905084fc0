/*
 * lookup.h: finds the addresses of a name on a thread of its own, because the system's resolver blocks.
 *
 *   lookup_start ─► RUNNING ─(its thread)─► DONE, the driver is woken ─► lookup_take
 *                      └── lookup_abandon: nobody waits any more; its thread frees it
 *
 * A look-up that was abandoned may last as long as the resolver likes (option timeout of resolv.conf), also beyond its
 * client.
 */
#ifndef HALFMQ_CLIENTS_C_LOOKUP_H
#define HALFMQ_CLIENTS_C_LOOKUP_H

#include "clients/c/client/client.h"
#include "clients/c/wire/endpoint.h"

struct lookup_job;

/* NULL, with the reason: no memory, or no thread. */
struct lookup_job *lookup_start(struct hmq_client *c, const struct endpoint *e, hmq_error *err);

/* False: it is not done. Otherwise it is freed, and *ret_status and its results are filled. */
bool lookup_take(struct lookup_job *l, enum hmq_status *ret_status, struct addresses *ret_addresses, hmq_error *err);

/* NULL is fine. */
void lookup_abandon(struct lookup_job *l);

#endif
