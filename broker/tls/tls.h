/*
 * tls.h: TLS on one socket that does not block: tls_read and tls_write stand where recv and send would.
 *
 *   tls_new ──► tls_shake ... TLS_WAITS ... TLS_DONE ──► tls_read, tls_write ──► tls_close ──► tls_free
 *                    └─ TLS_FAILED: nothing more may be called but tls_free
 *
 * What differs from a socket
 *   - Bytes may be in here that the socket does not report any more: while `unread` is set, read again.
 *   - Reading may have to write: while `wants_write` is set, call again when the socket takes more.
 *   - A write that was refused must be repeated with the same bytes at its beginning, and at least as many.
 *
 * Memory: tls_bytes says about what OpenSSL holds for it. A test compares that with what malloc says.
 *
 * Threads: one at a time.
 */
#ifndef HALFMQ_BROKER_TLS_H
#define HALFMQ_BROKER_TLS_H

#include <sys/types.h>

#include "broker/tls/tls_server.h"
#include "protocol/limits.h"

#define TLS_SHAKING_BYTES ((size_t)KIB(48)) /* while the handshake is unfinished */
#define TLS_NAME_MAX 255 /* bytes of a user's name that a certificate may have */

struct ssl_st; /* OpenSSL's SSL */

enum tls_step { TLS_DONE, TLS_WAITS, TLS_FAILED };

struct tls {
    struct ssl_st *ssl;
    enum tls_user user; /* as the setting was when it began */
    bool shaken; /* the handshake is finished */
    bool failed; /* nothing more can be sent or read */
    bool unread; /* decrypted or not, there are bytes that were not given out */
    bool holds_in, holds_out; /* OpenSSL keeps a record that came in part, or was not given out; one that was not sent */
    bool wants_write; /* the next step needs the socket to take more */
    bool write_waits; /* nothing is sent before more is read; OpenSSL is in the middle of what the client began */
};

/* Serves fd, which stays the caller's. False: no memory, or TLS is not spoken any more. */
bool tls_new(struct tls *t, struct tls_server *s, int fd) MUST_CHECK;
void tls_free(struct tls *t); /* all zero is fine */

/* A step of the handshake. One step takes up to a few milliseconds, for a large RSA key. */
enum tls_step tls_shake(struct tls *t);

/* As recv: 0 is the end, -1 with EAGAIN, EPROTO (what came is no TLS) or another errno. At most n bytes, which may be
 * several records. */
ssize_t tls_read(struct tls *t, void *to, size_t n);

/* As send: how many were sent. At most TLS_WRITE_MAX at a time, so that one connection does not keep its loop busy. */
ssize_t tls_write(struct tls *t, const void *from, size_t n);

/* Tells the client that no more comes. Best effort. */
void tls_close(struct tls *t);

/* About what is held for it, bytes. */
size_t tls_bytes(const struct tls *t);

/* Why a step or a call failed, in OpenSSL's words; it forgets them. Good until the next call of this thread. */
const char *tls_why(const struct tls *t);

/* The user's name in the client's certificate, as the setting tls_user says. False: the client has shown no certificate, or
 * tls_user is no. True with "": the certificate has no such name, or one that is too long or no plain text. */
bool tls_user_name(const struct tls *t, char name[TLS_NAME_MAX + 1]);

/* "TLSv1.3" and the like, a constant. */
const char *tls_version(const struct tls *t);

#endif
