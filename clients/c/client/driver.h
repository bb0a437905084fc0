/*
 * driver.h: one turn of the wheel, whoever turns it.
 */
#ifndef HALFMQ_CLIENTS_C_DRIVER_H
#define HALFMQ_CLIENTS_C_DRIVER_H

#include "clients/c/client/client.h"

/* Does all there is to do now, and tells the loop what to wait for. */
void driver_step(struct hmq_client *c, bool readable, bool writable);

/* Polls for up to the given time, and steps. */
void driver_poll(struct hmq_client *c, int64_t deadline_ms);

/* The last turn: no connection, every call ended. */
void driver_stop(struct hmq_client *c);

/* Tells the loop about a descriptor. */
void driver_watch(struct hmq_client *c, int fd, int want_read, int want_write);

#endif
