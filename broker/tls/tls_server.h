/*
 * tls_server.h: the certificate that new connections are served with.
 *
 *   start, SIGHUP, CONFIG SET ──► tls_server_install ──► current context ◄── tls_new (tls.h): one reference each
 *
 * Threads: any.
 */
#ifndef HALFMQ_BROKER_TLS_SERVER_H
#define HALFMQ_BROKER_TLS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/tls/tls_context.h"

struct tls_server {
    pthread_mutex_t lock;
    struct tls_context now; /* guarded by lock; ctx NULL: TLS is not spoken */
    atomic_bool on;
    _Atomic int64_t expires_s; /* of the certificate, wall clock; 0: there is none */
};

/* False: there is no lock. */
bool tls_server_init(struct tls_server *s) MUST_CHECK;
void tls_server_fini(struct tls_server *s); /* connections may still have theirs */

/* New connections are served with it from now on; *c is taken over. All zero: TLS is spoken no more. */
void tls_server_install(struct tls_server *s, struct tls_context *c);

/* True where a new connection may speak TLS. */
static inline bool tls_server_is_on(const struct tls_server *s)
{
    return atomic_load_explicit(&s->on, memory_order_relaxed);
}

/* A reference to the current context, in *ret. False: there is none. */
bool tls_server_take(struct tls_server *s, struct tls_context *ret);

#endif
