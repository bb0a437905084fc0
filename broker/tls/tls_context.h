/*
 * tls_context.h: a certificate with its key, read from files and checked: what connections are served with.
 *
 *   tls_options ──► tls_context_new ──► tls_context ──► tls_server_install (tls_server.h)
 *                        └─ a sentence that says which file is wrong, and how
 *
 * A context never changes. New certificates make a new one, and connections keep the one that they began with.
 *
 * Threads: any; a context may be used by several.
 */
#ifndef HALFMQ_BROKER_TLS_CONTEXT_H
#define HALFMQ_BROKER_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* In the order of the words of the setting tls_client_auth. */
enum tls_client_auth { TLS_CLIENT_NO, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

/* In the order of the words of the setting tls_user. */
enum tls_user { TLS_USER_NO, TLS_USER_CN, TLS_USER_SAN_DNS };

/* The paths are those of PEM files; "": none. */
struct tls_options {
    const char *cert, *key, *ca;
    enum tls_client_auth client_auth;
    enum tls_user user;
    bool min_1_2; /* TLS 1.2 will do; else 1.3 */
    int64_t now_s; /* wall clock: the certificate has to be valid then */
};

struct tls_context {
    struct ssl_ctx_st *ctx;
    enum tls_user user;
    int64_t expires_s; /* the certificate's, wall clock */
};

/* ST_ERR, ST_NOMEM: err is a sentence, and *ret is all zero. */
enum status tls_context_new(const struct tls_options *o, struct tls_context *ret, char *err, size_t err_size) MUST_CHECK;

/* For one that was not installed. */
void tls_context_free(struct tls_context *c);

#endif
