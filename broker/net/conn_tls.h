/*
 * conn_tls.h: connections that speak TLS: the first byte, the handshake and its bounds; then recv and send through TLS.
 *
 *   WIRE_NEW ── first byte ──► WIRE_PLAIN        for good; also where the broker has no certificate
 *      │ 0x16
 *      ▼       the whole ClientHello is in the socket, and there is room for one more handshake
 *   WIRE_HELLO ──────► WIRE_SHAKING ── a step each time more comes ──► WIRE_TLS
 *      └─── SHAKE_MS later: closed ┘
 *
 * Until its ClientHello is complete, a connection holds no more than a plain one. Unfinished handshakes together hold at
 * most a sixteenth of the setting `memory`: when there are so many, the next ones wait (loop.hellos), and one that has
 * not finished in SHAKE_PATIENCE_MS makes room for them. The newest that waits begins first: where thousands begin and
 * never finish, a client that means it does not stand behind all of them.
 *
 * A step takes long (a signature), so a loop spends SHAKES_NS of a turn on them; those that find it spent have their turn
 * in the next ones, in order (loop.unread). There, too, are those of which OpenSSL has bytes that the socket does not
 * report any more.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CONN_TLS_H
#define HALFMQ_BROKER_CONN_TLS_H

#include <sys/types.h>

#include "broker/net/conn.h"

#define FIRST_BYTE_TLS 0x16 /* of a record with a ClientHello; no other dialect begins with it */
#define SHAKE_MS 10000 /* from the first byte of TLS to the end of the handshake */
#define SHAKE_PATIENCE_MS 500
#define SHAKES_NS INT64_C(1000000) /* a turn */
#define SHAKES_LEAST 4 /* unfinished handshakes that a loop may have, however little memory there is */

/* What is spoken on the socket; never goes back. */
enum conn_wire { WIRE_PLAIN, WIRE_NEW, WIRE_HELLO, WIRE_SHAKING, WIRE_TLS, WIRE_BROKEN };

/* Instead of recv and send, where c->wire is not WIRE_PLAIN. The same results; EAGAIN also while a handshake waits. */
ssize_t conn_tls_recv(struct conn *c, void *room, size_t n);
ssize_t conn_tls_send(struct conn *c, const void *from, size_t n);

/* Is a step of reading to be repeated when the socket takes more? */
bool conn_tls_wants_write(const struct conn *c);

/* False: what is unsent must wait until the client has sent more. */
bool conn_tls_may_write(const struct conn *c);

/* Tells the client that no more comes, as far as TLS has words for it. */
void conn_tls_close(struct conn *c);

/* Before it is freed. */
void conn_tls_free(struct conn *c);

/* At the begin of a turn: which connection is to be read though its socket does not say so: it waited for its turn, or
 * OpenSSL has bytes. first: the turn begins. NULL: none, in this turn. */
struct conn *conns_tls_next(struct loop *l, bool first);

/* Where a turn of the connection ends: has it read in the next one where OpenSSL has bytes. */
void conn_tls_settle(struct conn *c);

/* True where a turn should follow at once. */
static inline bool conns_tls_wait(const struct loop *l)
{
    return l->unread.first != NULL;
}

/* Of loop.shake_timer. */
void conns_shake_timer_fires(struct timer *t, void *arg);

#endif
