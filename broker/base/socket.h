/*
 * socket.h: listening sockets for the setting `bind`, which may be an address, a host name or `*`.
 */
#ifndef HALFMQ_BROKER_SOCKET_H
#define HALFMQ_BROKER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/status.h"

#define SOCKETS_MAX 9      /* the addresses that one host name may have, and a Unix socket (socket_unix.h) */
#define SOCKET_TEXT_MAX 80 /* "[address]:port" and its NUL */

struct sockets {
    int fds[SOCKETS_MAX]; /* non-blocking; listening after sockets_listen */
    unsigned n;
    int port;                   /* as bound */
    char text[SOCKET_TEXT_MAX]; /* the first one: "127.0.0.1:4253", "[::1]:4253" */
};

/*
 * Takes every address of host, all with the same port; port 0 picks a free one. Clients are refused until
 * sockets_listen. flag is the setting's name, for the error: "cannot listen on 127.0.0.1:4253: address in use: stop the
 * other program or choose another --port". Blocks while a host name is looked up.
 */
enum status sockets_open(const char *host, int port, const char *flag, struct sockets *ret_sockets,
                         char *err, size_t err_size) MUST_CHECK;

/* Listens on all of them. The text as above; another program may have been faster. */
enum status sockets_listen(const struct sockets *s, const char *flag, char *err, size_t err_size) MUST_CHECK;

/* Closes those that are still owned (fd >= 0). */
void sockets_close(struct sockets *s);

#endif
