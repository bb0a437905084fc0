/*
 * socket_unix.h: the listening socket for the setting `unix_socket`: a path, for clients on the same machine.
 *
 * The path belongs to the broker while it runs. One that is left over from a broker that was killed is replaced; one on
 * which somebody listens, or which is no socket, is an error. User and group of the broker may connect (mode 0770);
 * who may reach the path is decided by its folder.
 */
#ifndef HALFMQ_BROKER_SOCKET_UNIX_H
#define HALFMQ_BROKER_SOCKET_UNIX_H

#include "broker/base/socket.h"

/* Adds it to s, not listening yet. ST_IO, with a text for a person. */
enum status socket_unix_open(const char *path, struct sockets *s, char *err, size_t err_size) MUST_CHECK;

/* Deletes the path, before the sockets are closed. */
void socket_unix_remove(const char *path);

#endif
