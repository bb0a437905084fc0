/*
 * net_tls.h: the transport that encrypts (transport.h), with OpenSSL.
 *
 *   hmqs://host, or the option tls=yes ─► net_begin: certificates are read, a name to expect ─► net_shake ─► net_read ...
 *
 * The broker's certificate must come from tls_ca (where that is empty, from an authority that the system trusts) and be
 * for tls_server_name (where that is empty, for the host that the client connects to); unless tls_verify is no. The files
 * are read at each connection, so new ones are taken without a restart.
 */
#ifndef HALFMQ_CLIENTS_C_NET_TLS_H
#define HALFMQ_CLIENTS_C_NET_TLS_H

#include "clients/c/wire/transport.h"

extern const struct transport transport_tls;

/* Can what the options name be used? False: err says what is wrong. */
bool net_tls_check(const struct hmq_options *o, hmq_error *err);

#endif
