/*
 * peer.h: the one connection of a client. Driver thread only.
 *
 *   DOWN ──next_try──► CONNECTING ──won──► SHAKING ──done──► UP ──error, silence, end──► DOWN
 *     ▲                  (dial.h) │      (a transport) │
 *     └── a pause that doubles, ──┴────────────────────┘ failed
 *         jittered
 *
 * A connection that is lost is followed by one to the next address, after a pause. The pause begins anew once a broker
 * has sent something.
 */
#ifndef HALFMQ_CLIENTS_C_PEER_H
#define HALFMQ_CLIENTS_C_PEER_H

#include "clients/c/client/client.h"

enum hmq_status peer_init(struct hmq_client *c, hmq_error *err);
void peer_fini(struct hmq_client *c);

/* Connects, or reads and dispatches what came, and gives up a broker that is silent. */
void peer_progress(struct hmq_client *c, bool readable, bool writable);

/* Writes what is due. */
void peer_write(struct hmq_client *c);

/* Closes the connection; why is a text for people. */
void peer_lost(struct hmq_client *c, const char *why);

/* Says what to wait for of the socket. full: it takes no more bytes for now. */
void peer_watch(struct hmq_client *c, bool full);

/* When peer_progress is to be called though the socket is not ready; CORE_NEVER: it need not be. */
int64_t peer_due(const struct hmq_client *c);

#endif
