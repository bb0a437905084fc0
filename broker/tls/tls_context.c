/*
 * tls_context.c: reads certificates, and decides which TLS is spoken.
 *
 * Spoken is TLS 1.3, and 1.2 where the setting tls_min allows it, with forward secrecy and authenticated ciphers only;
 * no compression and no renegotiation. A server keeps no sessions: a client that comes again brings a ticket, which the
 * key of its context opens, so tickets end with the context. Where clients have certificates there are no tickets,
 * since a ticket would outlive the certificate.
 *
 * The order of the checks is that in which a person would look: can the file be read, is it what it should be, do the
 * two fit, is it the right time.
 */
#include "broker/tls/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TICKETS 1 /* OpenSSL sends two, of which clients use one */

/* "The setting's name and its file: what is wrong" */
static enum status context_fail(char *err, size_t err_size, const char *setting, const char *path, const char *what)
{
    snprintf(err, err_size, "%s \"%.300s\" %s", setting, path, what);
    return ST_ERR;
}

/* The same with OpenSSL's own words behind it, as far as it has any. */
static enum status context_fail_why(char *err, size_t err_size, const char *setting, const char *path, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(err, err_size, "%s \"%.300s\" %s%s%s%s", setting, path, what, why ? " (" : "", why ? why : "", why ? ")" : "");
    ERR_clear_error();
    return ST_ERR;
}

static enum status context_no_memory(char *err, size_t err_size)
{
    ERR_clear_error();
    snprintf(err, err_size, "no memory for the TLS certificate");
    return ST_NOMEM;
}

/* OpenSSL's words for a file that is not there are no help. */
static enum status context_is_readable(const char *setting, const char *path, char *err, size_t err_size)
{
    char what[128];
    FILE *f = fopen(path, "re");
    int first = f ? fgetc(f) : EOF;
    int failed = errno;
    bool readable = f && (first != EOF || !ferror(f));
    if (f)
        (void)fclose(f);
    if (readable)
        return ST_OK;
    snprintf(what, sizeof what, "cannot be read: %s", strerror(failed));
    return context_fail(err, err_size, setting, path, what);
}

/* No person is there to type a passphrase. */
static int context_no_passphrase(char *text, int size, int writing, void *arg)
{
    (void)text, (void)size, (void)writing, (void)arg;
    return 0;
}

static EVP_PKEY *context_read_key(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, context_no_passphrase, NULL) : NULL;
    BIO_free(file);
    return key;
}

static enum status context_use_key(SSL_CTX *ctx, const struct tls_options *o, char *err, size_t err_size)
{
    EVP_PKEY *key = context_read_key(o->key);
    if (!key)
        return context_fail_why(err, err_size, "tls_key", o->key, "is no private key in PEM form without a passphrase");
    enum status s = ST_OK;
    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1) {
        snprintf(err, err_size, "the private key tls_key \"%.200s\" does not fit the certificate tls_cert \"%.200s\"", o->key,
                 o->cert);
        s = ST_ERR;
    } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        s = context_fail_why(err, err_size, "tls_key", o->key, "cannot be used");
    }
    EVP_PKEY_free(key);
    return s;
}

static bool context_time(const ASN1_TIME *t, int64_t *ret_s)
{
    struct tm tm;
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
        return false;
    *ret_s = timegm(&tm);
    return true;
}

static enum status context_check_times(const SSL_CTX *ctx, const struct tls_options *o, int64_t *ret_expires_s, char *err,
                                       size_t err_size)
{
    const X509 *cert = SSL_CTX_get0_certificate(ctx);
    int64_t begins_s, ends_s;
    char what[128], day[32] = "";
    struct tm tm;
    if (!context_time(X509_get0_notBefore(cert), &begins_s) || !context_time(X509_get0_notAfter(cert), &ends_s))
        return context_fail(err, err_size, "tls_cert", o->cert, "does not say when it is valid");
    *ret_expires_s = ends_s;
    if (begins_s <= o->now_s && o->now_s < ends_s)
        return ST_OK;
    time_t when = o->now_s < begins_s ? begins_s : ends_s;
    if (gmtime_r(&when, &tm))
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(what, sizeof what, o->now_s < begins_s ? "is not valid before %s" : "has expired at %s", day);
    return context_fail(err, err_size, "tls_cert", o->cert, what);
}

static enum status context_use_cert(SSL_CTX *ctx, const struct tls_options *o, int64_t *ret_expires_s, char *err,
                                    size_t err_size)
{
    enum status s = context_is_readable("tls_cert", o->cert, err, err_size);
    if (s == ST_OK)
        s = context_is_readable("tls_key", o->key, err, err_size);
    if (s != ST_OK)
        return s;
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1)
        return context_fail_why(err, err_size, "tls_cert", o->cert, "is no certificate in PEM form that can be used");
    s = context_use_key(ctx, o, err, err_size);
    return s == ST_OK ? context_check_times(ctx, o, ret_expires_s, err, err_size) : s;
}

static enum status context_use_ca(SSL_CTX *ctx, const struct tls_options *o, char *err, size_t err_size)
{
    if (!o->ca[0])
        return ST_OK;
    enum status s = context_is_readable("tls_ca", o->ca, err, err_size);
    if (s != ST_OK)
        return s;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca);
    if (!names || SSL_CTX_load_verify_file(ctx, o->ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return context_fail_why(err, err_size, "tls_ca", o->ca, "has no certificates in PEM form");
    }
    SSL_CTX_set_client_CA_list(ctx, names); /* takes them over */
    return ST_OK;
}

static bool context_set_up(SSL_CTX *ctx, const struct tls_options *o)
{
    static const unsigned char id[] = "halfmq";
    static const int verify[] = {SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT};
    bool clients = o->client_auth != TLS_CLIENT_NO;
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_ENABLE_KTLS | (clients ? SSL_OP_NO_TICKET : 0));
    /* Without AUTO_RETRY, a client that sends nothing but KeyUpdates has its turn like any other. */
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, verify[o->client_auth], NULL);
    SSL_CTX_set_default_passwd_cb(ctx, context_no_passphrase);
    return SSL_CTX_set_num_tickets(ctx, clients ? 0 : TICKETS) == 1 &&
           SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, o->min_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1;
}

enum status tls_context_new(const struct tls_options *o, struct tls_context *ret, char *err, size_t err_size)
{
    *ret = (struct tls_context){0};
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || !context_set_up(ctx, o)) {
        SSL_CTX_free(ctx);
        return context_no_memory(err, err_size);
    }
    *ret = (struct tls_context){.ctx = ctx, .user = o->user};
    enum status s = context_use_cert(ctx, o, &ret->expires_s, err, err_size);
    if (s == ST_OK)
        s = context_use_ca(ctx, o, err, err_size);
    ERR_clear_error();
    if (s != ST_OK)
        tls_context_free(ret);
    return s;
}

void tls_context_free(struct tls_context *c)
{
    SSL_CTX_free(c->ctx);
    *c = (struct tls_context){0};
}
