/*
 * filter_parse.c: from an expression to operations (filter.h has the language, filter_code.h the operations).
 *
 *   condition   any ─► all ─► not ─► test ─► sum ─► product ─► signed ─► value      each rule is a function; what binds
 *                OR     AND    NOT    =, IN   + -     * /        -        (, names   tighter is called later
 *
 * Operations are written as soon as their operands are parsed. An operand carries what is known of its type, so that
 * what can never be true or false for want of types is refused here: 'abc' > 1, NOT 5.
 *
 * To extend: a keyword in filter_lex.c, a case in parse_test, an operation in filter_code.h and filter_eval.c; and say
 * so in PROTOCOL.md.
 */
#include "protocol/filter/filter_build.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"
#include "protocol/filter/filter_lex.h"

#define SHOWN_BYTES 24 /* of a token, in an error */
#define SHOWN_SIZE (4 * SHOWN_BYTES + 4)

/* What is known of an operand. */
enum operand_type {
    IS_NUMBER,
    IS_TEXT,     /* an attribute */
    IS_LITERAL,  /* 'text' */
    IS_PROPERTY, /* a text that may be a number, or TRUE or FALSE */
    IS_KEYS,
    IS_TRUTH
};

struct operand {
    enum operand_type type;
    size_t at;             /* in the expression */
    struct slice literal;  /* IS_LITERAL: the text */
};

struct parser {
    struct filter_lexer lexer;
    struct filter_token token; /* the next one */
    struct filter_build build;
    uint32_t depth;
    enum status status;
};

static const char *const parse_attributes[FILTER_ATTRIBUTES] = {
    [ATTRIBUTE_TOPIC] = "topic",       [ATTRIBUTE_TAG] = "tag",       [ATTRIBUTE_KEY] = "key",
    [ATTRIBUTE_ORDER] = "order",       [ATTRIBUTE_PRIORITY] = "priority", [ATTRIBUTE_QUEUE] = "queue",
    [ATTRIBUTE_OFFSET] = "offset",     [ATTRIBUTE_BORN] = "born",     [ATTRIBUTE_STORED] = "stored",
};

static const enum operand_type parse_attribute_types[FILTER_ATTRIBUTES] = {
    [ATTRIBUTE_TOPIC] = IS_TEXT,      [ATTRIBUTE_TAG] = IS_TEXT,      [ATTRIBUTE_KEY] = IS_KEYS,
    [ATTRIBUTE_ORDER] = IS_TEXT,      [ATTRIBUTE_PRIORITY] = IS_NUMBER, [ATTRIBUTE_QUEUE] = IS_NUMBER,
    [ATTRIBUTE_OFFSET] = IS_NUMBER,   [ATTRIBUTE_BORN] = IS_NUMBER,   [ATTRIBUTE_STORED] = IS_NUMBER,
};

static bool parse_any(struct parser *p, struct operand *ret_o);

/* ---- tokens ---- */

#define parse_fail(p, at, ...) ((p)->status = filter_lex_complain(&(p)->lexer, (at), __VA_ARGS__), false)

static bool parse_next(struct parser *p)
{
    p->status = filter_lex(&p->lexer, &p->token);
    return p->status == ST_OK;
}

static bool parse_at(const struct parser *p, enum filter_token_kind kind) { return p->token.kind == kind; }

/* Complains that something else is expected than the token at hand. */
static bool parse_unexpected(struct parser *p, const char *wanted)
{
    char shown[SHOWN_SIZE];
    if (parse_at(p, TOKEN_END))
        return parse_fail(p, p->token.at, "expected %s, but the expression ends", wanted);
    text_quote(p->token.text, SHOWN_BYTES, shown, sizeof shown);
    return parse_fail(p, p->token.at, "expected %s, but found %s", wanted, shown);
}

