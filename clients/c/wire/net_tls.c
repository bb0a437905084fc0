/*
 * net_tls.c: OpenSSL on a socket of ours.
 *
 *   frames ──► out: up to a record ──► SSL_write ──► socket          socket ──► SSL_read ──► the caller's buffer
 *               └─ refused: it stays here, and is written when the socket takes more (net.wants_write)
 *
 * OpenSSL insists that a write which was refused is repeated with the same bytes, but the frames that wait may change
 * meanwhile: one that nobody waits for any more is taken out. So what was gathered counts as written, as if it lay in
 * the kernel, and one record of many small frames costs less than a record each.
 *
 * The socket is read and written by recv and send with MSG_NOSIGNAL: a library must not end its program by SIGPIPE.
 *
 * OpenSSL keeps a queue of errors for each thread, which must be empty before a call and is left empty behind it.
 */
#include "clients/c/wire/net_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES 16384 /* what a record can hold */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_state {
    SSL *ssl;
    size_t out_len; /* > 0: refused by the socket, to be written again */
    char out[OUT_BYTES];
};

/* ---- the socket under OpenSSL ---- */

static pthread_once_t tls_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *bio_method; /* NULL: no memory for it */

static int tls_bio_fd(BIO *b)
{
    const struct net_link *n = BIO_get_data(b);
    return n->fd;
}

