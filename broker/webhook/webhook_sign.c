/* webhook_sign.c: signs a body with OpenSSL's libcrypto. */
#include "broker/webhook/webhook_sign.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

bool webhook_sign(struct slice secret, struct slice body, char out[WEBHOOK_SIGNATURE_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (secret.len > INT_MAX ||
        !HMAC(EVP_sha256(), secret.len ? secret.data : (const void *)"", (int)secret.len, body.data,
              body.len, digest, &n) ||
        n != 32)
        return false;
    snprintf(out, WEBHOOK_SIGNATURE_SIZE, "sha256=");
    for (unsigned i = 0; i < n; i++)
        snprintf(out + 7 + 2 * i, 3, "%02x", digest[i]);
    return true;
}