static bool parse_take(struct parser *p, enum filter_token_kind kind, const char *wanted)
{
    return parse_at(p, kind) ? parse_next(p) : parse_unexpected(p, wanted);
}

/* Each rule that calls itself comes through here. */
static bool parse_enter(struct parser *p)
{
    if (p->depth == FILTER_DEPTH_MAX)
        return parse_fail(p, p->token.at, "nested too deep: at most %d brackets or NOTs within one another",
                          FILTER_DEPTH_MAX);
    p->depth++;
    return true;
}

static void parse_put(struct parser *p, enum filter_op_code code, enum filter_how how, uint32_t arg, int more)
{
    (void)filter_build_op(&p->build, code, how, arg, more);
}

/* ---- values ---- */

static bool parse_property(struct parser *p, size_t at)
{
    uint32_t i = 0;
    struct slice name = filter_build_text(&p->build, p->token.text);
    if (name.len == 0 || name.len > KEY_BYTES_MAX)
        return parse_fail(p, at, "the name of a property has 1 to %d bytes", KEY_BYTES_MAX);
    if (!filter_build_name(&p->build, name, &i))
        return parse_fail(p, at, "more than %d different properties", FILTER_NAMES_MAX);
    parse_put(p, OP_NAME, AS_TEXTS, i, 1);
    return parse_next(p);
}

static bool parse_name(struct parser *p, struct operand *ret_o)
{
    for (uint32_t i = 0; parse_at(p, TOKEN_NAME) && i < FILTER_ATTRIBUTES; i++) {
        if (!slice_equal_nocase(p->token.text, slice_str(parse_attributes[i])))
            continue;
        ret_o->type = parse_attribute_types[i];
        parse_put(p, OP_ATTRIBUTE, AS_TEXTS, i, 1);
        return parse_next(p);
    }
    ret_o->type = IS_PROPERTY;
    return parse_property(p, ret_o->at);
}

static bool parse_constant(struct parser *p, struct filter_value v)
{
    parse_put(p, OP_CONST, AS_TEXTS, filter_build_const(&p->build, v), 1);
    return parse_next(p);
}

static bool parse_number(struct parser *p, struct operand *ret_o)
{
    struct filter_value v = {.kind = VALUE_NUMBER};
    char shown[SHOWN_SIZE];
    text_quote(p->token.text, SHOWN_BYTES, shown, sizeof shown);
    if (!filter_number_read(p->token.text, &v.number))
        return parse_fail(p, ret_o->at, "%s is not a number below 10^20", shown);
    ret_o->type = IS_NUMBER;
    return parse_constant(p, v);
}

static bool parse_literal(struct parser *p, struct operand *ret_o)
{
    struct filter_value v = {.kind = VALUE_TEXT, .text = filter_build_text(&p->build, p->token.text)};
    ret_o->type = IS_LITERAL;
    ret_o->literal = v.text;
    return parse_constant(p, v);
}

static bool parse_brackets(struct parser *p, struct operand *ret_o)
{
    if (!parse_enter(p) || !parse_next(p) || !parse_any(p, ret_o))
        return false;
    p->depth--;
    return parse_take(p, TOKEN_CLOSE, "a closing bracket");
}

static bool parse_value(struct parser *p, struct operand *ret_o)
{
    struct filter_value truth = {.kind = VALUE_TRUTH, .truth = parse_at(p, TOKEN_TRUE) ? FILTER_TRUE : FILTER_FALSE};
    *ret_o = (struct operand){.at = p->token.at};
    switch (p->token.kind) {
    case TOKEN_NUMBER: return parse_number(p, ret_o);
    case TOKEN_TEXT: return parse_literal(p, ret_o);
    case TOKEN_NAME:
    case TOKEN_QUOTED: return parse_name(p, ret_o);
    case TOKEN_OPEN: return parse_brackets(p, ret_o);
    case TOKEN_TRUE:
    case TOKEN_FALSE:
        ret_o->type = IS_TRUTH;
        return parse_constant(p, truth);
    case TOKEN_NULL: return parse_fail(p, p->token.at, "nothing equals NULL: write IS NULL or IS NOT NULL");
    default: return parse_unexpected(p, "a value or a name");
    }
}

