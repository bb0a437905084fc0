/*
 * dial.h: connects to one of the servers: looks names up without blocking, and tries addresses side by side (RFC 8305).
 * Driver thread only.
 *
 *   IDLE ──dial_begin──► GOING ──a socket is connected──► WON: the caller has the socket, the others are closed
 *     ▲                    │  all addresses of all servers have failed
 *     └────── FAILED ◄─────┘
 *
 * While it goes, the next address is tried when one has failed, or DIAL_APART_MS after the last one was begun: the next
 * of the same server, after those the first of the next server. An attempt that lasts connect_timeout_ms has failed.
 * So a server that does not answer costs a quarter of a second.
 *
 * The next dial goes on behind the address that was connected to: whoever lost a connection tries another one first.
 *
 * The sockets are in an epoll set, so that there is one descriptor to wait for, as when the client is connected.
 */
#ifndef HALFMQ_CLIENTS_C_DIAL_H
#define HALFMQ_CLIENTS_C_DIAL_H

#include "clients/c/client/client.h"

#define DIAL_APART_MS 250 /* RFC 8305, section 5 */

struct dial;
struct dial_attempt;

enum dial_result { DIAL_GOING, DIAL_WON, DIAL_FAILED };

/* Parses the servers. HMQ_EINVAL, HMQ_ENOMEM. */
enum hmq_status dial_init(struct dial *d, const struct hmq_options *o, hmq_error *err);
void dial_fini(struct hmq_client *c);

/* Begins a round. False, with the reason: the system has no descriptor. */
bool dial_begin(struct hmq_client *c, hmq_error *err);

/* What there is to do now. WON: *ret_won is the attempt, whose socket is the caller's. Says of each address that fails
 * that it did (client_note_failure). */
enum dial_result dial_step(struct hmq_client *c, struct dial_attempt *ret_won);

/* When dial_step is to be called though no descriptor is ready. */
int64_t dial_due(const struct dial *d);

#endif