static int tls_bio_end(BIO *b, ssize_t moved, int retry)
{
    BIO_clear_retry_flags(b);
    if (moved < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_flags(b, retry | BIO_FLAGS_SHOULD_RETRY);
    return (int)moved;
}

static int tls_bio_read(BIO *b, char *to, int size)
{
    return tls_bio_end(b, recv(tls_bio_fd(b), to, (size_t)size, 0), BIO_FLAGS_READ);
}

static int tls_bio_write(BIO *b, const char *from, int size)
{
    return tls_bio_end(b, send(tls_bio_fd(b), from, (size_t)size, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static long tls_bio_ctrl(BIO *b, int what, long n, void *arg)
{
    (void)b, (void)n, (void)arg;
    return what == BIO_CTRL_FLUSH;
}

/* Once in a process. A program may end while a client's thread is at work; OpenSSL must not free what it uses then. */
static void tls_set_up(void)
{
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    bio_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "halfmq");
    if (bio_method && BIO_meth_set_read(bio_method, tls_bio_read) && BIO_meth_set_write(bio_method, tls_bio_write) &&
        BIO_meth_set_ctrl(bio_method, tls_bio_ctrl))
        return;
    BIO_meth_free(bio_method);
    bio_method = NULL;
}

/* ---- errors ---- */

/* OpenSSL's words for what has just failed, a constant; it forgets them. */
static const char *tls_reason(const SSL *ssl)
{
    unsigned long failure = ERR_peek_error();
    long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    const char *why = ERR_reason_error_string(failure);
    if (ERR_GET_LIB(failure) == ERR_LIB_SSL && ERR_GET_REASON(failure) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verified != X509_V_OK)
        why = X509_verify_cert_error_string(verified);
    ERR_clear_error();
    return why;
}

/* What SSL_get_error said: -1 with errno, or 0 for the end. */
static ssize_t tls_outcome(struct net_link *n, const SSL *ssl, int said, int failure)
{
    n->why = NULL;
    switch (said) {
    case SSL_ERROR_WANT_WRITE: n->wants_write = true; /* fall through */
    case SSL_ERROR_WANT_READ: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL: ERR_clear_error(); errno = failure ? failure : ECONNRESET; return -1;
    default: n->why = tls_reason(ssl); errno = EPROTO; return -1;
    }
}

/* ---- certificates ---- */

static bool tls_file_failed(hmq_error *err, const char *option, const char *path)
{
    int failure = errno;
    const char *why = tls_reason(NULL);
    error_set(err, HMQ_EINVAL, "option %s: '%.120s' cannot be used: %s", option, path,
              why ? why : failure ? strerror(failure) : "no reason is known");
    return false;
}

static int tls_no_passphrase(char *text, int size, int writing, void *arg)
{
    (void)text, (void)size, (void)writing, (void)arg;
    return 0;
}

static bool tls_use_own(SSL_CTX *ctx, const struct hmq_options *o, hmq_error *err)
{
    const char *cert = options_text(o, CHOICE_tls_cert), *key = options_text(o, CHOICE_tls_key);
    if (!cert[0] && !key[0])
        return true;
    if (!cert[0] || !key[0]) {
        error_set(err, HMQ_EINVAL, "the options tls_cert and tls_key are only used together");
        return false;
    }
    errno = 0;
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return tls_file_failed(err, "tls_cert", cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return tls_file_failed(err, "tls_key", key);
    return true;
}

static bool tls_use_ca(SSL_CTX *ctx, const struct hmq_options *o, hmq_error *err)
{
    const char *ca = options_text(o, CHOICE_tls_ca);
    errno = 0;
    SSL_CTX_set_verify(ctx, options_num(o, CHOICE_tls_verify) ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (ca[0] ? SSL_CTX_load_verify_file(ctx, ca) == 1 : SSL_CTX_set_default_verify_paths(ctx) == 1)
        return true;
    return tls_file_failed(err, "tls_ca", ca[0] ? ca : "the system's authorities");
}

/* NULL: err says why. */
static SSL_CTX *tls_make_context(const struct hmq_options *o, hmq_error *err)
{
    pthread_once(&tls_once, tls_set_up);
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) != 1) {
        error_plain(err, HMQ_ENOMEM);
    } else {
        SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_read_ahead(ctx, 1);
        SSL_CTX_set_default_passwd_cb(ctx, tls_no_passphrase);
        if (tls_use_own(ctx, o, err) && tls_use_ca(ctx, o, err))
            return ctx;
    }
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return NULL;
}

bool net_tls_check(const struct hmq_options *o, hmq_error *err)
{
    SSL_CTX *ctx = tls_make_context(o, err);
    SSL_CTX_free(ctx);
    return ctx != NULL;
}

static bool tls_is_address(const char *host)
{
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Whom the certificate has to be for. */
static bool tls_expect(SSL *ssl, const struct endpoint *e, const struct hmq_options *o)
{
    const char *name = options_text(o, CHOICE_tls_server_name);
    if (!name[0])
        name = e->port[0] ? e->host : "localhost"; /* a Unix socket */
    if (tls_is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

/* ---- the transport ---- */

static void tls_end(struct net_link *n)
{
    struct tls_state *t = n->state;
    if (!t)
        return;
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl); /* as far as it goes without waiting */
    ERR_clear_error();
    SSL_free(t->ssl);
    free(t);
    n->state = NULL;
}

/* An SSL on the link's socket. NULL: no memory. */
static SSL *tls_make(struct net_link *n, SSL_CTX *ctx)
{
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    SSL *ssl = bio ? SSL_new(ctx) : NULL;
    if (!ssl) {
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, n);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    return ssl;
}

static bool tls_begin(struct net_link *n, const struct endpoint *e, const struct hmq_options *o, hmq_error *err)
{
    SSL_CTX *ctx = tls_make_context(o, err);
    if (!ctx)
        return false;
    struct tls_state *t = malloc(sizeof *t);
    SSL *ssl = t ? tls_make(n, ctx) : NULL;
    SSL_CTX_free(ctx); /* the SSL has its own reference */
    if (ssl && tls_expect(ssl, e, o)) {
        t->ssl = ssl;
        t->out_len = 0;
        n->state = t;
        return true;
    }
    SSL_free(ssl);
    free(t);
    ERR_clear_error();
    error_plain(err, HMQ_ENOMEM);
    return false;
}

static enum net_shake tls_shake(struct net_link *n, hmq_error *err)
{
    struct tls_state *t = n->state;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_do_handshake(t->ssl), failure = errno;
    if (ret == 1)
        return NET_DONE;
    int said = SSL_get_error(t->ssl, ret);
    if (said == SSL_ERROR_WANT_READ || said == SSL_ERROR_WANT_WRITE)
        return said == SSL_ERROR_WANT_READ ? NET_WANTS_READ : NET_WANTS_WRITE;
    const char *why = tls_reason(t->ssl);
    if (!why)
        why = failure ? strerror(failure) : "the broker closed the connection";
    error_set(err, HMQ_EDISCONNECTED, "the TLS handshake failed: %s", why);
    return NET_FAILED;
}

/* Writes what was refused. 0, or -1 with errno. */
static ssize_t tls_flush(struct net_link *n)
{
    struct tls_state *t = n->state;
    size_t done = 0, one;
    ssize_t outcome = 0;
    while (done < t->out_len && outcome == 0) {
        ERR_clear_error();
        errno = 0;
        int ret = SSL_write_ex(t->ssl, t->out + done, t->out_len - done, &one), failure = errno;
        if (ret == 1) {
            done += one;
            continue;
        }
        int said = SSL_get_error(t->ssl, ret);
        outcome = tls_outcome(n, t->ssl, said, failure);
        if (outcome == 0)
            errno = EPIPE;
        outcome = -1;
    }
    int failure = errno;
    memmove(t->out, t->out + done, t->out_len - done);
    t->out_len -= done;
    n->wants_write = t->out_len > 0 && SSL_want_write(t->ssl);
    errno = failure;
    return outcome;
}

static ssize_t tls_write(struct net_link *n, const struct iovec *iov, size_t pieces)
{
    struct tls_state *t = n->state;
    size_t taken = 0;
    if (t->out_len > 0 && tls_flush(n) < 0)
        return -1;
    for (size_t i = 0; i < pieces && taken < OUT_BYTES; i++) {
        size_t piece = iov[i].iov_len < OUT_BYTES - taken ? iov[i].iov_len : OUT_BYTES - taken;
        memcpy(t->out + taken, iov[i].iov_base, piece);
        taken += piece;
    }
    t->out_len = taken;
    if (tls_flush(n) < 0 && errno != EAGAIN)
        return -1;
    return (ssize_t)taken;
}

static ssize_t tls_read(struct net_link *n, void *to, size_t size)
{
    struct tls_state *t = n->state;
    size_t got;
    n->has_more = n->wants_write = false;
    if (t->out_len > 0 && tls_flush(n) < 0 && errno != EAGAIN)
        return -1;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_read_ex(t->ssl, to, size, &got), failure = errno;
    if (ret != 1)
        return tls_outcome(n, t->ssl, SSL_get_error(t->ssl, ret), failure);
    n->has_more = SSL_has_pending(t->ssl) != 0;
    return (ssize_t)got;
}

const struct transport transport_tls = {
    .name = "tls", .begin = tls_begin, .shake = tls_shake, .read = tls_read, .write = tls_write, .end = tls_end};
