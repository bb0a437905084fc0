/*
 * bits.h: walks over the bits of an array of words, bit i being bit i % 64 of word i / 64.
 *
 * Pure. Threads: any.
 */
#ifndef HALFMQ_PROTOCOL_BITS_H
#define HALFMQ_PROTOCOL_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* The first of n bits, from bit i on, that is set, or is not; n: there is none. */
static inline uint32_t bits_next(const uint64_t *bits, uint32_t n, uint32_t i, bool set)
{
    while (i < n) {
        uint64_t word = (set ? bits[i / 64] : ~bits[i / 64]) >> (i % 64);
        if (word) {
            i += (uint32_t)__builtin_ctzll(word);
            break;
        }
        i = (i / 64 + 1) * 64;
    }
    return i < n ? i : n;
}

#endif
