/*
 * filter_build.h: writes the code of a filter (filter_code.h) into one block, whose size follows from the number of
 * tokens. So nothing here can fail but the block's allocation.
 */
#ifndef HALFMQ_PROTOCOL_FILTER_BUILD_H
#define HALFMQ_PROTOCOL_FILTER_BUILD_H

#include "protocol/filter/filter_code.h"

struct filter_build {
    struct filter *f; /* its owner frees it */
    uint32_t max_ops, max_consts, max_names;
    uint32_t stack; /* values on it at this place of the code */
};

/* Makes the block for an expression of n tokens and so many bytes. False: no memory. */
bool filter_build_init(struct filter_build *b, uint32_t n, size_t bytes) MUST_CHECK;

/* Writes an operation, which leaves `more` values more on the stack than it found. Returns its place. */
uint32_t filter_build_op(struct filter_build *b, enum filter_op_code code, enum filter_how how, uint32_t arg, int more);

/* Makes the operation at that place go on behind the last one. */
void filter_build_land(struct filter_build *b, uint32_t at);

/* Returns its number. */
uint32_t filter_build_const(struct filter_build *b, struct filter_value v);

/* The number of a property; the name was copied. False: there are FILTER_NAMES_MAX others. */
bool filter_build_name(struct filter_build *b, struct slice name, uint32_t *ret_i) MUST_CHECK;

/* A copy of a token; of one in quotes, of what stands between them, in which two quotes are one. */
struct slice filter_build_text(struct filter_build *b, struct slice token);

#endif
