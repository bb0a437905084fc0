/*
 * tls_socket.h: the socket as OpenSSL reads and writes it once the handshake is finished.
 *
 *   handshake over OpenSSL's own socket BIO ── finished ──┬── the kernel does TLS for this connection ──► that BIO stays
 *                                                         └── otherwise ──► a BIO of recv and send
 *
 * OpenSSL's own BIO calls read and write, which cost the kernel more than recv and send, and does more for each question
 * whether the kernel does TLS, of which there are some ten a record.
 *
 * Threads: any; a BIO belongs to its connection.
 */
#ifndef HALFMQ_BROKER_TLS_SOCKET_H
#define HALFMQ_BROKER_TLS_SOCKET_H

struct ssl_st; /* OpenSSL's SSL */

/* Exchanges the BIO of ssl, whose handshake is finished; fd stays the caller's. Where there is no memory for it, nothing
 * changes. */
void tls_socket_use(struct ssl_st *ssl, int fd);

#endif
