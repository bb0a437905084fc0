/*
 * filter_code.h: a parsed expression: operations on a stack of values, one after the other.
 *
 *   price > 10 AND NOT hot      NAME price │ CONST 10 │ COMPARE > │ SKIP_FALSE ─┐ │ NAME hot │ TRUTH │ NOT │ AND │ ◄─┘
 *
 * A block:  struct filter │ operations │ constants │ names │ bytes of texts
 *
 * Invariants: the stack never holds more than FILTER_STACK_MAX values and ends with one, which is a truth; the parser
 * counts that while it writes operations, so that the evaluator need not.
 */
#ifndef HALFMQ_PROTOCOL_FILTER_CODE_H
#define HALFMQ_PROTOCOL_FILTER_CODE_H

#include "protocol/filter/filter.h"
#include "protocol/filter/filter_number.h"

/* In each pair of brackets: the left sides of OR and AND, a value and its low end (BETWEEN) or what IN has come to, the
 * left sides of + and *, and one. */
#define FILTER_STACK_MAX (7 * (FILTER_DEPTH_MAX + 1))

/* In this order AND is the least, OR the greatest of two, and NOT turns it round. */
enum filter_truth { FILTER_FALSE, FILTER_UNKNOWN, FILTER_TRUE };

enum filter_value_kind {
    VALUE_NULL, /* also of an operation without a result */
    VALUE_NUMBER,
    VALUE_TEXT,
    VALUE_KEYS, /* the texts of all KEYs of the message */
    VALUE_TRUTH
};

struct filter_value {
    union {
        filter_number number;
        struct slice text;
        enum filter_truth truth;
    };
    enum filter_value_kind kind;
};

enum filter_op_code {
    OP_CONST,      /* pushes constant `arg` */
    OP_NAME,       /* pushes property `arg` */
    OP_ATTRIBUTE,  /* pushes attribute `arg` */
    OP_ADD,        /* of the two uppermost values, as the next three */
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_NEGATE,
    OP_COMPARE,    /* the two uppermost: sign `arg`, as `how` says */
    OP_BETWEEN,    /* the three uppermost: value, low, high; how: against low, arg: against high */
    OP_IN_BEGIN,   /* pushes what IN has come to so far */
    OP_IN,         /* value, so far, item: compares, drops the item */
    OP_IN_END,     /* value, so far: drops the value */
    OP_LIKE,       /* the uppermost against constant `arg`, a pattern; constant arg+1 is its escape, or NULL */
    OP_IS_NULL,
    OP_IS_TRUTH,   /* is it the truth `arg`? */
    OP_TRUTH,      /* makes a truth of a property */
    OP_NOT,
    OP_AND,
    OP_OR,
    OP_SKIP_FALSE, /* goes on at operation `arg` where the uppermost is false */
    OP_SKIP_TRUE
};

enum filter_how { AS_TEXTS, AS_NUMBERS, AS_TRUTHS };
enum filter_sign { SIGN_EQUAL, SIGN_UNEQUAL, SIGN_LESS, SIGN_LESS_EQUAL, SIGN_MORE, SIGN_MORE_EQUAL };

enum filter_attribute {
    ATTRIBUTE_TOPIC,
    ATTRIBUTE_TAG,
    ATTRIBUTE_KEY,
    ATTRIBUTE_ORDER,
    ATTRIBUTE_PRIORITY,
    ATTRIBUTE_QUEUE,
    ATTRIBUTE_OFFSET,
    ATTRIBUTE_BORN,
    ATTRIBUTE_STORED,
    FILTER_ATTRIBUTES
};

struct filter_op {
    uint8_t code; /* enum filter_op_code */
    uint8_t how;  /* enum filter_how */
    uint16_t arg;
};

struct filter {
    uint32_t n_ops, n_consts, n_names, n_bytes;
    struct filter_op *ops;
    struct filter_value *consts;
    struct slice *names;
    uint8_t *bytes;
};

static_assert(4 * FILTER_BYTES_MAX + 4 < UINT16_MAX, "a place in the code fits into an operation");

#endif
