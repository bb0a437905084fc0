/*
 * allowed.h: names that users were found to be allowed, so that their patterns are not matched again with each command.
 *
 *   judge ──► allowed_has ── yes ──► allowed
 *                 └───────── no ───► the user's patterns ── they match ──► allowed_add
 *
 * Only names are remembered, never commands: rights, bounds and the time of a token are looked at each time. Refusals are
 * not remembered either, so what this forgets, or has no room for, costs time and changes no answer.
 *
 * A name is remembered for one user of one `struct users`. Whoever gives other users to the judge forgets all names
 * first (allowed_forget).
 *
 * One slot a name, in a place that the name and the user choose: the next name with the same place takes it.
 *
 * Threads: one at a time. Nothing is allocated.
 */
#ifndef HALFMQ_STORAGE_ALLOWED_H
#define HALFMQ_STORAGE_ALLOWED_H

#include "storage/access/users.h"

#define ALLOWED_NAMES 32U /* a power of two */
#define ALLOWED_NAME_BYTES 116 /* longer names are not remembered */

struct allowed_name {
    const struct access_user *user;
    uint32_t key; /* allowed_key */
    uint8_t bytes[ALLOWED_NAME_BYTES];
};

/* All zero has nothing. */
struct allowed_names {
    struct allowed_name at[ALLOWED_NAMES];
};

static inline void allowed_forget(struct allowed_names *a)
{
    memset(a, 0, sizeof *a);
}

/* kind: TOPIC, GROUP or PGROUP. */
static inline uint32_t allowed_key(enum touch kind, size_t len)
{
    return (uint32_t)kind << 8 | (uint32_t)len;
}

/* Names that follow a pattern differ in their last bytes, or in their length. name.len is not 0. */
static inline size_t allowed_place(const struct access_user *u, enum touch kind, struct slice name)
{
    return (name.data[name.len - 1] + 8 * name.len + (size_t)kind + ((uintptr_t)u >> 6)) % ALLOWED_NAMES;
}

static inline bool allowed_same_4(const uint8_t *a, const uint8_t *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y;
}

static inline bool allowed_same_8(const uint8_t *a, const uint8_t *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y;
}

/* As memcmp, whose call costs more than the rest here; n is not 0. The last words overlap those before. */
static inline bool allowed_same(const uint8_t *a, const uint8_t *b, size_t n)
{
    if (n < 4)
        return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
    if (n < 8)
        return allowed_same_4(a, b) && allowed_same_4(a + n - 4, b + n - 4);
    size_t i = 0;
    while (i < n - 8 && allowed_same_8(a + i, b + i))
        i += 8;
    return i >= n - 8 && allowed_same_8(a + n - 8, b + n - 8);
}

/* Is it known that the user may access the name? */
static inline bool allowed_has(const struct allowed_names *a, const struct access_user *u, enum touch kind, struct slice name)
{
    if (name.len - 1 >= ALLOWED_NAME_BYTES) /* or 0 */
        return false;
    const struct allowed_name *n = &a->at[allowed_place(u, kind, name)];
    return n->user == u && n->key == allowed_key(kind, name.len) && allowed_same(n->bytes, name.data, name.len);
}

/* It may: the patterns say so. a: NULL is fine. */
void allowed_add(struct allowed_names *a, const struct access_user *u, enum touch kind, struct slice name);

#endif
