/*
 * driver.h: one turn of the client's work: the same whether our own thread or the application's loop calls it.
 * Driver thread only.
 */
#ifndef HALFMQ_CLIENTS_C_DRIVER_H
#define HALFMQ_CLIENTS_C_DRIVER_H

#include "clients/c/client/client.h"

/* Does all there is to do now, and says what to wait for (watch.h). */
void driver_step(struct hmq_client *c, bool readable, bool writable);

/* Waits for that with poll(), until deadline_ms at most, and steps. */
void driver_poll(struct hmq_client *c, int64_t deadline_ms);

/* The last turn: closes the connection and ends every call. */
void driver_stop(struct hmq_client *c);

#endif
