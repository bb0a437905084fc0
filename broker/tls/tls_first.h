/*
 * tls_first.h: OpenSSL's part of a connection that somebody else reads and writes, and who wants to know of clients that do
 * not speak TLS.
 */
#ifndef HALFMQ_BROKER_TLS_FIRST_H
#define HALFMQ_BROKER_TLS_FIRST_H

#include "broker/tls/tls_server.h"

struct ssl_st; /* OpenSSL's SSL */

struct tls_first {
    /* Called once, in the middle of the first read, where what the client sends begins with no record of TLS; fd is its
     * socket. What is sent there goes out as it is. */
    void (*refuse)(int fd);
};

/* f must outlive it. NULL: no memory, or there is no certificate. */
struct ssl_st *tls_first_new(struct tls_server *s, const struct tls_first *f);
void tls_first_free(struct ssl_st *ssl);

#endif
