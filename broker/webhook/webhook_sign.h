/*
 * webhook_sign.h: "sha256=" and the HMAC-SHA-256 of a body in hex, as the header X-HalfMQ-Signature
 * carries it: whoever has the secret can tell that the body came from the broker as it is.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_SIGN_H
#define HALFMQ_BROKER_WEBHOOK_SIGN_H

#include "protocol/base/slice.h"

#define WEBHOOK_SIGNATURE_SIZE (7 + 64 + 1)

/* False: no memory. */
bool webhook_sign(struct slice secret, struct slice body, char out[WEBHOOK_SIGNATURE_SIZE]);

#endif