/* ---- arithmetic ---- */

/* May it be calculated with, and compared with a number? */
static bool parse_need_number(struct parser *p, const struct operand *o)
{
    filter_number n;
    char shown[SHOWN_SIZE];
    if (o->type == IS_LITERAL && !filter_number_read(o->literal, &n)) {
        text_quote(o->literal, SHOWN_BYTES, shown, sizeof shown);
        return parse_fail(p, o->at, "'%s' is not a number", shown);
    }
    if (o->type == IS_TRUTH)
        return parse_fail(p, o->at, "a condition is not a number");
    return true;
}

static bool parse_calculate_with(struct parser *p, const struct operand *o)
{
    if (o->type == IS_KEYS)
        return parse_fail(p, o->at, "key may be several texts: it cannot be calculated with");
    return parse_need_number(p, o);
}

static bool parse_signed(struct parser *p, struct operand *ret_o)
{
    bool minus = parse_at(p, TOKEN_MINUS);
    size_t at = p->token.at;
    if (!minus && !parse_at(p, TOKEN_PLUS))
        return parse_value(p, ret_o);
    if (!parse_next(p) || !parse_value(p, ret_o) || !parse_calculate_with(p, ret_o))
        return false;
    *ret_o = (struct operand){.type = IS_NUMBER, .at = at};
    parse_put(p, OP_NEGATE, AS_TEXTS, minus, 0);
    return true;
}

/* The right side of an operator whose left side is *left, and the operator. */
static bool parse_calculated(struct parser *p, enum filter_op_code code, struct operand *left,
                             bool (*rule)(struct parser *p, struct operand *ret_o))
{
    struct operand right;
    if (!parse_calculate_with(p, left) || !parse_next(p) || !rule(p, &right) || !parse_calculate_with(p, &right))
        return false;
    parse_put(p, code, AS_NUMBERS, 0, -1);
    *left = (struct operand){.type = IS_NUMBER, .at = left->at};
    return true;
}

static bool parse_product(struct parser *p, struct operand *ret_o)
{
    bool ok = parse_signed(p, ret_o);
    while (ok && (parse_at(p, TOKEN_TIMES) || parse_at(p, TOKEN_DIVIDE)))
        ok = parse_calculated(p, parse_at(p, TOKEN_TIMES) ? OP_MULTIPLY : OP_DIVIDE, ret_o, parse_signed);
    return ok;
}

static bool parse_sum(struct parser *p, struct operand *ret_o)
{
    bool ok = parse_product(p, ret_o);
    while (ok && (parse_at(p, TOKEN_PLUS) || parse_at(p, TOKEN_MINUS)))
        ok = parse_calculated(p, parse_at(p, TOKEN_PLUS) ? OP_ADD : OP_SUBTRACT, ret_o, parse_product);
    return ok;
}

/* ---- conditions ---- */

/* Decides how two operands are compared. */
static bool parse_how(struct parser *p, const struct operand *a, const struct operand *b, enum filter_how *ret_how)
{
    bool truths = a->type == IS_TRUTH || b->type == IS_TRUTH;
    const struct operand *other = a->type == IS_TRUTH ? b : a;
    *ret_how = AS_TEXTS;
    if (truths && other->type != IS_TRUTH && other->type != IS_PROPERTY)
        return parse_fail(p, other->at, "only a property or another condition can be compared with a condition");
    if (truths)
        *ret_how = AS_TRUTHS;
    else if (a->type == IS_NUMBER || b->type == IS_NUMBER)
        *ret_how = AS_NUMBERS;
    return *ret_how != AS_NUMBERS || (parse_need_number(p, a) && parse_need_number(p, b));
}

