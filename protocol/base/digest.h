/*
 * digest.h: the XXH3-64 of bytes that come in pieces, as of a file that is read step by step. The same number as text_hash
 * of all of them at once.
 *
 *   digest_new ─► digest_add ─► digest_add ─► ... ─► digest_value ─► digest_free
 */
#ifndef HALFMQ_PROTOCOL_DIGEST_H
#define HALFMQ_PROTOCOL_DIGEST_H

#include "protocol/base/slice.h"

struct digest;

struct digest *digest_new(void); /* NULL: no memory */
void digest_free(struct digest *d); /* NULL: nothing is done */

/* As after digest_new. */
void digest_reset(struct digest *d);

void digest_add(struct digest *d, struct slice s);
uint64_t digest_value(const struct digest *d);

#endif
