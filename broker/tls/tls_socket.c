/* tls_socket.c: a BIO of recv and send (tls_socket.h). Its data is the descriptor, which stays the caller's. */
#include "broker/tls/tls_socket.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

static BIO_METHOD *socket_method; /* NULL: there was no memory for it; then OpenSSL's own BIO stays */
static pthread_once_t socket_once = PTHREAD_ONCE_INIT;

static int socket_fd(BIO *b)
{
    return (int)(intptr_t)BIO_get_data(b);
}

static int socket_outcome(BIO *b, ssize_t n, int retry, size_t *ret_n)
{
    BIO_clear_retry_flags(b);
    if (n > 0) {
        *ret_n = (size_t)n;
        return 1;
    }
    if (n == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    else if (errno == EAGAIN || errno == EINTR)
        BIO_set_flags(b, retry | BIO_FLAGS_SHOULD_RETRY);
    return n == 0 ? 0 : -1;
}

static int socket_read(BIO *b, char *to, size_t n, size_t *ret_n)
{
    return socket_outcome(b, recv(socket_fd(b), to, n, 0), BIO_FLAGS_READ, ret_n);
}

static int socket_write(BIO *b, const char *from, size_t n, size_t *ret_n)
{
    return socket_outcome(b, send(socket_fd(b), from, n, MSG_NOSIGNAL), BIO_FLAGS_WRITE, ret_n);
}

static long socket_ctrl(BIO *b, int what, long n, void *p)
{
    (void)n, (void)p;
    switch (what) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    default: return 0;
    }
}

static void socket_make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "halfmq socket");
    if (m && BIO_meth_set_read_ex(m, socket_read) && BIO_meth_set_write_ex(m, socket_write) &&
        BIO_meth_set_ctrl(m, socket_ctrl))
        socket_method = m;
    else
        BIO_meth_free(m);
}

void tls_socket_use(struct ssl_st *ssl, int fd)
{
    if (BIO_get_ktls_send(SSL_get_wbio(ssl)) || BIO_get_ktls_recv(SSL_get_rbio(ssl)))
        return;
    pthread_once(&socket_once, socket_make_method);
    BIO *b = socket_method ? BIO_new(socket_method) : NULL;
    if (!b) {
        ERR_clear_error();
        return;
    }
    BIO_set_data(b, (void *)(intptr_t)fd);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b); /* takes it over, and frees the other one */
}
