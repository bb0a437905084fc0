/*
 * gate.h: who is inside an object's functions, so that it can be closed while other threads use it.
 *
 *   gate_enter ─► the function's work, which may wait ─► gate_leave        any thread
 *
 *   gate_close   from here on gate_enter answers false, and those who wait are woken
 *   gate_empty   the last one has left: the object may be freed
 *
 * A function that waits looks at gate_closing, and ends with HMQ_ECLOSED. Entering and leaving take no lock, unless
 * the gate is being closed.
 *
 * Invariant: after gate_leave the object, and its client, may be gone.
 */
#ifndef HALFMQ_CLIENTS_C_GATE_H
#define HALFMQ_CLIENTS_C_GATE_H

#include "clients/c/client/client.h"

/* False: it is being closed, and the caller is not inside. */
bool gate_enter(struct gate *g);

/* c: the client whose waiters are woken. */
void gate_leave(struct gate *g, struct hmq_client *c);

void gate_close(struct gate *g, struct hmq_client *c);
bool gate_closing(const struct gate *g);
bool gate_empty(const struct gate *g);

#endif
