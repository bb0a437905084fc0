/*
 * tls.c: OpenSSL behind the calls of a socket.
 *
 * OpenSSL keeps a queue of errors for each thread, and looks at it to say what a call came to. So it is empty before
 * each call, and what an error said is taken out by tls_why.
 *
 * Reading goes on over records until the caller's room is full, but asks the socket only once where one call got all:
 * read-ahead has the whole of what had come in OpenSSL's buffer.
 */
#include "broker/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "broker/tls/tls_socket.h"

#define TLS_OPEN_BYTES ((size_t)KIB(16)) /* idle */
#define TLS_RECORD_BYTES ((size_t)KIB(17)) /* one that came in part, or was not taken by the socket */
#define TLS_WRITE_MAX ((size_t)KIB(256))

bool tls_new(struct tls *t, struct tls_server *s, int fd)
{
    struct tls_context c;
    *t = (struct tls){0};
    if (!tls_server_take(s, &c))
        return false;
    t->ssl = SSL_new(c.ctx);
    t->user = c.user;
    SSL_CTX_free(c.ctx); /* the connection has its own reference */
    if (t->ssl && SSL_set_fd(t->ssl, fd) == 1) {
        SSL_set_accept_state(t->ssl);
        return true;
    }
    ERR_clear_error();
    tls_free(t);
    return false;
}

void tls_free(struct tls *t)
{
    SSL_free(t->ssl);
    *t = (struct tls){0};
}

/* What a call that failed came to: -1 with errno, or 0 for the end. */
static ssize_t tls_outcome(struct tls *t, int ret, int failure)
{
    t->holds_in = SSL_has_pending(t->ssl) != 0;
    t->holds_out = t->holds_out || SSL_want_write(t->ssl);
    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_WANT_WRITE: t->wants_write = true; /* fall through */
    case SSL_ERROR_WANT_READ: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL: errno = failure ? failure : ECONNRESET; break;
    default: errno = EPROTO; break;
    }
    t->failed = true;
    return -1;
}

/* Clearing looks at all places of the queue, also of one that is empty, as it is but for a bug of OpenSSL's. */
static void tls_begin_call(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
    errno = 0;
}

enum tls_step tls_shake(struct tls *t)
{
    t->wants_write = false;
    tls_begin_call();
    int ret = SSL_do_handshake(t->ssl);
    if (ret == 1) {
        t->shaken = true;
        t->holds_in = t->unread = SSL_has_pending(t->ssl) != 0;
        t->holds_out = false;
        tls_socket_use(t->ssl, SSL_get_fd(t->ssl));
        return TLS_DONE;
    }
    if (tls_outcome(t, ret, errno) < 0 && errno == EAGAIN)
        return TLS_WAITS;
    t->failed = true;
    return TLS_FAILED;
}

ssize_t tls_read(struct tls *t, void *to, size_t n)
{
    size_t got = 0, one;
    t->wants_write = t->write_waits = false;
    do {
        tls_begin_call();
        int ret = SSL_read_ex(t->ssl, (char *)to + got, n - got, &one);
        if (ret != 1) {
            t->unread = false;
            ssize_t end = tls_outcome(t, ret, errno);
            /* What came before it is given out first; the end comes again. */
            return got ? (t->unread = errno != EAGAIN || end == 0, (ssize_t)got) : end;
        }
        got += one;
        t->holds_in = t->unread = SSL_has_pending(t->ssl) != 0;
    } while (got < n && t->unread);
    return (ssize_t)got;
}

ssize_t tls_write(struct tls *t, const void *from, size_t n)
{
    size_t sent = 0, one, most = n < TLS_WRITE_MAX ? n : TLS_WRITE_MAX;
    while (sent < most) {
        tls_begin_call();
        int ret = SSL_write_ex(t->ssl, (const char *)from + sent, n - sent, &one);
        if (ret == 1) {
            sent += one;
            t->holds_out = false;
            continue;
        }
        int failure = errno;
        t->write_waits = SSL_want_read(t->ssl);
        ssize_t end = tls_outcome(t, ret, failure);
        t->wants_write = false; /* the caller has something unsent, and waits for that anyway */
        if (sent)
            break;
        if (end == 0)
            errno = EPIPE;
        return -1;
    }
    return (ssize_t)sent;
}

void tls_close(struct tls *t)
{
    if (!t->shaken || t->failed)
        return;
    tls_begin_call();
    if (SSL_shutdown(t->ssl) < 0)
        ERR_clear_error();
}

size_t tls_bytes(const struct tls *t)
{
    if (!t->ssl)
        return 0;
    if (!t->shaken)
        return TLS_SHAKING_BYTES;
    return TLS_OPEN_BYTES + (t->holds_in ? TLS_RECORD_BYTES : 0) + (t->holds_out ? TLS_RECORD_BYTES : 0);
}

const char *tls_why(const struct tls *t)
{
    unsigned long failure = ERR_peek_error();
    long verified = t->ssl ? SSL_get_verify_result(t->ssl) : X509_V_OK;
    const char *why = ERR_reason_error_string(failure);
    if (ERR_GET_LIB(failure) == ERR_LIB_SSL && ERR_GET_REASON(failure) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verified != X509_V_OK)
        why = X509_verify_cert_error_string(verified);
    ERR_clear_error();
    return why ? why : "the client closed the connection";
}

/* Copies a name without control bytes and NUL. */
static void tls_take_name(const ASN1_STRING *text, char name[TLS_NAME_MAX + 1])
{
    unsigned char *utf8 = NULL;
    int n = text ? ASN1_STRING_to_UTF8(&utf8, text) : -1;
    bool plain = n > 0 && n <= TLS_NAME_MAX;
    for (int i = 0; plain && i < n; i++)
        plain = utf8[i] > ' ' && utf8[i] < 0x7f;
    if (plain) {
        memcpy(name, utf8, (size_t)n);
        name[n] = '\0';
    }
    OPENSSL_free(utf8);
}

static void tls_take_cn(X509 *cert, char name[TLS_NAME_MAX + 1])
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0)
        tls_take_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), name);
}

/* The first of type DNS. */
static void tls_take_san_dns(X509 *cert, char name[TLS_NAME_MAX + 1])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        if (one->type != GEN_DNS)
            continue;
        tls_take_name(one->d.dNSName, name);
        break;
    }
    GENERAL_NAMES_free(all);
}

bool tls_user_name(const struct tls *t, char name[TLS_NAME_MAX + 1])
{
    X509 *cert = t->user == TLS_USER_NO ? NULL : SSL_get0_peer_certificate(t->ssl);
    name[0] = '\0';
    if (!cert)
        return false;
    if (t->user == TLS_USER_CN)
        tls_take_cn(cert, name);
    else
        tls_take_san_dns(cert, name);
    ERR_clear_error();
    return true;
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}
