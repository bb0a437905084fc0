/*
 * webhook_sign.h: makes the header X-HalfMQ-Signature: "sha256=" and the HMAC-SHA-256 of the body in hex. Whoever has
 * the secret can tell by it that the body comes from the broker and was not changed.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_SIGN_H
#define HALFMQ_BROKER_WEBHOOK_SIGN_H

#include "protocol/base/slice.h"

#define WEBHOOK_SIGNATURE_SIZE (7 + 64 + 1)

/* False: no memory. */
bool webhook_sign(struct slice secret, struct slice body, char out[WEBHOOK_SIGNATURE_SIZE]);

#endif