static bool parse_comparison(struct parser *p, struct operand *left)
{
    struct operand right;
    enum filter_how how;
    enum filter_sign sign = (enum filter_sign)(p->token.kind - TOKEN_EQUAL);
    size_t at = p->token.at;
    if (!parse_next(p) || !parse_sum(p, &right) || !parse_how(p, left, &right, &how))
        return false;
    if (how == AS_TRUTHS && sign > SIGN_UNEQUAL)
        return parse_fail(p, at, "conditions are only compared with = and <>");
    parse_put(p, OP_COMPARE, how, sign, -1);
    return true;
}

static bool parse_between(struct parser *p, const struct operand *left)
{
    struct operand low, high;
    enum filter_how how_low, how_high;
    if (!parse_sum(p, &low) || !parse_how(p, left, &low, &how_low) || !parse_take(p, TOKEN_AND, "AND") ||
        !parse_sum(p, &high) || !parse_how(p, left, &high, &how_high))
        return false;
    if (how_low == AS_TRUTHS || how_high == AS_TRUTHS)
        return parse_fail(p, left->at, "a condition cannot be BETWEEN others");
    parse_put(p, OP_BETWEEN, how_low, how_high, -2);
    return true;
}

static bool parse_in(struct parser *p, const struct operand *left)
{
    if (!parse_take(p, TOKEN_OPEN, "an opening bracket"))
        return false;
    parse_put(p, OP_IN_BEGIN, AS_TEXTS, 0, 1);
    for (;;) {
        struct operand item;
        enum filter_how how;
        if (!parse_sum(p, &item) || !parse_how(p, left, &item, &how))
            return false;
        parse_put(p, OP_IN, how, 0, -1);
        if (!parse_at(p, TOKEN_COMMA))
            break;
        if (!parse_next(p))
            return false;
    }
    parse_put(p, OP_IN_END, AS_TEXTS, 0, -1);
    return parse_take(p, TOKEN_CLOSE, "a comma or a closing bracket");
}

/* In a pattern the escape character stands before %, _ or itself. */
static bool parse_check_escapes(struct parser *p, size_t at, struct slice pattern, struct slice escape)
{
    for (size_t i = 0; i + escape.len <= pattern.len; i++) {
        if (!slice_equal(slice_of(pattern.data + i, escape.len), escape))
            continue;
        i += escape.len;
        struct slice rest = slice_of(pattern.data + i, pattern.len - i);
        bool itself = rest.len >= escape.len && slice_equal(slice_of(rest.data, escape.len), escape);
        if (!itself && (rest.len == 0 || (rest.data[0] != '%' && rest.data[0] != '_')))
            return parse_fail(p, at, "in the pattern the escape character stands before %%, _ or itself");
        i += itself ? escape.len - 1 : 0;
    }
    return true;
}

/* One character, which in UTF-8 may be several bytes. */
static bool parse_is_character(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.data[i] & 0xc0) != 0x80;
    return s.len > 0 && (s.len == 1 || (n == 1 && text_utf8_ok(s)));
}

static bool parse_like(struct parser *p, const struct operand *left)
{
    struct filter_value pattern = {.kind = VALUE_TEXT}, escape = {.kind = VALUE_NULL};
    size_t at = p->token.at;
    if (left->type == IS_NUMBER || left->type == IS_TRUTH)
        return parse_fail(p, left->at, "only a text can be LIKE a pattern");
    if (!parse_at(p, TOKEN_TEXT))
        return parse_unexpected(p, "a pattern in quotes (')");
    pattern.text = filter_build_text(&p->build, p->token.text);
    if (!parse_next(p))
        return false;
    if (parse_at(p, TOKEN_ESCAPE)) {
        if (!parse_next(p))
            return false;
        if (!parse_at(p, TOKEN_TEXT))
            return parse_unexpected(p, "one character in quotes (')");
        escape = (struct filter_value){.kind = VALUE_TEXT, .text = filter_build_text(&p->build, p->token.text)};
        if (!parse_is_character(escape.text))
            return parse_fail(p, p->token.at, "ESCAPE takes one character");
        if (!parse_check_escapes(p, at, pattern.text, escape.text) || !parse_next(p))
            return false;
    }
    uint32_t i = filter_build_const(&p->build, pattern);
    (void)filter_build_const(&p->build, escape);
    parse_put(p, OP_LIKE, AS_TEXTS, i, 0);
    return true;
}

