/* tls_first.c: looks at the head of the first record that a client sends. */
#include "broker/tls/tls_first.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static void first_on_bytes(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl, void *arg)
{
    const struct tls_first *f = arg;
    const unsigned char *head = bytes;
    (void)version;
    if (sent || type != SSL3_RT_HEADER || n == 0)
        return;
    SSL_set_msg_callback(ssl, NULL);
    if (head[0] != SSL3_RT_HANDSHAKE)
        f->refuse(SSL_get_fd(ssl));
}

struct ssl_st *tls_first_new(struct tls_server *s, const struct tls_first *f)
{
    struct tls_context c;
    if (!tls_server_take(s, &c))
        return NULL;
    SSL *ssl = SSL_new(c.ctx);
    SSL_CTX_free(c.ctx);
    if (!ssl) {
        ERR_clear_error();
        return NULL;
    }
    SSL_set_read_ahead(ssl, 0); /* whoever asks SSL_pending does not learn of bytes that were read ahead, and waits for more */
    SSL_set_msg_callback(ssl, first_on_bytes);
    SSL_set_msg_callback_arg(ssl, (void *)(uintptr_t)f);
    return ssl;
}

void tls_first_free(struct ssl_st *ssl)
{
    SSL_free(ssl);
}
