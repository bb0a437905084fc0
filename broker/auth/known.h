/*
 * known.h: pairs of user and password that were right a moment ago, so that not each request by HTTP costs a slow hash.
 *
 *   HMAC-SHA256(key of this process, user NUL password) ──► a place in the table: the HMAC, the user's ref, until when
 *
 * The password itself is not kept, and the key never leaves the process. A pair is forgotten after KNOWN_MS, when its user
 * has changed (another ref), and when its place is needed: the table has a fixed size.
 *
 * Any thread: it has a lock, which is held for some comparisons.
 */
#ifndef HALFMQ_BROKER_KNOWN_H
#define HALFMQ_BROKER_KNOWN_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

#define KNOWN_MS 300000

struct known;

/* NULL: no memory, or no randomness for the key. */
struct known *known_new(void);
void known_free(struct known *k);

/* Was this pair right, for the user as they are now (ref)? now_ms: monotonic. */
bool known_has(struct known *k, struct slice user, struct slice password, uint64_t ref, int64_t now_ms);
void known_add(struct known *k, struct slice user, struct slice password, uint64_t ref, int64_t now_ms);

#endif