/* Makes a truth of the operand on the stack, if it can be one. */
static bool parse_need_truth(struct parser *p, struct operand *o)
{
    if (o->type == IS_TRUTH)
        return true;
    if (o->type != IS_PROPERTY)
        return parse_fail(p, o->at, "expected a condition, but this is %s", o->type == IS_NUMBER ? "a number" : "a text");
    parse_put(p, OP_TRUTH, AS_TRUTHS, 0, 0);
    o->type = IS_TRUTH;
    return true;
}

/* IS [NOT] NULL, TRUE, FALSE or UNKNOWN. */
static bool parse_is(struct parser *p, struct operand *left)
{
    bool negated = parse_at(p, TOKEN_NOT);
    if (negated && !parse_next(p))
        return false;
    if (parse_at(p, TOKEN_NULL)) {
        parse_put(p, OP_IS_NULL, AS_TEXTS, 0, 0);
    } else {
        bool unknown = parse_at(p, TOKEN_NAME) && slice_equal_nocase(p->token.text, SLICE_LIT("UNKNOWN"));
        enum filter_truth truth = unknown                  ? FILTER_UNKNOWN
                                  : parse_at(p, TOKEN_TRUE) ? FILTER_TRUE
                                                            : FILTER_FALSE;
        if (!unknown && !parse_at(p, TOKEN_TRUE) && !parse_at(p, TOKEN_FALSE))
            return parse_unexpected(p, "NULL, TRUE, FALSE or UNKNOWN");
        if (!parse_need_truth(p, left))
            return false;
        parse_put(p, OP_IS_TRUTH, AS_TRUTHS, truth, 0);
    }
    if (negated)
        parse_put(p, OP_NOT, AS_TRUTHS, 0, 0);
    return parse_next(p);
}

static bool parse_at_sign(const struct parser *p)
{
    return p->token.kind >= TOKEN_EQUAL && p->token.kind <= TOKEN_MORE_EQUAL;
}

/* BETWEEN, IN or LIKE, perhaps behind NOT. *ret_any: it was there. */
static bool parse_keyword(struct parser *p, const struct operand *left, bool *ret_any)
{
    bool negated = parse_at(p, TOKEN_NOT);
    if (negated && !parse_next(p))
        return false;
    enum filter_token_kind kind = p->token.kind;
    *ret_any = kind == TOKEN_BETWEEN || kind == TOKEN_IN || kind == TOKEN_LIKE;
    if (!*ret_any)
        return !negated || parse_unexpected(p, "BETWEEN, IN or LIKE");
    if (!parse_next(p))
        return false;
    bool ok = kind == TOKEN_BETWEEN ? parse_between(p, left) : kind == TOKEN_IN ? parse_in(p, left) : parse_like(p, left);
    if (ok && negated)
        parse_put(p, OP_NOT, AS_TRUTHS, 0, 0);
    return ok;
}

static bool parse_test(struct parser *p, struct operand *ret_o)
{
    if (!parse_sum(p, ret_o))
        return false;
    bool any = parse_at_sign(p);
    if (any ? !parse_comparison(p, ret_o) : !parse_keyword(p, ret_o, &any))
        return false;
    if (any)
        *ret_o = (struct operand){.type = IS_TRUTH, .at = ret_o->at};
    while (parse_at(p, TOKEN_IS)) {
        if (!parse_next(p) || !parse_is(p, ret_o))
            return false;
        *ret_o = (struct operand){.type = IS_TRUTH, .at = ret_o->at};
    }
    return true;
}

