/*
 * credentials.h: the header Authorization of HTTP: `Basic <base64 of user:password>` or `Bearer <token>`.
 */
#ifndef HALFMQ_BROKER_CREDENTIALS_H
#define HALFMQ_BROKER_CREDENTIALS_H

#include "protocol/base/slice.h"
#include "protocol/limits.h"

#define CREDENTIALS_MAX ((size_t)KIB(9)) /* of the header's value; a token is shorter */

struct credentials {
    struct slice user, password; /* they point into room; no user with Bearer */
    uint8_t room[CREDENTIALS_MAX];
};

/* False: it is something else, or malformed. */
bool credentials_read(const char *value, struct credentials *ret);

/* Overwrites them. */
void credentials_forget(struct credentials *c);

#endif
