/*
 * login.h: how a client tells the broker who it is, right after it has connected. A *login* is a table: whether the
 * options ask for it, and the request. It is made anew for each connection, so that one may read a token that was
 * renewed meanwhile. To add one: a table, and a line in logins (login.c); the first that is wanted is used.
 */
#ifndef HALFMQ_CLIENTS_C_LOGIN_H
#define HALFMQ_CLIENTS_C_LOGIN_H

#include "clients/c/wire/call.h"
#include "clients/c/wire/options.h"

struct login {
    const char *name;
    bool (*wanted)(const struct hmq_options *o);
    /* Writes the request into the call. False, with the reason: it cannot be made. */
    bool (*write)(const struct hmq_options *o, struct call *call, hmq_error *err);
};

/* The login that the options ask for; NULL: none. */
const struct login *login_of(const struct hmq_options *o);

#endif