static bool parse_not(struct parser *p, struct operand *ret_o)
{
    size_t at = p->token.at;
    if (!parse_at(p, TOKEN_NOT))
        return parse_test(p, ret_o);
    if (!parse_enter(p) || !parse_next(p) || !parse_not(p, ret_o) || !parse_need_truth(p, ret_o))
        return false;
    p->depth--;
    parse_put(p, OP_NOT, AS_TRUTHS, 0, 0);
    ret_o->at = at;
    return true;
}

/* The right side of AND or OR, whose left side is *left. Where that decides alone, the right side is skipped. */
static bool parse_joined(struct parser *p, struct operand *left, bool is_and,
                         bool (*rule)(struct parser *p, struct operand *ret_o))
{
    struct operand right;
    if (!parse_need_truth(p, left))
        return false;
    uint32_t skip = filter_build_op(&p->build, is_and ? OP_SKIP_FALSE : OP_SKIP_TRUE, AS_TRUTHS, 0, 0);
    if (!parse_next(p) || !rule(p, &right) || !parse_need_truth(p, &right))
        return false;
    parse_put(p, is_and ? OP_AND : OP_OR, AS_TRUTHS, 0, -1);
    filter_build_land(&p->build, skip);
    return true;
}

static bool parse_all(struct parser *p, struct operand *ret_o)
{
    bool ok = parse_not(p, ret_o);
    while (ok && parse_at(p, TOKEN_AND))
        ok = parse_joined(p, ret_o, true, parse_not);
    return ok;
}

static bool parse_any(struct parser *p, struct operand *ret_o)
{
    bool ok = parse_all(p, ret_o);
    while (ok && parse_at(p, TOKEN_OR))
        ok = parse_joined(p, ret_o, false, parse_all);
    return ok;
}

/* ---- the whole ---- */

static bool parse_whole(struct parser *p)
{
    struct operand o;
    if (!parse_next(p) || !parse_any(p, &o))
        return false;
    if (!parse_at(p, TOKEN_END))
        return parse_unexpected(p, "an operator or the end");
    return parse_need_truth(p, &o);
}

/* How many tokens there are: what the block needs follows from it. ST_ERR: one is malformed. */
static enum status parse_count(struct slice text, uint32_t *ret_n, struct complaint say)
{
    struct filter_lexer l = {.text = text, .say = say};
    struct filter_token t;
    uint32_t n = 0;
    for (;; n++) {
        enum status s = filter_lex(&l, &t);
        if (s != ST_OK)
            return s;
        if (t.kind == TOKEN_END)
            break;
    }
    *ret_n = n;
    return n ? ST_OK : filter_lex_complain(&l, 0, "the expression is empty: write a condition, as price > 10");
}

enum status filter_parse(struct slice text, struct filter **ret_f, struct complaint say)
{
    struct parser p = {.lexer = {.text = text, .say = say}};
    uint32_t n = 0;
    if (text.len > FILTER_BYTES_MAX)
        return complain(say, ST_TOOBIG, "FILTER WHERE of %zu bytes is too long: at most %d", text.len, FILTER_BYTES_MAX);
    enum status s = parse_count(text, &n, say);
    if (s != ST_OK)
        return s;
    if (!filter_build_init(&p.build, n, text.len))
        return complain(say, ST_NOMEM, "out of memory, nothing was done: try again");
    if (!parse_whole(&p)) {
        free(p.build.f);
        return p.status;
    }
    assert(p.build.stack == 1);
    *ret_f = p.build.f;
    return ST_OK;
}

enum status filter_check(struct slice text, struct complaint say)
{
    struct filter *f = NULL;
    enum status s = filter_parse(text, &f, say);
    free(f);
    return s;
}
