/* tls_server.c: the current context, behind a lock that is held for a few instructions. */
#include "broker/tls/tls_server.h"

#include <openssl/ssl.h>

bool tls_server_init(struct tls_server *s)
{
    *s = (struct tls_server){0};
    return pthread_mutex_init(&s->lock, NULL) == 0;
}

void tls_server_fini(struct tls_server *s)
{
    tls_context_free(&s->now);
    pthread_mutex_destroy(&s->lock);
}

void tls_server_install(struct tls_server *s, struct tls_context *c)
{
    pthread_mutex_lock(&s->lock);
    struct tls_context old = s->now;
    s->now = *c;
    atomic_store(&s->on, c->ctx != NULL);
    atomic_store(&s->expires_s, c->ctx ? c->expires_s : 0);
    pthread_mutex_unlock(&s->lock);
    tls_context_free(&old);
    *c = (struct tls_context){0};
}

bool tls_server_take(struct tls_server *s, struct tls_context *ret)
{
    pthread_mutex_lock(&s->lock);
    bool there = s->now.ctx && SSL_CTX_up_ref(s->now.ctx) == 1;
    if (there)
        *ret = s->now;
    pthread_mutex_unlock(&s->lock);
    return there;
}
